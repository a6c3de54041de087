"""Images: templates, mistakes, attribution maps, and tables of examples."""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots._axes import bare_figure, count_of, show_image, show_signed, unit_range, visible_channels
from jaxnn.plots._style import STYLE, WIDTH, literal, new_figure

__all__ = ["attribution", "image_table", "mistakes", "overlay", "templates"]


@matplotlib.rc_context(STYLE)
def templates(
    weights: ArrayLike, names: Sequence[str] | None = None, limit: int = 64, title: str | None = None
) -> Figure:
    """Weights as images: the class templates of a linear classifier, or the weights of the first layer.

    Each template is divided by its largest absolute weight; zero is white for one channel and gray,
    `0.5 + 0.5 * w / max |w|`, for three. Of four channels the last stands gray beside the others; other numbers of
    channels are shown side by side.

    Args:
        weights: f[K, H, W, C].
        names: K captions; by default the indices.
        limit: number of templates drawn; if there are more, those of largest l2 norm, largest first.
        title: of the figure; by default their number.

    Returns: a figure.

    Example:
        >>> params = models.linear((8, 8, 1), 3).init(jax.random.key(0))
        >>> figure = plots.templates(params[0]["w"].reshape(3, 8, 8, 1), ["cat", "car", "frog"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['cat', 'car', 'frog']
    """
    w = np.asarray(weights, np.float64)
    if w.ndim != 4 or 0 in w.shape:
        raise ValueError(
            f"weights have shape {w.shape}, expected [K, H, W, C]; reshape rows of W[K, H * W * C] to images first"
        )
    if not np.isfinite(w).all():
        raise ValueError("weights hold nan or infinity, expected finite numbers: training has diverged")
    count = len(w)
    if names is not None and len(names) != count:
        raise ValueError(f"names has {len(names)} entries, expected {count}, one for each template")
    if limit < 1:
        raise ValueError(f"limit is {limit}, expected at least 1")
    order = np.arange(count)
    some = f"Weights as images: {count_of(count, 'template')}"
    if count > limit:
        order = np.argsort(-np.sqrt(np.square(w).sum(axis=(1, 2, 3))), kind="stable")[:limit]
        some = f"Weights as images: {limit} of {count} shown, largest norm first"
    columns = min(8, max(5, len(order))) if len(order) > 10 else 5
    w = visible_channels(w)
    footer = 0.4 if w.shape[-1] == 3 else 0.8
    captions = [literal(names[i], 26) if names is not None else f"{i}" for i in order.tolist()]
    axes, boxes = _image_grid(title or some, captions, w.shape[1:3], columns, footer=footer)
    figure, shown = axes.figure, None
    for box, index in zip(boxes, order.tolist(), strict=True):
        scaled = w[index] / (np.abs(w[index]).max() or 1.0)
        if w.shape[-1] == 1:
            shown = show_signed(axes, scaled[..., 0], 1, extent=box, aspect="auto")
        else:
            axes.imshow(0.5 + 0.5 * scaled, interpolation="nearest", extent=box, aspect="auto")
    if shown is not None:
        height = figure.get_figheight()
        place = figure.add_axes((0.02, 0.55 / height, 0.96, 0.15 / height))
        bar = figure.colorbar(shown, cax=place, orientation="horizontal", ticks=[-1, 0, 1])
        bar.set_label("weight, in units of the largest absolute weight of its template")
    else:
        figure.supxlabel("gray is a weight of 0; each template is scaled to its largest absolute weight", fontsize=10)
    return figure


