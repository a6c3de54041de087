"""The training task that the settings describe, as a function of the traced hyper-parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax
from jax import Array

from experiments.classifier.config import Settings
from experiments.classifier.model import make_model
from experiments.classifier.preprocessing import transform_of
from jaxnn import layers, losses, optimizers, training
from jaxnn.data import augment

SKIPPED_IN_A_ROW = 10


def hyperparameters(config: Settings) -> dict[str, float]:
    """The settings that are traced: a new value compiles nothing."""
    values = {"learning_rate": config.learning_rate, "l2": config.l2}
    if config.optimizer == "sgd" and config.momentum:
        values["momentum"] = config.momentum
    if config.dropout:
        values["dropout"] = config.dropout
    if config.input_dropout:
        values["input_dropout"] = config.input_dropout
    if config.smoothing:
        values["smoothing"] = config.smoothing
    if config.optimizer == "adamw":
        values["weight_decay"] = 1e-4 if config.weight_decay is None else config.weight_decay
    return values


def task_maker(
    config: Settings, statistics: Any, inputs: np.ndarray, classes: int, dot: layers.Dot = layers.dot_general
) -> Callable[[Mapping[str, Any]], training.Task]:
    """`make_task(hparams) -> training.Task`; a hyper-parameter `width` limits how many hidden neurons are in use.

    `dot` is `layers.dot_as_sum` for a network trained alone; not for a sweep, which multiplies many networks at once.
    """
    steps = config.epochs * (len(inputs) // config.batch_size)
    transform = transform_of(config)
    example = jax.eval_shape(transform, statistics, jax.ShapeDtypeStruct(inputs.shape[1:], inputs.dtype))
    augmentations = [AUGMENTATIONS[name] for name in config.augment if name != "mixup"]

    def augment_images(key: Array, images: Array) -> Array:
        for i, one in enumerate(augmentations):
            images = one(jax.random.fold_in(key, i), images)
        return images

    def make_task(h: Mapping[str, Any]) -> training.Task:
        smoothing = h.get("smoothing", 0.0)
        optimizer = _optimizer(config, h, steps)
        return training.Task(
            model=make_model(config, h, example.shape, classes, dot),
            loss=losses.svm if config.loss == "svm" else functools.partial(losses.softmax, smoothing=smoothing),
            penalty=lambda params: h["l2"] * losses.l2(params),
            optimizer=optimizer
            if config.on_nonfinite == "stop"
            else optax.apply_if_finite(optimizer, SKIPPED_IN_A_ROW),
            transform=transform,
            augment=augment_images if augmentations else None,
            mixup=augment.mixup if "mixup" in config.augment else None,
            mirror=config.mirror,
        )

    return make_task


AUGMENTATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "flip": augment.flip,
    "crop": augment.crop,
    "cutout": augment.cutout,
    "affine": augment.affine,
}


def _optimizer(config: Settings, h: Mapping[str, Any], steps: int) -> optax.GradientTransformation:
    rate = h["learning_rate"]
    match config.schedule:
        case "cosine":
            rate = optax.cosine_decay_schedule(rate, steps)
        case "one-cycle":
            rate = optax.cosine_onecycle_schedule(steps, rate)
    match config.optimizer:
        case "sgd":
            made = optax.inject_hyperparams(optax.sgd)(rate, momentum=h.get("momentum"))
            made = optimizers.beta_lasso(made, config.beta_lasso, rate) if config.beta_lasso else made
        case "adam":
            made = optax.inject_hyperparams(optax.adam)(rate)
        case "adamw":
            made = optax.inject_hyperparams(optax.adamw, "mask")(rate, weight_decay=h["weight_decay"], mask=_weights)
        case "rmsprop":
            made = optax.inject_hyperparams(optax.rmsprop)(rate)
    return optimizers.with_ema(made, config.average) if config.average else made


def _weights(params: Any) -> Any:
    """True for weights; biases do not decay."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
