"""A fully connected network, drawn: neurons as circles or as maps over the plane, weights as colored lines."""

import itertools
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import ArrayLike

from jaxnn.plots.style import BLUE, GRAY, STYLE, VERMILION, WIDTH, new_figure

__all__ = ["network"]


@matplotlib.rc_context(STYLE)
def network(
    weights: Sequence[ArrayLike],
    neurons: Sequence[ArrayLike],
    layers: Sequence[str],
    title: str,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Figure:
    """Every neuron and every weight: orange lines are positive, blue ones negative, thick ones large.

    The widest line is the largest weight of its layer. Neurons are colored red above zero and blue below, on a scale
    of their layer's own.

    Args:
        weights: W f[out, in] of each layer.
        neurons: for the inputs and for each layer f[n], values for one example, written into circles; or f[n, G, G],
            values over a square of the plane, row 0 at the bottom, drawn as maps.
        layers: what is written above the inputs and each layer.
        title: what is seen.
        names: of the inputs and of the last layer's neurons.

    Returns:
        A figure.

    Raises:
        ValueError: the shapes do not fit together, or a layer has more than 24 neurons.

    Example:
        >>> from jaxnn.plots.network import network
        >>> w1, w2, x = np.ones((3, 2)), -np.ones((2, 3)), np.array([1.0, 2.0])
        >>> figure = network([w1, w2], [x, w1 @ x, w2 @ w1 @ x], ["inputs", "hidden", "scores"], "A network")
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
    figure = new_figure(title, height)
    figure.set_layout_engine("none")
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
                look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "aspect": "auto"}
                axes.imshow(value, extent=box, origin="lower", zorder=3, **look)
                axes.add_patch(
                    Rectangle((x - half, y - half), 2 * half, 2 * half, fill=False, edgecolor=GRAY, zorder=4)
                )
            else:
                color = matplotlib.colormaps["RdBu_r"](0.5 + value / (3.2 * limit))
                axes.add_patch(Circle((x, y), min(half, 0.36), facecolor=color, edgecolor=GRAY, zorder=3))
                axes.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=9, zorder=4)
    for label, at in zip(layers, places, strict=True):
        axes.text(at[0, 0], height - 0.75, label, ha="center", va="center", fontsize=11)
    for text, at, off, ha in zip(names or (), (places[0], places[-1]), (-0.6, 0.6), ("right", "left"), strict=False):
        for name, (x, y) in zip(text, at, strict=True):
            axes.text(x + off, y, name, ha=ha, va="center", fontsize=11)
    axes.set(xlim=(0, WIDTH), ylim=(0, height - 0.45))
    note = "lines: weights, orange positive, blue negative, width by size; neurons: red above 0, blue below"
    axes.text(0.1, 0.12, note, fontsize=9, color=GRAY, va="center")
    return figure
