"""Metrics of scores: accuracy, confusion counts, recall per class."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

__all__ = ["accuracy", "confusion", "recall"]


def correct(scores: Array, labels: Array) -> Array:
    """Whether the highest score is the right class's; of equal scores the lowest class number is taken."""
    scores, labels = jnp.asarray(scores), jnp.asarray(labels)
    _expect_integer("correct: labels", labels)
    if scores.ndim == 0 or scores.shape[:-1] != labels.shape:
        raise ValueError(
            f"correct: expected scores[..., C] and labels[...] with the same leading axes, "
            f"got scores{list(scores.shape)} and labels{list(labels.shape)}"
        )
    # not argmax, which compilers neither vectorize nor fuse with the loss
    numbers = jax.lax.broadcasted_iota(jnp.int32, scores.shape, scores.ndim - 1)
    highest = jnp.broadcast_to(scores.max(-1, keepdims=True), scores.shape)
    first = jnp.where(scores == highest, numbers, scores.shape[-1]).min(-1)
    return first == labels.astype(jnp.int32)


def accuracy(scores: Array, labels: Array) -> Array:
    """The fraction of examples whose highest score is the right class's; of equal scores the lowest class counts.

    Args:
        scores: f32[..., C].
        labels: int[...].

    Returns:
        f32[], in [0, 1]; NaN for no examples.

    Raises:
        TypeError: `labels` is not integer.
        ValueError: the leading axes differ.

    Example:
        >>> print(metrics.accuracy(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 1])))
        0.5
    """
    return correct(scores, labels).astype(jnp.float32).mean()


MOST_CLASSES = 46_340
"""The most classes of `confusion`, whose cells are numbered in 32 bits."""


def confusion(labels: Array, predictions: Array, classes: int) -> Array:
    """The confusion matrix: `counts[i, j]` examples of class i were predicted as class j.

    Args:
        labels: int[...], the right classes, in [0, classes).
        predictions: int[...], the predicted classes, in [0, classes).
        classes: the number of classes C.

    Returns:
        i32[C, C]; its sum is the number of examples.

    Raises:
        TypeError: `labels` or `predictions` is not integer, or `classes` is not a whole number.
        ValueError: the shapes differ, `classes` is out of range, or a class is (checked only outside `jit`).

    Example:
        >>> print(metrics.confusion(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]), 2))
        [[1 1]
         [0 2]]
    """
    labels, predictions = jnp.asarray(labels), jnp.asarray(predictions)
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer):
        raise TypeError(f"confusion: classes must be a whole number, got {classes!r}")
    if not 1 <= classes <= MOST_CLASSES:
        raise ValueError(f"confusion: classes must be from 1 to {MOST_CLASSES}, got {classes}")
    if labels.shape != predictions.shape:
        raise ValueError(
            f"confusion: labels{list(labels.shape)} and predictions{list(predictions.shape)} must have the same shape"
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        _expect_integer(f"confusion: {name}", values)
        if isinstance(values, Tracer) or values.size == 0:
            continue
        known = np.asarray(values)  # NumPy: inside `jit`, JAX would trace even the minimum of a constant
        if not 0 <= known.min() <= known.max() < classes:
            raise ValueError(
                f"confusion: {name} must be in [0, {classes}), got values from {known.min()} to {known.max()}"
            )
    cells = labels.ravel().astype(jnp.int32) * classes + predictions.ravel().astype(jnp.int32)
    return jnp.bincount(cells, length=classes * classes).reshape(classes, classes).astype(jnp.int32)


def recall(counts: Array) -> Array:
    """The fraction of each class's examples that were recognized.

    Formula: `recall_i = counts[i, i] / sum over j of counts[i, j]`.

    Args:
        counts: i32[C, C] of `confusion`.

    Returns:
        f32[C], in [0, 1]; NaN for a class without examples.

    Raises:
        ValueError: `counts` is not square.

    Example:
        >>> print(metrics.recall(jnp.array([[1, 1], [0, 2]])))
        [0.5 1. ]
    """
    counts = jnp.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"recall: expected square counts[C, C], got {list(counts.shape)}")
    return jnp.diagonal(counts).astype(jnp.float32) / counts.sum(1).astype(jnp.float32)


def _expect_integer(where: str, values: Array) -> None:
    if not jnp.issubdtype(values.dtype, jnp.integer):
        raise TypeError(f"{where} must be integer class numbers, got {values.dtype}")
