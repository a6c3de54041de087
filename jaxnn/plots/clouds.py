"""Preprocessed data: clouds of points in the plane, and rows of images."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots.style import GRAY, ORANGE, STYLE, VERMILION, new_figure

__all__ = ["clouds", "image_rows"]


@matplotlib.rc_context(STYLE)
def clouds(forms: Mapping[str, ArrayLike]) -> Figure:
    """Several forms of the same points side by side, on the same axes, each with its mean and spread.

    Args:
        forms: for each panel its name and the points f[N, 2].

    Returns:
        A figure. The ellipse is two standard deviations along the principal directions; points have the same color
        in all panels, by their order along the first coordinate of the first form.

    Raises:
        ValueError: the points are not [N, 2].

    Example:
        >>> from jaxnn.plots.clouds import clouds
        >>> points = np.random.default_rng(0).normal(size=(50, 2)) + 3
        >>> figure = clouds({"raw": points, "centered": points - points.mean(0)})
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['raw', 'centered']
    """
    points = {name: np.asarray(values, np.float64) for name, values in forms.items()}
    for name, values in points.items():
        if values.ndim != 2 or values.shape[1] != 2 or len(values) < 2:
            raise ValueError(f"{name} has shape {values.shape}, expected points [N, 2] with N >= 2")
    reach = 1.05 * max(float(np.abs(values).max()) for values in points.values())
    order = np.argsort(np.argsort(next(iter(points.values()))[:, 0]))
    figure = new_figure("The same points in each form: mean (orange) and two standard deviations (red)", 3.0)
    row = figure.subplots(1, len(points), sharex=True, sharey=True, squeeze=False)[0]
    angle = np.linspace(0, 2 * np.pi, 100)
    for axes, (name, values) in zip(row, points.items(), strict=True):
        axes.scatter(*values.T, c=order, cmap="Blues", vmin=-len(order), s=5, linewidths=0)
        variance, vectors = np.linalg.eigh(np.cov(values.T))
        ring = vectors @ (2 * np.sqrt(np.maximum(variance, 0))[:, None] * np.stack([np.cos(angle), np.sin(angle)]))
        axes.plot(*(values.mean(0)[:, None] + ring), color=VERMILION)
        axes.plot(*values.mean(0), "o", color=ORANGE, markersize=7, markeredgecolor="white")
        axes.axhline(0, color=GRAY, linewidth=0.8)
        axes.axvline(0, color=GRAY, linewidth=0.8)
        axes.set(title=name, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="first coordinate")
    row[0].set_ylabel("second coordinate")
    return figure


@matplotlib.rc_context(STYLE)
def image_rows(rows: Mapping[str, ArrayLike], title: str) -> Figure:
    """The same images in several forms, one row for each; gray runs from the lowest to the highest value of the row.

    Args:
        rows: for each row its name and the images f[N, H, W], of one N.
        title: of the figure.

    Returns:
        A figure.

    Raises:
        ValueError: the rows have not the same shape.

    Example:
        >>> from jaxnn.plots.clouds import image_rows
        >>> images = np.arange(32.0).reshape(2, 4, 4)
        >>> figure = image_rows({"raw": images, "centered": images - images.mean(0)}, "Two images in two forms")
        >>> len(figure.axes)
        4
    """
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
