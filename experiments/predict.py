"""Classify your own images with a trained classifier, and see which pixels decided.

    python -m experiments.train --out runs/digits
    python -m experiments.predict --run runs/digits photo.png another.jpg
    python -m experiments.predict --run runs/digits --draw

Accepts any image that Pillow opens, of any size and mode. An image is rotated according to its EXIF data, put on white
where it is transparent, cropped to its central square, resized to the training images and standardized with their
statistics. If the training images are figures on a uniform background, as digits are, a drawing on any background is
given their form: polarity, height, place and stroke width, each of which can be switched off. An image far from all
training images is said to be so. Expected result: a table of scores and probabilities, and a figure per image, in a few
seconds. `--draw` opens a page to draw on with mouse, pen or finger, where all of this follows the pen; Ctrl+C ends it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
import textwrap
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from experiments.classifier import drawing_page, picture_form
from experiments.classifier.picture_form import Form
from experiments.cli import command, parser
from experiments.cli.files import short_name
from jaxnn.data._own._images import read_image

if TYPE_CHECKING:
    from jax import Array
    from rich.console import Console

    from jaxnn.inspect import Attribution


@dataclasses.dataclass(frozen=True)
class Config:
    """Which classifier, and which images."""

    images: tuple[Path, ...] = dataclasses.field(default=(), metadata={"positional": True})
    """Image files."""
    run: Path | None = None
    """Run folder of experiments.train; by default the newest finished one in runs/."""
    out: Path = Path("runs", "predictions")
    """Folder for the figures; existing ones are replaced."""
    invert: bool = False
    """Invert each image first, whatever its border."""
    polarity: bool = True
    """Drawn figures: invert an image whose border is bright if the training images are bright on dark, or the other way
    around."""
    crop: bool = True
    """Drawn figures: crop to the ink, and give it the height, width and place that it has in the training images."""
    stroke: bool = True
    """Drawn figures: make strokes as thick as in the training images."""
    draw: bool = False
    """Open a page to draw on, in place of image files."""
    port: int = 5101
    """Port of that page, which is served to this computer only; 0 takes a free one."""
    show: bool = True
    """Open that page in the browser."""


FAR = 0.01
"""An image is called far from the training images if so few of these are farther from the nearest other."""


class Trained(NamedTuple):
    """A trained image classifier, with what a prediction and its explanation need."""

    score: Callable[[Array], Array]
    """One image f32[H, W, C], in the units of the training images, to its scores f32[classes]."""
    explain: Callable[[Array], Attribution]
    """Attribution of each score to the pixels' differences from the mean image; compiled once."""
    mean: Array
    """The mean training image, f32[H, W, C]; zeros without centering."""
    shape: tuple[int, int, int]
    form: Form
    """What the training images have in common."""
    names: tuple[str, ...]
    exact: bool
    """Whether the score is exactly the sum of its attributions: a linear classifier."""


class Prediction(NamedTuple):
    """The prediction for one image."""

    scores: np.ndarray
    probabilities: np.ndarray
    winner: int
    rival: int
    beyond: float
    """The fraction of training images that are at least as far from the nearest training example; NaN if the run, of an
    earlier version, does not say."""
    parts: np.ndarray
    """f32[2, H, W]: attribution of the winner's and the rival's score to the pixels, relative to the mean image."""


def newest_run(parent: Path = Path("runs")) -> Path:
    """The folder of the newest finished run on images in `parent`; ValueError if there is none."""
    found = [file.parent for file in parent.glob("*/classifier.npz") if _is_of_images(file.parent / "config.json")]
    if not found:
        raise ValueError(f"{parent}/ holds no finished run on images: train one first, or give --run")
    return max(found, key=lambda folder: (folder / "classifier.npz").stat().st_mtime)


def _is_of_images(config: Path) -> bool:
    """Whether a run was trained on images; a damaged file is left to `read_run`, which names it."""
    if not config.is_file():
        return False
    try:
        return len(json.loads(config.read_text(encoding="utf-8"))["input_shape"]) == 3
    except (ValueError, LookupError, TypeError):
        return True


