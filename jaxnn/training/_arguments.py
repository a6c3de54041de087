"""What can be checked of a training before anything is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from jaxnn import sharding

if TYPE_CHECKING:
    from jaxnn.training._task import Data


def check_arguments(data: Data, epochs: int, batch_size: int, select: str | None, patience: int | None) -> None:
    """Check what can be checked before anything is compiled.

    Args:
        data, epochs, batch_size, select, patience: as `run`.

    Raises:
        TypeError, ValueError: as `run`.

    Example:
        >>> from jaxnn.training._arguments import check_arguments
        >>> check_arguments(data, epochs=5, batch_size=50, select=None, patience=None)
        Traceback (most recent call last):
            ...
        ValueError: run: batch_size 50 is larger than the 40 training examples; choose at most that
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if value is None and name == "patience":
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"run: {name} must be a whole number, got {value!r}")
        if value < 1:
            raise ValueError(f"run: {name} must be at least 1, got {value}")
    if patience is not None and select is None:
        raise ValueError(f"run: patience={patience} needs select, the measure to wait for, such as 'validation_loss'")
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
            f"run: batch_size {batch_size} is larger than the {len(data.inputs)} training examples; choose at most that"
        )
    sharding.check_batch_size(batch_size)
