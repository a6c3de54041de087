"""Images and matrices: what weights look like, which class is taken for which, and where the classifier is wrong."""

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from jaxnn.plots.style import PIXELS, STYLE, WIDTH, count_of, new_figure

__all__ = ["confusion", "mistakes", "templates"]


@matplotlib.rc_context(STYLE)
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

    Example:
        >>> params = models.linear((8, 8, 1), 3).init(jax.random.key(0))
        >>> figure = plots.templates(params[0]["w"].reshape(3, 8, 8, 1), ["cat", "car", "frog"])
        >>> [axes.get_title() for axes in figure.axes if axes.images]
        ['cat', 'car', 'frog']
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
    title = f"Weights as images: {count_of(count, 'template')}"
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
        _caption(axes, names[index] if names is not None else f"{index}")
    if shown is not None:
        height = figure.get_figheight()
        place = figure.add_axes((0.02, 0.55 / height, 0.96, 0.15 / height))
        bar = figure.colorbar(shown, cax=place, orientation="horizontal", ticks=[-1, 0, 1])
        bar.set_label("weight, in units of the largest absolute weight of its template")
    else:
        figure.supxlabel("gray is a weight of 0; each template is scaled to its largest absolute weight", fontsize=10)
    return figure


@matplotlib.rc_context(STYLE)
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

    Example:
        >>> figure = plots.confusion(np.array([[8, 2], [1, 9]]), ["cat", "dog"])
        >>> figure.get_suptitle()
        'Confusion matrix: 17 of 20 right (85.0 %)'
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
    figure = new_figure(title, 8.6 if classes <= 25 else 9.1)
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


@matplotlib.rc_context(STYLE)
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

    Example:
        >>> images = np.zeros((2, 8, 8), np.uint8)
        >>> figure = plots.mistakes(images, [0, 1], [1, 0], [0.98, 0.51], ["cat", "dog"])
        >>> len([axes for axes in figure.axes if axes.images])
        2
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
        figure = new_figure("No mistakes", 2.0)
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
        _caption(axes, textwrap.fill(caption, 26))
    return figure


def _image_grid(title: str, count: int, columns: int, caption: int, footer: float) -> tuple[Figure, list[Axes]]:
    """Bare axes for `count` images; `caption` lines above each, `footer` inches below all.

    The places are computed here: matplotlib's layout engines take seconds for 64 axes.
    """
    side, line, top = WIDTH / columns, 0.18, 0.45  # inches
    height = top + -(-count // columns) * (side + line * caption) + footer
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS / WIDTH)
    figure.suptitle(title, x=0.01, y=1 - 0.1 / height, ha="left", va="top", fontsize=13, fontweight="bold")
    margin = 0.04 * side
    grid = []
    for i in range(count):
        row, column = divmod(i, columns)
        left, bottom = column * side + margin, height - top - (row + 1) * (side + line * caption) + margin
        size = side - 2 * margin
        axes = figure.add_axes((left / WIDTH, bottom / height, size / WIDTH, size / height))
        axes.set_axis_off()
        grid.append(axes)
    return figure, grid


def _caption(axes: Axes, text: str) -> None:
    """A title at a fixed place: left to itself, matplotlib measures all ticks to find one, half of the drawing time."""
    axes.set_title(text, fontsize=9, loc="center", y=1.0, pad=3)
