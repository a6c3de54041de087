"""Data sets and their splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Split(NamedTuple):
    """Examples with their labels.

    Attributes:
        inputs: uint8[N, H, W, C] images, or float32[N, D] points; images on disk are `DiskImages`.
        labels: int32[N], indices into the classes of the data set.
    """

    inputs: np.ndarray
    labels: np.ndarray

    def take(self, rows: np.ndarray | slice) -> Split:
        """Some of the examples: a view for a slice, a copy for an index array."""
        return Split(self.inputs[rows], self.labels[rows])


class Dataset(NamedTuple):
    """Three disjoint splits of one data set.

    Attributes:
        name: As given to `load`.
        classes: One name per label value.
        train: To learn from.
        validation: To make choices on; empty with `validation_share=0`.
        test: To report on.
        about: Of the user's own data what a reader of more examples must know: "columns", the names of the inputs;
            "offsets", what was subtracted from some; "white", of gray images of 32 bits or floats.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    about: Mapping[str, Any] = {}


def stratified_split(
    labels: np.ndarray, fraction: float, *, seed: Sequence[int], classes: Sequence[str], setting: str, advice: str
) -> tuple[np.ndarray, np.ndarray]:
    """Holds out `round(fraction * n)` of the n examples of each class at random: sorted indices (kept, held).

    `setting` is the fraction by the user's name for it, and `advice` what to do, for the error raised if a class would
    be missing on one side.
    """
    generator = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = round(fraction * len(rows))
        if not 0 < count < len(rows):
            raise ValueError(
                f"{setting} of the {len(rows)} examples of class {classes[label]!r} is {count}: each class "
                f"needs at least one example on both sides; {advice}"
            )
        held[generator.permutation(rows)[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
