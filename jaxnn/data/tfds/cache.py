"""Decoded data sets on disk, checked before every use.

Decoding the 60,000 PNG images of CIFAR-10 takes seconds; mapping the decoded arrays into memory takes none. A cache
entry is one folder, `<cache>/<name>/<version>/<fingerprint of the source>/`, with four `.npy` files and
`manifest.json`. It stands alone: it can be carried to a machine that has neither the source nor TFDS.

A new entry is written into a temporary folder beside its place and then renamed, so an entry is there as a whole or
not at all, and several processes may write the same one. Every file is checked against the checksums in the manifest,
and the manifest against its own. The checksum is CRC-32 per block of 8 MiB: it finds every burst of up to 32 damaged
bits and misses one in four thousand million other damages of a block; the 184 MB of CIFAR-10 take some 30 ms with two
threads, also on processors without instructions for SHA-256. It is no defence against a forger.

Examples start from:
    >>> from jaxnn.data.tfds import cache
"""

import contextlib
import errno
import json
import os
import re
import shutil
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn import files
from jaxnn.data._split import Dataset, Split, take

__all__ = ["entries", "read", "root", "write"]

FORMAT = 1
MANIFEST = "manifest.json"
BLOCK = 8 << 20  # bytes per checksum
FILES = ("train_inputs.npy", "train_labels.npy", "test_inputs.npy", "test_labels.npy")


def root(cache_dir: str | os.PathLike[str] | None) -> Path:
    """Gives the cache folder.

    Args:
        cache_dir: The user's choice, or None.

    Returns:
        The argument, else $JAXNN_CACHE_DIR, else $XDG_CACHE_HOME/jaxnn, else ~/.cache/jaxnn.

    Example:
        >>> cache.root("decoded").as_posix()
        'decoded'
    """
    if chosen := cache_dir or os.environ.get("JAXNN_CACHE_DIR"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jaxnn"


def entries(cache: Path, name: str) -> list[Path]:
    """Finds all entries for a data set, whatever their source and state.

    Args:
        cache: The cache folder.
        name: The data set.

    Returns:
        The folders of the entries, sorted.

    Example:
        >>> cache.entries(Path("empty"), "cifar10")
        []
    """
    return sorted(
        folder
        for folder in (cache / name).glob("*/*")
        if re.fullmatch(r"\d+\.\d+\.\d+/[0-9a-f]{16}", folder.relative_to(cache / name).as_posix())
    )


def read(entry: Path) -> Dataset:
    """Reads an entry after checking every byte of it.

    Args:
        entry: The folder of the entry.

    Returns:
        The data set with read-only memory maps as `train` and `test` and an empty `validation`.

    Raises:
        OSError: A file of the entry is missing or damaged; the message names it.

    Example:
        >>> entry = Path("decoded", "gauss", "1.0.0", "0123456789abcdef")
        >>> cache.write(entry, load("gauss", size=50))
        >>> cache.read(entry).train.inputs.shape
        (36, 2)
    """
    manifest = _read_manifest(entry / MANIFEST)
    with ThreadPoolExecutor(2) as pool:
        arrays = [_read_array(entry / name, manifest["files"][name], pool) for name in FILES]
    train, test = Split(arrays[0], arrays[1]), Split(arrays[2], arrays[3])
    return Dataset(manifest["name"], tuple(manifest["classes"]), train, take(train, slice(0)), test)


def write(entry: Path, dataset: Dataset) -> None:
    """Writes the train and test splits of `dataset` as the entry, in place of a damaged one if there is one.

    Args:
        entry: The folder of the entry.
        dataset: What to keep; its validation split is left out.

    Raises:
        OSError: The folder cannot be written; nothing is left behind.

    Example:
        >>> cache.write(Path("kept", "gauss", "1.0.0", "0123456789abcdef"), load("gauss", size=50))
        >>> [entry.name for entry in cache.entries(Path("kept"), "gauss")]
        ['0123456789abcdef']
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    for left in entry.parent.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # another process has just finished it
            if left.stat().st_mtime < time.time() - 24 * 3600:  # its writer was killed
                shutil.rmtree(left, ignore_errors=True)
    made = files.temporary(entry)
    made.mkdir()
    try:
        written: dict[str, Any] = {}
        with ThreadPoolExecutor(2) as pool:
            for name, array in zip(FILES, (*dataset.train, *dataset.test), strict=True):
                np.save(made / name, array)
                written[name] = {
                    "shape": list(array.shape),
                    "dtype": str(array.dtype),
                    "bytes": (made / name).stat().st_size,
                    "crc32": _checksums(made / name, pool),
                }
        content = {"format": FORMAT, "name": dataset.name, "classes": dataset.classes, "block": BLOCK, "files": written}
        content["source"] = entry.name
        text = json.dumps(content)
        manifest = {"crc32": zlib.crc32(text.encode()), "content": content}
        (made / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _put(made, entry)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _put(made: Path, entry: Path) -> None:
    """Renames the new folder to its place, unless another process has put an intact one there."""
    old = files.temporary(entry)
    while True:
        if entry.exists():
            try:
                read(entry)
                return
            except OSError:
                with contextlib.suppress(FileNotFoundError):  # another process has moved it
                    entry.rename(old)
                shutil.rmtree(old, ignore_errors=True)
        try:
            made.rename(entry)
            return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise  # else another process was faster: is its entry intact?


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        content = manifest["content"]
        if zlib.crc32(json.dumps(content).encode()) != manifest["crc32"]:
            raise ValueError("the checksum differs")
    except FileNotFoundError:
        raise OSError(f"{path} is missing") from None
    except (ValueError, KeyError, TypeError):  # no UTF-8, no JSON, other JSON, or another checksum
        raise OSError(f"{path} is damaged") from None
    if content["format"] != FORMAT:
        raise OSError(f"{path} has format {content['format']}, and this version of jaxnn reads format {FORMAT}")
    return content


def _read_array(path: Path, expected: dict[str, Any], pool: ThreadPoolExecutor) -> np.ndarray:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise OSError(f"{path} is missing") from None
    if size != expected["bytes"]:
        raise OSError(f"{path} is damaged: {size:,} bytes instead of {expected['bytes']:,}")
    if _checksums(path, pool) != expected["crc32"]:
        raise OSError(f"{path} is damaged: its bytes do not have the checksum they were written with")
    return np.load(path, mmap_mode="r")


def _checksums(path: Path, pool: ThreadPoolExecutor) -> list[int]:
    """The CRC-32 of every block of the file, computed over a memory map: zlib lets the other thread run."""
    content = np.memmap(path, dtype=np.uint8, mode="r")
    return list(pool.map(zlib.crc32, (content[start : start + BLOCK] for start in range(0, len(content), BLOCK))))
