"""Connect the processes of one training, wait for them, and report a lost one.

Examples start from:
    >>> from jaxnn import distributed
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxnn import sharding

__all__ = ["initialize"]

CONNECT_SECONDS = 120
BLOCK = 2**26
"""Bytes that are sent at a time."""


def initialize(
    coordinator: str, processes: int | None = None, process: int | None = None, *, patience: int = 20
) -> None:
    """Connect this process with the others of a training; call it before any computation.

    Args:
        coordinator: HOST:PORT of process 0, the same in all processes; or "auto", which reads all three from the
            variables of the cluster (Slurm, Open MPI, MPI, Kubernetes, Cloud TPU) or `JAX_COORDINATOR_ADDRESS`.
        processes: the number of processes.
        process: the number of this one, from 0.
        patience: seconds without a heartbeat after which a process counts as lost; the others then end with an error
            instead of waiting for it.

    Raises:
        ValueError: an argument is missing or out of range, or there are no variables of a cluster.
        OSError: the other processes were not found.

    Example:
        >>> distributed.initialize("10.0.0.1:1234", processes=2, process=2)
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
    # all devices of this process; JAX detects a cluster only if an argument is missing
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


def barrier() -> None:
    """Within `data_parallel`, wait for all processes, before they compile.

    Gloo, which connects CPUs, abandons the first communication of the same devices if a process is half a minute late;
    later ones wait.
    """
    if jax.process_count() > 1:
        multihost_utils.process_allgather(np.int32(0))  # of one device of each process with those of the others
        ones = sharding.from_local(np.ones(jax.local_device_count(), np.float32))
        jax.block_until_ready(jax.jit(jnp.sum)(ones))


@contextlib.contextmanager
def report_lost_peers() -> Iterator[None]:
    """Turn the failure of a computation with other processes into a ConnectionError that names the likely cause."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise ConnectionError(
            f"process {jax.process_index()} of {jax.process_count()} lost the others: one of them has ended or "
            f"is unreachable; read its messages, and start all of them again ({str(error).splitlines()[0]})"
        ) from error


def exit_on_failure(status: int) -> int:
    """End this process at once if it failed and is one of several: a normal exit would wait for the others."""
    if status and jax.distributed.is_initialized() and jax.process_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def all_gather(tree: Any) -> list[Any]:
    """The trees of all processes, each with leaves of the same shapes and types, by their number, bit for bit; leaves
    become NumPy arrays.
    """
    here = jax.device_get(tree)
    if jax.process_count() == 1:
        return [here]
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, here))
    # as bytes: JAX would round numbers of 64 bits to 32
    every = multihost_utils.process_allgather([np.frombuffer(leaf.tobytes(), np.uint8) for leaf in leaves])

    def of_process(i: int) -> Any:
        found = (a[i].view(leaf.dtype).reshape(leaf.shape) for a, leaf in zip(every, leaves, strict=True))
        return structure.unflatten(found)

    return [of_process(i) for i in range(jax.process_count())]


def broadcast_scalar(value: float) -> float:
    """Broadcast the value of process 0 to all processes, so that they take the same decisions."""
    if jax.process_count() == 1:
        return value
    return float(multihost_utils.broadcast_one_to_all(np.float32(value)))


def broadcast_bytes(content: bytes) -> bytes:
    """Broadcast the bytes of process 0 to all processes; what the others give is ignored."""
    blocks, rest = np.asarray(multihost_utils.broadcast_one_to_all(np.array(divmod(len(content), BLOCK), np.int32)))
    found, size = [], int(blocks) * BLOCK + int(rest)
    for start in range(0, size, BLOCK):
        length = min(BLOCK, size - start)
        block = np.frombuffer(content[start : start + length].ljust(length, b"\0"), np.uint8)
        found.append(np.asarray(multihost_utils.broadcast_one_to_all(block)).tobytes())
    return b"".join(found)
