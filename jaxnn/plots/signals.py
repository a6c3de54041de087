"""Signals in deep networks: activation functions, histograms layer by layer, sizes against depth, bands of curves.

Examples start from:
    >>> from jaxnn.plots import signals
"""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jaxnn.plots.style import BLACK, BLUE, GRAY, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, label_decades, new_figure

__all__ = ["activation_functions", "against_rate", "bands", "layer_histograms"]

COLORS = (BLUE, SKY, VERMILION, ORANGE, GREEN, PURPLE, BLACK, GRAY)
DASHES = ("-", "--", "-", "--", "-.", ":", "-", "--")


@matplotlib.rc_context(STYLE)
def activation_functions(z: ArrayLike, values: Mapping[str, ArrayLike], slopes: Mapping[str, ArrayLike]) -> Figure:
    """Activation functions with their derivatives below them.

    Args:
        z: f[N], places.
        values: for each function its name and f[N].
        slopes: the derivatives, under the same names. Where one is below 0.05 the background is shaded.

    Returns:
        A figure.

    Example:
        >>> z = np.linspace(-3, 3, 50)
        >>> figure = signals.activation_functions(z, {"tanh": np.tanh(z)}, {"tanh": 1 - np.tanh(z) ** 2})
        >>> len(figure.axes)
        2
    """
    x = np.asarray(z, np.float64)
    figure = new_figure("Activation functions and their derivatives: shaded where almost no gradient comes back", 5.0)
    axes = figure.subplots(2, len(values), sharex=True, sharey="row", squeeze=False)
    for i, (name, value) in enumerate(values.items()):
        slope = np.asarray(slopes[name], np.float64)
        axes[0, i].plot(x, np.asarray(value, np.float64), color=BLUE)
        axes[0, i].set_title(name.replace("_", " "))
        axes[1, i].plot(x, slope, color=VERMILION)
        axes[1, i].set_title(f"derivative, at most {slope.max():.3g}", fontsize=9)
        axes[1, i].set_xlabel("z")
        for row in axes[:, i]:
            row.fill_between(
                x, 0, 1, where=np.abs(slope) < 0.05, transform=row.get_xaxis_transform(), color=GRAY, alpha=0.18, lw=0
            )
    axes[0, 0].set_ylabel("activation(z)")
    axes[0, 0].set_ylim(-1.5, 3)
    axes[1, 0].set_ylabel("derivative")
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
    """Several quantities against layer or epoch, a band over seeds for each name, one panel for each quantity.

    Args:
        title: of the figure.
        panels: (title, label of x, label of y, {name: f[S, N]}) for each panel; one row for each seed. The line is the
            median, the band goes from the lowest to the highest. A name has one color in all panels.
        logarithmic: for each panel whether y is on a log scale.
        lines: for each panel horizontal lines to be marked, by name.
        first: where x starts.
        height: in inches.

    Returns:
        A figure.

    Example:
        >>> norms = np.random.default_rng(0).uniform(1, 2, (5, 8))  # five seeds, eight layers
        >>> figure = signals.bands("Signals", [("Norms", "layer", "norm", {"he": norms, "xavier": norms / 2})])
        >>> figure.axes[0].get_xlabel()
        'layer'
    """
    figure = new_figure(title, height)
    names = list(dict.fromkeys(name for panel in panels for name in panel[3]))
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for i, (axes, (caption, x_label, y_label, curves)) in enumerate(zip(row, panels, strict=True)):
        for name, values in curves.items():
            _band(axes, np.asarray(values, np.float64), first, names.index(name), name)
        if i < len(logarithmic) and logarithmic[i]:
            axes.set_yscale("log")
            label_decades(axes.yaxis)
        for text, level in lines[i].items() if i < len(lines) else ():
            axes.axhline(level, color=GRAY, linestyle=":")
            axes.annotate(
                text,
                (0.99, level),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                color=GRAY,
                fontsize=9,
            )
        axes.set(title=caption, xlabel=x_label, ylabel=y_label)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
    handles = {}
    for axes in row:
        handles.update(zip(axes.get_legend_handles_labels()[1], axes.get_legend_handles_labels()[0], strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 6))
    return figure