def read_run(folder: Path) -> Trained:
    """Read the image classifier of a run folder; ValueError for a classifier of points."""
    import jax
    import jax.numpy as jnp

    from experiments.classifier.saved_classifier import describe, read_classifier
    from jaxnn.inspect import attribution

    described = describe(folder)
    settings, names, shape = described
    if len(shape) != 3:
        raise ValueError(f"--run {folder} was trained on points ({settings.dataset}), not on images")
    classifier, score = read_classifier(folder, described)
    mean = jnp.broadcast_to(getattr(classifier.statistics, "mean", jnp.float32(0.0)), shape)
    measured = picture_form.read(folder)
    if measured is None:
        scale = 16.0 if settings.dataset == "digits" else 255.0
        measured = picture_form.Form(scale, False, 0.0, 1.0, 1.0, (0.5, 0.5), 0.0, np.empty((0, 0)), np.empty(0))

    @jax.jit
    def explain(image: Array) -> Attribution:
        return attribution(lambda difference: score(mean + difference), image - mean, example_ndim=3)

    exact = len(classifier.params) == 1 and not settings.normalize_inputs
    return Trained(score, explain, mean, (shape[0], shape[1], shape[2]), measured, names, exact)


def fit_image(
    image: Image.Image, trained: Trained, steps: tuple[str, ...] = picture_form.STEPS
) -> tuple[np.ndarray, str]:
    """An image in the form, size and units of the training images, and what was done to it."""
    channels = trained.shape[2]
    if channels not in (1, 3):
        raise ValueError(
            f"--run was trained on images of {channels} channels, which no picture has: only 1 and 3 can be"
        )
    values, done = picture_form.fit(image, trained.form, trained.shape, steps)
    return values * np.float32(trained.form.white), done


def classify(trained: Trained, image: np.ndarray) -> Prediction:
    """Scores, probabilities and attribution of an image.

    Attribution is gradient times difference from the mean training image; for a linear classifier it is exact and adds
    up to the score minus that of the mean image.
    """
    import jax

    found = trained.explain(jax.numpy.asarray(image))
    scores = np.asarray(found.scores, np.float64)
    order = np.argsort(-scores, kind="stable")
    winner, rival = int(order[0]), int(order[min(1, len(order) - 1)])
    parts = np.asarray(found.inputs)[[winner, rival]].sum(-1)
    measured = trained.form
    beyond = picture_form.beyond(measured, image / float(measured.white)) if len(measured.distances) else math.nan
    return Prediction(scores, np.asarray(jax.nn.softmax(found.scores)), winner, rival, beyond, parts)


def distance(found: Prediction, picture: Image.Image, trained: Trained) -> tuple[bool, str]:
    """Whether a picture is far from the training images, and that in words."""
    warning = "the probabilities say little about such an image"
    if trained.form.drawn and not picture_form.has_plain_border(picture):
        return True, f"no figure on a plain background, as the training images are: {warning}"
    if math.isnan(found.beyond):
        return False, f"the run has no {picture_form.FILE}, which says how far an image is from the training images"
    share = f"{100 * found.beyond:.0f} % of them are at least as far from the nearest other"
    if found.beyond < FAR:
        return True, f"far from the training images: {share}; {warning}"
    return False, f"within the training images: {share}"


