"""Initial weights W[out, in] as functions `(key, shape, dtype) -> Array`; biases start at zero (`jaxnn.models`).

`fans` is the number of outputs and inputs in use, if fewer than the shape has (`width` of `models.mlp`); it may be
traced.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

Initializer = Callable[..., Array]
"""`(key, shape, dtype) -> Array`; networks with a `width` also pass the keyword `fans`, (out, in)."""
Fans = tuple[ArrayLike, ArrayLike]

__all__ = ["he", "normal", "xavier", "zeros"]


SMALLEST, LARGEST = 1e-37, 1e37
"""Bounds of a standard deviation whose draws are normal float32 numbers."""


def normal(std: float = 0.01) -> Initializer:
    """Independent normal weights of one standard deviation, such as the course notes' `0.01 * randn`.

    Formula: `W ~ N(0, std**2)`, whatever the shape.

    Args:
        std: standard deviation, positive and finite.

    Returns:
        An initializer `(key, (out, in), dtype=float32) -> Array[out, in]`.

    Raises:
        ValueError: `std` is not between `SMALLEST` and `LARGEST`.

    Source: CS231n, "Weight initialization".

    Example:
        >>> w = initializers.normal(0.01)(jax.random.key(0), (10, 3072))
        >>> print(w.shape, f"{w.std():.3f}")
        (10, 3072) 0.010
    """
    if not SMALLEST < std < LARGEST:
        raise ValueError(f"normal: std must be positive and finite, got {std}; for zeros use initializers.zeros")

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, *, fans: Fans | None = None) -> Array:
        return _normal(key, shape, dtype) * jnp.asarray(std, dtype)

    return draw


def zeros(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, *, fans: Fans | None = None) -> Array:
    """Weights of zero, which keep all neurons of a layer equal: the classic mistake of initialization (CS231n).

    Args: as `xavier`; key and fans are not used.

    Returns:
        Array[out, in].

    Example:
        >>> print(initializers.zeros(jax.random.key(0), (2, 3)))
        [[0. 0. 0.]
         [0. 0. 0.]]
    """
    return jnp.zeros(shape, dtype)


def xavier(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, *, fans: Fans | None = None) -> Array:
    """Xavier (Glorot) normal weights: keeps the variance of activations and gradients for tanh-like units.

    Formula: `W ~ N(0, 2 / (in + out))`.

    Args:
        key: a PRNG key.
        shape: `(out, in)`.
        dtype: a floating-point type.
        fans: `(out, in)` in the formula; by default the shape.

    Returns:
        Array[out, in].

    Raises:
        ValueError: `shape` is not two positive sizes.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".

    Example:
        >>> w = initializers.xavier(jax.random.key(0), (10, 3072))
        >>> print(f"{w.std():.3f} {np.sqrt(2 / 3082):.3f}")
        0.026 0.025
    """
    outputs, inputs = fans or _matrix("xavier", shape)
    return _normal(key, shape, dtype) * jnp.sqrt(2.0 / _as_float(inputs + outputs)).astype(dtype)


def he(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, *, fans: Fans | None = None) -> Array:
    """He normal weights: keeps the variance of activations through ReLU, which halves it at each layer.

    Formula: `W ~ N(0, 2 / in)`.

    Args, Raises: as `xavier`.

    Returns:
        Array[out, in].

    Source: He et al. 2015, "Delving deep into rectifiers".

    Example:
        >>> w = initializers.he(jax.random.key(0), (10, 3072))
        >>> print(f"{w.std():.3f} {np.sqrt(2 / 3072):.3f}")
        0.026 0.026
    """
    _, inputs = fans or _matrix("he", shape)
    return _normal(key, shape, dtype) * jnp.sqrt(2.0 / _as_float(inputs)).astype(dtype)


def _normal(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Standard normal numbers, drawn along one axis: compiled in two thirds of the time, and the same numbers."""
    return jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def _matrix(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"{name}: expected a shape (out, in) of positive sizes, got {tuple(shape)}")
    return shape


def _as_float(count: ArrayLike) -> Array:
    return jnp.asarray(count).astype(jnp.float32)


INITIALIZERS: dict[str, Initializer] = {"normal": normal(0.01), "xavier": xavier, "he": he, "zeros": zeros}
"""By name, for settings."""
