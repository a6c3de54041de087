"""The data of the lessons: CIFAR-10 if it is prepared, otherwise the digits; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.lessons.framework.lesson import Options
from jaxnn.data import Dataset, Split, load, preprocess
from jaxnn.data import _tfds as tfds
from jaxnn.training import Data


def is_here(name: str) -> bool:
    """Whether the digits or a TFDS set can be loaded without a download, because it is prepared or cached.

    Raises ValueError when the set is here in several configurations and the name does not choose one.
    """
    return (
        name == "digits"
        or tfds.find(name, tfds.data_dir()) is not None
        or bool(tfds.cache_entries(tfds.cache_dir(), name))
    )


def load_images(options: Options, *, validation_share: float = 0.1) -> Dataset:
    """CIFAR-10 if it is on this machine; otherwise, and in the short form, the digits."""
    name = "cifar10" if not options.quick and is_here("cifar10") else "digits"
    return load(name, seed=options.seed, validation_share=validation_share)


def load_named(name: str, options: Options, *, validation_share: float = 0.1) -> Dataset:
    """A data set by name; ValueError if it would have to be downloaded or does not exist."""
    if not is_here(name) and name.partition("/")[0] in tfds.names():
        raise ValueError(
            f"--dataset {name} is not prepared in {tfds.data_dir()}, and lessons download nothing: prepare it first, "
            f"for example with jaxnn train --dataset {name}; or choose digits"
        )
    return load(name, seed=options.seed, validation_share=validation_share)


def fit_global(train: np.ndarray) -> preprocess.Moments:
    """One mean and one standard deviation for all pixels of the training images."""
    return preprocess.fit_moments(train, "global")


def load_digits(options: Options, fit: Callable[[np.ndarray], Any] = fit_global) -> Data:
    """The digits with their validation split and `fit` of the training images as statistics."""
    digits = load("digits", seed=options.seed)
    return Data(*digits.train, fit(digits.train.inputs), {"validation": digits.validation})


def few_points(count: int, size: int, options: Options) -> tuple[Split, Split]:
    """Two noisy interleaving half circles of `size` points: `count` of them for training, the others for testing."""
    points = load("moons", validation_share=0, size=size, noise=0.25, seed=options.seed).train
    return points.take(slice(count)), points.take(slice(count, None))
