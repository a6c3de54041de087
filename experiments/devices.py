"""Where a command computes: the kind of device, and the other processes of the same training."""

from __future__ import annotations

import jax

from experiments.config import Config
from jaxnn.training import parallel


def connect(config: Config) -> None:
    """Join the other processes of the training, if there are any.

    Args:
        config: the settings.

    Raises:
        ValueError, OSError: as `parallel.connect`; also a ValueError for numbers of processes without a coordinator.
    """
    if config.coordinator is not None:
        parallel.connect(config.coordinator, config.num_processes, config.process_id)
    elif (config.num_processes, config.process_id) != (None, None):
        name = "num-processes" if config.num_processes is not None else "process-id"
        raise ValueError(f"--{name} needs --coordinator HOST:PORT, the address of process 0, or --coordinator auto")


def choose(wanted: str) -> str:
    """Choose the device before JAX starts.

    Args:
        wanted: auto, cpu, gpu or tpu.

    Returns:
        Its name as JAX tells it.

    Raises:
        ValueError: there is no such device.
    """
    if wanted != "auto":
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(wanted, wanted))
    try:
        device = jax.devices()[0]
    except RuntimeError as error:
        raise ValueError(f"--device {wanted}: JAX has no such device here ({error}); try --device auto") from error
    several = f" x {jax.device_count()}" if jax.device_count() > 1 else ""
    return f"{device.platform} ({device.device_kind}){several}"