def draw(config: Config, console: Console) -> None:
    """Serve a page to draw on until interrupted."""
    if config.images:
        raise ValueError(f"--draw takes drawings in place of {config.images[0]}: leave out one of the two")
    if not 0 <= config.port <= 65535:
        raise ValueError(f"--port must be from 0 to 65535; got {config.port}")
    folder, trained, steps = _prepared(config, console)

    def answer(image: Image.Image) -> dict[str, Any]:
        picture = image.convert("RGB")
        seen, done = fit_image(ImageOps.invert(picture) if config.invert else picture, trained, steps)
        found = classify(trained, seen)
        order = np.argsort(-found.scores, kind="stable")[:10].tolist()
        most = float(np.abs(found.parts).max())
        pair = [(drawing_page.heat(found.parts[i], most), c) for i, c in enumerate((found.winner, found.rival))]
        far, words = distance(found, picture, trained)
        size = f"{trained.shape[1]} x {trained.shape[0]}"
        return {
            "result": f"{trained.names[found.winner]}, {100 * found.probabilities[found.winner]:.1f} %"
            + ("" if far else f"; {words}"),
            "far": words if far else "",
            "classes": [(trained.names[c], float(found.scores[c]), float(found.probabilities[c])) for c in order],
            "pictures": [
                (
                    drawing_page.picture(seen / float(trained.form.white)),
                    f"as the model sees it, {size}: {done or 'as drawn'}",
                ),
                *((url, f"orange speaks for {trained.names[c]}, blue against it") for url, c in pair),
            ],
        }

    answer(Image.new("RGB", (8, 8), "white"))  # compiles
    with drawing_page.serve(answer, config.port) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        command.say(console, f"draw for {folder} at {url} (Ctrl+C ends it)")
        if config.show:
            webbrowser.open(url)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _prepared(config: Config, console: Console) -> tuple[Path, Trained, tuple[str, ...]]:
    """The run folder, its classifier, and the steps that bring a picture into the form of its training images."""
    folder = config.run or newest_run()
    if config.run is None:
        command.say(console, f"with {folder}, the newest run on images; --run takes another")
    wanted = {"polarity": config.polarity and not config.invert, "crop": config.crop, "stroke": config.stroke}
    return folder, read_run(folder), tuple(step for step in picture_form.STEPS if wanted[step])


def predict(config: Config, console: Console) -> list[Prediction]:
    """Classify every image, print its table and write its figure."""
    from rich.table import Table

    from jaxnn import plots

    if not config.images:
        raise ValueError("no image files: give one or more, such as photo.png, or --draw")
    _, trained, steps = _prepared(config, console)
    pictures = [read_image(path) for path in config.images]
    if config.invert:
        pictures = [ImageOps.invert(picture) for picture in pictures]
    predictions = []
    for i, (path, picture) in enumerate(zip(config.images, pictures, strict=True), start=1):
        seen, done = fit_image(picture, trained, steps)
        found = classify(trained, seen)
        predictions.append(found)
        order = np.argsort(-found.scores, kind="stable")[:10]
        command.say(console, f"{path}{f': {done}' if done else ''}")
        table = Table("class", "score", "probability")
        for c in order.tolist():
            name = command.literal(trained.names[c])
            table.add_row(name, f"{found.scores[c]:.3f}", f"{100 * found.probabilities[c]:.2f} %")
        console.print(table)
        distant, words = distance(found, picture, trained)
        command.say(console, words)
        picture.thumbnail((400, 400))
        pair = [
            trained.names[c] if len(trained.names[c]) < 24 else f"{trained.names[c][:22]}…"
            for c in (found.winner, found.rival)
        ]
        how = "weight x input" if trained.exact else "gradient x input"
        sure = f"{100 * found.probabilities[found.winner]:.1f} %{', far from the training images' if distant else ''}"
        figure = plots.overlay(
            np.asarray(picture) / 255,
            seen / float(trained.form.white),
            found.parts,
            [
                "the picture",
                f"as the model sees it, {trained.shape[1]} x {trained.shape[0]}\n{textwrap.fill(done, 30)}".strip(),
                f"for {pair[0]}: score {found.scores[found.winner]:.2f}",
                f"for {pair[1]}: score {found.scores[found.rival]:.2f}",
            ],
            f"{pair[0]}, {sure}: what each pixel adds ({how})",
        )
        name = f"{i}_{short_name(path.stem)}" if len(config.images) > 1 else short_name(path.stem)
        try:
            command.say(console, f"figure: {plots.save(figure, config.out / f'{name}.png')[0]}")
        except (OSError, ValueError, RuntimeError) as error:
            command.warn(console, f"the figure of {path} was not drawn ({error})")
    return predictions


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    config = parser.parse(Config, prog="jaxnn predict", description=__doc__, args=arguments)
    # What follows takes a while to load: not for --help.
    from rich.console import Console

    from jaxnn import training

    training.enable_compilation_cache()
    return command.run(draw if config.draw else predict, config, Console())


if __name__ == "__main__":
    sys.exit(main())
