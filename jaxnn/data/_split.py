"""What a data set is, and how a part of it is held out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Examples with their labels.

    Attributes:
        inputs: uint8[N, H, W, C] images, or float32[N, D] points; images that stay on disk are `lazy.DiskImages`.
        labels: int32[N], indices into the classes of the data set.
    """

    inputs: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """Three disjoint splits of one data set.

    Attributes:
        name: What `load` was asked for.
        classes: One name per label value.
        train: What is learnt from.
        validation: What choices are made on; empty where none was asked for.
        test: What is reported on.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split


def take(split: Split, rows: np.ndarray | slice) -> Split:
    """Picks examples of a split.

    Args:
        split: Where from.
        rows: Which: a slice or an array of indices.

    Returns:
        The examples: a view for a slice, a copy for an array.

    Example:
        >>> from jaxnn.data._split import take
        >>> take(load("digits").train, slice(0, 3)).inputs.shape
        (3, 8, 8, 1)
    """
    return Split(split.inputs[rows], split.labels[rows])


def stratified_split(
    labels: np.ndarray, share: float, *, seed: Sequence[int], classes: Sequence[str], setting: str
) -> tuple[np.ndarray, np.ndarray]:
    """Holds out the same share of every class, drawn at random.

    Of a class with n examples, `round(share * n)` are held out. Both answers keep the order of the examples.

    Args:
        labels: int[N].
        share: Share of each class to hold out, in (0, 1).
        seed: Whole numbers that determine the draw, together with the labels.
        classes: Names of the classes, for the message of the error.
        setting: What the share is called where the user set it, for the message of the error.

    Returns:
        (kept, held): sorted int indices that together are 0 .. N-1, each once.

    Raises:
        ValueError: A class would be left with no example on one of the two sides.

    Example:
        >>> from jaxnn.data._split import stratified_split
        >>> labels = np.array([0] * 10 + [1] * 20)
        >>> kept, held = stratified_split(labels, 0.1, seed=[0], classes=("cat", "dog"), setting="share")
        >>> np.bincount(labels[held]).tolist(), len(kept)
        ([1, 2], 27)
    """
    generator = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = round(share * len(rows))
        if not 0 < count < len(rows):
            raise ValueError(
                f"{setting}={share} of the {len(rows)} examples of class {classes[label]!r} is {count}: each class "
                "needs at least one example on both sides; choose another share, or load more examples"
            )
        held[generator.permutation(rows)[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
