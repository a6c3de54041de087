"""The parameters along the way of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxnn.training import Data, Run, init_run, train_until

__all__ = ["trajectory"]


def trajectory(
    make_task: Any, hparams: Any, key: Array, data: Data, epochs: Sequence[int], batch_size: int
) -> tuple[Any, Run]:
    """Train as `training.run` does, and keep the parameters after chosen epochs.

    Args:
        make_task: as `training.run`.
        hparams: as `training.run`.
        key: as `training.run`.
        data: as `training.run`.
        epochs: after how many epochs to keep the parameters, rising; 0 is before the first. Static.
        batch_size: as `training.run`.

    Returns:
        The parameters, each leaf [len(epochs), ...], and the `Run` after the last of the epochs.

    Raises:
        ValueError: the epochs are not whole numbers from 0 that rise.

    Source: the same steps as `training.run`: snapshots change nothing.

    Example:
        >>> from jaxnn.inspect.trajectory import trajectory
        >>> task = lambda rate: training.Task(models.linear(2, 2), losses.softmax, optax.sgd(rate))
        >>> examples = training.Data(*data.toy.gauss(40))
        >>> params, run = trajectory(task, 0.1, jax.random.key(0), examples, epochs=(0, 1, 5), batch_size=20)
        >>> params[0]["w"].shape, int(run.epoch)
        ((3, 2, 2), 5)
    """
    stops = list(epochs)
    if not stops or any(not isinstance(e, int) for e in stops) or stops != sorted(set(stops)) or stops[0] < 0:
        raise ValueError(f"snapshots: epochs must be whole numbers from 0 that rise, got {stops}")
    if stops[-1] == 0:
        raise ValueError("snapshots: epochs must end with at least 1; 0 alone trains nothing")
    data = jax.tree.map(jnp.asarray, data)

    def go_on(progress: Run, stop: Array) -> tuple[Run, Any]:
        progress = train_until(make_task, hparams, key, data, progress, stop, batch_size, None, None)
        return progress, progress.state.params

    begin = init_run(make_task, hparams, key, data, stops[-1], batch_size, None)
    last, kept = jax.lax.scan(go_on, begin, jnp.asarray(stops, jnp.int32))
    return kept, last
