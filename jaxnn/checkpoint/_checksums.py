"""A folder sealed with the checksums of its files, so that any change of any byte is seen.

Examples start from:
    >>> from jaxnn.checkpoint import _checksums
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SUMS = "SHA256SUMS"
"""The name of the file with the checksums, which `sha256sum -c` reads."""


class DamagedError(ValueError):
    """Files are not what was written."""


def write_sums(folder: Path) -> None:
    """Write the checksums of all files in a folder, and in those inside it.

    Args:
        folder: to be changed no more.

    Raises:
        OSError: a file cannot be read, or the checksums cannot be written.

    Example:
        >>> Path("sealed").mkdir()
        >>> _ = Path("sealed", "a.txt").write_text("hello")
        >>> checksums.write_sums(Path("sealed"))
        >>> sorted(path.name for path in Path("sealed").iterdir())
        ['SHA256SUMS', 'a.txt']
    """
    (folder / SUMS).write_text(_sums(folder), encoding="utf-8")


def verify(folder: Path) -> None:
    """Compare every file of a sealed folder with its checksum.

    Args:
        folder: that `write_sums` was given.

    Raises:
        DamagedError: a file is missing, left over, or not what was written; the message names it.
        OSError: a file cannot be read.

    Example:
        >>> Path("changed").mkdir()
        >>> _ = Path("changed", "a.txt").write_text("hello")
        >>> checksums.write_sums(Path("changed"))
        >>> _ = Path("changed", "a.txt").write_text("hallo")
        >>> checksums.verify(Path("changed"))
        Traceback (most recent call last):
            ...
        jaxnn.checkpoint._checksums.DamagedError: changed/a.txt is damaged: its content is not what was written
    """
    if not (folder / SUMS).is_file():
        raise DamagedError(f"{folder / SUMS} is missing")
    written = (folder / SUMS).read_bytes()
    now = _sums(folder)
    if written == now.encode():
        return
    before, after = _by_name(written.decode("utf-8", errors="replace")), _by_name(now)
    for name in before.keys() - after.keys():
        raise DamagedError(f"{folder / name} is missing")
    for name in after.keys() & before.keys():
        if before[name] != after[name]:
            raise DamagedError(f"{folder / name} is damaged: its content is not what was written")
    raise DamagedError(f"{folder / SUMS} is damaged")


def _by_name(sums: str) -> dict[str, str]:
    lines = (line.split("  ", 1) for line in sums.splitlines() if "  " in line)
    return {name: value for value, name in lines}


def _sums(folder: Path) -> str:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return "".join(f"{_sum(folder / name)}  {name}\n" for name in names if name != SUMS)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
