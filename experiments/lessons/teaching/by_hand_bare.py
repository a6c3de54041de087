"""A network and its training from bare JAX and optax: nothing of jaxnn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

Params = list[dict[str, Array]]


def train(params: Params, batches: Iterable[tuple[Array, Array]], rate: float) -> tuple[Params, list[Array]]:
    """Train a network of one hidden layer, an iteration per batch; the parameters and the loss of each iteration."""

    def score(params: Params, x: Array) -> Array:
        hidden = jax.nn.relu(x @ params[0]["w"].T + params[0]["b"][None])
        return hidden @ params[1]["w"].T + params[1]["b"][None]

    def loss(params: Params, x: Array, y: Array) -> Array:
        log_p = jax.nn.log_softmax(score(params, x))
        return -jnp.take_along_axis(log_p, y[:, None], 1).mean()

    optimizer = optax.sgd(rate, momentum=0.9)
    state = optimizer.init(params)

    @jax.jit
    def iteration(params: Params, state: Any, x: Array, y: Array) -> tuple[Params, Any, Array]:
        value, gradient = jax.value_and_grad(loss)(params, x, y)
        updates, state = optimizer.update(gradient, state, params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
        return params, state, value

    history = []
    for x, y in batches:
        params, state, value = iteration(params, state, x, y)
        history.append(value)
    return params, history
