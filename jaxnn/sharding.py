"""Many devices and many processes for the same `run`, `fit` and `sweep`.

A mesh is set with `jax.set_mesh` (or `data_parallel`, `model_parallel`); the functions of this module read it and do
nothing without one. The compiler inserts the communication: one all-reduce of the gradient (with the loss and the
accuracy) per training step, none in a sweep.

    with sharding.data_parallel():  # all devices of all processes
        run, timing = training.fit(task, hparams, key, data, epochs=30, batch_size=256)

Every device holds all of the data, so that a step needs no communication to fetch its examples (`jaxnn.data.loader`
is for data that do not fit), and takes an equal part of each batch. The order of the examples, the augmentation and the
dropout masks do not depend on the number of devices; sums have another order, so that losses agree up to rounding.

Examples start from:
    >>> from jaxnn import sharding
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

__all__ = ["data_parallel", "model_parallel"]

DATA = "data"
"""The mesh axis over which batches are split."""
MODELS = "models"
"""The mesh axis over which the models of a sweep are split."""


def data_parallel(devices: Sequence[Any] | None = None) -> contextlib.AbstractContextManager[Any]:
    """A context in which `run` and `fit` split every batch over devices.

    Args:
        devices: by default all, of all processes.

    Returns:
        A context manager.

    Example:
        >>> with sharding.data_parallel(jax.devices()[:1]):  # `training.fit` in here would split every batch
        ...     print(sharding.axis_size(sharding.DATA), sharding.axis_size(sharding.MODELS))
        1 1
    """
    return _over(DATA, devices)


def model_parallel(devices: Sequence[Any] | None = None) -> contextlib.AbstractContextManager[Any]:
    """A context in which `sweep` splits the models over devices, without communication.

    Of several processes each trains chunks of models of its own on its devices, and all get all results.

    Args:
        devices: of this process, by default all of them.

    Returns:
        A context manager.

    Raises:
        ValueError: a device is that of another process.

    Example:
        >>> with sharding.model_parallel(jax.devices()[:1]):  # `training.sweep` in here would spread its models
        ...     print(sharding.axis_size(sharding.DATA), sharding.axis_size(sharding.MODELS))
        1 1
    """
    devices = devices or jax.local_devices()
    if foreign := [device for device in devices if device.process_index != jax.process_index()]:
        raise ValueError(f"model_parallel: devices must be of this process, got {foreign[0]}; leave them out for all")
    return _over(MODELS, devices)


def _over(axis: str, devices: Sequence[Any] | None) -> contextlib.AbstractContextManager[Any]:
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return jax.set_mesh(Mesh(np.array(devices), (axis,), axis_types=(AxisType.Auto,)))


def axis_size(axis: str = DATA) -> int:
    """The number of devices over which the current mesh splits an axis."""
    return jax.sharding.get_abstract_mesh().shape.get(axis, 1)


def check_batch_size(batch_size: int) -> None:
    """Check that a batch can be split into equal parts, one per device."""
    devices = axis_size()
    if batch_size % devices:
        below, above = batch_size // devices * devices, -(-batch_size // devices) * devices
        nearest = f"{below} or {above}" if below else str(above)
        raise ValueError(
            f"run: batch_size {batch_size} cannot be split over {devices} devices; "
            f"the nearest sizes that can: {nearest}"
        )


def on_cpu() -> bool:
    """Whether a program that is being traced is for a CPU: that of the mesh, which need not be the machine's own."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return (jax.default_backend() if device is None else device.platform) == "cpu"


def shard(tree: Any, axis: int = 0, over: str = DATA) -> Any:
    """Inside a program: each device computes its part of the arrays, split along an axis; nothing without a mesh."""
    if axis_size(over) == 1:
        return tree
    spec = PartitionSpec(*[None] * axis, over)
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, spec), tree)


def replicate_inside(tree: Any) -> Any:
    """Inside a program: every device holds all of the arrays; nothing without a mesh."""
    if jax.sharding.get_abstract_mesh().empty:
        return tree
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, PartitionSpec()), tree)


def replicate(tree: Any) -> Any:
    """Put arrays on the devices, whole on each of them."""
    if jax.sharding.get_abstract_mesh().empty:
        return jax.device_put(tree)  # unlike `jnp.asarray`, it compiles no program for each shape
    everywhere = NamedSharding(jax.sharding.get_mesh(), PartitionSpec())

    def put(leaf: Any) -> Array:
        if isinstance(leaf, Array) and leaf.sharding.is_equivalent_to(everywhere, leaf.ndim):
            return leaf
        if jax.process_count() == 1:
            return jax.device_put(leaf, everywhere)
        if jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        values = np.asarray(leaf)
        values = values.astype(jax.dtypes.canonicalize_dtype(values.dtype), copy=False)
        return jax.make_array_from_callback(values.shape, everywhere, lambda place: values[place])

    return jax.tree.map(put, tree)


def from_local(tree: Any) -> Any:
    """Put this process's part of a batch on its devices, an equal part on each."""
    if jax.sharding.get_abstract_mesh().empty:
        return jax.tree.map(jax.device_put, tree)
    parts = NamedSharding(jax.sharding.get_mesh(), PartitionSpec(DATA))
    return jax.tree.map(lambda a: jax.make_array_from_process_local_data(parts, a), tree)
