"""Checkpoints: the whole of a run on disk, written whole or not at all, every byte checked before it is used again.

A checkpoint is a folder, such as `checkpoints/000040` after 40 epochs (`000040-000000120` after 120 steps more): the
arrays as Orbax writes them (`state`), what else is to be known as JSON (`about.json`), and the checksums of all these
files (`SHA256SUMS`, which `sha256sum -c` reads). It is written under another name and then renamed. Nothing in it is a
pickle.

Examples start from:
    >>> from jaxnn import checkpoint
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.checkpoint import _checksums
from jaxnn.checkpoint._checksums import DamagedError

TEMPORARY = ".tmp"
FOR_FILES = 2**16
"""Bytes that a checkpoint takes beside its arrays."""


class Checkpoint(NamedTuple):
    """What was stored, as it was read and checked."""

    path: Path
    arrays: dict[str, np.ndarray]
    """The leaves of the stored tree by their places in it, such as "run/state/params/0/w"; see `restore`."""
    about: dict[str, Any]
    """What `save` was given; also `epoch` and `step`; `keys`: the kinds of the PRNG keys by place; `empty`: types and
    shapes of the arrays without values."""


def save(folder: Path, epoch: int, tree: Any, about: Mapping[str, Any], step: int = 0) -> Path:
    """Write a checkpoint: readers see the whole of it or nothing.

    Args:
        folder: the folder of the run's checkpoints; made if needed.
        epoch: the number of epochs done, by which the checkpoint is called.
        tree: a pytree of arrays; PRNG keys too.
        about: what else is to be known; whatever JSON can hold.
        step: the number of steps done in the epoch that is under way.

    Returns:
        The path of the checkpoint. One of the same name is replaced.

    Raises:
        OSError, ValueError: it could not be written; nothing of it is left.

    Example:
        >>> path = checkpoint.save(Path("checkpoints"), 4, {"w": jnp.ones(3)}, {"note": "any JSON"})
        >>> path.name, sorted(file.name for file in path.iterdir())
        ('000004', ['SHA256SUMS', 'about.json', 'state'])
    """
    folder = folder.resolve()
    target = folder / (f"{epoch:06d}-{step:09d}" if step else f"{epoch:06d}")
    temporary = _temporary(target)
    arrays, keys = {}, {}
    for at, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = _name(at)
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            keys[name], leaf = str(jax.random.key_impl(leaf)), jax.random.key_data(leaf)
        arrays[name] = np.asarray(leaf)
    empty = {name: [array.dtype.name, array.shape] for name, array in arrays.items() if array.size == 0}
    arrays = {name: array for name, array in arrays.items() if name not in empty}  # Orbax refuses them
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = sum(array.nbytes for array in arrays.values()) + FOR_FILES, shutil.disk_usage(folder).free
    if free < needed:  # known before Orbax begins, whose threads go on for a while after a failure
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {needed:,} bytes needed, {free:,} free", str(folder))
    try:
        temporary.mkdir()
        with _orbax() as (ocp, checkpointer):
            checkpointer.save(temporary / "state", args=ocp.args.PyTreeSave(arrays))
        text = json.dumps(
            {**about, "epoch": epoch, "step": step, "keys": keys, "empty": empty}, indent=1, allow_nan=False
        )
        (temporary / "about.json").write_text(text + "\n", encoding="utf-8")
        _checksums.write_sums(temporary)
        remove(target)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and check every byte of it.

    Args:
        path: of the checkpoint.

    Returns:
        A `Checkpoint`.

    Raises:
        DamagedError: a file is missing, left over, or not what was written; the message names it.
        OSError: a file cannot be read.

    Example:
        >>> path = checkpoint.save(Path("read"), 4, {"w": jnp.ones(3)}, {"note": "any JSON"})
        >>> stored = checkpoint.load(path)
        >>> stored.arrays, stored.about["note"]
        ({'w': array([1., 1., 1.], dtype=float32)}, 'any JSON')
    """
    path = path.resolve()
    _checksums.verify(path)
    try:
        about = json.loads((path / "about.json").read_text(encoding="utf-8"))
        with _orbax() as (ocp, checkpointer):
            names = checkpointer.metadata(path / "state").item_metadata.tree
            as_numpy = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
            arrays = checkpointer.restore(path / "state", args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    except OSError:
        raise
    except Exception as error:
        raise DamagedError(f"{path} cannot be read, though its checksums are right ({error})") from error
    empty = {name: np.zeros(shape, np.dtype(kind)) for name, (kind, shape) in about.get("empty", {}).items()}
    return Checkpoint(path, arrays | empty, about)


def restore(checkpoint: Checkpoint, like: Any) -> Any:
    """The stored tree.

    Args:
        checkpoint: as `load` gave it.
        like: a pytree of the same structure, of arrays or `jax.ShapeDtypeStruct`; the `history` of a `Run` in it may be
            of another length.

    Returns:
        The pytree, with the stored arrays on the default device.

    Raises:
        ValueError: an array is missing, left over, or of another shape or type; the message names it.

    Example:
        >>> state = training.init_state(task(h), key)
        >>> stored = checkpoint.load(checkpoint.save(Path("restore"), 0, state, {}))
        >>> bool(checkpoint.restore(stored, like=state).key == state.key)
        True
    """
    places, structure = jax.tree_util.tree_flatten_with_path(like)
    expected = {_name(at): leaf for at, leaf in places}
    if set(expected) != set(checkpoint.arrays):
        differ = sorted(set(expected) ^ set(checkpoint.arrays))
        raise ValueError(f"{checkpoint.path} is of another training: only one of the two has {', '.join(differ)}")
    leaves = []
    for name, leaf in expected.items():
        value = jnp.asarray(checkpoint.arrays[name])
        if name in checkpoint.about["keys"]:
            value = jax.random.wrap_key_data(value, impl=checkpoint.about["keys"][name])
        shape = value.shape if "history" in name.split("/") else leaf.shape
        if (value.shape, value.dtype) != (shape, leaf.dtype):
            raise ValueError(
                f"{checkpoint.path} is of another training: {name} is {value.dtype}{list(value.shape)}, expected "
                f"{leaf.dtype}{list(leaf.shape)}"
            )
        leaves.append(value)
    return jax.tree.unflatten(structure, leaves)


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first, checked or not.

    Args:
        folder: the folder of a run's checkpoints; need not exist.

    Returns:
        Their paths.

    Example:
        >>> for epoch in (5, 10):
        ...     Path("paths", f"{epoch:06d}").mkdir(parents=True)
        >>> [path.name for path in checkpoint.list_checkpoints(Path("paths"))]
        ['000010', '000005']
    """
    found = [path for path in folder.glob("*") if re.fullmatch(r"\d+(-\d+)?", path.name) and path.is_dir()]
    return sorted(found, key=position, reverse=True)


def position(path: Path) -> tuple[int, int]:
    """How far a run had come when it wrote a checkpoint.

    Args:
        path: of the checkpoint.

    Returns:
        The epochs done, and the steps of the next.

    Example:
        >>> checkpoint.position(Path("checkpoints/000040-000000120"))
        (40, 120)
    """
    epoch, _, step = path.name.partition("-")
    return int(epoch), int(step or 0)


def latest(folder: Path, warn: Callable[[str], None] = warnings.warn) -> Checkpoint | None:
    """The newest good checkpoint.

    Args:
        folder: the folder of a run's checkpoints; need not exist.
        warn: told of each newer one that is damaged.

    Returns:
        A `Checkpoint`; None where there is no checkpoint at all.

    Raises:
        DamagedError: there are checkpoints and all are damaged.

    Example:
        >>> for epoch in (5, 10):
        ...     path = checkpoint.save(Path("newest"), epoch, {"w": jnp.ones(3)}, {})
        >>> checkpoint.latest(Path("newest")).about["epoch"]
        10
        >>> print(checkpoint.latest(Path("none")))
        None
    """
    damaged = []
    for path in list_checkpoints(folder):
        try:
            checkpoint = load(path)
        except (DamagedError, OSError) as error:
            damaged.append(str(error))
            continue
        for message in damaged:
            warn(f"{message}; going on from the previous good checkpoint, {path}")
        return checkpoint
    if damaged:
        raise DamagedError(f"{folder} holds no good checkpoint: {'; '.join(damaged)}; train again")
    return None


def remove(path: Path) -> None:
    """Remove a checkpoint, which is seen whole or not at all meanwhile; nothing where there is none.

    Args:
        path: of the checkpoint.

    Raises:
        OSError: it cannot be removed.

    Example:
        >>> Path("remove", "000005").mkdir(parents=True)
        >>> checkpoint.remove(Path("remove", "000005"))
        >>> checkpoint.list_checkpoints(Path("remove"))
        []
    """
    if path.exists():
        shutil.rmtree(path.rename(_temporary(path, ".old")))


def _temporary(path: Path, kind: str = "") -> Path:
    return path.with_name(f".{path.name}{kind}.{os.getpid()}{TEMPORARY}")


def _name(at: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(at, simple=True, separator="/")


def _is_not_of_orbax(record: logging.LogRecord) -> bool:
    """Orbax's threads log the whole traceback of an error that it then raises, and that is told here in one line."""
    return "orbax" not in Path(record.pathname).parts


@contextlib.contextmanager
def _orbax() -> Iterator[tuple[Any, Any]]:
    """Orbax, loaded when it is needed, and its checkpointer for the arrays of this process alone."""
    import orbax.checkpoint as ocp

    logging.getLogger("absl").addFilter(_is_not_of_orbax)
    this = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=this, active_processes={this}, barrier_sync_key_prefix=f"process{this}"
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    _ignore_what_comes_late()
    with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
        yield ocp, checkpointer


@functools.cache
def _ignore_what_comes_late() -> None:
    """From now on: what Orbax's threads have to say after a failure, to an event loop that is closed, is no news."""
    tell, tell_unraisable = sys.excepthook, sys.unraisablehook

    def is_late(error: BaseException | None) -> bool:
        return isinstance(error, RuntimeError) and "Event loop is closed" in str(error)

    sys.excepthook = lambda kind, error, trace: None if is_late(error) else tell(kind, error, trace)
    sys.unraisablehook = lambda told: None if is_late(told.exc_value) else tell_unraisable(told)
