"""Data sets: class counts, pixel values, and the effect of preprocessing on points and images."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots._axes import row_of_axes
from jaxnn.plots._style import BLUE, GRAY, GREEN, ORANGE, STYLE, VERMILION, literal, new_figure

__all__ = ["class_counts", "clouds", "image_rows", "pixel_values"]


@matplotlib.rc_context(STYLE)
def class_counts(
    counts: Mapping[str, ArrayLike], names: Sequence[str], title: str = "Examples of each class"
) -> Figure:
    """The number of examples of each class in each split."""
    for split, values in counts.items():
        if np.shape(values) != (len(names),):
            raise ValueError(f"counts of {split} have shape {np.shape(values)}, expected ({len(names)},)")
    figure = new_figure(title, 4.0)
    axes = figure.add_subplot()
    names = [literal(name, 24) for name in names]
    colors, width = (BLUE, ORANGE, GREEN), 0.8 / max(1, len(counts))
    for k, (split, values) in enumerate(counts.items()):
        place = np.arange(len(names)) + (k - (len(counts) - 1) / 2) * width
        bars = axes.bar(place, np.asarray(values), width, color=colors[k % 3], label=f"{split}, {np.sum(values):,}")
        if len(names) <= 12:
            axes.bar_label(bars, [f"{v:,}" for v in np.asarray(values)], fontsize=8, padding=2)
    few = len(names) <= 12
    axes.set_xticks(range(len(names)), names, rotation=0 if few else 90, fontsize=9 if few else 6)
    axes.set_ylabel("number of examples")
    axes.grid(False, axis="x")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3)
    return figure


@matplotlib.rc_context(STYLE)
def pixel_values(histograms: Mapping[str, ArrayLike], means: Sequence[ArrayLike], title: str) -> Figure:
    """The distribution of the pixel values in each split and channel, with the means."""
    tables = {split: np.asarray(h, np.float64) for split, h in histograms.items()}
    shapes = {h.shape for h in tables.values()}
    if len(shapes) != 1 or any(h.ndim != 2 or not h.size for h in tables.values()):
        raise ValueError(f"histograms have shapes {sorted(shapes)}, expected one [channels, V]")
    channels, size = next(iter(shapes))
    marks = [np.asarray(m, np.float64) for m in means]
    if [m.shape for m in marks] != [(channels,)] * len(tables):
        raise ValueError(f"means have shapes {[m.shape for m in marks]}, expected ({channels},) for each split")
    figure = new_figure(title, 3.6)
    panels = row_of_axes(figure, channels, sharey=True)
    colors = (VERMILION, GREEN, BLUE) if channels == 3 else (BLUE,)
    for c, axes in enumerate(panels):
        for k, (split, table) in enumerate(tables.items()):
            dash = ("-", "--", ":")[k % 3]
            color = colors[c] if k == 0 else GRAY
            look: Any = {"color": color, "linestyle": dash}
            axes.step(np.arange(size), 100 * table[c], where="mid", linewidth=1.2, label=split, **look)
            axes.axvline(marks[k][c], linewidth=0.8, **look)
        colored = ("red", "green", "blue", "alpha") if channels in (3, 4) else None
        name = colored[c] if colored else "gray" if channels == 1 else f"channel {c}"
        axes.set_title(f"{name}, mean {marks[0][c]:.1f}")
        axes.set_xlabel("pixel value")
    panels[0].set_ylim(0, 105 * max(float(table.max()) for table in tables.values()))
    panels[0].legend(loc="upper center")
    panels[0].set_ylabel("share of pixels (%)")
    return figure


@matplotlib.rc_context(STYLE)
def clouds(forms: Mapping[str, ArrayLike]) -> Figure:
    """The same points before and after preprocessing, on equal axes, each form with its mean and spread."""
    points = {name: np.asarray(values, np.float64) for name, values in forms.items()}
    for name, values in points.items():
        if values.ndim != 2 or values.shape[1] != 2 or len(values) < 2:
            raise ValueError(f"{name} has shape {values.shape}, expected points [N, 2] with N >= 2")
    reach = 1.15 * max(float(np.percentile(np.abs(values), 99)) for values in points.values())
    order = np.argsort(np.argsort(next(iter(points.values()))[:, 0]))
    columns = min(3, len(points))  # not smaller than a third of the width
    rows = -(-len(points) // columns)
    title = "The same points in each form: mean (orange) and two standard deviations (red)"
    figure = new_figure(title, 0.4 + 3.3 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    angle = np.linspace(0, 2 * np.pi, 100)
    for axes, (name, values) in zip(grid, points.items(), strict=False):
        axes.scatter(*values.T, c=order, cmap="Blues", vmin=-len(order), s=9, linewidths=0)
        variance, vectors = np.linalg.eigh(np.cov(values.T))
        ring = vectors @ (2 * np.sqrt(np.maximum(variance, 0))[:, None] * np.stack([np.cos(angle), np.sin(angle)]))
        axes.plot(*(values.mean(0)[:, None] + ring), color=VERMILION)
        axes.plot(*values.mean(0), "o", color=ORANGE, markersize=7, markeredgecolor="white")
        axes.axhline(0, color=GRAY, linewidth=0.8)
        axes.axvline(0, color=GRAY, linewidth=0.8)
        axes.set(title=name, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="first coordinate")
        axes.set_ylabel("second coordinate")
        axes.label_outer()
    for axes in grid[len(points) - columns : len(points)]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("first coordinate")
    for axes in grid[len(points) :]:
        axes.set_axis_off()
    return figure


@matplotlib.rc_context(STYLE)
def image_rows(rows: Mapping[str, ArrayLike], title: str) -> Figure:
    """The same images before and after preprocessing, one row for each form, on a gray scale of its own."""
    images = {name: np.asarray(values, np.float64) for name, values in rows.items()}
    shapes = {values.shape for values in images.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise ValueError(f"rows have the shapes {sorted(shapes)}, expected one shape [N, H, W]")
    count = next(iter(shapes))[0]
    figure = new_figure(title, 0.7 + 0.98 * len(images))
    grid = figure.subplots(len(images), count, squeeze=False)
    for row, (name, values) in zip(grid, images.items(), strict=True):
        for axes, image in zip(row, values, strict=True):
            axes.imshow(image, cmap="gray", vmin=values.min(), vmax=values.max(), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)
            for side in axes.spines.values():
                side.set_visible(False)
        label = f"{name}\n{values.min():.2g} to {values.max():.2g}"
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    return figure
