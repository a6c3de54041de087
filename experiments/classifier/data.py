"""How the examples of a run come to the device: all at once, or from the disk while the training goes on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from experiments.classifier.config import Config, Settings
from experiments.classifier.preprocessing import subsample_stride
from experiments.classifier.results import Classifier
from jaxnn import metrics, sharding, training
from jaxnn.data import Dataset, Split, load, loader
from jaxnn.data.tfds.lazy import DiskImages
from jaxnn.training._evaluate import PaddedBatch

MakeTask = Callable[[Mapping[str, Any]], training.Task]


class Feed(NamedTuple):
    """What is done with the examples of a run."""

    like: Callable[[], training.Run]
    """A run with the shapes of the arrays of this one in their place."""
    fit: Callable[..., tuple[training.Run, training.Timing]]
    """Train: with `progress`, `under_way` and `on_chunk` as of `training.fit_stream`."""
    examine: Callable[[Classifier, Split], training.Evaluation]
    """What a classifier says of a part of the examples."""
    trained: Split
    """The training examples of which the finished classifier is measured."""


def is_streamed(dataset: Dataset) -> bool:
    """Whether the images of a dataset stay on disk.

    Args:
        dataset: as from `load`.

    Returns:
        A bool.
    """
    return isinstance(dataset.train.inputs, DiskImages)


def told(dataset: Dataset) -> str:
    """What a person is to know of a dataset whose images stay on disk.

    Args:
        dataset: as from `load`.

    Returns:
        A line.
    """
    images: Any = dataset.train.inputs
    every = subsample_stride(images)
    part = "all training examples" if every == 1 else f"every {every}th training example"
    return (
        f"the training images, {images.nbytes / 2**30:,.2f} GiB when decoded, are read from "
        f"{images.examples.source.folder} while the training goes on; preprocessing is fitted on {part}"
    )


def from_memory(
    dataset: Dataset, statistics: Any, make_task: MakeTask, hparams: Any, key: Array, settings: Settings
) -> Feed:
    """A run whose examples lie on the device.

    Args:
        dataset: the examples.
        statistics: of the training inputs.
        make_task, hparams, key: as `training.fit`.
        settings: of the run.

    Returns:
        A `Feed`.
    """
    data, select = training.Data(*dataset.train, statistics, evaluate=_measured(dataset)), _select(settings)
    begin = functools.partial(training.init_run, make_task, epochs=1, batch_size=settings.batch_size, select=select)

    def fit(progress: training.Run | None, under_way: float, on_chunk: training.OnChunk) -> Any:
        return training.fit(
            make_task,
            hparams,
            key,
            data,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            select=select,
            patience=settings.early_stopping,
            progress=progress,
            on_chunk=on_chunk,
            chunk_ends=settings.checkpoint_every,
        )

    @jax.jit
    def examined(classifier: Classifier, inputs: Array, labels: Array) -> training.Evaluation:
        task, (statistics, params, model_state) = make_task(hparams), classifier
        scores = training.predict_scores(task, params, inputs, statistics, model_state=model_state)
        losses, right = task.loss(scores, labels), metrics.correct(scores, labels)
        found: Any = (losses, scores.argmax(-1).astype(np.int32), jax.nn.softmax(scores).max(-1), right)
        return training.Evaluation(*sharding.replicate_inside(found))

    def examine(classifier: Classifier, split: Split) -> training.Evaluation:
        return training.Evaluation(*map(np.asarray, examined(classifier, *split)))

    return Feed(lambda: jax.eval_shape(begin, hparams, key, data), fit, examine, dataset.train)


def from_disk(
    dataset: Dataset, statistics: Any, make_task: MakeTask, hparams: Any, key: Array, settings: Settings
) -> Feed:
    """A run whose examples are read and decoded while it trains.

    Args:
        dataset, statistics, make_task, hparams, key, settings: as `from_memory`; the inputs are `lazy.DiskImages`.

    Returns:
        A `Feed`.
    """
    size, train = settings.batch_size, dataset.train

    def batches(first_step: int) -> Iterator[tuple[Array, Array]]:
        return loader.shuffled_batches(
            _examples(train), key, batch_size=size, epochs=settings.epochs, first_step=first_step
        )

    def in_order(split: Split) -> Iterator[PaddedBatch]:
        return loader.sequential_batches(_examples(split), batch_size=size)

    measured = _measured(dataset)
    evaluate = {name: functools.partial(in_order, split) for name, split in measured.items()}
    source, select = training.Stream(batches, len(train.labels) // size, evaluate, statistics), _select(settings)
    shapes = ((size, *train.inputs.shape[1:]), train.inputs.dtype), ((size,), train.labels.dtype)
    example = tuple(jax.ShapeDtypeStruct(*shape) for shape in shapes)

    def fit(progress: training.Run | None, under_way: float, on_chunk: training.OnChunk) -> Any:
        return training.fit_stream(
            make_task,
            hparams,
            key,
            source,
            epochs=settings.epochs,
            select=select,
            patience=settings.early_stopping,
            progress=progress,
            under_way=under_way,
            on_chunk=on_chunk,
        )

    def examine(classifier: Classifier, split: Split) -> training.Evaluation:
        return training.evaluate(make_task, hparams, *classifier, in_order(split))

    begin = functools.partial(training.start_stream, make_task, hparams, key, source, example, 1, select)
    return Feed(
        lambda: jax.eval_shape(begin), fit, examine, measured.get("train") or _every(train, len(dataset.test.labels))
    )


def _examples(split: Split) -> loader.Examples:
    images: Any = split.inputs
    return images.examples


def _select(settings: Settings) -> str | None:
    return "validation_accuracy" if settings.early_stopping is not None else None


def _every(split: Split, count: int) -> Split:
    """About so many examples, evenly spaced."""
    every = max(1, len(split.labels) // count)
    return Split(split.inputs[::every], split.labels[::every])


def _measured(dataset: Dataset) -> dict[str, Split]:
    """What is measured after each epoch: the validation examples, and about as many of the training examples."""
    held = len(dataset.validation.labels)
    return {"train": _every(dataset.train, held), "validation": dataset.validation} if held else {}


QUICK_EXAMPLES = 2000


def load_dataset(config: Config, memory_share: float | None = None) -> Dataset:
    """The dataset of the settings, split; with `quick` a small part of its training examples.

    Args:
        config: the settings.
        memory_share: as `jaxnn.data.load`.

    Returns:
        The dataset.

    Raises:
        ValueError, OSError, ImportError: as `jaxnn.data.load`.
    """
    dataset = load(
        config.dataset,
        data_dir=config.data_dir,
        validation_share=config.validation_share,
        seed=config.seed,
        label=config.label,
        image_size=config.image_size,
        strict=config.strict,
        memory_share=memory_share,
    )
    if config.quick and len(dataset.train.labels) > QUICK_EXAMPLES:
        rows = np.random.default_rng(config.seed).choice(len(dataset.train.labels), QUICK_EXAMPLES, replace=False)
        rows.sort()
        dataset = dataset._replace(train=Split(dataset.train.inputs[rows], dataset.train.labels[rows]))
    return dataset
