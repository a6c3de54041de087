"""How our time grows with the number of examples, the width, the batch size, and the number of models."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from experiments.benchmark.peers import ours
from experiments.benchmark.works import Examples, Work, read
from jaxnn.plots.style import BLUE, GRAY, STYLE, new_figure

AXES = {
    "examples": "training examples",
    "width": "neurons of the hidden layer",
    "batch_size": "examples a step",
    "models": "linear models side by side",
}
"""What is varied, as shown."""
_NET = Work("growth", hidden=(128,))


def measure(folder: Path, quick: bool = False, repetitions: int = 3) -> dict[str, dict[str, Any]]:
    """Our seconds of an epoch of CIFAR-10 against each of four sizes, the others kept.

    Args:
        folder: where the examples are.
        quick: two values of one of them: a trial.
        repetitions: the median of so many epochs is taken.

    Returns:
        For each name of `AXES` its values `x`, the `seconds`, the fitted `exponent` of seconds ~ x**exponent, and what
        was kept (`of`).
    """
    examples = read(_NET, folder)
    n = len(examples.labels)
    narrow, wide = ("MLP 3072-128-10, batch 256", "MLP 3072-H-10, batch 256, a fifth of the examples")
    values: dict[str, tuple[str, list[int]]] = {
        "examples": (narrow, [n // 16, n // 8, n // 4, n // 2, n]),
        "width": (wide, [64, 128, 256, 512, 1024]),
        "batch_size": ("MLP 3072-128-10, a fifth of the examples", [16, 64, 256, 1024, 4096]),
        "models": ("linear softmax, batch 256, a fifth of the examples", [1, 4, 16, 64]),
    }
    if quick:
        values = {"examples": values["examples"]}
    found: dict[str, dict[str, Any]] = {}
    for name, (of, xs) in values.items():
        xs = [x for x in xs if name != "examples" or x >= _NET.batch_size][: 2 if quick else None]
        seconds = [_seconds(*_case(name, x, examples), repetitions) for x in xs]
        found[name] = {"x": xs, "seconds": seconds, "exponent": exponent(xs, seconds), "of": of}
    return found


def exponent(x: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of a straight line fitted to log(seconds) over log(x).

    Args:
        x: sizes, at least two different ones.
        seconds: measured there.

    Returns:
        p in seconds ~ x**p.
    """
    return float(np.polyfit(np.log(x), np.log(seconds), 1)[0])


def plot(growth: dict[str, dict[str, Any]]) -> Figure:
    """Seconds against size, logarithmic, with the fitted exponents.

    Args:
        growth: as from `measure`.

    Returns:
        A figure.
    """
    with matplotlib.rc_context(STYLE):
        figure = new_figure("Seconds of an epoch of CIFAR-10", 7.0)
        for axes, (name, found) in zip(figure.subplots(2, 2).flat, growth.items(), strict=False):
            x, seconds = np.array(found["x"], float), np.array(found["seconds"])
            axes.loglog(x, seconds, "o-", color=BLUE, base=10)
            proportional = seconds[-1] * x / x[-1]
            if name != "batch_size":
                axes.loglog(x, proportional, ":", color=GRAY, label="proportional")
            axes.set_xticks(x, [f"{value:,.0f}" for value in x])
            ends = [seconds.min(), seconds.max()]
            axes.set_yticks(ends, [f"{value:.3g}" for value in ends])
            axes.minorticks_off()
            axes.set(xlabel=AXES[name], ylabel="seconds", title=f"exponent {found['exponent']:.2f}\n{found['of']}")
            axes.title.set_fontsize(9)
        figure.axes[0].legend()
    return figure


def _case(name: str, x: int, examples: Examples) -> tuple[Work, Examples, int]:
    """The work, the examples and the number of models at one point."""
    few = examples._replace(inputs=examples.inputs[::5], labels=examples.labels[::5])
    match name:
        case "examples":
            return _NET, examples._replace(inputs=examples.inputs[:x], labels=examples.labels[:x]), 1
        case "width":
            return _NET._replace(hidden=(x,)), few, 1
        case "batch_size":
            return _NET._replace(batch_size=x), few, 1
        case _:
            return _NET._replace(hidden=(), rates=(0.001,), seeds=x), few, x


def _seconds(work: Work, examples: Examples, models: int, repetitions: int) -> float:
    data = ours.on_device(work, examples)
    h = ours.hparams_of_sweep(work._replace(rates=(work.learning_rate,)))
    keys = jax.random.split(jax.random.key(0), models)
    train = ours.sweep_function(ours.task_maker(work, data), work)
    jax.block_until_ready(train(h, keys, data))
    seconds = []
    for _ in range(repetitions):
        clock = time.perf_counter()
        jax.block_until_ready(train(h, keys, data))
        seconds.append(time.perf_counter() - clock)
    return float(np.median(seconds))
