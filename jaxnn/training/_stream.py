"""A training whose examples come from a stream, for data larger than memory; it may stop in the middle of an epoch.

The examples of this file start from:
    >>> from jaxnn import random
    >>> inputs, labels = map(np.asarray, (data.inputs, data.labels))
    >>> def batches(first_step):
    ...     for step in range(first_step, 12):
    ...         rows = random.epoch_rows(key, step // 4, n=40, batch_size=10)[step % 4]
    ...         yield inputs[rows], labels[rows]
    >>> stream = training.Stream(batches, 4, {"train": lambda: [(inputs[:10], labels[:10], 10)]})
"""

from __future__ import annotations

import collections
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn import distributed, sharding
from jaxnn.training._evaluate import PaddedBatch, evaluate
from jaxnn.training._fit import OnChunk, Timing, pad_history, trim_history
from jaxnn.training._history import epoch_metrics
from jaxnn.training._nonfinite import NonFiniteError, is_finite, likely_cause
from jaxnn.training._run import empty_run, record_epoch, should_continue
from jaxnn.training._step import eval_params, init_state, make_train_step
from jaxnn.training._task import Batch, Hparams, MakeTask, Metrics, Run, Statistics

AHEAD = 2
"""Steps that may wait for the device, each with its batch."""


class Stream(NamedTuple):
    """Where the examples of a training come from; `jaxnn.data.loader` makes such batches, on the devices.

    Attributes:
        batches: from a step on, counted over the whole training, the batches of all steps to come, all of one shape.
        steps: of an epoch.
        evaluate: splits measured in evaluation mode after every epoch, by name: each a function that goes through all
            of its examples once, in batches of the shape of those of the training.
        statistics: what `Task.transform` needs, fitted on training examples.
    """

    batches: Callable[[int], Iterable[Batch]]
    steps: int
    evaluate: Mapping[str, Callable[[], Iterable[PaddedBatch]]] | None = None
    statistics: Statistics = None


def steps_into_epoch(run: Run) -> int:
    """How many steps of the epoch that comes next a run has done.

    Args:
        run: of any kind.

    Returns:
        0 for a run that is not from a stream.

    Example:
        >>> training.steps_into_epoch(training.init_run(task, h, key, data, 5, 10, None))
        0
    """
    return 0 if run.partial is None else int(run.state.step) % run.partial.shape[0]


