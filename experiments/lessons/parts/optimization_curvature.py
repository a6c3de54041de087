"""The surface and the curvature of a loss around a solution, and the bound 2/L for the learning rate."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments.lessons.framework import lesson
from experiments.lessons.framework.lesson import Claim, Findings, Options, ResultTable
from jaxnn import inspect, losses, models, plots
from jaxnn.data import preprocess
from jaxnn.training import Data


def around_solution(data: Data, options: Options) -> Findings:
    """The surface and the curvature around a solution, and the step sizes that diverge from it."""
    count, key = 300, jax.random.key(options.seed)
    x = preprocess.standardize(data.statistics, jnp.asarray(data.inputs[:count]))
    y = jnp.asarray(data.labels[:count])
    small = models.mlp((8, 8, 1), (16,), 10, activation=jnp.tanh)

    def loss(params: Any) -> Array:
        return losses.softmax(small.apply(params, x), y).mean() + 1e-2 * losses.l2(params)

    steps = 1500 if options.quick else 4000

    @jax.jit
    def solve(key: Array) -> tuple[inspect.Descent, Any]:
        start, unravel = jax.flatten_util.ravel_pytree(small.init(key))
        found = inspect.descend(lambda p: loss(unravel(p)), start, 0.1, 0.9, steps=steps)
        return found, unravel(found.end)

    (found, solution), seconds = lesson.timed(solve, key)
    gradient = float(jnp.linalg.norm(found.gradients[-1]))
    spectrum = inspect.top_eigenvalues(loss, solution, jax.random.fold_in(key, 1), 5)
    bound = float(inspect.largest_rate(spectrum.values[0]))
    rates = bound * np.linspace(0.5, 1.5, 11 if options.quick else 41)

    @jax.jit
    def rise(rates: Array, key: Array) -> Array:
        end, unravel = jax.flatten_util.ravel_pytree(solution)
        near = end + 1e-3 * jax.random.normal(key, end.shape)

        def one(rate: Array) -> Array:
            return inspect.descend(lambda p: loss(unravel(p)), near, rate, steps=150 if options.quick else 300).values

        return jax.vmap(one)(rates)

    values, more = lesson.timed(rise, jnp.asarray(rates, jnp.float32), jax.random.fold_in(key, 2))
    values = np.asarray(values, np.float64)
    above = np.where(np.isfinite(values), values, np.inf).max(1) - values[:, 0]
    away = above > 1e-3
    smallest = float(rates[away].min()) if away.any() else math.inf
    claim = Claim(
        "Around a solution, full-batch descent is stable below 2/L and diverges above it; L is the largest "
        "eigenvalue of the Hessian",
        "在解的附近，步长小于 2/L 时全批量梯度下降稳定，大于 2/L 时发散；L 是 Hessian 的最大特征值",
        {
            "L": float(spectrum.values[0]),
            "residual of the eigenvalue": float(spectrum.residuals[0]),
            "2/L": bound,
            "smallest diverging rate": smallest,
            "gradient norm at the solution": gradient,
        },
        bool(0.97 * bound < smallest < 1.15 * bound and away[rates > 1.15 * bound].all()),
    )
    direction = jax.jit(inspect.filter_direction)
    first, second = (direction(jax.random.fold_in(key, i), solution) for i in (3, 4))
    places = np.linspace(-1, 1, 15 if options.quick else 51)
    plane = np.asarray(inspect.loss_plane(loss, solution, first, second, places, places))
    surface = plots.loss_surface(
        places,
        places,
        plane,
        "A solution lies in a bowl: the loss on a random plane through it rises in every direction",
    )
    bounded = plots.against_rate(
        "Full-batch descent from near a solution diverges when the learning rate is above 2/L",
        rates,
        [
            (
                f"Largest increase of the loss in {values.shape[1] - 1} steps",
                "increase of the loss (log scale)",
                {"increase": np.maximum(np.where(np.isfinite(above), above, np.nan), 1e-7)[:, None]},
            )
        ],
        "learning rate (log scale)",
        {f"2/L = {bound:.3g}": bound},
        logarithmic=[True],
        height=4.2,
    )
    for axes in bounded.axes:
        axes.set_xscale("linear")
        axes.set_xlabel("learning rate")
    rows = []
    for i, (value, residual) in enumerate(np.stack([spectrum.values, spectrum.residuals], 1).tolist()):
        rows.append((i + 1, f"{value:.4g}", f"{residual:.1e}", f"{2 / value:.4g}"))
    table = ResultTable(
        "Largest eigenvalues of the Hessian", ("number", "eigenvalue", "residual", "2 / eigenvalue"), rows
    )
    return Findings(
        [claim], {"surface": surface, "bound": bounded}, [table], models=len(rates) + 1, training_seconds=seconds + more
    )
