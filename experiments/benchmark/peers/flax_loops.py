"""Flax as in its own examples: a jitted step in a Python loop over shuffled, standardized NumPy batches."""

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
from experiments.benchmark.workloads import Workload, in_complete_batches, read_standardized


class Linen(linen.Module):
    """The network in Flax Linen."""

    workload: Workload
    outputs: int

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """The scores."""
        for size in self.workload.hidden:
            x = linen.relu(linen.Dense(size, kernel_init=_init(self.workload))(x))
            if self.workload.dropout:
                x = linen.Dropout(self.workload.dropout)(x, deterministic=not train)
        return linen.Dense(self.outputs, kernel_init=_init(self.workload))(x)


class Nnx(nnx.Module):
    """The network in Flax NNX."""

    def __init__(self, workload: Workload, inputs: int, outputs: int) -> None:
        rngs = nnx.Rngs(0)
        sizes = (inputs, *workload.hidden, outputs)
        pairs = itertools.pairwise(sizes)
        self.layers = nnx.List([nnx.Linear(i, o, kernel_init=_init(workload), rngs=rngs) for i, o in pairs])
        self.dropout = nnx.Dropout(workload.dropout, rngs=rngs) if workload.dropout else None

    def __call__(self, x: Array) -> Array:
        """The scores."""
        for layer in list(self.layers)[:-1]:
            x = nnx.relu(layer(x))
            if self.dropout is not None:
                x = self.dropout(x)
        return self.layers[-1](x)


def linen_loop(workload: Workload, folder: Path) -> Peer:
    """Flax Linen: a `TrainState` whose buffers are donated to the jitted step."""
    x, y = read_standardized(workload, folder)
    model = Linen(workload, int(y.max()) + 1)
    state = linen_state(workload, model, model.init(jax.random.key(0), x[:1])["params"])
    scores = jax.jit(lambda params, x: model.apply({"params": params}, x))

    take_step, key = make_linen_step(workload), jax.random.key(1)

    def step(x: np.ndarray, y: np.ndarray) -> None:
        nonlocal state
        state, _ = take_step(state, x, y, key)

    return _looped(workload, x, y, step, lambda: state.params, lambda x: scores(state.params, x))


def linen_state(workload: Workload, model: Linen, params: Any) -> TrainState:
    """The state before the first step."""
    return TrainState.create(
        apply_fn=model.apply, params=params, tx=optax.sgd(workload.learning_rate, momentum=workload.momentum)
    )


def make_linen_step(workload: Workload) -> Callable[..., tuple[TrainState, Array]]:
    """`step(state, x, y, key) -> (state, loss before the step)`; the given state is donated."""

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: TrainState, x: Array, y: Array, key: Array) -> tuple[TrainState, Array]:
        def objective(params: Any) -> Array:
            rngs = {"dropout": jax.random.fold_in(key, state.step)}
            scores = state.apply_fn({"params": params}, x, train=True, rngs=rngs)
            return _loss(workload, scores, y) + workload.l2 * _penalty(params)

        loss, gradient = jax.value_and_grad(objective)(state.params)
        return state.apply_gradients(grads=gradient), loss

    return step


def nnx_loop(workload: Workload, folder: Path) -> Peer:
    """Flax NNX: `nnx.jit` with `nnx.cached_partial`, its fastest form of an in-place step."""
    x, y = read_standardized(workload, folder)
    model = Nnx(workload, x.shape[1], int(y.max()) + 1)
    model.train()
    step = nnx.cached_partial(make_nnx_step(workload), model, nnx_optimizer(workload, model))
    scores = nnx.jit(lambda model, x: model(x))

    def evaluated(x: np.ndarray) -> Array:
        return scores(nnx.view(model, deterministic=True, raise_if_not_found=False), x)

    return _looped(workload, x, y, step, lambda: nnx.state(model), evaluated)


def nnx_optimizer(workload: Workload, model: Nnx) -> nnx.Optimizer:
    """SGD with momentum over the parameters of the model."""
    return nnx.Optimizer(model, optax.sgd(workload.learning_rate, momentum=workload.momentum), wrt=nnx.Param)


def make_nnx_step(workload: Workload) -> Callable[[Nnx, nnx.Optimizer, Any, Any], Array]:
    """`step(model, optimizer, x, y)` updates both in place and returns the loss before the step."""

    def step(model: Nnx, optimizer: nnx.Optimizer, x: Array, y: Array) -> Array:
        def objective(model: Nnx) -> Array:
            return _loss(workload, model(x), y) + workload.l2 * sum(
                (jnp.sum(jnp.square(layer.kernel[...])) for layer in model.layers), start=jnp.float32(0)
            )

        loss, gradient = nnx.value_and_grad(objective)(model)
        optimizer.update(model, gradient)
        return loss

    return nnx.jit(step)


def _init(workload: Workload) -> Any:
    return jax.nn.initializers.he_normal() if workload.hidden else jax.nn.initializers.normal(0.01)


def _loss(workload: Workload, scores: Array, labels: Array | np.ndarray) -> Array:
    if workload.loss == "softmax":
        return optax.softmax_cross_entropy_with_integer_labels(scores, jnp.asarray(labels)).mean()
    right = jax.nn.one_hot(labels, scores.shape[-1])
    margins = jax.nn.relu(scores - jnp.sum(scores * right, axis=-1, keepdims=True) + 1)
    return jnp.sum(margins * (1 - right), axis=-1).mean()


def _penalty(params: Any) -> Array:
    return sum((jnp.sum(jnp.square(layer["kernel"])) for layer in params.values()), start=jnp.float32(0))


def _looped(
    workload: Workload,
    x: np.ndarray,
    y: np.ndarray,
    step: Callable[[np.ndarray, np.ndarray], Any],
    state: Callable[[], Any],
    scores: Callable[[np.ndarray], Array],
) -> Peer:
    random = np.random.default_rng(0)
    complete = in_complete_batches(workload, len(x))

    def train(units: int) -> None:
        for _ in range(units * workload.epochs):
            for rows in random.permutation(len(x))[:complete].reshape(-1, workload.batch_size):
                step(x[rows], y[rows])
        jax.block_until_ready(state())

    def accuracies() -> list[float]:
        return [float((np.asarray(scores(x)).argmax(1) == y).mean())]

    return Peer(train, accuracies)
