"""Which pixels promote a class and which inhibit it."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots.style import STYLE, WIDTH, new_figure

__all__ = ["attribution"]


@matplotlib.rc_context(STYLE)
def attribution(
    images: ArrayLike,
    parts: ArrayLike,
    captions: Sequence[Sequence[str]],
    title: str = "What each pixel adds to a score",
) -> Figure:
    """Images beside signed maps: red pixels raise the score, blue pixels lower it, white ones leave it.

    The color scale is one for all maps of a row, so that these can be compared; it ends at the 99th percentile.

    Args:
        images: `[N, H, W, C]` with C 1 or 3.
        parts: `f32[N, K, H, W]` or `[N, K, H, W, C]`, whose channels are added up: K maps for each image.
        captions: N rows of K + 1 texts, the first for the image.
        title: what is seen.

    Returns:
        A figure.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> from jaxnn.plots.attribution import attribution
        >>> images, parts = np.zeros((1, 8, 8, 1)), np.ones((1, 2, 8, 8))
        >>> figure = attribution(images, parts, [["a three", "for 3", "for 8"]])
        >>> [axes.get_title() for axes in figure.axes[:3]]
        ['a three', 'for 3', 'for 8']
    """
    x, maps = np.asarray(images, np.float64), np.asarray(parts, np.float64)
    maps = maps.sum(-1) if maps.ndim == 5 else maps
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or not len(x):
        raise ValueError(f"images have shape {x.shape}, expected [N, H, W, C] with 1 or 3 channels")
    if maps.ndim != 4 or maps.shape[:1] + maps.shape[2:] != x.shape[:3]:
        raise ValueError(f"parts have shape {np.shape(parts)}, expected {(len(x), 'K', *x.shape[1:3])}")
    count, columns = len(x), maps.shape[1] + 1
    if [len(row) for row in captions] != [columns] * count:
        raise ValueError(f"captions have {[len(row) for row in captions]} texts, expected {count} rows of {columns}")
    side = min(WIDTH / (columns + 0.4), 2.2)
    figure = new_figure(title, 0.5 + count * (side + 0.25))
    grid = figure.subplots(count, columns, squeeze=False)
    for i in range(count):
        picture = (x[i] - min(0.0, x[i].min())) / ((x[i].max() - min(0.0, x[i].min())) or 1.0)
        limit = np.percentile(np.abs(maps[i]), 99) or np.abs(maps[i]).max() or 1.0
        shown = None
        for j, axes in enumerate(grid[i]):
            axes.set_axis_off()
            axes.set_title(captions[i][j], fontsize=9, loc="center", pad=4)
            if j == 0:
                axes.imshow(picture if x.shape[-1] == 3 else picture[..., 0], cmap="gray", interpolation="nearest")
            else:
                shown = axes.imshow(maps[i, j - 1], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        if shown is not None:
            bar = figure.colorbar(shown, ax=list(grid[i]), shrink=0.8, aspect=12, pad=0.01, extend="both")
            bar.set_label("inhibits  ·  promotes", fontsize=8)
            bar.ax.tick_params(labelsize=8)
    return figure
