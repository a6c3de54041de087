"""L-BFGS in float64 on all examples at once, of a linear classifier in coordinates in which it is easy to fit."""

from __future__ import annotations

import functools
import itertools
import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
import threadpoolctl
from jax import Array

from jaxnn import losses, training
from jaxnn.interop.sklearn import _newton

ROTATED = 1024
"""Up to this many inputs, the coordinates are rotated to the principal axes, which takes an eigendecomposition."""
NARROWER = 0.1
"""The factor from one width of the rounded hinge to the next; the first is 1, the margin."""
GAP = 1e-4
"""The hinge is narrow enough when rounding changes the objective by no more than this fraction of it."""


_ALONE = threading.Lock()
"""One minimization at a time: the number of threads of BLAS is one for the whole process."""


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


class Coordinates(NamedTuple):
    """Coordinates in which a linear classifier is fitted: centred, rotated, and scaled.

    The objective stays the same function of the classifier: the bias, which has no penalty, takes up the centre, and
    the penalty is that of the weights for the examples as given. The curvature of the objective is of the size of the
    covariance of the inputs plus `2 * l2`: in these coordinates that is the identity.
    """

    center: np.ndarray
    """f64[D], the weighted mean; zeros without a bias."""
    to: np.ndarray
    """f64[D, D], `w = v @ to.T`: the weights for the examples as given, from those for these coordinates v. f64[D]
    stands for a diagonal matrix."""
    back: np.ndarray
    """f64[D, D], or f64[D], `v = w @ back`."""

    @classmethod
    def fitted(cls, x: np.ndarray, weights: np.ndarray, l2: float, bias: bool, rotated: bool) -> Coordinates:
        """The coordinates for examples x[N, D] with these weights [N], in float64; `rotated` may rotate the axes."""
        share = weights / weights.sum()
        x = x.astype(np.float64)
        center = share @ x * bias
        centred = x - center
        variance = share @ centred**2
        constant = variance <= 1e-24 * (share @ x**2)  # but rounding: left out
        spread = np.sqrt(np.where(constant, 1.0, variance + 2.0 * l2))
        scale = np.where(constant, 0.0, 1.0 / spread)
        if not rotated or not 1 < x.shape[1] <= ROTATED:
            return cls(center, scale, spread)
        centred *= scale
        curvature, axes = np.linalg.eigh((centred.T * share) @ centred + np.diag(2.0 * l2 * scale**2))
        known = curvature > 1e-12  # in the other directions there is nothing but rounding
        root = np.sqrt(np.where(known, curvature, 1.0))
        return cls(center, scale[:, None] * axes * (known / root), spread[:, None] * axes * (known * root))

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """The examples in these coordinates, f64[N, D]."""
        return _times(x - self.center, self.to)

    def outer(self, params: Any) -> list[dict[str, np.ndarray]]:
        """The parameters for the examples as given, from those for these coordinates."""
        [layer] = params
        w = _times(layer["w"], self.to.T)
        return [{"w": w, "b": layer["b"] - w @ self.center}]

    def inner(self, params: Any) -> list[dict[str, np.ndarray]]:
        """The parameters for these coordinates, from those for the examples as given."""
        [layer] = params
        w = np.asarray(layer["w"], np.float64)
        return [{"w": _times(w, self.back), "b": layer["b"] + w @ self.center}]


def _times(x: Any, matrix: Any) -> Any:
    """The product with a matrix, or with the diagonal of one."""
    return x @ matrix if matrix.ndim == 2 else x * matrix[None]


def rounded_hinge(margins: Array, width: Any) -> Array:
    """The sum of `max(0, margin)` with its corner replaced by a parabola of this width, so that it has a gradient.

    It is lower than the sum by at most half the width for each positive margin.
    """
    inside = margins.clip(0.0, width)
    return (inside**2 / (2.0 * width) + jax.nn.relu(margins - width)).sum(-1)


def _flat(params: Any) -> np.ndarray:
    return np.concatenate([np.ravel(part) for layer in params for part in (layer["w"], layer["b"])]).astype(np.float64)


def _layers(spec: Any, theta: Any) -> list[dict[str, Any]]:
    params, at = [], 0
    for into, out in itertools.pairwise((spec.features, *spec.hidden, spec.outputs)):
        weights, at = theta[at : at + out * into].reshape(out, into), at + out * (into + 1)
        params.append({"w": weights, "b": theta[at - out : at]})
    return params


@functools.partial(jax.jit, static_argnames="spec")
def _evaluate(spec: Any, theta: Any, l2: Array, width: Array, to: Array | None, data: Any) -> Any:
    """((objective, how much rounding may hide), gradient)."""

    def objective(theta: Array) -> tuple[Array, Array]:
        params = _layers(spec, theta)
        scores = spec.model().apply(params, data.inputs)
        hidden = jnp.zeros(())
        if spec.loss == "svm":
            right = jax.nn.one_hot(data.labels, scores.shape[-1], dtype=bool)
            margins = scores - jnp.where(right, scores, 0.0).sum(-1, keepdims=True) + 1.0
            margins = jnp.where(right, 0.0, margins)
            hidden = width / 2.0 * ((margins > 0.0).astype(margins.dtype).sum(-1) * data.weights).mean()
            each = rounded_hinge(margins, width)
        else:
            each = spec.losses(scores, data.labels, data.statistics)
        given = params if to is None else [{"w": _times(params[0]["w"], to.T)}]
        return (each * data.weights).mean() + l2 * losses.l2(given), hidden

    return jax.value_and_grad(objective, has_aux=True)(theta)


@functools.partial(jax.jit, static_argnames="spec")
def _score(spec: Any, params: Any, x: Array, labels: Array, targets: Array | None) -> Array:
    return spec.score(spec.model().apply(params, x), labels, targets)


