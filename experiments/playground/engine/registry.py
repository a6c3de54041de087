"""The features, activations and losses that the settings can name."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from jaxnn import losses, models


def _squared(scores: Array, labels: Array) -> Array:
    """The squared loss of scores whose targets are 1 for the correct class and 0 for the others."""
    return jnp.square(scores - jax.nn.one_hot(labels, scores.shape[-1])).sum(-1)


FEATURES = {
    "x1": lambda x: x[..., 0],
    "x2": lambda x: x[..., 1],
    "x1^2": lambda x: x[..., 0] ** 2,
    "x2^2": lambda x: x[..., 1] ** 2,
    "x1*x2": lambda x: x[..., 0] * x[..., 1],
    "sin(x1)": lambda x: jnp.sin(x[..., 0]),
    "sin(x2)": lambda x: jnp.sin(x[..., 1]),
}
ACTIVATIONS = {**models.ACTIVATIONS, "linear": lambda x: x}
LOSSES = {**losses.LOSSES, "squared": _squared}
