"""The scores of a linear classifier over inputs in the plane."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D
from numpy.typing import ArrayLike

from jaxnn.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, STYLE, VERMILION, new_figure

__all__ = ["score_planes"]

COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P")


@matplotlib.rc_context(STYLE)
def score_planes(w: ArrayLike, b: ArrayLike, points: ArrayLike, labels: ArrayLike, names: Sequence[str]) -> Figure:
    """Each class's score as a plane over the inputs; beside it the regions, the zero-score lines and their normals.

    A score is zero on a line, its weights are the arrow across the line, in whose direction it grows, by their length
    for each unit; the class whose plane is highest owns the region below.

    Args:
        w: f32[C, 2], C up to 6.
        b: f32[C].
        points: f32[N, 2].
        labels: int[N], their classes.
        names: C class names.

    Returns:
        A figure.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> from jaxnn.plots.planes import score_planes
        >>> w, b = np.eye(2), np.zeros(2)
        >>> figure = score_planes(w, b, *data.toy.gauss(20), ["right", "above"])
        >>> len(figure.axes)
        2
    """
    w, b, x, y = np.asarray(w, float), np.asarray(b, float), np.asarray(points, float), np.asarray(labels)
    classes = len(b)
    if w.shape != (classes, 2) or b.ndim != 1 or not 1 <= classes <= len(COLORS) or len(names) != classes:
        raise ValueError(
            f"w has shape {w.shape}, b {b.shape} and names {len(names)} entries, expected [C, 2], [C] and C up to 6"
        )
    if x.ndim != 2 or x.shape[1] != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"points have shape {x.shape} and labels {y.shape}, expected [N, 2] and [N]")
    limit = 1.1 * np.abs(x).max(initial=0.9)
    figure = new_figure("One plane of scores for each class: the highest plane decides", 5.4)
    figure.set_layout_engine("none")  # the engines cut off parts of axes in three dimensions
    left = figure.add_axes((0.0, 0.04, 0.48, 0.82), projection="3d")
    assert isinstance(left, Axes3D)
    _planes(left, w, b, limit, names)
    figure.text(0.01, 0.9, "scores w1 x1 + w2 x2 + b; gray: score 0", fontsize=11)
    _regions(figure.add_axes((0.57, 0.1, 0.4, 0.741)), w, b, x, y, limit, names)
    figure.text(0.545, 0.9, "regions; dashed: score 0; arrows: weights", fontsize=11)
    return figure


def _planes(axes: Axes3D, w: np.ndarray, b: np.ndarray, limit: float, names: Sequence[str]) -> None:
    side = np.linspace(-limit, limit, 13)
    p, q = np.meshgrid(side, side)
    for c in range(len(b)):
        z = w[c, 0] * p + w[c, 1] * q + b[c]
        axes.plot_surface(p, q, z, color=to_rgba(COLORS[c], 0.45), linewidth=0, shade=False)
        corner = np.unravel_index(z.argmax(), z.shape)
        axes.text(p[corner], q[corner], z[corner], names[c], color=COLORS[c], fontweight="bold", zorder=10)
    axes.plot_surface(p, q, np.zeros_like(p), color=(0, 0, 0, 0.06), linewidth=0, shade=False)
    axes.set(xlabel="x1", ylabel="x2", zlabel="score")
    axes.view_init(elev=18, azim=-60)


def _regions(
    axes: Axes, w: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, limit: float, names: Sequence[str]
) -> None:
    side = np.linspace(-limit, limit, 400)
    p, q = np.meshgrid(side, side)
    scores = np.stack([p, q], -1) @ w.T + b
    colors = ListedColormap([to_rgba(COLORS[c], 0.18) for c in range(len(b))])
    axes.imshow(
        scores.argmax(-1),
        cmap=colors,
        vmin=-0.5,
        vmax=len(b) - 0.5,
        origin="lower",
        extent=(-limit, limit, -limit, limit),
        interpolation="nearest",
    )
    longest = np.linalg.norm(w, axis=1).max() or 1.0
    for c in range(len(b)):
        axes.scatter(*x[y == c].T, s=10, color=COLORS[c], marker=MARKERS[c], label=names[c], linewidth=0)
        norm = np.linalg.norm(w[c])
        if norm == 0:
            continue
        foot, along = -b[c] * w[c] / norm**2, np.array([-w[c, 1], w[c, 0]]) / norm
        axes.plot(*np.stack([foot - 9 * limit * along, foot + 9 * limit * along]).T, color=COLORS[c], linestyle="--")
        axes.annotate(
            "",
            foot + 0.35 * limit * w[c] / longest,
            foot,
            arrowprops={"arrowstyle": "-|>", "color": COLORS[c], "linewidth": 2, "shrinkA": 0},
        )
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="x1", ylabel="x2", aspect="equal")
    axes.grid(False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 0.985), ncols=len(b), markerscale=2, handletextpad=0.2)
