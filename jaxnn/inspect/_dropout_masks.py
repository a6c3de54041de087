"""Monte Carlo dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def sample_dropout_masks(apply: Callable[..., Array], params: Any, x: ArrayLike, key: Array, samples: int) -> Array:
    """Scores under independently drawn dropout masks, each the score of one sub-network: Monte Carlo dropout.

    Formula: `scores[k] = apply(params, x, key=key_k)`. Their mean converges to that of all sub-networks with an error
    of order 1 / sqrt(samples). If only the last hidden layer has dropout, that mean is `apply(params, x)`.

    Args:
        apply: `apply` of a `Model` with dropout.
        params: its parameters.
        x: inputs f32[..., *input_shape].
        key: a PRNG key.
        samples: number of masks, at least 1; static. All are computed at once.

    Returns:
        f32[samples, ..., C].

    Raises:
        ValueError: `samples` is below 1.

    Source: Gal & Ghahramani 2016, "Dropout as a Bayesian approximation".

    Example:
        >>> model = models.mlp(4, (5,), 3, dropout=0.5)
        >>> params = model.init(jax.random.key(0))
        >>> inspect.sample_dropout_masks(model.apply, params, jnp.ones((2, 4)), jax.random.key(1), samples=10).shape
        (10, 2, 3)
    """
    if samples < 1:
        raise ValueError(f"sample_dropout_masks: samples must be at least 1, got {samples}")
    return jax.vmap(lambda key: apply(params, jnp.asarray(x), key=key))(jax.random.split(key, samples))
