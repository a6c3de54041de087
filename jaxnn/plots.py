"""Figures: arrays in, a `matplotlib.figure.Figure` out. Nothing is shown, and no global state is kept or changed.

Colors are those of Okabe & Ito (2008), which stay apart for color-blind readers. Figures are laid out to be read at
1000 pixels across, the width at which `save` writes them.
"""

import io
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import ArrayLike

_WIDTH, _PIXELS = 10.0, 1000  # inches and pixels across: one point of type is 1.4 pixels
_BLACK, _ORANGE, _SKY, _GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
_BLUE, _VERMILION, _PURPLE, _GRAY = "#0072B2", "#D55E00", "#CC79A7", "#777777"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "figure.facecolor": "white",
    "svg.hashsalt": "jaxnn",
}


@matplotlib.rc_context(_STYLE)
def learning_curves(history: Mapping[str, ArrayLike], best_epoch: int | None = None) -> Figure:
    """Loss, accuracy, norms and learning rate over the epochs, with the gap between training and validation.

    Args:
        history: one value for each epoch under any of the keys `loss`, `accuracy` (over the training steps, as
            trained, with dropout and augmentation), `train_loss`, `train_accuracy`, `validation_loss`,
            `validation_accuracy` (in evaluation mode), `penalty`, `learning_rate`, `gradient_norm`, `parameter_norm`,
            `update_norm`. What is missing is left out; other keys are ignored. Accuracies are shares, 0 to 1.
        best_epoch: an epoch to mark, counted from 1 as on the axis.

    Returns:
        A figure. The gap is between validation and evaluated training, or training as trained where that is missing.

    Raises:
        ValueError: there is no loss, the arrays are not of one length, or best_epoch is not one of the epochs.
    """
    kinds = ("", "train_", "validation_")
    names = {
        "loss": [f"{kind}loss" for kind in kinds],
        "accuracy": [f"{kind}accuracy" for kind in kinds],
        "norms": ["gradient_norm", "parameter_norm", "update_norm"],
        "learning rate": ["learning_rate"],
        "penalty": ["penalty"],
    }
    known = [key for keys in names.values() for key in keys]
    curves = {key: np.asarray(history[key], np.float64) for key in known if key in history}
    if not curves.keys() & set(names["loss"]):
        raise ValueError(f"history has the keys {sorted(history)}, expected at least one of {names['loss']}")
    shapes = {key: values.shape for key, values in curves.items()}
    epochs = next(iter(curves.values())).size
    if set(shapes.values()) != {(epochs,)} or epochs == 0:
        raise ValueError(f"history has the shapes {shapes}, expected [epochs] of one length for each, at least 1")
    if best_epoch is not None and not 1 <= best_epoch <= epochs:
        raise ValueError(f"best_epoch is {best_epoch}, expected 1 to {epochs}: epochs count from 1")

    drawn = {name: [key for key in keys if key in curves] for name, keys in names.items()}
    top = [name for name in ("loss", "accuracy") if drawn[name]]
    bottom = [name for name in ("norms", "learning rate", "penalty") if drawn[name]]
    height = 7.8 if bottom else 5.0
    figure = _figure(f"Learning curves over {_count(epochs, 'epoch')}\n", height)  # a second line for the legend
    grid = figure.add_gridspec(2 if bottom else 1, 4, height_ratios=[5, 3] if bottom else None)
    for row, panels in enumerate((top, bottom)):
        edges = {1: (0, 4), 2: (0, 2, 4), 3: (0, 2, 3, 4)}.get(len(panels), ())
        for name, left, right in zip(panels, edges[:-1], edges[1:], strict=True):
            axes = figure.add_subplot(grid[row, left:right])
            panel = {key: curves[key] for key in drawn[name]}
            if row == 0:
                _progress(axes, name, panel, best_epoch)
            else:
                _log_panel(axes, name, panel)
    seen = {}
    for axes in figure.axes[: len(top)]:
        handles, labels = axes.get_legend_handles_labels()
        seen.update(zip(labels, handles, strict=True))
    figure.legend(seen.values(), seen.keys(), loc="upper left", bbox_to_anchor=(0, 1 - 0.25 / height), ncols=5)
    return figure


