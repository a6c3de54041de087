"""Fully connected networks drawn as neurons and weights, and computations drawn as stages."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import ArrayLike

from jaxnn.plots._axes import show_image, show_signed
from jaxnn.plots._style import BLUE, GRAY, GREEN, STYLE, VERMILION, WIDTH, new_figure


@matplotlib.rc_context(STYLE)
def network(
    weights: Sequence[ArrayLike],
    neurons: Sequence[ArrayLike],
    layers: Sequence[str],
    title: str,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Figure:
    """A fully connected network: every neuron, and every weight as a line, orange if positive, blue if negative.

    Widths and colors are scaled in each layer: the widest line is its largest weight.

    Args:
        weights: W f[out, in] of each layer.
        neurons: for the inputs and each layer the values f[n] for one example, drawn as circles, or f[n, G, G] over a
            square of the plane (row 0 at the bottom), drawn as maps.
        layers: captions of the inputs and of each layer.
        title: of the figure.
        names: of the inputs and of the last layer's neurons.

    Returns: a figure.

    Example:
        >>> w1, w2, x = np.ones((3, 2)), -np.ones((2, 3)), np.array([1.0, 2.0])
        >>> figure = plots.network([w1, w2], [x, w1 @ x, w2 @ w1 @ x], ["inputs", "hidden", "scores"], "A network")
        >>> figure.get_suptitle()
        'A network'
    """
    ws = [np.asarray(w, np.float64) for w in weights]
    values = [np.asarray(v, np.float64) for v in neurons]
    sizes = [len(v) for v in values]
    if not ws or [w.shape for w in ws] != [(b, a) for a, b in itertools.pairwise(sizes)]:
        raise ValueError(f"weights have shapes {[w.shape for w in ws]}, which do not fit layers of {sizes} neurons")
    if len(layers) != len(sizes) or max(sizes) > 24 or any(v.ndim not in (1, 3) for v in values):
        raise ValueError(
            f"layers of {sizes} neurons with {len(layers)} names, expected a name each, at most 24 neurons, f[n] or "
            "f[n, G, G]"
        )
    side = min(1.05, 7.0 / max(sizes))  # inches a neuron
    height = 1.25 + side * max(sizes)
    figure = new_figure(title, height, layout=False)
    axes = figure.add_axes((0, 0, 1, (height - 0.45) / height))
    axes.set_axis_off()
    left, right, middle = 1.3, WIDTH - 1.3, side * max(sizes) / 2 + 0.3
    columns = np.linspace(left, right, len(sizes))
    places = [
        np.stack([np.full(n, x), middle + side * ((n - 1) / 2 - np.arange(n))], 1)
        for n, x in zip(sizes, columns, strict=True)
    ]
    for w, start, end in zip(ws, places, places[1:], strict=False):
        size = np.abs(w) / (np.abs(w).max() or 1.0)
        order = np.argsort(size.ravel())
        to, of = np.unravel_index(order, w.shape)
        colors = np.where(w[to, of] > 0, VERMILION, BLUE)
        lines = np.stack([start[of], end[to]], 1)
        axes.add_collection(
            LineCollection(lines.tolist(), linewidths=0.3 + 5 * size[to, of], colors=colors, alpha=0.75, zorder=1)
        )
    for v, at in zip(values, places, strict=True):
        limit = np.abs(v).max() or 1.0
        for value, (x, y) in zip(v, at, strict=True):
            half = 0.42 * side
            if v.ndim == 3:
                box = (x - half, x + half, y - half, y + half)
                look = {"interpolation": None, "aspect": "auto", "origin": "lower", "extent": box, "zorder": 3}
                show_signed(axes, value, limit, **look)
                frame = Rectangle((x - half, y - half), 2 * half, 2 * half, fill=False, edgecolor=GRAY, zorder=4)
                axes.add_patch(frame)
            else:
                color = matplotlib.colormaps["RdBu_r"](0.5 + value / (3.2 * limit))
                axes.add_patch(Circle((x, y), min(half, 0.36), facecolor=color, edgecolor=GRAY, zorder=3))
                axes.text(x, y, f"{value:z.2f}", ha="center", va="center", fontsize=9, zorder=4)
    for label, at in zip(layers, places, strict=True):
        axes.text(at[0, 0], height - 0.75, label, ha="center", va="center", fontsize=11)
    for text, at, off, ha in zip(names or (), (places[0], places[-1]), (-0.6, 0.6), ("right", "left"), strict=False):
        for name, (x, y) in zip(text, at, strict=True):
            axes.text(x + off, y, name, ha=ha, va="center", fontsize=11)
    axes.set(xlim=(0, WIDTH), ylim=(0, height - 0.45))
    note = "lines: weights, orange positive, blue negative, width by size; neurons: red above 0, blue below"
    axes.text(0.1, 0.12, note, fontsize=9, color=GRAY, va="center")
    return figure


class Stage(NamedTuple):
    """One stage of a computation."""

    name: str
    """Such as "scores"."""
    formula: str
    """The formula of its values."""
    values: ArrayLike
    """An image [H, W, C] of uint8, or numbers of any shape."""
    highlight: int | None = None
    """Index of a value in another color, such as the right class."""
    joined: str = "→"
    """The sign between the previous stage and this one."""


@matplotlib.rc_context(STYLE)
def pipeline(stages: Sequence[Stage], title: str, columns: int = 5) -> Figure:
    """The stages of a computation, joined by signs, each with its shape, its type and its values."""
    if not stages or columns < 1:
        raise ValueError(f"pipeline: expected at least one stage and one column, got {len(stages)} and {columns}")
    rows = math.ceil(len(stages) / columns)
    height = 0.5 + 3.0 * rows
    figure = new_figure(title, height, layout=False)
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
        axes = figure.add_axes(((left + 0.42) / WIDTH, (top - 2.4) / height, (width - 0.64) / WIDTH, 1.5 / height))
        note = _picture(axes, array, stage.highlight)
        figure.text(middle, (top - 2.69) / height, note, ha="center", fontsize=8.5, color=GRAY)
        if i > 0:
            at = ((left + 0.12) / WIDTH, (top - 1.55) / height)
            figure.text(*at, stage.joined, ha="center", va="center", fontsize=15, fontweight="bold")
    return figure


def _picture(axes: Axes, array: np.ndarray, highlight: int | None) -> str:
    """Draws the values and returns a note on them."""
    axes.grid(False)
    if array.ndim == 3 and array.dtype == np.uint8:
        axes.set_axis_off()
        show_image(axes, array)
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
        axes.bar_label(bars, [f"{value:z.{_decimals(flat)}f}" for value in flat], padding=2, fontsize=7)
        axes.axvline(0, color=GRAY, linewidth=0.8)
        axes.set_xticks([])
        axes.set_yticks(range(flat.size), [f"{i}" for i in range(flat.size)], fontsize=7)
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.invert_yaxis()
        axes.margins(x=0.36 if _decimals(flat) == 2 else 0.5)
        return "green: the right class" if highlight is not None else ""
    strip = values if values.ndim == 2 else _folded(flat)
    limit = np.nanmax(np.abs(strip)) or 1.0
    show_signed(axes, strip, limit, aspect="auto")
    axes.set(xticks=[], yticks=[])
    return f"{flat.min():z.2f} to {flat.max():z.2f}, mean {flat.mean():z.2f}"


def _decimals(values: np.ndarray) -> int:
    """As many decimals as the largest value needs to be seen, from 2 to 4."""
    largest = np.nanmax(np.abs(values))
    return int(np.clip(-math.floor(math.log10(largest)), 2, 4)) if largest > 0 else 2


def _folded(flat: np.ndarray) -> np.ndarray:
    """A long vector as rows of a near square, padded with nan."""
    side = math.ceil(math.sqrt(flat.size))
    return np.concatenate([flat, np.full(-flat.size % side, np.nan)]).reshape(-1, side)
