"""Gradient descent on a curve: points and slopes, the effect of the step size, and basins of attraction."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from jaxnn.plots._axes import annotate, arrow
from jaxnn.plots._style import BLACK, BLUE, GRAY, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, new_figure

_BASINS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
_NONE = "#DDDDDD"


@matplotlib.rc_context(STYLE)
def descent_path(curve: ArrayLike, points: ArrayLike, values: ArrayLike, slopes: ArrayLike, rate: float) -> Figure:
    """A descent on a curve with arrows for the derivative, next to the lengths of its steps."""
    line, path = _checked(curve, points, values, slopes)
    steps = np.abs(np.diff(path[0]))
    start = f"Gradient descent from x = {path[0, 0]:g}"
    figure = new_figure(f"{start} with a fixed step size of {rate:g}: the steps shrink with the slope", 5.2)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    left.plot(*line, color=BLUE, label="f(x)")
    left.plot(path[0], path[1], "o", color=VERMILION, label=f"{len(steps):,} steps", zorder=3)
    rise = np.ptp(line[1])
    for i in (0, 3, 8):
        if i < len(steps):
            _arrows(left, path[:, i], rate, rise * 0.035, labels=i == 0)
            text = f"x{_subscript(i)} = {path[0, i]:.3g}, f' = {path[2, i]:.3g}"
            annotate(left, text, (path[0, i], path[1, i]), (-12, -4), ha="right", fontsize=9)
    left.set(xlabel="x", ylabel="f(x)", title="Points on the curve")
    left.legend(loc="upper left")
    shown = np.flatnonzero(steps > 0)
    right.semilogy(shown + 1, steps[shown], color=VERMILION, label="length of the step")
    right.semilogy(shown + 1, np.abs(path[2, shown]), color=ORANGE, label="|f'(x)| before it")
    right.set(xlabel="step", ylabel="length, slope (log scale)", title="Step = step size x slope")
    right.legend(loc="upper right")
    return figure


@matplotlib.rc_context(STYLE)
def step_sizes(
    curve: ArrayLike, paths: Mapping[str, ArrayLike], rates: ArrayLike, factors: ArrayLike, curvature: float
) -> Figure:
    """Descents with several step sizes, above the convergence factor against the step size with 1/L and 2/L."""
    line = np.asarray(curve, np.float64)
    figure = new_figure("Gradient descent with several step sizes: slow, good, oscillating, diverging", 6.4)
    grid = figure.add_gridspec(2, len(paths), height_ratios=[3, 2.6])
    low, high = line[0].min(), line[0].max()
    for i, (title, values) in enumerate(paths.items()):
        axes = figure.add_subplot(grid[0, i])
        path = np.asarray(values, np.float64)
        axes.plot(*line, color=BLUE, linewidth=1)
        axes.plot(path[0], path[1], "o-", color=VERMILION, linewidth=0.8, markersize=3, clip_on=True)
        axes.set_xlim(low, high)
        axes.set_ylim(line[1].min() - 0.06 * np.ptp(line[1]), line[1].max())
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("x")
        if i:
            axes.set_yticklabels([])
        else:
            axes.set_ylabel("f(x)")
    axes = figure.add_subplot(grid[1, :])
    axes.plot(rates, factors, color=BLACK)
    for place, text in ((1 / curvature, "1/L"), (2 / curvature, "2/L")):
        axes.axvline(place, color=VERMILION, linestyle="--")
        annotate(axes, f"{text} = {place:.3g}", (place, 1), (4, -11), ("data", "axes fraction"), color=VERMILION)
    axes.axhline(1, color=GRAY, linestyle=":")
    bound = 2 / curvature
    ends = [0.0, bound / 2, bound, float(np.max(rates))]
    for left, right, text in zip(ends[:-1], ends[1:], ("from one side", "to and fro", "away"), strict=True):
        if right > left:
            axes.text((left + right) / 2, 0.06, text, color=GRAY, ha="center")
    axes.set(xlim=(0, ends[-1]), ylim=(0, None), xlabel="step size (eta)", ylabel="factor of the\ndistance per step")
    axes.set_title("Below 1 the minimum comes nearer; the bounds follow from the curvature L alone")
    return figure


@matplotlib.rc_context(STYLE)
def basin_map(
    curve: ArrayLike,
    minima: ArrayLike,
    starts: ArrayLike,
    rates: ArrayLike,
    found: ArrayLike,
    bounds: ArrayLike,
    name: str = "f(x)",
) -> Figure:
    """The minimum that every start reaches with every step size, below the curve."""
    line, places = np.asarray(curve, np.float64), np.asarray(minima, np.float64)
    x, eta, which = np.asarray(starts, np.float64), np.asarray(rates, np.float64), np.asarray(found)
    colors = [_BASINS[i % len(_BASINS)] for i in range(len(places))]
    title = f"Which minimum of {name} gradient descent finds depends on the start and on the step size"
    figure = new_figure(title, 8.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 3])
    top.plot(*line, color=GRAY, linewidth=1)
    top.scatter(x, np.interp(x, *line), c=[_NONE if i < 0 else colors[i] for i in which[:, 0]], s=9, zorder=3)
    for i, place in enumerate(places):
        depth = np.interp(place, *line)
        top.plot(place, depth, "v", color=colors[i], markersize=10, markeredgecolor=BLACK, zorder=4)
        annotate(top, f"{place:.2f}", (place, depth), (0, -15), ha="center", va="top", fontsize=9)
    top.set_ylim(line[1].min() - 0.22 * np.ptp(line[1]), None)
    top.set(ylabel="f(x)", title=f"Starts, colored by the minimum that they find with a step size of {eta[0]:.2g}")
    bottom.grid(False)
    colormap = ListedColormap([_NONE, *colors])
    bottom.pcolormesh(x, eta, which.T, cmap=colormap, vmin=-1.5, vmax=len(places) - 0.5, rasterized=True)
    bottom.set_yscale("log")
    for bound in np.unique(np.round(np.asarray(bounds, np.float64), 4)):
        if eta[0] < bound < eta[-1]:
            owners = [_short(p) for p, b in zip(places, np.asarray(bounds), strict=True) if abs(b - bound) < 1e-3]
            bottom.axhline(bound, color=BLACK, linestyle="--", linewidth=1)
            text, box = f"2/L = {bound:.3g} of {', '.join(owners)}", {"facecolor": "white", "edgecolor": "none"}
            box |= {"alpha": 0.8, "pad": 1}
            annotate(bottom, text, (0.01, bound), (0, 3), ("axes fraction", "data"), fontsize=9, bbox=box)
    bottom.set(xlabel="start x", ylabel="step size (eta), log scale")
    bottom.set_title("Start x step size: above its bound 2/L a minimum can no longer be found")
    bottom.set_xlim(x.min(), x.max())
    handles = [Patch(color=color, label=_short(place)) for color, place in zip(colors, places, strict=True)]
    handles.append(Patch(color=_NONE, label="none of these"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), title="the descent ends at")
    return figure


def _checked(
    curve: ArrayLike, points: ArrayLike, values: ArrayLike, slopes: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    line = np.asarray(curve, np.float64)
    rows: Sequence[np.ndarray] = [np.asarray(row, np.float64) for row in (points, values, slopes)]
    if line.ndim != 2 or len(line) != 2:
        raise ValueError(f"curve has shape {line.shape}, expected [2, N]: x and values")
    if rows[0].ndim != 1 or len(rows[0]) < 2 or len({row.shape for row in rows}) != 1:
        shapes = [row.shape for row in rows]
        raise ValueError(f"points, values and slopes have shapes {shapes}, expected [T] of one T >= 2")
    return line, np.stack(rows)


def _arrows(axes: Axes, place: np.ndarray, rate: float, below: float, labels: bool) -> None:
    """Arrows for the derivative and for the step, which has the opposite direction."""
    x, y, slope = place
    width = np.sign(slope) * max(abs(rate * slope), 0.15)
    for shift, color, label in ((width, ORANGE, "derivative"), (-rate * slope, BLACK, "step, against the derivative")):
        arrow(axes, (x, y - below), (x + shift, y - below), zorder=5, color=color, mutation_scale=12)
        if labels:
            axes.plot([], [], color=color, linewidth=2, label=label)


def _short(place: float) -> str:
    return f"{round(float(place), 2) + 0.0:.2f}"  # no "-0.00"


def _subscript(i: int) -> str:
    return "".join(chr(0x2080 + int(digit)) for digit in str(i))
