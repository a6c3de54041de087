"""Take a trained classifier elsewhere, preprocessing included: as a serialized JAX program, and as ONNX.

    python -m experiments.train --out runs/digits
    python -m experiments.export --run runs/digits --formats jax onnx

writes `classifier.jax`, `classifier.onnx` and `classifier.json` (version, classes, shape and type of the examples, a
digest of each file) to the folder `export` of the run. Running them needs JAX or an ONNX runtime, and not this package;
both take any number of examples f32[B, ...], in the units of the training examples, and give their scores f32[B, C]:

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
import tyro
from rich.console import Console

from experiments.classifier.saved import describe, read_classifier
from experiments.cli import command, files
from jaxnn.interop import export

VERSION = 1
"""Of the files together; another one when their meaning changes."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Which classifier, and as what."""

    run: Path
    """The folder of a run of experiments.train."""
    out: Path | None = None
    """The folder for the files, those of the same name are replaced; by default `export` in the folder of the run."""
    formats: tuple[Literal["jax", "onnx"], ...] = ("jax",)
    """jax, onnx, or both; they need the extra "export"."""


def write(config: Config, console: Console) -> dict[str, Any]:
    """Read the classifier and write its files.

    Args:
        config: what was given.
        console: where the names of the files go.

    Returns:
        What is in `classifier.json`.

    Raises:
        ValueError, OSError: as `experiments.classifier.saved.read_classifier`, or no format; nothing was written then.
        ImportError: a package is not installed; the message says which.
    """
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
        files.write_bytes(out / name, content)
    files.write_json(out / "classifier.json", about)
    for name, content in contents.items():
        console.print(f"{out / name}: {len(content):,} bytes", highlight=False)
    return about


def main(arguments: list[str] | None = None) -> int:
    """The command: exit status 0, or 2 when something that was given is wrong."""
    config = tyro.cli(Config, prog="python -m experiments.export", description=__doc__, args=arguments)
    return command.run(write, config, Console())


if __name__ == "__main__":
    sys.exit(main())
