"""A whole training as a pure function, to be compiled into one program."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from jaxnn import sharding
from jaxnn.metrics import accuracy
from jaxnn.random import epoch_rows
from jaxnn.training._arguments import check_arguments
from jaxnn.training._history import epoch_metrics, lower_is_better, step_metrics
from jaxnn.training._step import eval_params, init_state, make_train_step, predict_scores, step_keys
from jaxnn.training._task import Best, Data, Hparams, MakeTask, Metrics, Run, State, StepKeys, Task


def run(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    data: Data,
    *,
    epochs: int,
    batch_size: int,
    select: str | None = None,
    patience: int | None = None,
) -> Run:
    """A whole training run as a pure function: `jit` it for one fast run, `vmap` it over `hparams` and `key` for many.

    Every epoch goes through all examples in a new random order, in batches of `batch_size`; examples left over at the
    end of an epoch are left out of it (others in each epoch). The order is a function of (key, epoch), the randomness
    of a step of (key, step).

    Args:
        make_task: makes the task from the hyper-parameters; called while tracing.
        hparams: a pytree of numbers, traced: a new value compiles nothing.
        key: a PRNG key: initial weights, order, dropout, augmentation.
        data: see `Data`.
        epochs: how many, at least 1; static.
        batch_size: examples a step, at most N; static.
        select: the measure of the history whose best epoch is kept in `Run.best`: lowest if its name ends with "loss",
            "norm" or "penalty", else highest; static.
        patience: stop after so many epochs without a better `select`; None never stops; static.

    Returns:
        A `Run`.

    Raises:
        TypeError: a size is not a whole number.
        ValueError: shapes do not fit, a size is out of range, `select` is not in the history.

    Example:
        >>> train = jax.jit(training.run, static_argnames=("make_task", "epochs", "batch_size"))
        >>> run = train(task, h, key, data, epochs=3, batch_size=10)
        >>> int(run.epoch), run.history["accuracy"].shape
        (3, (3,))
    """
    check_arguments(data, epochs, batch_size, select, patience)
    data = sharding.replicate_inside(jax.tree.map(jnp.asarray, data))
    progress = init_run(make_task, hparams, key, data, epochs, batch_size, select)
    return train_until(make_task, hparams, key, data, progress, jnp.int32(epochs), batch_size, select, patience)


def init_run(
    make_task: MakeTask, hparams: Hparams, key: Array, data: Data, epochs: int, batch_size: int, select: str | None
) -> Run:
    """The run before its first epoch.

    Args:
        make_task, hparams, key, data, epochs, batch_size, select: as `run`.

    Returns:
        A `Run` with no epoch done; its history has room for `epochs`.

    Raises:
        ValueError: `select` is not in the history.

    Example:
        >>> run = training.init_run(task, h, key, data, epochs=5, batch_size=10, select=None)
        >>> int(run.epoch), run.history["loss"].shape
        (0, (5,))
    """
    task = make_task(hparams)
    state = init_state(task, jax.random.fold_in(key, 0))
    measures = jax.eval_shape(functools.partial(_epoch, task, key, data, batch_size), state, jnp.int32(0))[1]
    return empty_run(state, list(measures), epochs, select)


def empty_run(state: State, measures: Sequence[str], epochs: int, select: str | None) -> Run:
    """The run before its first epoch, from its state.

    Args:
        state: before the first step.
        measures: the names of the history.
        epochs, select: as `run`.

    Returns:
        The `Run`.

    Raises:
        ValueError: `select` is not in the history.

    Example:
        >>> from jaxnn.training._run import empty_run
        >>> empty_run(training.init_state(task(h), key), ["loss"], 5, "loss").best.value.item()
        inf
    """
    if select is not None and select not in measures:
        raise ValueError(f"run: select must be one of {', '.join(sorted(measures))}; got {select!r}")
    history = {name: jnp.full(epochs, jnp.nan, jnp.float32) for name in measures}
    best = None
    if select is not None:
        worst = jnp.float32(jnp.inf if lower_is_better(select) else -jnp.inf)
        best = Best(eval_params(state), worst, jnp.int32(-1), state.model_state)
    return Run(state, history, best, jnp.int32(0), jnp.int32(-1))


def train_until(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    data: Data,
    progress: Run,
    stop: Array,
    batch_size: int,
    select: str | None,
    patience: int | None,
) -> Run:
    """Train on until `stop` epochs are done, or patience is at its end, or something is not finite.

    Args:
        make_task, hparams, key, data, batch_size, select, patience: as `run`.
        progress: the run so far.
        stop: i32[], traced; at most the epochs that the history has room for.

    Returns:
        The `Run`, with more epochs done.

    Example:
        >>> run = training.init_run(task, h, key, data, 5, 10, None)
        >>> run = training.train_until(task, h, key, data, run, jnp.int32(2), 10, None, None)
        >>> int(run.epoch), np.isnan(run.history["loss"]).tolist()
        (2, [False, False, True, True, True])
    """
    task = make_task(hparams)
    return jax.lax.while_loop(
        lambda progress: (progress.epoch < stop) & should_continue(progress, patience),
        lambda progress: train_epoch(task, key, data, progress, batch_size, select),
        progress,
    )


def should_continue(progress: Run, patience: int | None) -> Array:
    """Whether a run may train another epoch: all is finite, and patience is not at its end.

    Args:
        progress: the run so far.
        patience: as `run`.

    Returns:
        bool[].

    Example:
        >>> from jaxnn.training._run import should_continue
        >>> run = training.init_run(task, h, key, data, 5, 10, None)
        >>> print(should_continue(run, None), should_continue(run._replace(bad_step=jnp.int32(7)), None))
        True False
    """
    on = progress.bad_step < 0
    if patience is not None and progress.best is not None:
        on &= progress.epoch - 1 - progress.best.epoch < patience
    return on


def train_epoch(task: Task, key: Array, data: Data, progress: Run, batch_size: int, select: str | None) -> Run:
    """The run after one more epoch.

    Args:
        task: what is to be learned.
        key, data, batch_size, select: as `run`.
        progress: the run so far.

    Returns:
        The `Run`.

    Example:
        >>> from jaxnn.training._run import train_epoch
        >>> run = training.init_run(task, h, key, data, 5, 10, None)
        >>> run = jax.eval_shape(lambda run: train_epoch(task(h), key, data, run, 10, None), run)
        >>> run.history["loss"].shape, run.epoch.shape
        ((5,), ())
    """
    state, measures, bad_step = _epoch(task, key, data, batch_size, progress.state, progress.epoch)
    return record_epoch(progress, state, measures, bad_step, select)


def record_epoch(progress: Run, state: State, measures: dict[str, Array], bad_step: Array, select: str | None) -> Run:
    """The run with what an epoch has come to.

    Args:
        progress: the run before.
        state: the state after the epoch's last step.
        measures: of the epoch, f32[] by name.
        bad_step: i32[], see `Run`.
        select: as `run`.

    Returns:
        The `Run`.

    Example:
        >>> from jaxnn.training._run import record_epoch
        >>> run = training.init_run(task, h, key, data, 5, 10, None)
        >>> measures = dict.fromkeys(run.history, jnp.float32(0.5))
        >>> run = record_epoch(run, run.state, measures, jnp.int32(-1), None)
        >>> int(run.epoch), run.history["loss"][0].item()
        (1, 0.5)
    """
    history = {name: values.at[progress.epoch].set(measures[name]) for name, values in progress.history.items()}
    best = progress.best
    if best is not None and select is not None:
        value = measures[select].astype(jnp.float32)
        better = value < best.value if lower_is_better(select) else value > best.value
        now = Best(eval_params(state), value, progress.epoch, state.model_state)
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), now, best)
    return progress._replace(state=state, history=history, best=best, epoch=progress.epoch + 1, bad_step=bad_step)


def _epoch(
    task: Task, key: Array, data: Data, batch_size: int, state: State, epoch: Array
) -> tuple[State, dict[str, Array], Array]:
    """One epoch: the new state, the measures f32[] by name, and the first bad step or -1."""
    n = data.inputs.shape[0]
    steps = n // batch_size
    rows = epoch_rows(key, epoch, n, batch_size)
    first_step = state.step
    update = make_train_step(task, data.statistics)

    keys = jax.vmap(step_keys, in_axes=(None, 0))(state.key, first_step + jnp.arange(steps))

    @jax.jit  # traced once for both of its places
    def step(state: State, rows: Array, keys: StepKeys) -> tuple[State, Metrics]:
        examples = (data.inputs, data.labels, data.weights)
        batch = jax.tree.map(lambda a: a.at[rows].get(mode="promise_in_bounds"), examples)
        return update(state, sharding.shard(batch), keys)

    def light_step(state: State, rows_and_keys: tuple[Array, StepKeys]) -> tuple[State, Array]:
        state, metrics = step(state, *rows_and_keys)
        return state, step_metrics(metrics)

    # The norms cost a pass over all parameters: only the last step computes them.
    state, means = jax.lax.scan(light_step, state, jax.tree.map(lambda a: a[:-1], (rows, keys)))
    state, last = step(state, *jax.tree.map(lambda a: a[-1], (rows, keys)))
    measures, bad = epoch_metrics(jnp.concatenate([means, step_metrics(last)[None]]), last)
    bad_step = jnp.where(bad < 0, -1, first_step + bad)
    params = eval_params(state)
    for name, (inputs, labels) in (data.evaluate or {}).items():
        scores = predict_scores(task, params, inputs, data.statistics, model_state=state.model_state)
        labels = jnp.asarray(labels)
        measures |= {f"{name}_loss": task.loss(scores, labels).mean(), f"{name}_accuracy": accuracy(scores, labels)}
    return state, measures, bad_step
