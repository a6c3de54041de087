"""The inside of networks: activation functions, activations of layers, dropout masks, and the terms of losses."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots._axes import row_of_axes
from jaxnn.plots._style import BLACK, BLUE, GRAY, GREEN, PAIRS, SKY, STYLE, VERMILION, literal, new_figure

__all__ = ["activation_functions", "dropout_masks", "layer_histograms", "margins", "softmax_steps"]


@matplotlib.rc_context(STYLE)
def activation_functions(z: ArrayLike, values: Mapping[str, ArrayLike], slopes: Mapping[str, ArrayLike]) -> Figure:
    """Activation functions above their derivatives."""
    x = np.asarray(z, np.float64)
    figure = new_figure("Activation functions and their derivatives: shaded where almost no gradient comes back", 5.0)
    axes = figure.subplots(2, len(values), sharex=True, sharey="row", squeeze=False)
    for i, (name, value) in enumerate(values.items()):
        slope = np.asarray(slopes[name], np.float64)
        axes[0, i].plot(x, np.asarray(value, np.float64), color=BLUE)
        axes[0, i].set_title(name.replace("_", " "))
        axes[1, i].plot(x, slope, color=VERMILION)
        axes[1, i].set_title(f"derivative, at most {slope.max():.3g}", fontsize=9)
        axes[1, i].set_xlabel("z")
        for row in axes[:, i]:
            row.fill_between(
                x, 0, 1, where=np.abs(slope) < 0.05, transform=row.get_xaxis_transform(), color=GRAY, alpha=0.18, lw=0
            )
    axes[0, 0].set_ylabel("activation(z)")
    axes[0, 0].set_ylim(-1.5, 3)
    axes[1, 0].set_ylabel("derivative")
    return figure


@matplotlib.rc_context(STYLE)
def layer_histograms(title: str, rows: Mapping[str, Sequence[ArrayLike]], layers: Sequence[int]) -> Figure:
    """Histograms of activations: a row for each initialization rule, a column for each layer."""
    figure = new_figure(title, 0.9 + 1.45 * len(rows))
    axes = figure.subplots(len(rows), len(layers), sharex=True, squeeze=False)
    for i, (name, values) in enumerate(rows.items()):
        for j, (layer, number) in enumerate(zip(values, layers, strict=True)):
            flat = np.asarray(layer, np.float64).ravel()
            panel = axes[i, j]
            panel.hist(np.clip(flat, -1, 1), bins=41, range=(-1, 1), color=PAIRS[i], density=True)
            panel.set_yticks([])
            panel.grid(False)
            panel.text(0.03, 0.97, f"std {flat.std():.2g}", transform=panel.transAxes, fontsize=8, va="top")
            panel.set_ylim(0, panel.get_ylim()[1] * 1.25)
            if i == 0:
                panel.set_title(f"layer {number}", fontsize=10)
        axes[i, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.supxlabel("activation; the height is scaled in each panel", fontsize=10)
    return figure


@matplotlib.rc_context(STYLE)
def dropout_masks(before: ArrayLike, after: ArrayLike, rate: float) -> Figure:
    """The values of a layer for some examples before dropout, the mask, and the values after it."""
    values, passed = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if values.ndim != 2 or values.shape != passed.shape:
        raise ValueError(f"dropout_masks: expected two of one shape [N, H], got {values.shape} and {passed.shape}")
    high = float(max(np.abs(values).max(), np.abs(passed).max())) or 1.0
    dropped = (passed == 0) & (values != 0)
    silent = values == 0
    part = 100 * dropped.sum() / max(1, (~silent).sum())
    low, colors = (0.0, "Oranges") if min(values.min(), passed.min()) >= 0 else (-high, "PuOr_r")
    figure = new_figure(f"Dropout at rate {rate:g}: every example gets another sub-network", 6.4)
    places = figure.subplots(3, 1, sharex=True)
    captions = (
        "before: the hidden layer's values (the palest is 0)",
        f"the mask: gray is dropped, {part:.0f} % of the values that are not 0; white is kept; beige was 0 already",
        f"after: the values kept are {1 / (1 - rate):.3g} times as large",
    )
    pictures = (values, np.where(silent, np.nan, dropped * 0.5), passed)
    for axes, picture, caption in zip(places, pictures, captions, strict=True):
        axes.grid(False)
        if axes is places[1]:
            axes.imshow(picture, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            axes.set_facecolor("#F4EBD9")
        else:
            image = axes.imshow(picture, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
            figure.colorbar(image, ax=axes, label="value", pad=0.01)
        axes.set_title(caption)
        axes.set_ylabel("example")
    places[-1].set_xlabel("neuron")
    return figure


@matplotlib.rc_context(STYLE)
def margins(
    scores: ArrayLike, labels: Sequence[int], classes: Sequence[str], captions: Sequence[str], margin: float = 1.0
) -> Figure:
    """The scores of each example as bars, with the terms of the SVM loss hatched."""
    s = np.asarray(scores, np.float64)
    if s.ndim != 2 or not 1 <= len(s) <= 5 or s.shape[1] != len(classes) or not len(labels) == len(captions) == len(s):
        raise ValueError(
            f"scores have shape {s.shape}, expected [N, {len(classes)}] with N up to 5, with N labels and captions"
        )
    classes = [literal(name, 24) for name in classes]
    figure = new_figure("SVM loss: what comes within the margin of the right score, or above it", 4.6)
    panels = row_of_axes(figure, len(s), sharey=True)
    for axes, row, label, caption in zip(panels, s, labels, captions, strict=True):
        line = row[label] - margin
        terms = np.maximum(0, row - line)
        terms[label] = 0
        colors = [GREEN if c == label else SKY for c in range(len(row))]
        axes.bar(range(len(row)), row, color=colors, width=0.6)
        over = np.flatnonzero(terms)
        look = {"color": "none", "edgecolor": VERMILION, "hatch": "///", "width": 0.6}
        axes.bar(over, terms[over], bottom=(row - terms)[over], **look)
        axes.axhline(line, color=BLACK, linestyle="--", linewidth=1)
        axes.axhline(0, color=GRAY, linewidth=0.8)
        for c, score in enumerate(row):
            text = f"{score:g}" + (f"\n(loss {terms[c]:.3g})" if terms[c] > 0 else "")
            top = max(score, row[c] - terms[c], 0)
            axes.text(c, top + 0.15, text, ha="center", va="bottom", fontsize=9)
        axes.set_xticks(
            range(len(row)),
            [f"{name}{' ✓' if c == label else ''}" for c, name in enumerate(classes)],
        )
        axes.set_title(caption)
        axes.grid(False)
    low, high = panels[0].get_ylim()
    low = min(low, min(row[label] - margin for row, label in zip(s, labels, strict=True)) - 0.05 * (high - low))
    panels[0].set_ylim(low, high + 0.18 * (high - low))
    panels[0].set_ylabel("score")
    figure.supxlabel(
        "green: the right class; dashed: the right score less the margin; hatched: a wrong score's part of the loss",
        fontsize=9,
    )
    return figure


@matplotlib.rc_context(STYLE)
def softmax_steps(scores: ArrayLike, label: int, classes: Sequence[str]) -> Figure:
    """The softmax loss step by step, as bars: scores, exponentials, probabilities, negative logarithms."""
    s = np.asarray(scores, np.float64)
    if s.shape != (len(classes),) or not 0 <= label < len(classes):
        raise ValueError(f"scores have shape {s.shape} and label is {label}, expected [{len(classes)}] and one of them")
    exponentials = np.exp(s)
    p = exponentials / exponentials.sum()
    steps = (
        ("scores s", s, "{:.4g}"),
        ("exp(s)", exponentials, "{:.4g}"),
        ("probability: exp(s) / sum", p, "{:.3f}"),
        ("-log(probability)", -np.log(p), "{:.3f}"),
    )
    classes = [literal(name, 24) for name in classes]
    title = f"Softmax loss of a {classes[label]}: -log {p[label]:.3f} = {-np.log(p[label]):.3f}"
    figure = new_figure(title, 3.6)
    for axes, (name, values, form) in zip(figure.subplots(1, 4), steps, strict=True):
        colors = [GREEN if c == label else SKY for c in range(len(s))]
        bars = axes.bar(range(len(s)), values, color=colors, width=0.6)
        if name.startswith("-log"):
            for c, bar in enumerate(bars):
                bar.set_alpha(1.0 if c == label else 0.3)
        axes.bar_label(bars, [form.format(v) for v in values], padding=3, fontsize=9)
        axes.axhline(0, color=GRAY, linewidth=0.8)
        axes.margins(y=0.18)
        axes.set_xticks(range(len(s)), classes)
        axes.set_title(name)
        axes.grid(False)
    figure.supxlabel(f"green: the right class, {classes[label]}; its last bar is the loss", fontsize=9)
    return figure
