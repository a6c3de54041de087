"""A training run compiled once and called in chunks of epochs, so that a person can watch."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn.training import parallel
from jaxnn.training.run import Data, Hparams, MakeTask, Run, advance, check_arguments, start
from jaxnn.training.update import compute_scores


class Timing(NamedTuple):
    """Where the time of a `fit` went, in seconds."""

    compile: float
    """Tracing and compiling; near zero when the same program was compiled before."""
    epochs: list[float]
    """Each epoch; epochs of one chunk share their chunk's mean."""


class NonFiniteError(FloatingPointError):
    """A loss or an update became NaN or infinite; names the step and the epoch and holds the `run` so far."""

    def __init__(self, run: Run, step: int, epoch: int) -> None:
        """Make the error for a step, counted from 0 over the whole run, in an epoch, counted from 0."""
        super().__init__(
            f"the objective or the update became non-finite at step {step} (epoch {epoch}): the learning rate is most "
            f"likely too high for this task; lower it, or standardize the inputs"
        )
        self.run, self.step, self.epoch = run, step, epoch


def fit(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    data: Data,
    *,
    epochs: int,
    batch_size: int,
    select: str | None = None,
    patience: int | None = None,
    on_chunk: Callable[[dict[str, np.ndarray]], None] | None = None,
    chunk_seconds: float = 0.5,
) -> tuple[Run, Timing]:
    """`run`, compiled once and called in chunks of epochs, so that progress can be shown between them.

    The chunks change nothing: early stopping and the best epoch are decided inside the program, epoch by epoch. The
    program is compiled again only for another `make_task`, other shapes, or another static argument.

    Args:
        make_task, hparams, key, data, epochs, batch_size, select, patience: as `run`.
        on_chunk: called after each chunk with the history so far, f32[epochs done] for each measure, as NumPy arrays.
        chunk_seconds: how long a chunk should last; a chunk has at least one epoch.

    Returns:
        The finished `Run`, its history cut to the epochs done, and where the time went.

    Raises:
        TypeError, ValueError: as `run`; also a ValueError for labels that are not classes of the model.
        NonFiniteError: the objective or the update became NaN or infinite.
    """
    check_arguments(data, epochs, batch_size, select, patience)
    _check_labels(make_task, hparams, key, data)
    key, data, hparams = jax.block_until_ready(parallel.replicate((key, data, hparams)))
    clock = time.perf_counter()
    progress = _compiled_start(make_task, hparams, key, data, epochs, batch_size, select)
    train_until = functools.partial(
        _compiled_advance, make_task, hparams, key, data, batch_size=batch_size, select=select, patience=patience
    )
    progress = jax.block_until_ready(train_until(progress, jnp.int32(0)))  # compiles, and trains no epoch
    seconds_compile = time.perf_counter() - clock

    seconds: list[float] = []
    chunk, done = 1, 0
    while done < epochs:
        stop = min(done + chunk, epochs)
        clock = time.perf_counter()
        progress = jax.block_until_ready(train_until(progress, jnp.int32(stop)))
        elapsed = parallel.agree(time.perf_counter() - clock)
        ran = int(progress.epoch) - done
        if ran == 0:
            break
        seconds += [elapsed / ran] * ran
        history = {name: np.asarray(values[: progress.epoch]) for name, values in progress.history.items()}
        if on_chunk is not None:
            on_chunk(history)
        if (bad_step := int(progress.bad_step)) >= 0:
            steps = data.inputs.shape[0] // batch_size
            raise NonFiniteError(progress, bad_step, bad_step // steps)
        done += ran
        chunk = max(1, math.floor(min(chunk_seconds * ran / elapsed, epochs)))
    progress = progress._replace(history={k: v[: progress.epoch] for k, v in progress.history.items()})
    return progress, Timing(seconds_compile, seconds)


_compiled_start = jax.jit(start, static_argnames=("make_task", "epochs", "batch_size", "select"))
_compiled_advance = jax.jit(
    advance, static_argnames=("make_task", "batch_size", "select", "patience"), donate_argnames="progress"
)


def _check_labels(make_task: MakeTask, hparams: Hparams, key: Array, data: Data) -> None:
    """Compiled programs cannot refuse a label out of range: it is looked for before."""

    def scores(hparams: Hparams, key: Array, data: Data) -> Array:
        task = make_task(hparams)
        return compute_scores(task, task.model.init(key), data.inputs[:1], data.statistics)

    classes = jax.eval_shape(scores, hparams, key, data).shape[-1]
    for name, (_, labels) in {"training": (data.inputs, data.labels), **(data.evaluate or {})}.items():
        low, high = np.asarray(labels).min(), np.asarray(labels).max()
        if not 0 <= low <= high < classes:
            raise ValueError(
                f"fit: the {name} labels must be in [0, {classes}), the classes of the model; got {low} to {high}"
            )
