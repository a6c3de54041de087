"""Layers as pure functions: the score function `linear`, `normalize` and inverted `dropout`."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxnn._random import hash_bits

__all__ = ["dropout", "linear", "normalize"]

Dot = Callable[[Array, Array], Array]
"""A product of inputs and weights: `dot(x[..., in], w[out, in]) -> [..., out]`, summed in at least float32."""
SMALL = 1024
"""The most multiplications of a small product."""


class Weights(TypedDict):
    """The parameters of one linear layer: `w` is f32[out, in], `b` is f32[out]."""

    w: Array
    b: Array


def dot_general(x: Array, w: Array) -> Array:
    """The product `x W^T` as one matrix product."""
    if x.dtype == w.dtype and jnp.finfo(x.dtype).bits < 32:
        return _narrow_product(x, w)
    return _contract(x, w, [x.ndim - 1], [1])


@jax.custom_vjp
def _narrow_product(x: Array, w: Array) -> Array:
    """The product, whose gradients are products of 16-bit numbers as well, with sums in float32; no forward mode."""
    return _contract(x, w, [x.ndim - 1], [1])


def _gradients(inputs: tuple[Array, Array], of_product: Array) -> tuple[Array, Array]:
    x, w = inputs
    narrow = of_product.astype(x.dtype)  # exact: the scores of `linear` have this type
    examples = range(x.ndim - 1)
    of_x = _contract(narrow, w, [x.ndim - 1], [0])
    return of_x.astype(x.dtype), _contract(narrow, x, examples, examples).astype(w.dtype)


_narrow_product.defvjp(lambda x, w: (_narrow_product(x, w), (x, w)), _gradients)


def _add(scores: Array, b: Array) -> Array:
    """The scores plus the bias."""
    if b.dtype != scores.dtype and jnp.finfo(b.dtype).bits < 32:
        return _add_narrow(scores, b)
    return scores + jnp.broadcast_to(b.astype(scores.dtype), scores.shape)


@jax.custom_vjp
def _add_narrow(scores: Array, b: Array) -> Array:
    """The scores plus a 16-bit bias, whose gradient is summed in float32, over devices too."""
    return scores + jnp.broadcast_to(b.astype(scores.dtype), scores.shape)


def _gradients_of_sum(b: Array, of_sum: Array) -> tuple[Array, Array]:
    return of_sum, jax.lax.optimization_barrier(of_sum.sum(range(of_sum.ndim - 1))).astype(b.dtype)


_add_narrow.defvjp(lambda scores, b: (_add_narrow(scores, b), b), _gradients_of_sum)


def _contract(a: Array, b: Array, of_a: Sequence[int], of_b: Sequence[int]) -> Array:
    return jax.lax.dot_general(a, b, ((of_a, of_b), ((), ())), preferred_element_type=_sum_dtype(a, b))


def dot_as_sum(x: Array, w: Array) -> Array:
    """`dot_general`, but a product of at most `SMALL` multiplications is traced as a sum of elementwise products.

    For one small network on a CPU, where calling a matrix product costs more than its few multiplications: the compiler
    fuses the sum with the operations around it. Not for `vmap` over many networks, whose products are one large one.
    Sizes that are symbols in an exported function count as large.
    """
    if not all(isinstance(size, int) for size in x.shape) or math.prod(x.shape) * w.shape[0] > SMALL:
        return dot_general(x, w)
    dtype = _sum_dtype(x, w)
    w = w.reshape((1,) * (x.ndim - 1) + w.shape)
    return jnp.sum(jnp.expand_dims(x, -2).astype(dtype) * w.astype(dtype), -1)


def linear(params: Weights, x: Array, *, dot: Dot = dot_general) -> Array:
    """The score function: one score per class (or one value per neuron), a weighted sum of the inputs plus a bias.

    Formula: `f(x, W, b) = W x + b`, for every example along the leading axes of `x`.

    Args:
        params: `{"w": f32[out, in], "b": f32[out]}`.
        x: f32[..., in]; any leading axes, none included.
        dot: the product; `dot_as_sum` for one small network alone.

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
    scores = dot(x, w)
    return _add(scores, b).astype(jnp.result_type(x, w))


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
    """Inverted dropout: sets a fraction `rate` of the values to zero and scales the others to keep the mean.

    Formula: `y_i = x_i * m_i / (1 - rate)`, `m_i = 0` with probability `rate` and 1 otherwise, independently for each
    value. Nothing is rescaled at evaluation: leave the call out.

    The mask hashes the key and the index of each value in `x` to 32 random bits and compares 24 of them with the rate,
    which costs little compared with the matrix products, is never stored, and is the same however `x` is sharded. The
    rate is rounded to the nearest multiple of 2**-24, and the scale uses the rounded rate, so the expectation is exact.
    In bfloat16 and float16 the product with the scale is computed in float32, so that only the result is rounded.

    Args:
        key: a PRNG key; the same key drops the same values.
        x: floating point, any shape f32[..., n].
        rate: the fraction that is *dropped*, in [0, 1): a number or a traced scalar. A Python 0 is the identity and
            costs nothing; a traced rate is not range-checked.

    Returns:
        An array like `x`.

    Raises:
        TypeError: `x` is not floating point, or `rate` is not a number.
        ValueError: `rate` is outside [0, 1), NaN, or not a scalar.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting"; Salmon et al.
    2011, "Parallel random numbers: as easy as 1, 2, 3" (random bits as a keyed function of a counter).

    Example:
        >>> y = np.asarray(jax.jit(layers.dropout)(jax.random.key(0), jnp.ones(10_000), 0.75))
        >>> print(np.unique(y), f"{y.mean():.1f}")  # the values kept are four times as large
        [0. 4.] 1.0
    """
    x = jnp.asarray(x)
    _expect_floating("dropout", x)
    rate = check_rate("dropout", rate)
    if not isinstance(rate, Tracer) and rate == 0.0:
        return x
    threshold = jnp.clip(jnp.round(jnp.float32(rate) * 2.0**24), 0.0, 2.0**24 - 1.0)
    scale = 1.0 / (1.0 - threshold / 2.0**24)
    keep = hash_bits(key, x.shape) >> jnp.uint32(8) >= threshold.astype(jnp.uint32)
    wide = _sum_dtype(x, x)
    return jnp.where(keep, (x.astype(wide) * scale.astype(wide)).astype(x.dtype), jnp.zeros_like(x))


def check_rate(where: str, rate: ArrayLike) -> float | Tracer:
    """The rate as a Python number in [0, 1); a traced rate cannot be checked and is returned as it is."""
    if np.ndim(rate) != 0:
        raise ValueError(f"{where}: rate must be one number, got shape {list(np.shape(rate))}")
    if isinstance(rate, Tracer):
        return rate
    value = np.asarray(rate).item()
    if not isinstance(value, int | float):
        raise TypeError(f"{where}: rate must be a number, got {rate!r}")
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{where}: rate is the fraction that is dropped and must be in [0, 1), got {value}")
    return value


def _sum_dtype(x: Array, w: Array) -> Any:
    """The type in which products are formed and summed: at least 32 bits."""
    dtype = jnp.result_type(x, w)
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32


def _expect_floating(where: str, x: Array) -> None:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{where}: x must be floating point, got {x.dtype}; cast or standardize it first")
