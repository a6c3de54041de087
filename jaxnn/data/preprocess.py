"""Preprocessing: statistics fitted on the training split, then pure functions `(statistics, x) -> x`.

Fitting happens once, in NumPy and in blocks of rows, so the only large array in memory is the training split itself.
Applying is JAX: it runs inside a compiled training step, on `uint8` batches, under `jit`, `vmap` and `grad`.
Means of floats are kept in two float32 parts, so that subtracting them loses no digits of x: float64 arrays of NumPy
are centered to float32 precision however far from zero they lie, float32 arrays as far as they hold digits at all.
The statistics are tuples of arrays: save them with the weights, since a classifier needs both.
"""

import difflib
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxnn.data._statistics import blocks, check_dtype, in_two, subtract, training_array, warn_of_lost_digits

__all__ = ["center", "fit_moments", "fit_pca", "pca", "standardize", "whiten"]


class Moments(NamedTuple):
    """Mean and standard deviation, both of shape `x.shape[1:]`, `(C,)` or `()`, as fitted.

    `mean_low` is what the mean lost in rounding to float32, f32 of its shape; None for `uint8`, and where it is all 0.
    """

    mean: Array
    std: Array
    mean_low: Array | None = None


class PCAStatistics(NamedTuple):
    """Principal directions: mean `f32[x.shape[1:]]`, unit rows `components` `f32[k, D]`, `std` `f32[k]`.

    `mean_low` as in `Moments`.
    """

    mean: Array
    components: Array
    std: Array
    mean_low: Array | None = None


def fit_moments(train: ArrayLike, per: Literal["pixel", "channel", "global"] = "pixel") -> Moments:
    """Mean and standard deviation of the training examples.

    mean = sum(x) / n and std = sqrt(sum((x - mean)^2) / n), over the n values that share a statistic. Totals of
    `uint8` are integers, so the result is exact up to its rounding to float32; floats take two passes in float64.
    A constant feature (or one with a std below float32's smallest normal number) gets std 1, as in scikit-learn's
    StandardScaler, so that it becomes zero.

    Args:
        train: uint8 or float `[N, ...]`, the training split only: statistics of the test split would leak it.
        per: "pixel" for a mean of shape `x.shape[1:]`, "channel" for `(C,)` (over examples and
            positions), "global" for `()`.

    Returns:
        Moments of float32 arrays.

    Warns:
        UserWarning: a mean of floats is more than 2**16 standard deviations from zero, beyond which float32 arrays, and
            so a compiled training step, hold the examples too coarsely.

    Raises:
        TypeError: train is neither uint8 nor float.
        ValueError: train is empty, has no feature axis, is not finite or overflows float32, or per is unknown.

    Source: CS231n, "Setting up the data and the model", https://cs231n.github.io/neural-networks-2/.

    Example:
        >>> moments = preprocess.fit_moments(np.array([[0, 7], [2, 7], [4, 7]], np.uint8))
        >>> print(moments.mean, moments.std)  # a constant feature has std 1
        [2. 7.] [1.633 1.   ]
    """
    groups = ("pixel", "channel", "global")
    if per not in groups:
        near = difflib.get_close_matches(str(per), groups, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"per is {per!r}, expected one of {', '.join(map(repr, groups))}.{hint}")
    x = training_array(train)
    axes = {"pixel": (), "channel": tuple(range(x.ndim - 2)), "global": tuple(range(x.ndim - 1))}[per]
    n = len(x) * math.prod(x.shape[1 + axis] for axis in axes)  # values behind each statistic

    if x.dtype == np.uint8:
        total, squares = np.zeros(x.shape[1:], np.int64), np.zeros(x.shape[1:], np.int64)
        for rows in blocks(x):
            total += rows.sum(axis=0, dtype=np.uint32)
            squares += np.square(rows, dtype=np.uint32).sum(axis=0, dtype=np.uint32)
        # Python integers: n * sum(x^2) outgrows int64 at the size of CIFAR-10, and their division rounds correctly
        total, squares = total.sum(axis=axes).astype(object), squares.sum(axis=axes).astype(object)
        mean = np.asarray(total / n, np.float64)
        variance = np.asarray((n * squares - total**2) / n**2, np.float64)
    else:
        # sums of differences from one example: exactly zero, mean and variance, where a feature is constant
        first = x[0][(0,) * len(axes)].astype(np.float64)
        mean = first + sum((rows - first).sum(axis=0).sum(axis=axes) for rows in blocks(x)) / n
        variance = np.asarray(sum(np.square(rows - mean).sum(axis=0).sum(axis=axes) for rows in blocks(x)) / n)
    std = np.sqrt(variance)
    std = np.where(std < np.finfo(np.float32).tiny, 1.0, std)
    if x.dtype == np.uint8:
        return Moments(jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32))
    warn_of_lost_digits("fit_moments", mean, np.sqrt(variance))
    high, low = in_two(mean)
    return Moments(high, jnp.asarray(std, jnp.float32), low)


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
        ValueError: the last axes of x are not those of the mean. Both are raised at trace time.

    Source: CS231n, "Setting up the data and the model", https://cs231n.github.io/neural-networks-2/.

    Example:
        >>> train = np.array([[0, 7], [2, 7], [4, 7]], np.uint8)
        >>> print(preprocess.center(preprocess.fit_moments(train), train))
        [[-2.  0.]
         [ 0.  0.]
         [ 2.  0.]]
    """
    x, shape = x if isinstance(x, jax.Array) else np.asarray(x), moments.mean.shape
    check_dtype(x, "x")
    if x.ndim < len(shape) or x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(
            f"x has shape {x.shape}, expected [..., {', '.join(map(str, shape))}] as the moments were fitted; "
            "reshape x, or fit the moments on arrays of its shape"
        )
    return subtract(x, moments.mean, moments.mean_low)


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
    The covariance of `uint8` consists of exact integer sums (float32 products of x - 128 in blocks short enough to be
    exact, summed in float64); that of floats is float64 throughout. Signs make the largest entry of each direction
    positive (scikit-learn's svd_flip). Variances below the numerical rank, `largest * max(N, D) * 2.2e-16`, are
    rounding errors and stored as std 0.

    Memory: two `D x D` arrays of float64 besides the training split.

    Args:
        train: uint8 or float `[N, ...]` with N >= 2, flattened to `[N, D]`.
        components: number of directions k to keep, 1 to min(N, D); None keeps all min(N, D).

    Returns:
        PCAStatistics(mean `f32[train.shape[1:]]`, components `f32[k, D]`, std `f32[k]`).

    Warns:
        UserWarning: as `fit_moments`.

    Raises:
        TypeError: train is neither uint8 nor float, or components is not an integer.
        ValueError: train is not finite, has fewer than two examples or no feature axis; components is out of range.

    Source: CS231n, https://cs231n.github.io/neural-networks-2/; Jolliffe, "Principal Component Analysis" (2002).

    Example:
        >>> train = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
        >>> statistics = preprocess.fit_pca(train)
        >>> print(statistics.components[0], statistics.std)  # all lie on one line
        [0.6 0.8] [5. 0.]
    """
    x = training_array(train)
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

    mean = np.sum([rows.sum(axis=0, dtype=np.float64) for rows in blocks(flat)], axis=0) / n
    dtype, shift = (np.float32, np.full(size, 128.0, np.float32)) if x.dtype == np.uint8 else (np.float64, mean)
    covariance = np.zeros((size, size))
    for rows in blocks(flat):
        block = rows.astype(dtype) - shift
        covariance += block.T @ block
    left = np.sqrt(n) * (mean - shift)
    for row, value in zip(covariance, left, strict=True):  # minus the outer product, without allocating it
        row -= value * left
    covariance /= n - 1
    spread = np.sqrt(np.maximum(covariance.diagonal(), 0))

    import scipy.linalg  # takes a while to load

    variance, vectors = scipy.linalg.eigh(
        covariance, subset_by_index=(size - kept, size - 1), driver="evr", overwrite_a=True, check_finite=False
    )
    variance, directions = variance[::-1], vectors.T[::-1]
    largest = directions[np.arange(kept), np.abs(directions).argmax(axis=1)]
    directions = directions.astype(np.float32) * np.sign(largest)[:, None].astype(np.float32)
    floor = max(variance[0], 0.0) * max(n, size) * np.finfo(np.float64).eps
    std = np.sqrt(np.where(variance > floor, variance, 0.0))
    high, low = jnp.asarray(mean.reshape(x.shape[1:]), jnp.float32), None
    if x.dtype != np.uint8:
        warn_of_lost_digits("fit_pca", mean.reshape(x.shape[1:]), spread.reshape(x.shape[1:]))
        high, low = in_two(mean.reshape(x.shape[1:]))
    return PCAStatistics(high, jnp.asarray(directions), jnp.asarray(std, jnp.float32), low)


