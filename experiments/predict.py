"""Classify your own images with a trained classifier, and see which pixels decided.

    python -m experiments.train --out runs/digits
    python -m experiments.predict --run runs/digits photo.png another.jpg

Accepts any image that Pillow opens, of any size and mode. An image is rotated according to its EXIF data, put on white
where it is transparent, cropped to its central square, resized to the training images and standardized with their
statistics. Expected result: a table of scores and probabilities, and a figure per image, in a few seconds. The digits
of scikit-learn are light on dark: use --invert for dark ink on paper.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

from experiments.classifier.saved import describe, read_classifier
from experiments.cli import command, environment, parser
from jaxnn import plots
from jaxnn.data._files import read_image
from jaxnn.inspect import Attribution, attribution
from jaxnn.plots import overlay


@dataclasses.dataclass(frozen=True)
class Config:
    """Which classifier, and which images."""

    images: tuple[Path, ...] = dataclasses.field(metadata={"positional": True})
    """Image files."""
    run: Path
    """Run folder of experiments.train."""
    out: Path = Path("runs", "predictions")
    """Folder for the figures; existing ones are replaced."""
    invert: bool = False
    """Invert each image first: for dark ink on paper if the training images are light on dark."""


class Trained(NamedTuple):
    """A trained image classifier, with what a prediction and its explanation need."""

    score: Callable[[Array], Array]
    """One image f32[H, W, C], in the units of the training images, to its scores f32[classes]."""
    explain: Callable[[Array], Attribution]
    """Attribution of each score to the pixels' differences from the mean image; compiled once."""
    mean: Array
    """The mean training image, f32[H, W, C]; zeros without centering."""
    shape: tuple[int, int, int]
    scale: float
    """The value of white: 16 for digits, else 255."""
    names: tuple[str, ...]
    exact: bool
    """Whether the score is exactly the sum of its attributions: a linear classifier."""


class Prediction(NamedTuple):
    """The prediction for one image."""

    scores: np.ndarray
    probabilities: np.ndarray
    winner: int
    rival: int
    parts: np.ndarray
    """f32[2, H, W]: attribution of the winner's and the rival's score to the pixels, relative to the mean image."""


def read_run(folder: Path) -> Trained:
    """Read the image classifier of a run folder; ValueError for a classifier of points."""
    described = describe(folder)
    settings, names, shape = described
    if len(shape) != 3:
        raise ValueError(f"--run {folder} was trained on points ({settings.dataset}), not on images")
    classifier, score = read_classifier(folder, described)
    mean = jnp.broadcast_to(getattr(classifier.statistics, "mean", jnp.float32(0.0)), shape)
    scale = 16.0 if settings.dataset == "digits" else 255.0

    @jax.jit
    def explain(image: Array) -> Attribution:
        return attribution(lambda difference: score(mean + difference), image - mean, example_ndim=3)

    exact = len(classifier.params) == 1 and not settings.normalize_inputs
    return Trained(score, explain, mean, (shape[0], shape[1], shape[2]), scale, names, exact)


def fit_image(image: Image.Image, trained: Trained) -> np.ndarray:
    """The center of an image in the training images' aspect ratio, resized and in their units."""
    height, width, channels = trained.shape
    small = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    values = np.asarray(small if channels == 3 else small.convert("L"), np.float32).reshape(trained.shape)
    return values * np.float32(trained.scale / 255)


def classify(trained: Trained, image: np.ndarray) -> Prediction:
    """Scores, probabilities and attribution of an image.

    Attribution is gradient times difference from the mean training image; for a linear classifier it is exact and adds
    up to the score minus that of the mean image.
    """
    found = trained.explain(jnp.asarray(image))
    scores = np.asarray(found.scores, np.float64)
    order = np.argsort(-scores, kind="stable")
    winner, rival = int(order[0]), int(order[min(1, len(order) - 1)])
    parts = np.asarray(found.inputs)[[winner, rival]].sum(-1)
    return Prediction(scores, np.asarray(jax.nn.softmax(found.scores)), winner, rival, parts)


def predict(config: Config, console: Console) -> list[Prediction]:
    """Classify every image, print its table and write its figure."""
    if not config.images:
        raise ValueError("no image files: give one or more, such as photo.png")
    trained = read_run(config.run)
    pictures = [read_image(path) for path in config.images]
    if config.invert:
        pictures = [ImageOps.invert(picture) for picture in pictures]
    predictions = []
    for i, (path, picture) in enumerate(zip(config.images, pictures, strict=True), start=1):
        seen = fit_image(picture, trained)
        found = classify(trained, seen)
        predictions.append(found)
        order = np.argsort(-found.scores, kind="stable")[:10]
        table = Table("class", "score", "probability", title=str(path))
        for c in order.tolist():
            table.add_row(trained.names[c], f"{found.scores[c]:.3f}", f"{100 * found.probabilities[c]:.2f} %")
        console.print(table)
        picture.thumbnail((400, 400))
        pair = [trained.names[c] for c in (found.winner, found.rival)]
        how = "weight x input" if trained.exact else "gradient x input"
        figure = overlay(
            np.asarray(picture) / 255,
            seen / trained.scale,
            found.parts,
            [
                "the picture",
                f"as the model sees it, {trained.shape[1]} x {trained.shape[0]}",
                f"for {pair[0]}: score {found.scores[found.winner]:.2f}",
                f"for {pair[1]}: score {found.scores[found.rival]:.2f}",
            ],
            f"{pair[0]}, {100 * found.probabilities[found.winner]:.1f} %: what each pixel adds ({how})",
        )
        name = f"{i}_{path.stem}" if len(config.images) > 1 else path.stem
        console.print(f"figure: {plots.save(figure, config.out / f'{name}.png')[0]}", highlight=False)
    return predictions


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    config = parser.parse(Config, prog="jaxnn predict", description=__doc__, args=arguments)
    environment.enable_compilation_cache()
    return command.run(predict, config, Console())


if __name__ == "__main__":
    sys.exit(main())
