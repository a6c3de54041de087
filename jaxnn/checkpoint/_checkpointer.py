"""The checkpoints of a run that is under way: when one is written, and which are kept.

Examples start from:
    >>> from jaxnn import checkpoint
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import math
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxnn.checkpoint._store import TEMPORARY, list_checkpoints, remove, save


class Checkpointer:
    """Writes the checkpoints of a run that is under way, and keeps the newest and the best.

    They are written by a thread of its own while the training goes on. One that cannot be written is told as a warning,
    and the next is tried when it is due: a full disk does not end a run.

    Example:
        >>> keeper = Checkpointer(Path("kept_by"), epochs=3, keep=1)
        >>> def save(run, timing):
        ...     if keeper.due(int(run.epoch)):
        ...         keeper.save(int(run.epoch), run, {}, quality=-float(run.history["loss"][-1]))
        >>> run, _ = training.fit(task, h, key, data, epochs=3, batch_size=10, on_chunk=save)
        >>> keeper.close()
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
        """Start to count, and remove what a process that was killed left half-written.

        Args:
            folder: the folder of the run's checkpoints; made when the first is written.
            epochs: write at every multiple of so many epochs; None for no such rule.
            minutes: write when so many have passed since the last; None for no such rule.
            keep: how many of the newest are kept; the best is kept too.
            warn: told of checkpoints that could not be written.
        """
        self.folder, self.epochs, self.minutes, self.keep, self.warn = folder, epochs, minutes, keep, warn
        for path in folder.glob(f".*{TEMPORARY}"):  # left by a process that was killed
            shutil.rmtree(path, ignore_errors=True)
        self._clock = time.monotonic()
        self._writer: concurrent.futures.ThreadPoolExecutor | None = None
        self._last: concurrent.futures.Future[Path | None] | None = None

    def due(self, epoch: int, step: int = 0) -> bool:
        """Whether a checkpoint is to be written now.

        Args:
            epoch: the number of epochs done.
            step: the number of steps done in the epoch that is under way; within an epoch minutes alone count.

        Returns:
            A bool.
        """
        if self.epochs is not None and step == 0 and epoch % self.epochs == 0:
            return True
        return self.minutes is not None and time.monotonic() - self._clock >= 60 * self.minutes

    def save(self, epoch: int, tree: Any, about: Mapping[str, Any], quality: float, step: int = 0) -> None:
        """Write a checkpoint in the background; waits for the one before. Of several processes the first alone writes.

        Args:
            epoch, tree, about, step: as `write`.
            quality: the larger, the better this checkpoint.
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
        """Wait until what `save` began is written.

        Returns:
            The path of the last checkpoint; None where it could not be written or there was none.
        """
        if self._last is None:
            return None
        return self._last.result()

    def close(self) -> None:
        """Wait, and end the thread."""
        self.wait()
        if self._writer is not None:
            self._writer.shutdown()

    def _write(self, epoch: int, tree: Any, about: Mapping[str, Any], step: int) -> Path | None:
        try:
            path = save(self.folder, epoch, tree, about, step)
        except Exception as error:  # Orbax has many kinds of errors for a full disk
            reason = " ".join(str(error).split()) or type(error).__name__
            self.warn(
                f"no checkpoint after epoch {epoch}: {self.folder} cannot be written ({reason}); it is tried again"
            )
            return None
        with contextlib.suppress(OSError):
            prune(self.folder, self.keep)
        return path


def prune(folder: Path, keep: int) -> None:
    """Remove all checkpoints but the newest and the best.

    Args:
        folder: the folder of a run's checkpoints.
        keep: how many of the newest are kept, at least 1.

    Raises:
        OSError: one cannot be removed.

    Example:
        >>> from jaxnn.checkpoint._checkpointer import prune
        >>> for epoch, quality in ((1, 0.9), (2, 0.8), (3, 0.7)):
        ...     path = checkpoint.save(Path("prune"), epoch, {"w": jnp.ones(3)}, {"quality": quality})
        >>> prune(Path("prune"), keep=1)
        >>> [path.name for path in checkpoint.list_checkpoints(Path("prune"))]  # the newest and the best
        ['000003', '000001']
    """

    def quality(path: Path) -> float:
        try:
            return float(json.loads((path / "about.json").read_text(encoding="utf-8"))["quality"])
        except (OSError, ValueError, KeyError, TypeError):
            return float("-inf")

    found = list_checkpoints(folder)
    best = max(reversed(found), key=quality, default=None)  # the earliest of equal ones
    for path in found[keep:]:
        if path != best:
            remove(path)
