"""Load the dataset of a run, and hand it to training: all at once, or from the disk while the training runs."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jax import Array
from rich.console import Console

from experiments.classifier.config import Config, Settings
from experiments.classifier.preprocessing import subsample_stride
from experiments.cli import command, progress
from jaxnn import training
from jaxnn.data import Dataset, DiskImages, Split, load, loader
from jaxnn.data._memory import check_room

QUICK_EXAMPLES = 2000


def is_streamed(dataset: Dataset) -> bool:
    """Whether the images of a dataset stay on disk."""
    return isinstance(dataset.train.inputs, DiskImages)


def describe_stream(dataset: Dataset) -> str:
    """A line about a dataset whose images stay on disk."""
    images: Any = dataset.train.inputs
    every = subsample_stride(images)
    part = "all training examples" if every == 1 else f"every {every}th training example"
    return (
        f"the training images, {images.nbytes / 2**30:,.2f} GiB when decoded, are read from "
        f"{images.examples.source.folder} during the training; preprocessing is fitted on {part}"
    )


def training_data(dataset: Dataset, statistics: Any, key: Array, settings: Settings) -> training.Data | training.Stream:
    """The examples as `training.fit` takes them, with those that are evaluated after each epoch."""
    size, train, splits = settings.batch_size, dataset.train, _evaluated(dataset)
    if not is_streamed(dataset):
        return training.Data(*train, statistics, evaluate=splits)

    def batches(first_step: int) -> Iterator[tuple[Array, Array]]:
        options = {"batch_size": size, "epochs": settings.epochs, "first_step": first_step}
        return loader.shuffled_batches(_on_disk(train), key, **options)

    evaluate = {name: functools.partial(examples_of, split, settings) for name, split in splits.items()}
    return training.Stream(batches, len(train.labels) // size, evaluate, statistics)


def examples_of(split: Split, settings: Settings) -> Any:
    """A split as `training.evaluate` takes it."""
    if not isinstance(split.inputs, DiskImages):
        return split
    return loader.sequential_batches(_on_disk(split), batch_size=settings.batch_size)


def evaluated_training_examples(dataset: Dataset) -> Split:
    """The training examples on which the final classifier is evaluated: all, or of images on disk some."""
    if not is_streamed(dataset):
        return dataset.train
    return _evaluated(dataset).get("train") or _every(dataset.train, len(dataset.test.labels))


def held_out(dataset: Dataset, choosing: bool) -> Split:
    """The examples on which the final classifier is evaluated: the test set, or for a choice the validation set."""
    return dataset.validation if choosing else dataset.test


def without_test(dataset: Dataset) -> Dataset:
    """The dataset with an empty test set, so that nothing can read it."""
    train = dataset.train
    return dataset._replace(test=Split(np.empty((0, *train.inputs.shape[1:]), np.uint8), np.empty(0, np.int32)))


def _on_disk(split: Split) -> loader.Examples:
    images: Any = split.inputs
    return images.examples


def _every(split: Split, count: int) -> Split:
    """About this many examples, evenly spaced."""
    every = max(1, len(split.labels) // count)
    return Split(split.inputs[::every], split.labels[::every])


def _evaluated(dataset: Dataset) -> dict[str, Split]:
    """The splits evaluated after each epoch: the validation examples, and about as many training examples."""
    held = len(dataset.validation.labels)
    return {"train": _every(dataset.train, held), "validation": dataset.validation} if held else {}


PROGRAMS = 100 * 2**20
"""Bytes of memory that JAX and a compiled training take at least, beside the data."""


def _needed(dataset: Dataset) -> tuple[str, int]:
    """What a training needs at least beside the examples that were read, and its bytes."""
    inputs = [split.inputs for split in (dataset.train, dataset.validation, dataset.test)]
    size = sum(each.nbytes for each in inputs if isinstance(each, np.ndarray))
    numbers = 2 * 4 * math.prod(dataset.test.inputs.shape) if size else 0  # of the test and as many training examples
    return f"a training and its copy of {sum(map(len, inputs)):,} examples", size + max(PROGRAMS, numbers)


def load_dataset(config: Config, memory_share: float | None = None, console: Console | None = None) -> Dataset:
    """The dataset of the settings, split; `quick` keeps few training examples, `choosing` no test examples.

    A console gets warnings as lines, and a progress bar for a folder of images.
    """
    if console is not None:
        with warnings.catch_warnings(record=True) as raised, progress.CountBar("images read", console) as bar:
            warnings.simplefilter("always")
            dataset = _load(config, memory_share, bar)
        for each in raised:
            command.warn(console, str(each.message))
    else:
        dataset = _load(config, memory_share, None)
    if config.choosing:
        dataset = without_test(dataset)
    if config.quick and len(dataset.train.labels) > QUICK_EXAMPLES:
        rows = np.random.default_rng(config.seed).choice(len(dataset.train.labels), QUICK_EXAMPLES, replace=False)
        rows.sort()
        dataset = dataset._replace(train=Split(dataset.train.inputs[rows], dataset.train.labels[rows]))
    check_room(*_needed(dataset), "; a prepared image set is streamed with --memory-share 0")
    return dataset


def _load(config: Config, memory_share: float | None, bar: Callable[[int, int], None] | None) -> Dataset:
    return load(
        config.dataset,
        data_dir=config.data_dir,
        validation_share=config.validation_share,
        seed=config.seed,
        label=config.label,
        image_size=config.image_size,
        drop=config.drop,
        strict=config.strict,
        memory_share=memory_share,
        progress=bar,
    )
