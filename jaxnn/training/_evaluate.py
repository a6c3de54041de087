"""Losses and predictions of a classifier, of examples in memory or in batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxnn import sharding
from jaxnn.metrics import accuracy, correct
from jaxnn.training._flat import flatten, unflatten
from jaxnn.training._step import batches_of, eval_params, predict_scores, score_batch
from jaxnn.training._task import Batch, Data, Evaluation, Hparams, MakeTask, PaddedBatch, State, Statistics, Task


def evaluate(
    make_task: MakeTask,
    hparams: Hparams,
    statistics: Statistics,
    params: Any,
    model_state: Any,
    examples: Batch | Iterable[PaddedBatch],
) -> Evaluation:
    """Losses and predictions of a classifier, in evaluation mode.

    Args:
        make_task, hparams: as `fit`.
        statistics: what `Task.transform` needs.
        params, model_state: of the classifier.
        examples: arrays in memory, (inputs[N, ...], labels[N]), or batches of one shape, each (inputs[B, ...],
            labels[B], how many of its first examples count), as from `jaxnn.data.loader.sequential_batches`.

    Returns:
        An `Evaluation`, of all N examples, or of those that count.

    Raises:
        ValueError: there are no examples.

    Example:
        >>> inputs, labels = map(np.asarray, (data.inputs, data.labels))
        >>> params = training.init_state(task(h), key).params
        >>> found = training.evaluate(task, h, None, params, None, (inputs, labels))
        >>> found.losses.shape, bool((found.right == (found.predictions == labels)).all())
        ((40,), True)
        >>> batches = [(inputs[:30], labels[:30], 30), (inputs[10:], labels[10:], 7)]
        >>> training.evaluate(task, h, None, params, None, batches).losses.shape
        (37,)
    """
    given = sharding.replicate((hparams, statistics, params, model_state))
    score, batches = score_batch, cast("Iterable[PaddedBatch]", examples)
    if isinstance(examples, tuple) and len(examples) == 2 and hasattr(examples[1], "shape"):
        count = len(examples[1])
        score, batches = predict_scores, [(flatten(examples[0]), examples[1], count)] if count else []
    parts = []
    for inputs, labels, count in batches:
        found = _evaluate(score, make_task, *given, inputs, labels)
        parts.append([np.asarray(values)[:count] for values in found])
    if not parts:
        raise ValueError("evaluate: there are no examples")
    return Evaluation(*map(np.concatenate, zip(*parts, strict=True)))


@functools.partial(jax.jit, static_argnames=("score", "make_task"))
def _evaluate(
    score: Callable[..., Array],
    make_task: MakeTask,
    hparams: Hparams,
    statistics: Statistics,
    params: Any,
    model_state: Any,
    inputs: Array,
    labels: Array,
) -> tuple[Array, Array, Array, Array]:
    task = make_task(hparams)
    scores = score(task, params, inputs, statistics, model_state=model_state)
    predictions = jnp.argmax(scores, -1).astype(jnp.int32)
    right = predictions == labels.astype(jnp.int32)
    return sharding.replicate_inside((task.loss(scores, labels), predictions, jax.nn.softmax(scores).max(-1), right))


class Splits(NamedTuple):
    """Several splits as one, so that one piece of a program evaluates them all."""

    inputs: Any
    labels: Array
    sizes: tuple[tuple[str, int], ...]
    """The name and the number of examples of each, in their order."""


def join_splits(data: Data) -> Splits | None:
    """The splits of `Data.evaluate` one after the other; None if there are none."""
    if not data.evaluate:
        return None
    inputs, labels = zip(*data.evaluate.values(), strict=True)
    sizes = tuple((name, len(of_split)) for name, (_, of_split) in data.evaluate.items())
    whole = jnp.concatenate([jnp.asarray(part).astype(jnp.int32) for part in labels])
    return Splits(jax.tree.map(lambda *parts: jnp.concatenate(parts), *inputs), whole, sizes)


def evaluate_splits(task: Task, state: State, statistics: Statistics, splits: Splits | None) -> dict[str, Array]:
    """The metrics of each split, `NAME_loss` and `NAME_accuracy`, f32[]."""
    if splits is None:
        return {}
    if task.accuracy is accuracy:
        means = _means(task, state, statistics, splits)
    else:  # not a mean over examples
        scores = predict_scores(task, eval_params(state), splits.inputs, statistics, model_state=state.model_state)
        ends = np.cumsum([size for _, size in splits.sizes])
        parts = [slice(end - size, end) for (_, size), end in zip(splits.sizes, ends, strict=True)]
        losses, labels = task.loss(scores, splits.labels), splits.labels
        means = [(losses[part].mean(), task.accuracy(scores[part], labels[part])) for part in parts]
    names = [f"{name}_{metric}" for name, _ in splits.sizes for metric in ("loss", "accuracy")]
    return dict(zip(names, (mean for of_split in means for mean in of_split), strict=True))


def _means(task: Task, state: State, statistics: Statistics, splits: Splits) -> Array:
    """The mean loss and the fraction of right predictions of each split, f[S, 2]: devices exchange sums alone."""
    params, count = eval_params(state), len(splits.labels)
    batches, size = batches_of(count)
    sizes = np.array([size for _, size in splits.sizes])[:, None]
    ends = np.cumsum(sizes)[:, None]

    def judge(i: ArrayLike) -> Array:
        first = jnp.minimum(i * size, count - size)  # all batches have one size: the last one may begin earlier
        cut = lambda a: jax.lax.dynamic_slice_in_dim(a, first, size)
        inputs, labels = jax.tree.map(cut, (splits.inputs, splits.labels))
        scores = score_batch(task, params, unflatten(inputs), statistics, model_state=state.model_state)
        losses = task.loss(scores, labels)
        found = jnp.stack([losses, correct(scores, labels).astype(losses.dtype)])
        place = (first + jnp.arange(size))[None]
        counts = (place >= i * size) & (place >= ends - sizes) & (place < ends)
        return sharding.shard(jnp.where(counts[:, None], found[None], 0), 2)

    start = sharding.shard(jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(judge, 0)), 2)
    sums = jax.lax.fori_loop(0, batches, lambda i, sums: sums + judge(i), start).sum(-1)
    return sums / sizes.astype(sums.dtype)