def _progress(axes: Axes, name: str, panel: Mapping[str, np.ndarray], best_epoch: int | None) -> None:
    """Curves of training and validation, their gap shaded, its last size written beside its last place."""
    scale = 100.0 if name == "accuracy" else 1.0
    looks = {
        name: ("training, as trained", _SKY, "--"),
        f"train_{name}": ("training, evaluated", _BLUE, "-"),
        f"validation_{name}": ("validation", _VERMILION, "-"),
    }
    for key, values in panel.items():
        label, color, dash = looks[key]
        _curve(axes, values * scale, label=label, color=color, linestyle=dash)
    train = panel.get(f"train_{name}", panel.get(name))
    validation = panel.get(f"validation_{name}")
    if train is not None and validation is not None:
        low, high = train * scale, validation * scale
        epochs = np.arange(1, len(low) + 1)
        axes.fill_between(epochs, low, high, color=_VERMILION, alpha=0.15, linewidth=0, label="gap")
        both = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
        if both.size:
            last = both[-1]
            gap = high[last] - low[last] if name == "loss" else low[last] - high[last]
            axes.vlines(epochs[last], low[last], high[last], color=_VERMILION, linewidth=1)
            axes.annotate(
                f"gap\n{gap:.3g}" if name == "loss" else f"gap\n{gap:.1f}\npoints",
                (1.0, (low[last] + high[last]) / 2),
                xycoords=axes.get_yaxis_transform(),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                color=_VERMILION,
                annotation_clip=False,
            )
    if best_epoch is not None:
        axes.axvline(best_epoch, color=_GRAY, linestyle=":", label=f"best epoch, {best_epoch}")
    axes.set_title("Loss, mean over examples" if name == "loss" else "Accuracy")
    axes.set_ylabel("loss" if name == "loss" else "accuracy (%)")


def _log_panel(axes: Axes, name: str, panel: Mapping[str, np.ndarray]) -> None:
    """Curves on a log scale, which cannot show zero; the last values are written out."""
    colors = {"gradient_norm": _ORANGE, "parameter_norm": _GREEN, "update_norm": _PURPLE}
    titles = {"norms": "l2 norms, and their last values", "learning rate": "Learning rate", "penalty": "Penalty"}
    several, title = len(panel) > 1, titles[name]
    positive = np.concatenate([values[values > 0] for values in panel.values()])
    for key, values in panel.items():
        label = f"{key.split('_')[0]} {values[-1]:.2g}"
        shown = np.where(values > 0, values, np.nan) if positive.size else values
        _curve(axes, shown, label=label, color=colors.get(key, _BLACK))
        title = title if several else f"{title}\nlast {values[-1]:.3g}"
    if positive.size:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        if positive.max() < 10 * positive.min():  # less than a decade: make room for a labeled power of ten
            axes.set_ylim(positive.min() / 4, positive.max() * 4)
    axes.set_title(title, pad=22 if several else 6)
    axes.set_ylabel("norm" if several else name)
    if several:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 0.97), ncols=3, columnspacing=0.8, handlelength=1.0)


def _curve(axes: Axes, values: np.ndarray, **look: Any) -> None:
    epochs = len(values)
    axes.plot(np.arange(1, epochs + 1), values, marker="o" if epochs <= 20 else "", **look)
    margin = 0.03 * epochs
    axes.set_xlim(1 - margin if epochs <= 20 else 1, epochs + margin)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")


