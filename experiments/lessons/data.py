"""The images that lessons look at: CIFAR-10 where it is prepared, else the digits; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.lessons.lesson import Options
from jaxnn.data import Dataset, load, preprocess
from jaxnn.data._split import Split, take
from jaxnn.data.tfds import cache, source
from jaxnn.training import Data


def is_here(name: str) -> bool:
    """Whether a set of images can be loaded without a download: it is prepared or cached on this machine.

    Args:
        name: as `jaxnn.data.load` takes it, "digits" or of a TFDS set.

    Returns:
        True or False.

    Raises:
        ValueError: the set is here in several configurations, and the name says none.
    """
    return (
        name == "digits"
        or source.find(name, source.root(None)) is not None
        or bool(cache.entries(cache.root(None), name))
    )


def load_images(options: Options, *, validation_share: float = 0.1) -> Dataset:
    """CIFAR-10 where it is on this machine; the digits otherwise, and in the short form.

    Args:
        options: of the lesson; the seed draws the validation split.
        validation_share: as `jaxnn.data.load`.

    Returns:
        The data set; `Dataset.name` says which of the two it is.
    """
    name = "cifar10" if not options.quick and is_here("cifar10") else "digits"
    return load(name, seed=options.seed, validation_share=validation_share)


def load_named(name: str, options: Options, *, validation_share: float = 0.1) -> Dataset:
    """A data set by its name, if it is on this machine.

    Args:
        name: as `jaxnn.data.load` takes it.
        options: of the lesson; the seed draws the validation split.
        validation_share: as `jaxnn.data.load`.

    Returns:
        The data set.

    Raises:
        ValueError: it would have to be downloaded, or there is no set of this name.
    """
    if not is_here(name) and name.partition("/")[0] in source.names():
        raise ValueError(
            f"--dataset {name} is not prepared in {source.root(None)}, and lessons download nothing: "
            f"prepare it first, for example with python -m experiments.train --dataset {name}; or choose digits"
        )
    return load(name, seed=options.seed, validation_share=validation_share)


def fit_global(train: np.ndarray) -> preprocess.Moments:
    """One mean and one standard deviation for all pixels of the training images."""
    return preprocess.fit_moments(train, "global")


def load_digits(options: Options, fit: Callable[[np.ndarray], Any] = fit_global) -> Data:
    """The digits as training takes them, with their validation split and the statistics of the training images.

    Args:
        options: of the lesson; the seed draws the validation split.
        fit: from the training images to the statistics.

    Returns:
        Data to be standardized in the training step.
    """
    digits = load("digits", seed=options.seed)
    return Data(*digits.train, fit(digits.train.inputs), {"validation": digits.validation})


def few_points(count: int, size: int, options: Options) -> tuple[Split, Split]:
    """Two interleaving half circles with much noise: a few points to train on, the others to test.

    Args:
        count: how many to train on.
        size: of the set from which they are drawn.
        options: of the lesson; the seed draws the points.

    Returns:
        The training and the test points.
    """
    points = load("moons", validation_share=0, size=size, noise=0.25, seed=options.seed).train
    return take(points, slice(count)), take(points, slice(count, None))
