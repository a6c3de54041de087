"""Gradient descent on a parabola, on x sin x and on surfaces: the roles of step size, start and momentum.

    python -m experiments.lessons.gradient_descent --quick

From x = 6 with step size 0.05, gradient descent on (x - 1)^2 + 1 arrives at x = 1, each step 0.9 times as long as the
one before. Above 2/L it diverges, and no minimum is found with a step size above its own 2/L. In a valley 50 times as
steep across as along, momentum needs a fraction of the steps. 9 seconds on 2 cores with --quick, most of it for the
figures.
"""

from __future__ import annotations

import sys

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("gradient_descent", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.figure import Figure

from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.parts.gradient_descent_live import curve, grid, on_curve, on_surface
from experiments.lessons.teaching.gradient_descent import TEACHING
from jaxnn import inspect, plots

START, RATE, STEPS = 6.0, 0.05, 1000
STEEP = 50.0
"""How much steeper the narrow valley is across than along."""
ARRIVED = 1e-6


def parabola(x: Array) -> Array:
    """`(x - 1)^2 + 1`: one minimum, f(1) = 1, second derivative L = 2 everywhere."""
    return jnp.square(x - 1.0) + 1.0


def waves(x: Array) -> Array:
    """`x sin x`: minima of different depths."""
    return x * jnp.sin(x)


def two_valleys(x: Array) -> Array:
    """`(x1^2 - 2)^2 / 4 + 0.3 x1 + x2^2`: a lower and a higher minimum."""
    return jnp.square(jnp.square(x[0]) - 2.0) / 4.0 + 0.3 * x[0] + jnp.square(x[1])


def narrow(x: Array) -> Array:
    """`(x1^2 + 50 x2^2) / 2`: a valley along x1, minimum 0."""
    return (jnp.square(x[0]) + STEEP * jnp.square(x[1])) / 2.0


def study(options: Options) -> Findings:
    """Run all descents of the lesson."""
    random = np.random.default_rng(options.seed)
    parts = [_one_curve(), _step_sizes(), _many_starts(options.quick, random), _surface(random), _cross_term()]
    parts.append(_valley(random, options.quick))
    return lesson.join(parts)._replace(
        live=[
            on_curve(
                parabola,
                "(x - 1)² + 1",
                (-5.0, 7.0),
                (0.0, 40.0),
                np.linspace(-5, 7, 25),
                np.linspace(0.05, 1.1, 22),
                30,
                START,
                RATE,
                2,
            ),
            on_curve(
                waves,
                "x sin x",
                (-14.0, 14.0),
                (-14.0, 14.0),
                np.linspace(-14, 14, 57),
                np.geomspace(0.01, 1, 21),
                30,
                2.0,
                0.063,
                8,
            ),
            on_surface(two_valleys),
        ]
    )


def _one_curve() -> Findings:
    """The worked example: from 6 with 0.05, a thousand steps."""
    paths, seconds = lesson.timed(inspect.descend_many, parabola, np.array([START]), np.array([RATE]), steps=STEPS)
    path = jax.tree.map(lambda a: np.asarray(a[0, 0]), paths)
    exact = 1.0 + 5.0 * 0.9 ** np.arange(STEPS + 1)
    error = float(np.abs(path.points - exact).max())
    moves = np.abs(np.diff(path.points))[:100]
    shrink = moves[1:] / moves[:-1]
    end = float(path.points[-1])
    claims = [
        Claim(
            "From x = 6 with step size 0.05, descent on (x - 1)^2 + 1 is at 1 + 5 * 0.9^n after n steps",
            "从 x = 6 出发、步长为 0.05，在 (x - 1)^2 + 1 上下降 n 步后位于 1 + 5 * 0.9^n",
            {"first points": [round(float(x), 3) for x in path.points[:4]], "largest error": error, "last point": end},
            error < 1e-5 and abs(end - 1) < 1e-5 and abs(float(path.values[-1]) - 1) < 1e-5,
        ),
        Claim(
            "The moves get shorter although the step size is fixed, because the derivative shrinks",
            "步长参数固定不变，每一步却越走越短，因为导数在减小",
            {"largest ratio of successive moves": float(shrink.max()), "length of the 100th move": float(moves[-1])},
            bool((shrink < 1).all()),
        ),
    ]
    shown = (path.points[:101], path.values[:101], path.gradients[:101])
    figures = {"path": plots.descent_path(curve(parabola, -5.0, 7.0), *shown, RATE)}
    return Findings(claims, figures, models=1, training_seconds=seconds)


def _step_sizes() -> Findings:
    """The same start with step sizes up to and beyond 2/L."""
    curvature = float(jax.jit(jax.grad(jax.grad(parabola)))(1.0))
    best, bound = 1.0 / curvature, 2.0 / curvature
    kinds = {
        "slow": 0.1 * best,
        "good": best,
        "oscillating": 0.9 * bound,
        "at the bound": bound,
        "diverging": 1.05 * bound,
    }
    rates = np.linspace(0.0, 1.2 * bound, 121)
    every = np.array([*kinds.values(), *rates])
    paths, seconds = lesson.timed(inspect.descend_many, parabola, np.array([START]), every, steps=40)
    points = np.asarray(paths.points[0], np.float64)
    distance = np.abs(points[:, :2] - 1.0)
    factors = distance[:, 1] / distance[:, 0]
    after = {name: float(abs(points[i, 40] - 1.0)) for i, name in enumerate(kinds)}
    low, high = rates[factors[5:] <= 1 - 1e-4].max(), rates[factors[5:] > 1 + 1e-4].min()
    claims = [
        Claim(
            "A step size of 1/L reaches the minimum of the parabola in one step; above 2/L descent diverges",
            "步长取 1/L 时一步到达抛物线的最低点；超过 2/L 就发散",
            {
                "L": curvature,
                "distance after one step with 1/L": float(abs(points[1, 1] - 1.0)),
                "largest converging step size": float(low),
                "smallest diverging step size": float(high),
            },
            bool(abs(points[1, 1] - 1.0) < 1e-5 and low < bound + 1e-6 and high > bound - 1e-6 and high - low < 0.05),
        )
    ]
    titles = {
        f"{name}: {rate:.3g}": np.stack([points[i, :21], np.asarray(paths.values[0, i, :21])])
        for i, (name, rate) in enumerate(kinds.items())
    }
    figure = plots.step_sizes(curve(parabola, -6.0, 8.0), titles, rates, factors[5:], curvature)
    rows = [
        (name, f"{rate:.3g}", f"{factors[i]:.3f}", f"{after[name]:.3g}") for i, (name, rate) in enumerate(kinds.items())
    ]
    table = ResultTable(
        "Step sizes on (x - 1)^2 + 1", ("kind", "step size", "factor per step", "distance after 40 steps"), rows
    )
    return Findings(claims, {"step_sizes": figure}, [table], models=points.shape[0], training_seconds=seconds)


def _many_starts(quick: bool, random: np.random.Generator) -> Findings:
    """Every start with every step size on x sin x, as one program."""
    minima = inspect.local_minima(waves, -14.0, 14.0)
    look = jax.jit(lambda x: (jax.vmap(jax.grad(jax.grad(waves)))(x), jax.vmap(waves)(x)))
    curvature, depth = map(np.asarray, look(minima))
    bounds = 2.0 / curvature
    size = 120 if quick else 400  # even: no start lies in the minimum at 0
    starts, rates = np.linspace(-14.0, 14.0, size), np.geomspace(0.01, 1.2, size)
    found, seconds = lesson.timed(inspect.basins, waves, starts, rates, minima, steps=600, tolerance=1e-4)
    found = np.asarray(found)
    fractions = [float((found[:, 0] == i).mean()) for i in range(len(depth))]
    too_long = sum(int((found[:, rates > 1.02 * bound] == i).sum()) for i, bound in enumerate(bounds))
    near = [int(np.abs(starts - place).argmin()) for place in np.asarray(minima)]
    short = [bool((found[near[i]][rates < 0.9 * bound] == i).all()) for i, bound in enumerate(bounds)]
    lowest = np.isclose(depth, depth.min(), atol=1e-3)
    claims = [
        Claim(
            "The start decides which minimum is found: most starts miss the lowest minima of x sin x",
            "找到哪个极小值取决于起点：在 x sin x 上，多数起点都错过最低的极小值",
            {
                "minima": [round(float(x), 3) + 0.0 for x in minima],
                "values": [round(float(y), 3) for y in depth],
                "fraction of starts": [round(fraction, 3) for fraction in fractions],
            },
            min(fractions) > 0 and float(np.asarray(fractions)[lowest].sum()) < 0.5,
        ),
        Claim(
            "Fewer than 1 in 1,000 descents end in a minimum whose 2/L is below the step size; when it is above, all "
            "that start beside the minimum do",
            "步长大于某个极小值的 2/L 时，停在该处的下降不到千分之一；步长小于 2/L 时，从它旁边出发的都会停在那里",
            {"2/L": [round(float(b), 4) for b in bounds], "descents that end beyond the bound": too_long},
            too_long < found.size * 1e-3 and all(short),
        ),
    ]
    hits = lowest[np.maximum(found[:, rates.searchsorted(0.05)], 0)] & (found[:, rates.searchsorted(0.05)] >= 0)
    chance = float(hits.mean())
    tries = {k: float(hits[random.integers(0, size, (4000, k))].any(1).mean()) for k in (1, 3, 10, 20)}
    expected = {k: 1 - (1 - chance) ** k for k in tries}
    claims.append(
        Claim(
            "Only many tries help: the best of K random starts finds a lowest minimum with the probability 1 - (1 - "
            "p)^K",
            "只有多试几次才管用：K 个随机起点中取最好的，找到最低极小值的概率为 1 - (1 - p)^K",
            {f"chance of the lowest minimum, best of {k}": value for k, value in tries.items()}
            | {f"expected, best of {k}": value for k, value in expected.items()},
            max(abs(tries[k] - expected[k]) for k in tries) < 0.04 and tries[20] > 0.95 > tries[1],
        )
    )
    figure = plots.basin_map(curve(waves, -14.0, 14.0), minima, starts, rates, found, bounds, "x sin x")
    return Findings(claims, {"basins": figure}, models=found.size, training_seconds=seconds)


def _surface(random: np.random.Generator) -> Findings:
    """Two descents on a surface with two minima, and the parts of a gradient."""
    starts = np.array([[2.1, 1.4], [-2.0, -1.3]]) + random.uniform(-0.05, 0.05, (2, 2))
    found, seconds = lesson.timed(inspect.descend_many, two_valleys, starts, np.array([RATE]), steps=120)
    paths: inspect.Descent = jax.tree.map(np.asarray, found)
    ends, values = paths.end[:, 0], paths.values[:, 0, -1]
    gradient = np.asarray(jax.jit(jax.grad(two_valleys))(starts[0].astype(np.float32)))
    move = paths.points[0, 0, 1] - paths.points[0, 0, 0]
    error = float(np.abs(move + RATE * gradient).max())
    claims = [
        Claim(
            "In two dimensions each coordinate moves against its own partial derivative, and two starts may lead to "
            "two different minima",
            "二元函数中，每个变量各自沿自己偏导数的反方向移动；两个起点可能到达两个不同的极小值",
            {
                "end points": [[round(float(x), 3) + 0.0 for x in end] for end in ends],
                "values": [round(float(y), 3) for y in values],
                "error of the first step": error,
            },
            bool(error < 1e-5 and np.abs(paths.gradients[:, 0, -1]).max() < 1e-2 and values[0] - values[1] > 0.5),
        )
    ]
    x1, x2 = np.linspace(-2.4, 2.4, 81), np.linspace(-1.8, 1.8, 61)
    z = grid(two_valleys, x1, x2)
    tracks = {
        f"to y = {values[i]:.2f}": np.concatenate([paths.points[i, 0], paths.values[i, 0, :, None]], 1)
        for i in range(2)
    }
    title = "Gradient descent on a surface: another start may lead to another minimum"
    figure = plots.descent_surface(x1, x2, z, tracks, starts[0], gradient, title)
    return Findings(claims, {"surface": figure}, models=2, training_seconds=seconds)


def _cross_term() -> Findings:
    """Two variables with and without a cross term: step sizes that are safe for each alone, taken by both."""

    def bowl(cross: float) -> inspect.Function:
        return lambda x: jnp.square(x[0]) + jnp.square(x[1]) + cross * x[0] * x[1]

    start, rate = np.array([[1.0, 1.0]]), np.array([0.9])
    found, seconds = {}, 0.0
    for name, cross in (("without", 0.0), ("with", 1.8)):
        path, took = lesson.timed(inspect.descend_many, bowl(cross), start, rate, steps=40)
        found[name], seconds = float(np.linalg.norm(path.end[0, 0])), seconds + took
    hessian = np.asarray(jax.jit(jax.hessian(bowl(1.8)))(np.zeros(2, np.float32)), np.float64)
    alone, together = 2.0 / hessian[0, 0], 2.0 / float(np.linalg.eigvalsh(hessian).max())
    claim = Claim(
        "The variables are updated separately, but they are not independent: with a cross term, a step size that is "
        "safe for each of them alone diverges when both take it",
        "各变量虽然分别更新，却并非互不相干：有交叉项时，对每个变量单独看都安全的步长，两个变量同时采用就会发散",
        {
            "2/L of each variable alone": alone,
            "2/L of both together": together,
            "distance after 40 steps, without the cross term": found["without"],
            "distance after 40 steps, with the cross term": found["with"],
        },
        together < rate[0] < alone and found["without"] < 1e-3 and found["with"] > 1e3,
    )
    return Findings([claim], {}, models=2, training_seconds=seconds)


def _valley(random: np.random.Generator, quick: bool) -> Findings:
    """Every step size with every momentum in a narrow valley, as one program."""
    start = np.array([[10.0, 1.0]]) * random.uniform(0.9, 1.1, (1, 2))
    rates, momenta = np.geomspace(1e-3, 0.1, 30 if quick else 60), np.linspace(0.0, 0.98, 25 if quick else 50)
    limit = 400 if quick else 1500
    eta, kept = (axis.ravel() for axis in np.meshgrid(rates, momenta))
    paths, seconds = lesson.timed(inspect.descend_many, narrow, start, eta, kept, steps=limit - 1)
    steps = inspect.steps_to_reach(paths.values[0], ARRIVED).reshape(len(momenta), len(rates))
    plain, best = int(steps[0].min()), int(steps.min())
    row, column = np.unravel_index(steps.argmin(), steps.shape)
    rate = float(rates[steps[0].argmin()])
    chosen = {
        f"plain, step size {rate:.3f}: {plain} steps": int(steps[0].argmin()),
        f"momentum {momenta[row]:.2f}, step size {rates[column]:.3f}: {best} steps": int(row * len(rates) + column),
    }
    claims = [
        Claim(
            "In a valley 50 times as steep across as along, the best momentum needs less than half the steps of the "
            "best plain descent",
            "在横向陡度为纵向 50 倍的窄谷中，采用最佳动量所需的步数不到最佳普通梯度下降的一半",
            {
                "steps of plain descent": plain,
                "steps with momentum": best,
                "best momentum": float(momenta[row]),
                "best momentum in theory": ((STEEP**0.5 - 1) / (STEEP**0.5 + 1)) ** 2,
            },
            bool(best < plain / 2 and row > 0),
        )
    ]
    x1, x2 = np.linspace(-3, 12, 121), np.linspace(-1.9, 1.9, 61)
    z = grid(narrow, x1, x2)
    tracks = {name: paths.points[0, i, :200] for name, i in chosen.items()}
    values = {name: np.asarray(paths.values[0, i, : plain + 20]) for name, i in chosen.items()}
    figure: Figure = plots.valley(x1, x2, z, tracks, values, rates, momenta, steps, limit, ARRIVED)
    return Findings(claims, {"momentum": figure}, models=steps.size, training_seconds=seconds)


LESSON = Lesson(
    "gradient_descent",
    Text("Gradient descent", "梯度下降"),
    Text(
        "Where does gradient descent end, and how do start, step size and momentum affect it?",
        "梯度下降会停在哪里？起点、步长和动量各起什么作用？",
    ),
    study,
    TEACHING,
)
