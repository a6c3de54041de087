"""What is seen of a run under way: a bar with the newest numbers, TensorBoard events, and the history as CSV.

Each is a callback of `training.fit`, called with the run so far and its timing after each chunk of epochs.
"""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jaxnn import training


def bar_of_epochs(console: Console) -> Progress:
    """An empty bar that counts epochs.

    Args:
        console: where it is shown.

    Returns:
        The bar.
    """
    return Progress(
        TextColumn("epoch {task.completed:.4g}/{task.total:.0f}"),
        BarColumn(bar_width=12),
        TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True),
        console=console,
    )


class Bar:
    """Shows the newest numbers of a run on a progress bar."""

    def __init__(self, bar: Progress, epochs: int, examples: int) -> None:
        """Begin.

        Args:
            bar: as from `bar_of_epochs`, started.
            epochs: of the run.
            examples: of an epoch.
        """
        self.bar, self.row, self.examples = bar, bar.add_task("compiling", total=epochs), examples

    def __call__(self, run: training.Run, timing: training.Timing) -> None:
        """Show what is new.

        Args:
            run: the run so far.
            timing: of its epochs in this process.
        """
        epoch, share, seconds = int(run.epoch), 0.0, timing.epochs[-1] if timing.epochs else 0.0
        measures = {name: float(values[-1]) for name, values in run.history.items() if epoch}
        if run.partial is not None and (steps := training.steps_into_epoch(run)):
            share, seconds = steps / len(run.partial), timing.under_way
            measures["loss"], _, measures["accuracy"] = np.asarray(run.partial)[:steps, :3].mean(0)
        text = f"loss {measures['loss']:.3f} train {measures['accuracy']:.1%}"
        if "validation_accuracy" in measures:
            text += f" validation {measures['validation_accuracy']:.1%}"
        if seconds:
            text += f" {self.examples * (share or 1.0) / seconds:,.0f} ex/s"
        self.bar.update(self.row, completed=epoch + share, description=text)

    def finish(self, run: training.Run) -> None:
        """Show that the run is finished, be it before its last epoch.

        Args:
            run: the finished run.
        """
        self.bar.update(self.row, total=int(run.epoch), completed=int(run.epoch))
