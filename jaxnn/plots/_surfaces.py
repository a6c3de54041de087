"""Functions on the plane as surfaces and contours: a loss with the paths of descents, the linear scores of each class.

Examples start from:
    >>> x1, x2 = np.linspace(-2, 2, 15), np.linspace(-1, 1, 12)
    >>> values = x1[:, None] ** 2 + 5 * x2[None] ** 2
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.axes3d import Axes3D
from numpy.typing import ArrayLike

from jaxnn.plots._axes import annotate, arrow
from jaxnn.plots._style import BLACK, BLUE, COLORS, GRAY, GREEN, ORANGE, STYLE, VERMILION, literal, new_figure

_PATHS = (VERMILION, GREEN, ORANGE, BLUE)


@matplotlib.rc_context(STYLE)
def descent_surface(
    x1: ArrayLike,
    x2: ArrayLike,
    values: ArrayLike,
    paths: Mapping[str, ArrayLike],
    at: ArrayLike,
    gradient: ArrayLike,
    title: str,
) -> Figure:
    """A function of two variables as a surface and as contours, with descents and the components of one gradient."""
    a, b, z = _grid(x1, x2, values)
    place, slope = np.asarray(at, np.float64), np.asarray(gradient, np.float64)
    figure = new_figure(title, 5.2)
    grid = figure.add_gridspec(1, 2)
    solid: Any = figure.add_subplot(grid[0], projection="3d", computed_zorder=False)
    solid.plot_surface(*np.meshgrid(a, b, indexing="ij"), z, cmap="Blues_r", alpha=0.85, rstride=2, cstride=2, zorder=1)
    flat = figure.add_subplot(grid[1])
    _contours(flat, a, b, z)
    for (name, path), color in zip(paths.items(), _PATHS, strict=False):
        track = np.asarray(path, np.float64)
        lift = 0.02 * np.ptp(z)
        solid.plot(*track[:, :2].T, track[:, 2] + lift, "o-", color=color, markersize=2.5, linewidth=1, zorder=5)
        flat.plot(*track[:, :2].T, "o-", color=color, markersize=3, linewidth=1, label=name)
    solid.set(xlabel="x1", ylabel="x2", zlabel="y")
    solid.xaxis.labelpad = solid.yaxis.labelpad = 8
    solid.view_init(elev=38, azim=-62)
    scale = 0.3 * min(np.ptp(a), np.ptp(b)) / (np.abs(slope).max() or 1.0)
    parts = (
        ("- dy/dx1", BLACK, np.array([-slope[0], 0.0])),
        ("- dy/dx2", ORANGE, np.array([0.0, -slope[1]])),
        ("their sum, - gradient", BLUE, -slope),
    )
    for label, color, part in parts:
        arrow(flat, place, place + scale * part, zorder=6, color=color, linewidth=2.2, mutation_scale=14)
        flat.plot([], [], color=color, linewidth=2.2, label=label)
    flat.plot(*place, "o", color=VERMILION, markersize=8, zorder=7)
    flat.set(xlabel="x1", ylabel="x2", title="Seen from above, with the parts of one gradient")
    figure.legend(*flat.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


@matplotlib.rc_context(STYLE)
def valley(
    x1: ArrayLike,
    x2: ArrayLike,
    values: ArrayLike,
    paths: Mapping[str, ArrayLike],
    losses: Mapping[str, ArrayLike],
    rates: ArrayLike,
    momenta: ArrayLike,
    steps: ArrayLike,
    limit: int,
    floor: float,
) -> Figure:
    """Descents in a narrow valley, their values step by step, and the steps needed for every rate and momentum."""
    a, b, z = _grid(x1, x2, values)
    count = np.where(np.asarray(steps) >= limit, np.nan, np.asarray(steps, np.float64))
    figure = new_figure("A narrow valley: momentum speeds up along it and damps the oscillation across it", 7.6)
    grid = figure.add_gridspec(2, 2, height_ratios=[2, 3])
    top = figure.add_subplot(grid[0, :])
    _contours(top, a, b, z, logarithmic=True)
    for (name, path), color in zip(paths.items(), _PATHS, strict=False):
        top.plot(*np.asarray(path, np.float64).T, "o-", color=color, markersize=3, linewidth=1, label=name)
    top.set(xlabel="x1, along the valley", ylabel="x2, across it", xlim=(a[0], a[-1]), ylim=(b[0], b[-1]))
    top.legend(loc="lower left", ncols=2, frameon=True, framealpha=0.9)
    left = figure.add_subplot(grid[1, 0])
    for (name, curve), color in zip(losses.items(), _PATHS, strict=False):
        track = np.asarray(curve, np.float64)
        left.semilogy(np.where(track > 0, track, np.nan), color=color, label=name)
    left.set_ylim(bottom=floor)
    left.set(xlabel="step", ylabel="value above the minimum (log scale)", title="The value, step by step")
    left.legend(loc="upper right")
    right = figure.add_subplot(grid[1, 1])
    right.grid(False)
    right.set_facecolor("#DDDDDD")
    eta, kept = np.asarray(rates, np.float64), np.asarray(momenta, np.float64)
    image = right.pcolormesh(eta, kept, count, cmap="viridis_r", norm=LogNorm(), rasterized=True)
    right.set_xscale("log")
    m, h = np.unravel_index(np.nanargmin(count), count.shape)
    right.plot(eta[h], kept[m], "*", color=VERMILION, markersize=13, markeredgecolor="white")
    annotate(right, f"{count[m, h]:.0f} steps", (eta[h], kept[m]), (-8, 8), ha="right")
    right.set(xlabel="step size (log scale)", ylabel="momentum")
    right.set_title(f"Steps to arrive (gray: more than {limit - 1:,})")
    figure.colorbar(image, ax=right, label="steps (log scale)")
    return figure


def _grid(x1: ArrayLike, x2: ArrayLike, values: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b, z = (np.asarray(part, np.float64) for part in (x1, x2, values))
    if a.ndim != 1 or b.ndim != 1 or z.shape != (a.size, b.size):
        raise ValueError(f"values have shape {z.shape}, expected [{a.size}, {b.size}], one for each point of the grid")
    return a, b, z


def _contours(axes: Axes, x1: np.ndarray, x2: np.ndarray, z: np.ndarray, logarithmic: bool = False) -> None:
    if logarithmic:
        levels = np.geomspace(max(z.min(), 1e-3 * z.max()), z.max(), 14)
    else:
        levels = z.min() + np.ptp(z) * np.linspace(0, 1, 18) ** 2
    axes.contourf(x1, x2, z.T, levels=levels, cmap="Blues_r", alpha=0.75, extend="min" if logarithmic else "neither")
    axes.contour(x1, x2, z.T, levels=levels, colors=GRAY, linewidths=0.4)
    axes.grid(False)


@matplotlib.rc_context(STYLE)
def loss_surface(x1: ArrayLike, x2: ArrayLike, values: ArrayLike, title: str) -> Figure:
    """A loss on a plane through a solution at (0, 0), as a surface and as contours.

    Args:
        x1, x2: f[N1], f[N2], the axes of the grid.
        values: f[N1, N2], the loss on it.
        title: of the figure.

    Returns: a figure.

    Example:
        >>> figure = plots.loss_surface(x1, x2, values, "The loss around a solution")
        >>> figure.get_suptitle()
        'The loss around a solution'
    """
    a, b, z = _grid(x1, x2, values)
    figure = new_figure(title, 4.8)
    grid = figure.add_gridspec(1, 2)
    solid: Any = figure.add_subplot(grid[0], projection="3d")
    step = max(1, len(a) // 25)
    solid.plot_surface(*np.meshgrid(a, b, indexing="ij"), z, cmap="Blues_r", rstride=step, cstride=step)
    solid.set(xlabel="first direction", ylabel="second direction", zlabel="loss")
    for axis in (solid.xaxis, solid.yaxis, solid.zaxis):
        axis.set_major_locator(MaxNLocator(4))
        axis.labelpad = 8
    solid.set_box_aspect(None, zoom=0.82)  # keeps its labels off the contours
    flat = figure.add_subplot(grid[1])
    _contours(flat, a, b, z)
    flat.plot(0, 0, "*", color=VERMILION, markersize=12, markeredgecolor="white", label=f"solution, loss {z.min():.3g}")
    flat.set(xlabel="first direction", ylabel="second direction", title="Contour lines, denser near the lowest value")
    flat.legend(loc="upper right", frameon=True, framealpha=0.9)
    return figure


@matplotlib.rc_context(STYLE)
def score_planes(w: ArrayLike, b: ArrayLike, points: ArrayLike, labels: ArrayLike, names: Sequence[str]) -> Figure:
    """The scores of a linear classifier as planes over the inputs, next to the decision regions."""
    w, b, x, y = np.asarray(w, float), np.asarray(b, float), np.asarray(points, float), np.asarray(labels)
    classes = len(b)
    if w.shape != (classes, 2) or b.ndim != 1 or not 1 <= classes <= 6 or len(names) != classes:
        shapes = f"w has shape {w.shape}, b {b.shape} and names {len(names)} entries"
        raise ValueError(f"{shapes}, expected [C, 2], [C] and C up to 6")
    if x.ndim != 2 or x.shape[1] != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"points have shape {x.shape} and labels {y.shape}, expected [N, 2] and [N]")
    limit, names = 1.1 * np.abs(x).max(initial=0.9), [literal(name, 24) for name in names]
    title = "One plane of scores for each class: the highest plane decides"
    figure = new_figure(title, 5.4, layout=False)  # the engine cuts off parts of three-dimensional axes
    left = figure.add_axes((0.0, 0.04, 0.48, 0.82), projection="3d")
    assert isinstance(left, Axes3D)
    _draw_planes(left, w, b, limit, names)
    figure.text(0.01, 0.9, "scores w1 x1 + w2 x2 + b; gray: score 0", fontsize=11)
    _draw_linear_regions(figure.add_axes((0.57, 0.1, 0.4, 0.741)), w, b, x, y, limit, names)
    figure.text(0.545, 0.9, "regions; dashed: score 0; arrows: weights", fontsize=11)
    return figure


def _draw_planes(axes: Axes3D, w: np.ndarray, b: np.ndarray, limit: float, names: Sequence[str]) -> None:
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


def _draw_linear_regions(
    axes: Axes, w: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, limit: float, names: Sequence[str]
) -> None:
    side = np.linspace(-limit, limit, 400)
    p, q = np.meshgrid(side, side)
    scores = np.stack([p, q], -1) @ w.T + b
    colors = ListedColormap([to_rgba(COLORS[c], 0.18) for c in range(len(b))])
    place: Any = {"origin": "lower", "extent": (-limit, limit, -limit, limit), "interpolation": "nearest"}
    axes.imshow(scores.argmax(-1), cmap=colors, vmin=-0.5, vmax=len(b) - 0.5, **place)
    longest = np.linalg.norm(w, axis=1).max() or 1.0
    for c in range(len(b)):
        axes.scatter(*x[y == c].T, s=10, color=COLORS[c], marker="os^DvP"[c], label=names[c], linewidth=0)
        norm = np.linalg.norm(w[c])
        if norm == 0:
            continue
        foot, along = -b[c] * w[c] / norm**2, np.array([-w[c, 1], w[c, 0]]) / norm
        axes.plot(*np.stack([foot - 9 * limit * along, foot + 9 * limit * along]).T, color=COLORS[c], linestyle="--")
        arrow(axes, foot, foot + 0.35 * limit * w[c] / longest, color=COLORS[c], shrinkB=2)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="x1", ylabel="x2", aspect="equal")
    axes.grid(False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 0.985), ncols=len(b), markerscale=2, handletextpad=0.2)
