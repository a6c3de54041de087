"""Examples that are read while training goes on, for data sets larger than memory.

    source = loader.open_examples(source.find("imagenet_resized/64x64", data_dir), "train")
    for batch in loader.shuffled_batches(source, key, batch_size=256, epochs=90, first_step=int(state.step)):
        state, metrics = update(state, batch)

Any place of the order of an epoch can be computed alone, so that the batch of a step is a function of (key, step): the
same examples that `jaxnn.training.run` would train on, and a training goes on at any step with nothing stored but the
step. Records are read and decoded by grain, in threads or processes, while the device computes; every process reads
its own part of each batch.

The folder `prepared` of the examples holds a small set, called "tiny".
"""

from __future__ import annotations

import collections
import copy
import functools
import math
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxnn import sharding
from jaxnn.data._memory import memory
from jaxnn.data.tfds.records import Records
from jaxnn.data.tfds.source import Source
from jaxnn.random import epoch_key, feistel_keys, permutation_at

__all__ = ["Examples", "InMemory", "OnDisk", "open_examples", "sequential_batches", "shuffled_batches"]

MEMORY_SHARE = 0.5
"""A data set that takes more than this share of the memory, decoded, is streamed."""
AHEAD = 2
"""Batches on the device before they are needed."""


class Examples(Protocol):
    """Labelled examples with random access."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inputs uint8[B, H, W, C] and the labels int32[B] of some examples."""
        ...


class InMemory(NamedTuple):
    """Examples that are decoded already."""

    inputs: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """How many there are."""
        return self.labels.shape[0]

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inputs and the labels of some examples."""
        return self.inputs[rows], self.labels[rows]


class OnDisk:
    """Examples of a prepared data set, each decoded when it is asked for. Can be sent to other processes.

    Example:
        >>> from jaxnn.data import loader
        >>> from jaxnn.data.tfds import source
        >>> examples = loader.OnDisk(source.find("tiny", Path("prepared")), "train")
        >>> inputs, labels = examples.take(np.array([3, 1]))
        >>> len(examples), inputs.shape
        (20, (2, 5, 4, 3))
    """

    def __init__(self, source: Source, split: str, rows: np.ndarray | None = None) -> None:
        """Open the split of a set, such as "train" or "train[:90%]"; `rows` int[N] are those of it that are meant."""
        self.source, self.split = source, split
        self.shape, self.classes = self._records.shape, self._records.classes
        self.rows = np.arange(len(self._records)) if rows is None else rows

    @functools.cached_property
    def _records(self) -> Records:
        return Records(self.source, self.split)

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to open the files itself."""
        return {name: value for name, value in vars(self).items() if name != "_records"}

    def __len__(self) -> int:
        """How many there are."""
        return len(self.rows)

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inputs and the labels of some examples."""
        return self._records.decode(self.rows[rows])

    def part(self, rows: np.ndarray | slice) -> OnDisk:
        """Some of the examples, as examples on disk."""
        found = copy.copy(self)
        found.rows = self.rows[rows]
        return found

    def labels(self) -> np.ndarray:
        """The labels int32[N] of all examples, for which no image is decoded."""
        return self._records.labels()[self.rows]

    @property
    def decoded_bytes(self) -> int:
        """What all inputs take in memory."""
        return len(self) * math.prod(self.shape)


class _Steps:
    """One process's part of the batch of every step, by the number of the step: what grain reads from."""

    def __init__(self, examples: Examples, steps: int, rows: Callable[[int], np.ndarray]) -> None:
        self.examples, self.steps, self.rows = examples, steps, rows

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.examples.take(self.rows(int(index)))


def _rows_of_step(words: np.ndarray, n: int, batch_size: int, part: tuple[int, int], step: int) -> np.ndarray:
    epoch, batch = divmod(step, n // batch_size)
    return permutation_at(batch * batch_size + np.arange(*part), words[epoch], n)


def _rows_in_order(n: int, batch_size: int, part: tuple[int, int], step: int) -> np.ndarray:
    return np.minimum(step * batch_size + np.arange(*part), n - 1)


def _part(n: int, batch_size: int) -> tuple[int, int]:
    """Which places of each batch are this process's."""
    if not 0 < batch_size <= n:
        raise ValueError(f"stream: batch_size must be from 1 to {n}, the number of examples; got {batch_size}")
    sharding.check_batch_size(batch_size)
    of_process = batch_size // jax.process_count()
    return jax.process_index() * of_process, (jax.process_index() + 1) * of_process


def _read(source: _Steps, first_step: int, threads: int | None, workers: int) -> Iterator[tuple[jax.Array, jax.Array]]:
    """The batches on the device, before they are needed."""
    import grain

    threads = threads or os.cpu_count() or 1
    read = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    found = grain.MapDataset.source(source)[first_step:].to_iter_dataset(read)
    if workers:
        from absl import flags

        if not flags.FLAGS.is_parsed():  # grain's workers read flags, which only a command of absl parses
            flags.FLAGS.mark_as_parsed()
        found = found.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2))
    on_device: collections.deque[Any] = collections.deque()
    for inputs, labels in found:
        on_device.append(sharding.from_local((inputs, labels)))
        if len(on_device) > AHEAD:
            yield on_device.popleft()
    yield from on_device


