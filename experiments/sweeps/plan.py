"""What a sweep trains: the data, the settings, and how many models at a time; and how models are compared."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from experiments.classifier.config import Config, Settings
from experiments.classifier.data import load_dataset, without_test
from experiments.classifier.preprocessing import fit_statistics
from experiments.classifier.presets import resolve
from experiments.classifier.task import task_maker
from experiments.sweeps import space
from experiments.sweeps.grid import SweepConfig, check_values, hparams_of, tried_values
from jaxnn import sharding, training
from jaxnn.data import Dataset


class Plan(NamedTuple):
    """What a sweep trains."""

    dataset: Dataset
    settings: Settings
    values: dict[str, tuple[float, ...]]
    hparams: dict[str, np.ndarray]
    make_task: Callable[[Mapping[str, Any]], training.Task]
    data: training.Data
    keys: jax.Array
    chunk: tuple[int, int]

    @property
    def size(self) -> int:
        """The number of settings."""
        return len(next(iter(self.hparams.values())))

    @property
    def options(self) -> dict[str, Any]:
        """The options of `training.sweep`."""
        return {
            "epochs": self.settings.epochs,
            "batch_size": self.settings.batch_size,
            "select": "validation_accuracy",
            "patience": self.settings.early_stopping,
        }

    def scores(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """The validation accuracy of every model [H, S], the best of its epochs with early stopping, else the last;
        NaN where it diverged.
        """
        early = self.settings.early_stopping is not None
        return np.where(found["bad_step"] < 0, found["best" if early else "last"], np.nan)

    def rank(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """The settings from the best, by mean validation accuracy, then loss; those that diverged are last."""
        mean = self.scores(found).mean(1)
        diverged = ~np.isfinite(mean)
        return np.lexsort((found["validation_loss"].mean(1), np.where(diverged, 0.0, -mean), diverged))


def make_plan(config: SweepConfig, console: Console, memory: float | None = None) -> Plan:
    """Load the data, complete and check the settings, and choose how many models are trained together."""
    dataset = without_test(load_dataset(config, console=console))  # read once, after the choice
    if config.validation_share == 0:
        raise ValueError("--validation-share 0: a sweep chooses by validation accuracy and needs validation examples")
    check_values(config)
    widths = space.values(space.read(config.space)).get("width", ()) if config.space is not None else config.widths
    widest = {"hidden": (math.ceil(max(widths)),) * len(config.hidden or (0,))} if widths else {}
    settings = resolve(plain(dataclasses.replace(config, **widest)), dataset)
    values = tried_values(config, settings)
    hparams = hparams_of(config, settings, values)
    count = len(next(iter(hparams.values())))
    statistics = fit_statistics(settings, dataset.train.inputs)
    make_task = task_maker(settings, statistics, dataset.train.inputs, len(dataset.classes))
    data = training.Data(*dataset.train, statistics, evaluate={"validation": dataset.validation})
    keys = jax.vmap(jax.random.key)(jnp.arange(config.seed, config.seed + config.seeds))
    if config.chunk is not None:
        chunk = config.chunk
    elif settings.model in ("linear", "mlp"):
        fits = training.choose_chunk(make_task, hparams, keys, data, settings.batch_size, memory=memory)
        # several chunks, for a progress bar and for resuming
        chunk = math.ceil(count / math.ceil(count / min(fits[0], max(16, math.ceil(count / 8))))), fits[1]
    else:  # one convolutional network keeps a device busy, and its activations are large
        chunk = min(count, sharding.axis_size(sharding.MODELS)), 1
    return Plan(dataset, settings, values, hparams, make_task, data, keys, chunk)


def kept(run: training.Run) -> dict[str, Any]:
    """The results to keep of each run [settings, seeds, ...]: numbers, not parameters."""
    assert run.best is not None
    last = jnp.maximum(run.epoch - 1, 0)[..., None]
    at_last = {name: jnp.take_along_axis(values, last, -1)[..., 0] for name, values in run.history.items()}
    return {
        "epochs": run.epoch,
        "bad_step": run.bad_step,
        "best": run.best.value,
        "best_epoch": run.best.epoch,
        "last": at_last["validation_accuracy"],
        "validation_loss": at_last["validation_loss"],
        "training_accuracy": at_last["accuracy"],
    }


def count_models(place: training.Chunk) -> int:
    """The number of models of a chunk."""
    return (place[0].stop - place[0].start) * (place[1].stop - place[1].start)


def plain(config: SweepConfig) -> Config:
    """The options that are not of the sweep."""
    return Config(**{field.name: getattr(config, field.name) for field in dataclasses.fields(Config)})
