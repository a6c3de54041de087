"""A trained classifier, read back from the folder of its run."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from experiments.classifier.config import Settings
from experiments.classifier.model import make_model
from experiments.classifier.preprocessing import statistics_like, transform_of
from experiments.classifier.results import Classifier
from experiments.cli import files
from jaxnn import models


class Described(NamedTuple):
    """The description of a classifier in its run folder."""

    settings: Settings
    names: tuple[str, ...]
    """Class names."""
    shape: tuple[int, ...]
    """Shape of one example."""


class SavedClassifier(NamedTuple):
    """A classifier of images or points, read from disk."""

    classifier: Classifier
    score: Callable[[Array], Array]
    """Examples f32[..., *shape], in the units of the training examples, to scores f32[..., classes]."""


def describe(folder: Path) -> Described:
    """Read settings, classes and input shape from a run folder; ValueError if it is not a finished run or damaged."""
    path = folder / "config.json"
    if not path.is_file() or not (folder / "classifier.npz").is_file():
        raise ValueError(
            f"--run {folder} is not a finished run: it lacks config.json or classifier.npz; train one first"
        )
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored["dataset"], str):
            raise TypeError(f"dataset is {stored['dataset']!r}")
        known = {field.name for field in dataclasses.fields(Settings)}
        settings = Settings(**{name: value for name, value in stored.items() if name in known})
        _ = len(settings.hidden), transform_of(settings), models.ACTIVATIONS[settings.activation]
        return Described(settings, tuple(map(str, stored["classes"])), tuple(map(int, stored["input_shape"])))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged or of another version ({error}): train again") from error


def read_classifier(folder: Path, described: Described) -> SavedClassifier:
    """Read the classifier; ValueError if it is damaged or does not match its description."""
    settings, names, shape = described
    if settings.model not in ("linear", "mlp"):
        return _read_convolutional(folder, described)
    layers = 1 + (len(settings.hidden) if settings.model == "mlp" else 0)
    reduced = settings.preprocess in ("pca", "whiten")
    classifier = _read_arrays(folder, settings, [{"w": 0, "b": 0} for _ in range(layers)])
    weights = [layer["w"] for layer in classifier.params]
    into = [w.shape[-1:] for w in weights[1:]]
    out = [layer["b"].shape for layer in classifier.params]
    if any(w.ndim != 2 for w in weights) or into != out[:-1] or out != [w.shape[:1] for w in weights]:
        raise ValueError(f"{folder / 'classifier.npz'} is damaged: its layers do not fit together; train again")
    inputs = weights[0].shape[1]
    pixels = classifier.statistics.components.shape[1] if reduced else inputs
    if math.prod(shape) != pixels or len(names) != len(weights[-1]):
        raise ValueError(
            f"{folder / 'config.json'} is damaged: its examples {list(shape)} or {len(names)} classes are not the "
            f"classifier's"
        )
    width = inputs if reduced else shape
    activation = models.ACTIVATIONS[settings.activation]
    hidden = tuple(len(w) for w in weights[:-1])
    model = models.mlp(
        width,
        hidden,
        len(weights[-1]),
        activation=activation,
        normalize=settings.normalize,
        normalize_inputs=settings.normalize_inputs,
    )
    return _stored(settings, classifier, model)


def _read_arrays(folder: Path, settings: Settings, params: Any, state: Any = None) -> Classifier:
    """The arrays of a classifier with such parameters and state."""
    path = folder / "classifier.npz"
    like = Classifier(statistics_like(settings, files.read_flat(path)), params, state)
    return Classifier(*jax.tree.map(jnp.asarray, tuple(files.read_arrays(path, like))))


def _read_convolutional(folder: Path, described: Described) -> SavedClassifier:
    settings, names, shape = described
    try:
        model = make_model(dataclasses.replace(settings, precision="float32"), {}, shape, len(names))
        init_state = getattr(model, "init_state", lambda key: None)
        params, state = jax.eval_shape(lambda key: (model.init(key), init_state(key)), jax.random.key(0))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder / 'config.json'} is damaged: it describes no network ({error})") from error
    classifier = _read_arrays(folder, settings, params, state)
    return _stored(settings, classifier, models.freeze_state(model, classifier.model_state))


def _stored(settings: Settings, classifier: Classifier, model: models.Model) -> SavedClassifier:
    transform = transform_of(settings)

    def of(examples: Array) -> Array:
        return model.apply(classifier.params, transform(classifier.statistics, examples))

    def score(examples: Array) -> Array:
        return (of(examples) + of(examples[..., ::-1, :])) / 2 if settings.mirror else of(examples)

    return SavedClassifier(classifier, score)
