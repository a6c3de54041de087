"""Decision regions in the plane, and the plane as a hidden layer transforms it.

Examples start from:
    >>> places, points = plots.plane(1.2, 30), data.toy.xor(50)
    >>> scores = np.stack([places.prod(-1), -places.prod(-1)], axis=-1)
"""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jaxnn.plots._style import BLACK, COLORS, GRAY, MARKERS, STYLE, WIDTH, literal, new_figure

__all__ = ["Bent", "Regions", "bent_plane", "decision_regions", "plane"]


class Regions(NamedTuple):
    """One panel of `decision_regions`: the scores of a classifier over a square of the plane, and points.

    Attributes:
        scores: f[G, G, C], the scores at `plane(limit, G)`.
        inputs: f[N, 2], points to draw.
        labels: int[N], their classes.
        caption: above the panel.
    """

    scores: ArrayLike
    inputs: ArrayLike
    labels: ArrayLike
    caption: str = ""


class Bent(NamedTuple):
    """One panel of `bent_plane`: the plane as two neurons of a hidden layer transform it.

    Attributes:
        grid: f[G, G, 2], the values of the two neurons at `plane(limit, G)`.
        inputs: f[N, 2], their values at points to draw.
        labels: int[N], the classes of these points.
        caption: above the panel.
        border: weights f[2, 2] and biases f[2] of the next layer, if that has two scores: draws the line on which they
            are equal.
        limit: the panel is [-limit, limit] in both values; by default it fits the grid.
    """

    grid: ArrayLike
    inputs: ArrayLike
    labels: ArrayLike
    caption: str = ""
    border: tuple[ArrayLike, ArrayLike] | None = None
    limit: float | None = None


def plane(limit: float, size: int) -> np.ndarray:
    """The points of a square grid in the plane.

    Formula: `plane[i, j] = (x_j, x_i)` with `x_k = -limit + 2 limit k / (size - 1)`.

    Args:
        limit: the square is [-limit, limit] in both coordinates.
        size: number of points along each side, at least 2.

    Returns: f32[size, size, 2], rows from bottom to top.

    Example:
        >>> places = plots.plane(1.0, 3)
        >>> places.shape, places[0, 2].tolist(), places[2, 0].tolist()
        ((3, 3, 2), [1.0, -1.0], [-1.0, 1.0])
    """
    if not 0 < limit < np.inf or size < 2:
        raise ValueError(f"plane: limit {limit} must be positive and finite, and size {size} at least 2")
    side = np.linspace(-limit, limit, size, dtype=np.float32)
    return np.stack(np.meshgrid(side, side), axis=-1)


