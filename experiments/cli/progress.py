"""Progress bars: of a training run, a callback of `training.fit`; of anything counted."""

from __future__ import annotations

import time

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jaxnn import training


def epoch_bar(console: Console) -> Progress:
    """A progress bar that counts epochs."""
    return Progress(
        TextColumn("epoch {task.completed:.10g}/{task.total:.0f}"),
        BarColumn(bar_width=12),
        TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True),
        console=console,
    )


class CountBar:
    """A context whose value is called with a count and its total, and shows them once they take a while."""

    def __init__(self, what: str, console: Console) -> None:
        self.bar = Progress(TextColumn(f"{what}: {{task.completed}}/{{task.total}}"), BarColumn(12), console=console)
        self.row = self.bar.add_task("")

    def __enter__(self) -> CountBar:
        """Start counting."""
        self.began = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bar off."""
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Update the bar, which appears after a second."""
        if time.perf_counter() - self.began > 1.0:
            self.bar.start()
        self.bar.update(self.row, completed=done, total=total)


class Bar:
    """Shows the latest metrics of a run on a progress bar."""

    def __init__(self, bar: Progress, epochs: int, examples: int) -> None:
        self.bar, self.row, self.examples = bar, bar.add_task("compiling", total=epochs), examples

    def __call__(self, run: training.Run, timing: training.Timing) -> None:
        """Update the bar after a chunk of epochs, or within an epoch of a streamed run."""
        epoch, fraction, seconds = int(run.epoch), 0.0, timing.epochs[-1] if timing.epochs else 0.0
        metrics = {name: float(np.asarray(values)[-1]) for name, values in run.history.items() if epoch}
        if run.partial is not None and (steps := run.steps_into_epoch):
            fraction, seconds = steps / len(run.partial), timing.partial_epoch
            metrics["loss"], _, metrics["accuracy"] = np.asarray(run.partial)[:steps, :3].mean(0)
        text = f"loss {metrics['loss']:.3f} train {metrics['accuracy']:.1%}"
        if "validation_accuracy" in metrics:
            text += f" validation {metrics['validation_accuracy']:.1%}"
        if seconds:
            text += f" {self.examples * (fraction or 1.0) / seconds:,.0f} ex/s"
        self.bar.update(self.row, completed=round(epoch + fraction, 2), description=text)

    def finish(self, run: training.Run) -> None:
        """Complete the bar, also after early stopping."""
        self.bar.update(self.row, total=int(run.epoch), completed=int(run.epoch))
