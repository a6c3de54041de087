"""Line plots: the learning curves of a run, named curves, and a metric over the values of one setting."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

from jaxnn.plots._axes import annotate, bare_figure, count_of, label_decades
from jaxnn.plots._style import BLUE, COLORS, DASHES, GRAY, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, new_figure


@matplotlib.rc_context(STYLE)
def learning_curves(history: Mapping[str, ArrayLike], best_epoch: int | None = None) -> Figure:
    """Loss, accuracy, norms and learning rate over the epochs, with the gap between training and validation.

    Args:
        history: f[epochs] under any of the keys `loss`, `accuracy` (over the training steps, with dropout and
            augmentation), `train_loss`, `train_accuracy`, `validation_loss`, `validation_accuracy` (in evaluation
            mode), `penalty`, `learning_rate`, `gradient_norm`, `parameter_norm`, `update_norm`. Other keys are ignored.
            Accuracies are fractions, 0 to 1.
        best_epoch: an epoch to mark, counted from 1.

    Returns: a figure. The gap is that between validation and training in evaluation mode, or as trained without it.

    Example:
        >>> history = {"loss": [2.3, 1.1, 0.6], "validation_loss": [2.0, 1.2, 0.9], "learning_rate": [0.1, 0.1, 0.1]}
        >>> figure = plots.learning_curves(history, best_epoch=3)
        >>> figure.get_suptitle().strip(), len(figure.axes)
        ('Learning curves over 3 epochs', 2)
    """
    kinds = ("", "train_", "validation_")
    names = {
        "loss": [f"{kind}loss" for kind in kinds],
        "accuracy": [f"{kind}accuracy" for kind in kinds],
        "norms": ["gradient_norm", "parameter_norm", "update_norm"],
        "learning rate": ["learning_rate"],
        "penalty": ["penalty"],
    }
    known = [key for keys in names.values() for key in keys]
    curves = {key: np.asarray(history[key], np.float64) for key in known if key in history}
    if not curves.keys() & set(names["loss"]):
        raise ValueError(f"history has the keys {sorted(history)}, expected at least one of {names['loss']}")
    shapes = {key: values.shape for key, values in curves.items()}
    epochs = next(iter(curves.values())).size
    if set(shapes.values()) != {(epochs,)} or epochs == 0:
        raise ValueError(f"history has the shapes {shapes}, expected [epochs] of one length for each, at least 1")
    if best_epoch is not None and not 1 <= best_epoch <= epochs:
        raise ValueError(f"best_epoch is {best_epoch}, expected 1 to {epochs}: epochs count from 1")

    drawn = {name: [key for key in keys if key in curves] for name, keys in names.items()}
    top = [name for name in ("loss", "accuracy") if drawn[name]]
    bottom = [name for name in ("norms", "learning rate", "penalty") if drawn[name]]
    height = 7.8 if bottom else 5.0
    figure = bare_figure(f"Learning curves over {count_of(epochs, 'epoch')}", height)
    # placed in inches: measuring the texts would take Matplotlib half of the drawing time
    left, right, above, below, gap, width = 0.75, 0.65, 0.9, 0.55, 1.0, figure.get_figwidth()
    place = {"left": left / width, "right": 1 - right / width, "top": 1 - above / height, "bottom": below / height}
    place["wspace"] = 4 * gap / (width - left - right - 3 * gap)
    place["hspace"] = 2 * gap / (height - above - below - gap)
    grid = figure.add_gridspec(2 if bottom else 1, 4, height_ratios=[5, 3] if bottom else None, **place)
    for row, panels in enumerate((top, bottom)):
        ends = {1: (0, 4), 2: (0, 2, 4), 3: (0, 2, 3, 4)}.get(len(panels), ())
        for name, first, last in zip(panels, ends[:-1], ends[1:], strict=True):
            axes = figure.add_subplot(grid[row, first:last])
            panel = {key: curves[key] for key in drawn[name]}
            if row == 0:
                _progress(axes, name, panel, best_epoch)
            else:
                _log_panel(axes, name, panel)
    seen = {}
    for axes in figure.axes[: len(top)]:
        handles, labels = axes.get_legend_handles_labels()
        seen.update(zip(labels, handles, strict=True))
    figure.legend(seen.values(), seen.keys(), loc="upper left", bbox_to_anchor=(0, 1 - 0.25 / height), ncols=5)
    return figure


def _progress(axes: Axes, name: str, panel: Mapping[str, np.ndarray], best_epoch: int | None) -> None:
    """Training and validation with the gap shaded, its last value next to the last point."""
    scale = 100.0 if name == "accuracy" else 1.0
    looks = {
        name: ("training, as trained", SKY, "--"),
        f"train_{name}": ("training, evaluated", BLUE, "-"),
        f"validation_{name}": ("validation", VERMILION, "-"),
    }
    for key, values in panel.items():
        label, color, dash = looks[key]
        _curve(axes, values * scale, label=label, color=color, linestyle=dash)
    train = panel.get(f"train_{name}", panel.get(name))
    validation = panel.get(f"validation_{name}")
    if train is not None and validation is not None:
        low, high = train * scale, validation * scale
        epochs = np.arange(1, len(low) + 1)
        axes.fill_between(epochs, low, high, color=VERMILION, alpha=0.15, linewidth=0, label="gap")
        both = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
        if both.size:
            last = both[-1]
            gap = high[last] - low[last] if name == "loss" else low[last] - high[last]
            axes.vlines(epochs[last], low[last], high[last], color=VERMILION, linewidth=1)
            text = f"gap\n{gap:.3g}" if name == "loss" else f"gap\n{gap:.1f}\npoints"
            at, look = (1.0, (low[last] + high[last]) / 2), {"color": VERMILION, "annotation_clip": False}
            annotate(axes, text, at, (5, 0), axes.get_yaxis_transform(), va="center", **look)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=GRAY, linestyle=":", label=f"best epoch, {best_epoch}")
    axes.set_title("Loss, mean over examples" if name == "loss" else "Accuracy")
    axes.set_ylabel("loss" if name == "loss" else "accuracy (%)")


def _log_panel(axes: Axes, name: str, panel: Mapping[str, np.ndarray]) -> None:
    """Curves on a log scale, which omits zeros; the last values are written out."""
    colors = {"gradient_norm": ORANGE, "parameter_norm": GREEN, "update_norm": PURPLE}
    titles = {"norms": "l2 norms, and their last values", "learning rate": "Learning rate", "penalty": "Penalty"}
    several, title = len(panel) > 1, titles[name]
    positive = np.concatenate([values[values > 0] for values in panel.values()])
    for key, values in panel.items():
        label = f"{key.split('_')[0]} {values[-1]:.2g}"
        shown = np.where(values > 0, values, np.nan) if positive.size else values
        _curve(axes, shown, label=label, color=colors.get(key, "black"))
        title = title if several else f"{title}\nlast {values[-1]:.3g}"
    if positive.size:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        if positive.max() < 10 * positive.min():  # less than a decade: make room for a labeled power of ten
            axes.set_ylim(positive.min() / 4, positive.max() * 4)
    axes.set_title(title, pad=22 if several else 6)
    axes.set_ylabel("norm" if several else name)
    if several:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 0.97), ncols=3, columnspacing=0.8, handlelength=1.0)


def _curve(axes: Axes, values: np.ndarray, **look: Any) -> None:
    epochs = len(values)
    axes.plot(np.arange(1, epochs + 1), values, marker="o" if epochs <= 20 else "", **look)
    margin = 0.03 * epochs
    axes.set_xlim(1 - margin if epochs <= 20 else 1, epochs + margin)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")


@matplotlib.rc_context(STYLE)
def curves(
    x: ArrayLike,
    lines: Mapping[str, ArrayLike],
    title: str,
    labels: tuple[str, str],
    *,
    log: tuple[bool, bool] = (False, False),
    marks: Mapping[str, float] | None = None,
    points: Mapping[str, ArrayLike] | None = None,
    height: float = 4.2,
) -> Figure:
    """Named curves over one axis, distinguished by color and dash; non-finite values become crosses at the top.

    Args:
        x: f[N].
        lines: f[N] for each curve.
        title: of the figure.
        labels: of the two axes, with units.
        log: whether each axis is logarithmic.
        marks: text and x of vertical lines.
        points: f[N] for each set of markers without a line.
        height: in inches.

    Returns: a figure.

    Example:
        >>> p = np.linspace(0.01, 1, 50)
        >>> figure = plots.curves(p, {"softmax": -np.log(p)}, "The loss of a probability", ("probability", "loss"))
        >>> figure.axes[0].get_xlabel()
        'probability'
    """
    x, points = np.asarray(x, np.float64), points or {}
    for name, values in {**lines, **points}.items():
        if np.shape(values) != x.shape or x.ndim != 1:
            raise ValueError(f"{name!r} has shape {np.shape(values)}, expected {x.shape}, one axis, as x")
    figure = new_figure(title, height)
    axes = figure.add_subplot()
    axes.set(xscale="log" if log[0] else "linear", yscale="log" if log[1] else "linear")
    for axis in [axis for axis, logarithmic in zip((axes.xaxis, axes.yaxis), log, strict=True) if logarithmic]:
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    for i, (name, values) in enumerate(lines.items()):
        y = np.asarray(values, np.float64)
        color = COLORS[i % len(COLORS)]
        axes.plot(x, np.where(np.isfinite(y), y, np.nan), DASHES[i % 4], color=color, label=name)
        if not np.isfinite(y).all():
            bad = x[~np.isfinite(y)]
            axes.plot(bad, np.ones(len(bad)), "x", color=color, transform=axes.get_xaxis_transform(), clip_on=False)
    for i, (name, values) in enumerate(points.items()):
        marker = "os^Dv"[i % 5]
        axes.plot(x, values, marker, color=COLORS[i % len(COLORS)], label=name, markerfacecolor="none", markersize=7)
    for text, place in (marks or {}).items():
        axes.axvline(place, color=GRAY, linewidth=1, linestyle=":")
        annotate(axes, text, (place, 0.98), (4, 0), axes.get_xaxis_transform(), va="top", fontsize=9, color=GRAY)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.margins(x=0.01 if not points else 0.05)
    if log[1]:
        label_decades(axes.yaxis)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=_legend_columns([*lines, *points]))
    return figure


def _legend_columns(names: Sequence[str], most: int = 4, room: int = 100) -> int:
    """Columns of a legend that is filled column by column: as many as fit into `room` letters."""
    for count in range(most, 1, -1):
        rows = math.ceil(len(names) / count)
        if sum(max(len(name) for name in names[i : i + rows]) + 8 for i in range(0, len(names), rows)) <= room:
            return count
    return 1


@matplotlib.rc_context(STYLE)
def spread_line(
    values: ArrayLike, setting: tuple[str, Sequence[float]], metric: str, best: int | None = None, *, log: bool = False
) -> Figure:
    """A metric over the values of one setting: each seed as a point, their mean as a line.

    Args:
        values: f[V, S], for each value of the setting and each seed; NaN for runs that diverged.
        setting: its name and its V values.
        metric: its name, with the unit.
        best: index of the value to mark.
        log: whether the axis of the setting is logarithmic.

    Returns: a figure.

    Example:
        >>> accuracy = [[91.2, 92.0], [95.1, 94.4], [90.0, np.nan]]
        >>> figure = plots.spread_line(accuracy, ("learning rate", [0.01, 0.1, 1.0]), "accuracy (%)", best=1, log=True)
        >>> figure.axes[0].get_xscale()
        'log'
    """
    v, x = np.asarray(values, np.float64), np.asarray(setting[1], np.float64)
    if v.ndim != 2 or v.shape[0] != len(x) or v.size == 0:
        raise ValueError(f"values have shape {v.shape}, expected [{len(x)}, seeds] as named")
    figure = new_figure(f"{metric} by {setting[0]}", 5.0)
    axes = figure.add_subplot()
    axes.plot(np.repeat(x, v.shape[1]), v.ravel(), "o", color=BLUE, alpha=0.4, label="each seed")
    axes.plot(x, v.mean(axis=1), color=BLUE, label="mean")
    if best is not None:
        axes.axvline(x[best], color=VERMILION, linestyle="--", label=f"best: {x[best]:.3g}")
    if log:
        axes.set_xscale("log")
    axes.set(xlabel=setting[0], ylabel=metric)
    axes.legend()
    return figure
