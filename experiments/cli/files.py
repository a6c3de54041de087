"""Files of a run: written atomically, checked when read, never pickled."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: readers see the old file or the whole new one."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: readers see the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Check before a long computation that a folder exists or can be created, and is writable."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{folder} cannot be a folder: {there} is a file; choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be written: {there} is read-only for you; choose another")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; see `as_json`."""
    write_text(path, as_json(value))


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
        raise ValueError(f"{path} is damaged or was changed: its checksum is not that of its content")
    return values


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files and folders that a killed process left in a folder."""
    for path in list(folder.rglob(".*.tmp")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_arrays(path: Path, tree: Any) -> None:
    """Write a pytree of arrays as `.npz`, each array under its path in the tree, such as `params/0/w`."""
    content = io.BytesIO()
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    np.savez(content, allow_pickle=False, **{_name(place): np.asarray(leaf) for place, leaf in leaves})
    write_bytes(path, content.getvalue())


def read_arrays(path: Path, like: Any) -> Any:
    """Read a file of `write_arrays` into the structure of `like`; ValueError unless names and shapes agree."""
    arrays = read_flat(path)
    places, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [_name(place) for place, _ in places]
    if set(names) != set(arrays):
        raise ValueError(f"{path}: expected the arrays {sorted(names)}, found {sorted(arrays)}")
    for name, (_, leaf) in zip(names, places, strict=True):
        if hasattr(leaf, "shape") and leaf.shape != arrays[name].shape:
            raise ValueError(f"{path}: {name} has shape {list(arrays[name].shape)}, expected {list(leaf.shape)}")
    return jax.tree.unflatten(structure, [arrays[name] for name in names])


def read_flat(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name; ValueError if it is damaged."""
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        raise ValueError(f"{path} is damaged or no .npz file of arrays ({error}); train again") from error


def _checksum(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _name(place: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(place, simple=True, separator="/")
