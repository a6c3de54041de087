"""Preprocessing: statistics fitted on the training split, then pure functions `(statistics, x) -> x`.

Fitting happens once, in NumPy, in blocks of rows, so that the only large array in memory is the training split itself.
Applying is JAX: it may run inside a compiled training step, on `uint8` batches, under `jit`, `vmap` and `grad`.
The statistics are tuples of arrays: keep them with the weights, since a classifier is both.
"""

import difflib
import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

__all__ = ["Moments", "PCAStatistics", "center", "fit_moments", "fit_pca", "pca", "standardize", "whiten"]

_ROWS = 1024  # rows a block. In fit_pca 1024 * 128**2 = 2**24: sums of uint8 products are exact in float32


class Moments(NamedTuple):
    """Mean and standard deviation; both of one shape: `x.shape[1:]`, `(C,)` or `()`, as fitted."""

    mean: Array
    std: Array


class PCAStatistics(NamedTuple):
    """Principal directions: mean `f32[x.shape[1:]]`, unit rows `components` `f32[k, D]`, `std` `f32[k]`."""

    mean: Array
    components: Array
    std: Array


def fit_moments(train: ArrayLike, per: Literal["pixel", "channel", "global"] = "pixel") -> Moments:
    """Mean and standard deviation of the training examples.

    mean = sum(x) / n and std = sqrt(sum((x - mean)^2) / n), over the n values that share a statistic. Totals of
    `uint8` are integers, so the answer is exact up to its rounding to float32; floats take two passes in float64.
    A constant feature (or one whose std is below float32's smallest normal number) gets std 1, as in scikit-learn's
    StandardScaler: standardized, it is zero.

    Args:
        train: uint8 or float `[N, ...]`, the training split alone: statistics that have seen the test split leak it.
        per: "pixel" for a mean of shape `x.shape[1:]`, "channel" for `(C,)` (one for each entry of the last axis,
            over examples and positions), "global" for `()`.

    Returns:
        Moments of float32 arrays.

    Raises:
        TypeError: train is neither uint8 nor float.
        ValueError: train is empty, has no feature axis, is not finite or does not fit float32, or per is unknown.

    Source: CS231n, "Setting up the data and the model", https://cs231n.github.io/neural-networks-2/.

    Example:
        >>> moments = preprocess.fit_moments(np.array([[0, 7], [2, 7], [4, 7]], np.uint8))
        >>> print(moments.mean, moments.std)  # what is constant has the std 1
        [2. 7.] [1.633 1.   ]
    """
    groups = ("pixel", "channel", "global")
    if per not in groups:
        near = difflib.get_close_matches(str(per), groups, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"per is {per!r}, expected one of {', '.join(map(repr, groups))}.{hint}")
    x = _training_array(train)
    axes = {"pixel": (), "channel": tuple(range(x.ndim - 2)), "global": tuple(range(x.ndim - 1))}[per]
    n = len(x) * math.prod(x.shape[1 + axis] for axis in axes)  # values behind each statistic

    if x.dtype == np.uint8:
        total, squares = np.zeros(x.shape[1:], np.int64), np.zeros(x.shape[1:], np.int64)
        for rows in _blocks(x):
            total += rows.sum(axis=0, dtype=np.uint32)
            squares += np.square(rows, dtype=np.uint32).sum(axis=0, dtype=np.uint32)
        # Python integers: n * sum(x^2) outgrows int64 at the size of CIFAR-10, and their division rounds correctly
        total, squares = total.sum(axis=axes).astype(object), squares.sum(axis=axes).astype(object)
        mean = np.asarray(total / n, np.float64)
        variance = np.asarray((n * squares - total**2) / n**2, np.float64)
    else:
        # sums of differences from one example: exactly zero, mean and variance, where a feature is constant
        first = x[0][(0,) * len(axes)].astype(np.float64)
        mean = first + sum((rows - first).sum(axis=0).sum(axis=axes) for rows in _blocks(x)) / n
        variance = np.asarray(sum(np.square(rows - mean).sum(axis=0).sum(axis=axes) for rows in _blocks(x)) / n)
    std = np.sqrt(variance)
    std = np.where(std < np.finfo(np.float32).tiny, 1.0, std)
    return Moments(jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32))


def center(moments: Moments, x: ArrayLike) -> Array:
    """Subtract the training mean: x - mean.

    Args:
        moments: from `fit_moments`.
        x: uint8 or float `[..., *mean.shape]`, any leading axes. For moments per channel the last axis is the
            channel: flat images `[B, H * W * C]` have to be reshaped to `[B, H, W, C]` first.

    Returns:
        f32, the shape of x.

    Raises:
        TypeError: x is neither uint8 nor float.
        ValueError: the last axes of x are not those of the mean. Both are raised while tracing.

    Source: CS231n, "Setting up the data and the model", https://cs231n.github.io/neural-networks-2/.

    Example:
        >>> train = np.array([[0, 7], [2, 7], [4, 7]], np.uint8)
        >>> print(preprocess.center(preprocess.fit_moments(train), train))
        [[-2.  0.]
         [ 0.  0.]
         [ 2.  0.]]
    """
    x, shape = _numeric(x, "x"), moments.mean.shape
    if x.ndim < len(shape) or x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(
            f"x has shape {x.shape}, expected [..., {', '.join(map(str, shape))}] as the moments were fitted; "
            "reshape x, or fit the moments on arrays of its shape"
        )
    return x.astype(jnp.float32) - jnp.broadcast_to(moments.mean, x.shape)


