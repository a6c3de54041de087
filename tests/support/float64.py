"""Trainings in float64, for tests that compare two compiled programs.

Two programs that make the same sums in another order are an ulp apart after a step, and training lets that grow, as far
as the processor and the compiler have it: in float32 no bound holds everywhere and still finds a fault. In float64 it
grows from 1e-16 and stays far below the bounds of the tests, while a fault is as large as ever.
"""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.models import Model, StatefulModel
from jaxnn.training import Task
from jaxnn.training._task import MakeTask

ROUNDED: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-9}
"""Of parameters in float64, and of measures, which the history rounds to float32."""


@contextlib.contextmanager
def enabled() -> Iterator[None]:
    """Arrays may be float64; also the decorator of a test."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), warnings.catch_warnings():
        # the measures are float64, and the history that they are written into is float32
        warnings.filterwarnings("ignore", "scatter inputs have incompatible types", FutureWarning)
        yield


def in_float64(make_task: MakeTask) -> MakeTask:
    """The same training with its parameters, its model and its optimizer in float64, where it is `enabled`.

    Weights are drawn anew, since two programs would not draw them in float32 equal to the last bit.
    """

    def of_model(model: Any) -> Any:
        def init(key):
            leaves, structure = jax.tree.flatten(model.init(key))
            keys = jax.random.split(key, len(leaves))
            return structure.unflatten(_drawn(*pair) for pair in zip(keys, leaves, strict=True))

        if isinstance(model, Model):
            return Model(init, lambda params, x, *, key=None: model.apply(params, widen(x), key=key))
        apply = lambda params, state, x, *, key=None: model.apply(params, state, widen(x), key=key)
        return StatefulModel(init, lambda key: widen(model.init_state(key)), apply)

    def make(h: Any) -> Task:
        task = make_task(widen(h))
        return task._replace(model=of_model(task.model))

    return make


def widen(tree: Any) -> Any:
    """Numbers of floating point become float64."""

    def wide(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        return leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(wide, tree)


def _drawn(key, leaf):
    """What has a single axis, such as biases, starts from constants, which are the same in both programs."""
    if leaf.ndim < 2:
        return widen(leaf)
    return jax.random.normal(key, leaf.shape, jnp.float64) * (leaf.shape[-1] / leaf.size) ** 0.5
