"""Optax transformations that optax does not have: averaged weights, and steps that seek zeros.

>>> import optax
>>> from jaxnn import optimizers
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxnn import layers

__all__ = ["beta_lasso", "with_ema"]


class EmaState(NamedTuple):
    """The state of `with_ema`.

    Attributes:
        inner: that of the optimizer whose steps are averaged.
        averaged_params: the mean so far; what `training.eval_params` returns.
        steps: i32[], the number of steps.
    """

    inner: Any
    averaged_params: Any
    steps: Array


def with_ema(optimizer: optax.GradientTransformation, decay: ArrayLike) -> optax.GradientTransformationExtraArgs:
    """An optimizer that also averages the parameters: the mean is evaluated and kept, the steps are the same.

    Formula: after step t, `mean = d mean + (1 - d) params` with `d = min(decay, (1 + t) / (10 + t))`, so that the first
    parameters are soon forgotten.

    Args:
        optimizer: any optax transformation.
        decay: in [0, 1), such as 0.999: the mean is over the last `1 / (1 - decay)` steps or so; may be traced.

    Returns:
        An optax transformation; its updates are those of `optimizer`.

    Raises:
        TypeError, ValueError: `decay` is not a number in [0, 1).

    Example:
        >>> optimizer = optimizers.with_ema(optax.sgd(1.0), 0.9)
        >>> state = optimizer.init(jnp.array(1.0))
        >>> step, state = optimizer.update(jnp.array(0.5), state, jnp.array(1.0))  # from 1 to 0.5
        >>> print(step, f"{state.averaged_params:.2f}")  # 0.1 * 1 + 0.9 * 0.5
        -0.5 0.55

    Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the start is TensorFlow's
    `ExponentialMovingAverage`.
    """
    layers.check_rate("with_ema: decay", decay)
    inner = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> EmaState:
        return EmaState(inner.init(params), params, jnp.int32(0))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, EmaState]:
        if params is None:
            raise ValueError("with_ema: update needs params, the parameters that are averaged")
        updates, of_inner = inner.update(updates, state.inner, params, **extra)
        t = state.steps.astype(jnp.float32)
        keep = jnp.minimum(jnp.asarray(decay, jnp.float32), (1.0 + t) / (10.0 + t))

        def mean(old: Array, new: Array) -> Array:
            return old + (1.0 - keep).astype(old.dtype) * (new - old)

        after = jax.tree.map(mean, state.averaged_params, optax.apply_updates(params, updates))
        return updates, EmaState(of_inner, after, state.steps + 1)

    return optax.GradientTransformationExtraArgs(init, update)


class BetaLassoState(NamedTuple):
    """The state of `beta_lasso`.

    Attributes:
        inner: that of the optimizer whose steps are changed.
        steps: i32[], the number of steps.
    """

    inner: Any
    steps: Array


def beta_lasso(
    optimizer: optax.GradientTransformation,
    penalty: ArrayLike,
    learning_rate: ArrayLike | optax.Schedule,
    *,
    beta: ArrayLike = 50.0,
) -> optax.GradientTransformationExtraArgs:
    """Steps that seek zeros: an L1 penalty, and every weight that stays small is set to zero.

    Formula: `w' = w + optimizer(g) - learning_rate penalty sign(w)`, then `w' = 0` where `|w'| < beta penalty`. It acts
    on weights, the arrays with at least two axes; biases take only the optimizer's steps.

    Args:
        optimizer: makes the step of the gradient, such as `optax.sgd(learning_rate, momentum=0.9)`.
        penalty: the factor lambda of the L1 penalty, at least 0, such as 1e-6; may be traced.
        learning_rate: of the penalty's own step; that of the optimizer, a number or an optax schedule.
        beta: the threshold in units of the penalty; at least 0.

    Returns:
        An optax transformation.

    Raises:
        ValueError: a number is below 0.

    Example:
        >>> optimizer = optimizers.beta_lasso(optax.sgd(0.1), penalty=0.1, learning_rate=0.1, beta=5.0)
        >>> w = jnp.array([[2.0, 0.3]])
        >>> step, _ = optimizer.update(jnp.array([[1.0, 1.0]]), optimizer.init(w), w)
        >>> print(np.round(w + step, 2))  # 0.3 would become 0.19, below 0.5
        [[1.89 0.  ]]

    Source: Neyshabur 2020, "Towards learning convolutions from scratch", algorithm 1 (arXiv 2007.13657).
    """
    for name, value in (("penalty", penalty), ("learning_rate", learning_rate), ("beta", beta)):
        if not (callable(value) or isinstance(value, Tracer)) and not float(np.asarray(value)) >= 0:
            raise ValueError(f"beta_lasso: {name} must be at least 0, got {value}")
    inner = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> BetaLassoState:
        return BetaLassoState(inner.init(params), jnp.int32(0))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, BetaLassoState]:
        if params is None:
            raise ValueError("beta_lasso: update needs params, the weights that are cut")
        updates, of_inner = inner.update(updates, state.inner, params, **extra)
        now = learning_rate(state.steps) if callable(learning_rate) else learning_rate

        def cut(step: Array, w: Array) -> Array:
            if w.ndim < 2:
                return step
            factor, rate, cut_off = (jnp.asarray(a, w.dtype) for a in (penalty, now, beta))
            after = w + step - rate * factor * jnp.sign(w)
            return jnp.where(jnp.abs(after) < cut_off * factor, -w, after - w)

        return jax.tree.map(cut, updates, params), BetaLassoState(of_inner, state.steps + 1)

    return optax.GradientTransformationExtraArgs(init, update)
