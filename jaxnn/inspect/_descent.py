"""Gradient descent on a function of a few variables, from many starts and with many step sizes at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

Function = Callable[[Array], Array]
"""A differentiable function from one number f32[] or one point f32[D] to f32[]."""


class Descent(NamedTuple):
    """The path of a descent; under `jit` unused fields are not computed. D is empty for a function of one number.

    Attributes:
        points: f32[steps + 1, *D], starting with the start.
        values: f32[steps + 1], the function at the points.
        gradients: f32[steps + 1, *D], its gradient at the points.
        end: f32[*D], the last point.
        last_move: f32[], the length of the last step.
    """

    points: Array
    values: Array
    gradients: Array
    end: Array
    last_move: Array


def descend(function: Function, start: ArrayLike, rate: ArrayLike, momentum: ArrayLike = 0.0, *, steps: int) -> Descent:
    """Gradient descent from one start: a pure function to jit, or to vmap over start, rate and momentum.

    Formula: `v <- momentum * v - rate * gradient(x)`, `x <- x + v`, starting from `v = 0`.

    Args:
        function: the function to minimize.
        start: f32[*D], a number or a point.
        rate: the step size (eta), f32[]; may be traced.
        momentum: the fraction of the last step that is kept, f32[]; 0 is plain descent.
        steps: number of steps, at least 1; static.

    Returns:
        A `Descent`. If it diverges, its infinities and NaN are kept.

    Raises:
        TypeError: `steps` is not a whole number.
        ValueError: `steps` is below 1, or the function does not return a scalar.

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods" (momentum).

    Example:
        >>> path = inspect.descend(lambda x: (x - 1) ** 2 + 1, 6.0, 0.05, steps=1000)
        >>> print(path.points[:3], f"{path.end:.3f} {path.values[-1]:.3f}")
        [6.   5.5  5.05] 1.000 1.000
    """
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise TypeError(f"descend: steps must be a whole number, got {steps!r}")
    if steps < 1:
        raise ValueError(f"descend: steps must be at least 1, got {steps}")
    start = _floating(start)
    value = jax.eval_shape(function, start)
    if value.shape != ():
        raise ValueError(
            f"descend: function must return one number, got shape {list(value.shape)}; take a sum or a mean"
        )
    rate, momentum = jnp.asarray(rate, start.dtype), jnp.asarray(momentum, start.dtype)
    value_and_gradient = jax.value_and_grad(function)

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
        point, velocity = carry
        value, gradient = value_and_gradient(point)
        velocity = momentum * velocity - rate * gradient
        return (point + velocity, velocity), (point, value, gradient)

    (end, move), (points, values, gradients) = jax.lax.scan(step, (start, jnp.zeros_like(start)), length=steps)
    value, gradient = value_and_gradient(end)
    return Descent(
        jnp.concatenate([points, end[None]]),
        jnp.concatenate([values, value[None]]),
        jnp.concatenate([gradients, gradient[None]]),
        end,
        jnp.sqrt(jnp.square(move).sum()),
    )


def descend_many(
    function: Function, starts: ArrayLike, rates: ArrayLike, momentum: ArrayLike = 0.0, *, steps: int
) -> Descent:
    """`descend` from every start with every step size, as one compiled program.

    Args:
        function: as `descend`; the same function object compiles once.
        starts: f32[S, *D].
        rates: f32[H].
        momentum: f32[], or f32[H], one for each step size.
        steps: as `descend`.

    Returns:
        A `Descent` whose leaves are [S, H, ...].

    Raises:
        TypeError, ValueError: as `descend`, or the shapes of `rates` and `momentum` do not match.

    Example:
        >>> paths = inspect.descend_many(lambda x: x**2, [1.0, 2.0, 3.0], [0.1, 0.5], steps=4)
        >>> paths.points.shape, paths.end[:, 1].tolist()
        ((3, 2, 5), [0.0, 0.0, 0.0])
    """
    starts, rates, momentum = _settings("descend_many", starts, rates, momentum)
    return _descend_many(function, starts, rates, momentum, steps=steps)


def basins(
    function: Function,
    starts: ArrayLike,
    rates: ArrayLike,
    minima: ArrayLike,
    momentum: ArrayLike = 0.0,
    *,
    steps: int,
    tolerance: float = 1e-3,
) -> Array:
    """The minimum that each start reaches with each step size; keeps only the last points, so that many fit in memory.

    Formula: the nearest minimum, if the last point is within `tolerance` of it and the last step was no longer than
    `tolerance`; else none.
    """
    starts, rates, momentum = _settings("basins", starts, rates, momentum)
    places = _floating(minima)
    if places.ndim != starts.ndim or places.shape[1:] != starts.shape[1:] or not len(places):
        raise ValueError(f"basins: minima{list(places.shape)} must be points like starts{list(starts.shape)}")
    return _basins(function, starts, rates, places, momentum, steps=steps, tolerance=tolerance)


def local_minima(function: Function, low: float, high: float, *, samples: int = 2000) -> Array:
    """The local minima of a function of one number inside an interval."""
    if not low < high or samples < 2:
        raise ValueError(f"local_minima: expected low < high and samples >= 2, got {low}, {high} and {samples}")
    slope = jax.jit(jax.vmap(jax.grad(function)))
    # an odd shift: a minimum at a round number does not fall on a sample, where its derivative is neither - nor +
    places = np.linspace(low, high, samples) + (high - low) / samples * 0.0123
    rising = np.asarray(slope(places)) > 0
    first = np.flatnonzero(~rising[:-1] & rising[1:])
    left, right = places[first], places[first + 1]
    if first.size:
        for _ in range(30):
            middle = (left + right) / 2
            up = np.asarray(slope(middle)) > 0
            left, right = np.where(up, left, middle), np.where(up, middle, right)
    return jnp.asarray((left + right) / 2)


def steps_to_reach(values: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Number of steps after which a descent stays at or below a target value."""
    above = ~(np.asarray(values) <= np.asarray(target))
    length = above.shape[-1]
    return np.where(above.any(-1), length - above[..., ::-1].argmax(-1), 0)


