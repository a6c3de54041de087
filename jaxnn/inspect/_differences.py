"""Difference quotients of a scalar function at a ladder of steps, and what they say about its slope."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

STEPS = 6e-6 * 10.0 ** -np.arange(8)
"""Relative to max(1, |x|); the first is the cube root of float64's epsilon, for a smooth function the best."""
USUAL = 2
"""The first steps of the ladder, which decide about most coordinates; the others need more evaluations."""
_EPSILON = float(np.finfo(np.float64).eps)


class Verdict(NamedTuple):
    """What the differences say about each of n coordinates."""

    numeric: np.ndarray
    """f64[n], the central difference with the smallest uncertainty."""
    error: np.ndarray
    """f64[n], relative; 1 at a jump."""
    kink: np.ndarray
    """bool[n]"""
    jump: np.ndarray
    """bool[n]"""
    unresolved: np.ndarray
    """bool[n]"""


@functools.partial(jax.jit, static_argnums=0)
def _around(function: Callable[..., Array], params: Any, others: Any, places: Array, steps: Array) -> Array:
    """The function at -2h, -h, 0, h, 2h along each coordinate, for each of the steps: f64[n, steps, 5]."""
    flat, restore = ravel_pytree(params)
    offsets = steps[:, None] * jnp.arange(-2.0, 3.0)[None]

    def along(place: Array) -> Array:
        h = offsets * jnp.maximum(1, jnp.abs(flat[place]))
        return jax.vmap(jax.vmap(lambda h: function(restore(flat.at[place].add(h)), *others)))(h)

    return jax.lax.map(along, places, batch_size=32)


def compare(
    function: Callable[..., Array],
    params: Any,
    others: Any,
    places: np.ndarray,
    analytic: np.ndarray,
    largest: float,
    tolerance: float,
) -> Verdict:
    """Compare the analytic gradient at some places of the flattened parameters with differences.

    Two steps are tried first; where they do not confirm the gradient, the whole ladder is.
    """
    at = np.asarray(ravel_pytree(params)[0])[places]
    floor = max(1e-3 * largest, 1e-12)

    def judge(chosen: np.ndarray, steps: np.ndarray) -> Verdict:
        padded = np.resize(places[chosen], 1 << (len(chosen) - 1).bit_length())  # few shapes, so few compilations
        values = np.asarray(_around(function, params, others, jnp.asarray(padded), jnp.asarray(steps)))[: len(chosen)]
        h = np.maximum(1, np.abs(at[chosen]))[:, None] * steps
        return _judge(analytic[chosen], values, at[chosen], h, floor, tolerance)

    found = judge(np.arange(len(places)), STEPS[:USUAL])
    doubtful = np.flatnonzero((found.error > tolerance) | found.kink | found.jump | found.unresolved)
    if len(doubtful):
        for all_of, part in zip(found, judge(doubtful, STEPS), strict=True):
            all_of[doubtful] = part
    return found


def _judge(
    analytic: np.ndarray, values: np.ndarray, at: np.ndarray, h: np.ndarray, floor: float, tolerance: float
) -> Verdict:
    """The verdict from the values f64[n, steps, 5] at steps h f64[n, steps] around `at` f64[n]."""
    low2, low1, middle, high1, high2 = np.moveaxis(values, -1, 0)
    central = (high1 - low1) / (2 * h)
    # one-sided, second order: where the function is smooth both equal its slope up to h^2
    right = (4 * high1 - 3 * middle - high2) / (2 * h)
    left = (3 * middle - 4 * low1 + low2) / (2 * h)
    gap, steep = np.abs(right - left), np.maximum(np.abs(right), np.abs(left))
    size = np.maximum(np.maximum(np.abs(analytic)[:, None], np.abs(central)), floor)
    # rounding of the values, and of x + h
    noise = _EPSILON * (64 * np.abs(values).max(2) + 4 * np.abs(at)[:, None] * steep) / h
    exact = noise <= 1e-3 * np.maximum(np.maximum.accumulate(steep, 1), floor)

    # a step is smooth if both sides agree; after steps at which they did not, not merely because noise hides it
    smooth = np.zeros(gap.shape, bool)
    for j in range(gap.shape[1]):
        seen = smooth[:, :j].any(1) | (30 * noise[:, j] <= gap[:, :j].max(1, initial=0.0)) | (j == 0)
        equal = gap[:, j] <= 10 * (noise[:, j] + 1e-6 * np.maximum(np.abs(central[:, j]), floor))
        smooth[:, j] = equal & (exact[:, j] | (j == 0)) & seen
    resolved = smooth.any(1)

    rows, count = np.arange(len(analytic)), gap.shape[1]
    finest = np.where(exact.any(1), count - 1 - exact[:, ::-1].argmax(1), 0)
    before = np.maximum(finest - 1, 0)
    best = np.where(resolved, np.where(smooth, noise + gap, np.inf).argmin(1), finest)
    numeric, error = central[rows, best], np.abs(analytic - central[rows, best]) / size[rows, best]

    def change(slope: np.ndarray) -> np.ndarray:
        return np.abs(slope[rows, finest] - slope[rows, before])

    rough = ~resolved & (finest > 0)
    jump = rough & (steep[rows, finest] > 2 * steep[rows, before]) & (gap[rows, finest] > 10 * noise[rows, finest])
    allowed = 10 * (noise[rows, finest] + noise[rows, before]) + 1e-2 * gap[rows, finest]
    corner = rough & ~jump & (np.maximum(change(right), change(left)) <= allowed)
    margin = noise[rows, finest] + 1e-6 * size[rows, finest]
    lowest, highest = (of(left, right)[rows, finest] for of in (np.minimum, np.maximum))
    kink = corner & (lowest - margin <= analytic) & (analytic <= highest + margin)
    return Verdict(numeric, np.where(jump, 1.0, error), kink, jump, ~resolved & ~jump & ~corner)
