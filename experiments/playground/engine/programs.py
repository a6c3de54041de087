"""The compiled programs of the page: begin, train for a number of steps, and look at the network.

They are pure functions of arrays. The points lie in a table of fixed size, training points first, whose counts are
traced, so that adding a point compiles nothing; neither do new rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from experiments.playground.engine.settings import MAX_POINTS, Shape
from jaxnn import initializers, layers, losses, models, training
from jaxnn.random import permutation
from jaxnn.training._task import StepKeys

EXTENT = 6.0
"""The plane that is drawn reaches from -EXTENT to EXTENT in both directions."""
SEEDS, WIDTHS = 16, (1, 2, 3, 6, 20)
ORDERS = 64
"""For so many epochs the order of the points is drawn at once."""
BLOCK = 32
"""For so many steps the batches are gathered at once."""
FEATURES = {
    "x1": lambda x: x[..., 0],
    "x2": lambda x: x[..., 1],
    "x1^2": lambda x: x[..., 0] ** 2,
    "x2^2": lambda x: x[..., 1] ** 2,
    "x1*x2": lambda x: x[..., 0] * x[..., 1],
    "sin(x1)": lambda x: jnp.sin(x[..., 0]),
    "sin(x2)": lambda x: jnp.sin(x[..., 1]),
}
INITIALIZERS = {
    "normal": initializers.normal(0.01),
    "xavier": initializers.xavier,
    "he": initializers.he,
    "zeros": initializers.zeros,
}
ACTIVATIONS = {**models.ACTIVATIONS, "linear": lambda x: x}
Hparams = Mapping[str, Any]


class Table(NamedTuple):
    """The points as the programs see them: training points first, then test points, then unused rows."""

    inputs: Any
    """f32[MAX_POINTS, 2]."""
    targets: Any
    """f32[MAX_POINTS]: the number of the class, or the value."""
    train: Any
    """i32[], how many are trained on."""
    total: Any
    """i32[], how many there are."""


class Learner(NamedTuple):
    """A network in training, or many of them, which then have a leading axis in all but the counters."""

    params: Any
    opt_state: Any
    step: Array
    """i32[]."""
    epoch: Array
    """i32[], the epoch that is under way."""
    place: Array
    """i32[], how many steps of it are done."""
    key: Array
    """Orders and dropout masks are functions of it and of the counters."""


def features_of(shape: Shape, x: Array) -> Array:
    """What the network is given of points of the plane."""
    return jnp.stack([FEATURES[name](x) for name in shape.features], axis=-1)


def squared(scores: Array, labels: Array) -> Array:
    """The squared loss of scores that should be 1 for the right class and 0 for the others."""
    return jnp.square(scores - jax.nn.one_hot(labels, scores.shape[-1])).sum(-1)


def _difference(scores: Array, labels: Array) -> Array:
    """The squared loss of values: the model of `_of_values` gives the difference itself."""
    return jnp.square(scores[..., 0])


LOSSES = {"softmax": losses.softmax, "svm": losses.svm, "squared": squared, "value": _difference}


def network(shape: Shape, h: Hparams, dot: layers.Dot = layers.dot_general) -> models.Model:
    """The network: features in, scores out."""
    wide = max(WIDTHS)
    hidden = tuple(wide for _ in shape.hidden) if shape.many == "widths" else shape.hidden
    return models.mlp(
        len(shape.features),
        hidden,
        shape.outputs,
        activation=ACTIVATIONS[shape.activation],
        init=INITIALIZERS[shape.init],
        dropout=h["dropout"],
        width=[h["width"]] * len(hidden) if shape.many == "widths" else None,
        dot=dot,
    )


def _of_values(model: models.Model) -> models.Model:
    """A network whose last input is the value that it should predict, and whose score is the difference to it."""

    def apply(params: Any, x: Array, *, key: Array | None = None) -> Array:
        return model.apply(params, x[..., :-1], key=key) - x[..., -1:]

    return models.Model(model.init, apply)


def optimizer(shape: Shape, h: Hparams) -> optax.GradientTransformation:
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
    """What is to be learned."""
    model = network(shape, h, dot)
    return training.Task(
        model=_of_values(model) if shape.loss == "value" else model,
        loss=LOSSES[shape.loss],
        penalty=lambda params: h["l2"] * losses.l2(params) + h["l1"] * losses.l1(params),
        optimizer=optimizer(shape, h),
    )


def examples(shape: Shape, table: Table, rows: Array) -> tuple[Array, Array]:
    """The rows of the table as a batch for the task."""
    x, targets = features_of(shape, table.inputs[rows]), table.targets[rows]
    if shape.loss == "value":
        return jnp.concatenate([x, targets[..., None]], axis=-1), jnp.zeros(rows.shape, jnp.int32)
    return x, targets.astype(jnp.int32)


def begin(shape: Shape, h: Hparams, key: Array) -> Learner:
    """Networks before their first step."""

    def start(h: Hparams, key: Array) -> tuple[Any, Any]:
        task = make_task(shape, h)
        params = task.model.init(key)
        return params, task.optimizer.init(params)

    keys = jax.random.split(key, SEEDS) if shape.many == "seeds" else key
    if shape.many != "one":
        start = jax.vmap(start, in_axes=(_axes(h), 0 if shape.many == "seeds" else None))
    zero = jnp.int32(0)
    return Learner(*start(h, keys), step=zero, epoch=zero, place=zero, key=jax.random.fold_in(key, 1))


def _axes(h: Hparams) -> dict[str, int | None]:
    return {name: 0 if name == "width" else None for name in h}


def orders(key: Array, epoch: ArrayLike, train: ArrayLike) -> Array:
    """The training points in the random orders of some epochs."""

    def order(epoch: Array) -> Array:
        mixed = permutation(jax.random.fold_in(key, epoch), MAX_POINTS)
        inside = mixed < train
        place = jnp.where(inside, jnp.cumsum(inside, dtype=jnp.int32) - 1, MAX_POINTS)
        return jnp.zeros(MAX_POINTS, jnp.int32).at[place].set(mixed, mode="drop")

    return jax.vmap(order)(jnp.asarray(epoch) + jnp.arange(ORDERS, dtype=jnp.int32))


def train(
    shape: Shape, learner: Learner, h: Hparams, table: Table, order: Array, first: Array, steps: Array
) -> Learner:
    """Train for some steps, at most to the end of the epochs whose orders are given."""
    size = shape.batch_size
    inside = jnp.arange(BLOCK, dtype=jnp.int32)
    dot = layers.dot_as_sum if shape.many == "one" else layers.dot_general

    def update(params: Any, opt_state: Any, h: Hparams, batch: Any, key: Array) -> tuple[Any, Any]:
        state = training.State(params, opt_state, jnp.int32(0), key)
        new, _ = training.make_train_step(make_task(shape, h, dot))(state, batch, StepKeys(key, key, key))
        return new.params, new.opt_state

    update_all = update if shape.many == "one" else jax.vmap(update, in_axes=(0, 0, _axes(h), None, None))

    def block(carry: tuple[Learner, Array]) -> tuple[Learner, Array]:
        """Some steps within an epoch; what does not depend on the parameters is computed for all of them at once."""
        learner, left = carry
        per_epoch = jnp.maximum(table.train // size, 1)
        rest = jnp.maximum(per_epoch - learner.place, 1)  # the epoch may have become shorter
        now = jnp.minimum(jnp.minimum(left, rest), BLOCK)
        rows = ((learner.place + inside) * size)[:, None] + jnp.arange(size, dtype=jnp.int32)[None]
        batches = examples(shape, table, order[learner.epoch - first][rows % table.train])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(learner.key, learner.step + inside)

        def step(i: Array, weights: tuple[Any, Any]) -> tuple[Any, Any]:
            return update_all(*weights, h, jax.tree.map(lambda a: a[i], batches), keys[i])

        params, opt_state = jax.lax.fori_loop(0, now, step, (learner.params, learner.opt_state))
        place = learner.place + now
        ended = place >= per_epoch
        epoch = learner.epoch + ended.astype(jnp.int32)
        place = jnp.where(ended, 0, place)
        return Learner(params, opt_state, learner.step + now, epoch, place, learner.key), left - now

    def should_continue(carry: tuple[Learner, Array]) -> Array:
        return (carry[1] > 0) & (carry[0].epoch < first + ORDERS)

    return jax.lax.while_loop(should_continue, block, (learner, steps))[0]
