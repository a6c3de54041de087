"""Run folders with random weights, as `experiments.train` lays them out."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from experiments.classifier.config import Config
from experiments.classifier.presets import resolve
from experiments.classifier.results import Classifier
from experiments.cli import files
from jaxnn.data import load, preprocess


def store(
    folder: Path,
    *,
    hidden: tuple[int, ...] = (),
    how: Any = "standardize-global",
    dataset="digits",
    seed=0,
    **options: Any,
) -> Any:
    """A run folder with random weights for digits, as `experiments.train` lays it out."""
    digits = load("digits")
    model = "mlp" if hidden else "linear"
    settings = resolve(Config(model=model, hidden=hidden or None, preprocess=how, **options), digits)
    pixels = digits.train.inputs
    if how in ("pca", "whiten"):
        statistics, inputs = preprocess.fit_pca(pixels, 10), 10
    else:
        axes = "pixel" if how in ("standardize", "center") else "global"
        statistics, inputs = None if how == "none" else preprocess.fit_moments(pixels, axes), 64
    sizes = [inputs, *hidden, 10]
    generator = np.random.default_rng(seed)
    params = [
        {"w": generator.normal(0, 0.3, (b, a)).astype(np.float32), "b": generator.normal(0, 1, b).astype(np.float32)}
        for a, b in itertools.pairwise(sizes)
    ]
    folder.mkdir()
    files.write_json(folder / "config.json", settings)
    text = json.loads((folder / "config.json").read_text()) | {"dataset": dataset}
    text |= {"classes": [str(i) for i in range(10)], "input_shape": [2] if dataset == "circle" else [8, 8, 1]}
    (folder / "config.json").write_text(json.dumps(text))
    files.write_arrays(folder / "classifier.npz", Classifier(statistics, params))
    return statistics, params