def _floating(values: ArrayLike) -> Array:
    array = jnp.asarray(values)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.float32)


def _settings(where: str, starts: ArrayLike, rates: ArrayLike, momentum: ArrayLike) -> tuple[Array, Array, Array]:
    first, eta, kept = _floating(starts), _floating(rates), _floating(momentum)
    if first.ndim < 1 or eta.ndim != 1 or kept.shape not in ((), eta.shape):
        raise ValueError(
            f"{where}: expected starts[S, ...], rates[H] and momentum [] or [H], "
            f"got {list(first.shape)}, {list(eta.shape)} and {list(kept.shape)}"
        )
    return first, eta, jnp.broadcast_to(kept, eta.shape)


@functools.partial(jax.jit, static_argnames=("function", "steps"))
def _descend_many(function: Function, starts: Array, rates: Array, momentum: Array, *, steps: int) -> Descent:
    def one(start: Array, rate: Array, momentum: Array) -> Descent:
        return descend(function, start, rate, momentum, steps=steps)

    return jax.vmap(jax.vmap(one, (None, 0, 0)), (0, None, None))(starts, rates, momentum)


@functools.partial(jax.jit, static_argnames=("function", "steps"))
def _basins(
    function: Function,
    starts: Array,
    rates: Array,
    minima: Array,
    momentum: Array,
    *,
    steps: int,
    tolerance: ArrayLike,
) -> Array:
    paths = _descend_many(function, starts, rates, momentum, steps=steps)
    ends = paths.end.reshape(*paths.end.shape[:2], 1, -1)
    places = minima.reshape(1, 1, len(minima), -1)
    shape = (*ends.shape[:2], len(minima), ends.shape[-1])
    distance = jnp.sqrt(jnp.square(jnp.broadcast_to(ends, shape) - jnp.broadcast_to(places, shape)).sum(-1))
    converged = (distance.min(-1) <= tolerance) & (paths.last_move <= tolerance)
    return jnp.where(converged, distance.argmin(-1).astype(jnp.int32), -1)
