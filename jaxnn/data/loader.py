"""Batches read during training, for data sets larger than memory.

    examples = load("imagenet_resized/64x64", memory_share=0.5).train.inputs.examples
    for batch in loader.shuffled_batches(examples, key, batch_size=256, epochs=90, first_step=int(state.step)):
        state, metrics = train_step(state, batch)

Any position in an epoch's order can be computed on its own, so the batch of a step is a function of (key, step): the
same examples that `jaxnn.training.run` would train on, and training resumes at any step from the step number alone.
Grain reads and decodes the records, in threads or processes, while the device computes; every process reads its own
part of each batch.
"""

from __future__ import annotations

import collections
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxnn import sharding
from jaxnn._random import epoch_key, feistel_keys, permutation_at
from jaxnn.data._memory import memory
from jaxnn.data._tfds import Source
from jaxnn.data._tfds._records import OnDisk

__all__ = ["InMemory", "OnDisk", "sequential_batches", "shuffled_batches"]

AHEAD = 2
"""Batches on the device before they are needed."""


class Examples(Protocol):
    """Labelled examples with random access."""

    def __len__(self) -> int:
        """The number of examples."""
        ...

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs uint8[B, H, W, C] and labels int32[B] of some examples."""
        ...


class InMemory(NamedTuple):
    """Decoded examples."""

    inputs: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """The number of examples."""
        return self.labels.shape[0]

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels of some examples."""
        return self.inputs[rows], self.labels[rows]


class _Steps:
    """This process's part of the batch of every step, by step number; the source that grain reads."""

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
    """The first and last position of this process's part of each batch."""
    if not 0 < batch_size <= n:
        raise ValueError(f"batch_size must be from 1 to {n}, the number of examples; got {batch_size}")
    sharding.check_batch_size(batch_size)
    of_process = batch_size // jax.process_count()
    return jax.process_index() * of_process, (jax.process_index() + 1) * of_process


def _read(steps: _Steps, first_step: int, threads: int | None, workers: int) -> Iterator[tuple[jax.Array, jax.Array]]:
    """The batches, on the device before they are needed."""
    import grain

    threads = threads or os.cpu_count() or 1
    read = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    found = grain.MapDataset.source(steps)[first_step:].to_iter_dataset(read)
    if workers:
        from absl import flags

        if not flags.FLAGS.is_parsed():  # grain's workers read absl flags, which nothing here has parsed
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
    """The batches of a training run, on the device (sharded over the mesh, if one is set) before they are needed.

    Args:
        examples: `InMemory`, `OnDisk`, or whatever has a length and a `take(rows)` as they have.
        key: as `training.run`, which trains on the same batches with the same key.
        batch_size: examples per step, over all processes.
        epochs: number of epochs.
        first_step: the step to start at, counted over the whole run, such as `State.step` of an interrupted one.
        threads: batches read and decoded at once, in each worker; by default the number of processors.
        workers: processes that read and decode; 0 uses threads of this process, which is enough for large images: they
            are decoded without the interpreter lock.

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
            f"epochs and threads must be at least 1 and workers at least 0; got {epochs}, {threads}, {workers}"
        )
    steps = epochs * (n // batch_size)
    if not 0 <= first_step <= steps:
        raise ValueError(f"first_step must be from 0 to {steps}, the number of steps; got {first_step}")
    words = np.stack([np.asarray(feistel_keys(epoch_key(key, epoch), n)) for epoch in range(epochs)])
    rows = functools.partial(_rows_of_step, words, n, batch_size, part)
    yield from _read(_Steps(examples, steps, rows), first_step, threads, workers)


def sequential_batches(
    examples: Examples, *, batch_size: int, threads: int | None = None, workers: int = 0
) -> Iterator[tuple[jax.Array, jax.Array, int]]:
    """All examples once, in order, in batches of one size, for evaluation.

    Args:
        examples, threads, workers: as `shuffled_batches`.
        batch_size: examples per batch, over all processes; may exceed the number of examples.

    Yields:
        Inputs [B, ...], labels int32[B], and how many of them count: the last batch is padded by repeating the last
        example, so that all batches have one shape.

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


def open_examples(source: Source, split: str, *, memory_share: float = 0.5) -> Examples:
    """The examples of a prepared data set: decoded into memory if they fit, else read during training."""
    if not 0 <= memory_share <= 1:
        raise ValueError(f"memory_share must be from 0 to 1, got {memory_share}")
    examples = OnDisk(source, split)
    if examples.decoded_bytes > memory_share * memory():
        return examples
    return InMemory(*examples.take(np.arange(len(examples))))