def standardize(moments: Moments, x: ArrayLike) -> Array:
    """Zero mean and unit variance on the training split: (x - mean) * (1 / std).

    Args, Raises: as `center`.

    Returns:
        f32, the shape of x.

    Source: CS231n, "Setting up the data and the model", https://cs231n.github.io/neural-networks-2/.

    Example:
        >>> train = np.array([[0, 7], [2, 7], [4, 7]], np.uint8)
        >>> print(preprocess.standardize(preprocess.fit_moments(train), train))
        [[-1.225  0.   ]
         [ 0.     0.   ]
         [ 1.225  0.   ]]
    """
    centered = center(moments, x)
    return centered * jnp.broadcast_to(1 / moments.std, centered.shape)


def fit_pca(train: ArrayLike, components: int | None = None) -> PCAStatistics:
    """Principal directions of the training examples: eigenvectors of their covariance, largest variance first.

    cov = sum((x - mean)(x - mean)^T) / (N - 1), as in scikit-learn's PCA; std is the square root of its eigenvalues.
    The covariance of `uint8` is made of exact integer sums (float32 products of x - 128 in blocks short enough to
    be exact, added up in float64); that of floats is float64 throughout. The sign of a direction makes its largest
    entry positive (scikit-learn's svd_flip). Variances under the numerical rank, `largest * max(N, D) * 2.2e-16`,
    are rounding and stored as std 0.

    Memory: two `D x D` arrays of float64 beside the training split.

    Args:
        train: uint8 or float `[N, ...]` with N >= 2, flattened to `[N, D]`.
        components: how many directions k to keep, 1 to min(N, D); all of min(N, D) if None.

    Returns:
        Principal(mean `f32[train.shape[1:]]`, components `f32[k, D]`, std `f32[k]`).

    Raises:
        TypeError: train is neither uint8 nor float, or components is not an integer.
        ValueError: train is not finite, has fewer than two examples or no feature axis; components is out of range.

    Source: CS231n, https://cs231n.github.io/neural-networks-2/; Jolliffe, "Principal Component Analysis" (2002).

    Example:
        >>> train = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
        >>> principal = preprocess.fit_pca(train)
        >>> print(principal.components[0], principal.std)  # all lie on one line
        [0.6 0.8] [5. 0.]
    """
    x = _training_array(train)
    if len(x) < 2:
        raise ValueError(f"train has {len(x)} example, expected at least 2: one example has no variance")
    flat = x.reshape(len(x), -1)
    n, size = flat.shape
    most = min(n, size)
    if components is not None and (isinstance(components, bool) or not isinstance(components, int | np.integer)):
        raise TypeError(f"components is {components!r}, expected an integer from 1 to {most}, or None for all")
    kept = most if components is None else int(components)
    if not 1 <= kept <= most:
        raise ValueError(
            f"components is {kept}, expected 1 to {most}, the smaller of {n} examples and {size} features; "
            "None keeps them all"
        )

    mean = np.sum([rows.sum(axis=0, dtype=np.float64) for rows in _blocks(flat)], axis=0) / n
    dtype, shift = (np.float32, np.full(size, 128.0, np.float32)) if x.dtype == np.uint8 else (np.float64, mean)
    covariance = np.zeros((size, size))
    for rows in _blocks(flat):
        block = rows.astype(dtype) - shift
        covariance += block.T @ block
    left = np.sqrt(n) * (mean - shift)
    for row, value in zip(covariance, left, strict=True):  # minus the outer product, without making it
        row -= value * left
    covariance /= n - 1

    variance, vectors = scipy.linalg.eigh(
        covariance, subset_by_index=(size - kept, size - 1), driver="evr", overwrite_a=True, check_finite=False
    )
    variance, directions = variance[::-1], vectors.T[::-1]
    largest = directions[np.arange(kept), np.abs(directions).argmax(axis=1)]
    directions = directions.astype(np.float32) * np.sign(largest)[:, None].astype(np.float32)
    floor = max(variance[0], 0.0) * max(n, size) * np.finfo(np.float64).eps
    std = np.sqrt(np.where(variance > floor, variance, 0.0))
    return PCAStatistics(
        jnp.asarray(mean.reshape(x.shape[1:]), jnp.float32), jnp.asarray(directions), jnp.asarray(std, jnp.float32)
    )


