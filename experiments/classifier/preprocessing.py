"""What is done to the inputs, by the name that the option `--preprocess` has for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn.data import preprocess
from jaxnn.data.tfds.lazy import DiskImages

if TYPE_CHECKING:
    from experiments.classifier.config import Config

FITTED_BYTES = 2**28
"""Of images that stay on disk the statistics are fitted on a part that takes at most so much memory."""
Transform = Callable[[Any, Array], Array]
_TRANSFORMS: dict[str, Transform] = {
    "none": lambda statistics, x: x.astype(jnp.float32),
    "center": preprocess.center,
    "standardize": preprocess.standardize,
    "standardize-channel": preprocess.standardize,
    "standardize-global": preprocess.standardize,
    "pca": preprocess.pca,
    "whiten": preprocess.whiten,
}


def fit_statistics(config: Config, inputs: np.ndarray) -> Any:
    """What the preprocessing needs to know of the training inputs.

    Args:
        config: the settings.
        inputs: the training inputs [N, ...]; of `lazy.DiskImages` every k-th is taken, see `subsample_stride`.

    Returns:
        `preprocess.Moments`, `preprocess.PCAStatistics`, or None.
    """
    if config.preprocess == "none":
        return None
    inputs = np.asarray(inputs[:: subsample_stride(inputs)])
    match config.preprocess:
        case "center" | "standardize":
            return preprocess.fit_moments(inputs, "pixel")
        case "standardize-channel":
            return preprocess.fit_moments(inputs, "channel")
        case "standardize-global":
            return preprocess.fit_moments(inputs, "global")
        case "pca" | "whiten":
            return preprocess.fit_pca(inputs, config.components)


def subsample_stride(inputs: np.ndarray) -> int:
    """Of which training inputs the statistics are taken: of every k-th.

    Args:
        inputs: all of them; an array or `lazy.DiskImages`.

    Returns:
        k: 1 for an array; for images that stay on disk as large as it must be for a part of at most `FITTED_BYTES`.
    """
    return max(1, math.ceil(inputs.nbytes / FITTED_BYTES)) if isinstance(inputs, DiskImages) else 1


def statistics_like(config: Config) -> Any:
    """The structure of what `fit_statistics` gives, with numbers in the place of arrays.

    Args:
        config: the settings.

    Returns:
        `preprocess.Moments`, `preprocess.PCAStatistics`, or None.
    """
    kind: Any = preprocess.PCAStatistics if config.preprocess in ("pca", "whiten") else preprocess.Moments
    return None if config.preprocess == "none" else kind._make(range(len(kind._fields)))


def transform_of(config: Config) -> Transform:
    """What the settings do to the inputs.

    Args:
        config: the settings, with `preprocess`.

    Returns:
        A pure function of (statistics, x).

    Raises:
        KeyError: there is no such preprocessing.
    """
    if config.preprocess == "whiten" and config.whiten_epsilon is not None:
        return functools.partial(preprocess.whiten, epsilon=config.whiten_epsilon)
    return _TRANSFORMS[str(config.preprocess)]
