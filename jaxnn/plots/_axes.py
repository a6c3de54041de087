"""Helpers for axes that several modules share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxnn.plots._style import PIXELS, WIDTH, literal


def bare_figure(title: str, height: float) -> Figure:
    """A figure without a layout engine, its title 0.1 inches below the top: the caller places every axes."""
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS / WIDTH)
    figure.suptitle(literal(title), x=0.01, y=1 - 0.1 / height, ha="left", va="top", fontsize=13, fontweight="bold")
    return figure


def row_of_axes(figure: Figure, count: int, **options: Any) -> list[Axes]:
    """`count` axes side by side."""
    return list(figure.subplots(1, count, squeeze=False, **options)[0])


def annotate(axes: Axes, text: str, at: Any, offset: tuple[float, float], coords: Any = "data", **look: Any) -> None:
    """Text at a place in `coords`, moved by `offset` points."""
    axes.annotate(text, at, xycoords=coords, xytext=offset, textcoords="offset points", **look)


def arrow(axes: Axes, tail: Any, tip: Any, zorder: float = 3, **look: Any) -> None:
    """An arrow from tail to tip in data coordinates."""
    look = {"arrowstyle": "-|>", "linewidth": 2, "shrinkA": 0, "shrinkB": 0} | look
    axes.annotate("", tuple(tip), tuple(tail), arrowprops=look, zorder=zorder)


def label_decades(axis: Axis) -> None:
    """Label powers of ten on a logarithmic axis, and 2 and 5 between them if its limits span fewer than three."""
    low, high = sorted(axis.get_view_interval())
    if low > 0 and high < 1000 * low:
        axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def log_y(axes: Axes) -> None:
    """A logarithmic y axis with enough labels; call it after drawing."""
    axes.set_yscale("log")
    label_decades(axes.yaxis)


def unit_range(images: np.ndarray) -> np.ndarray:
    """Images scaled to end at 1; 0 stays 0 unless there are negative values."""
    low = min(0.0, images.min())
    return (images - low) / ((images.max() - low) or 1.0)


def visible_channels(images: np.ndarray) -> np.ndarray:
    """Images [..., H, W, C] with 1 or 3 channels: of 4 the last gray at the right, of others a mosaic."""
    *lead, high, wide, channels = images.shape
    if channels in (1, 3):
        return images
    if channels == 4:
        return np.concatenate([images[..., :3], np.repeat(images[..., 3:], 3, axis=-1)], axis=-2)
    columns = math.ceil(math.sqrt(channels))
    rows = -(-channels // columns)
    tiles = np.zeros((*lead, high, wide, rows * columns), images.dtype)
    tiles[..., :channels] = images
    tiles = np.moveaxis(tiles.reshape(*lead, high, wide, rows, columns), (-2, -1), (-4, -2))
    return tiles.reshape(*lead, rows * high, columns * wide, 1)


def show_image(axes: Axes, image: np.ndarray, **look: Any) -> None:
    """Show an image [H, W, C] with C 1 (gray) or 3."""
    axes.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray", interpolation="nearest", **look)


def show_signed(axes: Axes, values: np.ndarray, limit: float, **look: Any) -> AxesImage:
    """Show a matrix in colors from blue at -limit over white at 0 to red at limit."""
    return axes.imshow(values, **{"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest"} | look)


def count_of(n: int, noun: str) -> str:
    """A count with its noun: "1 epoch", "2 epochs"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
