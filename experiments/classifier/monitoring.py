"""Monitoring of a run: progress bar, TensorBoard events, history as CSV and checkpoints, all callbacks of `fit`."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import math
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from tensorboard.summary.writer.record_writer import RecordWriter

from experiments.classifier import resume
from experiments.classifier.job import Job
from experiments.cli import command, files
from experiments.cli.progress import Bar, epoch_bar
from jaxnn import training

# TensorBoard's own writer, since tensorboardX imports PyTorch if it is installed; its messages exist only at run time
events: Any = importlib.import_module("tensorboard.compat.proto.event_pb2")


summaries: Any = importlib.import_module("tensorboard.compat.proto.summary_pb2")


FLUSH_SECONDS = 10.0  # flushing waits for the disk


class Events:
    """Writes every epoch as TensorBoard events; an error becomes a warning, and the run continues."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.warn, self.flushed, self.events = warn, -math.inf, None
        self.on_chunk = training.per_epoch(self._log)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            file = folder / f"events.out.tfevents.{int(time.time())}.{platform.node()}"
            self.events = RecordWriter(file.open("wb"))
            self._write(file_version="brain.Event:2")
        except OSError as error:
            self._give_up(error)

    def __call__(self, run: training.Run, timing: training.Timing) -> None:
        """Write the new epochs."""
        if self.events is None:
            return
        try:
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
        summary = summaries.Summary()
        for name, value in metrics.items():
            summary.value.add(tag=name, simple_value=value)
        self._write(step=epoch, summary=summary)

    def _write(self, **content: Any) -> None:
        assert self.events is not None
        self.events.write(events.Event(wall_time=time.time(), **content).SerializeToString())

    def _give_up(self, error: OSError) -> None:
        if self.events is not None:
            with contextlib.suppress(OSError):
                self.events.close()
        self.events = None
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


def fit(job: Job, out: Path, console: Console, warn: command.Warn) -> tuple[training.Run, training.Timing]:
    """Train with progress bar, monitoring and checkpoints; a signal or a non-finite loss ends it with an exception."""
    settings, start = job.settings, job.start
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
