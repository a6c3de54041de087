"""A measure over a grid of settings."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from jaxnn.plots.style import BLUE, STYLE, VERMILION, new_figure

__all__ = ["heat_map", "spread_line"]


@matplotlib.rc_context(STYLE)
def heat_map(
    values: ArrayLike,
    rows: tuple[str, Sequence[float]],
    columns: tuple[str, Sequence[float]],
    measure: str,
    best: tuple[int, int] | None = None,
) -> Figure:
    """A measure for every pair of two settings, as colors and numbers.

    Args:
        values: f[R, C]; what is not finite (a run that diverged) is left white and says so.
        rows: the name of the setting of the rows and its R values.
        columns: the name of the setting of the columns and its C values.
        measure: what the values are, with its unit.
        best: the (row, column) to frame.

    Returns:
        A figure.

    Raises:
        ValueError: the number of values does not fit the rows and columns.

    Example:
        >>> accuracy, penalties, rates = [[91.2, 95.0], [93.1, np.nan]], [0, 1e-3], [0.1, 1.0]
        >>> figure = plots.heat_map(accuracy, ("l2", penalties), ("learning rate", rates), "accuracy (%)", best=(0, 1))
        >>> figure.get_suptitle()
        'accuracy (%) by l2 and learning rate'
    """
    v = np.asarray(values, np.float64)
    if v.shape != (len(rows[1]), len(columns[1])) or v.size == 0:
        raise ValueError(f"values have shape {v.shape}, expected {(len(rows[1]), len(columns[1]))} as named")
    figure = new_figure(f"{measure} by {rows[0]} and {columns[0]}", min(9.0, 2.0 + 0.55 * len(v)))
    axes = figure.add_subplot()
    axes.grid(False)
    shown = np.ma.masked_invalid(v)
    image = axes.imshow(shown, cmap="viridis", aspect="auto", interpolation="nearest")
    figure.colorbar(image, ax=axes).set_label(measure)
    axes.set_xticks(range(v.shape[1]), [f"{value:.3g}" for value in columns[1]])
    axes.set_yticks(range(v.shape[0]), [f"{value:.3g}" for value in rows[1]])
    axes.set_xlabel(columns[0])
    axes.set_ylabel(rows[0])
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
def spread_line(
    values: ArrayLike, setting: tuple[str, Sequence[float]], measure: str, best: int | None = None, *, log: bool = False
) -> Figure:
    """A measure over the values of one setting: each seed as a point, their mean as a line.

    Args:
        values: f[V, S], for each value of the setting and each seed; NaN for runs that diverged.
        setting: its name and its V values.
        measure: what the values are, with its unit.
        best: the place of the value to mark.
        log: whether the axis of the setting is logarithmic.

    Returns:
        A figure.

    Raises:
        ValueError: the number of values does not fit the setting.

    Example:
        >>> accuracy = [[91.2, 92.0], [95.1, 94.4], [90.0, np.nan]]
        >>> figure = plots.spread_line(accuracy, ("learning rate", [0.01, 0.1, 1.0]), "accuracy (%)", best=1, log=True)
        >>> figure.axes[0].get_xscale()
        'log'
    """
    v, x = np.asarray(values, np.float64), np.asarray(setting[1], np.float64)
    if v.ndim != 2 or v.shape[0] != len(x) or v.size == 0:
        raise ValueError(f"values have shape {v.shape}, expected [{len(x)}, seeds] as named")
    figure = new_figure(f"{measure} by {setting[0]}", 5.0)
    axes = figure.add_subplot()
    axes.plot(np.repeat(x, v.shape[1]), v.ravel(), "o", color=BLUE, alpha=0.4, label="each seed")
    axes.plot(x, v.mean(axis=1), color=BLUE, label="mean")
    if best is not None:
        axes.axvline(x[best], color=VERMILION, linestyle="--", label=f"best: {x[best]:.3g}")
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(setting[0])
    axes.set_ylabel(measure)
    axes.legend()
    return figure
