"""A computation as stages: what comes out of each, its shape and its values."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from jaxnn.plots.style import BLUE, GRAY, GREEN, STYLE, VERMILION, WIDTH, new_figure

__all__ = ["Stage", "pipeline"]


class Stage(NamedTuple):
    """One stage."""

    name: str
    """What it is, such as "scores"."""
    formula: str
    """How it is made."""
    values: ArrayLike
    """An image [H, W, C] of uint8, or numbers of any shape."""
    highlight: int | None = None
    """The place of one value to draw in another color, such as the right class."""
    joined: str = "→"
    """What stands between the stage before and this one."""


@matplotlib.rc_context(STYLE)
def pipeline(stages: Sequence[Stage], title: str, columns: int = 5) -> Figure:
    """Stages in reading order, joined by signs, each with its shape and type, a picture of its values, and numbers.

    Images are shown; up to 12 numbers are bars with their values, more are colors (red above zero, blue below) with
    the range written below; a single number is written large.

    Args:
        stages: in their order.
        title: what is seen.
        columns: how many stand beside each other.

    Returns:
        A figure.

    Raises:
        ValueError: there is no stage, or one is empty.

    Example:
        >>> from jaxnn.plots.pipeline import Stage, pipeline
        >>> scores = np.array([3.2, 5.1, -1.7])
        >>> stages = [Stage("scores", "W x + b", scores, highlight=0), Stage("loss", "sum of margins", 2.9)]
        >>> figure = pipeline(stages, "From scores to the loss")
        >>> figure.get_suptitle()
        'From scores to the loss'
    """
    if not stages or columns < 1:
        raise ValueError(f"pipeline: expected at least one stage and one column, got {len(stages)} and {columns}")
    rows = math.ceil(len(stages) / columns)
    height = 0.5 + 3.0 * rows
    figure = new_figure(title, height)
    figure.set_layout_engine("none")
    width = WIDTH / columns
    for i, stage in enumerate(stages):
        row, column = divmod(i, columns)
        left, top = column * width, height - 0.5 - 3.0 * row
        array = np.asarray(stage.values)
        if array.size == 0:
            raise ValueError(f"pipeline: stage {stage.name!r} is empty, shape {array.shape}")
        x, y = (left + 0.27) / WIDTH, (top - 2.8) / height
        box = Rectangle((x, y), (width - 0.34) / WIDTH, 2.75 / height, facecolor="none", edgecolor=GRAY, linewidth=0.8)
        figure.add_artist(box)
        middle = (left + 0.27 + (width - 0.34) / 2) / WIDTH
        shape = "one number" if array.ndim == 0 else " x ".join(map(str, array.shape))
        figure.text(middle, (top - 0.27) / height, stage.name, ha="center", fontsize=11, fontweight="bold")
        figure.text(middle, (top - 0.5) / height, f"{shape}, {array.dtype}", ha="center", fontsize=9, color=GRAY)
        figure.text(middle, (top - 0.74) / height, stage.formula, ha="center", fontsize=8.5)
        axes = figure.add_axes(
            ((left + 0.42) / WIDTH, (top - 2.4) / height, (width - 0.64) / WIDTH, 1.5 / height),
        )
        note = _picture(axes, array, stage.highlight)
        figure.text(middle, (top - 2.69) / height, note, ha="center", fontsize=8.5, color=GRAY)
        if i > 0:
            place = ((left + 0.12) / WIDTH, (top - 1.55) / height)
            figure.text(*place, stage.joined, ha="center", va="center", fontsize=15, fontweight="bold")
    return figure


def _picture(axes: Axes, array: np.ndarray, highlight: int | None) -> str:
    """Draws the values and returns a note on them."""
    axes.grid(False)
    if array.ndim == 3 and array.dtype == np.uint8:
        axes.set_axis_off()
        axes.imshow(array if array.shape[-1] == 3 else array[..., 0], cmap="gray", interpolation="nearest")
        return f"{array.min()} to {array.max()}"
    values = array.astype(np.float64)
    if array.ndim == 0:
        axes.set_axis_off()
        axes.text(0.5, 0.5, f"{float(values):.4f}", ha="center", va="center", fontsize=18, color=VERMILION)
        return ""
    flat = values.ravel()
    if flat.size <= 12:
        colors = [GREEN if i == highlight else BLUE for i in range(flat.size)]
        bars = axes.barh(range(flat.size), flat, color=colors, height=0.7)
        axes.bar_label(bars, [f"{value:.2f}" for value in flat], padding=2, fontsize=7)
        axes.axvline(0, color=GRAY, linewidth=0.8)
        axes.set_xticks([])
        axes.set_yticks(range(flat.size), [f"{i}" for i in range(flat.size)], fontsize=7)
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.invert_yaxis()
        axes.margins(x=0.36)
        return "green: the right class" if highlight is not None else ""
    strip = values if values.ndim == 2 else _folded(flat)
    limit = np.nanmax(np.abs(strip)) or 1.0
    axes.imshow(strip, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    return f"{flat.min():.2f} to {flat.max():.2f}, mean {flat.mean():.2f}"


def _folded(flat: np.ndarray) -> np.ndarray:
    """A long vector in rows, as near to a square as its length allows; what is missing at the end is nan."""
    side = math.ceil(math.sqrt(flat.size))
    return np.concatenate([flat, np.full(-flat.size % side, np.nan)]).reshape(-1, side)