def shuffled_batches(
    examples: Examples,
    key: jax.Array,
    *,
    batch_size: int,
    epochs: int,
    first_step: int = 0,
    threads: int | None = None,
    workers: int = 0,
) -> Iterator[tuple[jax.Array, jax.Array]]:
    """The batches of a training, on the device (split over the mesh, if one is set) before they are needed.

    Args:
        examples: as from `open_examples`.
        key: as `training.run`: the batches are those that a run with this key trains on.
        batch_size: examples a step, in all processes together.
        epochs: how many.
        first_step: where to begin, counted over the whole training, such as `State.step` of one that was stopped.
        threads: how many batches are read and decoded at once, in each worker; by default the number of processors.
        workers: processes that read and decode; 0 does it in threads of this process, which is enough for large images,
            whose decoding runs beside Python.

    Yields:
        Inputs [B, ...] and labels int32[B] of each step.

    Raises:
        ValueError: a size is out of range.
        OSError: a file is missing or damaged.

    Example:
        >>> from jaxnn.data import loader
        >>> examples = loader.InMemory(*load("digits").train)
        >>> found = loader.shuffled_batches(examples, jax.random.key(0), batch_size=64, epochs=1, threads=1)
        >>> inputs, labels = next(found)
        >>> inputs.shape, labels.shape
        ((64, 8, 8, 1), (64,))
    """
    n = len(examples)
    part = _part(n, batch_size)
    if epochs < 1 or workers < 0 or (threads is not None and threads < 1):
        raise ValueError(
            f"stream: needs epochs and threads from 1 and workers from 0; got {epochs}, {threads}, {workers}"
        )
    steps = epochs * (n // batch_size)
    if not 0 <= first_step <= steps:
        raise ValueError(f"stream: first_step must be from 0 to {steps}, the number of steps; got {first_step}")
    words = np.stack([np.asarray(feistel_keys(epoch_key(key, epoch), n)) for epoch in range(epochs)])
    rows = functools.partial(_rows_of_step, words, n, batch_size, part)
    yield from _read(_Steps(examples, steps, rows), first_step, threads, workers)


def sequential_batches(
    examples: Examples, *, batch_size: int, threads: int | None = None, workers: int = 0
) -> Iterator[tuple[jax.Array, jax.Array, int]]:
    """Batches of all examples once, in their order, for evaluation: none is left out.

    Args:
        examples, threads, workers: as `shuffled_batches`.
        batch_size: examples in a batch, in all processes together; may be more than there are.

    Yields:
        Inputs [B, ...], labels int32[B], and how many of them count: in the last batch the last example stands again
        where there are no more, so that all batches are of one shape.

    Raises:
        ValueError, OSError: as `shuffled_batches`.

    Example:
        >>> from jaxnn.data import loader
        >>> examples = loader.InMemory(*load("digits").test)
        >>> [(labels.shape, count) for _, labels, count in loader.sequential_batches(examples, batch_size=300)]
        [((300,), 300), ((300,), 59)]
    """
    n = len(examples)
    part = _part(max(n, batch_size), batch_size)
    rows = functools.partial(_rows_in_order, n, batch_size, part)
    steps = _Steps(examples, -(-n // batch_size), rows)
    for step, (inputs, labels) in enumerate(_read(steps, 0, threads, workers)):
        yield inputs, labels, min(batch_size, n - step * batch_size)


def open_examples(source: Source, split: str, *, memory_share: float = MEMORY_SHARE) -> Examples:
    """The examples of a prepared data set: decoded into memory if they fit, else read while training goes on.

    Args:
        source: as from `jaxnn.data.tfds.source.find`.
        split: "train", or a part of it as TFDS writes it: "train[:90%]".
        memory_share: the share of the memory (see `memory`) that they may take.

    Returns:
        `InMemory` or `OnDisk`.

    Raises:
        ValueError: `memory_share` is not a share, or it is not a set of labelled uint8 images of one size.
        OSError: a file is missing or damaged.

    Example:
        >>> from jaxnn.data import loader
        >>> from jaxnn.data.tfds import source
        >>> found = source.find("tiny", Path("prepared"))
        >>> type(loader.open_examples(found, "train")).__name__
        'InMemory'
        >>> type(loader.open_examples(found, "train", memory_share=0.0)).__name__
        'OnDisk'
    """
    if not 0 <= memory_share <= 1:
        raise ValueError(f"stream: memory_share must be from 0 to 1, got {memory_share}")
    examples = OnDisk(source, split)
    if examples.decoded_bytes > memory_share * memory():
        return examples
    return InMemory(*examples.take(np.arange(len(examples))))
