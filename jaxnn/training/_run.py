"""A whole training as a pure function, to be compiled into one program."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jax import Array

from jaxnn import sharding
from jaxnn._random import rows_of, shuffled_rows
from jaxnn.training._evaluate import Splits, evaluate_splits, join_splits
from jaxnn.training._flat import flatten_data
from jaxnn.training._history import empty_run, epoch_metrics, record_epoch, should_continue, step_metrics
from jaxnn.training._step import absent_metrics, epoch_keys, init_state, train_step
from jaxnn.training._task import Data, Hparams, MakeTask, Options, Run, State, StepKeys, Stream, Task


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
        select: the metric of the history whose best epoch is kept in `Run.best`: lowest if its name ends with "loss",
            "norm" or "penalty", else highest; static.
        patience: stop after this many epochs without a better `select`; None never stops; static.

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
    check_options(epochs, batch_size, select, patience)
    check_data(data, batch_size)
    data = sharding.replicate_inside(jax.tree.map(jnp.asarray, flatten_data(data)))
    progress = init_run(make_task, hparams, key, data, epochs=epochs, select=select)
    options = Options(make_task, batch_size, select, patience)
    return train_until(options, hparams, key, data, progress, jnp.int32(epochs))


def init_run(
    make_task: MakeTask, hparams: Hparams, key: Array, data: Data | Stream, *, epochs: int, select: str | None = None
) -> Run:
    """The run before its first epoch; under `jax.eval_shape`, the shapes of a run to be restored from a file."""
    steps = data.steps if isinstance(data, Stream) else None
    return new_run(make_task, hparams, key, tuple(data.evaluate or ()), steps, epochs, select)


def new_run(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    splits: Iterable[str],
    steps: int | None,
    epochs: int,
    select: str | None,
) -> Run:
    """As `init_run`, from the names of the evaluated splits and, of a `Stream`, the steps of an epoch."""
    state = init_state(make_task(hparams), jax.random.fold_in(key, 0))
    return empty_run(state, splits, steps, epochs, select)


def train_until(options: Options, hparams: Hparams, key: Array, data: Data, progress: Run, stop: Array) -> Run:
    """Train on until `stop` epochs are done, patience is exhausted, or something is not finite."""
    sharding.check_batch_size(options.batch_size)
    task, splits = options.make_task(hparams), join_splits(data)
    return jax.lax.while_loop(
        lambda progress: (progress.epoch < stop) & should_continue(progress, options.patience, task),
        lambda progress: train_epoch(task, options, key, data, splits, progress),
        progress,
    )


def train_epoch(task: Task, options: Options, key: Array, data: Data, splits: Splits | None, progress: Run) -> Run:
    """The run after one more epoch."""
    n = data.labels.shape[0]
    steps = n // options.batch_size
    order_key, keys = epoch_keys(key, progress.epoch, progress.state, steps)
    if task.shuffle:
        rows = shuffled_rows(order_key, n, options.batch_size)
    else:
        rows = jnp.arange(steps * options.batch_size).reshape(steps, options.batch_size)

    def step(state: State, rows_and_keys: tuple[Array, StepKeys], measure: Array | bool = False) -> tuple[State, Array]:
        rows, keys = rows_and_keys
        examples = (data.inputs, data.labels, data.weights)
        batch = jax.tree.map(lambda a: rows_of(a, rows), examples)
        state, metrics = train_step(task, data.statistics, state, sharding.shard(batch), keys, measure)
        return state, step_metrics(metrics)

    # The norms cost a pass over all parameters: only the last step computes them.
    if sharding.on_cpu():
        last = jnp.arange(steps) == steps - 1
        state, of_steps = jax.lax.scan(lambda state, a: step(state, *a), progress.state, ((rows, keys), last))
    else:  # where a condition would keep the device waiting
        state, of_steps = jax.lax.scan(step, progress.state, jax.tree.map(lambda a: a[:-1], (rows, keys)))
        state, of_last = step(state, jax.tree.map(lambda a: a[-1], (rows, keys)), True)
        of_steps = jnp.concatenate([of_steps, of_last[None]])
    metrics, bad = epoch_metrics(of_steps, absent_metrics(state.opt_state))
    bad_step = jnp.where(bad < 0, -1, progress.state.step + bad)
    metrics |= evaluate_splits(task, state, data.statistics, splits)
    return record_epoch(progress, state, metrics, bad_step, options.select)


def check_options(epochs: int, batch_size: int | None, select: str | None, patience: int | None) -> None:
    """Check numbers before anything is compiled."""
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if value is None and name == "patience":
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"run: {name} must be a whole number, got {value!r}")
        if value < 1:
            raise ValueError(f"run: {name} must be at least 1, got {value}")
    if patience is not None and select is None:
        raise ValueError(f"run: patience={patience} needs select, the metric to wait for, such as 'validation_loss'")


def check_data(data: Data, batch_size: int) -> None:
    """Check shapes and types before anything is compiled."""
    splits = {"training": (data.inputs, data.labels), **(data.evaluate or {})}
    for name, (inputs, labels) in splits.items():
        if jnp.ndim(inputs) < 1 or jnp.shape(labels) != jnp.shape(inputs)[:1]:
            raise ValueError(
                f"run: the {name} data must be inputs[N, ...] and labels[N], "
                f"got inputs{list(jnp.shape(inputs))} and labels{list(jnp.shape(labels))}"
            )
        if not jnp.issubdtype(jnp.result_type(labels), jnp.integer):
            raise TypeError(f"run: the {name} labels must be integer class numbers, got {jnp.result_type(labels)}")
        if len(inputs) == 0:
            raise ValueError(f"run: the {name} data are empty")
    if data.weights is not None:
        if jnp.shape(data.weights) != jnp.shape(data.labels):
            raise ValueError(
                f"run: weights must be one number for each training example, f32[{len(data.inputs)}], "
                f"got weights{list(jnp.shape(data.weights))}"
            )
        if not jnp.issubdtype(jnp.result_type(data.weights), jnp.floating):
            raise TypeError(f"run: weights must be floating point, got {jnp.result_type(data.weights)}")
    if batch_size > len(data.inputs):
        raise ValueError(
            f"run: batch_size {batch_size} is larger than the {len(data.inputs)} training examples; use a smaller one"
        )
    sharding.check_batch_size(batch_size)