@matplotlib.rc_context(STYLE)
def decision_regions(
    panels: Sequence[Regions],
    title: str,
    *,
    limit: float = 1.2,
    columns: int | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """The predicted class over the plane: paler where its probability is lower, with black lines between the regions.

    Args:
        panels: in reading order.
        title: of the figure.
        limit: of the `plane` of the scores.
        columns: panels in a row; by default at most 5.
        names: of the classes; by default their numbers.

    Returns: a figure.

    Example:
        >>> figure = plots.decision_regions([plots.Regions(scores, *points, "exact")], "The four quadrants")
        >>> figure.get_suptitle().strip()
        'The four quadrants'
    """
    if not panels:
        raise ValueError("decision_regions: panels is empty, expected at least one")
    columns = columns or min(5, len(panels))
    rows = -(-len(panels) // columns)
    side = min(WIDTH / columns, 5.0)
    figure = new_figure(f"{title}\n", rows * (side + 0.35) + 0.75)  # a second line for the legend
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for place, panel in zip(axes, panels, strict=False):
        _draw_panel(place, panel, limit)
        caption = "\n".join(textwrap.fill(line, int(12 * side)) for line in literal(panel.caption).splitlines())
        place.set_title(caption, fontsize=10 if columns < 5 else 9)
        place.label_outer()
    for place in axes[len(panels) :]:
        place.set_axis_off()
    _legend(figure, [panel.labels for panel in panels], names)
    return figure


@matplotlib.rc_context(STYLE)
def bent_plane(regions: Regions, bent: Bent, title: str, *, limit: float = 1.2) -> Figure:
    """Decision regions in the plane, next to the plane and its grid as transformed by a hidden layer of two neurons."""
    grid = np.asarray(bent.grid, np.float64)
    if grid.ndim != 3 or grid.shape[-1] != 2 or not np.isfinite(grid).all():
        raise ValueError(f"bent_plane: grid must be finite [G, G, 2], got {list(grid.shape)}")
    figure = new_figure(title, 5.7, layout=False)
    left = figure.add_axes((0.07, 0.1, 0.41, 0.72))
    _draw_panel(left, regions, limit)
    _draw_grid(left, plane(limit, 13).astype(np.float64))
    left.set_title(regions.caption)
    right = figure.add_axes((0.57, 0.1, 0.41, 0.72))
    low, high = _range(grid) if bent.limit is None else (np.full(2, -bent.limit), np.full(2, bent.limit))
    _draw_grid(right, grid, step=max(1, (len(grid) - 1) // 12))
    _draw_points(right, bent.inputs, bent.labels, 18)
    if bent.border is not None:
        weights, biases = (np.asarray(a, np.float64) for a in bent.border)
        ends = _line_in_square(weights[0] - weights[1], float(biases[0] - biases[1]), low, high)
        right.plot(ends[:, 0], ends[:, 1], color=BLACK, linewidth=2)
    right.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="neuron 1", ylabel="neuron 2")
    right.grid(False)
    right.set_title(bent.caption)
    _legend(figure, [regions.labels])
    return figure


def _draw_panel(axes: Axes, panel: Regions, limit: float) -> None:
    scores = np.asarray(panel.scores, np.float64)
    if scores.ndim != 3 or scores.shape[0] != scores.shape[1] or scores.shape[-1] < 2 or not np.isfinite(scores).all():
        raise ValueError(f"decision_regions: scores must be finite [G, G, C] with C >= 2, got {list(scores.shape)}")
    classes = scores.shape[-1]
    exp = np.exp(scores - scores.max(-1, keepdims=True))
    sure = (exp.max(-1) / exp.sum(-1) - 1 / classes) / (1 - 1 / classes)
    colors = np.array([to_rgb(COLORS[c % len(COLORS)]) for c in range(classes)])
    image = 1 - (1 - colors[scores.argmax(-1)]) * (0.08 + 0.37 * sure[..., None])
    edge = limit + limit / (len(scores) - 1)
    axes.imshow(image, origin="lower", extent=(-edge, edge, -edge, edge), interpolation="nearest")
    x = np.linspace(-limit, limit, len(scores))
    for c in range(classes if classes > 2 else 1):
        lead = scores[..., c] - np.delete(scores, c, axis=-1).max(-1)
        if lead.min() < 0 < lead.max():
            axes.contour(x, x, lead, levels=[0.0], colors=BLACK, linewidths=1.2)
    _draw_points(axes, panel.inputs, panel.labels, 14)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="x₁", ylabel="x₂")
    axes.xaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    axes.yaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    axes.grid(False)


def _draw_points(axes: Axes, inputs: ArrayLike, labels: ArrayLike, size: float) -> None:
    points, classes = np.asarray(inputs), np.asarray(labels)
    if points.shape != (*classes.shape, 2) or classes.ndim != 1:
        shapes = f"{list(points.shape)} and {list(classes.shape)}"
        raise ValueError(f"regions: expected points [N, 2] and labels [N], got {shapes}")
    for c in np.unique(classes).tolist():
        of_class = points[classes == c]
        look = {"color": COLORS[c % 8], "marker": MARKERS[c % 8], "edgecolors": "white"}
        axes.scatter(of_class[:, 0], of_class[:, 1], s=size, linewidths=0.4, **look)


def _draw_grid(axes: Axes, grid: np.ndarray, step: int = 1) -> None:
    lines = [*grid[::step], *grid[:, ::step].swapaxes(0, 1)]
    axes.add_collection(LineCollection(lines, colors=GRAY, linewidths=0.6, alpha=0.8))


def _range(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = grid.reshape(-1, 2).min(0), grid.reshape(-1, 2).max(0)
    margin = 0.05 * (high - low) + 1e-6
    return low - margin, high + margin


def _line_in_square(normal: np.ndarray, offset: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Two points of the line `normal @ x + offset = 0`, far outside of the square on both sides."""
    length = float(np.linalg.norm(normal))
    if length == 0:
        return np.full((2, 2), np.nan)
    unit = normal / length
    nearest = (low + high) / 2 - unit * (unit @ (low + high) / 2 + offset / length)
    reach = 2 * float(np.linalg.norm(high - low)) + 1.0
    along = np.array([-unit[1], unit[0]])
    return np.stack([nearest - reach * along, nearest + reach * along])


def _legend(figure: Figure, labels: Sequence[ArrayLike], names: Sequence[str] | None = None) -> None:
    classes = np.unique(np.concatenate([np.asarray(some) for some in labels])).tolist()
    most = max(6, 90 // len(classes))
    shown = {c: f"class {c}" if names is None else literal(names[int(c)], most) for c in classes}
    marks = [Line2D([], [], color=COLORS[c % 8], marker=MARKERS[c % 8], linestyle="", label=shown[c]) for c in classes]
    below_title = (0, 1 - 0.27 / figure.get_figheight())
    legend = figure.legend(handles=marks, loc="upper left", bbox_to_anchor=below_title, ncols=len(classes))
    legend.set_in_layout(False)
