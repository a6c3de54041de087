"""Monitoring of a run: progress bar, TensorBoard events, history as CSV and checkpoints, all callbacks of `fit`."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import math
import platform
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from experiments.classifier import resume
from experiments.classifier.job import Job
from experiments.cli import command, files
from experiments.cli.progress import Bar, epoch_bar
from jaxnn import training

# TensorBoard's own writer, since tensorboardX imports PyTorch if it is installed
WRITER = "tensorboard.summary.writer.record_writer"
MESSAGES = "tensorboard.compat.proto.event_pb2"
LATER = (WRITER, MESSAGES, "jaxnn.plots")
"""Modules that are first needed after training has begun and take a while to load."""
FLUSH_SECONDS = 10.0  # flushing waits for the disk


class Events:
    """Writes every epoch as TensorBoard events; an error becomes a warning, and the run continues."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.warn, self.flushed, self.failed = warn, -math.inf, False
        self.file = folder / f"events.out.tfevents.{int(time.time())}.{platform.node()}"
        self.events: Any = None
        self.on_chunk = training.per_epoch(self._log)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        except OSError as error:
            self._give_up(error)

    def __call__(self, run: training.Run, timing: training.Timing) -> None:
        """Write the new epochs."""
        if self.failed:
            return
        try:
            if self.events is None:
                self.events = importlib.import_module(WRITER).RecordWriter(self.file.open("wb"))
                self._write(file_version="brain.Event:2")
            self.on_chunk(run, timing)
            if time.monotonic() - self.flushed > FLUSH_SECONDS:
                self.events.flush()
                self.flushed = time.monotonic()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file; never raises."""
        try:
            if self.events is not None:
                self.events.close()
        except OSError as error:
            self._give_up(error)

    def _log(self, epoch: int, metrics: dict[str, float]) -> None:
        values = [{"tag": name, "simple_value": value} for name, value in metrics.items()]
        self._write(step=epoch, summary={"value": values})

    def _write(self, **content: Any) -> None:
        messages: Any = importlib.import_module(MESSAGES)
        self.events.write(messages.Event(wall_time=time.time(), **content).SerializeToString())

    def _give_up(self, error: OSError) -> None:
        if self.events is not None:
            with contextlib.suppress(OSError):
                self.events.close()
        self.events, self.failed = None, True
        self.warn(f"no more TensorBoard events: they cannot be written ({error})")


class HistoryFile:
    """Rewrites the history as CSV after each chunk of epochs."""

    def __init__(self, path: Path, earlier: list[float], warn: Callable[[str], None]) -> None:
        self.path, self.earlier, self.warn, self.failed = path, earlier, warn, False

    def __call__(self, run: training.Run, timing: training.Timing) -> None:
        """Write all epochs so far; the first failure becomes a warning."""
        history = {name: np.asarray(values) for name, values in run.history.items()}
        try:
            write_history(self.path, history, self.earlier + timing.epochs)
        except OSError as error:
            if not self.failed:
                self.warn(f"the history cannot be written: {error}")
            self.failed = True


def write_history(path: Path, history: Mapping[str, np.ndarray], seconds: list[float]) -> None:
    """Write the history as CSV: a row per epoch, counted from 1, with its metrics and seconds."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["epoch", *history, "seconds"])
    columns = [np.asarray(values).tolist() for values in history.values()]
    for epoch, row in enumerate(zip(*columns, seconds, strict=True), start=1):
        rows.writerow([epoch, *row])
    files.write(path, table.getvalue())


def _import_later_modules() -> None:
    """Import what is needed after the first chunk while XLA, which does not hold the interpreter, compiles."""
    for name in LATER:
        with contextlib.suppress(ImportError):  # raised again where it is needed
            importlib.import_module(name)


def fit(job: Job, out: Path, console: Console, warn: command.Warn) -> tuple[training.Run, training.Timing]:
    """Train with progress bar, monitoring and checkpoints; a signal or a non-finite loss ends it with an exception."""
    settings, start = job.settings, job.start
    threading.Thread(target=_import_later_modules).start()
    with epoch_bar(console) as progress, command.catch_signals() as signalled:
        bar, events = Bar(progress, settings.epochs, job.examples_per_epoch), Events(out / "tensorboard", warn)
        rows = HistoryFile(out / "history.csv", start.seconds, warn)
        recorder = resume.CheckpointCallback(settings, job.dataset, start, signalled, warn)

        def on_chunk(run: training.Run, timing: training.Timing) -> None:
            for callback in (bar, events, rows, recorder):
                callback(run, timing)

        try:
            run, timing = job.fit(on_chunk)
            events(run, timing)  # of a run that was interrupted after its last epoch
            bar.finish(run)
        except training.NonFiniteError:
            recorder.report_last_finite()
            raise
        finally:
            recorder.close()
            events.close()
    return run, timing
