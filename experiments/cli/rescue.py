"""Where results go that cannot be written to their folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from experiments.classifier.config import Config


def rescue_folder(config: Config, out: Path) -> Path:
    """A new folder for what cannot be written to the folder of the results.

    Args:
        config: the settings; `rescue` says where to make it.
        out: the folder of the results.

    Returns:
        Its path.

    Raises:
        OSError: it cannot be made.
    """
    if config.rescue is not None:
        config.rescue.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{out.name}-", dir=config.rescue))


def write_or_rescue(write: Callable[[Path], None], config: Config, out: Path) -> None:
    """Write results to their folder, or to another one where that cannot be done.

    Args:
        write: writes them to the folder that it is given.
        config: the settings; `rescue` says where the other folder is made.
        out: the folder of the results.

    Raises:
        OSError: they had to be written to another folder, which the message names, or to none.
    """
    try:
        write(out)
    except OSError as error:
        rescued = rescue_folder(config, out)
        write(rescued)
        raise OSError(f"the results cannot be written to {out} ({error}): they are in {rescued}") from error
