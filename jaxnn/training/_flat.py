"""Examples stored as rows: a TPU pads the last two axes of an array to 8 x 128, which quadruples images."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxnn.training._task import Data


@functools.partial(jax.tree_util.register_dataclass, data_fields=["rows"], meta_fields=["shape"])
@dataclasses.dataclass(frozen=True)
class Flat:
    """Examples [N, D], and the shape of one of them."""

    rows: Any
    shape: tuple[int, ...]


def flatten(inputs: Any) -> Any:
    """Inputs [N, ...] as they are stored: with more than two axes, a `Flat`."""
    if isinstance(inputs, Flat) or jnp.ndim(inputs) < 3:
        return inputs
    return Flat(inputs.reshape(len(inputs), -1), jnp.shape(inputs)[1:])


def flatten_data(data: Data) -> Data:
    """The data as they are stored."""
    splits = None
    if data.evaluate is not None:
        splits = {name: (flatten(inputs), labels) for name, (inputs, labels) in data.evaluate.items()}
    return data._replace(inputs=flatten(data.inputs), evaluate=splits)


def unflatten(inputs: Any) -> Array:
    """Stored inputs, or some of them, in their own shape."""
    return inputs.rows.reshape(-1, *inputs.shape) if isinstance(inputs, Flat) else jnp.asarray(inputs)
