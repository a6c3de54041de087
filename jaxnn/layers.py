"""Layers as pure functions: the score function `linear`, `normalize` and inverted `dropout`."""

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxnn import random

__all__ = ["Weights", "check_rate", "dropout", "linear", "normalize", "small_products_as_sums"]

SMALL = 1024
"""So many multiplications at most are a small product."""
_as_sums = contextvars.ContextVar("as_sums", default=False)


@contextlib.contextmanager
def small_products_as_sums() -> Iterator[None]:
    """Within it, `linear` traces small products as sums, which the compiler fuses with what stands around them.

    For programs of one small network on a CPU: calling a matrix product costs more than its few multiplications. Not
    for `vmap` over many networks, whose products are one large one. `training.fit` does this by itself.

    Yields:
        None.

    Example:
        >>> params = layers.Weights(w=jnp.ones((3, 2)), b=jnp.zeros(3))
        >>> with layers.small_products_as_sums():
        ...     traced = jax.make_jaxpr(lambda x: layers.linear(params, x))(jnp.ones(2))
        >>> "dot_general" in str(traced)
        False
    """
    token = _as_sums.set(True)
    try:
        yield
    finally:
        _as_sums.reset(token)


class Weights(TypedDict):
    """The parameters of one linear layer: `w` is f32[out, in], `b` is f32[out]."""

    w: Array
    b: Array


def linear(params: Weights, x: Array) -> Array:
    """The score function: one score per class (or one value per neuron), a weighted sum of the inputs plus a bias.

    Formula: `f(x, W, b) = W x + b`, for every example along the leading axes of `x`.

    Args:
        params: `{"w": f32[out, in], "b": f32[out]}`.
        x: f32[..., in]; any leading axes, none included.

    Returns:
        An array of the type of the parameters and `x`, [..., out]; sums are held in at least float32.

    Raises:
        TypeError: `x` is not floating point (cast or standardize images first: `jaxnn.data.preprocess`).
        ValueError: the shapes do not fit together.

    Source: CS231n, "Linear classification"; W is stored [out, in] so that `W x` reads as it is written.

    Example:
        >>> w = jnp.array([[0.2, -0.5, 0.1, 2.0], [1.5, 1.3, 2.1, 0.0], [0.0, 0.25, 0.2, -0.3]])
        >>> params = layers.Weights(w=w, b=jnp.array([1.1, 3.2, -1.2]))
        >>> print(layers.linear(params, jnp.array([56.0, 231.0, 24.0, 2.0])))
        [-96.8  437.9   60.75]
    """
    w, b, x = jnp.asarray(params["w"]), jnp.asarray(params["b"]), jnp.asarray(x)
    if w.ndim != 2 or b.shape != w.shape[:1]:
        raise ValueError(f"linear: expected w[out, in] and b[out], got w{list(w.shape)} and b{list(b.shape)}")
    _expect_floating("linear", x)
    if x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise ValueError(
            f"linear: x{list(x.shape)} does not fit w{list(w.shape)}: the last axis of x must have {w.shape[1]} values"
        )
    dtype = jnp.result_type(x, w)
    sum_in = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32  # sums of numbers of 16 bits are held in 32
    if _is_small(x.shape, w.shape[0]):
        scores = jnp.sum(jnp.expand_dims(x, -2).astype(sum_in) * _as_rank(w, x.ndim + 1).astype(sum_in), -1)
    else:
        scores = jax.lax.dot_general(x, w, (((x.ndim - 1,), (1,)), ((), ())), preferred_element_type=sum_in)
    return (scores + jnp.broadcast_to(b.astype(sum_in), scores.shape)).astype(dtype)


def normalize(x: Array) -> Array:
    """Layer normalization without parameters: the values of each example get the mean 0 and the variance 1.

    Formula: `y = (x - mean(x)) / sqrt(var(x) + 1e-6)`, over the last axis.

    Args:
        x: f32[..., n]; any leading axes.

    Returns:
        An array of the shape and type of `x`; an example whose values are all equal becomes zeros.

    Raises:
        TypeError: `x` is not floating point.

    Source: Ba, Kiros and Hinton 2016, "Layer normalization"; without gain and offset: Xu et al. 2019, "Understanding
    and improving layer normalization".

    Example:
        >>> print(np.round(layers.normalize(jnp.array([1.0, 2.0, 3.0])), 3))
        [-1.225  0.     1.225]
    """
    x = jnp.asarray(x)
    _expect_floating("normalize", x)
    return jax.nn.standardize(x, axis=-1, epsilon=1e-6)


