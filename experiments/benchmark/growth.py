"""How the time of jaxnn grows with the number of examples, the width, the batch size and the number of models."""

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
from experiments.benchmark.workloads import Examples, Workload, read
from jaxnn.plots._style import BLUE, GRAY, STYLE, new_figure

AXES = {
    "examples": "training examples",
    "width": "neurons of the hidden layer",
    "batch_size": "examples per step",
    "models": "linear models side by side",
}
_NET = Workload("growth", hidden=(128,))


def measure(folder: Path, quick: bool = False, repetitions: int = 3) -> dict[str, dict[str, Any]]:
    """Seconds of an epoch of CIFAR-10 against each size of `AXES`, with the fit seconds ~ x**exponent."""
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
    """The slope of a line fitted to log(seconds) over log(x)."""
    return float(np.polyfit(np.log(x), np.log(seconds), 1)[0])


def plot(growth: dict[str, dict[str, Any]]) -> Figure:
    """Log-log plots of seconds against size, with the fitted exponents."""
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


def _case(name: str, x: int, examples: Examples) -> tuple[Workload, Examples]:
    """The workload and the examples at one point."""
    few = examples._replace(inputs=examples.inputs[::5], labels=examples.labels[::5])
    match name:
        case "examples":
            return _NET, examples._replace(inputs=examples.inputs[:x], labels=examples.labels[:x])
        case "width":
            return _NET._replace(hidden=(x,)), few
        case "batch_size":
            return _NET._replace(batch_size=x), few
        case _:
            return _NET._replace(hidden=(), seeds=x), few


def _seconds(workload: Workload, examples: Examples, repetitions: int) -> float:
    data = ours.on_device(workload, examples)
    h, keys = ours.hparams_of_sweep(workload), jax.random.split(jax.random.key(0), workload.seeds)
    train = ours.sweep_function(ours.task_maker(workload, data), workload)
    jax.block_until_ready(train(h, keys, data))
    seconds = []
    for _ in range(repetitions):
        clock = time.perf_counter()
        jax.block_until_ready(train(h, keys, data))
        seconds.append(time.perf_counter() - clock)
    return float(np.median(seconds))
