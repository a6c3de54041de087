"""Export a trained classifier, preprocessing included, as a serialized JAX program and as ONNX.

    python -m experiments.train --out runs/digits
    python -m experiments.export --run runs/digits --formats jax onnx

writes `classifier.jax`, `classifier.onnx` and `classifier.json` (version, classes, shape and type of the examples, a
digest of each file) to the folder `export` of the run. They run with JAX or an ONNX runtime, without this package; both
take any number of examples f32[B, ...], in the units of the training examples, and return scores f32[B, C]:

    import jax, pathlib
    classifier = jax.export.deserialize(bytearray(pathlib.Path("classifier.jax").read_bytes()))
    scores = classifier.call(examples)

    import onnxruntime
    [scores] = onnxruntime.InferenceSession("classifier.onnx").run(None, {"examples": examples})
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from rich.console import Console

from experiments.classifier.saved import describe, read_classifier
from experiments.cli import command, files, parser
from jaxnn.interop import export

VERSION = 1
"""Version of the file set; increases when its meaning changes."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The classifier and the formats."""

    run: Path
    """Run folder of experiments.train."""
    out: Path | None = None
    """Folder for the files, existing ones are replaced; by default `export` in the run folder."""
    formats: tuple[Literal["jax", "onnx"], ...] = ("jax",)
    """jax, onnx, or both; needs the extra "export"."""


def write(config: Config, console: Console) -> dict[str, Any]:
    """Read the classifier, write its files, and return their description."""
    if not config.formats:
        raise ValueError("--formats needs jax, onnx, or both")
    described = describe(config.run)
    score = read_classifier(config.run, described).score
    shape, dtype = described.shape, np.dtype(np.float32)
    makers: dict[str, Callable[[], bytes]] = {
        "jax": lambda: export.to_jax(score, shape, dtype),
        "onnx": lambda: export.to_onnx(score, shape, dtype, f"{described.settings.dataset}_{described.settings.model}"),
    }
    contents = {f"classifier.{name}": makers[name]() for name in config.formats}
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
        console.print(f"{out / name}: {len(content):,} bytes", highlight=False)
    return about


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    config = parser.parse(Config, prog="jaxnn export", description=__doc__, args=arguments)
    return command.run(write, config, Console())


if __name__ == "__main__":
    sys.exit(main())
