"""A data set whose images stay on disk, with the shape and the slices of one in memory."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import numpy as np

from jaxnn.data._memory import memory
from jaxnn.data._split import Dataset, Split, take
from jaxnn.data.loader import OnDisk
from jaxnn.data.tfds.records import check_labelled, test_split
from jaxnn.data.tfds.source import Source

__all__ = ["DiskImages", "open_set"]


class DiskImages:
    """Images of a prepared set, uint8[N, H, W, C], that are decoded when they are made an array.

    A slice, or rows by their numbers, are such images again; `np.asarray` reads and decodes.

    Example:
        >>> from jaxnn.data import loader
        >>> from jaxnn.data.tfds import lazy, source
        >>> images = lazy.DiskImages(loader.OnDisk(source.find("tiny", Path("prepared")), "train"))
        >>> images.shape, images[::5].shape, type(np.asarray(images[:2])).__name__
        ((20, 5, 4, 3), (4, 5, 4, 3), 'ndarray')
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, examples: OnDisk) -> None:
        """The images of some examples."""
        self.examples = examples

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self.examples), *self.examples.shape)

    @property
    def nbytes(self) -> int:
        """What they would take in memory."""
        return self.examples.decoded_bytes

    def __len__(self) -> int:
        """How many there are."""
        return len(self.examples)

    def __getitem__(self, rows: np.ndarray | slice) -> DiskImages:
        """Some of them."""
        return DiskImages(self.examples.part(rows))

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        """All of them, decoded; a ValueError where they are more than the memory."""
        if self.nbytes > (room := memory()):
            raise ValueError(
                f"{len(self):,} images of {self.examples.source.name} take {self.nbytes / 2**30:,.1f} GiB when "
                f"decoded, and this process may use {room / 2**30:,.1f} GiB: read them with jaxnn.data.loader"
            )
        return self.examples.take(np.arange(len(self)))[0]

    @property
    def fingerprint(self) -> str:
        """What tells these images from others: the description and the files of the set, and which images they are."""
        found = hashlib.sha256(f"{self.examples.source.fingerprint} {self.examples.split} {self.shape}".encode())
        found.update(np.ascontiguousarray(self.examples.rows, np.int64).tobytes())
        return found.hexdigest()


def open_set(source: Source) -> Dataset:
    """The splits of a prepared set as `records.decode` gives them, with images that stay on disk.

    All labels are read, which takes about 25 seconds for a million examples (and the reading of the files).

    Args:
        source: the prepared set.

    Returns:
        The data set; its `inputs` are `DiskImages`.

    Raises:
        ValueError, OSError: as `jaxnn.data.tfds.records.decode`.

    Example:
        >>> from jaxnn.data.tfds import lazy, source
        >>> dataset = lazy.open_set(source.find("tiny", Path("prepared")))
        >>> dataset.classes, dataset.train.inputs.shape, dataset.test.inputs.shape
        (('even', 'odd'), (20, 5, 4, 3), (6, 5, 4, 3))
    """
    examples = {split: OnDisk(source, split) for split in ("train", test_split(source))}
    opened = []
    for split, found in examples.items():
        labels = found.labels()
        check_labelled(labels, source, split)
        opened.append(Split(cast("Any", DiskImages(found)), labels))
    train, test = opened
    return Dataset(source.name, examples["train"].classes, train, take(train, slice(0)), test)
