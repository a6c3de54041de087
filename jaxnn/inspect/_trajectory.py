"""Parameters at chosen epochs of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxnn.training import Data, Options, Run, init_run, train_until


def trajectory(
    make_task: Any, hparams: Any, key: Array, data: Data, epochs: Sequence[int], batch_size: int
) -> tuple[Any, Run]:
    """Train as `training.run` does and keep the parameters after chosen epochs.

    Args:
        make_task, hparams, key, data, batch_size: as `training.run`.
        epochs: keep the parameters after these epochs, in increasing order; 0 is before the first. Static.

    Returns:
        The parameters, each leaf [len(epochs), ...], and the `Run` after the last of these epochs.

    Raises:
        ValueError: the epochs are not increasing whole numbers from 0.

    Example:
        >>> task = lambda rate: training.Task(models.linear(2, 2), losses.softmax, optax.sgd(rate))
        >>> examples = training.Data(*data.toy.gauss(40))
        >>> params, run = inspect.trajectory(task, 0.1, jax.random.key(0), examples, epochs=(0, 1, 5), batch_size=20)
        >>> params[0]["w"].shape, int(run.epoch)
        ((3, 2, 2), 5)
    """
    stops = list(epochs)
    if not stops or any(not isinstance(e, int) for e in stops) or stops != sorted(set(stops)) or stops[0] < 0:
        raise ValueError(f"trajectory: epochs must be increasing whole numbers from 0, got {stops}")
    if stops[-1] == 0:
        raise ValueError("trajectory: the last of the epochs must be at least 1, got [0], which trains nothing")
    data = jax.tree.map(jnp.asarray, data)

    def train_to(progress: Run, stop: Array) -> tuple[Run, Any]:
        progress = train_until(Options(make_task, batch_size), hparams, key, data, progress, stop)
        return progress, progress.state.params

    start = init_run(make_task, hparams, key, data, epochs=stops[-1])
    last, kept = jax.lax.scan(train_to, start, jnp.asarray(stops, jnp.int32))
    return kept, last
