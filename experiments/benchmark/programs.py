"""The programs that `accelerators` compiles: trainings and sweeps, of arrays with the shapes of the data."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.classifier.config import Config
from experiments.classifier.preprocessing import fit_statistics
from experiments.classifier.presets import resolve
from experiments.classifier.task import hyperparameters, task_maker
from experiments.sweeps.grid import SweepConfig, hparams_of, tried_values
from jaxnn import layers, sharding, training
from jaxnn.data import Dataset, Split, toy

PER_CHIP, MOST = 256, 4096
"""Examples of a step on each chip, and on all of them."""


class Program(NamedTuple):
    """A function to be compiled, with its arguments."""

    call: tuple[Any, ...]
    """The function, and its arguments."""
    axis: str
    batch_size: int
    steps: int
    """Of an epoch."""


def images(count: int) -> Split:
    """Arrays of the shape of CIFAR-10."""
    return Split(np.zeros((count, 32, 32, 3), np.uint8), np.zeros(count, np.int32))


@functools.cache
def cifar10() -> Dataset:
    """The shapes of CIFAR-10, without its pixels."""
    return Dataset("cifar10", tuple("0123456789"), images(45_000), images(5_000), images(10_000))


def single(config: Config, chips: int, *, stream: bool = False) -> Program:
    """The training that the settings describe, over all chips."""
    dataset = cifar10()
    settings = resolve(dataclasses.replace(config, batch_size=min(PER_CHIP * chips, MOST)), dataset)
    size, train = settings.batch_size, dataset.train
    statistics = fit_statistics(settings, train.inputs[:100])
    make_task = task_maker(settings, statistics, train.inputs, len(dataset.classes), layers.dot_as_sum)
    evaluate = {"train": images(5_000), "validation": dataset.validation}
    data: training.Data | training.Stream = training.Data(*train, statistics, evaluate=evaluate)
    steps = len(train.labels) // size
    if stream:
        data = training.Stream(
            lambda first: iter([(train.inputs[:size], train.labels[:size])]), steps, None, statistics
        )
    key = jax.random.key(0)
    program = training.program(make_task, hyperparameters(settings), key, data, epochs=settings.epochs, batch_size=size)
    return Program(program, sharding.DATA, size, steps)


def grid(config: SweepConfig, dataset: Dataset) -> Program:
    """A sweep, all of its models at once and spread over all chips."""
    settings = resolve(Config(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Config)}), dataset)
    train = dataset.train
    statistics = fit_statistics(settings, train.inputs[:100])
    make_task = task_maker(settings, statistics, train.inputs, len(dataset.classes))
    hparams = hparams_of(config, settings, tried_values(config, settings))
    keys = jax.vmap(jax.random.key)(jnp.arange(config.seeds))
    data = training.Data(*train, statistics, evaluate={"validation": dataset.validation})
    size, select = settings.batch_size, "validation_accuracy"
    program = training.program(make_task, hparams, keys, data, epochs=settings.epochs, batch_size=size, select=select)
    return Program(program, sharding.MODELS, size, len(train.labels) // size)


def points() -> Dataset:
    """The data of the toy nets."""
    train = Split(*toy.circle(200))
    return Dataset("circle", ("0", "1"), train, Split(*toy.circle(40)), Split(*toy.circle(40)))


_MLP = Config("cifar10", hidden=(512,), dropout=0.5)
_RATES, _PENALTIES = tuple(0.002 * 2.0**k for k in range(-4, 4)), tuple(0.01 * 2.0**k for k in range(-4, 4))
PROGRAMS: dict[str, Callable[[int], Program]] = {
    "linear": lambda chips: single(Config("cifar10", "linear"), chips),
    "mlp": lambda chips: single(_MLP, chips),
    "mlp, bfloat16": lambda chips: single(dataclasses.replace(_MLP, precision="bfloat16"), chips),
    "mlp, streamed": lambda chips: single(_MLP, chips, stream=True),
    "cnn-large, bfloat16": lambda chips: single(Config("cifar10", "cnn-large", precision="bfloat16"), chips),
    "64 linear models": lambda chips: grid(
        SweepConfig("cifar10", "linear", learning_rates=_RATES, l2s=_PENALTIES, seeds=1), cifar10()
    ),
    "1,024 toy nets": lambda chips: grid(
        SweepConfig("circle", hidden=(16,), activation="tanh", batch_size=10, widths=tuple(range(1, 17)), seeds=64),
        points(),
    ),
}
"""Settings of `experiments.train` and `experiments.sweep` by name, for so many chips."""
