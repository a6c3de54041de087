"""The numbers that are drawn of a network, computed by one forward pass over the plane and the points."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from experiments.playground.engine.programs import EXTENT, Hparams, Table, examples, features_of, make_task
from experiments.playground.engine.registry import ACTIVATIONS
from experiments.playground.engine.settings import MAX_NEURONS, MAX_POINTS, Shape
from jaxnn.inspect import layer_outputs

FINE, COARSE, SMALL = 96, 24, 40
"""Pixels along a side of the large picture, of a neuron, and of one of several networks."""
LEVELS = 51
"""Levels of confidence in a picture of classes; the color index is class * LEVELS + level."""


class Snapshot(NamedTuple):
    """The numbers drawn of one network, as JAX or NumPy arrays."""

    plane: Any
    """u8[FINE, FINE]: color index of class and confidence, or of a value; the first row is the lowest."""
    lead: Any
    """f32[FINE, FINE]: highest score minus the next."""
    neurons: list[Any]
    """u8[n, COARSE, COARSE] for the features and each layer: 128 is zero, 1 and 255 the largest magnitude."""
    outputs: list[Any]
    """f32[COARSE**2 + MAX_POINTS, n] for the features and each layer: on the coarse plane, then at the points."""
    chosen: Any
    """u8[FINE, FINE]: the chosen neuron, scaled as `neurons`."""
    losses: Any
    """f32[2]: mean loss on training and test points; NaN where there are none."""
    accuracies: Any
    """f32[2]: accuracy on training and test points; NaN for values."""
    gradients: Any
    """f32[layers]: L2 norm of the gradient of the objective over all training points with respect to W."""
    dead: Any
    """i32[hidden layers]: neurons with the same output for every training point."""


def plane_points(size: int) -> Array:
    """The positions of the pixels of a square picture, f32[size**2, 2], row by row from the bottom."""
    along = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size * 2 * EXTENT - EXTENT
    return jnp.stack([jnp.tile(along, size), jnp.repeat(along, size)], axis=-1)


def snapshot(shape: Shape, params: Any, h: Hparams, table: Table, chosen: Array) -> Snapshot:
    """Everything drawn of one network; `chosen` is the layer (0: features) and the neuron that is enlarged."""
    task = make_task(shape, h)
    places = jnp.concatenate([plane_points(FINE), table.inputs])
    x = features_of(shape, places)
    outputs = [x, *layer_outputs(params, x, ACTIVATIONS[shape.activation])]
    scores = outputs[-1]
    number = jnp.arange(MAX_POINTS)
    inputs, labels = examples(shape, table, number)
    of_train = (number < table.train).astype(jnp.float32)
    of_test = ((number >= table.train) & (number < table.total)).astype(jnp.float32)

    def objective(params: Any) -> tuple[Array, tuple[Array, Array]]:
        scores = task.model.apply(params, inputs)
        loss = task.loss(scores, labels)
        return (loss * of_train).sum() / of_train.sum() + task.penalty(params), (scores, loss)

    gradient, (at_points, loss) = jax.grad(objective, has_aux=True)(params)
    right = (at_points.argmax(-1).astype(jnp.int32) == labels).astype(jnp.float32)

    def means(values: Array) -> Array:
        return jnp.stack([(values * of).sum() / of.sum() for of in (of_train, of_test)])

    hidden = [a[FINE * FINE :] for a in outputs[1:-1]]
    trained = (of_train > 0)[:, None]
    spread = [jnp.where(trained, a, -jnp.inf).max(0) - jnp.where(trained, a, jnp.inf).min(0) for a in hidden]
    used = h.get("width", MAX_NEURONS)
    largest = [jnp.abs(a[: FINE * FINE]).max(0) for a in outputs]
    step = FINE // COARSE
    coarse = [a[: FINE * FINE].reshape(FINE, FINE, -1)[step // 2 :: step, step // 2 :: step] for a in outputs]
    layer = jnp.clip(chosen[0], 0, len(outputs) - 1)
    columns = [
        jax.lax.dynamic_index_in_dim(a[: FINE * FINE], jnp.clip(chosen[1], 0, a.shape[1] - 1), 1, False)
        for a in outputs
    ]
    one = jax.lax.select_n(layer, *columns) if len(columns) < 2 else jnp.stack(columns)[layer]
    best = jax.lax.top_k(scores[: FINE * FINE], min(2, shape.outputs))[0]
    return Snapshot(
        plane=_colors(shape, scores[: FINE * FINE]).reshape(FINE, FINE),
        lead=(best[:, 0] - best[:, -1]).reshape(FINE, FINE),
        neurons=[
            _signed(jnp.moveaxis(a, -1, 0), jnp.broadcast_to(m[:, None, None], (len(m), COARSE, COARSE)))
            for a, m in zip(coarse, largest, strict=True)
        ],
        outputs=[
            jnp.concatenate([a.reshape(COARSE * COARSE, -1), o[FINE * FINE :]])
            for a, o in zip(coarse, outputs, strict=True)
        ],
        chosen=_signed(one, jnp.broadcast_to(jnp.abs(one).max(), one.shape)).reshape(FINE, FINE),
        losses=means(loss),
        accuracies=jnp.full(2, jnp.nan) if shape.loss == "value" else means(right),
        gradients=jnp.stack([jnp.sqrt(jnp.square(g["w"]).sum()) for g in gradient]),
        dead=jnp.stack([((s == 0) & (jnp.arange(len(s)) < used)).sum(dtype=jnp.int32) for s in spread])
        if spread
        else jnp.zeros(0, jnp.int32),
    )


def _colors(shape: Shape, scores: Array) -> Array:
    """Color indices of the predicted class with its confidence, or of a value from -1 to 1."""
    if shape.loss == "value":
        return _signed(scores[:, 0], jnp.ones(len(scores)))
    if shape.loss == "softmax":
        confidence = jax.nn.softmax(scores).max(-1)
        confidence = (confidence - 1 / shape.outputs) / (1 - 1 / shape.outputs)
    else:  # the SVM and squared losses aim at a lead of 1
        best = jax.lax.top_k(scores, 2)[0]
        confidence = jnp.clip(best[:, 0] - best[:, 1], 0.0, 1.0)
    level = jnp.clip(jnp.nan_to_num(confidence) * LEVELS, 0.0, LEVELS - 1.0).astype(jnp.int32)
    return (scores.argmax(-1).astype(jnp.int32) * LEVELS + level).astype(jnp.uint8)


def _signed(values: Array, largest: Array) -> Array:
    """Color indices of signed values; 128 is zero."""
    fraction = jnp.clip(jnp.nan_to_num(values / jnp.maximum(largest, 1e-30)), -1.0, 1.0)
    return (128 + jnp.round(127 * fraction)).astype(jnp.uint8)


def small_pictures(shape: Shape, params: Any, h: Hparams, table: Table) -> tuple[Array, Array]:
    """Pictures u8[networks, SMALL, SMALL], and accuracies (of values: mean squared errors) f32[networks, 2]."""
    number = jnp.arange(MAX_POINTS)
    of = [number < table.train, (number >= table.train) & (number < table.total)]
    places = features_of(shape, jnp.concatenate([plane_points(SMALL), table.inputs]))

    def one(params: Any) -> tuple[Array, Array]:
        scores = layer_outputs(params, places, ACTIVATIONS[shape.activation])[-1]
        at_points = scores[SMALL * SMALL :]
        if shape.loss == "value":
            good = jnp.square(at_points[:, 0] - table.targets)
        else:
            good = (at_points.argmax(-1).astype(jnp.int32) == table.targets.astype(jnp.int32)).astype(jnp.float32)
        means = jnp.stack([jnp.where(which, good, 0.0).sum() / which.sum().astype(jnp.float32) for which in of])
        return _colors(shape, scores[: SMALL * SMALL]).reshape(SMALL, SMALL), means

    return jax.vmap(one)(params)
