"""The form of a data set's images, measured from the training images, and other pictures brought into it.

Images of drawn figures, such as digits, have ink of one polarity on a uniform background, cropped and scaled alike.
A classifier of such images sees nothing in a picture of another form: `fit` gives a picture the measured one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from experiments.cli import files

FILE = "form.npz"
STEPS = ("polarity", "crop", "stroke")
MEASURED, KEPT, SIDE = 2000, 256, 8
"""Images measured; examples kept to compare with, and pixels of each of their sides at most."""
INK, SCALE = 0.25, 16
"""Ink is what is darker than this fraction of the darkest; strokes are changed at `SCALE` times the size."""


class Form(NamedTuple):
    """What training images have in common; fractions are of the height and width of an image.

    Attributes:
        white: the value of white.
        drawn: whether they are gray figures on a uniform background.
        background: its value, 0 (black) to 1 (white).
        height: of the ink.
        spread: standard deviation of the ink's horizontal positions; a wider figure is compressed to it.
        middle: of the ink, y and x.
        ink: mean over the pixels.
        examples: some of them, reduced, [K, D].
        distances: quantiles 0 to 100 % of the distance of the others to the nearest of these.
    """

    white: Any
    drawn: Any
    background: Any
    height: Any
    spread: Any
    middle: Any
    ink: Any
    examples: Any
    distances: Any


def measure(inputs: Any) -> Form:
    """The form of images [N, H, W, C]."""
    images = np.asarray(inputs[:: max(1, len(inputs) // MEASURED)]).astype(np.float32)
    most = float(images.max(initial=0))
    white = 255.0 if np.asarray(inputs[:1]).dtype == np.uint8 and most > 127 else most or 1.0
    images = (images / white).clip(0, 1)
    border = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
    background = float(np.median(border))
    uniform = float((np.abs(images - background) < 0.05).mean()) > 0.3 and min(background, 1 - background) < 0.1
    drawn = images.shape[-1] == 1 and uniform
    height, spread, middle, ink = 1.0, 1.0, np.full(2, 0.5), 0.0
    if drawn:
        figures = np.abs(images[..., 0] - background)
        figures = figures[figures.max((1, 2)) > INK]
        top, bottom, center, deviation = np.median(_extent(figures), axis=0)
        amount = np.median(figures.mean((1, 2)))
        height, spread, middle, ink = bottom - top, deviation, np.array([(top + bottom) / 2, center]), amount
    reduced = _reduced(images)
    chosen = np.random.default_rng(0).permutation(len(reduced))
    kept = min(KEPT, -(-len(chosen) // 2))
    examples = reduced[chosen[:kept]]
    distances = np.array([_distance(examples, other) for other in reduced[chosen[kept:]]] or [np.inf])
    quantiles = np.quantile(distances, np.linspace(0, 1, 101)).astype(np.float32)
    numbers = (np.asarray(value, np.float32) for value in (white, drawn, background, height, spread, middle, ink))
    return Form._make((*numbers, examples.astype(np.float16), quantiles))


def write(folder: Path, form: Form) -> None:
    """Write it to a run folder."""
    files.write_arrays(folder / FILE, form)


def read(folder: Path) -> Form | None:
    """Read it from a run folder; None if that has none, as of an earlier version."""
    path = folder / FILE
    return files.read_arrays(path, Form(*range(len(Form._fields)))) if path.exists() else None


def fit(
    picture: Image.Image, form: Form, shape: tuple[int, int, int], steps: tuple[str, ...]
) -> tuple[np.ndarray, str]:
    """A picture (RGB) in the form of images [H, W, C], f32 from 0 to 1, and what was done to it."""
    height, width, channels = shape
    if not form.drawn or not steps:
        small = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
        return np.asarray(small if channels == 3 else small.convert("L"), np.float32).reshape(*shape[:2], -1) / 255, ""
    gray = np.asarray(picture.convert("L"), np.float32) / 255
    training, done = float(form.background), []
    ink = gray - float(np.median(_border(gray)))
    if "polarity" in steps and (ink.max() < -ink.min()) != (training > 0.5):
        ink = -ink
        done.append("inverted")
    ink = np.maximum(-ink if training > 0.5 else ink, 0)
    ink /= ink.max() or 1.0
    if "crop" in steps and ink.max() > 0:
        figure = _crop(ink, form, (height * SCALE, width * SCALE))
        done.append("cropped to the ink and scaled")
    else:
        square = ImageOps.fit(Image.fromarray(np.round(255 * ink).astype(np.uint8)), (width * SCALE, height * SCALE))
        figure = square
    small = np.asarray(figure.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    if "stroke" in steps:
        small, change = _stroke(figure, small, float(form.ink))
        done += [change] if change else []
    small = np.abs(training - small) if training > 0.5 else training + small * (1 - training)
    return np.repeat(small[..., None], channels, axis=-1), ", ".join(done)


def beyond(form: Form, image: np.ndarray) -> float:
    """The fraction of training images at least as far as this one, f[H, W, C] from 0 to 1, from the nearest example."""
    distance = _distance(form.examples.astype(np.float32), _reduced(image[None])[0])
    return float((form.distances >= distance).mean())


def has_plain_border(picture: Image.Image) -> bool:
    """Whether nine tenths of the outermost pixels are about equally bright, as around a figure on paper."""
    border = _border(np.asarray(picture.convert("L"), np.float32) / 255)
    return float((np.abs(border - np.median(border)) < 0.15).mean()) >= 0.9


def _border(gray: np.ndarray) -> np.ndarray:
    return np.concatenate([gray[[0, -1]].ravel(), gray[:, [0, -1]].ravel()])


def _extent(ink: np.ndarray) -> np.ndarray:
    """f[N, 4] of ink [N, H, W]: its top and bottom, mean and deviation of its horizontal positions, as fractions."""
    _, high, wide = ink.shape
    rows = (ink > INK * ink.max((1, 2), keepdims=True)).any(2)
    top, bottom = rows.argmax(1), high - rows[:, ::-1].argmax(1)
    columns, at = ink.sum(1), (np.arange(wide) + 0.5) / wide
    center = columns @ at / columns.sum(1)
    deviation = np.sqrt((columns * np.square(at - center[:, None])).sum(1) / columns.sum(1))
    return np.stack([top / high, bottom / high, center, deviation], axis=1)


def _crop(ink: np.ndarray, form: Form, size: tuple[int, int]) -> Image.Image:
    """The ink scaled to the height of the form, no wider than it, and put at its middle; mode L, ink white."""
    high, wide = size
    on = ink > INK
    rows, columns = np.flatnonzero(on.any(1)), np.flatnonzero(on.any(0))
    cut = np.where(on, ink, 0)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    tall = max(1, round(float(form.height) * high))
    broad = cut.shape[1] * tall / cut.shape[0]
    [[*_, deviation]] = _extent(cut[None])
    broad = min(broad, float(form.spread) * wide / max(deviation, 1e-6), wide)
    scaled = Image.fromarray(np.round(255 * cut).astype(np.uint8)).resize((max(1, round(broad)), tall))
    [[*_, center, _]] = _extent(np.asarray(scaled, np.float32)[None] + 1e-6)
    middle = form.middle.tolist()
    canvas = Image.new("L", (wide, high))
    left = min(max(0, round(middle[1] * wide - center * scaled.width)), wide - scaled.width)
    canvas.paste(scaled, (left, min(max(0, round(middle[0] * high - tall / 2)), high - tall)))
    return canvas


def _stroke(figure: Image.Image, small: np.ndarray, ink: float) -> tuple[np.ndarray, str]:
    """The figure with thicker or thinner strokes, so that it has about as much ink as the training images."""
    thicker = small.mean() < ink
    best, change = small, ""
    for _ in range(SCALE):
        figure = figure.filter(ImageFilter.MaxFilter(3) if thicker else ImageFilter.MinFilter(3))
        values = np.asarray(figure.resize(small.shape[::-1], Image.Resampling.BOX), np.float32) / 255
        if abs(values.mean() - ink) >= abs(best.mean() - ink):
            break
        best, change = values, f"strokes {'thicker' if thicker else 'thinner'}"
    return best, change


def _reduced(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] as means over at most `SIDE` x `SIDE` places, f32[N, D]."""
    _, high, wide, _ = images.shape
    rows = np.array_split(np.arange(high), min(SIDE, high))
    columns = np.array_split(np.arange(wide), min(SIDE, wide))
    lines = np.stack([images[:, row].mean(1) for row in rows], axis=1)
    places = np.stack([lines[:, :, column].mean(2) for column in columns], axis=2)
    return places.astype(np.float32).reshape(len(images), -1)


def _distance(examples: np.ndarray, image: np.ndarray) -> float:
    return float(np.sqrt(np.square(examples - image).sum(1).min()))
