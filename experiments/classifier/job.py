"""A training job: from the user's settings to everything `training.fit` takes. Settings flow one way, downwards."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax import Array
from rich.console import Console

from experiments.classifier import data, resume
from experiments.classifier.config import Config, Settings
from experiments.classifier.preprocessing import fit_statistics
from experiments.classifier.presets import apply_preset, resolve
from experiments.classifier.task import hyperparameters, task_maker
from experiments.cli import command
from jaxnn import distributed, layers, sharding, training
from jaxnn.data import Dataset


class Job(NamedTuple):
    """What a run is made of."""

    settings: Settings
    dataset: Dataset
    preset: str
    """The preset as it is typed, "" if none applies."""
    make_task: Callable[[Mapping[str, Any]], training.Task]
    hparams: dict[str, float]
    key: Array
    examples: training.Data | training.Stream
    start: resume.StartPoint

    @property
    def examples_per_epoch(self) -> int:
        """The training examples of an epoch, without those left over."""
        size = self.settings.batch_size
        return len(self.dataset.train.labels) // size * size

    @property
    def select(self) -> str | None:
        """The metric of early stopping."""
        return "validation_accuracy" if self.settings.early_stopping is not None else None

    def fit(self, on_chunk: Callable[[training.Run, training.Timing], None]) -> tuple[training.Run, training.Timing]:
        """Train from the start point to the end."""
        return self._training(training.fit)(
            progress=self.start.progress,
            partial_epoch=self.start.partial_epoch,
            on_chunk=on_chunk,
            chunk_ends=self.settings.checkpoint_every,
        )

    def program(self) -> tuple[Any, ...]:
        """The compiled function that `fit` calls, and its arguments."""
        return self._training(training.program)()

    def _training(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of `jaxnn.training` with what decides the training."""
        return functools.partial(
            function,
            self.make_task,
            self.hparams,
            self.key,
            self.examples,
            epochs=self.settings.epochs,
            batch_size=self.settings.batch_size,
            select=self.select,
            patience=self.settings.early_stopping,
        )

    def describe(self, device: str) -> list[str]:
        """Lines for the screen before training."""
        dataset = self.dataset
        counts = [f"{len(split.labels):,}" for split in (dataset.train, dataset.validation, dataset.test)]
        examples = f"{counts[0]} training, {counts[1]} validation and {counts[2]} test examples"
        if self.settings.choosing:
            examples = f"{counts[0]} training and {counts[1]} validation examples, without the test set"
        lines = [
            f"{dataset.name}: {examples}, {len(dataset.classes)} classes; on {device}{self.start.describe()}",
        ]
        if data.is_streamed(dataset):
            lines.append(data.describe_stream(dataset))
        if self.preset and self.start.progress is None:
            lines.append(f"the preset for {dataset.name}: {self.preset}")
        return lines


def prepare(config: Config, stored: resume.SavedRun | None, console: Console) -> Job:
    """Load the data, complete and check the settings, fit the preprocessing, and find the start point."""
    dataset = data.load_dataset(config, config.memory_share, console)
    streamed = data.is_streamed(dataset)
    if (agreed := bool(distributed.broadcast_scalar(streamed))) != streamed:  # process 0 has another amount of memory
        streamed, dataset = agreed, data.load_dataset(config, 0.0 if agreed else 1.0, console)
    config, preset = apply_preset(config)
    settings = dataclasses.replace(resolve(config, dataset), memory_share=0.0 if streamed else 1.0)
    sharding.check_batch_size(settings.batch_size)
    if stored is not None:
        resume.check_same(stored, settings, dataset, functools.partial(command.warn, console))
    statistics = fit_statistics(settings, dataset.train.inputs)
    make_task = task_maker(settings, statistics, dataset.train.inputs, len(dataset.classes), layers.dot_as_sum)
    hparams, key = hyperparameters(settings), jax.random.key(settings.seed)
    examples = data.training_data(dataset, statistics, key, settings)
    job = Job(settings, dataset, preset, make_task, hparams, key, examples, resume.StartPoint(None, statistics, []))
    init_run = functools.partial(training.init_run, make_task, hparams, key, examples, epochs=1, select=job.select)
    start = resume.start_from(stored, init_run, statistics)
    return job._replace(start=start, examples=examples._replace(statistics=start.statistics))