def pca(principal: PCAStatistics, x: ArrayLike) -> Array:
    """Project on the principal directions: (x - mean) @ components^T.

    Args:
        principal: from `fit_pca`.
        x: uint8 or float, any leading axes, and last axes either as fitted, or flat `[..., D]`, or, if it was fitted
            on flat examples, images `[..., H, W, C]` with H * W * C = D.

    Returns:
        `f32[..., k]`: the leading axes of x, and one coordinate for each direction.

    Raises:
        TypeError: x is neither uint8 nor float.
        ValueError: the last axes of x hold no example of the fitted size. Both are raised while tracing.

    Source: CS231n, "Setting up the data and the model", https://cs231n.github.io/neural-networks-2/.

    Example:
        >>> train = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
        >>> print(preprocess.pca(preprocess.fit_pca(train, components=1), train))
        [[-5.]
         [ 0.]
         [ 5.]]
    """
    x, shape, size = _numeric(x, "x"), principal.mean.shape, principal.components.shape[1]
    if x.ndim >= len(shape) and x.shape[x.ndim - len(shape) :] == shape:
        axes = len(shape)
    elif x.shape[-1:] == (size,):
        axes = 1
    elif len(shape) == 1 and x.ndim >= 3 and math.prod(x.shape[-3:]) == size:
        axes = 3
    else:
        raise ValueError(
            f"x has shape {x.shape}, expected [..., {', '.join(map(str, shape))}] as the directions were fitted, or "
            f"flat [..., {size}]; reshape x, or fit the directions on arrays of its shape"
        )
    rows = x.reshape(*x.shape[: x.ndim - axes], size).astype(jnp.float32)
    centered = rows - jnp.broadcast_to(principal.mean.reshape(size), rows.shape)
    return jnp.matmul(centered, principal.components.T, precision=jax.lax.Precision.HIGHEST)


def whiten(principal: PCAStatistics, x: ArrayLike, epsilon: ArrayLike = 1e-5) -> Array:
    """Project on the principal directions and give each unit variance: pca(x) / sqrt(std^2 + epsilon).

    Directions in which the training split does not vary (std 0) are exactly 0: dividing would only blow up rounding.
    Directions of small variance are mostly noise, and whitening makes it as loud as the signal; a larger epsilon, in
    the squared units of x, damps them. With epsilon 0 it is scikit-learn's `PCA(whiten=True)`.

    Args:
        principal: from `fit_pca`.
        x: as in `pca`.
        epsilon: a variance, at least 0; the notes' value is 1e-5. May be traced.

    Returns:
        `f32[..., k]`.

    Raises:
        TypeError, ValueError: as `pca`; ValueError too for a negative or non-finite epsilon that is not traced.

    Source: CS231n, "Setting up the data and the model", https://cs231n.github.io/neural-networks-2/.

    Example:
        >>> train = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
        >>> print(preprocess.whiten(preprocess.fit_pca(train, components=1), train))
        [[-1.]
         [ 0.]
         [ 1.]]
    """
    if not isinstance(epsilon, Tracer) and not (np.ndim(epsilon) == 0 and 0 <= np.asarray(epsilon).item() < math.inf):
        raise ValueError(f"epsilon is {epsilon!r}, expected one finite number of at least 0, such as 1e-5")
    varies = principal.std > 0
    variance = jnp.where(varies, jnp.square(principal.std) + jnp.asarray(epsilon, jnp.float32), 1.0)
    scale = jnp.where(varies, jax.lax.rsqrt(variance), 0.0)
    projected = pca(principal, x)
    return projected * jnp.broadcast_to(scale, projected.shape)


def _numeric(x: ArrayLike, name: str) -> Array:
    x = jnp.asarray(x)
    if x.dtype != jnp.uint8 and not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} is {x.dtype}, expected uint8 or float; cast it, as in {name}.astype(jnp.float32)")
    return x


def _training_array(train: ArrayLike) -> np.ndarray:
    x = np.asarray(train)
    if x.dtype != np.uint8 and not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"train is {x.dtype}, expected uint8 or float; cast it, as in train.astype(np.float32)")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"train has shape {x.shape}, expected [N, ...] with at least one example and one feature")
    if x.dtype == np.uint8:
        return x
    limit = np.float64(np.finfo(np.float32).max)  # a Python number would become infinite beside float16
    for start, rows in zip(range(0, len(x), _ROWS), _blocks(x), strict=True):
        wrong = ~(np.abs(rows) <= limit)  # true of nan as well
        if wrong.any():
            at = np.argwhere(wrong)[0]
            index = ", ".join(map(str, (start + int(at[0]), *at[1:].tolist())))
            raise ValueError(
                f"train[{index}] is {rows[tuple(at)]}, expected finite numbers in the range of float32; "
                "drop or repair such examples before fitting"
            )
    return x


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    return (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))
