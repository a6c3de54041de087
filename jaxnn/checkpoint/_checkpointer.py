"""When the checkpoints of a run are written, and which are kept."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import math
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxnn import _files as files
from jaxnn.checkpoint._store import list_checkpoints, save


class Checkpointer:
    """Writes the checkpoints of a run during training, and keeps the newest and the best.

    A thread writes them while the training continues. If one cannot be written, there is a warning, and the next is
    tried when it is due: a full disk does not end a run.

    Example:
        >>> checkpointer = Checkpointer(Path("kept_by"), epochs=3, keep=1)
        >>> def save(run, timing):
        ...     if checkpointer.due(int(run.epoch)):
        ...         checkpointer.save(int(run.epoch), run, {}, quality=-float(run.history["loss"][-1]))
        >>> run, _ = training.fit(task, h, key, data, epochs=3, batch_size=10, on_chunk=save)
        >>> checkpointer.close()
        >>> [path.name for path in checkpoint.list_checkpoints(Path("kept_by"))]
        ['000003']
    """

    def __init__(
        self,
        folder: Path,
        *,
        epochs: int | None = None,
        minutes: float | None = None,
        keep: int = 2,
        warn: Callable[[str], None] = warnings.warn,
    ) -> None:
        """Start the clock, and remove the unfinished files of a process that was killed.

        Args:
            folder: the folder of the run's checkpoints; created with the first one.
            epochs: write at every multiple of this many epochs; None for no such rule.
            minutes: write when this many have passed since the last checkpoint; None for no such rule.
            keep: how many of the newest are kept; the best is kept too.
            warn: called with a message for each checkpoint that could not be written.
        """
        self.folder, self.epochs, self.minutes, self.keep, self.warn = folder, epochs, minutes, keep, warn
        files.remove_unfinished(folder)
        self._clock = time.monotonic()
        self._writer: concurrent.futures.ThreadPoolExecutor | None = None
        self._last: concurrent.futures.Future[Path | None] | None = None

    def due(self, epoch: int, step: int = 0) -> bool:
        """Whether a checkpoint should be written now.

        Args:
            epoch: the number of epochs done.
            step: the number of steps done in the next epoch; within an epoch only minutes count.

        Returns:
            A bool.
        """
        if self.epochs is not None and step == 0 and epoch % self.epochs == 0:
            return True
        return self.minutes is not None and time.monotonic() - self._clock >= 60 * self.minutes

    def save(self, epoch: int, tree: Any, about: Mapping[str, Any], quality: float, step: int = 0) -> None:
        """Write a checkpoint in the background after the previous one; of several processes only the first writes.

        Args:
            epoch, tree, about, step: as `checkpoint.save`.
            quality: higher is better.
        """
        self.wait()
        if jax.process_index() != 0:
            return
        if self._writer is None:
            self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        measured = {"quality": quality} if math.isfinite(quality) else {}
        self._last = self._writer.submit(self._write, epoch, tree, {**about, **measured}, step)
        self._clock = time.monotonic()

    def wait(self) -> Path | None:
        """Wait until the last checkpoint is written.

        Returns:
            Its path; None if it could not be written or there was none.
        """
        if self._last is None:
            return None
        return self._last.result()

    def close(self) -> None:
        """Wait for the last checkpoint, end the thread, and remove what it could not finish or remove itself."""
        self.wait()
        if self._writer is not None:
            self._writer.shutdown()
        files.remove_unfinished(self.folder)  # such as in a folder that was away for a while

    def _write(self, epoch: int, tree: Any, about: Mapping[str, Any], step: int) -> Path | None:
        try:
            path = save(self.folder, epoch, tree, about, step)
        except Exception as error:  # whatever the reason, it must not end the training
            reason = " ".join(str(error).split()) or type(error).__name__
            self.warn(
                f"no checkpoint after epoch {epoch}: {self.folder} cannot be written ({reason}); "
                "the next is tried as planned"
            )
            return None
        with contextlib.suppress(OSError):
            _prune(self.folder, self.keep)
        return path


def _prune(folder: Path, keep: int) -> None:
    """Remove all checkpoints but the newest `keep` and the best."""

    def quality(path: Path) -> float:
        try:
            return float(json.loads((path / "about.json").read_text(encoding="utf-8"))["quality"])
        except (OSError, ValueError, KeyError, TypeError):
            return float("-inf")

    found = list_checkpoints(folder)
    best = max(reversed(found), key=quality, default=None)  # the earliest of equals
    for path in found[keep:]:
        if path != best:
            files.remove(path)
