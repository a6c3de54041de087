"""Training on a stream, for data larger than memory: one compiled program takes one step."""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn import sharding
from jaxnn.training._evaluate import evaluate
from jaxnn.training._history import epoch_metrics, record_epoch, step_metrics
from jaxnn.training._step import eval_params, make_train_step
from jaxnn.training._task import Batch, Hparams, MakeTask, Metrics, Run, State, Statistics, Stream, Trainer

AHEAD = 2
"""Steps that may wait for the device, each with its batch."""


def stream_trainer(
    make_task: MakeTask, hparams: Hparams, stream: Stream, first_step: int, batch_size: int | None, select: str | None
) -> Trainer:
    """A `Trainer` that reads from the stream from `first_step` on."""
    if stream.steps < 1:
        raise ValueError(f"fit: a Stream needs at least 1 step per epoch, got steps {stream.steps}")
    statistics = jax.block_until_ready(sharding.replicate(stream.statistics))
    batches = iter(stream.batches(first_step))
    first = next(batches, None)  # None where the last epoch is done
    if first is not None and batch_size not in (None, len(first[1])):
        raise ValueError(
            f"fit: batch_size {batch_size} differs from that of the batches of the Stream, {len(first[1])}"
        )
    batches = itertools.chain([] if first is None else [first], batches)
    step = functools.partial(stream_step, make_task, hparams, statistics)

    def evaluate_split(run: Run, examples: Any) -> tuple[np.float32, np.float32]:
        params = eval_params(run.state)
        found = evaluate(make_task, hparams, statistics, params, run.state.model_state, examples)
        return np.float32(found.losses.mean(dtype=np.float64)), np.float32(found.right.mean(dtype=np.float64))

    def compile_both(run: Run) -> Run:
        if first is not None:
            evaluate_split(run, [(*first[:2], 1)])
            jax.block_until_ready(step(_copied(run), first))
        return run

    def train(run: Run, stop: int) -> Run:
        run = _take_steps(step, run, batches, stop - int(run.state.step))
        if stop % stream.steps:
            return run
        found = {}
        for name, examples in (stream.evaluate or {}).items():
            found[f"{name}_loss"], found[f"{name}_accuracy"] = evaluate_split(run, examples())
        return _end_epoch(run, sharding.replicate(found), select=select)

    def replay(before: Run, after: Run) -> State:
        at, bad = int(before.state.step), int(after.bad_step)
        return _take_steps(step, before, iter(stream.batches(at)), bad - at).state

    return Trainer(stream.steps, stream.steps, compile_both, train, replay, checked=statistics)


@functools.partial(jax.jit, static_argnames="make_task", donate_argnames="run")
def stream_step(
    make_task: MakeTask, hparams: Hparams, statistics: Statistics, run: Run, batch: Batch
) -> tuple[Run, Array]:
    """The run after one more step, in the memory of the one before, and its bad step again, to wait for."""
    assert run.partial is not None
    sharding.check_batch_size(len(batch[1]))
    before = run.state
    state, metrics = make_train_step(make_task(hparams), statistics)(before, sharding.shard(batch))
    bad = ~jnp.isfinite(metrics.loss + metrics.penalty)
    if metrics.skipped is not None:
        bad &= ~metrics.skipped
    bad_step = jnp.where(bad & (run.bad_step < 0), before.step, run.bad_step)
    partial = run.partial.at[before.step % run.partial.shape[0]].set(step_metrics(metrics).astype(jnp.float32))
    return sharding.replicate_inside((run._replace(state=state, partial=partial, bad_step=bad_step), bad_step))


@functools.partial(jax.jit, static_argnames="select")
def _end_epoch(run: Run, evaluated: dict[str, Array], *, select: str | None) -> Run:
    """The run, whose epoch has taken its last step, with the metrics of this epoch."""
    partial = run.partial
    assert partial is not None
    metrics, bad = epoch_metrics(partial, set(Metrics._fields) - set(run.history))
    bad_step = jnp.where(bad < 0, -1, run.epoch * len(partial) + bad)
    bad_step = jnp.where(run.bad_step < 0, bad_step, run.bad_step)
    return record_epoch(run, run.state, metrics | evaluated, bad_step, select)._replace(
        partial=jnp.full_like(partial, jnp.nan)
    )


@jax.jit
def _copied(run: Run) -> Run:
    return jax.tree.map(jnp.copy, run)


def _take_steps(step: Callable[[Run, Batch], tuple[Run, Array]], run: Run, batches: Iterator[Batch], count: int) -> Run:
    """The run after this many more steps, with few batches on the device at a time."""
    sent: collections.deque[Array] = collections.deque()
    run = _copied(run) if count else run
    for number in range(count):
        batch = next(batches, None)
        if batch is None:
            raise ValueError(f"fit: the batches ended {count - number} steps or more before the last epoch did")
        run, done = step(run, batch)
        sent.append(done)
        if len(sent) > AHEAD:
            jax.block_until_ready(sent.popleft())
    return jax.block_until_ready(run)
