"""Files of a run: written atomically, checked when read, never pickled."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn._files import SUMS, damage, leaves_by_name, read_sums, remove_unfinished, write, write_arrays, write_sums
from jaxnn._files import read_arrays as read_flat

__all__ = [
    "SUMS",
    "as_json",
    "check_folder",
    "damage",
    "locked",
    "read_arrays",
    "read_flat",
    "read_sealed",
    "read_sums",
    "remove_unfinished",
    "short_name",
    "write",
    "write_arrays",
    "write_json",
    "write_sealed",
    "write_sums",
]


def short_name(text: str) -> str:
    """The text as part of a file name: at most 60 letters, digits, dots and hyphens."""
    return re.sub(r"[^\w.-]+", "-", text)[:60].strip("-") or "data"


def check_folder(folder: Path) -> None:
    """Check before a long computation that a folder exists or can be created, and is writable."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{folder} cannot be a folder: {there} is a file; choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be written: {there} is read-only for you; choose another")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; see `as_json`."""
    write(path, as_json(value))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one run; ValueError if another process holds it.

    The lock is of the system and leaves no file: it ends with the process, however that ends.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{folder} is in use by another run: wait for its end, or choose another") from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def as_json(value: Any) -> str:
    """The value as JSON text; dataclasses, paths and NumPy values become plain ones, NaN and infinity are errors."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.asdict(value)
        if isinstance(value, Path):
            return str(value)
        return np.asarray(value).tolist()

    return json.dumps(value, indent=2, default=plain, allow_nan=False) + "\n"


def write_sealed(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file atomically, with a checksum of its content; see `read_sealed`."""
    plain = json.loads(as_json(dict(values)))
    write_json(path, plain | {"checksum": _checksum(plain)})


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a file of `write_sealed`; ValueError if it was damaged or changed."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        checksum = values.pop("checksum")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error})") from error
    if checksum != _checksum(values):
        raise ValueError(f"{path} is damaged or was changed: its checksum does not match its content")
    return values


def read_arrays(path: Path, like: Any) -> Any:
    """Read a file of `write_arrays` into the structure of `like`; ValueError unless names and shapes agree."""
    import jax

    arrays, expected = read_flat(path), leaves_by_name(like)
    if set(expected) != set(arrays):
        raise ValueError(f"{path}: expected the arrays {sorted(expected)}, found {sorted(arrays)}")
    for name, leaf in expected.items():
        if hasattr(leaf, "shape") and leaf.shape != arrays[name].shape:
            raise ValueError(f"{path}: {name} has shape {list(arrays[name].shape)}, expected {list(leaf.shape)}")
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in expected])


def _checksum(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
