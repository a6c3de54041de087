"""The live figures of the lesson on gradient descent: on a curve, and on a surface."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from experiments.lessons.framework import lesson
from experiments.lessons.framework.lesson import Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series, as_levels
from jaxnn import inspect


def on_curve(
    function: inspect.Function,
    name: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    starts: np.ndarray,
    rates: np.ndarray,
    steps: int,
    start: float,
    rate: float,
    done: int,
) -> Live:
    """Descents from every start with every step size, one step after the other."""
    paths, seconds = lesson.timed(inspect.descend_many, function, starts, rates, steps=steps)
    points, values, slopes = (np.asarray(a, np.float64) for a in (paths.points, paths.values, paths.gradients))
    gone = np.abs(points) > 50
    points, values, slopes = (np.where(gone, np.nan, a) for a in (points, values, slopes))
    level = np.stack([values, values], -1)
    uphill = np.stack([points, points + 0.1 * slopes], -1)
    step = np.stack([points, points - rates[None, :, None] * slopes], -1)
    whole = curve(function, *x_range)
    everywhere = (0, 1, 2)
    return Live(
        Text(
            f"Descent on {name}. One arrow points where the derivative points, uphill; the other is the next step: "
            "against it, eta times as long.",
            f"{name} 上的梯度下降。一个箭头是导数的方向（上坡），另一个是下一步：方向相反，长度是导数的 eta 倍。",
        ),
        [
            Control(Text("start", "起点"), np.round(starts, 2).tolist(), int(np.abs(starts - start).argmin())),
            Control(
                Text("step size eta", "步长 eta"),
                [float(f"{one:.3g}") for one in rates],
                int(np.abs(rates - rate).argmin()),
            ),
            Control(Text("steps done", "已走步数"), list(range(steps + 1)), done),
        ],
        [
            Plot(
                f"f(x) = {name}",
                "x",
                "f(x)",
                x_range,
                y_range,
                [
                    Series("f", Numbers(whole[0]), Numbers(whole[1]), color=6),
                    Series(Text("points", "走过的点"), Numbers(points, (0, 1)), Numbers(values, (0, 1)), "path", 1, 2),
                    Series(
                        Text("derivative (a tenth of it)", "导数（画出十分之一）"),
                        Numbers(uphill, everywhere),
                        Numbers(level, everywhere),
                        "arrow",
                        4,
                    ),
                    Series(
                        Text("next step", "下一步"), Numbers(step, everywhere), Numbers(level, everywhere), "arrow", 7
                    ),
                ],
            )
        ],
        [
            Readout("x", [Numbers(points, everywhere)]),
            Readout("f(x)", [Numbers(values, everywhere)]),
            Readout("f'(x)", [Numbers(slopes, everywhere)]),
        ],
        models=points.shape[0] * points.shape[1],
        seconds=seconds,
    )


def on_surface(function: inspect.Function) -> Live:
    """Descents on the surface with two valleys, with both partial steps and their parallelogram."""
    x1, x2, rates = np.linspace(-2.2, 2.2, 23), np.linspace(-1.5, 1.5, 21), np.linspace(0.02, 0.4, 20)
    starts = np.stack(np.meshgrid(x1, x2, indexing="ij"), -1).reshape(-1, 2)
    paths, seconds = lesson.timed(inspect.descend_many, function, starts, rates, steps=12)
    shape = (len(x1), len(x2), len(rates))
    points = np.asarray(paths.points, np.float64).reshape(*shape, 13, 2)
    points = np.where(np.abs(points) > 4, np.nan, points)
    first = np.asarray(paths.points, np.float64).reshape(*shape, 13, 2)[..., :2, :]
    (a, b), (c, d) = np.moveaxis(first[..., 0, :], -1, 0), np.moveaxis(first[..., 1, :], -1, 0)
    every = (0, 1, 2)

    def line(name: Text | str, x: list[np.ndarray], y: list[np.ndarray], kind: Any, color: int) -> Series:
        return Series(name, Numbers(np.stack(x, -1), every), Numbers(np.stack(y, -1), every), kind, color)

    places = np.linspace(-2.4, 2.4, 97), np.linspace(-1.8, 1.8, 73)
    z = grid(function, *places).T
    return Live(
        Text(
            "A surface with two valleys, seen from above: the bluer, the higher. Each variable steps against its own "
            "partial derivative; the two steps are the sides of a parallelogram, its diagonal is the step of both.",
            "有两个谷的曲面（俯视，颜色越蓝越高）。每个变量各自沿自己偏导数的反方向走；这两步是平行四边形的两条边，对角线就是合在一起的一步。",
        ),
        [
            Control(Text("start x1", "起点 x1"), np.round(x1, 2).tolist(), 20),
            Control(Text("start x2", "起点 x2"), np.round(x2, 2).tolist(), 17),
            Control(Text("step size eta", "步长 eta"), np.round(rates, 3).tolist(), 5),
        ],
        [
            Plot(
                Text("Twelve steps on the surface", "曲面上的十二步"),
                "x1",
                "x2",
                (-2.4, 2.4),
                (-1.8, 1.8),
                [
                    Series(
                        Text("descent", "下降路径"),
                        Numbers(points[..., 0], every),
                        Numbers(points[..., 1], every),
                        "path",
                        1,
                    ),
                    line("", [c, c], [b, d], "dashed", 6),
                    line("", [a, c], [d, d], "dashed", 6),
                    line(Text("step of x1 alone", "只更新 x1"), [a, c], [b, b], "arrow", 7),
                    line(Text("step of x2 alone", "只更新 x2"), [a, a], [b, d], "arrow", 4),
                    line(Text("both", "两者合成"), [a, c], [b, d], "arrow", 0),
                ],
                picture=Numbers(as_levels(np.sqrt(z - z.min()), 0, float(np.sqrt(z.max() - z.min())), 20)),
                colors="levels",
            )
        ],
        models=len(starts) * len(rates),
        seconds=seconds,
    )


def curve(function: inspect.Function, low: float, high: float) -> np.ndarray:
    """Points of a curve to draw: x and f(x)."""
    x = np.linspace(low, high, 600, dtype=np.float32)
    return np.stack([x, jax.jit(jax.vmap(function))(x)])


def grid(function: inspect.Function, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    """The values [x1, x2] of a function of two variables."""
    places = np.stack(np.meshgrid(x1, x2, indexing="ij"), -1).astype(np.float32)
    return np.asarray(jax.jit(jax.vmap(jax.vmap(function)))(places))
