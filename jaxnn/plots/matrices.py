"""Matrices drawn cell by cell, with their numbers, as an equation."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from jaxnn.plots.style import GRAY, STYLE, new_figure

__all__ = ["Matrix", "equation"]


class Matrix(NamedTuple):
    """One matrix of an equation."""

    name: str
    """Written above."""
    values: ArrayLike
    """[rows, columns], or [n] for a column."""
    rows: Sequence[str] = ()
    """Names written at the left of the rows."""
    note: str = ""
    """Written below."""
    cmap: str = "RdBu_r"
    """The default is for signed numbers, white at zero; "gray" runs from the smallest to the largest value."""


@matplotlib.rc_context(STYLE)
def equation(parts: Sequence[Matrix | str], title: str) -> Figure:
    """Matrices beside each other with the signs between them: W . x + b = scores.

    Each cell holds its number and is colored by it, on a scale of its matrix's own.

    Args:
        parts: matrices, and signs such as "=", in their order.
        title: what is seen.

    Returns:
        A figure.

    Raises:
        ValueError: there is no matrix, a matrix is empty or has three axes, or the number of row names is wrong.

    Example:
        >>> from jaxnn.plots.matrices import Matrix, equation
        >>> w, x = np.array([[0.2, -0.5], [1.5, 1.3]]), np.array([56.0, 231.0])
        >>> figure = equation([Matrix("W", w), "·", Matrix("x", x), "=", Matrix("scores", w @ x)], "The score function")
        >>> figure.get_suptitle()
        'The score function'
    """
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
