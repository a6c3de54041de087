"""The sub-networks that dropout trains, one for each mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

__all__ = ["sample_dropout_masks"]


def sample_dropout_masks(apply: Callable[..., Array], params: Any, x: ArrayLike, key: Array, samples: int) -> Array:
    """The scores of sub-networks drawn as dropout draws them in training: Monte Carlo dropout.

    Formula: `scores[k] = apply(params, x, key=key_k)`. Their mean goes to that of all sub-networks, and its error
    falls as 1 / sqrt(samples). Where dropout acts on the last hidden layer alone, that mean is `apply(params, x)`.

    Args:
        apply: of a `Model` with dropout.
        params: its parameters.
        x: inputs f32[..., *input_shape], as `apply` takes them.
        key: a PRNG key.
        samples: how many sub-networks, at least 1; static. All are computed at once.

    Returns:
        f32[samples, ..., C].

    Raises:
        ValueError: `samples` is below 1.

    Source: Gal & Ghahramani 2016, "Dropout as a Bayesian approximation".

    Example:
        >>> from jaxnn.inspect.dropout_masks import sample_dropout_masks
        >>> model = models.mlp(4, (5,), 3, dropout=0.5)
        >>> params = model.init(jax.random.key(0))
        >>> sample = jax.jit(lambda key: sample_dropout_masks(model.apply, params, jnp.ones((2, 4)), key, samples=10))
        >>> sample(jax.random.key(1)).shape
        (10, 2, 3)
    """
    if samples < 1:
        raise ValueError(f"sample_dropout_masks: samples must be at least 1, got {samples}")
    return jax.vmap(lambda key: apply(params, jnp.asarray(x), key=key))(jax.random.split(key, samples))
