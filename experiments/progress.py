"""What is seen of a run under way: a bar with the newest numbers, and TensorBoard events."""

from __future__ import annotations

import contextlib
import importlib
import math
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboard.summary.writer.record_writer import RecordWriter

from jaxnn import training

# TensorBoard's own writer: tensorboardX loads PyTorch wherever that is installed. Its messages are made when imported.
events: Any = importlib.import_module("tensorboard.compat.proto.event_pb2")
summaries: Any = importlib.import_module("tensorboard.compat.proto.summary_pb2")

FLUSH_SECONDS = 10.0  # it waits for the disk


def bar_of_epochs(console: Console) -> Progress:
    """An empty bar that counts epochs.

    Args:
        console: where it is shown.

    Returns:
        The bar.
    """
    return Progress(
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(bar_width=12),
        TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True),
        console=console,
    )


class Shown:
    """Shows each finished chunk of epochs: on the progress bar and as TensorBoard events.

    Events are written at once and in this thread; where they cannot be, a warning says so and the run goes on.
    """

    def __init__(self, bar: Progress, epochs: int, examples: int, folder: Path, warn: Callable[[str], None]) -> None:
        """Begin.

        Args:
            bar: as from `bar_of_epochs`, started.
            epochs: of the run.
            examples: of an epoch.
            folder: for the events; what a stopped run left there is replaced by the events of the whole history.
            warn: told when events can be written no more.
        """
        self.bar, self.row, self.examples, self.warn = bar, bar.add_task("compiling", total=epochs), examples, warn
        self.told, self.done, self.clock, self.flushed = 0, 0, time.perf_counter(), -math.inf
        self.events: Any = None
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            file = folder / f"events.out.tfevents.{int(time.time())}.{platform.node()}"
            self.events = RecordWriter(file.open("wb"))
            self._write(file_version="brain.Event:2")
        except OSError as error:
            self._give_up(error)

    def start(self, done: int) -> None:
        """Say from which epoch on the run goes on, so that its speed is told right.

        Args:
            done: the number of epochs done before.
        """
        self.done = done

    def show(self, run: training.Run) -> None:
        """Show what is new.

        Args:
            run: the run so far.
        """
        history = {name: np.asarray(values) for name, values in run.history.items()}
        done, now = len(history["loss"]), time.perf_counter()
        rate = self.examples * (done - self.done) / (now - self.clock)
        self._tell(history)
        text = f"loss {history['loss'][-1]:.3f} train {history['accuracy'][-1]:.1%}"
        if "validation_accuracy" in history:
            text += f" validation {history['validation_accuracy'][-1]:.1%}"
        self.bar.update(self.row, completed=done, description=f"{text} {rate:,.0f} ex/s")
        self.done, self.clock = done, now

    def finish(self, run: training.Run) -> None:
        """Show that the run is finished, and close the events.

        Args:
            run: the finished run.
        """
        self._tell({name: np.asarray(values) for name, values in run.history.items()})
        self.bar.update(self.row, total=int(run.epoch), completed=int(run.epoch))

    def close(self) -> None:
        """Close the events, whatever happened."""
        try:
            if self.events is not None:
                self.events.close()
        except OSError as error:
            self._give_up(error)

    def _tell(self, history: dict[str, np.ndarray]) -> None:
        if self.events is None:
            return
        try:
            done = len(history["loss"])
            for epoch in range(self.told, done):
                told = summaries.Summary()
                for name, values in history.items():
                    told.value.add(tag=name, simple_value=values[epoch])
                self._write(step=epoch + 1, summary=told)
            self.told = done
            if time.monotonic() - self.flushed > FLUSH_SECONDS:
                self.events.flush()
                self.flushed = time.monotonic()
        except OSError as error:
            self._give_up(error)

    def _write(self, **content: Any) -> None:
        self.events.write(events.Event(wall_time=time.time(), **content).SerializeToString())

    def _give_up(self, error: OSError) -> None:
        if self.events is not None:
            with contextlib.suppress(OSError):
                self.events.close()
        self.events = None
        self.warn(f"no more TensorBoard events: they cannot be written ({error})")