@matplotlib.rc_context(STYLE)
def mistakes(
    images: ArrayLike, labels: ArrayLike, predictions: ArrayLike, probabilities: ArrayLike, names: Sequence[str]
) -> Figure:
    """Misclassified images, each with its class, the predicted class and the probability of that; maybe right ones too.

    All images share one scale, from 0 (or the smallest value, if negative) to their largest value.

    Args:
        images: [N, H, W, C], or [N, H, W], any dtype; the first 25 are shown.
        labels: int[N], the true classes.
        predictions: int[N], the predicted classes.
        probabilities: f[N], 0 to 1, of the predicted classes.
        names: of the classes.

    Returns: a figure, also if there are no mistakes.

    Example:
        >>> images = np.zeros((2, 8, 8), np.uint8)
        >>> figure = plots.mistakes(images, [0, 1], [1, 0], [0.98, 0.51], ["cat", "dog"])
        >>> len(figure.axes[0].images)
        2
    """
    x, true, taken, sure = (np.asarray(values) for values in (images, labels, predictions, probabilities))
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4:
        raise ValueError(f"images have shape {x.shape}, expected [N, H, W, C] or [N, H, W]")
    count = len(x)
    for name, values in (("labels", true), ("predictions", taken), ("probabilities", sure)):
        if values.shape != (count,):
            raise ValueError(f"{name} have shape {values.shape}, expected ({count},), one for each image")
    if not count:
        figure = new_figure("No mistakes", 2.0)
        figure.text(0.5, 0.4, "Every example was classified correctly.", ha="center", fontsize=12)
        return figure
    classes = np.concatenate([true, taken])
    if classes.min() < 0 or classes.max() >= len(names):
        raise ValueError(
            f"classes run from {classes.min()} to {classes.max()}, expected 0 to {len(names) - 1} as named"
        )
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError(f"probabilities run from {sure.min()} to {sure.max()}, expected 0 to 1")

    shown, wrong = min(count, 25), int((true != taken).sum())
    title = "Most confident mistakes" + (f": {shown} of {wrong} shown" if wrong > shown else f": {wrong}")
    if wrong < count:
        mistaken = f"{count_of(wrong, 'mistake')}, then" if wrong else "No mistakes;"
        title = f"{mistaken} the least certain right answers"
    names = [literal(name, 30) for name in names]
    captions = [
        f"{names[i]}, right" if i == j else f"{names[i]} taken for {names[j]}"
        for i, j in zip(true[:shown], taken[:shown], strict=True)
    ]
    captions = [textwrap.fill(f"{text}, {100 * p:.0f}\u00a0%", 26) for text, p in zip(captions, sure, strict=False)]
    x = visible_channels(unit_range(x[:shown].astype(np.float64)))
    lines = max(2, *(text.count("\n") + 1 for text in captions))
    axes, boxes = _image_grid(title, captions, x.shape[1:3], columns=5, lines=lines)
    for image, box in zip(x, boxes, strict=True):
        show_image(axes, image, vmin=0, vmax=1, extent=box, aspect="auto")
    return axes.figure


