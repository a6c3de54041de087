"""Decoded data sets on disk, checked before every use.

Decoding the 60,000 PNG images of CIFAR-10 takes seconds; mapping the decoded arrays into memory takes none. A cache
entry is one folder, `<cache>/<name>/<version>/<fingerprint of the source>/`, with four `.npy` files and
`manifest.json`. It is self-contained: it can be copied to a machine that has neither the source nor TFDS.

A new entry is written to a temporary folder next to its final path and then renamed, so an entry is complete or absent,
and several processes may write the same one. Every file is checked against the checksums in the manifest, and the
manifest against its own. The checksum is CRC-32 per block of 8 MiB: it detects every burst of up to 32 damaged bits and
misses one in four billion other kinds of damage to a block; the 184 MB of CIFAR-10 take some 30 ms with two threads,
even on processors without SHA-256 instructions. It does not protect against deliberate changes.
"""

import contextlib
import errno
import json
import re
import shutil
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn import _files as files
from jaxnn.data._split import Dataset, Split

FORMAT = 1
MANIFEST = "manifest.json"
BLOCK = 8 << 20  # bytes per checksum
FILES = ("train_inputs.npy", "train_labels.npy", "test_inputs.npy", "test_labels.npy")


def cache_entries(cache: Path, name: str) -> list[Path]:
    """All cache entries of a data set, of any source and in any condition."""
    return sorted(
        folder
        for folder in (cache / name).glob("*/*")
        if re.fullmatch(r"\d+\.\d+\.\d+/[0-9a-f]{16}", folder.relative_to(cache / name).as_posix())
    )


def read(entry: Path) -> Dataset:
    """The data set as read-only memory maps, without a validation split; OSError if a byte of the entry is damaged."""
    manifest = _read_manifest(entry / MANIFEST)
    with ThreadPoolExecutor(2) as pool:
        arrays = [_read_array(entry / name, manifest["files"][name], pool) for name in FILES]
    train, test = Split(arrays[0], arrays[1]), Split(arrays[2], arrays[3])
    return Dataset(manifest["name"], tuple(manifest["classes"]), train, train.take(slice(0)), test)


def write(entry: Path, dataset: Dataset) -> None:
    """Writes the train and test splits as the entry, replacing a damaged one; nothing is left behind if it fails."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    for left in entry.parent.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # another process has just renamed it
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
    """Renames the new folder to its final path, unless another process has put an intact one there."""
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
        raise OSError(f"{path} is damaged: its checksum differs from the one in the manifest")
    return np.load(path, mmap_mode="r")


def _checksums(path: Path, pool: ThreadPoolExecutor) -> list[int]:
    """The CRC-32 of every block of the file, computed over a memory map: zlib lets the other thread run."""
    content = np.memmap(path, dtype=np.uint8, mode="r")
    return list(pool.map(zlib.crc32, (content[start : start + BLOCK] for start in range(0, len(content), BLOCK))))
