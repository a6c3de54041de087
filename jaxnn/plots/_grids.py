"""Grids of numbers: heat maps, confusion matrices, matrix equations."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from jaxnn.plots._axes import count_of
from jaxnn.plots._style import GRAY, STYLE, VERMILION, literal, new_figure

__all__ = ["Matrix", "confusion", "equation", "heat_map"]


@matplotlib.rc_context(STYLE)
def heat_map(
    values: ArrayLike,
    rows: tuple[str, Sequence[float]],
    columns: tuple[str, Sequence[float]],
    metric: str,
    best: tuple[int, int] | None = None,
) -> Figure:
    """A metric for every pair of values of two settings, as colors and numbers.

    Args:
        values: f[R, C]; non-finite ones (runs that diverged) are white and labeled.
        rows: the name of the setting of the rows and its R values.
        columns: the name of the setting of the columns and its C values.
        metric: its name, with the unit.
        best: (row, column) to frame.

    Returns: a figure.

    Example:
        >>> accuracy, penalties, rates = [[91.2, 95.0], [93.1, np.nan]], [0, 1e-3], [0.1, 1.0]
        >>> figure = plots.heat_map(accuracy, ("l2", penalties), ("learning rate", rates), "accuracy (%)", best=(0, 1))
        >>> figure.get_suptitle()
        'accuracy (%) by l2 and learning rate'
    """
    v = np.asarray(values, np.float64)
    if v.shape != (len(rows[1]), len(columns[1])) or v.size == 0:
        raise ValueError(f"values have shape {v.shape}, expected {(len(rows[1]), len(columns[1]))} as named")
    figure = new_figure(f"{metric} by {rows[0]} and {columns[0]}", min(9.0, 2.0 + 0.55 * len(v)))
    axes = figure.add_subplot()
    axes.grid(False)
    shown = np.ma.masked_invalid(v)
    image = axes.imshow(shown, cmap="viridis", aspect="auto", interpolation="nearest")
    figure.colorbar(image, ax=axes).set_label(metric)
    axes.set_xticks(range(v.shape[1]), [f"{value:.3g}" for value in columns[1]])
    axes.set_yticks(range(v.shape[0]), [f"{value:.3g}" for value in rows[1]])
    axes.set(xlabel=columns[0], ylabel=rows[0])
    low, high = (float(shown.min()), float(shown.max())) if shown.count() else (0.0, 1.0)
    if v.shape[1] <= 14:
        for (i, j), value in np.ndenumerate(v):
            dark = np.isfinite(value) and value < low + 0.6 * (high - low)
            text = f"{value:.3g}" if np.isfinite(value) else "diverged"
            axes.text(j, i, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    if best is not None:
        place = (best[1] - 0.5, best[0] - 0.5)
        axes.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor=VERMILION, linewidth=3))
    return figure


@matplotlib.rc_context(STYLE)
def confusion(counts: ArrayLike, names: Sequence[str]) -> Figure:
    """The confusion matrix, colored by the fraction of each true class on a square-root scale.

    Up to 12 classes every cell has its percentage and count, up to 25 its percentage; with more the axes name as many
    classes as there is room for.

    Args:
        counts: int[C, C], rows the true class, columns the predicted.
        names: C class names.

    Returns: a figure.

    Example:
        >>> figure = plots.confusion(np.array([[8, 2], [1, 9]]), ["cat", "dog"])
        >>> figure.get_suptitle()
        'Confusion matrix: 17 of 20 right (85.0 %)'
    """
    n = np.asarray(counts)
    if not np.issubdtype(n.dtype, np.integer):
        raise TypeError(f"counts are {n.dtype}, expected integers, not fractions")
    if n.ndim != 2 or n.shape[0] != n.shape[1] or n.size == 0 or (n < 0).any():
        raise ValueError(f"counts have shape {n.shape} and minimum {n.min(initial=0)}, expected [C, C] of at least 0")
    classes = len(n)
    if len(names) != classes:
        raise ValueError(f"names has {len(names)} entries, expected {classes}, one for each class")
    names = [literal(name, 30) for name in names]
    total, right = int(n.sum()), int(np.trace(n))
    of_class = n.sum(axis=1, keepdims=True)
    fraction = n / np.maximum(of_class, 1)

    title = f"Confusion matrix: {right:,} of {total:,} right" + (f" ({100 * right / total:.1f} %)" if total else "")
    figure = new_figure(title, 8.6 if classes <= 25 else 9.1)
    axes = figure.add_subplot()
    axes.grid(False)
    image = axes.imshow(fraction, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    bar.set_label("share of the true class (square-root scale)")
    wrong = np.where(np.eye(classes, dtype=bool), 0, fraction)
    if (most := wrong.max()) > 0:
        ties = np.argwhere(wrong == most).tolist()
        pairs = "; ".join(f"{names[i]} taken for {names[j]}" for i, j in ties[:3])
        more = f"; and {count_of(len(ties) - 3, 'more pair')}" if len(ties) > 3 else ""
        of = f"of {names[ties[0][0]]}" if len(ties) == 1 else "of the class each"
        axes.set_title(textwrap.fill(f"most often confused: {pairs}{more}, {100 * most:.0f} % {of}", 100))
    step = -(-classes // 50)
    size = 10 if classes <= 12 else 8 if classes <= 25 else 6.5
    ticks = range(0, classes, step)
    room = 70 // min(classes, 25)  # characters beside each other in a column
    turn = 0 if max(map(len, names)) <= room else 45 if classes <= 25 else 90
    axes.set_xticks(ticks, [names[i] for i in ticks], rotation=turn, fontsize=size)
    for label in axes.get_xticklabels() if turn == 45 else ():
        label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [names[i] for i in ticks], fontsize=size)
    note = f" (1 in {step} named)" if step > 1 else ""
    axes.set(xlabel=f"predicted class{note}", ylabel=f"true class{note}")
    if classes <= 25:
        for i, j in np.argwhere(n > 0):
            text = f"{100 * fraction[i, j]:.0f} %\n{n[i, j]:,}" if classes <= 12 else f"{100 * fraction[i, j]:.0f}"
            color = "white" if fraction[i, j] > 0.4 else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=9 if classes <= 12 else 8, color=color)
    return figure


class Matrix(NamedTuple):
    """One matrix of an equation."""

    name: str
    """Above the matrix."""
    values: ArrayLike
    """[rows, columns], or [n] for a column."""
    rows: Sequence[str] = ()
    """Names at the left of the rows."""
    note: str = ""
    """Below the matrix."""
    cmap: str = "RdBu_r"
    """By default for signed numbers, white at zero; "gray" runs from the smallest to the largest value."""


@matplotlib.rc_context(STYLE)
def equation(parts: Sequence[Matrix | str], title: str) -> Figure:
    """An equation of matrices, such as W . x + b = scores, with the number in every cell, colored by it."""
    arrays = [None if isinstance(part, str) else _as_matrix(part) for part in parts]
    tallest = max((len(a) for a in arrays if a is not None), default=0)
    if not tallest:
        raise ValueError(f"parts are {list(parts)!r}, expected at least one Matrix")
    width, places = 0.0, []
    for part, array in zip(parts, arrays, strict=True):
        names = () if isinstance(part, str) else part.rows
        width += 0.12 * max((len(name) for name in names), default=0)
        places.append(width)
        width += 0.7 if array is None else array.shape[1] + 0.3
    inch = 9.6 / width  # one cell
    figure = new_figure(title, min(8.0, inch * (tallest + 1.5) * 0.8 + 0.6))
    axes = figure.add_subplot()
    axes.set(xlim=(-0.1, width), ylim=(-tallest / 2 - 0.8, tallest / 2 + 0.6))
    axes.axis("off")
    size = float(np.clip(inch * 17, 7, 15))
    for left, part, array in zip(places, parts, arrays, strict=True):
        if isinstance(part, str):
            axes.text(left + 0.2, 0, part, ha="center", va="center", fontsize=1.4 * size)
        elif array is not None:
            _draw(axes, left, part, array, size)
    return figure


def _as_matrix(part: Matrix) -> np.ndarray:
    array = np.asarray(part.values, np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{part.name} has shape {array.shape}, expected [rows, columns] or [n], not empty")
    if part.rows and len(part.rows) != len(array):
        raise ValueError(f"{part.name} has {len(part.rows)} row names, expected {len(array)}")
    return array


def _draw(axes: Axes, left: float, part: Matrix, array: np.ndarray, size: float) -> None:
    rows, columns = array.shape
    top = rows / 2
    if part.cmap == "gray":
        norm = Normalize(array.min(), array.max() if array.max() > array.min() else array.min() + 1)
    else:
        largest = np.abs(array).max() or 1.0
        norm = Normalize(-1.6 * largest, 1.6 * largest)  # pale enough for black numbers
    cmap = matplotlib.colormaps[part.cmap]
    for i in range(rows):
        if part.rows:
            axes.text(left - 0.08, top - i - 0.5, part.rows[i], ha="right", va="center", fontsize=0.8 * size)
        for j in range(columns):
            color = cmap(norm(array[i, j]))
            axes.add_patch(Rectangle((left + j, top - i - 1), 1, 1, facecolor=color, edgecolor=GRAY, linewidth=0.6))
            ink = "black" if np.dot(color[:3], [0.299, 0.587, 0.114]) > 0.5 else "white"
            axes.text(
                left + j + 0.5, top - i - 0.5, f"{array[i, j]:.4g}", ha="center", va="center", color=ink, size=size
            )
    middle = left + columns / 2
    axes.text(middle, top + 0.12, part.name, ha="center", va="bottom", fontsize=0.95 * size, fontweight="bold")
    if part.note:
        axes.text(middle, -top - 0.12, part.note, ha="center", va="top", fontsize=0.75 * size, color=GRAY)
