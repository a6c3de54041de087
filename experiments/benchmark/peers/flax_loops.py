"""Flax as in its own examples: a jitted step in a Python loop over standardized NumPy batches in a new random order."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx
from flax.training.train_state import TrainState
from jax import Array

from experiments.benchmark.peers import Peer
from experiments.benchmark.works import Work, floats, read


class Linen(linen.Module):
    """The network in Flax Linen."""

    work: Work
    outputs: int

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """The scores; with dropout in training."""
        for size in self.work.hidden:
            x = linen.relu(linen.Dense(size, kernel_init=_init(self.work))(x))
            if self.work.dropout:
                x = linen.Dropout(self.work.dropout)(x, deterministic=not train)
        return linen.Dense(self.outputs, kernel_init=_init(self.work))(x)


class Nnx(nnx.Module):
    """The network in Flax NNX."""

    def __init__(self, work: Work, inputs: int, outputs: int) -> None:
        rngs = nnx.Rngs(0)
        sizes = (inputs, *work.hidden, outputs)
        pairs = itertools.pairwise(sizes)
        self.layers = nnx.List([nnx.Linear(i, o, kernel_init=_init(work), rngs=rngs) for i, o in pairs])
        self.dropout = nnx.Dropout(work.dropout, rngs=rngs) if work.dropout else None

    def __call__(self, x: Array) -> Array:
        """The scores."""
        for layer in list(self.layers)[:-1]:
            x = nnx.relu(layer(x))
            if self.dropout is not None:
                x = self.dropout(x)
        return self.layers[-1](x)


def linen_loop(work: Work, folder: Path) -> Peer:
    """Flax Linen: a `TrainState`, its buffers donated to the jitted step.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y = _arrays(work, folder)
    model = Linen(work, int(y.max()) + 1)
    state = linen_state(work, model, model.init(jax.random.key(0), x[:1])["params"])
    scores = jax.jit(lambda params, x: model.apply({"params": params}, x))

    take_step, key = make_linen_step(work), jax.random.key(1)

    def step(x: np.ndarray, y: np.ndarray) -> None:
        nonlocal state
        state, _ = take_step(state, x, y, key)

    return _looped(work, x, y, step, lambda: state.params, lambda x: scores(state.params, x))


def linen_state(work: Work, model: Linen, params: Any) -> TrainState:
    """The state before the first step.

    Args:
        work: what is trained.
        model: the network.
        params: its weights.

    Returns:
        The state.
    """
    return TrainState.create(
        apply_fn=model.apply, params=params, tx=optax.sgd(work.learning_rate, momentum=work.momentum)
    )


def make_linen_step(work: Work) -> Callable[..., tuple[TrainState, Array]]:
    """One step of training.

    Args:
        work: what is trained.

    Returns:
        `step(state, x, y, key) -> (state, loss before the step)`; the state that is given is used up.
    """

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: TrainState, x: Array, y: Array, key: Array) -> tuple[TrainState, Array]:
        def objective(params: Any) -> Array:
            rngs = {"dropout": jax.random.fold_in(key, state.step)}
            scores = state.apply_fn({"params": params}, x, train=True, rngs=rngs)
            return _loss(work, scores, y) + work.l2 * _penalty(params)

        loss, gradient = jax.value_and_grad(objective)(state.params)
        return state.apply_gradients(grads=gradient), loss

    return step


def nnx_loop(work: Work, folder: Path) -> Peer:
    """Flax NNX: `nnx.jit` with `nnx.cached_partial`, its fastest form of a step that changes the model in place.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y = _arrays(work, folder)
    model = Nnx(work, x.shape[1], int(y.max()) + 1)
    model.train()
    step = nnx.cached_partial(make_nnx_step(work), model, nnx_optimizer(work, model))
    scores = nnx.jit(lambda model, x: model(x))

    def evaluated(x: np.ndarray) -> Array:
        return scores(nnx.view(model, deterministic=True, raise_if_not_found=False), x)

    return _looped(work, x, y, step, lambda: nnx.state(model), evaluated)


def nnx_optimizer(work: Work, model: Nnx) -> nnx.Optimizer:
    """The optimizer of a model.

    Args:
        work: what is trained.
        model: whose parameters.

    Returns:
        The optimizer.
    """
    return nnx.Optimizer(model, optax.sgd(work.learning_rate, momentum=work.momentum), wrt=nnx.Param)


def make_nnx_step(work: Work) -> Callable[[Nnx, nnx.Optimizer, Any, Any], Array]:
    """One step of training.

    Args:
        work: what is trained.

    Returns:
        `step(model, optimizer, x, y)`, which changes model and optimizer and returns the loss before the step.
    """

    def step(model: Nnx, optimizer: nnx.Optimizer, x: Array, y: Array) -> Array:
        def objective(model: Nnx) -> Array:
            return _loss(work, model(x), y) + work.l2 * sum(
                (jnp.sum(jnp.square(layer.kernel[...])) for layer in model.layers), start=jnp.float32(0)
            )

        loss, gradient = nnx.value_and_grad(objective)(model)
        optimizer.update(model, gradient)
        return loss

    return nnx.jit(step)


def _arrays(work: Work, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    examples = read(work, folder)
    return floats(examples), examples.labels


def _init(work: Work) -> Any:
    return jax.nn.initializers.he_normal() if work.hidden else jax.nn.initializers.normal(0.01)


def _loss(work: Work, scores: Array, labels: Array | np.ndarray) -> Array:
    if work.loss == "softmax":
        return optax.softmax_cross_entropy_with_integer_labels(scores, jnp.asarray(labels)).mean()
    right = jax.nn.one_hot(labels, scores.shape[-1])
    margins = jax.nn.relu(scores - jnp.sum(scores * right, axis=-1, keepdims=True) + 1)
    return jnp.sum(margins * (1 - right), axis=-1).mean()


def _penalty(params: Any) -> Array:
    return sum((jnp.sum(jnp.square(layer["kernel"])) for layer in params.values()), start=jnp.float32(0))


def _looped(
    work: Work,
    x: np.ndarray,
    y: np.ndarray,
    step: Callable[[np.ndarray, np.ndarray], Any],
    state: Callable[[], Any],
    scores: Callable[[np.ndarray], Array],
) -> Peer:
    random = np.random.default_rng(0)
    steps = len(x) // work.batch_size

    def train(units: int) -> None:
        for _ in range(units * work.epochs):
            for rows in random.permutation(len(x))[: steps * work.batch_size].reshape(steps, -1):
                step(x[rows], y[rows])
        jax.block_until_ready(state())

    def accuracies() -> list[float]:
        return [float((np.asarray(scores(x)).argmax(1) == y).mean())]

    return Peer(train, accuracies)
