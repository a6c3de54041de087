"""Initial weights W[out, in] as functions `(key, shape, dtype) -> Array`; biases start at zero (`jaxnn.models`)."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn.initializers import zeros

Initializer = Callable[[Array, tuple[int, ...], Any], Array]

__all__ = ["Initializer", "he", "normal", "xavier", "zeros"]


def normal(std: float = 0.01) -> Initializer:
    """Independent normal weights of one standard deviation: the notes' `0.01 * randn`.

    Formula: `W ~ N(0, std**2)`, whatever the shape.

    Args:
        std: standard deviation, positive and finite.

    Returns:
        An initializer `(key, (out, in), dtype=float32) -> Array[out, in]`.

    Raises:
        ValueError: `std` is not positive and finite.

    Source: CS231n, "Weight initialization".
    """
    if not 0.0 < std < math.inf:
        raise ValueError(f"normal: std must be positive and finite, got {std}; for zeros use initializers.zeros")
    return jax.nn.initializers.normal(std)


def xavier(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Xavier (Glorot) normal weights: keeps the variance of activations and gradients for tanh-like units.

    Formula: `W ~ N(0, 2 / (in + out))`.

    Args:
        key: a PRNG key.
        shape: `(out, in)`.
        dtype: a floating-point type.

    Returns:
        Array[out, in].

    Raises:
        ValueError: `shape` is not two positive sizes.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
    """
    return jax.nn.initializers.variance_scaling(1.0, "fan_avg", "normal", in_axis=1, out_axis=0)(
        key, _matrix("xavier", shape), dtype
    )


def he(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """He normal weights: keeps the variance of activations through ReLU, which halves it at each layer.

    Formula: `W ~ N(0, 2 / in)`.

    Args:
        key: a PRNG key.
        shape: `(out, in)`.
        dtype: a floating-point type.

    Returns:
        Array[out, in].

    Raises:
        ValueError: `shape` is not two positive sizes.

    Source: He et al. 2015, "Delving deep into rectifiers".
    """
    return jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal", in_axis=1, out_axis=0)(
        key, _matrix("he", shape), dtype
    )


def _matrix(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"{name}: expected a shape (out, in) of positive sizes, got {tuple(shape)}")
    return shape
