"""An image with what its pixels add to a score drawn over it."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots.style import PIXELS, STYLE, WIDTH

__all__ = ["overlay"]


@matplotlib.rc_context(STYLE)
def overlay(original: ArrayLike, seen: ArrayLike, maps: ArrayLike, captions: Sequence[str], title: str) -> Figure:
    """A picture, the image that a model sees of it, and that image under signed maps: red raises a score, blue lowers.

    The stronger a pixel counts, the more its color covers the image, which is gray below. The color scale is one for
    all maps and ends at the largest absolute value.

    Args:
        original: `[h, w, c]`, values from 0 to 1, c 1 or 3, of any size.
        seen: `[H, W, C]`, values from 0 to 1, C 1 or 3.
        maps: `f32[K, H, W]`.
        captions: K + 2 texts: of the picture, of the image, of each map.
        title: above all.

    Returns:
        A figure.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> from jaxnn.plots.overlay import overlay
        >>> picture, seen, maps = np.ones((20, 20, 3)), np.ones((8, 8, 1)), np.ones((1, 8, 8))
        >>> figure = overlay(picture, seen, maps, ["a photo", "what is seen of it", "for cat"], "A picture")
        >>> len([axes for axes in figure.axes if axes.images])
        3
    """
    pictures = [np.asarray(a, np.float64) for a in (original, seen)]
    parts = np.asarray(maps, np.float64)
    if any(picture.ndim != 3 or picture.shape[-1] not in (1, 3) for picture in pictures):
        raise ValueError(f"overlay: images have shapes {[p.shape for p in pictures]}, expected [H, W, C], C 1 or 3")
    if parts.ndim != 3 or parts.shape[1:] != pictures[1].shape[:2] or len(captions) != len(parts) + 2:
        raise ValueError(
            f"overlay: maps of shape {parts.shape} and {len(captions)} captions do not fit images of "
            f"{pictures[1].shape[:2]}: expected [K, H, W] and K + 2"
        )
    columns = len(parts) + 2
    side = (WIDTH - 0.1 * (columns + 1)) / columns
    height = side + 1.6
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS / WIDTH)
    figure.suptitle(title, x=0.01, y=1 - 0.1 / height, ha="left", va="top", fontsize=13, fontweight="bold")
    limit = float(np.abs(parts).max()) or 1.0
    shown = None
    for j, caption in enumerate(captions):
        box = ((0.1 + j * (side + 0.1)) / WIDTH, 0.65 / height, side / WIDTH, side / height)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        axes.set_title(caption, fontsize=9, loc="center", pad=4)
        if j < 2:
            picture = pictures[j].clip(0, 1)
            axes.imshow(np.broadcast_to(picture, (*picture.shape[:2], 3)), interpolation="nearest")
            continue
        axes.imshow(0.35 + 0.5 * pictures[1].mean(-1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        strength = (np.abs(parts[j - 2]) / limit) ** 0.5
        shown = axes.imshow(
            parts[j - 2], cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.9 * strength, interpolation="nearest"
        )
    if shown is not None:
        place = figure.add_axes((0.5, 0.42 / height, 0.48, 0.12 / height))
        bar = figure.colorbar(ScalarMappable(shown.norm, shown.cmap), cax=place, orientation="horizontal")
        bar.set_label("added to the score: blue inhibits, red promotes", fontsize=9)
    return figure