def fit_stream(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    stream: Stream,
    *,
    epochs: int,
    select: str | None = None,
    patience: int | None = None,
    progress: Run | None = None,
    under_way: float = 0.0,
    on_chunk: OnChunk | None = None,
    chunk_seconds: float = 0.5,
) -> tuple[Run, Timing]:
    """As `fit`, of examples that need not fit in memory: one compiled program takes one step.

    With the batches of `run` it trains as `run` does, to rounding: with the same update, keys and measures. It may be
    stopped, and go on, in the middle of an epoch, and ends bit for bit as one that was never stopped.

    Args:
        make_task, hparams, key, epochs, select, patience: as `fit`.
        stream: see `Stream`; its labels must be classes of the model.
        progress: where to go on, as `on_chunk` or `fit_stream` gave it with the same arguments; by default the start.
        under_way: the seconds that the epoch which `progress` is in the middle of has taken so far.
        on_chunk: as in `fit`; called in the middle of an epoch too (see `steps_into_epoch`), with the history of the
            epochs before it.
        chunk_seconds: how long a chunk of steps should last; a chunk ends at the end of an epoch as well.

    Returns:
        The finished `Run`, its history cut to the epochs done, and where the time of this call went.

    Raises:
        TypeError, ValueError: as `fit`; also a ValueError for batches that end too early.
        NonFiniteError: the objective or the update became NaN or infinite; training stops after the chunk.

    Example:
        >>> run, timing = training.fit_stream(task, h, key, stream, epochs=3)
        >>> in_memory, _ = training.fit(task, h, key, data, epochs=3, batch_size=10)
        >>> bool(jnp.allclose(run.history["loss"], in_memory.history["loss"], rtol=1e-6)), len(timing.epochs)
        (True, 3)
    """
    if epochs < 1 or stream.steps < 1 or (patience is not None and (patience < 1 or select is None)):
        raise ValueError(
            f"fit_stream: epochs, steps and patience must be at least 1, and patience needs select; got epochs "
            f"{epochs}, steps {stream.steps}, patience {patience}, select {select}"
        )
    hparams, key, statistics = jax.block_until_ready(sharding.replicate((hparams, key, stream.statistics)))
    done = 0 if progress is None else int(progress.state.step)
    batches = iter(stream.batches(done))
    first = next(batches, None)
    if first is None and progress is not None:  # it had done its last epoch
        return trim_history(progress), Timing(0.0, [])
    if first is None:
        raise ValueError("fit_stream: the stream has no batch")
    clock = time.perf_counter()
    begin = functools.partial(start_stream, make_task, hparams, key, stream, first, epochs, select)
    now: Run = begin() if progress is None else sharding.replicate(pad_history(progress, jax.eval_shape(begin)))
    step = functools.partial(_step, make_task, hparams, statistics)
    # compiles; what comes out is not used
    evaluate(make_task, hparams, statistics, *_evaluated(now), [(*first[:2], 1)])
    jax.block_until_ready(step(now, first))
    batches = itertools.chain([first], batches)
    timing = Timing(time.perf_counter() - clock, [], under_way)

    chunk = 1
    while int(now.epoch) < epochs and bool(should_continue(now, patience)):
        end = (int(now.epoch) + 1) * stream.steps
        stop = min(done + chunk, end)
        clock, before, now = time.perf_counter(), now, _advance(step, now, batches, stop - done)
        elapsed = distributed.broadcast_scalar(time.perf_counter() - clock)
        chunk = max(1, math.floor(min(chunk_seconds * (stop - done) / elapsed, stream.steps)))
        done = stop
        if done == end:
            found = _evaluate(make_task, hparams, statistics, now, stream)
            now = jax.block_until_ready(_end_epoch(now, sharding.replicate(found), select=select))
            elapsed = distributed.broadcast_scalar(time.perf_counter() - clock)
        timing = timing._replace(under_way=timing.under_way + elapsed)
        if done == end:
            timing = Timing(timing.compile, [*timing.epochs, timing.under_way])
        if on_chunk is not None:
            on_chunk(trim_history(now), timing._replace(epochs=[*timing.epochs]))
        if int(now.bad_step) >= 0:
            raise _explained(step, stream, before, now, begin)
    return trim_history(now), timing


def start_stream(
    make_task: MakeTask, hparams: Hparams, key: Array, stream: Stream, example: Any, epochs: int, select: str | None
) -> Run:
    """The run before its first step.

    Args:
        make_task, hparams, key, stream, epochs, select: as `fit_stream`.
        example: a batch, or `jax.ShapeDtypeStruct` of one.

    Returns:
        A `Run` with no epoch done; its history has room for `epochs`.

    Raises:
        ValueError: `select` is not in the history.

    Example:
        >>> run = training.start_stream(task, h, key, stream, next(batches(0)), epochs=3, select=None)
        >>> run.history["train_loss"].shape, run.partial.shape
        ((3,), (4, 6))
    """
    evaluated = tuple(stream.evaluate or {})
    options = {"example": _shapes(example), "steps": stream.steps, "evaluated": evaluated}
    return _start(make_task, hparams, key, stream.statistics, **options, epochs=epochs, select=select)


def _shapes(batch: Any) -> tuple[jax.ShapeDtypeStruct, ...]:
    return tuple(jax.ShapeDtypeStruct(part.shape, part.dtype) for part in batch)


@functools.partial(jax.jit, static_argnames=("make_task", "example", "steps", "evaluated", "epochs", "select"))
def _start(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    statistics: Statistics,
    *,
    example: Any,
    steps: int,
    evaluated: tuple[str, ...],
    epochs: int,
    select: str | None,
) -> Run:
    task = make_task(hparams)
    state = init_state(task, jax.random.fold_in(key, 0))
    metrics: Metrics = jax.eval_shape(make_train_step(task, statistics), state, example)[1]
    names = [name for name, value in metrics._asdict().items() if value is not None]
    measures = [*names, *(f"{split}_{measure}" for split in evaluated for measure in ("loss", "accuracy"))]
    partial = jnp.full((steps, len(names)), jnp.nan, jnp.float32)
    return empty_run(state, measures, epochs, select)._replace(partial=partial)