def minimize(job: Any) -> training.Run:
    """The run that minimizes the objective with L-BFGS-B of SciPy; an epoch of its history is an iteration.

    A linear classifier with the hinge is minimized with Newton's method if it is not large: on the digits that takes a
    fiftieth of the iterations, since the hinge is the harder for L-BFGS the narrower its rounding.

    It has converged when no entry of the gradient exceeds `tol` (of a linear classifier `tol` times the objective, if
    that is below 1), or when float64 resolves no further decrease. The hinge is rounded, less and less: each width
    starts from the parameters of the last. With held-out examples the parameters are the best on them. The history
    gets `converged`, 1 or 0. A penalty of absolute weights is linear in two variables of a weight, its positive and
    its negative part, each at least 0, of which one is 0 at the minimum.
    """
    spec, tol, l1, l2 = job.spec, *(np.float64(job.hparams[name]) for name in ("tol", "l1", "l2"))
    key = jax.random.fold_in(jax.random.key(np.uint32(job.seed)), np.uint32(job.call))
    params = spec.model().init(key) if job.state is None else job.state[0]
    if job.coordinates is not None and job.state is not None:
        params = job.coordinates.inner(params)
    bounds: Any = None
    slopes = np.zeros(0)
    curve: list[float] = []
    scores: list[float] = []
    best, waited = (-np.inf, params), 0

    def evaluate(theta: np.ndarray, width: float) -> tuple[float, np.ndarray]:
        (value, _), gradient = _evaluate(spec, whole(theta), l2, width, to, data)
        if not l1:
            return float(value), np.asarray(gradient)
        return float(value + slopes @ theta), slopes + np.concatenate([gradient, -gradient])

    def slope_at(theta: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The gradient, but for what would leave the bounds."""
        return gradient if bounds is None else theta - (theta - gradient).clip(*bounds.T)

    def whole(theta: np.ndarray) -> np.ndarray:
        """The parameters of the model."""
        return np.subtract(*np.split(theta, 2)) if l1 else theta

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal best, waited
        curve.append(float(intermediate_result.fun))
        for x, labels in (data.evaluate or {}).values():
            now = _layers(spec, whole(intermediate_result.x.copy()))
            scores.append(float(_score(spec, now, x, labels, data.statistics)))
            waited = 0 if scores[-1] >= best[0] + tol else waited + 1
            if scores[-1] > best[0]:
                best = (scores[-1], now)
            if spec.wait is not None and waited > spec.wait:
                raise StopIteration

    def hessian(theta: np.ndarray, width: float) -> np.ndarray:
        root = job.coordinates.to if job.coordinates.to.ndim == 2 else np.diag(job.coordinates.to)
        return _newton.hessian(_layers(spec, theta), job.data, width, 2.0 * l2 * root.T @ root, spec.bias)

    # L-BFGS-B calls BLAS for matrices so small that its threads would cost more than they do
    with _ALONE, _blas().limit(limits=1, user_api="blas"), jax.enable_x64(True):
        data, to = jax.device_put((job.data, job.coordinates and job.coordinates.to))
        theta, width, tolerance, calls = _flat(params), 1.0, tol, 0
        newton = spec.loss == "svm" and not spec.hidden and not l1 and len(theta) <= _newton.MOST
        if l1:
            of_weights = [layer | {"w": np.tile(np.abs(to), (spec.outputs, 1))} for layer in params]
            slope = l1 * _flat([layer | {"b": np.zeros(spec.outputs)} for layer in of_weights])
            slopes, free = np.tile(slope, 2), slope == 0.0
            lowest, highest = np.where(free, -np.inf, 0.0), np.where(free, 0.0, np.inf)
            bounds = np.stack([np.append(lowest, 0.0 * slope), np.append(0.0 * slope + np.inf, highest)], 1)
            theta = np.append(theta, -theta).clip(*bounds.T)
        while True:
            options = {"maxiter": job.epochs - len(curve), "maxfun": job.max_fun - calls, "gtol": tolerance}
            if not newton:
                options |= {"ftol": 64 * np.finfo(np.float64).eps, "maxls": 50, "maxcor": 10 if spec.hidden else 30}
            found: Any = scipy.optimize.minimize(
                evaluate,
                theta,
                (width,),
                _newton.minimize if newton else "L-BFGS-B",
                jac=True,
                hess=hessian if newton else None,
                bounds=bounds,
                callback=after_iteration,
                options=options,
            )
            theta, calls = found.x, calls + found.nfev
            stopped = spec.wait is not None and waited > spec.wait
            converged = stopped or found.status == 0
            needed = tol if spec.hidden else tol * min(1.0, found.fun)
            wide = spec.loss == "svm" and float(_evaluate(spec, whole(theta), l2, width, to, data)[0][1])
            if stopped or not converged:
                break
            if wide > GAP * found.fun and width > 1e-12:
                width *= NARROWER
            elif tolerance < tol or np.abs(slope_at(theta, found.jac)).max() <= needed:
                break
            tolerance = min(tolerance, needed)
            if len(curve) >= job.epochs or calls >= job.max_fun:
                converged = False
                break
    curve = curve or [float(found.fun)]
    history: Any = {"loss": np.array(curve), "penalty": np.zeros(len(curve)), "converged": np.float64(converged)}
    if scores:
        history["validation_accuracy"] = np.array(scores)
    finite = np.isfinite(theta).all() and np.isfinite(found.fun)
    done: Any = np.int32(len(curve))
    bad: Any = np.int32(-1 if finite else 0)
    return training.Run(
        training.State(best[1] if scores else _layers(spec, whole(theta)), None, done, key), history, None, done, bad
    )