def pca(statistics: PCAStatistics, x: ArrayLike) -> Array:
    """Project on the principal directions: (x - mean) @ components^T.

    Args:
        statistics: from `fit_pca`.
        x: uint8 or float, with any leading axes and last axes as fitted or flat `[..., D]`; if fitted on flat
            examples, also images `[..., H, W, C]` with H * W * C = D.

    Returns:
        `f32[..., k]`: the leading axes of x, and one coordinate per direction.

    Raises:
        TypeError: x is neither uint8 nor float.
        ValueError: the last axes of x do not have the fitted size. Both are raised at trace time.

    Source: CS231n, "Setting up the data and the model", https://cs231n.github.io/neural-networks-2/.

    Example:
        >>> train = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
        >>> print(preprocess.pca(preprocess.fit_pca(train, components=1), train))
        [[-5.]
         [ 0.]
         [ 5.]]
    """
    x = x if isinstance(x, jax.Array) else np.asarray(x)
    shape, size = statistics.mean.shape, statistics.components.shape[1]
    check_dtype(x, "x")
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
    low = None if statistics.mean_low is None else statistics.mean_low.reshape(size)
    centered = subtract(x.reshape(*x.shape[: x.ndim - axes], size), statistics.mean.reshape(size), low)
    return jnp.matmul(centered, statistics.components.T, precision=jax.lax.Precision.HIGHEST)


def whiten(statistics: PCAStatistics, x: ArrayLike, epsilon: ArrayLike = 1e-5) -> Array:
    """Project on the principal directions and scale each to unit variance: pca(x) / sqrt(std^2 + epsilon).

    Directions in which the training split does not vary (std 0) become exactly 0, since dividing would only amplify
    rounding errors. Directions of small variance are mostly noise, which whitening makes as strong as the signal; a
    larger epsilon, in the squared units of x, damps them. Epsilon 0 gives scikit-learn's `PCA(whiten=True)`.

    Args:
        statistics: from `fit_pca`.
        x: as in `pca`.
        epsilon: a variance, at least 0; the default is that of CS231n. May be traced.

    Returns:
        `f32[..., k]`.

    Raises:
        TypeError, ValueError: as `pca`; also a ValueError for a negative or non-finite epsilon that is not traced.

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
    varies = statistics.std > 0
    variance = jnp.where(varies, jnp.square(statistics.std) + jnp.asarray(epsilon, jnp.float32), 1.0)
    scale = jnp.where(varies, jax.lax.rsqrt(variance), 0.0)
    projected = pca(statistics, x)
    return projected * jnp.broadcast_to(scale, projected.shape)
