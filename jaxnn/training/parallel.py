"""Many devices and many processes: the same `run`, `fit` and `sweep`, told where their arrays lie.

A mesh is set with `jax.set_mesh` (or `over_data`, `over_models`); the functions of this room read it and do nothing
where there is none. The compiler makes the communication: of a training step one all-reduce of the gradient (with the
loss and the accuracy), of a sweep none.

    with parallel.over_data():  # all devices of all processes
        run, timing = training.fit(task, hparams, key, data, epochs=30, batch_size=256)

The data lie whole on every device, so that a step fetches its examples without communication (`jaxnn.data.stream` is
for those that do not fit); every device takes an equal part of each batch. The order of the examples, the augmentation
and the dropout masks do not depend on how many devices there are; sums are made in another order, so that losses agree
to rounding.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA = "data"
"""The axis of the mesh over which batches are split."""
MODELS = "models"
"""The axis of the mesh over which the models of a sweep are split."""
CONNECT_SECONDS = 120


def connect(coordinator: str, processes: int | None = None, process: int | None = None, *, patience: int = 20) -> None:
    """Join this process with the others of a training; to be called before anything is computed.

    Args:
        coordinator: HOST:PORT of process 0, the same in all processes; or "auto": all three are read from the variables
            of the cluster (Slurm, Open MPI, MPI, Kubernetes, Cloud TPU) or from `JAX_COORDINATOR_ADDRESS`.
        processes: how many processes there are.
        process: which one this is, from 0.
        patience: seconds after which a process that is not heard of is taken for dead; the others then end with an
            error instead of waiting for it.

    Raises:
        ValueError: an argument is missing or out of range, or the variables of a cluster are not there.
        OSError: the others were not found.

    Example:
        >>> parallel.connect("10.0.0.1:1234", processes=2, process=2)
        Traceback (most recent call last):
            ...
        ValueError: the number of this process must be from 0 to 1, got 2
    """
    address = None
    if coordinator != "auto":
        address = coordinator
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"coordinator must be HOST:PORT of process 0, such as 10.0.0.1:1234, got {coordinator!r}")
        if processes is None or process is None:
            raise ValueError(f"coordinator {coordinator} needs the number of processes and the number of this one")
    if processes is not None and processes < 1:
        raise ValueError(f"the number of processes must be at least 1, got {processes}")
    if process is not None and not 0 <= process < (processes or process + 1):
        raise ValueError(f"the number of this process must be from 0 to {(processes or 1) - 1}, got {process}")
    # all devices of this process: JAX looks for a cluster, which tells more, only where something is not given
    try:
        jax.distributed.initialize(
            address,
            processes,
            process,
            cluster_detection_method="deactivate" if address else None,
            heartbeat_timeout_seconds=patience,
            initialization_timeout=CONNECT_SECONDS,
        )
    except ValueError as error:
        raise ValueError(f"coordinator auto: found no cluster ({error}); give the address of process 0") from error
    except RuntimeError as error:
        raise OSError(f"the processes did not find each other at {coordinator}: {error}") from error


def meet() -> None:
    """Within `over_data`, communicate for the first time: while all processes are here, before they compile.

    Gloo, which connects CPUs, gives up a first meeting for which a process is half a minute late; later ones wait.

    Example:
        >>> parallel.meet()  # alone there is nobody to wait for
    """
    if jax.process_count() > 1:
        ones = put_part(np.ones(jax.local_device_count(), np.float32))
        jax.block_until_ready(jax.jit(jnp.sum)(ones))


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Within it, the failure of a computation with other processes is told as what it most likely is.

    Yields:
        None.

    Raises:
        ConnectionError: another process has ended or is out of reach.

    Example:
        >>> with parallel.watched():
        ...     print(jnp.ones(2).sum())
        2.0
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise ConnectionError(
            f"process {jax.process_index()} of {jax.process_count()} lost the others: one of them has ended or "
            f"is out of reach; see what it said, and start all of them again ({str(error).splitlines()[0]})"
        ) from error


def leave(status: int) -> int:
    """End this process at once if it failed and is one of several: a usual end would wait for the others.

    Args:
        status: the exit status.

    Returns:
        The same, where it does not end.

    Example:
        >>> parallel.leave(0)
        0
    """
    if status and jax.distributed.is_initialized() and jax.process_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def over_data(devices: Sequence[Any] | None = None) -> contextlib.AbstractContextManager[Any]:
    """A context in which `run` and `fit` split every batch over devices.

    Args:
        devices: by default all, of all processes.

    Returns:
        A context manager.

    Example:
        >>> with parallel.over_data(jax.devices()[:1]):  # `training.fit` in here would split every batch
        ...     print(parallel.count(parallel.DATA), parallel.count(parallel.MODELS))
        1 1
    """
    return _over(DATA, devices)


def over_models(devices: Sequence[Any] | None = None) -> contextlib.AbstractContextManager[Any]:
    """A context in which `sweep` and `run_many` split the models over devices, which then share nothing.

    Args:
        devices: by default all, of all processes.

    Returns:
        A context manager.

    Example:
        >>> with parallel.over_models(jax.devices()[:1]):  # `training.sweep` in here would spread its models
        ...     print(parallel.count(parallel.DATA), parallel.count(parallel.MODELS))
        1 1
    """
    return _over(MODELS, devices)


def _over(axis: str, devices: Sequence[Any] | None) -> contextlib.AbstractContextManager[Any]:
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return jax.set_mesh(Mesh(np.array(devices), (axis,), axis_types=(AxisType.Auto,)))


def count(axis: str = DATA) -> int:
    """Over how many devices the mesh that is set splits an axis.

    Args:
        axis: `DATA` or `MODELS`.

    Returns:
        A number, 1 where no mesh is set or it has no such axis.

    Example:
        >>> parallel.count()
        1
    """
    return jax.sharding.get_abstract_mesh().shape.get(axis, 1)


def check_batch_size(batch_size: int) -> None:
    """Check that a batch can be split into equal parts, one for each device.

    Args:
        batch_size: examples a step.

    Raises:
        ValueError: it cannot; the message names the nearest sizes that can.

    Example:
        >>> parallel.check_batch_size(100)  # without a mesh any can
    """
    devices = count()
    if batch_size % devices:
        below, above = batch_size // devices * devices, -(-batch_size // devices) * devices
        nearest = f"{below} or {above}" if below else str(above)
        raise ValueError(
            f"run: batch_size {batch_size} cannot be split over {devices} devices; "
            f"the nearest sizes that can: {nearest}"
        )


def split(tree: Any, axis: int = 0, over: str = DATA) -> Any:
    """Inside a program: have each device compute its part of the arrays.

    Args:
        tree: arrays; an axis that is no multiple of the number of devices is filled up and masked by the compiler.
        axis: which axis is split.
        over: `DATA` or `MODELS`.

    Returns:
        The same values; where no mesh with that axis is set, the same arrays.

    Example:
        >>> print(jax.jit(lambda x: parallel.split(x) ** 2)(jnp.arange(3.0)))
        [0. 1. 4.]
    """
    if count(over) == 1:
        return tree
    spec = PartitionSpec(*[None] * axis, over)
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, spec), tree)


def join(tree: Any) -> Any:
    """Inside a program: have all of the arrays on every device.

    Args:
        tree: arrays.

    Returns:
        The same values; where no mesh is set, the same arrays.

    Example:
        >>> print(jax.jit(lambda x: parallel.join(x) ** 2)(jnp.arange(3.0)))
        [0. 1. 4.]
    """
    if jax.sharding.get_abstract_mesh().empty:
        return tree
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, PartitionSpec()), tree)


def replicate(tree: Any) -> Any:
    """Put arrays on the devices, whole on each of them.

    Args:
        tree: numbers, NumPy arrays or JAX arrays, in every process the same.

    Returns:
        JAX arrays; where no mesh is set, on the default device.

    Example:
        >>> parallel.replicate({"rate": 0.1})["rate"].is_fully_replicated
        True
    """
    if jax.sharding.get_abstract_mesh().empty:
        return jax.tree.map(jnp.asarray, tree)
    everywhere = NamedSharding(jax.sharding.get_mesh(), PartitionSpec())

    def put(leaf: Any) -> Array:
        if isinstance(leaf, Array) and leaf.sharding.is_equivalent_to(everywhere, leaf.ndim):
            return leaf
        if jax.process_count() == 1:
            return jax.device_put(jnp.asarray(leaf), everywhere)
        if jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        values = np.asarray(leaf, jax.dtypes.canonicalize_dtype(np.result_type(leaf)))
        return jax.make_array_from_callback(values.shape, everywhere, lambda place: values[place])

    return jax.tree.map(put, tree)


def put_part(tree: Any) -> Any:
    """Put this process's part of a batch on its devices, an equal share on each.

    Args:
        tree: NumPy arrays; the parts of the processes in their order make up the batch.

    Returns:
        The batch as JAX arrays; where no mesh is set, on the default device.

    Example:
        >>> parallel.put_part(np.zeros((8, 2))).shape
        (8, 2)
    """
    if jax.sharding.get_abstract_mesh().empty:
        return jax.tree.map(jax.device_put, tree)
    parts = NamedSharding(jax.sharding.get_mesh(), PartitionSpec(DATA))
    return jax.tree.map(lambda a: jax.make_array_from_process_local_data(parts, a), tree)


def collect(tree: Any) -> Any:
    """The values of arrays that lie in parts on the devices of several processes.

    Args:
        tree: JAX arrays.

    Returns:
        NumPy arrays, in every process all of them.

    Example:
        >>> type(parallel.collect(jnp.ones(2))).__name__
        'ndarray'
    """

    def whole(leaf: Any) -> np.ndarray:
        if isinstance(leaf, Array) and not leaf.is_fully_addressable and not leaf.is_fully_replicated:
            return multihost_utils.process_allgather(leaf, tiled=True)
        return np.asarray(leaf)

    return jax.tree.map(whole, tree)


def agree(value: float) -> float:
    """One value for all processes, so that they decide alike on what they have measured themselves.

    Args:
        value: what this process has.

    Returns:
        What process 0 has.

    Example:
        >>> parallel.agree(0.25)
        0.25
    """
    if jax.process_count() == 1:
        return value
    return float(multihost_utils.broadcast_one_to_all(np.float32(value)))
