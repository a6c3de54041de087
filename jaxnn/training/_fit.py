"""A training run compiled once and called in chunks of epochs, so that a person can watch."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn import distributed, sharding
from jaxnn.training._arguments import check_arguments
from jaxnn.training._nonfinite import replay_to_bad_step
from jaxnn.training._run import init_run, train_until
from jaxnn.training._step import init_state, predict_scores
from jaxnn.training._task import Data, Hparams, MakeTask, Run


class Timing(NamedTuple):
    """Where the time of a `fit` went, in seconds."""

    compile: float
    """Tracing and compiling; near zero when the same program was compiled before."""
    epochs: list[float]
    """Each epoch; epochs of one chunk share their chunk's mean."""
    under_way: float = 0.0
    """The epoch that a training from a stream is in the middle of."""


OnChunk = Callable[[Run, Timing], None]
"""What `fit` calls after each chunk of epochs, with the run so far and where its time went."""


def per_epoch(tell: Callable[[int, dict[str, float]], object]) -> OnChunk:
    """An `on_chunk` for `fit` that tells every epoch once, as a tracker of experiments wants it.

    Args:
        tell: called with the number of each new epoch, counted from 1, and its measures by name. Of a run that goes on
            from an earlier one, with those of the earlier one first.

    Returns:
        A callback, for one run.

    Example:
        >>> told = []
        >>> on_chunk = training.per_epoch(lambda epoch, measures: told.append((epoch, sorted(measures)[0])))
        >>> run, _ = training.fit(task, h, key, data, epochs=3, batch_size=10, on_chunk=on_chunk)
        >>> told
        [(1, 'accuracy'), (2, 'accuracy'), (3, 'accuracy')]
    """
    told = 0

    def on_chunk(run: Run, timing: Timing) -> None:
        nonlocal told
        history = {name: np.asarray(values).tolist() for name, values in run.history.items()}
        while told < int(run.epoch):
            told += 1
            tell(told, {name: values[told - 1] for name, values in history.items()})

    return on_chunk


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
    progress: Run | None = None,
    on_chunk: OnChunk | None = None,
    chunk_seconds: float = 0.5,
    chunk_ends: int | None = None,
) -> tuple[Run, Timing]:
    """`run`, compiled once and called in chunks of epochs, so that progress can be shown and saved between them.

    The chunks change nothing: early stopping and the best epoch are decided inside the program, epoch by epoch, and a
    run that goes on from an earlier `Run` ends as if it had never been stopped, bit for bit. The program is compiled
    again only for another `make_task`, other shapes, or another static argument.

    Args:
        make_task, hparams, key, data, epochs, batch_size, select, patience: as `run`.
        progress: where to go on, as `on_chunk` or `fit` gave it with the same arguments; by default the start.
        on_chunk: the callback of this package: called after each chunk with what `fit` would return if it ended there,
            for progress, files and trackers (see `per_epoch`). An exception ends the run.
        chunk_seconds: how long a chunk should last; a chunk has at least one epoch.
        chunk_ends: a chunk ends at every multiple of so many epochs as well.

    Returns:
        The finished `Run`, its history cut to the epochs done, and where the time of this call went.

    Raises:
        TypeError, ValueError: as `run`; also a ValueError for labels that are not classes of the model, and for a
            `progress` of another training.
        NonFiniteError: the objective or the update became NaN or infinite.

    Example:
        >>> run, timing = training.fit(task, h, key, data, epochs=3, batch_size=10)
        >>> int(run.epoch), len(timing.epochs)
        (3, 3)
    """
    check_arguments(data, epochs, batch_size, select, patience)
    if chunk_ends is not None and chunk_ends < 1:
        raise ValueError(f"fit: chunk_ends must be at least 1, got {chunk_ends}")
    _check_labels(make_task, hparams, key, data)
    key, data, hparams = jax.block_until_ready(sharding.replicate((key, data, hparams)))
    clock = time.perf_counter()
    begin = functools.partial(_compiled_start, make_task, hparams, key, data, epochs, batch_size, select)
    now: Run = begin() if progress is None else sharding.replicate(pad_history(progress, jax.eval_shape(begin)))
    train_until = functools.partial(
        _compiled_advance, make_task, hparams, key, data, batch_size=batch_size, select=select, patience=patience
    )
    now = jax.block_until_ready(train_until(now, np.int32(0)))  # compiles, and trains no epoch
    timing = Timing(time.perf_counter() - clock, [])

    chunk, done = 1, int(now.epoch)
    while done < epochs:
        stop = min(done + chunk, epochs, (done // chunk_ends + 1) * chunk_ends if chunk_ends else epochs)
        clock = time.perf_counter()
        before, now = now, jax.block_until_ready(train_until(now, np.int32(stop)))
        elapsed = distributed.broadcast_scalar(time.perf_counter() - clock)
        ran = int(now.epoch) - done
        if ran == 0:
            break
        timing.epochs.extend([elapsed / ran] * ran)
        if on_chunk is not None:
            on_chunk(trim_history(now), timing._replace(epochs=[*timing.epochs]))
        if int(now.bad_step) >= 0:
            raise replay_to_bad_step(make_task, hparams, key, data, before, now, batch_size)
        done += ran
        chunk = max(1, math.floor(min(chunk_seconds * ran / elapsed, epochs)))
    return trim_history(now), timing


def trim_history(progress: Run) -> Run:
    """The run with a history of the epochs done alone.

    Args:
        progress: the run, with room for epochs to come.

    Returns:
        The `Run`.

    Example:
        >>> from jaxnn.training._fit import trim_history
        >>> trim_history(training.init_run(task, h, key, data, 5, 10, None)).history["loss"].shape
        (0,)
    """
    done = int(progress.epoch)
    return progress._replace(
        history={name: jax.device_put(np.asarray(values)[:done]) for name, values in progress.history.items()}
    )


def pad_history(progress: Run, like: Run) -> Run:
    """The run with room in its history for the epochs to come.

    Args:
        progress: the run so far.
        like: a run with the shapes of the arrays.

    Returns:
        The `Run`.

    Raises:
        ValueError: the shapes or the measures are of another training.

    Example:
        >>> from jaxnn.training._fit import trim_history, pad_history
        >>> run = training.init_run(task, h, key, data, 5, 10, None)
        >>> pad_history(trim_history(run), run).history["loss"].shape
        (5,)
    """

    def filled(values: Any, room: Array) -> Array:
        done = np.asarray(values, room.dtype)[: room.shape[0]]
        return jnp.asarray(np.concatenate([done, np.full(room.shape[0] - len(done), np.nan, room.dtype)]))

    progress = jax.tree.map(jnp.asarray, progress)
    if set(progress.history) == set(like.history):
        progress = progress._replace(history={k: filled(v, like.history[k]) for k, v in progress.history.items()})
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), run) for run in (progress, like)]
    if shapes[0] != shapes[1]:
        raise ValueError("fit: progress is a Run of another training: its arrays or measures are not those of this one")
    return progress


_compiled_start = jax.jit(init_run, static_argnames=("make_task", "epochs", "batch_size", "select"))
_compiled_advance = jax.jit(train_until, static_argnames=("make_task", "batch_size", "select", "patience"))


def _check_labels(make_task: MakeTask, hparams: Hparams, key: Array, data: Data) -> None:
    """Compiled programs cannot refuse a label out of range: it is looked for before."""

    def scores(hparams: Hparams, key: Array, data: Data) -> Array:
        task = make_task(hparams)
        state = init_state(task, key)
        return predict_scores(task, state.params, data.inputs[:1], data.statistics, model_state=state.model_state)

    classes = jax.eval_shape(scores, hparams, key, data).shape[-1]
    for name, (_, labels) in {"training": (data.inputs, data.labels), **(data.evaluate or {})}.items():
        low, high = np.asarray(labels).min(), np.asarray(labels).max()
        if not 0 <= low <= high < classes:
            raise ValueError(
                f"fit: the {name} labels must be in [0, {classes}), the classes of the model; got {low} to {high}"
            )
