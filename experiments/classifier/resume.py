"""Resuming a run: reading its folder, checking that settings and data are the same, writing its checkpoints."""

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
from experiments.cli.command import Warn
from jaxnn import checkpoint, distributed, training
from jaxnn.checkpoint import Checkpointer
from jaxnn.data import Dataset, DiskImages

FOLDER = "checkpoints"
DRAWING = ".drawing"
"""A file that is in the folder of a run while its figures are drawn: a run killed there is not finished."""
C = TypeVar("C", bound=Config)


class SavedRun(NamedTuple):
    """A run as read from its folder."""

    folder: Path
    settings: dict[str, Any]
    """As decoded from JSON."""
    checkpoint: checkpoint.Checkpoint | None
    """None if the run was interrupted before its first checkpoint."""
    summary: dict[str, Any] | None = None

    def nothing_to_resume(self, config: Config) -> str:
        """What to say of a finished run, with the options that are ignored."""
        changed = changed_settings(self.settings, json.loads(files.as_json(dataclasses.asdict(config))))
        ignored = f"; ignored: {changed}; to train on with other settings, start another run" if changed else ""
        return f"{self.folder} is finished: there is nothing to resume{ignored}"

    """None unless the run is finished."""


def find(folder: Path, warn: Warn) -> SavedRun:
    """Read the run in a folder and remove unfinished files; ValueError if there is none or its settings were edited."""
    file = folder / "config.json"
    if not file.exists() and not checkpoint.list_checkpoints(folder / FOLDER):
        raise ValueError(f"--resume {folder} holds no run: no config.json and no checkpoint; give the --out of a run")
    files.remove_unfinished(folder)
    ended = folder / "summary.json"
    finished = ended.exists() and not (folder / DRAWING).exists()
    summary = json.loads(ended.read_text(encoding="utf-8")) if finished else None
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
                f"{file} was changed since {newest.path} was written ({changed}): restore it, or delete it to use the "
                f"settings of the checkpoint"
            )
    return SavedRun(folder, settings, newest, summary)


def device(folder: Path, given: str) -> str:
    """The device to resume on, needed before the checkpoint is read, which starts JAX."""
    try:
        began = json.loads((folder / "config.json").read_text(encoding="utf-8"))["device"]
    except (OSError, ValueError, TypeError, KeyError):
        return given  # `find` reports what is wrong
    return given if given != "auto" else str(began)


