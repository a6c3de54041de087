"""One training step: `update(state, batch) -> (state, metrics)`, and scores in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.typing import ArrayLike

from jaxnn import sharding
from jaxnn._random import fold_in_rows
from jaxnn.training._flat import flatten, unflatten
from jaxnn.training._task import Batch, Metrics, Params, State, Statistics, StepKeys, Task, Weighted


def init_state(task: Task, key: Array) -> State:
    """The state before the first step.

    Args:
        task: see `Task`.
        key: a PRNG key; parameters draw from one half, steps from the other.

    Returns:
        A `State` with step 0.

    Example:
        >>> state = training.init_state(task(h), key)
        >>> int(state.step), state.params[0]["w"].shape
        (0, (2, 2))
    """
    params_key, steps_key = jax.random.split(key)
    params = task.model.init(params_key)
    init_model_state = getattr(task.model, "init_state", None)
    model_state = None if init_model_state is None else init_model_state(params_key)
    return State(params, task.optimizer.init(params), jnp.int32(0), steps_key, model_state)


def step_keys(key: Array, step: ArrayLike) -> StepKeys:
    """The keys of a step from `State.key` and `State.step`."""
    of_step = jax.random.fold_in(key, step)
    return StepKeys(*(jax.random.fold_in(of_step, i) for i in range(3)))  # unused keys are not computed


def epoch_keys(key: Array, epoch: Array, state: State, steps: int) -> tuple[Array, StepKeys]:
    """The `epoch_key` of an epoch, and the `step_keys` of its steps, key[steps]."""
    shape = len(StepKeys._fields), steps
    of_steps = jnp.broadcast_to(state.step + jnp.arange(steps)[None], shape).ravel()
    purpose = jax.lax.broadcasted_iota(jnp.int32, shape, 0).ravel()
    keys = jnp.concatenate([jnp.broadcast_to(state.key, (*of_steps.shape, *state.key.shape)), key[None]])
    data = jnp.stack([jnp.append(of_steps, 1), jnp.append(purpose, epoch)])
    folded = fold_in_rows(keys, data)
    return folded[-1], StepKeys(*folded[:-1].reshape(*shape, *state.key.shape))


def make_train_step(task: Task, statistics: Statistics = None) -> Callable[..., tuple[State, Metrics]]:
    """The step function of a task: a pure function, to be jitted, scanned or vmapped.

    Formula: `objective = mean loss + penalty`; `params += optimizer(gradient of objective)`. With weights the mean loss
    is `mean(weight * loss)`: weights with the mean 1 keep the balance of loss and penalty.

    Args:
        task: see `Task`.
        statistics: what `task.transform` needs, fitted on the training split.

    Returns:
        `update(state, (inputs[B, ...], labels[B])) -> (state, metrics)`; the batch may have weights f32[B] as its third
        part. A third argument, `StepKeys`, replaces the keys derived from `state.key` and `state.step`.

    Source: forward pass, back-propagation and parameter update of the course notes; Robbins & Monro 1951.

    Example:
        >>> update = jax.jit(training.make_train_step(task(h)))
        >>> state, metrics = update(training.init_state(task(h), key), (data.inputs, data.labels))
        >>> int(state.step), metrics.loss.shape
        (1, ())
    """

    def update(state: State, batch: Batch | Weighted, keys: StepKeys | None = None) -> tuple[State, Metrics]:
        return train_step(task, statistics, state, batch, keys or step_keys(state.key, state.step))

    return update


def train_step(
    task: Task, statistics: Statistics, state: State, batch: Batch | Weighted, keys: StepKeys, measure: ArrayLike = True
) -> tuple[State, Metrics]:
    """As `make_train_step`; the norms, which cost a pass over all parameters, are NaN where `measure` is false."""
    inputs, labels = unflatten(batch[0]), jnp.asarray(batch[1])
    weights = batch[2] if len(batch) > 2 else None
    if task.augment is not None:
        inputs = task.augment(keys.augment, inputs)
    mixed = None
    if task.mixup is not None:
        mixed = task.mixup(keys.mixup, inputs)
        inputs = mixed.images
    x = task.transform(statistics, inputs)

    def objective(params: Params) -> tuple[Array, tuple[Array, Array, Array, Any]]:
        scores, model_state = _apply(task, params, state.model_state, x, keys.model)
        loss = _mean_loss(task, scores, labels, weights)
        if mixed is not None:
            of_partner = weights if weights is None else jnp.asarray(weights)[mixed.partner]
            other = _mean_loss(task, scores, labels[mixed.partner], of_partner)
            loss = mixed.weight * loss + (1.0 - mixed.weight) * other
        penalty = jnp.asarray(task.penalty(params), loss.dtype)
        return loss + penalty, (loss, penalty, task.accuracy(scores, labels), model_state)

    (value, aside), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
    loss, penalty, right, model_state = aside
    optimizer = optax.with_extra_args_support(task.optimizer)
    updates, opt_state = optimizer.update(
        gradient,
        state.opt_state,
        state.params,
        value=value,
        grad=gradient,
        value_fn=lambda params: objective(params)[0],
    )
    params = optax.apply_updates(state.params, updates)
    skipped = _skipped(opt_state, updates)
    if skipped is not None:  # what the batch did to the state is left out as well
        model_state = jax.tree.map(lambda old, new: jnp.where(skipped, old, new), state.model_state, model_state)

    def norms() -> Array:
        return jnp.stack([optax.tree.norm(tree).astype(value.dtype) for tree in (gradient, updates, params)])

    if measure is True:
        measured = norms()
    elif measure is False:
        measured = jnp.full(3, jnp.nan, value.dtype)
    else:
        measured = jax.lax.cond(measure, norms, lambda: jnp.full(3, jnp.nan, value.dtype))
    metrics = Metrics(
        loss,
        penalty,
        right,
        _learning_rate(opt_state),
        gradient_norm=measured[0],
        update_norm=measured[1],
        parameter_norm=measured[2],
        skipped=skipped,
    )
    return State(params, opt_state, state.step + 1, state.key, model_state), metrics


def eval_params(state: State) -> Params:
    """The parameters to evaluate and keep: those of the state, or their average where the optimizer keeps one."""
    found = optax.tree.get_all_with_path(state.opt_state, "averaged_params")
    return found[0][1] if found else state.params


def _apply(task: Task, params: Params, model_state: Any, x: Array, key: Array | None = None) -> tuple[Array, Any]:
    """The scores, and the state after them, of either kind of model."""
    apply: Callable[..., Any] = task.model.apply
    return (apply(params, x, key=key), None) if model_state is None else apply(params, model_state, x, key=key)


def _mean_loss(task: Task, scores: Array, labels: Array, weights: Array | np.ndarray | None) -> Array:
    losses = task.loss(scores, labels)
    return losses.mean() if weights is None else (losses * weights).mean()


def _learning_rate(opt_state: Any) -> Array | None:
    """The one learning rate in the optimizer's state; a schedule has a second entry of this name, its counter."""
    found = [v for _, v in optax.tree.get_all_with_path(opt_state, "learning_rate") if isinstance(v, Array)]
    return found[0] if len(found) == 1 else None


