"""What is in a data set of images: examples, counts, mean images and pixel values.

Examples start from:
    >>> from jaxnn.plots import dataset
"""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots.style import BLUE, GRAY, GREEN, ORANGE, STYLE, VERMILION, WIDTH, new_figure

__all__ = ["class_counts", "image_table", "pixel_values"]


@matplotlib.rc_context(STYLE)
def image_table(
    images: Sequence[ArrayLike], names: Sequence[str], title: str, captions: Sequence[Sequence[str]] | None = None
) -> Figure:
    """Rows of images, each row with its name: some examples of each class.

    Args:
        images: for each row `[K, H, W, C]` with C 1 or 3, the same H, W, C in all; rows may differ in K. Values are
            shown from 0 (or the smallest, if negative) to the largest of the row.
        names: one for each row.
        title: what is seen.
        captions: for each row a text for each image, written on it.

    Returns:
        A figure.

    Raises:
        ValueError: there are no rows, the shapes do not fit together, or the number of names or captions is wrong.

    Example:
        >>> digits = load("digits").train
        >>> rows = [digits.inputs[digits.labels == label][:5] for label in (0, 1)]
        >>> figure = dataset.image_table(rows, ["zero", "one"], "Five of each")
        >>> figure.get_suptitle()
        'Five of each'
    """
    rows = [np.asarray(row, np.float64) for row in images]
    shapes = {row.shape[1:] for row in rows}
    if len(shapes) != 1 or len(rows) != len(names) or any(row.ndim != 4 or not row.size for row in rows):
        raise ValueError(
            f"rows have shapes {[r.shape for r in rows]} and {len(names)} names, expected [K, H, W, C] and a name each"
        )
    high, wide, channels = next(iter(shapes))
    if channels not in (1, 3):
        raise ValueError(f"images have {channels} channels, expected 1 or 3")
    if captions is not None and [len(row) for row in captions] != [len(row) for row in rows]:
        raise ValueError(f"captions are {[len(row) for row in captions]} a row, expected {[len(row) for row in rows]}")
    label, most = 1.25, max(len(row) for row in rows)
    side = min((WIDTH - label - 0.1) / most, 2.0)
    step = side * high / wide
    height = 0.5 + step * len(rows)
    figure = new_figure(title, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, (height - 0.45) / height))
    axes.set_axis_off()
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        low = min(0.0, row.min())
        row = (row - low) / ((row.max() - low) or 1.0)
        y = (len(rows) - i - 1) * step
        axes.text(0.1, y + step / 2, name, va="center", fontsize=10)
        for k, image in enumerate(row):
            x, gap = label + k * side, 0.03 * side
            box = (x + gap, x + side - gap, y + gap, y + step - gap)
            shown = image if channels == 3 else image[..., 0]
            axes.imshow(shown, extent=box, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
            if captions is not None:
                paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2}
                axes.text(box[0] + gap, box[3] - gap, captions[i][k], ha="left", va="top", fontsize=8, bbox=paper)
    axes.set(xlim=(0, WIDTH), ylim=(0, height - 0.45))
    return figure


@matplotlib.rc_context(STYLE)
def class_counts(
    counts: Mapping[str, ArrayLike], names: Sequence[str], title: str = "Examples of each class"
) -> Figure:
    """How many examples of each class there are in each split.

    Args:
        counts: int[C] for each split, by its name; up to three.
        names: C class names.
        title: what is seen.

    Returns:
        A figure.

    Raises:
        ValueError: the counts are not one for each class.

    Example:
        >>> digits = load("digits")
        >>> counts = {"train": np.bincount(digits.train.labels), "test": np.bincount(digits.test.labels)}
        >>> figure = dataset.class_counts(counts, list("0123456789"))
        >>> figure.get_suptitle()
        'Examples of each class'
    """
    for split, values in counts.items():
        if np.shape(values) != (len(names),):
            raise ValueError(f"counts of {split} have shape {np.shape(values)}, expected ({len(names)},)")
    figure = new_figure(title, 4.0)
    axes = figure.add_subplot()
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
    """How often each pixel value occurs, in each split and channel, with the means.

    Args:
        histograms: for each split the shares f[channels, V] of the values 0 to V - 1.
        means: the mean of each split's channels, f[channels] each, marked by a line.
        title: what is seen.

    Returns:
        A figure.

    Raises:
        ValueError: the shapes do not fit together, or there are not one or three channels.

    Example:
        >>> inputs = load("digits").train.inputs
        >>> shares = np.bincount(inputs.ravel(), minlength=17)[None] / inputs.size
        >>> figure = dataset.pixel_values({"train": shares}, [[inputs.mean()]], "Pixel values of the digits")
        >>> figure.get_suptitle()
        'Pixel values of the digits'
    """
    tables = {split: np.asarray(h, np.float64) for split, h in histograms.items()}
    shapes = {h.shape for h in tables.values()}
    if len(shapes) != 1 or any(h.ndim != 2 or len(h) not in (1, 3) for h in tables.values()):
        raise ValueError(f"histograms have shapes {sorted(shapes)}, expected one [channels, V] with 1 or 3 channels")
    channels, size = next(iter(shapes))
    marks = [np.asarray(m, np.float64) for m in means]
    if [m.shape for m in marks] != [(channels,)] * len(tables):
        raise ValueError(f"means have shapes {[m.shape for m in marks]}, expected ({channels},) for each split")
    figure = new_figure(title, 3.6)
    panels = figure.subplots(1, channels, sharey=True, squeeze=False)[0]
    colors = (VERMILION, GREEN, BLUE) if channels == 3 else (BLUE,)
    for c, axes in enumerate(panels):
        for k, (split, table) in enumerate(tables.items()):
            dash = ("-", "--", ":")[k % 3]
            color = colors[c] if k == 0 else GRAY
            axes.step(
                np.arange(size), 100 * table[c], where="mid", color=color, linestyle=dash, linewidth=1.2, label=split
            )
            axes.axvline(marks[k][c], color=color, linestyle=dash, linewidth=0.8)
        axes.set_title(f"{('red', 'green', 'blue')[c] if channels == 3 else 'gray'}, mean {marks[0][c]:.1f}")
        axes.set_xlabel("pixel value")
    panels[0].set_ylim(0, 105 * max(float(table.max()) for table in tables.values()))
    panels[0].legend(loc="upper center")
    panels[0].set_ylabel("share of pixels (%)")
    return figure
