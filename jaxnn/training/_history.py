"""The history of a run: per-epoch metrics, the best epoch, and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn.training._step import absent_metrics, eval_params
from jaxnn.training._task import Best, Metrics, OnChunk, Run, State, Task, Timing


def empty_run(state: State, splits: Iterable[str], steps: int | None, epochs: int, select: str | None) -> Run:
    """The run before its first epoch; `steps` is None unless it may stop in the middle of an epoch."""
    absent = absent_metrics(state.opt_state)
    of_step = [name for name in Metrics._fields if name not in absent]
    names = sorted([*of_step, *(f"{split}_{metric}" for split in splits for metric in ("loss", "accuracy"))])
    if select is not None and select not in names:
        raise ValueError(f"run: select must be one of {', '.join(names)}; got {select!r}")
    history = {name: jnp.full(epochs, jnp.nan, jnp.float32) for name in names}
    best = None
    if select is not None:
        worst = jnp.float32(jnp.inf if lower_is_better(select) else -jnp.inf)
        best = Best(eval_params(state), worst, jnp.int32(-1), state.model_state)
    partial = None if steps is None else jnp.full((steps, len(of_step)), jnp.nan, jnp.float32)
    return Run(state, history, best, jnp.int32(0), jnp.int32(-1), partial)


def record_epoch(run: Run, state: State, metrics: dict[str, Array], bad_step: Array, select: str | None) -> Run:
    """The run with one more epoch in its history; `state` is the state after it."""
    history = {name: _set(values, run.epoch, metrics[name]) for name, values in run.history.items()}
    best = run.best
    if best is not None and select is not None:
        value = metrics[select].astype(jnp.float32)
        better = value < best.value if lower_is_better(select) else value > best.value
        now = Best(eval_params(state), value, run.epoch, state.model_state)
        best = jax.lax.cond(better, lambda now, before: now, lambda now, before: before, now, best)
    return run._replace(state=state, history=history, best=best, epoch=run.epoch + 1, bad_step=bad_step)


def _set(values: Array, place: Array, value: Array) -> Array:
    return jax.lax.dynamic_update_index_in_dim(
        values, value.astype(values.dtype), place, 0, allow_negative_indices=False
    )


def should_continue(run: Run, patience: int | None, task: Task | None = None) -> Array:
    """Whether all is finite, patience is not exhausted, and the task has not converged."""
    on = run.bad_step < 0
    if task is not None and task.converged is not None:
        on &= ~task.converged(run)
    if patience is not None and run.best is not None:
        on &= run.epoch - 1 - run.best.epoch < patience
    return on


def step_metrics(metrics: Metrics) -> Array:
    """The metrics of a step that it has, f[M], in their order."""
    return jnp.stack([jnp.asarray(value, metrics.loss.dtype) for value in metrics if value is not None])


def epoch_metrics(of_steps: Array, absent: set[str]) -> tuple[dict[str, Array], Array]:
    """Per-epoch metrics f32[] from `step_metrics` of each step, and the first bad step, from 0 in the epoch, or -1."""
    names = [name for name in Metrics._fields if name not in absent]
    at = {name: names.index(name) for name in names}
    finite, taken = jnp.isfinite(of_steps[:, at["loss"]] + of_steps[:, at["penalty"]]), None
    if "skipped" in at:
        taken = of_steps[:, at["skipped"], None] == 0
        finite |= ~taken[:, 0]
    step = jnp.arange(len(of_steps), dtype=jnp.int32)
    finite &= jnp.isfinite(of_steps[:, at["update_norm"]]) | (step < len(of_steps) - 1)
    metrics = dict(zip(names, of_steps[-1], strict=True))
    means = of_steps[:, :3].mean(0, where=taken)
    metrics |= {"loss": means[0], "penalty": means[1], "accuracy": means[2]}
    if "skipped" in at:
        metrics["skipped"] = of_steps[:, at["skipped"]].sum()
    first = jnp.where(finite, len(of_steps), step).min()
    return metrics, jnp.where(first == len(of_steps), -1, first)


def lower_is_better(metric: str) -> bool:
    """Whether a metric of the history is better when it is lower; else it is better when it is higher."""
    return metric.endswith(("loss", "norm", "penalty"))


def trim_history(run: Run) -> Run:
    """The run with the history of its finished epochs only."""
    done = int(run.epoch)
    return run._replace(history={k: jax.device_put(np.asarray(values)[:done]) for k, values in run.history.items()})


def pad_history(run: Run, like: Run) -> Run:
    """The run with room in its history for as many epochs as `like`, whose shapes it must have."""

    def padded(values: Any, room: Array) -> Array:
        done = np.asarray(values, room.dtype)[: room.shape[0]]
        return jnp.asarray(np.concatenate([done, np.full(room.shape[0] - len(done), np.nan, room.dtype)]))

    run = jax.tree.map(jnp.asarray, run)
    if set(run.history) == set(like.history):
        run = run._replace(history={name: padded(values, like.history[name]) for name, values in run.history.items()})
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), each) for each in (run, like)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "fit: progress is a Run of another training: its arrays or metrics differ from those of this one"
        )
    return run


def per_epoch(log: Callable[[int, dict[str, float]], object]) -> OnChunk:
    """An `on_chunk` for `fit` that logs every epoch once, as experiment trackers expect.

    Args:
        log: called with the number of each new epoch, counted from 1, and its metrics by name. A resumed run logs the
            epochs of the earlier run first.

    Returns:
        A callback, for one run.

    Example:
        >>> logged = []
        >>> on_chunk = training.per_epoch(lambda epoch, metrics: logged.append((epoch, sorted(metrics)[0])))
        >>> run, _ = training.fit(task, h, key, data, epochs=3, batch_size=10, on_chunk=on_chunk)
        >>> logged
        [(1, 'accuracy'), (2, 'accuracy'), (3, 'accuracy')]
    """
    logged = 0

    def on_chunk(run: Run, timing: Timing) -> None:
        nonlocal logged
        history = {name: np.asarray(values).tolist() for name, values in run.history.items()}
        while logged < int(run.epoch):
            logged += 1
            log(logged, {name: values[logged - 1] for name, values in history.items()})

    return on_chunk