@matplotlib.rc_context(STYLE)
def layer_histograms(title: str, rows: Mapping[str, Sequence[ArrayLike]], layers: Sequence[int]) -> Figure:
    """Histograms of the activations of some layers: a row for each rule, a column for each layer.

    Args:
        title: of the figure.
        rows: for each rule its name and the values of each layer shown, any shape.
        layers: their numbers, as captions.

    Returns:
        A figure.

    Raises:
        ValueError: a rule has another number of layers.

    Example:
        >>> values = np.random.default_rng(0).normal(size=(3, 100))
        >>> figure = signals.layer_histograms("Activations", {"he": values, "0.01": values / 10}, layers=(1, 5, 10))
        >>> len(figure.axes)
        6
    """
    figure = new_figure(title, 0.9 + 1.45 * len(rows))
    axes = figure.subplots(len(rows), len(layers), sharex=True, squeeze=False)
    for i, (name, values) in enumerate(rows.items()):
        for j, (layer, number) in enumerate(zip(values, layers, strict=True)):
            flat = np.asarray(layer, np.float64).ravel()
            panel = axes[i, j]
            panel.hist(np.clip(flat, -1, 1), bins=41, range=(-1, 1), color=COLORS[i], density=True)
            panel.set_yticks([])
            panel.grid(False)
            panel.text(0.03, 0.97, f"std {flat.std():.2g}", transform=panel.transAxes, fontsize=8, va="top")
            panel.set_ylim(0, panel.get_ylim()[1] * 1.25)
            if i == 0:
                panel.set_title(f"layer {number}", fontsize=10)
        axes[i, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.supxlabel("activation; the height is scaled in each panel", fontsize=10)
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
    """Quantities against a hyper-parameter on a log scale, bands over seeds.

    Args:
        title: of the figure.
        x: f[H], the values of the hyper-parameter.
        panels: (title, label of y, {name: f[H, S]}) for each panel. What is not finite is left out.
        x_label: what x is.
        marks: vertical lines, by name.
        logarithmic: for each panel whether y is on a log scale.
        height: in inches.

    Returns:
        A figure.

    Example:
        >>> panels = [("Loss", "loss", {"sgd": np.array([[2.0, 1.9], [0.5, 0.6], [3.0, 4.0]])})]
        >>> figure = signals.against_rate("Learning rates", [0.01, 0.1, 1.0], panels, "learning rate")
        >>> figure.axes[0].get_xscale()
        'log'
    """
    figure = new_figure(title, height)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    place = np.asarray(x, np.float64)
    names = list(dict.fromkeys(name for panel in panels for name in panel[2]))
    for i, (axes, (caption, y_label, curves)) in enumerate(zip(row, panels, strict=True)):
        for name, values in curves.items():
            _band(axes, np.asarray(values, np.float64).T, 0, names.index(name), name, place)
        axes.set_xscale("log")
        if i < len(logarithmic) and logarithmic[i]:
            axes.set_yscale("log")
            label_decades(axes.yaxis)
        for j, (text, at) in enumerate((marks or {}).items()):
            axes.axvline(at, color=BLACK, linestyle=":", linewidth=1)
            axes.annotate(
                text,
                (at, 0.99 - 0.07 * j),
                xycoords=("data", "axes fraction"),
                xytext=(3, 0),
                textcoords="offset points",
                va="top",
                fontsize=9,
            )
        axes.set(title=caption, xlabel=x_label, ylabel=y_label)
    if len(names) > 1:
        figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(len(names), 6))
    return figure


def _band(axes: Axes, values: np.ndarray, first: int, index: int, name: str, x: np.ndarray | None = None) -> None:
    place = np.arange(first, first + values.shape[1]) if x is None else x
    shown = np.where(np.isfinite(values), values, np.nan)
    some = np.isfinite(shown).any(0)
    if not some.any():
        return
    place, shown = place[some], shown[:, some]
    color = COLORS[index % len(COLORS)]
    mark = "o" if len(place) <= 25 else ""
    axes.plot(
        place, np.nanmedian(shown, 0), color=color, linestyle=DASHES[index % len(DASHES)], marker=mark, ms=3, label=name
    )
    if len(shown) > 1:
        axes.fill_between(place, np.nanmin(shown, 0), np.nanmax(shown, 0), color=color, alpha=0.18, linewidth=0)
