"""What a classifier says of examples that come in batches, for more of them than fit in memory."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn import sharding
from jaxnn.training._step import score_batch
from jaxnn.training._task import Hparams, MakeTask, Statistics

PaddedBatch = tuple[Array | np.ndarray, Array | np.ndarray, int]
"""A batch, and how many of its first examples count."""


class Evaluation(NamedTuple):
    """What a classifier says of examples, in evaluation mode.

    Attributes:
        losses: f32[N].
        predictions: i32[N], the classes with the highest scores.
        confidences: f32[N], their probabilities.
        right: bool[N].
    """

    losses: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray
    right: np.ndarray


def evaluate(
    make_task: MakeTask,
    hparams: Hparams,
    statistics: Statistics,
    params: Any,
    model_state: Any,
    batches: Iterable[PaddedBatch],
) -> Evaluation:
    """What a classifier says of examples that come in batches.

    Args:
        make_task, hparams: as `fit_stream`.
        statistics: what `Task.transform` needs.
        params, model_state: of the classifier.
        batches: of the examples, all of one shape.

    Returns:
        An `Evaluation`, of the examples that count.

    Raises:
        ValueError: there is no batch.

    Example:
        >>> inputs, labels = map(np.asarray, (data.inputs, data.labels))
        >>> state = training.init_state(task(h), key)
        >>> found = training.evaluate(task, h, None, state.params, None, [(inputs, labels, 30), (inputs, labels, 7)])
        >>> found.losses.shape, bool((found.right == (found.predictions == np.append(labels[:30], labels[:7]))).all())
        ((37,), True)
    """
    given = sharding.replicate((hparams, statistics, params, model_state))
    parts = []
    for inputs, labels, count in batches:
        found = _examine(make_task, *given, inputs, labels)
        parts.append([np.asarray(values)[:count] for values in found])
    if not parts:
        raise ValueError("examine: there are no examples")
    return Evaluation(*map(np.concatenate, zip(*parts, strict=True)))


@functools.partial(jax.jit, static_argnames="make_task")
def _examine(
    make_task: MakeTask,
    hparams: Hparams,
    statistics: Statistics,
    params: Any,
    model_state: Any,
    inputs: Array,
    labels: Array,
) -> tuple[Array, Array, Array, Array]:
    task = make_task(hparams)
    scores = score_batch(task, params, inputs, statistics, model_state=model_state)
    predictions = jnp.argmax(scores, -1).astype(jnp.int32)
    right = predictions == labels.astype(jnp.int32)
    return sharding.replicate_inside((task.loss(scores, labels), predictions, jax.nn.softmax(scores).max(-1), right))