@matplotlib.rc_context(STYLE)
def attribution(
    images: ArrayLike,
    parts: ArrayLike,
    captions: Sequence[Sequence[str]],
    title: str = "What each pixel adds to a score",
) -> Figure:
    """Images next to signed maps: red pixels raise the score, blue pixels lower it.

    The maps of a row share one color scale, which ends at the 99th percentile.

    Args:
        images: f[N, H, W, C].
        parts: f[N, K, H, W], K maps for each image, or f[N, K, H, W, C], summed over channels.
        captions: N rows of K + 1 texts, the first for the image.
        title: of the figure.

    Returns: a figure.

    Example:
        >>> images, parts = np.zeros((1, 8, 8, 1)), np.ones((1, 2, 8, 8))
        >>> figure = plots.attribution(images, parts, [["a three", "for 3", "for 8"]])
        >>> [axes.get_title() for axes in figure.axes[:3]]
        ['a three', 'for 3', 'for 8']
    """
    x, maps = np.asarray(images, np.float64), np.asarray(parts, np.float64)
    maps = maps.sum(-1) if maps.ndim == 5 else maps
    if x.ndim != 4 or not len(x):
        raise ValueError(f"images have shape {x.shape}, expected [N, H, W, C]")
    if maps.ndim != 4 or maps.shape[:1] + maps.shape[2:] != x.shape[:3]:
        raise ValueError(f"parts have shape {np.shape(parts)}, expected {(len(x), 'K', *x.shape[1:3])}")
    count, columns = len(x), maps.shape[1] + 1
    if [len(row) for row in captions] != [columns] * count:
        raise ValueError(f"captions have {[len(row) for row in captions]} texts, expected {count} rows of {columns}")
    side = min(WIDTH / (columns + 0.4), 2.2)
    figure = new_figure(title, 0.5 + count * (side + 0.25))
    grid = figure.subplots(count, columns, squeeze=False)
    for i in range(count):
        limit = np.percentile(np.abs(maps[i]), 99) or np.abs(maps[i]).max() or 1.0
        shown = None
        for j, axes in enumerate(grid[i]):
            axes.set_axis_off()
            axes.set_title(literal(captions[i][j]), fontsize=9, loc="center", pad=4)
            if j == 0:
                show_image(axes, visible_channels(unit_range(x[i])))
            else:
                shown = show_signed(axes, maps[i, j - 1], limit)
        if shown is not None:
            bar = figure.colorbar(shown, ax=list(grid[i]), shrink=0.8, aspect=12, pad=0.01, extend="both")
            bar.set_label("inhibits  ·  promotes", fontsize=8)
            bar.ax.tick_params(labelsize=8)
    return figure


