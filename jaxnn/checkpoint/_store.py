"""A checkpoint is a folder, such as `checkpoints/000040` after 40 epochs (`000040-000000120` after 120 steps more).

It holds the arrays (`arrays.npz`), JSON (`about.json`), and the checksums of both (`SHA256SUMS`, which `sha256sum -c`
reads). It is written under another name and then renamed. Nothing in it is a pickle.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn import _files as files
from jaxnn._files import DamagedError


class Checkpoint(NamedTuple):
    """A checkpoint as it was read and verified."""

    path: Path
    arrays: dict[str, np.ndarray]
    """The leaves of the stored tree by their path in it, such as "run/state/params/0/w"; see `restore`."""
    about: dict[str, Any]
    """The `about` of `save`; also `epoch`, `step`, and `keys`: the implementations of the PRNG keys by path."""


def save(folder: Path, epoch: int, tree: Any, about: Mapping[str, Any], step: int = 0) -> Path:
    """Write a checkpoint: readers see the whole of it or nothing.

    Args:
        folder: the folder of the run's checkpoints; created if needed.
        epoch: the number of epochs done, which names the checkpoint.
        tree: a pytree of arrays, PRNG keys included.
        about: further values, as JSON allows them.
        step: the number of steps done in the next epoch.

    Returns:
        The path of the checkpoint. One of the same name is replaced.

    Raises:
        OSError, ValueError: it could not be written; nothing is left behind.

    Example:
        >>> path = checkpoint.save(Path("checkpoints"), 4, {"w": jnp.ones(3)}, {"note": "any JSON"})
        >>> path.name, sorted(file.name for file in path.iterdir())
        ('000004', ['SHA256SUMS', 'about.json', 'arrays.npz'])
    """
    target = folder.resolve() / (f"{epoch:06d}-{step:09d}" if step else f"{epoch:06d}")
    arrays, keys = files.leaves_by_name(tree), {}
    for name, leaf in arrays.items():
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            keys[name], arrays[name] = str(jax.random.key_impl(leaf)), jax.random.key_data(leaf)
    text = json.dumps({**about, "epoch": epoch, "step": step, "keys": keys}, indent=1, allow_nan=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(target) as made:
        made.mkdir()
        files.write_arrays(made / "arrays.npz", arrays)
        files.write(made / "about.json", text + "\n")
        files.write_sums(made)
        files.remove(target)
    return target


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and verify every byte of it.

    Args:
        path: the folder of the checkpoint.

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
    files.verify(path)
    try:
        about = json.loads((path / "about.json").read_text(encoding="utf-8"))
        arrays = files.read_arrays(path / "arrays.npz") if not (path / "state").exists() else _read_orbax(path, about)
    except OSError:
        raise
    except Exception as error:
        raise DamagedError(f"{path} cannot be read, though its checksums are right ({error})") from error
    return Checkpoint(path, arrays, about)


def _read_orbax(path: Path, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint in the format of November 2026 and before, read by this process alone."""
    import orbax.checkpoint as ocp

    this = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(this, {this}, barrier_sync_key_prefix=f"process{this}")
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    with ocp.Checkpointer(handler, multiprocessing_options=alone) as reader:
        names = reader.metadata(path / "state").item_metadata.tree
        as_numpy = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
        arrays = reader.restore(path / "state", args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    return arrays | {name: np.zeros(shape, kind) for name, (kind, shape) in about["empty"].items()}


def restore(checkpoint: Checkpoint, like: Any) -> Any:
    """The stored tree.

    Args:
        checkpoint: from `load`.
        like: a pytree of the same structure, of arrays or `jax.ShapeDtypeStruct`; the `history` of a `Run` in it may
            have another length.

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
    expected = files.leaves_by_name(like)
    if set(expected) != set(checkpoint.arrays):
        differ = sorted(set(expected) ^ set(checkpoint.arrays))
        raise ValueError(f"{checkpoint.path} belongs to another training: only one of the two has {', '.join(differ)}")
    leaves = []
    for name, leaf in expected.items():
        value = jnp.asarray(checkpoint.arrays[name])
        if name in checkpoint.about["keys"]:
            value = jax.random.wrap_key_data(value, impl=checkpoint.about["keys"][name])
        shape = value.shape if "history" in name.split("/") else leaf.shape
        if (value.shape, value.dtype) != (shape, leaf.dtype):
            raise ValueError(
                f"{checkpoint.path} belongs to another training: {name} is {value.dtype}{list(value.shape)}, expected "
                f"{leaf.dtype}{list(leaf.shape)}"
            )
        leaves.append(value)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first; they are not verified.

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
    return sorted(found, key=_position, reverse=True)


def _position(path: Path) -> tuple[int, int]:
    """The epochs done, and the steps of the next."""
    epoch, _, step = path.name.partition("-")
    return int(epoch), int(step or 0)


def latest(folder: Path, warn: Callable[[str], None] = warnings.warn) -> Checkpoint | None:
    """The newest checkpoint that is intact.

    Args:
        folder: the folder of the run's checkpoints; need not exist.
        warn: called with a message for each newer checkpoint that is damaged.

    Returns:
        A `Checkpoint`; None if there is no checkpoint at all.

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
            warn(f"{message}; continuing from the previous good checkpoint, {path}")
        return checkpoint
    if damaged:
        raise DamagedError(f"{folder} holds no good checkpoint: {'; '.join(damaged)}; train again")
    return None