@matplotlib.rc_context(_STYLE)
def templates(weights: ArrayLike, names: Sequence[str] | None = None, limit: int = 64) -> Figure:
    """Weights as images: the class templates of a linear classifier, or what the first layer looks for.

    Each template is divided by its own largest absolute weight, so zero is always the middle: white in the
    red-to-blue map of one channel; gray in color, `0.5 + 0.5 * w / max |w|`.

    Args:
        weights: `f32[K, H, W, C]`, C 1 or 3.
        names: K captions; the index of the template if None.
        limit: how many are drawn; of more than that, those of largest l2 norm, largest first.

    Returns:
        A figure.

    Raises:
        ValueError: weights have another shape or are not finite, the number of names is not K, or limit is below 1.
    """
    w = np.asarray(weights, np.float64)
    if w.ndim != 4 or 0 in w.shape or w.shape[-1] not in (1, 3):
        raise ValueError(
            f"weights have shape {w.shape}, expected [K, H, W, C] with 1 or 3 channels; "
            "reshape rows of W[K, H * W * C] to images first"
        )
    if not np.isfinite(w).all():
        raise ValueError("weights hold nan or infinity, expected finite numbers: training has diverged")
    count = len(w)
    if names is not None and len(names) != count:
        raise ValueError(f"names has {len(names)} entries, expected {count}, one for each template")
    if limit < 1:
        raise ValueError(f"limit is {limit}, expected at least 1")
    order = np.arange(count)
    title = f"Weights as images: {_count(count, 'template')}"
    if count > limit:
        order = np.argsort(-np.sqrt(np.square(w).sum(axis=(1, 2, 3))), kind="stable")[:limit]
        title = f"Weights as images: {limit} of {count} shown, largest norm first"
    columns = min(8, max(5, len(order))) if len(order) > 10 else 5
    figure, grid = _image_grid(title, len(order), columns, caption=1, footer=0.4 if w.shape[-1] == 3 else 0.8)
    shown = None
    for axes, index in zip(grid, order.tolist(), strict=False):
        scaled = w[index] / (np.abs(w[index]).max() or 1.0)
        if w.shape[-1] == 1:
            shown = axes.imshow(scaled[..., 0], cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        else:
            axes.imshow(0.5 + 0.5 * scaled, interpolation="nearest")
        axes.set_title(names[index] if names is not None else f"{index}", fontsize=9, loc="center", pad=3)
    if shown is not None:
        bar = figure.colorbar(shown, ax=grid, orientation="horizontal", fraction=0.03, aspect=60, ticks=[-1, 0, 1])
        bar.set_label("weight, in units of the largest absolute weight of its template")
    else:
        figure.supxlabel("gray is a weight of 0; each template is scaled to its largest absolute weight", fontsize=10)
    return figure


@matplotlib.rc_context(_STYLE)
def confusion(counts: ArrayLike, names: Sequence[str]) -> Figure:
    """Which class is taken for which: a matrix of counts, colored by the share of each true class.

    Up to 12 classes every cell says its share and count, up to 25 its share; beyond that color alone speaks, on a
    square-root scale that shows a few percent, and the axes name as many classes as there is room for.

    Args:
        counts: int `[C, C]`, rows the true class, columns the predicted.
        names: C class names.

    Returns:
        A figure.

    Raises:
        TypeError: counts are not integers.
        ValueError: counts are not square or negative, or the number of names is not C.
    """
    n = np.asarray(counts)
    if not np.issubdtype(n.dtype, np.integer):
        raise TypeError(f"counts are {n.dtype}, expected integers, not shares")
    if n.ndim != 2 or n.shape[0] != n.shape[1] or n.size == 0 or (n < 0).any():
        raise ValueError(f"counts have shape {n.shape} and minimum {n.min(initial=0)}, expected [C, C] of at least 0")
    classes = len(n)
    if len(names) != classes:
        raise ValueError(f"names has {len(names)} entries, expected {classes}, one for each class")
    total, right = int(n.sum()), int(np.trace(n))
    of_class = n.sum(axis=1, keepdims=True)
    share = n / np.maximum(of_class, 1)

    title = f"Confusion matrix: {right:,} of {total:,} right" + (f" ({100 * right / total:.1f} %)" if total else "")
    figure = _figure(title, 8.6 if classes <= 25 else 9.1)
    axes = figure.add_subplot()
    axes.grid(False)
    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    bar.set_label("share of the true class (square-root scale)")
    wrong = np.where(np.eye(classes, dtype=bool), -1, share)
    row, column = divmod(int(wrong.argmax()), classes)
    if wrong[row, column] > 0:
        axes.set_title(
            f"most often confused: {names[row]} taken for {names[column]}, "
            f"{100 * share[row, column]:.0f} % of {names[row]}"
        )
    step = -(-classes // 50)
    size = 10 if classes <= 12 else 8 if classes <= 25 else 6.5
    ticks = range(0, classes, step)
    axes.set_xticks(ticks, [names[i] for i in ticks], rotation=45 if classes <= 25 else 90, fontsize=size)
    for label in axes.get_xticklabels() if classes <= 25 else ():
        label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [names[i] for i in ticks], fontsize=size)
    note = f" (1 in {step} named)" if step > 1 else ""
    axes.set_xlabel(f"predicted class{note}")
    axes.set_ylabel(f"true class{note}")
    if classes <= 25:
        for i, j in np.argwhere(n > 0):
            text = f"{100 * share[i, j]:.0f} %\n{n[i, j]:,}" if classes <= 12 else f"{100 * share[i, j]:.0f}"
            color = "white" if share[i, j] > 0.4 else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=9 if classes <= 12 else 8, color=color)
    return figure


