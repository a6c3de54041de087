"""Files and folders written whole or not at all: arrays as `.npz` without pickle, checksums of every byte."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SUMS = "SHA256SUMS"
"""The file with the checksums of a folder, which `sha256sum -c` reads."""


class DamagedError(ValueError):
    """A file does not hold what was written."""


def cache_dir(chosen: str | os.PathLike[str] | None = None) -> Path:
    """The folder for what can be made again: decoded data sets, compiled programs."""
    if chosen := chosen or os.environ.get("JAXNN_CACHE_DIR"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jaxnn"


def write(path: Path, content: bytes | str) -> None:
    """Write a file atomically: readers see the old file or the whole new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_arrays(path: Path, tree: Any) -> None:
    """Write the arrays of a pytree atomically as `.npz`, each under its path in the tree, such as `params/0/w`."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for name, leaf in leaves_by_name(tree).items():
            array = np.asarray(leaf)
            if array.dtype.isbuiltin == 2:
                array = array.view([(array.dtype.name, f"u{array.dtype.itemsize}")])
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz` file, such as one of `write_arrays`."""
    content, arrays = path.read_bytes(), {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            for name in file.namelist():
                with file.open(name) as entry:
                    array = np.lib.format.read_array(entry, allow_pickle=False)
                if array.dtype.names and len(array.dtype.names) == 1:
                    import ml_dtypes  # which JAX installs; it makes the names of its types known to NumPy

                    array = array.view(getattr(ml_dtypes, array.dtype.names[0]))
                arrays[name.removesuffix(".npy")] = array
    except Exception as error:
        raise DamagedError(
            f"{path} is damaged or no .npz file of arrays ({error}); restore it or write it again"
        ) from error
    return arrays


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files and folders that a killed process left in a folder and below it."""
    for path in list(folder.rglob(".*.tmp")):
        _delete(path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path on which to write a file or a folder; it is renamed to `path`, or removed after an error."""
    made = temporary(path)
    try:
        yield made
        made.replace(path)
    finally:
        _delete(made)


def remove(folder: Path) -> None:
    """Remove a folder, if it exists; readers see the whole of it or nothing."""
    if folder.exists():
        shutil.rmtree(folder.rename(temporary(folder)))


def temporary(path: Path) -> Path:
    """A new hidden name in the same folder, which `remove_unfinished` recognizes."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def leaves_by_name(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by their path in it, such as `params/0/w`."""
    import jax  # here, so that a cache of decoded data is read without it

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(at, simple=True, separator="/"): leaf for at, leaf in leaves}


def write_sums(folder: Path, but: str = "") -> None:
    """Write the checksums of all files in a folder and below it, but of one that will be removed, atomically."""
    write(folder / SUMS, "".join(line for line in _sums(folder).splitlines(keepends=True) if line[66:-1] != but))


def verify(folder: Path) -> None:
    """Compare a folder with its checksums; DamagedError names a file that is missing, left over or changed."""
    if not (folder / SUMS).is_file():
        raise DamagedError(f"{folder / SUMS} is missing")
    for name, what in damage(folder):
        raise DamagedError(f"{folder / name} {what}")
    if (folder / SUMS).read_bytes() != _sums(folder).encode():
        raise DamagedError(f"{folder / SUMS} is damaged")


def damage(folder: Path) -> Iterator[tuple[str, str]]:
    """The files that are not as when the checksums of a folder were written, and why; others may have been added."""
    before, after = read_sums(folder), _by_name(_sums(folder))
    for name, digest in before.items():
        if name not in after:
            yield name, "is missing"
        elif after[name] != digest:
            yield name, "is damaged: its content is not what was written"


def read_sums(folder: Path) -> dict[str, str]:
    """The checksums of a folder by file name, as they were written."""
    return _by_name((folder / SUMS).read_text("utf-8", errors="replace"))


def _by_name(sums: str) -> dict[str, str]:
    return {line[66:]: line[:64] for line in sums.splitlines()}


def _sums(folder: Path) -> str:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return "".join(f"{_sum(folder / name)}  {name}\n" for name in names if name != SUMS)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _delete(path: Path) -> None:
    """Remove a file or a folder as far as possible."""
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
