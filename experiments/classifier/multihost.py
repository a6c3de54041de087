"""Devices and processes of a run: joining the other processes, and sharing what process 0 read."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np
from rich.console import Console

from experiments.classifier import resume
from experiments.classifier.config import Config
from experiments.classifier.resume import SavedRun
from experiments.cli import files
from experiments.cli.command import Warn
from jaxnn import checkpoint, distributed, sharding

Result = TypeVar("Result")


@contextlib.contextmanager
def own_folder(folder: Path | None, holds: str) -> Iterator[Path | None]:
    """The folder in process 0; in the others a temporary one, with a copy of its files if a file of that name is there.

    So each process reads and writes its own, and all take the same decisions.
    """
    if not jax.distributed.is_initialized() or jax.process_count() == 1:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary, distributed.report_lost_peers():
        with sharding.data_parallel():
            distributed.barrier()
            if jax.process_index() == 0:
                there = folder if folder is not None and (folder / holds).is_file() else Path(temporary)
                names = [path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()]
                distributed.broadcast_bytes(json.dumps(names).encode())
                for name in names:
                    distributed.broadcast_bytes((there / name).read_bytes())
            else:
                folder = Path(temporary)
                for name in json.loads(distributed.broadcast_bytes(b"")):
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(distributed.broadcast_bytes(b""))
        yield folder


def read_run(folder: Path, device: str, warn: Warn, held: contextlib.ExitStack) -> SavedRun:
    """Choose the device to resume on, lock and read the run in a folder, which only process 0 needs to see."""
    choose_device(resume.device(folder, device))
    with distributed.report_lost_peers():
        if jax.process_index() > 0:
            return broadcast_run(None)
        if folder.is_dir():
            held.enter_context(files.locked(folder))
        return broadcast_run(resume.find(folder, warn))


def on_all_devices(
    task: Callable[[Config, Console, SavedRun | None], Result],
    config: Config,
    console: Console,
    stored: SavedRun | None,
) -> Result:
    """`task` in every process, over all devices; what other processes than 0 write and print is dropped."""
    with sharding.data_parallel(), distributed.report_lost_peers():
        distributed.barrier()
        if jax.process_index() == 0:
            return task(config, console, stored)
        with tempfile.TemporaryDirectory() as folder:
            # checkpoint_every stays: epochs are chunked by it, alike in all processes
            config = dataclasses.replace(config, out=Path(folder), checkpoint_minutes=0.0)
            stored = None if stored is None else stored._replace(folder=Path(folder))
            return task(config, Console(quiet=True), stored)


def broadcast_run(stored: SavedRun | None) -> SavedRun:
    """Broadcast the run that process 0 has read to all processes."""
    if jax.process_count() == 1:
        assert stored is not None
        return stored
    content = b"" if stored is None else to_bytes(stored)
    with sharding.data_parallel():
        distributed.barrier()
        return from_bytes(distributed.broadcast_bytes(content))


def to_bytes(stored: SavedRun) -> bytes:
    """A run as bytes: a line of JSON, then the arrays."""
    found = stored.checkpoint
    arrays = {} if found is None else found.arrays
    about = {
        "folder": str(stored.folder),
        "settings": stored.settings,
        "summary": stored.summary,
        "checkpoint": None if found is None else [str(found.path), found.about],
        "arrays": {name: [array.dtype.name, array.shape] for name, array in arrays.items()},
    }
    return b"".join([json.dumps(about).encode(), b"\n", *(array.tobytes() for array in arrays.values())])


def from_bytes(content: bytes) -> SavedRun:
    """The inverse of `to_bytes`."""
    line, _, rest = content.partition(b"\n")
    about, arrays, offset = json.loads(line), {}, 0
    for name, (kind, shape) in about["arrays"].items():
        arrays[name] = np.frombuffer(rest, np.dtype(kind), math.prod(shape), offset).reshape(shape)
        offset += arrays[name].nbytes
    found = None
    if about["checkpoint"] is not None:
        path, of_checkpoint = about["checkpoint"]
        found = checkpoint.Checkpoint(Path(path), arrays, of_checkpoint)
    return SavedRun(Path(about["folder"]), about["settings"], found, about["summary"])


def connect(config: Config) -> None:
    """Join the other processes of the run, if any."""
    if config.coordinator is not None:
        distributed.initialize(config.coordinator, config.num_processes, config.process_id)
    elif (config.num_processes, config.process_id) != (None, None):
        name = "num-processes" if config.num_processes is not None else "process-id"
        raise ValueError(f"--{name} needs --coordinator HOST:PORT, the address of process 0, or --coordinator auto")


def choose_device(wanted: str) -> str:
    """Select the kind of device before JAX starts; returns its description."""
    if wanted != "auto":
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(wanted, wanted))
    try:
        device = jax.devices()[0]
    except (RuntimeError, AssertionError) as error:  # AssertionError: a plugin that is not installed
        reason = f" ({error})" if str(error) else ""
        raise ValueError(
            f"--device {wanted}: JAX has no such device here{reason}; for an NVIDIA GPU, pip install 'jax[cuda13]'; "
            "--device auto takes what there is"
        ) from error
    several = f" x {jax.device_count()}" if jax.device_count() > 1 else ""
    kind = f" ({device.device_kind})" if device.device_kind != device.platform else ""
    return f"{device.platform}{kind}{several}"