def absent_metrics(opt_state: Any) -> set[str]:
    """The metrics that steps with this optimizer lack."""

    def found(opt_state: Any) -> dict[str, Any]:
        return {"learning_rate": _learning_rate(opt_state), "skipped": _skipped(opt_state, [])}

    return {name for name, value in jax.eval_shape(found, opt_state).items() if value is None}


def _skipped(opt_state: Any, updates: Any) -> Array | None:
    """Whether `optax.apply_if_finite` left the update out; after too many in a row it lets one through."""
    found = [v for _, v in optax.tree.get_all_with_path(opt_state, "last_finite")]
    return ~found[0] & (optax.tree.norm(updates) == 0) if found else None


def predict_scores(
    task: Task,
    params: Params,
    inputs: ArrayLike,
    statistics: Statistics = None,
    *,
    model_state: Any = None,
    batch_size: int = 1000,
) -> Array:
    """The scores in evaluation mode: no dropout, no augmentation; in batches, so that memory stays small.

    Args:
        task: what was learned.
        params: its parameters.
        inputs: [N, ...] as stored, such as uint8 images; `task.transform` is applied here.
        statistics: what `task.transform` needs.
        model_state: of a model with a state, `State.model_state`.
        batch_size: the most examples at a time.

    Returns:
        f32[N, C].

    Raises:
        TypeError: `model_state` is missing, or the model has none.

    Example:
        >>> params = training.init_state(task(h), key).params
        >>> training.predict_scores(task(h), params, data.inputs, batch_size=16).shape
        (40, 2)
    """
    if (model_state is not None) != hasattr(task.model, "init_state"):
        without = "a model with a state needs model_state, such as State.model_state"
        given = "the model has no state, but model_state was given"
        raise TypeError(f"predict_scores: {without if model_state is None else given}")
    examples = sharding.replicate_inside(flatten(jax.tree.map(jnp.asarray, inputs)))

    def some(x: Array) -> Array:
        return score_batch(task, params, unflatten(x), statistics, model_state=model_state)

    count = jax.tree.leaves(examples)[0].shape[0]
    batches, size = batches_of(count, batch_size)
    if batches == 1:
        return sharding.replicate_inside(some(examples))

    def part(first: Any) -> Any:
        return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, first, size), examples)

    shape = jax.eval_shape(lambda: some(part(0)))

    def score(i: Array, scores: Array) -> Array:
        """All batches have one size: where the last one would end too late, it begins earlier, as slices do."""
        return jax.lax.dynamic_update_slice_in_dim(scores, some(part(i * size)), i * size, 0)

    empty = sharding.replicate_inside(jnp.zeros((count, *shape.shape[1:]), shape.dtype))
    return sharding.replicate_inside(jax.lax.fori_loop(0, batches, score, empty))


def batches_of(count: int, most: int = 1000) -> tuple[int, int]:
    """How many batches of equal size hold so many examples, and that size."""
    batches = max(1, -(-count // most))
    return batches, -(-count // batches)


def score_batch(
    task: Task, params: Params, inputs: Array, statistics: Statistics = None, *, model_state: Any = None
) -> Array:
    """The scores of one batch in evaluation mode, f32[B, C], each device its part."""

    def of(x: Array) -> Array:
        return _apply(task, params, model_state, task.transform(statistics, x))[0]

    x = sharding.shard(inputs)
    return sharding.shard((of(x) + of(x[:, :, ::-1])) / 2 if task.mirror else of(x))
