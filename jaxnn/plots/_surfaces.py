"""Functions of two variables and losses on a plane, as surfaces and contours with the paths of descents.

Examples start from:
    >>> x1, x2 = np.linspace(-2, 2, 15), np.linspace(-1, 1, 12)
    >>> values = x1[:, None] ** 2 + 5 * x2[None] ** 2
"""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jaxnn.plots._axes import annotate, arrow
from jaxnn.plots._style import BLACK, BLUE, GRAY, GREEN, ORANGE, STYLE, VERMILION, new_figure

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
