"""What is done to the inputs, by the name that the option `--preprocess` has for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn.data import preprocess

if TYPE_CHECKING:
    from experiments.config import Config

Preprocessing = Literal["none", "center", "standardize", "standardize-channel", "standardize-global", "pca", "whiten"]
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
        inputs: the training inputs [N, ...].

    Returns:
        `preprocess.Moments`, `preprocess.Principal`, or None.
    """
    match config.preprocess:
        case "none":
            return None
        case "center" | "standardize":
            return preprocess.fit_moments(inputs, "pixel")
        case "standardize-channel":
            return preprocess.fit_moments(inputs, "channel")
        case "standardize-global":
            return preprocess.fit_moments(inputs, "global")
        case "pca" | "whiten":
            return preprocess.fit_principal(inputs, config.components)


def statistics_like(config: Config) -> Any:
    """The structure of what `fit_statistics` gives, with numbers in the place of arrays.

    Args:
        config: the settings.

    Returns:
        `preprocess.Moments`, `preprocess.Principal`, or None.
    """
    kind: Any = preprocess.Principal if config.preprocess in ("pca", "whiten") else preprocess.Moments
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