@functools.partial(jax.jit, static_argnames="make_task")
def _step(make_task: MakeTask, hparams: Hparams, statistics: Statistics, progress: Run, batch: Batch) -> Run:
    """The run after one more step."""
    assert progress.partial is not None
    before = progress.state
    state, metrics = make_train_step(make_task(hparams), statistics)(before, sharding.shard(batch))
    row = jnp.stack([jnp.asarray(value, jnp.float32) for value in metrics if value is not None])
    bad = ~jnp.isfinite(metrics.loss + metrics.penalty)
    if metrics.skipped is not None:
        bad &= ~metrics.skipped
    bad_step = jnp.where(bad & (progress.bad_step < 0), before.step, progress.bad_step)
    partial = progress.partial.at[before.step % progress.partial.shape[0]].set(row)
    return sharding.replicate_inside(progress._replace(state=state, partial=partial, bad_step=bad_step))


@functools.partial(jax.jit, static_argnames="select")
def _end_epoch(progress: Run, evaluated: dict[str, Array], *, select: str | None) -> Run:
    """The run with the measures of the epoch whose last step it has done."""
    partial = progress.partial
    assert partial is not None
    optional = {"learning_rate", "skipped"} - set(progress.history)
    names = [name for name in Metrics._fields if name not in optional]
    last: dict[str, Any] = {**dict.fromkeys(optional), **dict(zip(names, partial[-1], strict=True))}
    told = [names.index(name) for name in ("loss", "penalty", "accuracy", "skipped") if name in names]
    measures, bad = epoch_metrics(partial[:, np.array(told)], Metrics(**last))
    bad_step = jnp.where(bad < 0, -1, progress.epoch * len(partial) + bad)
    bad_step = jnp.where(progress.bad_step < 0, bad_step, progress.bad_step)
    run = record_epoch(progress, progress.state, measures | evaluated, bad_step, select)
    return run._replace(partial=jnp.full_like(partial, jnp.nan))


def _advance(step: Callable[[Run, Batch], Run], run: Run, batches: Iterator[Batch], count: int) -> Run:
    """The run after so many steps more, with few batches on the device at a time."""
    sent: collections.deque[Array] = collections.deque()
    for number in range(count):
        batch = next(batches, None)
        if batch is None:
            raise ValueError(f"fit_stream: the batches ended {count - number} steps or more before the last epoch did")
        run = step(run, batch)
        sent.append(run.bad_step)
        if len(sent) > AHEAD:
            jax.block_until_ready(sent.popleft())
    return jax.block_until_ready(run)


def _evaluated(run: Run) -> tuple[Any, Any]:
    """The parameters, and the state of a model that has one, that are evaluated."""
    return eval_params(run.state), run.state.model_state


def _evaluate(
    make_task: MakeTask, hparams: Hparams, statistics: Statistics, run: Run, stream: Stream
) -> dict[str, np.float32]:
    measures = {}
    for name, examples in (stream.evaluate or {}).items():
        found = evaluate(make_task, hparams, statistics, *_evaluated(run), examples())
        measures[f"{name}_loss"] = np.float32(found.losses.mean(dtype=np.float64))
        measures[f"{name}_accuracy"] = np.float32(found.right.mean(dtype=np.float64))
    return measures


def _explained(
    step: Callable[[Run, Batch], Run], stream: Stream, before: Run, after: Run, begin: Callable[[], Run]
) -> NonFiniteError:
    """The error to raise: goes again from the chunk's beginning to the bad step, and looks around there."""
    first, bad = int(before.state.step), int(after.bad_step)
    state = _advance(step, before, iter(stream.batches(first)), bad - first).state
    finite = all(is_finite(leaf) for leaf in jax.tree.leaves(stream.statistics))
    return likely_cause(after, bad // stream.steps, state, begin().state.params, finite)
