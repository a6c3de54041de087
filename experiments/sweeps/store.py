"""The finished chunks of a sweep on disk, so that an interrupted sweep can be resumed."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.classifier import resume
from experiments.cli import command, files, rescue
from experiments.sweeps.grid import SweepConfig
from jaxnn import training

FOLDER = "chunks"


class ChunkStore:
    """Writes the results of each chunk of models to its own file.

    A chunk that cannot be written stays in memory and is written with the next.
    """

    def __init__(
        self,
        config: SweepConfig,
        out: Path,
        models: int,
        signalled: Callable[[], int | None],
        warn: Callable[[str], None],
        advance: Callable[[int], None],
    ) -> None:
        self.config, self.out, self.models = config, out, models
        self.signalled, self.warn, self.advance = signalled, warn, advance
        self.done = 0
        self.unsaved: dict[str, Any] = {}

    def recall(self, place: training.Chunk) -> Any:
        """The results of a finished chunk, or None."""
        path = self.out / FOLDER / _name(place)
        if not path.exists():
            return None
        try:
            kept = files.read_flat(path)
        except ValueError as error:
            self.warn(f"{error}: this chunk is trained again")
            return None
        self._count(place)
        return kept

    def keep(self, place: training.Chunk, kept: dict[str, np.ndarray]) -> None:
        """Write the results of a chunk."""
        self.unsaved[_name(place)] = kept
        try:
            (self.out / FOLDER).mkdir(parents=True, exist_ok=True)
            for name in list(self.unsaved):
                files.write_arrays(self.out / FOLDER / name, self.unsaved[name])
                del self.unsaved[name]
        except OSError as error:
            self.warn(f"{self.out / FOLDER / _name(place)} cannot be written ({error}); it will be tried again")
        self._count(place)
        if (signum := self.signalled()) is None:
            return
        folder = self.out
        if self.unsaved:
            folder = rescue.rescue_folder(self.config.rescue, self.out)
            shutil.copytree(self.out, folder, dirs_exist_ok=True)
            for name, arrays in self.unsaved.items():
                files.write_arrays(folder / FOLDER / name, arrays)
        raise command.Interrupted(
            signum,
            f"{signal.Signals(signum).name} after {self.done} of {self.models} models; saved in {folder / FOLDER}; "
            f"resume with: {resume.resume_command('sweep', folder)}",
        )

    def _count(self, place: training.Chunk) -> None:
        models = (place[0].stop - place[0].start) * (place[1].stop - place[1].start)
        self.done += models
        self.advance(models)


def _name(place: training.Chunk) -> str:
    return f"{place[0].start}-{place[1].start}.npz"
