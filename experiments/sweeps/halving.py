"""Successive halving: all settings train for a few epochs, and the best of them go on, in ever smaller programs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.sweeps.plan import Plan, count_models, kept
from experiments.sweeps.store import Store
from jaxnn import training

RUNGS = 4
"""By default, at most."""
TOGETHER = 16
"""So many settings share a batch well: larger rungs train in chunks of the size of a smaller one, in its program."""


def rungs(settings: int, epochs: int, factor: int, first: int | None = None) -> list[tuple[int, int]]:
    """The number of settings of each rung, and the epochs after which it ends; the last rung trains to the end."""
    halvings = 0
    while -(-settings // factor**halvings) > 1:
        halvings += 1
    if first is None:
        ends = {-(-epochs // factor**i) for i in range(1, 1 + min(halvings, RUNGS - 1))}
    else:
        ends = {first * factor**i for i in range(halvings)}
    ends = [*sorted(end for end in ends if end < epochs), epochs]
    return [(-(-settings // factor**i), end) for i, end in enumerate(ends)]


def train(
    plan: Plan, factor: int, first: int | None, store: Store, advance: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """The results of every model [H, S] as of its last rung, and of each rung its size, epochs and seconds.

    After each rung the runs of the settings that are left are written, so that a sweep that was killed goes on there.
    """
    places, before, found, report = np.arange(plan.size), None, {}, []
    ladder = rungs(plan.size, plan.settings.epochs, factor, first)
    seeds = len(plan.keys)
    common = min((size for size, _ in ladder[1:] if size >= TOGETHER), default=plan.size)

    def on_chunk(place: training.Chunk, _: Any) -> None:
        advance(count_models(place))
        store.stop_if_asked()

    for rung, (count, end) in enumerate(ladder):
        left = ladder[rung + 1][0] if rung + 1 < len(ladder) else 0
        name = f"rung-{rung}.npz"
        done = store.recall(name, functools.partial(_shapes, plan, count, left))
        if done is None:
            clock = time.perf_counter()
            run, of_rung = training.sweep(
                plan.make_task,
                {name: values[places] for name, values in plan.hparams.items()},
                plan.keys,
                plan.data,
                **plan.options,
                before=before,
                stop=end,
                chunk=(min(plan.chunk[0], count, common if rung else count), plan.chunk[1]),
                keep=lambda run: (run, kept(run)),
                on_chunk=on_chunk,
            )
            best = plan.rank(of_rung)[:left]
            seconds = np.float64(time.perf_counter() - clock)
            run = jax.tree.map(lambda a, best=best: a[best], run)
            done = {"found": of_rung, "best": best, "seconds": seconds, "run": run}
            store.keep(name, done)
        else:
            advance(count * seeds)
        for measure, values in done["found"].items():
            found.setdefault(measure, np.zeros((plan.size, seeds), values.dtype))[places] = values
        found.setdefault("rung", np.zeros((plan.size, seeds), np.int32))[places] = rung
        report.append({"settings": count, "epochs": end, "seconds": float(done["seconds"])})
        places, before = places[done["best"]], done["run"]
    return found, report


def _shapes(plan: Plan, count: int, left: int) -> Any:
    """The arrays of a rung's file."""
    epochs, *of_options = plan.options.values()
    options = training.Options(plan.make_task, *of_options)

    hparams = {name: np.resize(values, count) for name, values in plan.hparams.items()}
    run = jax.eval_shape(lambda h, keys: training.run_grid(options, h, keys, plan.data, epochs), hparams, plan.keys)
    run = run._replace(state=run.state._replace(key=None))
    of_left = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((left, *leaf.shape[1:]), leaf.dtype), run)
    best, seconds = jax.ShapeDtypeStruct((left,), np.int64), jax.ShapeDtypeStruct((), np.float64)
    return {"found": jax.eval_shape(kept, run), "best": best, "seconds": seconds, "run": of_left}
