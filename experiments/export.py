"""Export a trained classifier, preprocessing included, as a serialized JAX program, as ONNX, or as a short script.

    python -m experiments.train --out runs/digits
    python -m experiments.export --run runs/digits --formats jax onnx
    python -m experiments.export --run runs/digits --formats script --library torch

writes `classifier.jax`, `classifier.onnx` and `classifier.json` (version, classes, shape and type of the examples, a
digest of each file) to the folder `export` of the run. They run with JAX or an ONNX runtime, without this package; both
take any number of examples f32[B, ...], in the units of the training examples, and return scores f32[B, C]:

    import jax, pathlib
    classifier = jax.export.deserialize(bytearray(pathlib.Path("classifier.jax").read_bytes()))
    scores = classifier.call(examples)

    import onnxruntime
    [scores] = onnxruntime.InferenceSession("classifier.onnx").run(None, {"examples": examples})

`script` writes `classifier.py`: about 40 lines of NumPy, JAX or PyTorch to read, run and change, weights included. It
is for linear classifiers and fully connected networks; `from classifier import scores` uses it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.classifier import script
from experiments.cli import command, files, parser

if TYPE_CHECKING:
    from rich.console import Console

VERSION = 1
"""Version of the file set; increases when its meaning changes."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The classifier and the formats."""

    run: Path
    """Run folder of experiments.train."""
    out: Path | None = None
    """Folder for the files, existing ones are replaced; by default `export` in the run folder."""
    formats: tuple[Literal["jax", "onnx", "script"], ...] = ("jax",)
    """One or more; jax and onnx need the extra "export"."""
    library: script.Library = "numpy"
    """Library of the script."""


def write(config: Config, console: Console) -> dict[str, Any]:
    """Read the classifier, write its files, and return their description."""
    import jax

    from experiments.classifier.saved_classifier import describe, read_classifier
    from jaxnn.interop import export

    if not config.formats:
        raise ValueError("--formats needs jax, onnx or script")
    described = describe(config.run)
    saved = read_classifier(config.run, described)
    score = saved.score
    shape, dtype = described.shape, np.dtype(np.float32)
    makers: dict[str, Callable[[], bytes]] = {
        "jax": lambda: export.to_jax(score, shape, dtype),
        "onnx": lambda: export.to_onnx(score, shape, dtype, f"{described.settings.dataset}_{described.settings.model}"),
    }
    makers["script"] = lambda: script.write(script.from_run(described, saved), config.library).encode()
    contents = {f"classifier.{name.replace('script', 'py')}": makers[name]() for name in config.formats}
    about = {
        "version": VERSION,
        "classes": described.names,
        "input_shape": described.shape,
        "input_dtype": dtype.name,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "jax": jax.__version__,
    }
    out = config.out or config.run / "export"
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        files.write(out / name, content)
    files.write_json(out / "classifier.json", about)
    for name, content in contents.items():
        command.say(console, f"{out / name}: {len(content):,} bytes")
    return about


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    config = parser.parse(Config, prog="jaxnn export", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(write, config, Console())


if __name__ == "__main__":
    sys.exit(main())