def config_from_json(kind: type[C], settings: Mapping[str, Any], file: Path) -> C:
    """The dataclass from its decoded JSON, without --out, --resume and the processes, which may differ."""
    fields = {field.name for field in dataclasses.fields(kind)}
    if missing := sorted(fields - set(settings) - NO_SETTINGS):
        raise ValueError(f"{file} is of another version: it lacks {', '.join(missing)}; start another run")
    given_anew = {"out", "resume", "coordinator", "num_processes", "process_id"}
    kept = {name: settings[name] for name in fields - given_anew if name in settings}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    for name in ("data_dir", "rescue"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    return kind(**values)


def changed_settings(there: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The settings that differ: "--epochs 100 there, 200 now; ..."."""
    changed = [name for name in now if name not in NO_SETTINGS and there.get(name) != now[name]]
    return "; ".join(f"--{name.replace('_', '-')} {there.get(name)} there, {now[name]} now" for name in changed)


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of all examples and labels with shapes and types; images on disk count by file names and sizes."""
    found = hashlib.sha256(repr((dataset.name, tuple(dataset.classes))).encode())
    for split in (dataset.train, dataset.validation, dataset.test):
        if isinstance(split.inputs, DiskImages):
            found.update(split.inputs.fingerprint.encode())
            split = split._replace(inputs=split.labels)
        for array in map(np.ascontiguousarray, split):
            found.update(f"{array.dtype.str}{array.shape}".encode())
            found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def check_same(stored: SavedRun, settings: Settings, dataset: Dataset, warn: Warn) -> None:
    """ValueError unless settings and data are those the run began with; warns about another version of JAX."""
    if changed := changed_settings(stored.settings, json.loads(files.as_json(settings))):
        raise ValueError(
            f"--resume {stored.folder}: a resumed run keeps its settings ({changed}); omit these options, or start "
            f"another run"
        )
    if stored.checkpoint is None:
        return
    if (streamed := settings.memory_share == 0) != ("run/partial" in stored.checkpoint.arrays):
        way = "with all images in memory" if streamed else "with images streamed from disk"
        raise ValueError(f"--resume {stored.folder}: the run began {way} and must continue so; omit --memory-share")
    about = stored.checkpoint.about
    if (now := fingerprint(dataset)) != about["data"]:
        raise ValueError(
            f"--resume {stored.folder}: the examples of {dataset.name} are not those the run began with (checksum "
            f"{about['data'][:12]} there, {now[:12]} now); check --data-dir, or start another run"
        )
    if about["versions"] != versions():
        warn(f"the run began with {about['versions']}, now {versions()}: its last digits may differ")


def versions() -> dict[str, str]:
    """The versions that determine the last digits of a result."""
    return {"jax": jax.__version__, "jaxnn": jaxnn.__version__}


class CheckpointCallback:
    """Writes the checkpoints of a run when they are due, and a last one when a signal arrives."""

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        start: StartPoint,
        signalled: Callable[[], int | None],
        warn: Warn,
    ) -> None:
        assert settings.out is not None
        self.out, self.settings, self.dataset, self.start = settings.out, settings, dataset, start
        self.signalled, self.warn = signalled, warn
        self.data: str | None = None
        self.compared = False
        self.checkpointer = Checkpointer(
            self.out / FOLDER,
            epochs=settings.checkpoint_every,
            minutes=settings.checkpoint_minutes or None,
            keep=settings.checkpoint_keep,
            warn=warn,
        )

    def __call__(self, run: training.Run, timing: training.Timing) -> None:
        """Write a checkpoint if one is due; after a signal, write one and raise `command.Interrupted`."""
        if self.start.short not in (None, timing.short) and not self.compared:
            kind = "short training, and is no longer" if self.start.short else "long training, and is no longer"
            self.warn(f"the run was compiled as a {kind}: its last digits may differ")
        self.compared = True
        epoch, signum = int(run.epoch), int(distributed.broadcast_scalar(self.signalled() or 0)) or None
        step = run.steps_into_epoch
        if int(run.bad_step) >= 0 or (signum is None and not self.checkpointer.due(epoch, step)):
            return
        self.data = self.data or fingerprint(self.dataset)
        about = {
            "settings": json.loads(files.as_json(self.settings)),
            "data": self.data,
            "seconds": self.start.seconds + timing.epochs,
            "partial_epoch": timing.partial_epoch,
            "versions": versions(),
            "short": timing.short,
        }
        tree = {"run": run, "statistics": self.start.statistics}
        quality = math.nan
        if epoch and "validation_accuracy" in run.history:
            quality = float(np.asarray(run.history["validation_accuracy"])[-1])
        elif epoch:
            quality = -float(np.asarray(run.history["loss"])[-1])
        self.checkpointer.save(epoch, tree, about, quality, step)
        if signum is None:
            return
        folder, path = self.out, self.checkpointer.wait()
        if path is None and jax.process_index() == 0:
            folder = rescue.rescue_folder(self.settings.rescue, self.out)
            path = checkpoint.save(folder / FOLDER, epoch, tree, about, step)
        raise command.Interrupted(
            signum,
            f"{signal.Signals(signum).name} after {_reached(run)} of {self.settings.epochs}; saved in "
            f"{os.path.relpath(path or folder)}; resume with: {resume_command('train', folder)}",
        )

    def close(self) -> None:
        """Finish writing."""
        self.checkpointer.close()

    def report_last_finite(self) -> None:
        """Warn which checkpoint precedes a non-finite loss."""
        self.checkpointer.wait()
        if kept := checkpoint.list_checkpoints(self.out / FOLDER):
            self.warn(f"{kept[0]} is the last checkpoint with finite values")


def resume_command(name: str, folder: Path) -> str:
    """The command that resumes a run."""
    return f"jaxnn {name} --resume {shlex.quote(str(folder))}"


class StartPoint(NamedTuple):
    """The state a run starts from: of a new run, or of a checkpoint."""

    progress: training.Run | None
    """None for a new run."""
    statistics: Any
    """Of the preprocessing."""
    seconds: list[float]
    """Of each finished epoch."""
    partial_epoch: float = 0.0
    """Seconds spent in the interrupted epoch."""
    short: bool | None = None
    """Whether the compiler took it for a short training; None if that is not known."""

    def describe(self) -> str:
        """The epoch a resumed run continues after; "" for a new run."""
        return "" if self.progress is None else f", continuing after {_reached(self.progress)}"


def start_from(stored: SavedRun | None, start_run: Callable[[], training.Run], statistics: Any) -> StartPoint:
    """The start point: `stored` restored into the shapes of what `start_run` returns, or a new run."""
    if stored is None or stored.checkpoint is None:
        return StartPoint(None, statistics, [])
    about = stored.checkpoint.about
    like = {"run": jax.eval_shape(start_run), "statistics": statistics}
    found = checkpoint.restore(stored.checkpoint, like)
    partial_epoch = about["partial_epoch" if "partial_epoch" in about else "under_way"]  # its name before
    return StartPoint(found["run"], found["statistics"], about["seconds"], partial_epoch, about.get("short"))


def _reached(run: training.Run) -> str:
    step = run.steps_into_epoch
    return f"epoch {int(run.epoch)}" + (f" and {step:,} steps of the next" if step else "")
