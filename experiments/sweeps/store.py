"""The finished parts of a sweep on disk, so that an interrupted sweep can be resumed."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.classifier import resume
from experiments.cli import command, files, rescue
from experiments.sweeps.grid import SweepConfig
from jaxnn import distributed

FOLDER = "chunks"


class Store:
    """Writes the results of each chunk of models, or of each rung of a halving, to its own file.

    What cannot be written stays in memory and is written with the next.
    """

    def __init__(
        self,
        config: SweepConfig,
        out: Path,
        signalled: Callable[[], int | None],
        warn: Callable[[str], None],
        done: Callable[[], str],
    ) -> None:
        """`done()`: how much has been trained, such as "4 of 8 models"."""
        self.config, self.out = config, out
        self.signalled, self.warn, self.done = signalled, warn, done
        self.unsaved: dict[str, Any] = {}

    def recall(self, name: str, like: Callable[[], Any] | None = None) -> Any:
        """What was kept under a name, in the structure of `like()`, or None."""
        path = self.out / FOLDER / name
        if not path.exists():
            return None
        try:
            return files.read_flat(path) if like is None else files.read_arrays(path, like())
        except ValueError as error:
            self.warn(f"{error}: this part is trained again")
            return None

    def keep(self, name: str, kept: Any) -> None:
        """Write the arrays of a chunk or rung, and end the sweep if a signal asked for it."""
        self.unsaved[name] = kept
        try:
            (self.out / FOLDER).mkdir(parents=True, exist_ok=True)
            for each in list(self.unsaved):
                files.write_arrays(self.out / FOLDER / each, self.unsaved[each])
                del self.unsaved[each]
        except OSError as error:
            self.warn(f"{self.out / FOLDER / name} cannot be written ({error}); it will be tried again")
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Raise `Interrupted` if there was a signal, of several processes in the first, with everything saved."""
        if (signum := int(distributed.broadcast_scalar(self.signalled() or 0))) == 0:
            return
        folder = self.out
        if self.unsaved:
            folder = rescue.rescue_folder(self.config.rescue, self.out)
            if self.out.exists():
                shutil.copytree(self.out, folder, dirs_exist_ok=True)
            for name, arrays in self.unsaved.items():
                files.write_arrays(folder / FOLDER / name, arrays)
        raise command.Interrupted(
            signum,
            f"{signal.Signals(signum).name} after {self.done()}; saved in {folder / FOLDER}; "
            f"resume with: {resume.resume_command('sweep', folder)}",
        )
