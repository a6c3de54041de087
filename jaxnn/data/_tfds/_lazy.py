"""A data set whose images stay on disk, with the shape and the slices of an array in memory."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import numpy as np

from jaxnn.data._memory import memory
from jaxnn.data._split import Dataset, Split
from jaxnn.data._tfds._records import OnDisk, Reader, check_labels
from jaxnn.data._tfds._source import Source


class DiskImages:
    """Images of a prepared set, uint8[N, H, W, C], that are decoded when converted to an array.

    A slice or an index array gives `DiskImages` again; `np.asarray` reads and decodes.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, examples: OnDisk) -> None:
        """The images of `examples`."""
        self.examples = examples

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self.examples), *self.examples.shape)

    @property
    def nbytes(self) -> int:
        """Their size when decoded."""
        return self.examples.decoded_bytes

    def __len__(self) -> int:
        """The number of images."""
        return len(self.examples)

    def __getitem__(self, rows: np.ndarray | slice) -> DiskImages:
        """Some of them, still on disk."""
        return DiskImages(self.examples.part(rows))

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        """All of them, decoded; a ValueError if they take more than the memory."""
        if self.nbytes > (room := memory()):
            raise ValueError(
                f"{len(self):,} images of {self.examples.source.name} take {self.nbytes / 2**30:,.1f} GiB when "
                f"decoded, and this process may use {room / 2**30:,.1f} GiB: read them with jaxnn.data.loader"
            )
        return self.examples.take(np.arange(len(self)))[0]

    @property
    def fingerprint(self) -> str:
        """A hash of the set's description and files, and of the selected rows."""
        found = hashlib.sha256(f"{self.examples.source.fingerprint} {self.examples.split} {self.shape}".encode())
        found.update(np.ascontiguousarray(self.examples.rows, np.int64).tobytes())
        return found.hexdigest()


def open_set(source: Source) -> Dataset:
    """As `_records.decode`, with `DiskImages` as inputs; reads all labels (about 25 s for a million examples)."""
    opened = []
    for split in ("train", Reader(source).test_split):
        examples = OnDisk(source, split)
        labels = examples.labels()
        check_labels(labels, source, split)
        opened.append((examples.classes, Split(cast("Any", DiskImages(examples)), labels)))
    (classes, train), (_, test) = opened
    return Dataset(source.name, classes, train, train.take(slice(0)), test)
