"""Newton's method for the rounded hinge of a linear classifier: parabolas in pieces, with a Hessian that is cheap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize

MOST = 2000
"""Up to this many parameters: a step factors a matrix of as many rows."""
HALVINGS = 20
"""Of the interval of the line search."""
ROUNDING = 16 * np.finfo(np.float64).eps
"""Of the objective, relative to it."""


def minimize(
    fun: Callable[..., float],
    theta: np.ndarray,
    args: tuple[Any, ...] = (),
    *,
    jac: Callable[..., np.ndarray],
    hess: Callable[..., np.ndarray],
    callback: Callable[..., None],
    gtol: float,
    maxiter: int,
    maxfun: int,
    **_: Any,
) -> scipy.optimize.OptimizeResult:
    """The minimum of a convex function, as a `method` of `scipy.optimize.minimize`.

    The norm of the gradient is added to the diagonal of the Hessian, at most 1, so that directions without curvature
    are no trouble far from the minimum and steps are Newton's near it; and what rounding may take from the smallest
    eigenvalue, so that the matrix has a Cholesky factor. The line search finds where the slope is at
    most half of that at its start.
    """
    value, slope = fun(theta, *args), jac(theta, *args)
    calls, iterations, status = 1, 0, 1
    while True:
        if np.abs(slope).max() <= gtol:
            status = 0
            break
        if iterations >= maxiter or calls >= maxfun or not np.isfinite(value):
            break
        matrix = hess(theta, *args)
        rounding = len(matrix) * np.finfo(np.float64).eps * max(1.0, float(np.trace(matrix)))
        matrix[np.diag_indices_from(matrix)] += min(1.0, float(np.linalg.norm(slope))) + rounding
        factors = scipy.linalg.cho_factor(matrix, overwrite_a=True, check_finite=False)
        step = -scipy.linalg.cho_solve(factors, slope, check_finite=False)
        at_start = slope @ step
        low, high, share = 0.0, 1.0, 1.0
        there, value_there, slope_there = theta, value, slope
        for _halving in range(HALVINGS):  # the slope along the step has corners: halves beat secants
            there = theta + share * step
            value_there, slope_there = fun(there, *args), jac(there, *args)
            calls += 1
            along = slope_there @ step
            if along > -0.5 * at_start or value_there > value + ROUNDING * abs(value):
                high = share
            elif along < 0.5 * at_start and share < 1.0:
                low = share
            else:
                break
            share = (low + high) / 2.0
        if value_there >= value and np.abs(slope_there).max() >= np.abs(slope).max():
            status = 0  # float64 resolves no further decrease
            break
        theta, value, slope, iterations = there, value_there, slope_there, iterations + 1
        try:
            callback(scipy.optimize.OptimizeResult(x=theta, fun=value))
        except StopIteration:
            break
    return scipy.optimize.OptimizeResult(x=theta, fun=value, jac=slope, nit=iterations, nfev=calls, status=status)


def hessian(params: Any, data: Any, width: float, penalty: np.ndarray, bias: bool) -> np.ndarray:
    """The Hessian of `(weights * rounded hinge).mean()` plus a quadratic penalty, f64[P, P] for the flat parameters.

    Of a margin between the class k and the right one a, scores `W x`, only those in the parabola count: they add
    `x x^T / width` to the blocks (k, k) and (a, a) and take it from (a, k) and (k, a).

    `penalty` f64[D, D] is the Hessian of the penalty of the weights of each class.
    """
    [layer] = params
    (classes, features), rows = layer["w"].shape, np.arange(len(data.inputs))
    scores = data.inputs @ layer["w"].T + layer["b"]
    margins = scores - scores[rows, data.labels][:, None] + 1.0
    inside = (margins > 0.0) & (margins < width) & (data.weights > 0.0)[:, None]
    inside[rows, data.labels] = False
    x = np.column_stack([data.inputs, np.full(len(rows), float(bias))])
    x *= np.sqrt(data.weights / (len(rows) * width))[:, None]
    blocks = np.zeros((classes, features + 1, classes, features + 1))
    for right in range(classes):
        of_class = np.flatnonzero(data.labels == right)
        for other in range(classes):
            chosen = x[of_class[inside[of_class, other]]]
            if len(chosen):
                product = chosen.T @ chosen
                blocks[other, :, other] += product
                blocks[right, :, right] += product
                blocks[right, :, other] -= product
                blocks[other, :, right] -= product
    for k in range(classes):
        blocks[k, :-1, k, :-1] += penalty
    place = np.arange(classes * (features + 1)).reshape(classes, -1)
    flat = np.append(place[:, :-1], place[:, -1])  # all weights, then all biases
    return blocks.reshape(len(flat), -1)[np.ix_(flat, flat)]
