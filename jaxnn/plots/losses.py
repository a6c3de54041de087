"""Losses in pictures: margins, the way from scores to a softmax loss, and named curves."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from jaxnn.plots.style import BLACK, BLUE, GRAY, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, label_decades, new_figure

__all__ = ["curves", "margins", "softmax_steps"]

COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":")


@matplotlib.rc_context(STYLE)
def margins(
    scores: ArrayLike, labels: Sequence[int], classes: Sequence[str], captions: Sequence[str], margin: float = 1.0
) -> Figure:
    """The scores of each example as bars, and what of them is too high for the SVM loss.

    The dashed line is the score of the right class less the margin: what of a wrong class's bar is above it, hatched,
    is its part of the loss.

    Args:
        scores: f32[N, C], up to five examples.
        labels: N right classes.
        classes: C names.
        captions: N texts.
        margin: the lead that the right class must have.

    Returns:
        A figure.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> from jaxnn.plots.losses import margins
        >>> scores = [[3.2, 5.1, -1.7], [1.3, 4.9, 2.0]]
        >>> figure = margins(scores, [0, 1], ["cat", "car", "frog"], ["a cat", "a car"])
        >>> figure.get_suptitle()
        'SVM loss: what comes within the margin of the right score, or above it'
    """
    s = np.asarray(scores, np.float64)
    if s.ndim != 2 or not 1 <= len(s) <= 5 or s.shape[1] != len(classes) or not len(labels) == len(captions) == len(s):
        raise ValueError(
            f"scores have shape {s.shape}, expected [N, {len(classes)}] with N up to 5, with N labels and captions"
        )
    figure = new_figure("SVM loss: what comes within the margin of the right score, or above it", 4.6)
    panels = figure.subplots(1, len(s), sharey=True, squeeze=False)[0]
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
        axes.set_xticks(range(len(row)), [f"{name}{' ✓' if c == label else ''}" for c, name in enumerate(classes)])
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
    """From scores over exponentials and probabilities to the softmax loss, each step as bars with its numbers.

    Args:
        scores: f32[C].
        label: the right class.
        classes: C names.

    Returns:
        A figure.

    Raises:
        ValueError: the shapes do not fit together, or label is not a class.

    Example:
        >>> from jaxnn.plots.losses import softmax_steps
        >>> figure = softmax_steps([3.2, 5.1, -1.7], 0, ["cat", "car", "frog"])
        >>> len(figure.axes)
        4
    """
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


def _columns(names: Sequence[str], most: int = 4, room: int = 100) -> int:
    """Of a legend that is filled column by column: as many as fit beside each other, counted in letters."""
    for count in range(most, 1, -1):
        rows = math.ceil(len(names) / count)
        if sum(max(len(name) for name in names[i : i + rows]) + 8 for i in range(0, len(names), rows)) <= room:
            return count
    return 1


@matplotlib.rc_context(STYLE)
def curves(
    x: ArrayLike,
    lines: Mapping[str, ArrayLike],
    title: str,
    labels: tuple[str, str],
    *,
    log: tuple[bool, bool] = (False, False),
    marks: Mapping[str, float] | None = None,
    points: Mapping[str, ArrayLike] | None = None,
    height: float = 4.2,
) -> Figure:
    """Named curves over one axis, told apart by color and dash; values that are not finite are marked at the top.

    Args:
        x: f32[n].
        lines: f32[n] for each curve, by its name.
        title: what is seen.
        labels: of the two axes, with units.
        log: whether each axis is logarithmic.
        marks: places on the x axis to mark with a vertical line, by their text.
        points: f32[n] for sets of markers without a line, by their name.
        height: in inches.

    Returns:
        A figure.

    Raises:
        ValueError: a curve has another length than x.

    Example:
        >>> from jaxnn.plots.losses import curves
        >>> p = np.linspace(0.01, 1, 50)
        >>> figure = curves(p, {"softmax": -np.log(p)}, "The loss of a probability", ("probability", "loss"))
        >>> figure.axes[0].get_xlabel()
        'probability'
    """
    x = np.asarray(x, np.float64)
    for name, values in {**lines, **(points or {})}.items():
        if np.shape(values) != x.shape or x.ndim != 1:
            raise ValueError(f"{name!r} has shape {np.shape(values)}, expected {x.shape}, one axis, as x")
    figure = new_figure(title, height)
    axes = figure.add_subplot()
    if log[0]:
        axes.set_xscale("log")
    if log[1]:
        axes.set_yscale("log")
    for axis in [axis for axis, logarithmic in zip((axes.xaxis, axes.yaxis), log, strict=True) if logarithmic]:
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    for i, (name, values) in enumerate(lines.items()):
        y = np.asarray(values, np.float64)
        color = COLORS[i % len(COLORS)]
        axes.plot(x, np.where(np.isfinite(y), y, np.nan), DASHES[i % 4], color=color, label=name)
        if not np.isfinite(y).all():
            bad = x[~np.isfinite(y)]
            axes.plot(bad, np.ones(len(bad)), "x", color=color, transform=axes.get_xaxis_transform(), clip_on=False)
    for i, (name, values) in enumerate((points or {}).items()):
        marker = "os^Dv"[i % 5]
        axes.plot(x, values, marker, color=COLORS[i % len(COLORS)], label=name, markerfacecolor="none", markersize=7)
    for text, place in (marks or {}).items():
        axes.axvline(place, color=GRAY, linewidth=1, linestyle=":")
        axes.annotate(
            text,
            (place, 0.98),
            xycoords=axes.get_xaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="top",
            fontsize=9,
            color=GRAY,
        )
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.margins(x=0.01 if not points else 0.05)
    if log[1]:
        label_decades(axes.yaxis)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=_columns([*lines, *(points or {})]))
    return figure
