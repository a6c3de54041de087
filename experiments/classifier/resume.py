"""Going on with a run that was stopped: what its folder says, whether it fits, and the checkpoints that it writes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shlex
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

import jaxnn
from experiments.classifier.config import Config, Settings
from experiments.classifier.presets import NO_SETTINGS
from experiments.cli import command, files, rescue
from jaxnn import checkpoint, distributed, training
from jaxnn.checkpoint import Checkpointer
from jaxnn.data import Dataset
from jaxnn.data.tfds.lazy import DiskImages

FOLDER = "checkpoints"
C = TypeVar("C", bound=Config)
Warn = Callable[[str], None]


class SavedRun(NamedTuple):
    """A run as its folder holds it."""

    folder: Path
    settings: dict[str, Any]
    """As JSON has them."""
    checkpoint: checkpoint.Checkpoint | None
    """None where the run was stopped before the first."""
    summary: dict[str, Any] | None = None
    """Of a run that is finished; else None."""


def find(folder: Path, warn: Warn) -> SavedRun:
    """Look for a run to go on with, and remove what was left half-written.

    Args:
        folder: of the run, the one that was given as --out.
        warn: told of damaged checkpoints that are passed over.

    Returns:
        A `SavedRun`.

    Raises:
        ValueError: the folder holds no run, its checkpoints are damaged, or its settings were changed.
        OSError: a file cannot be read.
    """
    file = folder / "config.json"
    if not file.exists() and not checkpoint.list_checkpoints(folder / FOLDER):
        raise ValueError(f"--resume {folder} holds no run: no config.json and no checkpoint; give the --out of a run")
    files.remove_unfinished(folder)
    ended = folder / "summary.json"
    summary = json.loads(ended.read_text(encoding="utf-8")) if ended.exists() else None
    newest = checkpoint.latest(folder / FOLDER, warn)
    if newest is None:
        return SavedRun(folder, files.read_sealed(file), None, summary)
    settings = newest.about["settings"]
    try:
        beside = json.loads(file.read_text(encoding="utf-8"))
        changed = changed_settings(settings, {name: beside[name] for name in settings if name in beside})
    except (OSError, ValueError, TypeError) as error:
        warn(f"{file} is missing or damaged ({error}); the settings are taken from {newest.path}")
    else:
        if changed:
            raise ValueError(
                f"{file} was changed since {newest.path} was written ({changed}): put it back, or delete it to go on "
                f"with the settings of the checkpoint"
            )
    return SavedRun(folder, settings, newest, summary)


def device(folder: Path, given: str) -> str:
    """Where a run goes on; to be asked before its checkpoint is read, which starts JAX.

    Args:
        folder: of the run.
        given: what was given as --device.

    Returns:
        What was given, or if that is auto, what the run began with.
    """
    try:
        began = json.loads((folder / "config.json").read_text(encoding="utf-8"))["device"]
    except (OSError, ValueError, TypeError, KeyError):
        return given  # `find` tells what is wrong
    return given if given != "auto" else str(began)


def config_from_json(kind: type[C], settings: Mapping[str, Any], file: Path) -> C:
    """Settings as JSON has them, as the dataclass they came from.

    Args:
        kind: the dataclass.
        settings: by name; what is no field of it is left out.
        file: where they were read, for errors.

    Returns:
        The dataclass, without `out` and `resume`, and without the processes, which may be others.

    Raises:
        ValueError: a setting is missing.
    """
    fields = {field.name for field in dataclasses.fields(kind)}
    if missing := sorted(fields - set(settings) - NO_SETTINGS):
        raise ValueError(f"{file} is of another version: it lacks {', '.join(missing)}; start another run")
    anew = {"out", "resume", "coordinator", "num_processes", "process_id"}
    kept = {name: settings[name] for name in fields - anew if name in settings}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    for name in ("data_dir", "rescue"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    return kind(**values)


def changed_settings(there: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The settings that differ, in words.

    Args:
        there: what was stored, as JSON has it.
        now: what is given now, the same.

    Returns:
        "--epochs 100 there, 200 now", one after the other; empty where none differs.
    """
    changed = [name for name in now if name not in NO_SETTINGS and there.get(name) != now[name]]
    return "; ".join(f"--{name.replace('_', '-')} {there.get(name)} there, {now[name]} now" for name in changed)


def fingerprint(dataset: Dataset) -> str:
    """What tells one dataset from another: a checksum of all examples and labels, their shapes and types. Of images
    that stay on disk the names and sizes of their files are taken for the examples.

    Args:
        dataset: the dataset, split.

    Returns:
        64 hexadecimal digits.
    """
    found = hashlib.sha256(repr((dataset.name, tuple(dataset.classes))).encode())
    for split in (dataset.train, dataset.validation, dataset.test):
        if isinstance(split.inputs, DiskImages):  # on disk: known by their files
            found.update(split.inputs.fingerprint.encode())
            split = split._replace(inputs=split.labels)
        for array in map(np.ascontiguousarray, split):
            found.update(f"{array.dtype.str}{array.shape}".encode())
            found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def check_same(stored: SavedRun, settings: Settings, dataset: Dataset, warn: Warn) -> None:
    """Check that a run goes on as what it was.

    Args:
        stored: as from `find`.
        settings: the settings now.
        dataset: the data now.
        warn: told of another version of JAX.

    Raises:
        ValueError: the settings or the data are others.
    """
    if changed := changed_settings(stored.settings, json.loads(files.as_json(settings))):
        raise ValueError(
            f"--resume {stored.folder}: a run goes on with its own settings alone ({changed}); leave these options "
            f"out, or start another run"
        )
    if stored.checkpoint is None:
        return
    if (streamed := settings.memory_share == 0) != ("run/partial" in stored.checkpoint.arrays):
        way = "with all images in memory" if streamed else "with images that are read from the disk"
        raise ValueError(f"--resume {stored.folder}: it began {way} and goes on so; leave --memory-share out")
    about = stored.checkpoint.about
    if (now := fingerprint(dataset)) != about["data"]:
        raise ValueError(
            f"--resume {stored.folder}: the examples of {dataset.name} are not those the run began with (checksum "
            f"{about['data'][:12]} there, {now[:12]} now); look at --data-dir, or start another run"
        )
    if about["versions"] != versions():
        warn(f"the run began with {about['versions']}, now {versions()}: its last digits may differ")