def dropout(key: Array, x: Array, rate: ArrayLike) -> Array:
    """Inverted dropout: sets a share `rate` of the values to zero and scales the others so that the mean stays.

    Formula: `y_i = x_i * m_i / (1 - rate)`, `m_i = 0` with probability `rate` and 1 otherwise, independently for each
    value. Nothing is to be rescaled at evaluation: leave the call out.

    The mask hashes the key and the place of each value in `x` to 32 random bits and compares 24 of them with the rate,
    which costs little beside the matrix products, is never stored, and is the same however `x` is sharded. The rate is
    rounded to the nearest multiple of 2**-24, and the scale uses the rounded rate, so the expectation is exact.

    Args:
        key: a PRNG key; the same key drops the same values.
        x: floating point, any shape f32[..., n].
        rate: the share that is *dropped*, in [0, 1). A number or a traced scalar. A Python 0 is the identity and costs
            nothing; a traced rate cannot be range-checked and is taken as it is.

    Returns:
        An array like `x`.

    Raises:
        TypeError: `x` is not floating point, or `rate` is not a number.
        ValueError: `rate` is outside [0, 1), NaN, or not a scalar.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting"; Salmon et al.
    2011, "Parallel random numbers: as easy as 1, 2, 3" (random bits as a keyed function of a counter).

    Example:
        >>> y = np.asarray(jax.jit(layers.dropout)(jax.random.key(0), jnp.ones(10_000), 0.75))
        >>> print(np.unique(y), f"{y.mean():.1f}")  # what is left is four times as large
        [0. 4.] 1.0
    """
    x = jnp.asarray(x)
    _expect_floating("dropout", x)
    rate = check_rate("dropout", rate)
    if not isinstance(rate, Tracer) and rate == 0.0:
        return x
    threshold = jnp.clip(jnp.round(jnp.float32(rate) * 2.0**24), 0.0, 2.0**24 - 1.0)
    scale = (1.0 / (1.0 - threshold / 2.0**24)).astype(x.dtype)
    keep = random.hash_bits(key, x.shape) >> jnp.uint32(8) >= threshold.astype(jnp.uint32)
    return jnp.where(keep, x * scale, jnp.zeros_like(x))


def check_rate(where: str, rate: ArrayLike) -> float | Tracer:
    """The rate as a Python float, range-checked; a traced rate is returned as it is, since its value is not known.

    Args:
        where: opens the message of an error.
        rate: a share that is dropped.

    Returns:
        A Python number, or the traced scalar.

    Raises:
        TypeError: `rate` is not a number.
        ValueError: `rate` is outside [0, 1), NaN, or not a scalar.

    Example:
        >>> layers.check_rate("dropout", 0.5)
        0.5
        >>> layers.check_rate("dropout", 1)
        Traceback (most recent call last):
            ...
        ValueError: dropout: rate is the share that is dropped and must be in [0, 1), got 1
    """
    if np.ndim(rate) != 0:
        raise ValueError(f"{where}: rate must be one number, got shape {list(np.shape(rate))}")
    if isinstance(rate, Tracer):
        return rate
    value = np.asarray(rate).item()
    if not isinstance(value, int | float):
        raise TypeError(f"{where}: rate must be a number, got {rate!r}")
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{where}: rate is the share that is dropped and must be in [0, 1), got {value}")
    return value


def _is_small(shape: tuple[int, ...], out: int) -> bool:
    """Whether a product is to be traced as a sum; sizes that are symbols in an exported function are never small."""
    return _as_sums.get() and all(isinstance(size, int) for size in shape) and math.prod(shape) * out <= SMALL


def _as_rank(a: Array, rank: int) -> Array:
    return a.reshape((1,) * (rank - a.ndim) + a.shape)


def _expect_floating(where: str, x: Array) -> None:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{where}: x must be floating point, got {x.dtype}; cast or standardize it first")
