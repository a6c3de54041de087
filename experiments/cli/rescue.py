"""A second place for results that cannot be written to their folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path


def rescue_folder(parent: Path | None, out: Path) -> Path:
    """A new folder in `parent` (by default among the temporary files), named after `out`."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{out.name}-", dir=parent))


def write_or_rescue(write: Callable[[Path], None], parent: Path | None, out: Path) -> None:
    """Call `write(out)`; if that fails, write to a rescue folder and raise an OSError that names it."""
    try:
        write(out)
    except OSError as error:
        rescued = rescue_folder(parent, out)
        write(rescued)
        raise OSError(f"the results cannot be written to {out} ({error}): they are in {rescued}") from error