def versions() -> dict[str, str]:
    """The versions that decide the last digits of a result."""
    return {"jax": jax.__version__, "jaxnn": jaxnn.__version__}


class CheckpointCallback:
    """Writes the checkpoints of a run, each at its time, and the last when the run is stopped by a signal."""

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        statistics: Any,
        earlier: list[float],
        signalled: Callable[[], int | None],
        warn: Warn,
    ) -> None:
        """Begin.

        Args:
            settings: of the run, `out` among them.
            dataset: the data of the run.
            statistics: what was fitted on the training inputs.
            earlier: the seconds of the epochs that were done before the run was stopped.
            signalled: as from `command.catch_signals`.
            warn: told of checkpoints that could not be written.
        """
        assert settings.out is not None
        self.out, self.settings, self.dataset, self.statistics = settings.out, settings, dataset, statistics
        self.earlier, self.signalled, self.warn = earlier, signalled, warn
        self.data: str | None = None
        self.keeper = Checkpointer(
            self.out / FOLDER,
            epochs=settings.checkpoint_every,
            minutes=settings.checkpoint_minutes or None,
            keep=settings.checkpoint_keep,
            warn=warn,
        )

    def __call__(self, run: training.Run, timing: training.Timing) -> None:
        """Write a checkpoint if one is due.

        Args:
            run: the run so far.
            timing: of the epochs in this process.

        Raises:
            command.Interrupted: there was a signal; the run has been saved.
            OSError: there was a signal, and the run can be saved nowhere.
        """
        epoch, signum = int(run.epoch), int(distributed.broadcast_scalar(self.signalled() or 0)) or None
        step = training.steps_into_epoch(run)
        if int(run.bad_step) >= 0 or (signum is None and not self.keeper.due(epoch, step)):
            return
        self.data = self.data or fingerprint(self.dataset)
        about = {
            "settings": json.loads(files.as_json(self.settings)),
            "data": self.data,
            "seconds": self.earlier + timing.epochs,
            "under_way": timing.under_way,
            "versions": versions(),
        }
        tree = {"run": run, "statistics": self.statistics}
        quality = math.nan
        if epoch and "validation_accuracy" in run.history:
            quality = float(run.history["validation_accuracy"][-1])
        elif epoch:
            quality = -float(run.history["loss"][-1])
        self.keeper.save(epoch, tree, about, quality, step)
        if signum is None:
            return
        folder, path = self.out, self.keeper.wait()
        if path is None and jax.process_index() == 0:
            folder = rescue.rescue_folder(self.settings, self.out)
            path = checkpoint.save(folder / FOLDER, epoch, tree, about, step)
        raise command.Interrupted(
            signum,
            f"{signal.Signals(signum).name} after {_reached(run)} of {self.settings.epochs}; saved in "
            f"{os.path.relpath(path or folder)}; go on with: {resume_command('train', folder)}",
        )

    def tell_last_finite(self) -> None:
        """After a loss that is not finite: say which checkpoint was written before."""
        self.keeper.wait()
        if kept := checkpoint.list_checkpoints(self.out / FOLDER):
            self.warn(f"{kept[0]} is the last checkpoint in which all is finite")


def resume_command(name: str, folder: Path) -> str:
    """What to type to go on.

    Args:
        name: of the command.
        folder: of the run.

    Returns:
        The line.
    """
    return f"python -m experiments.{name} --resume {shlex.quote(str(folder))}"


class StartPoint(NamedTuple):
    """Where a run begins."""

    progress: training.Run | None
    """The run to go on with; None for a new one."""
    statistics: Any
    """What it is trained with."""
    seconds: list[float]
    """Of the epochs that are done."""
    under_way: float = 0.0
    """The seconds that the epoch which it was stopped in has taken."""

    def told(self) -> str:
        """Of a run that goes on: after what."""
        if self.progress is None:
            return ""
        return f", going on after {_reached(self.progress)}"


def start_from(stored: SavedRun | None, like: training.Run | None, statistics: Any) -> StartPoint:
    """Where a run begins.

    Args:
        stored: as from `find`; None for a new run.
        like: a `Run` with the shapes of the arrays.
        statistics: what was fitted on the training inputs now.

    Returns:
        A `StartPoint`.

    Raises:
        ValueError: the checkpoint is of another training.
    """
    if stored is None or stored.checkpoint is None:
        return StartPoint(None, statistics, [])
    about = stored.checkpoint.about
    found = checkpoint.restore(stored.checkpoint, {"run": like, "statistics": statistics})
    return StartPoint(found["run"], found["statistics"], about["seconds"], about["under_way"])


def _reached(run: training.Run) -> str:
    step = training.steps_into_epoch(run)
    return f"epoch {int(run.epoch)}" + (f" and {step:,} steps of the next" if step else "")