@matplotlib.rc_context(_STYLE)
def mistakes(
    images: ArrayLike, labels: ArrayLike, predictions: ArrayLike, probabilities: ArrayLike, names: Sequence[str]
) -> Figure:
    """Images that were taken for another class, each with what it is, what it was taken for, and how surely.

    The gray or color scale runs from 0 (or the smallest value, if negative) to the largest value of all the images
    drawn, whatever their range: 0 to 1, 16 or 255.

    Args:
        images: `[N, H, W, C]` with C 1 or 3, or `[N, H, W]`; any dtype; in the order to be shown. At most 25 are.
        labels: int `[N]`, the true classes.
        predictions: int `[N]`, the classes they were taken for.
        probabilities: `[N]`, 0 to 1, of the predicted classes.
        names: the class names.

    Returns:
        A figure; it says so if there are no mistakes.

    Raises:
        ValueError: the shapes do not fit, a class has no name, or a probability is not one.
    """
    x, true, taken, sure = (np.asarray(values) for values in (images, labels, predictions, probabilities))
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        raise ValueError(f"images have shape {x.shape}, expected [N, H, W, C] with 1 or 3 channels, or [N, H, W]")
    count = len(x)
    for name, values in (("labels", true), ("predictions", taken), ("probabilities", sure)):
        if values.shape != (count,):
            raise ValueError(f"{name} have shape {values.shape}, expected ({count},), one for each image")
    if not count:
        figure = _figure("No mistakes", 2.0)
        figure.text(0.5, 0.4, "Every example was classified correctly.", ha="center", fontsize=12)
        return figure
    classes = np.concatenate([true, taken])
    if classes.min() < 0 or classes.max() >= len(names):
        raise ValueError(
            f"classes run from {classes.min()} to {classes.max()}, expected 0 to {len(names) - 1} as named"
        )
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError(f"probabilities run from {sure.min()} to {sure.max()}, expected 0 to 1")

    shown = min(count, 25)
    title = "Most confident mistakes" + (f": {shown} of {count} shown" if count > shown else f": {count}")
    figure, grid = _image_grid(title, shown, columns=5, caption=2, footer=0.0)
    x = x[:shown].astype(np.float64)
    low = min(0.0, x.min())
    x = (x - low) / ((x.max() - low) or 1.0)
    for axes, image, i, j, p in zip(grid, x, true, taken, sure, strict=False):
        axes.imshow(image if x.shape[-1] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        caption = f"{names[i]} taken for {names[j]}, {100 * p:.0f}\u00a0%"
        axes.set_title(textwrap.fill(caption, 26), fontsize=9, loc="center", pad=3)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write a figure as PNG, 1000 pixels across, and as SVG.

    Each file is written under another name first and then renamed: a reader never sees half of one. The same figure
    makes the same bytes.

    Args:
        figure: what to write.
        path: where, with or without ".png" or ".svg"; the folder is made if needed.

    Returns:
        The paths of the PNG and of the SVG.
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".png", ".svg") else path
    contents = {}
    with matplotlib.rc_context(_STYLE):
        for kind, metadata in (("png", None), ("svg", {"Date": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=_PIXELS / figure.get_figwidth(), metadata=metadata)
            contents[stem.with_name(f"{stem.name}.{kind}")] = buffer.getvalue()
    stem.parent.mkdir(parents=True, exist_ok=True)
    for target, content in contents.items():
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    png, svg = contents
    return png, svg


def _figure(title: str, height: float) -> Figure:
    figure = Figure(figsize=(_WIDTH, height), dpi=_PIXELS / _WIDTH, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def _image_grid(title: str, count: int, columns: int, caption: int, footer: float) -> tuple[Figure, list[Axes]]:
    """Bare axes for images, `count` or more to fill the last row; `caption` lines above each, `footer` inches below."""
    rows = -(-count // columns)
    figure = _figure(title, 0.4 + footer + rows * (_WIDTH / columns + 0.18 * caption))
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid:
        axes.set_axis_off()
    return figure, grid


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
