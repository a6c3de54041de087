"""A training run compiled once and called in chunks, so that progress can be shown and saved between them."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import jax
import numpy as np
from jax import Array

from jaxnn import distributed, sharding
from jaxnn.training._compile import is_short, jit_for_length
from jaxnn.training._flat import flatten_data
from jaxnn.training._history import pad_history, should_continue, trim_history
from jaxnn.training._nonfinite import diagnose, replay
from jaxnn.training._run import check_data, check_options, new_run, train_until
from jaxnn.training._step import init_state, predict_scores
from jaxnn.training._stream import stream_trainer
from jaxnn.training._task import Data, Hparams, MakeTask, OnChunk, Options, Run, Stream, Timing, Trainer


def fit(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    data: Data | Stream,
    *,
    epochs: int,
    batch_size: int | None = None,
    select: str | None = None,
    patience: int | None = None,
    progress: Run | None = None,
    partial_epoch: float = 0.0,
    on_chunk: OnChunk | None = None,
    chunk_seconds: float = 0.5,
    chunk_ends: int | None = None,
) -> tuple[Run, Timing]:
    """Train as `run` does, compiled once and called in chunks, so that progress can be shown and saved between them.

    The chunks change nothing, and a run resumed from an earlier `Run` ends as if it had never been stopped, bit for
    bit. The program is compiled again only for another `make_task`, other shapes, or another static argument.

    On a CPU, a training that its arguments show to be short is compiled with less optimization, in about half the time;
    the same arguments always give the same program. The last digits may differ from those of `run`.

    With `Data`, early stopping and the best epoch are decided inside the program, and a chunk is one or more epochs.
    With a `Stream`, for data larger than memory, the program takes one step, and a chunk is one or more steps of an
    epoch; with the batches of `run` it trains as `run` does, to rounding.

    The run before a chunk is kept until the chunk has ended, to replay a step that is not finite: with `Data`, the
    parameters and the optimizer's state are on the device twice; `run`, jitted, holds them once.

    Args:
        make_task, hparams, key, epochs, select, patience: as `run`.
        data: `Data`, or a `Stream` whose labels are classes of the model.
        batch_size: as `run`; may be left out for a `Stream`, whose batches have it.
        progress: the run to resume, as `on_chunk` or `fit` gave it with the same arguments; by default a new one.
        partial_epoch: seconds spent so far on the epoch that `progress` is in the middle of.
        on_chunk: called after each chunk with what `fit` would return if it ended there, for progress, files and
            trackers (see `per_epoch`). An exception ends the run.
        chunk_seconds: how long a chunk should last.
        chunk_ends: a chunk also ends at every multiple of this many epochs; of a `Stream`, at every epoch.

    Returns:
        The finished `Run`, its history cut to the epochs done, and where the time of this call went.

    Raises:
        TypeError, ValueError: as `run`; also a ValueError for labels that are not classes of the model, for a
            `progress` of another training, and for a `Stream` that ends too early.
        NonFiniteError: the objective or the update became NaN or infinite; training stops after the chunk.

    Example:
        >>> run, timing = training.fit(task, h, key, data, epochs=3, batch_size=10)
        >>> int(run.epoch), len(timing.epochs)
        (3, 3)

        The same from a stream:

        >>> inputs, labels = map(np.asarray, (data.inputs, data.labels))
        >>> def batches(first_step):
        ...     for step in range(first_step, 12):
        ...         rows = epoch_rows(key, step // 4, n=40, batch_size=10)[step % 4]
        ...         yield inputs[rows], labels[rows]
        >>> stream = training.Stream(batches, 4, {"train": lambda: [(inputs[:10], labels[:10], 10)]})
        >>> streamed, _ = training.fit(task, h, key, stream, epochs=3)
        >>> bool(jnp.allclose(run.history["loss"], streamed.history["loss"], rtol=1e-6))
        True
    """
    given = 1 if batch_size is None and isinstance(data, Stream) else batch_size
    check_options(epochs, given, select, patience)
    if chunk_ends is not None and chunk_ends < 1:
        raise ValueError(f"fit: chunk_ends must be at least 1, got {chunk_ends}")
    short = False
    if isinstance(data, Stream):
        hparams, key = jax.block_until_ready(sharding.replicate((hparams, key)))
        first_step = 0 if progress is None else int(progress.state.step)
        trainer = stream_trainer(make_task, hparams, data, first_step, batch_size, select)
    else:
        assert batch_size is not None
        check_data(data, batch_size)
        params = jax.tree.leaves(_check_labels(make_task, hparams, key, data))
        steps = epochs * (len(data.inputs) // batch_size)
        often_used = any(leaf.ndim > 2 for leaf in params)  # the kernels of a convolution
        short = not often_used and is_short(sum(leaf.size for leaf in params), steps * batch_size, steps)
        hparams, key, on_device = jax.block_until_ready(sharding.replicate((hparams, key, flatten_data(data))))
        options = Options(make_task, batch_size, select, patience)
        trainer = _memory_trainer(options, hparams, key, on_device, short)

    clock = time.perf_counter()
    of_stream = data.steps if isinstance(data, Stream) else None
    splits = tuple(data.evaluate or ())
    first = make_task, hparams, key, splits, of_stream, epochs, select
    start = functools.partial(_start[short], *first)
    if progress is None:
        now: Run = start()
    else:
        like = jax.eval_shape(functools.partial(new_run, *first))
        now = sharding.replicate(pad_history(progress, like))
    now = trainer.compile(now)
    timing = Timing(time.perf_counter() - clock, [], partial_epoch, short)

    chunk, ends = 1, of_stream or chunk_ends or epochs
    while int(now.epoch) < epochs and _should_continue(now, patience):
        done = _units_done(now, trainer)
        stop = min(done + chunk, (done // ends + 1) * ends, epochs * trainer.units)
        clock = time.perf_counter()
        before, now = now, jax.block_until_ready(trainer.advance(now, stop))
        if _units_done(now, trainer) == done:
            break  # the task has converged
        elapsed = distributed.broadcast_scalar(time.perf_counter() - clock)
        spent, ended = timing.partial_epoch + elapsed, int(now.epoch) - int(before.epoch)
        of_epochs = [spent / ended] * ended if ended else []
        partial_epoch = 0.0 if ended else spent
        timing = timing._replace(epochs=[*timing.epochs, *of_epochs], partial_epoch=partial_epoch)
        if on_chunk is not None:
            on_chunk(trim_history(now), timing)
        if int(now.bad_step) >= 0:
            state = trainer.replay(before, now)
            raise diagnose(now, trainer.steps, state, start().state.params, trainer.checked)
        chunk_units = chunk_seconds * (_units_done(now, trainer) - done) / elapsed
        chunk = max(1, math.floor(min(chunk_units, epochs * trainer.units)))
    return trim_history(now), timing


_start = jit_for_length(new_run, "make_task", "splits", "steps", "epochs", "select")
compiled_train_until = jit_for_length(train_until, "options")
_replay = jit_for_length(replay, "options")


def _memory_trainer(options: Options, hparams: Hparams, key: Array, data: Data, short: bool) -> Trainer:
    train = functools.partial(compiled_train_until[short], options, hparams, key, data)
    return Trainer(
        units=1,
        steps=data.labels.shape[0] // options.batch_size,
        compile=lambda run: jax.block_until_ready(train(run, np.int32(0))),  # trains no epoch
        advance=lambda run, stop: train(run, np.int32(stop)),
        replay=lambda before, after: _replay[short](options, hparams, key, data, before, after.bad_step),
        checked=(data.inputs, data.statistics),
    )


def _units_done(run: Run, trainer: Trainer) -> int:
    return int(run.epoch) * trainer.units + run.steps_into_epoch


def _should_continue(run: Run, patience: int | None) -> bool:
    """Outside of the program, without a computation on the device."""
    best: Any = None if run.best is None else run.best._replace(epoch=np.asarray(run.best.epoch))
    host: Any = run._replace(epoch=np.asarray(run.epoch), bad_step=np.asarray(run.bad_step), best=best)
    return bool(should_continue(host, patience))


def _check_labels(make_task: MakeTask, hparams: Hparams, key: Array, data: Data) -> Any:
    """Check that labels are in range, which a compiled program cannot; returns the shapes of the parameters."""

    def init_and_score(hparams: Hparams, key: Array, data: Data) -> tuple[Any, Array]:
        task = make_task(hparams)
        state, x = init_state(task, key), data.inputs[:1]
        return state.params, predict_scores(task, state.params, x, data.statistics, model_state=state.model_state)

    params, scores = jax.eval_shape(init_and_score, hparams, key, data)
    classes = scores.shape[-1]
    for name, (_, labels) in {"training": (data.inputs, data.labels), **(data.evaluate or {})}.items():
        low, high = np.asarray(labels).min(), np.asarray(labels).max()
        if not 0 <= low <= high < classes:
            raise ValueError(
                f"fit: the {name} labels must be in [0, {classes}), the classes of the model; got {low} to {high}"
            )
    return params
