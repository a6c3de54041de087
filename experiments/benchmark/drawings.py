"""How many drawn digits a trained classifier recognizes: 400 digits in ten fonts, in any size, place and polarity.

    python -m experiments.train --out runs/digits
    python -m experiments.benchmark.drawings --run runs/digits

Renders each digit in ten fonts that come with Matplotlib, four times: dark on bright and bright on dark, in three
sizes, off the center, with thin and thick strokes, rotated by up to 10 degrees; and classifies the pictures as
`experiments.predict` does, with all of its steps and without each. Done for several seeds of the drawing; a few seconds
each.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from experiments import predict
from experiments.classifier.picture_form import STEPS
from experiments.cli import command, environment, files, parser

if TYPE_CHECKING:
    from rich.console import Console

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold",
    "DejaVuSansMono", "STIXGeneral", "STIXGeneralBol", "cmr10", "cmss10",
)  # fmt: skip
VARIANTS, SIZES, SIDE = 4, (60, 100, 140), 200


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the measurement."""

    run: Path | None = None
    """Run folder of experiments.train on digits; by default the newest finished run in runs/."""
    out: Path = Path(__file__).resolve().parents[1] / "results" / "drawings.json"
    """Where the numbers are written."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of sizes, places, strokes and rotations; 400 drawings for each."""


def draw(seed: int) -> tuple[list[Image.Image], np.ndarray]:
    """The pictures, RGB, and the digit on each."""
    import matplotlib

    random = np.random.default_rng(seed)
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    pictures, digits = [], []
    for font, digit, variant in np.ndindex(len(FONTS), 10, VARIANTS):
        size = int(random.choice(SIZES))
        at = tuple((SIDE // 2 + random.integers(-25, 26, 2)).tolist())
        picture = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(picture).text(
            at,
            str(digit),
            255,
            ImageFont.truetype(str(fonts / f"{FONTS[font]}.ttf"), size),
            anchor="mm",
            stroke_width=int(random.integers(0, 3)) * size // 60,
        )
        picture = picture.rotate(float(random.uniform(-10, 10)), Image.Resampling.BICUBIC, center=at)
        pictures.append((ImageOps.invert(picture) if variant % 2 else picture).convert("RGB"))
        digits.append(digit)
    return pictures, np.array(digits)


def measure(options: Options, console: Console) -> dict[str, list[float]]:
    """Classify the drawings; write and print the fraction of right ones per seed, with all steps and without each."""
    import jax.numpy as jnp
    from rich.table import Table

    from experiments.classifier.saved_classifier import describe

    folder = options.run or predict.newest_run()
    trained = predict.read_run(folder)
    if trained.names != tuple("0123456789"):
        raise ValueError(f"--run {folder} was not trained on digits: its classes are {', '.join(trained.names)}")
    if not options.seeds:
        raise ValueError("--seeds needs at least one number")
    drawn = [draw(seed) for seed in options.seeds]
    pictures, digits = [picture for each, _ in drawn for picture in each], np.concatenate([truth for _, truth in drawn])
    ways = {"all steps": STEPS, "no step": ()}
    ways |= {f"without {step}": tuple(other for other in STEPS if other != step) for step in STEPS}
    right, by_digit = {}, {}
    for name, steps in ways.items():
        seen = np.stack([predict.fit_image(picture, trained, steps)[0] for picture in pictures])
        hits = np.asarray(trained.score(jnp.asarray(seen))).argmax(1) == digits
        right[name] = hits.reshape(len(drawn), -1).mean(1).tolist()
        by_digit[name] = [float(hits[digits == digit].mean()) for digit in range(10)]
    table = Table("steps", *(f"seed {seed}" for seed in options.seeds), title=f"{len(pictures)} drawn digits, right")
    for name, fractions in right.items():
        table.add_row(name, *(f"{fraction:.1%}" for fraction in fractions))
    console.print(table)
    each = ", ".join(f"{digit}: {fraction:.0%}" for digit, fraction in enumerate(by_digit["all steps"]))
    command.say(console, f"with all steps, by digit: {each}")
    found = {"pictures": len(digits) // len(drawn), "seeds": options.seeds, "right": right}
    found |= {"right_by_digit": by_digit["all steps"], "classifier": vars(describe(folder).settings)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(options.out, found | environment.environment())
    return right


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    options = parser.parse(Options, prog="jaxnn benchmark.drawings", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(measure, options, Console())


if __name__ == "__main__":
    sys.exit(main())
