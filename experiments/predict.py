"""Classify your own images with a trained classifier, and see which pixels decided.

    python -m experiments.train --out runs/digits
    python -m experiments.predict --run runs/digits photo.png another.jpg

Takes whatever Pillow opens, of any size and mode; an image is turned as its EXIF data say, laid on white where it is
transparent, cut to its middle square, resized to the images of the training and standardized with their statistics. To
expect: a table of scores and probabilities, and a figure for each image, in a few seconds. The digits of scikit-learn
are light on dark: use --invert for dark ink on paper.
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
import tyro
from jax import Array
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

from experiments.classifier.saved import describe, read_classifier
from experiments.cli import command, environment
from jaxnn import plots
from jaxnn.data.files import read_image
from jaxnn.inspect.attribution import Attribution, attribution
from jaxnn.plots.overlay import overlay


@dataclasses.dataclass(frozen=True)
class Config:
    """Which classifier, and which images."""

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Files of images."""
    run: Path
    """The folder of a run of experiments.train."""
    out: Path = Path("runs", "predictions")
    """The folder for the figures; those of the same name are replaced."""
    invert: bool = False
    """Take the negative of each image first: for dark ink on paper, where the training images are light on dark."""


class Trained(NamedTuple):
    """A classifier as it was stored."""

    score: Callable[[Array], Array]
    """From one image f32[H, W, C], in the units of the training images, to its scores f32[classes]."""
    explain: Callable[[Array], Attribution]
    """What the difference of each pixel of such an image from the mean image adds to each score; compiled once."""
    mean: Array
    """The mean training image, f32[H, W, C]; zeros where nothing was centered."""
    shape: tuple[int, int, int]
    scale: float
    """The value of white: 16 for digits, 255 for other images."""
    names: tuple[str, ...]
    exact: bool
    """Whether the score is a sum of pixel contributions: the linear classifier."""


class Prediction(NamedTuple):
    """What the classifier says of an image."""

    scores: np.ndarray
    probabilities: np.ndarray
    winner: int
    rival: int
    parts: np.ndarray
    """f32[2, H, W]: what each pixel adds to the winner's score and to the rival's, beside the mean image."""


def read_run(folder: Path) -> Trained:
    """Read what `experiments.train` left in a folder.

    Args:
        folder: of the run.

    Returns:
        The classifier.

    Raises:
        ValueError: the folder is no run, its files are damaged, or it was not trained on images.
        OSError: a file cannot be read.
    """
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
    """The middle square (or the middle of the training images' shape) of an image, resized and in their units.

    Args:
        image: of mode RGB.
        trained: the classifier.

    Returns:
        f32[H, W, C], from 0 to `trained.scale`.
    """
    height, width, channels = trained.shape
    small = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    values = np.asarray(small if channels == 3 else small.convert("L"), np.float32).reshape(trained.shape)
    return values * np.float32(trained.scale / 255)


def classify(trained: Trained, image: np.ndarray) -> Prediction:
    """Scores, probabilities and pixel contributions of an image.

    Contributions are those of the difference from the mean training image: exact for the linear classifier, where they
    add up to the score without that of the mean image; gradient times difference for a network.

    Args:
        trained: the classifier.
        image: f32[H, W, C], as from `fit_image`.

    Returns:
        A `Prediction`.
    """
    found = trained.explain(jnp.asarray(image))
    scores = np.asarray(found.scores, np.float64)
    order = np.argsort(-scores, kind="stable")
    winner, rival = int(order[0]), int(order[min(1, len(order) - 1)])
    parts = np.asarray(found.inputs)[[winner, rival]].sum(-1)
    return Prediction(scores, np.asarray(jax.nn.softmax(found.scores)), winner, rival, parts)


def predict(config: Config, console: Console) -> list[Prediction]:
    """Classify every image, print tables and write figures.

    Args:
        config: what was given.
        console: where the tables go.

    Returns:
        A prediction for each image.

    Raises:
        ValueError, OSError: as `read_run` and `read_image`; nothing was written then.
    """
    if not config.images:
        raise ValueError("give the files of one or more images")
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
    """The command: exit status 0, or 2 when something that was given is wrong."""
    config = tyro.cli(Config, prog="python -m experiments.predict", description=__doc__, args=arguments)
    environment.enable_compilation_cache()
    return command.run(predict, config, Console())


if __name__ == "__main__":
    sys.exit(main())
