"""The preprocessing that `--preprocess` names: fitting its statistics, and applying it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn.data import DiskImages, preprocess

if TYPE_CHECKING:
    from experiments.classifier.config import Config

FITTED_BYTES = 2**28
"""Statistics of streamed images are fitted on a subsample of at most this size."""
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
    """The statistics of the training inputs (streamed ones: of every k-th) that the preprocessing needs, or None."""
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
    """k, if statistics are fitted on every k-th input: 1 in memory, larger for large images on disk."""
    return max(1, math.ceil(inputs.nbytes / FITTED_BYTES)) if isinstance(inputs, DiskImages) else 1


def statistics_like(config: Config, names: Collection[str]) -> Any:
    """The structure of `fit_statistics`, with numbers in place of arrays; `names` tells which arrays are stored."""
    kind: Any = preprocess.PCAStatistics if config.preprocess in ("pca", "whiten") else preprocess.Moments
    if config.preprocess == "none":
        return None
    required = kind._make(range(len(kind._fields)))
    return required if any("mean_low" in name for name in names) else required._replace(mean_low=None)


def transform_of(config: Config) -> Transform:
    """The preprocessing as a pure function of (statistics, x)."""
    if config.preprocess == "whiten" and config.whiten_epsilon is not None:
        return functools.partial(preprocess.whiten, epsilon=config.whiten_epsilon)
    return _TRANSFORMS[str(config.preprocess)]
