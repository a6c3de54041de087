"""The compiled function of a training, not called but handed out, so that it can be compiled for another machine."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from jaxnn import sharding
from jaxnn.training._fit import compiled_train_until
from jaxnn.training._flat import flatten_data
from jaxnn.training._run import check_data, check_options, init_run
from jaxnn.training._stream import stream_step
from jaxnn.training._sweep import compiled_grid
from jaxnn.training._task import Data, Hparams, MakeTask, Options, Stream


def program(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    data: Data | Stream,
    *,
    epochs: int,
    batch_size: int | None = None,
    select: str | None = None,
    patience: int | None = None,
) -> tuple[Any, ...]:
    """The compiled function that `fit` calls, or with key[S] and hyper-parameters [H] `sweep`, and its arguments."""
    check_options(epochs, 1 if isinstance(data, Stream) else batch_size, select, patience)
    hparams = jax.tree.map(jnp.asarray, hparams)
    start = functools.partial(init_run, make_task, hparams, key, data, epochs=epochs, select=select)
    if isinstance(data, Stream):
        split = NamedSharding(AbstractMesh((1,), (sharding.DATA,)), PartitionSpec(sharding.DATA))
        parts = next(iter(data.batches(0)))[:2]
        batch = tuple(jax.ShapeDtypeStruct(part.shape, part.dtype, sharding=split) for part in parts)
        return stream_step, make_task, hparams, data.statistics, jax.eval_shape(start), batch
    assert batch_size is not None
    check_data(data, batch_size)
    data = flatten_data(data)
    options = Options(make_task, batch_size, select, patience)
    if key.ndim:
        return compiled_grid, options, hparams, key, data, epochs
    return compiled_train_until[False], options, hparams, key, data, jax.eval_shape(start), np.int32(epochs)
