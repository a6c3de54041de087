"""Metrics against the values of a setting, layers or epochs, with every seed or the range over the seeds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from jaxnn.plots._axes import annotate, log_y, row_of_axes
from jaxnn.plots._style import BLACK, COLORS, DASHES, GRAY, MARKERS, PAIR_DASHES, PAIRS, STYLE, new_figure


class Panel(NamedTuple):
    """One panel of `study` or `progress`.

    Attributes:
        series: for each name f[H], or f[H, S] with every seed; NaN where there is no value.
        title: above the panel.
        ylabel: the metric and its unit.
        log: whether the metric is on a log scale.
    """

    series: Mapping[str, ArrayLike]
    title: str
    ylabel: str
    log: bool = False


@matplotlib.rc_context(STYLE)
def study(values: Sequence[float], panels: Sequence[Panel], title: str, xlabel: str, *, log: bool = False) -> Figure:
    """Metrics against the values of a setting: a line through the medians over seeds, a faint dot for every seed."""
    if not panels:
        raise ValueError("study: panels is empty, expected at least one")
    x = np.asarray(values, np.float64)
    for name, series in (item for panel in panels for item in panel.series.items()):
        if np.ndim(series) not in (1, 2) or len(np.asarray(series)) != len(x):
            raise ValueError(f"study: {name!r} is {list(np.shape(series))}, expected [{len(x)}] or [{len(x)}, S]")
    figure = new_figure(title, 4.6)
    shown = _log_places(x) if log else x
    for axes, panel in zip(row_of_axes(figure, len(panels)), panels, strict=True):
        if log:
            axes.set_xscale("log")
        for i, (name, series) in enumerate(panel.series.items()):
            _median_line(axes, shown, np.asarray(series, np.float64), name, i)
        if len(x) <= 9:
            names = [_compact(value) for value in x]
            crowded = len(panels) * sum(len(name) + 2 for name in names) > 90
            turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
            axes.set_xticks(shown, names, **turn)
        elif log and x[0] == 0:
            axes.set_xticks([shown[0], *shown[1::2]], ["0", *(_compact(value) for value in x[1::2])])
        axes.xaxis.set_minor_locator(NullLocator())
        if panel.log:
            log_y(axes)
        several = len(panel.series) > 1 or any(np.ndim(series) == 2 for series in panel.series.values())
        _finish(axes, panel, xlabel, legend=several)
    return figure


def _median_line(axes: Axes, x: np.ndarray, series: np.ndarray, name: str, i: int) -> None:
    color, middle = COLORS[i % len(COLORS)], series
    if series.ndim == 2:
        seeds = np.broadcast_to(x[:, None], series.shape)
        axes.scatter(seeds, series, s=10, color=color, alpha=0.3, linewidths=0)
        middle = np.ma.median(np.ma.masked_invalid(series), axis=1).filled(np.nan)
    there = np.isfinite(middle)
    axes.plot(x[there], middle[there], color=color, marker=MARKERS[i % len(MARKERS)], label=name)


def _finish(axes: Axes, panel: Panel, xlabel: str, legend: bool) -> None:
    axes.set_title(panel.title)
    axes.set(xlabel=xlabel, ylabel=panel.ylabel)
    if legend:
        axes.legend(loc="best", framealpha=0.8, frameon=True, edgecolor="none")


def _log_places(x: np.ndarray) -> np.ndarray:
    """Places on a log axis: a first value of zero is put one step left of the next."""
    if x[0] != 0:
        return x
    return np.concatenate([[x[1] ** 2 / x[2] if len(x) > 2 else x[1] / 10], x[1:]])


def _compact(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if 0 < abs(value) < 1e-3 else f"{value:,.10g}"


@matplotlib.rc_context(STYLE)
def progress(steps: ArrayLike, panels: Sequence[Panel], title: str, xlabel: str, *, log: bool = False) -> Figure:
    """Metrics along a run, as lines."""
    x = np.asarray(steps, np.float64)
    if not panels or any(np.shape(series) != x.shape for panel in panels for series in panel.series.values()):
        raise ValueError(f"progress: expected panels of series [{len(x)}], as many values as steps")
    figure = new_figure(title, 4.6)
    for axes, panel in zip(row_of_axes(figure, len(panels)), panels, strict=True):
        for i, (name, series) in enumerate(panel.series.items()):
            axes.plot(x, np.asarray(series), color=COLORS[i % len(COLORS)], linestyle=DASHES[i % 4], label=name)
        axes.set(xscale="log" if log else "linear", yscale="log" if panel.log else "linear")
        _finish(axes, panel, xlabel, legend=True)
    return figure


@matplotlib.rc_context(STYLE)
def bars(values: Mapping[str, ArrayLike], title: str, xlabel: str, ylabel: str = "weight") -> Figure:
    """Short vectors as bars on one scale, a panel for each."""
    if not values or any(np.ndim(vector) != 1 for vector in values.values()):
        raise ValueError(f"bars: expected vectors [N], got {[np.shape(v) for v in values.values()]}")
    figure = new_figure(title, 3.4)
    row = row_of_axes(figure, len(values), sharey=True)
    for i, (axes, (caption, vector)) in enumerate(zip(row, values.items(), strict=True)):
        heights = np.asarray(vector, np.float64)
        places = np.arange(1, len(heights) + 1)
        axes.bar_label(axes.bar(places, heights, color=COLORS[i % len(COLORS)]), fmt="%g", padding=2)
        axes.margins(y=0.15)
        axes.set_xticks(places)
        axes.set_title(caption)
        axes.set(xlabel=xlabel, ylabel=ylabel if i == 0 else "")
    return figure


@matplotlib.rc_context(STYLE)
def bands(
    title: str,
    panels: Sequence[tuple[str, str, str, Mapping[str, ArrayLike]]],
    *,
    logarithmic: Sequence[bool] = (),
    lines: Sequence[Mapping[str, float]] = (),
    first: int = 1,
    height: float = 4.6,
) -> Figure:
    """Quantities against layer or epoch: the median over seeds as a line, their range as a band."""
    figure = new_figure(title, height)
    row = row_of_axes(figure, len(panels))
    _draw_bands(row, [panel[3] for panel in panels], None, first)
    handles = {}
    for i, (axes, (caption, x_label, y_label, _)) in enumerate(zip(row, panels, strict=True)):
        if i < len(logarithmic) and logarithmic[i]:
            log_y(axes)
        for text, y in lines[i].items() if i < len(lines) else ():
            axes.axhline(y, color=GRAY, linestyle=":")
            annotate(axes, text, (0.99, y), (0, 3), ("axes fraction", "data"), ha="right", color=GRAY, fontsize=9)
        axes.set(title=caption, xlabel=x_label, ylabel=y_label)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 6))
    return figure


@matplotlib.rc_context(STYLE)
def against_rate(
    title: str,
    x: ArrayLike,
    panels: Sequence[tuple[str, str, Mapping[str, ArrayLike]]],
    x_label: str,
    marks: Mapping[str, float] | None = None,
    *,
    logarithmic: Sequence[bool] = (),
    height: float = 4.6,
) -> Figure:
    """Quantities against a hyper-parameter on a log scale, drawn as in `bands`."""
    figure = new_figure(title, height)
    row = row_of_axes(figure, len(panels))
    transposed = [{name: np.transpose(np.asarray(v, np.float64)) for name, v in panel[2].items()} for panel in panels]
    names = _draw_bands(row, transposed, np.asarray(x, np.float64), 0)
    for i, (axes, (caption, y_label, _)) in enumerate(zip(row, panels, strict=True)):
        axes.set_xscale("log")
        if i < len(logarithmic) and logarithmic[i]:
            log_y(axes)
        for j, (text, at) in enumerate((marks or {}).items()):
            axes.axvline(at, color=BLACK, linestyle=":", linewidth=1)
            annotate(axes, text, (at, 0.99 - 0.07 * j), (3, 0), ("data", "axes fraction"), va="top", fontsize=9)
        axes.set(title=caption, xlabel=x_label, ylabel=y_label)
    if len(names) > 1:
        figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(len(names), 6))
    return figure


def _draw_bands(
    row: Sequence[Axes], panels: Iterable[Mapping[str, ArrayLike]], x: np.ndarray | None, first: int
) -> list[str]:
    """Draw the bands of values [S, N] of each panel; returns the names, which have one color in all panels."""
    panels = list(panels)
    names = list(dict.fromkeys(name for panel in panels for name in panel))
    for axes, panel in zip(row, panels, strict=True):
        for name, values in panel.items():
            _band(axes, np.asarray(values, np.float64), x, first, names.index(name), name)
    return names


def _band(axes: Axes, values: np.ndarray, x: np.ndarray | None, first: int, i: int, name: str) -> None:
    places = np.arange(first, first + values.shape[1]) if x is None else x
    shown = np.where(np.isfinite(values), values, np.nan)
    some = np.isfinite(shown).any(0)
    if not some.any():
        return
    places, shown = places[some], shown[:, some]
    look: Any = {"color": PAIRS[i % 8], "linestyle": PAIR_DASHES[i % 8], "marker": "o" if len(places) <= 25 else ""}
    axes.plot(places, np.nanmedian(shown, 0), ms=3, label=name, **look)
    if len(shown) > 1:
        low, high = np.nanmin(shown, 0), np.nanmax(shown, 0)
        axes.fill_between(places, low, high, color=PAIRS[i % 8], alpha=0.18, linewidth=0)
