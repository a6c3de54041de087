"""What a setting does: measures against the values of a setting, with every seed shown.

Examples start from:
    >>> from jaxnn.plots import studies
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike

from jaxnn.plots.style import BLUE, GRAY, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, label_decades, new_figure

__all__ = ["Panel", "bars", "curves", "study"]

COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, GRAY)
MARKERS = "osD^vPX"


class Panel(NamedTuple):
    """One panel of a study.

    Attributes:
        series: for each name `[H]`, or `[H, S]` with every seed; NaN where there is no value.
        title: above the panel.
        ylabel: the measure and its unit.
        log: whether the measure is on a log scale.
    """

    series: Mapping[str, ArrayLike]
    title: str
    ylabel: str
    log: bool = False


@matplotlib.rc_context(STYLE)
def study(values: Sequence[float], panels: Sequence[Panel], title: str, xlabel: str, *, log: bool = False) -> Figure:
    """Measures against the values of a setting: a line through the medians over the seeds, a faint dot for every seed.

    Args:
        values: H values of the setting, rising.
        panels: what was measured, side by side.
        title: above all.
        xlabel: the setting and its unit.
        log: whether the setting is on a log scale; a first value of 0 is then drawn left of the others and called 0.

    Returns:
        A figure.

    Raises:
        ValueError: there are no panels, or a series is not [H] or [H, S].

    Example:
        >>> panel = studies.Panel({"test": [[0.8, 0.7], [0.9, 0.95]]}, "Accuracy", "share")  # two widths, two seeds
        >>> figure = studies.study([2, 20], [panel], "More neurons", "hidden neurons", log=True)
        >>> figure.axes[0].get_title(loc="left")
        'Accuracy'
    """
    if not panels:
        raise ValueError("study: panels is empty, expected at least one")
    x = np.asarray(values, np.float64)
    for panel in panels:
        for name, series in panel.series.items():
            if np.ndim(series) not in (1, 2) or len(np.asarray(series)) != len(x):
                raise ValueError(f"study: {name!r} is {list(np.shape(series))}, expected [{len(x)}] or [{len(x)}, S]")
    figure = new_figure(title, 4.6)
    places = np.atleast_1d(figure.subplots(1, len(panels), squeeze=False)).ravel()
    shown = _shown(x) if log else x
    for axes, panel in zip(places, panels, strict=True):
        if log:
            axes.set_xscale("log")
        for i, (name, series) in enumerate(panel.series.items()):
            _series(axes, shown, np.asarray(series, np.float64), name, i)
        if len(x) <= 9:
            names = [_compact(value) for value in x]
            crowded = len(panels) * sum(len(name) + 2 for name in names) > 90
            turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
            axes.set_xticks(shown, names, **turn)
        elif log and x[0] == 0:
            ticks = [shown[0], *shown[1::2]]
            axes.set_xticks(ticks, ["0", *(_compact(value) for value in x[1::2])])
        axes.xaxis.set_minor_locator(NullLocator())
        if panel.log:
            axes.set_yscale("log")
            label_decades(axes.yaxis)
        axes.set_title(panel.title)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(panel.ylabel)
        if len(panel.series) > 1 or any(np.ndim(series) == 2 for series in panel.series.values()):
            axes.legend(loc="best", framealpha=0.8, frameon=True, edgecolor="none")
    return figure


@matplotlib.rc_context(STYLE)
def curves(steps: ArrayLike, panels: Sequence[Panel], title: str, xlabel: str, *, log: bool = False) -> Figure:
    """Measures along a run, as lines.

    Args:
        steps: f[T], rising.
        panels: what was measured, side by side; each series is [T].
        title: above all.
        xlabel: what the steps are.
        log: whether the steps are on a log scale.

    Returns:
        A figure.

    Raises:
        ValueError: there are no panels, or a series is not [T].

    Example:
        >>> panel = studies.Panel({"sgd": [2.0, 1.0, 0.5], "momentum": [2.0, 0.7, 0.2]}, "Loss", "loss")
        >>> figure = studies.curves([0, 10, 20], [panel], "Two optimizers", "step")
        >>> len(figure.axes[0].lines)
        2
    """
    x = np.asarray(steps, np.float64)
    if not panels or any(np.shape(series) != x.shape for panel in panels for series in panel.series.values()):
        raise ValueError(f"curves: expected panels of series [{len(x)}], as many values as steps")
    figure = new_figure(title, 4.6)
    places = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(places, panels, strict=True):
        for i, (name, series) in enumerate(panel.series.items()):
            dash = ("-", "--", "-.", ":")[i % 4]
            axes.plot(x, np.asarray(series), color=COLORS[i % len(COLORS)], linestyle=dash, label=name)
        if log:
            axes.set_xscale("log")
        if panel.log:
            axes.set_yscale("log")
        axes.set_title(panel.title)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(panel.ylabel)
        axes.legend(loc="best", framealpha=0.8, frameon=True, edgecolor="none")
    return figure


@matplotlib.rc_context(STYLE)
def bars(values: Mapping[str, ArrayLike], title: str, xlabel: str, ylabel: str = "weight") -> Figure:
    """Short vectors as bars on one scale, a panel for each.

    Args:
        values: f[N] by caption.
        title: above all.
        xlabel: what the places 1 to N are.
        ylabel: what the values are, and their unit.

    Returns:
        A figure.

    Raises:
        ValueError: there are no vectors, or one is not [N].

    Example:
        >>> weights = {"w1": [1, 0, 0, 0], "w2": [0.25, 0.25, 0.25, 0.25]}
        >>> figure = studies.bars(weights, "One score, two penalties", "input")
        >>> len(figure.axes)
        2
    """
    if not values or any(np.ndim(vector) != 1 for vector in values.values()):
        raise ValueError(f"bars: expected vectors [N], got {[np.shape(v) for v in values.values()]}")
    figure = new_figure(title, 3.4)
    places = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for i, (axes, (caption, vector)) in enumerate(zip(places, values.items(), strict=True)):
        heights = np.asarray(vector, np.float64)
        drawn = axes.bar(np.arange(1, len(heights) + 1), heights, color=COLORS[i % len(COLORS)])
        axes.bar_label(drawn, fmt="%g", padding=2)
        axes.margins(y=0.15)
        axes.set_xticks(np.arange(1, len(heights) + 1))
        axes.set_title(caption)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel if i == 0 else "")
    return figure


def _series(axes: Axes, x: np.ndarray, series: np.ndarray, name: str, i: int) -> None:
    color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
    middle = series
    if series.ndim == 2:
        seeds = np.broadcast_to(x[:, None], series.shape)
        axes.scatter(seeds, series, s=10, color=color, alpha=0.3, linewidths=0)
        middle = np.ma.median(np.ma.masked_invalid(series), axis=1).filled(np.nan)
    there = np.isfinite(middle)
    axes.plot(x[there], middle[there], color=color, marker=marker, label=name)


def _shown(x: np.ndarray) -> np.ndarray:
    """Places on a log axis: a first value of zero stands one step left of the next."""
    if x[0] != 0:
        return x
    return np.concatenate([[x[1] ** 2 / x[2] if len(x) > 2 else x[1] / 10], x[1:]])


def _compact(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if 0 < abs(value) < 1e-3 else f"{value:,.10g}"
