"""The compiled training programs: pure functions of arrays.

The points are in a table of fixed size with traced counts: new points compile nothing, and neither do new rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from experiments.playground.engine.registry import ACTIVATIONS, FEATURES, LOSSES
from experiments.playground.engine.settings import MAX_POINTS, Shape
from jaxnn import initializers, layers, losses, models, training
from jaxnn._random import permutation

EXTENT = 6.0
"""The drawn plane extends from -EXTENT to EXTENT in both directions."""
SEEDS, WIDTHS = 16, (1, 2, 3, 6, 20)
ORDERS = 64
"""Epochs whose orders of the points are drawn at once."""
_BLOCK = 32
"""Steps whose batches are gathered at once."""
Hparams = Mapping[str, Any]


class Table(NamedTuple):
    """The points as input of the programs: training points, then test points, then unused rows."""

    inputs: Any
    """f32[MAX_POINTS, 2]."""
    targets: Any
    """f32[MAX_POINTS]: class indices, or values."""
    train: Any
    """i32[], the number of training points."""
    total: Any
    """i32[], the number of points."""


class Learner(NamedTuple):
    """A network in training, or several with a leading axis in parameters and optimizer states."""

    state: training.State
    """Orders and dropout masks are functions of its key and the counters."""
    epoch: Array
    """i32[], the current epoch."""
    place: Array
    """i32[], completed steps of the epoch."""


_STATES: Any = training.State._make((0, 0, None, None, None))
"""The axis of the networks in a state of several."""


def features_of(shape: Shape, x: Array) -> Array:
    """The inputs of the network, f32[..., F], at points of the plane, f32[..., 2]."""
    return jnp.stack([FEATURES[name](x) for name in shape.features], axis=-1)


def _difference(scores: Array, labels: Array) -> Array:
    """The squared loss of values; the scores of `_value_model` are differences."""
    return jnp.square(scores[..., 0])


def _network(shape: Shape, h: Hparams, dot: layers.Dot = layers.dot_general) -> models.Model:
    """The network from features to scores."""
    wide = max(WIDTHS)
    hidden = tuple(wide for _ in shape.hidden) if shape.many == "widths" else shape.hidden
    return models.mlp(
        len(shape.features),
        hidden,
        shape.outputs,
        activation=ACTIVATIONS[shape.activation],
        init=initializers.INITIALIZERS[shape.init],
        dropout=h["dropout"],
        width=[h["width"]] * len(hidden) if shape.many == "widths" else None,
        dot=dot,
    )


def _value_model(model: models.Model) -> models.Model:
    """A network whose last input is the target and whose score is the difference from it."""

    def apply(params: Any, x: Array, *, key: Array | None = None) -> Array:
        return model.apply(params, x[..., :-1], key=key) - x[..., -1:]

    return models.Model(model.init, apply)


def _optimizer(shape: Shape, h: Hparams) -> optax.GradientTransformation:
    """The optimizer with its traced rates."""
    match shape.optimizer:
        case "adam":
            return optax.adam(h["learning_rate"])
        case "rmsprop":
            return optax.rmsprop(h["learning_rate"])
        case "adagrad":
            return optax.adagrad(h["learning_rate"])
        case _:
            return optax.sgd(h["learning_rate"], momentum=h["momentum"], nesterov=shape.optimizer == "nesterov")


def make_task(shape: Shape, h: Hparams, dot: layers.Dot = layers.dot_general) -> training.Task:
    """The training task of one network."""
    model = _network(shape, h, dot)
    return training.Task(
        model=_value_model(model) if shape.loss == "value" else model,
        loss=_difference if shape.loss == "value" else LOSSES[shape.loss],
        penalty=lambda params: h["l2"] * losses.l2(params) + h["l1"] * losses.l1(params),
        optimizer=_optimizer(shape, h),
    )


def examples(shape: Shape, table: Table, rows: Array) -> tuple[Array, Array]:
    """Rows of the table as a batch; for values, the target is the last input and the labels are unused."""
    x, targets = features_of(shape, table.inputs[rows]), table.targets[rows]
    if shape.loss == "value":
        return jnp.concatenate([x, targets[..., None]], axis=-1), jnp.zeros(rows.shape, jnp.int32)
    return x, targets.astype(jnp.int32)


def begin(shape: Shape, h: Hparams, key: Array) -> Learner:
    """The initial networks."""

    def start(h: Hparams, key: Array) -> tuple[Any, Any]:
        task = make_task(shape, h)
        params = task.model.init(key)
        return params, task.optimizer.init(params)

    keys = jax.random.split(key, SEEDS) if shape.many == "seeds" else key
    if shape.many != "one":
        start = jax.vmap(start, in_axes=(_axes(h), 0 if shape.many == "seeds" else None))
    zero = jnp.int32(0)
    return Learner(training.State(*start(h, keys), step=zero, key=jax.random.fold_in(key, 1)), epoch=zero, place=zero)


def _axes(h: Hparams) -> dict[str, int | None]:
    return {name: 0 if name == "width" else None for name in h}


def orders(key: Array, epoch: ArrayLike, train: ArrayLike) -> Array:
    """The orders of ORDERS epochs, i32[ORDERS, MAX_POINTS]: each row begins with a permutation of `train` numbers."""

    def order(epoch: Array) -> Array:
        shuffled = permutation(jax.random.fold_in(key, epoch), MAX_POINTS)
        inside = shuffled < train
        place = jnp.where(inside, jnp.cumsum(inside, dtype=jnp.int32) - 1, MAX_POINTS)
        return jnp.zeros(MAX_POINTS, jnp.int32).at[place].set(shuffled, mode="drop")

    return jax.vmap(order)(jnp.asarray(epoch) + jnp.arange(ORDERS, dtype=jnp.int32))


def train(
    shape: Shape, learner: Learner, h: Hparams, table: Table, order: Array, first: Array, steps: Array
) -> Learner:
    """Train for `steps` steps, but not beyond the epochs of `order`, whose first row is epoch `first`."""
    size = shape.batch_size
    inside = jnp.arange(_BLOCK, dtype=jnp.int32)
    dot = layers.dot_as_sum if shape.many == "one" else layers.dot_general

    def update(state: training.State, h: Hparams, batch: Any, keys: training.StepKeys) -> training.State:
        return training.make_train_step(make_task(shape, h, dot))(state, batch, keys)[0]

    if shape.many != "one":
        update = jax.vmap(update, (_STATES, _axes(h), None, None), _STATES)

    def block(carry: tuple[Learner, Array]) -> tuple[Learner, Array]:
        """Some steps within an epoch; batches and keys are computed for all of them at once."""
        learner, left = carry
        per_epoch = jnp.maximum(table.train // size, 1)
        rest = jnp.maximum(per_epoch - learner.place, 1)  # fewer points may have shortened the epoch
        now = jnp.minimum(jnp.minimum(left, rest), _BLOCK)
        rows = ((learner.place + inside) * size)[:, None] + jnp.arange(size, dtype=jnp.int32)[None]
        batches = examples(shape, table, order[learner.epoch - first][rows % table.train])
        keys = jax.vmap(training.step_keys, (None, 0))(learner.state.key, learner.state.step + inside)

        def step(i: Array, state: training.State) -> training.State:
            return update(state, h, *jax.tree.map(lambda a: a[i], (batches, keys)))

        state = jax.lax.fori_loop(0, now, step, learner.state)
        place = learner.place + now
        ended = place >= per_epoch
        epoch = learner.epoch + ended.astype(jnp.int32)
        place = jnp.where(ended, 0, place)
        return Learner(state, epoch, place), left - now

    def should_continue(carry: tuple[Learner, Array]) -> Array:
        return (carry[1] > 0) & (carry[0].epoch < first + ORDERS)

    return jax.lax.while_loop(should_continue, block, (learner, steps))[0]