@matplotlib.rc_context(STYLE)
def overlay(original: ArrayLike, seen: ArrayLike, maps: ArrayLike, captions: Sequence[str], title: str) -> Figure:
    """A picture, the model's input made from it, and that input under signed maps: red raises a score, blue lowers it.

    The larger the contribution of a pixel, the more opaque its color. All maps share one color scale.

    Args:
        original: f[h, w, c], values from 0 to 1, of any size.
        seen: f[H, W, C], values from 0 to 1.
        maps: f[K, H, W].
        captions: K + 2 texts, for the picture, the input and each map.
        title: of the figure.

    Returns: a figure.

    Example:
        >>> picture, seen, maps = np.ones((20, 20, 3)), np.ones((8, 8, 1)), np.ones((1, 8, 8))
        >>> figure = plots.overlay(picture, seen, maps, ["a photo", "the input", "for cat"], "A picture")
        >>> len([axes for axes in figure.axes if axes.images])
        3
    """
    pictures = [np.asarray(a, np.float64) for a in (original, seen)]
    parts = np.asarray(maps, np.float64)
    if any(picture.ndim != 3 for picture in pictures):
        raise ValueError(f"overlay: images have shapes {[p.shape for p in pictures]}, expected [H, W, C]")
    if parts.ndim != 3 or parts.shape[1:] != pictures[1].shape[:2] or len(captions) != len(parts) + 2:
        raise ValueError(
            f"overlay: maps of shape {parts.shape} and {len(captions)} captions do not fit images of "
            f"{pictures[1].shape[:2]}: expected [K, H, W] and K + 2"
        )
    columns = len(parts) + 2
    side = (WIDTH - 0.1 * (columns + 1)) / columns
    height = side + 1.6
    figure = bare_figure(title, height)
    limit = float(np.abs(parts).max()) or 1.0
    shown = None
    for j, caption in enumerate(captions):
        box = ((0.1 + j * (side + 0.1)) / WIDTH, 0.65 / height, side / WIDTH, side / height)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        axes.set_title(literal(caption), fontsize=9, loc="center", pad=4)
        if j < 2:
            picture = visible_channels(pictures[j].clip(0, 1))
            axes.imshow(np.broadcast_to(picture, (*picture.shape[:2], 3)), interpolation="nearest")
            continue
        axes.imshow(0.35 + 0.5 * pictures[1].mean(-1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        strength = (np.abs(parts[j - 2]) / limit) ** 0.5
        shown = show_signed(axes, parts[j - 2], limit, alpha=0.9 * strength)
    if shown is not None:
        place = figure.add_axes((0.5, 0.42 / height, 0.48, 0.12 / height))
        bar = figure.colorbar(ScalarMappable(shown.norm, shown.cmap), cax=place, orientation="horizontal")
        bar.set_label("added to the score: blue inhibits, red promotes", fontsize=9)
    return figure


@matplotlib.rc_context(STYLE)
def image_table(
    images: Sequence[ArrayLike], names: Sequence[str], title: str, captions: Sequence[Sequence[str]] | None = None
) -> Figure:
    """Named rows of images, such as examples of each class.

    Args:
        images: f[K, H, W, C] for each row; rows may differ in K alone. Values are scaled in each row from
            0 (or the smallest, if negative) to the largest.
        names: one for each row.
        title: of the figure.
        captions: for each row a text on each image.

    Returns: a figure.

    Example:
        >>> digits = load("digits").train
        >>> rows = [digits.inputs[digits.labels == label][:5] for label in (0, 1)]
        >>> figure = plots.image_table(rows, ["zero", "one"], "Five of each")
        >>> figure.get_suptitle()
        'Five of each'
    """
    rows = [np.asarray(row, np.float64) for row in images]
    shapes = {row.shape[1:] for row in rows}
    if len(shapes) != 1 or len(rows) != len(names) or any(row.ndim != 4 or not row.size for row in rows):
        raise ValueError(
            f"rows have shapes {[r.shape for r in rows]} and {len(names)} names, expected [K, H, W, C] and a name each"
        )
    if captions is not None and [len(row) for row in captions] != [len(row) for row in rows]:
        raise ValueError(f"captions are {[len(row) for row in captions]} a row, expected {[len(row) for row in rows]}")
    rows = [visible_channels(row) for row in rows]
    high, wide = rows[0].shape[1:3]
    label, most = 1.25, max(len(row) for row in rows)
    side = min((WIDTH - label - 0.1) / most, 2.0)
    step = side * high / wide
    height = 0.5 + step * len(rows)
    figure = new_figure(title, height, layout=False)
    axes = figure.add_axes((0, 0, 1, (height - 0.45) / height))
    axes.set_axis_off()
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = (len(rows) - i - 1) * step
        axes.text(0.1, y + step / 2, literal(name, 18), va="center", fontsize=10)
        for k, image in enumerate(unit_range(row)):
            x, gap = label + k * side, 0.03 * side
            box = (x + gap, x + side - gap, y + gap, y + step - gap)
            show_image(axes, image, extent=box, vmin=0, vmax=1, aspect="auto")
            if captions is not None:
                paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2}
                axes.text(
                    box[0] + gap, box[3] - gap, literal(captions[i][k], 40), ha="left", va="top", fontsize=8, bbox=paper
                )
    axes.set(xlim=(0, WIDTH), ylim=(0, height - 0.45))
    return figure


def _image_grid(
    title: str, captions: Sequence[str], shape: tuple[int, ...], columns: int, lines: int = 1, footer: float = 0.0
) -> tuple[Any, list[tuple[float, float, float, float]]]:
    """One axes in inches, since axes take Matplotlib longer than images; captions, and the extents of the images."""
    side, line, top = WIDTH / columns, 0.18, 0.45  # inches
    step = side + line * lines
    height = top + -(-len(captions) // columns) * step + footer
    axes = bare_figure(title, height).add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    high, wide = (0.92 * side * pixels / max(shape) for pixels in shape)
    boxes = []
    for i, caption in enumerate(captions):
        row, column = divmod(i, columns)
        x, y = (column + 0.5) * side, height - top - (row + 1) * step + 0.5 * side
        boxes.append((x - wide / 2, x + wide / 2, y - high / 2, y + high / 2))
        axes.text(x, y + high / 2 + 0.04, caption, fontsize=9, ha="center", va="bottom")
    return axes, boxes
