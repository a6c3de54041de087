"""Helpers of `preprocess`: training arrays in blocks of rows, and means in two float32 parts."""

import warnings
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

ROWS = 1024  # rows per block. In fit_pca 1024 * 128**2 = 2**24: sums of uint8 products are exact in float32
CARRIED = 2.0**16  # times std: float32 resolves a mean so large to 1/128 of std


def in_two(mean: np.ndarray) -> tuple[Array, Array | None]:
    """A mean rounded to float32, and what that lost; None if nothing."""
    high = mean.astype(np.float32)
    low = (mean - high).astype(np.float32)
    return jnp.asarray(high), jnp.asarray(low) if low.any() else None


def subtract(x: Array | np.ndarray, mean: Array, mean_low: Array | None) -> Array:
    """x - mean in float32; of a float64 x the part below float32's digits counts too."""
    low = None
    if x.dtype == np.float64:  # not on the device unless 64-bit types are enabled
        if isinstance(x, np.ndarray):
            with np.errstate(over="ignore", invalid="ignore"):
                high = x.astype(np.float32)
                low = jnp.asarray(np.where(np.isfinite(high), x - high, 0).astype(np.float32))
        else:
            high = jax.lax.reduce_precision(x, 8, 23)
            low = jnp.where(jnp.isfinite(high), x - high, 0).astype(jnp.float32)
        x = high
    high = jnp.asarray(x).astype(jnp.float32)
    # the high parts are close to each other, so their difference is exact (Sterbenz 1974)
    centered = high - jnp.broadcast_to(mean, high.shape)
    if mean_low is not None:
        rest = jnp.broadcast_to(mean_low, high.shape)
        return centered + (-rest if low is None else low - rest)
    return centered if low is None else centered + low


def warn_of_lost_digits(where: str, mean: np.ndarray, std: np.ndarray) -> None:
    """Warn of means beyond 2**16 std, other than those of constant features."""
    constant = std <= 1e-13 * np.abs(mean)  # up to rounding
    ratio = np.abs(mean) / np.where(constant, np.inf, std)
    if ratio.max() <= CARRIED:
        return
    at = np.unravel_index(ratio.argmax(), ratio.shape)
    name = f"feature {', '.join(map(str, at))}" if at else "the data"
    warnings.warn(
        f"{where}: {name} has mean {mean[at]:.7g} and std {std[at]:.3g}; float32, in which training holds the "
        f"examples, resolves it to {np.spacing(np.float32(abs(mean[at]))) / std[at]:.2g} std only: subtract a constant "
        f"near the mean in float64 first",
        stacklevel=3,
    )


def check_dtype(x: Array | np.ndarray, name: str) -> None:
    if x.dtype != jnp.uint8 and not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} is {x.dtype}, expected uint8 or float; cast it, as in {name}.astype(np.float32)")


def training_array(train: ArrayLike) -> np.ndarray:
    x = np.asarray(train)
    check_dtype(x, "train")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"train has shape {x.shape}, expected [N, ...] with at least one example and one feature")
    if x.dtype == np.uint8:
        return x
    limit = np.float64(np.finfo(np.float32).max)  # a Python number would become infinite next to float16
    for start, rows in zip(range(0, len(x), ROWS), blocks(x), strict=True):
        wrong = ~(np.abs(rows) <= limit)  # true of nan as well
        if wrong.any():
            at = np.argwhere(wrong)[0]
            index = ", ".join(map(str, (start + int(at[0]), *at[1:].tolist())))
            raise ValueError(
                f"train[{index}] is {rows[tuple(at)]}, expected finite numbers in the range of float32; "
                "drop or repair such examples before fitting"
            )
    return x


def blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    return (x[start : start + ROWS] for start in range(0, len(x), ROWS))
