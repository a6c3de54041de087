"""A search space in a TOML file: lists of values form a grid; with ranges, `draws` settings are drawn with `seed`.

A range is `{ low = 1e-3, high = 1.0, scale = "log" }`.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

AXES = ("learning_rate", "l2", "dropout", "width")
SCALES = ("linear", "log")


def read(space: Path | Mapping[str, Any]) -> dict[str, Any]:
    """The checked content of a file, or of one that was read before."""
    if isinstance(space, Path):
        try:
            found = tomllib.loads(space.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"--space {space} cannot be read: {error}") from error
    else:
        found = dict(space)
    if unknown := sorted(set(found) - {*AXES, "draws", "seed"}):
        raise ValueError(f"--space: {unknown[0]!r} is none of {', '.join(AXES)}, draws, seed")
    axes = {name: found[name] for name in AXES if name in found}
    if not axes:
        raise ValueError(f"--space: nothing to try; give values or a range of {', '.join(AXES)}")
    for name, tried in axes.items():
        _check(name, tried)
    ranges = [name for name, tried in axes.items() if isinstance(tried, Mapping)]
    draws, seed = found.get("draws"), found.get("seed", 0)
    if ranges and draws is None:
        raise ValueError(f"--space: {ranges[0]} is a range, of which settings are drawn: give draws = 64, or a list")
    for name, value, least in (("draws", 1 if draws is None else draws, 1), ("seed", seed, 0)):
        if type(value) is not int or value < least:
            raise ValueError(f"--space: {name} must be a whole number of at least {least}, got {value!r}")
    return found


def _check(name: str, tried: Any) -> None:
    number = lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(tried, list):
        if not tried or not all(map(number, tried)):
            raise ValueError(f"--space: {name} must be a list of numbers or a range, got {tried!r}")
        return
    range_ = tried if isinstance(tried, Mapping) else {}
    scale = range_.get("scale", "linear")
    if set(range_) - {"scale"} != {"low", "high"} or not all(number(range_[end]) for end in ("low", "high")):
        raise ValueError(f"--space: {name} must be a list or {{ low = ..., high = ..., scale = 'log' }}, got {tried!r}")
    if scale not in SCALES:
        raise ValueError(f"--space: scale of {name} must be one of {', '.join(SCALES)}, got {scale!r}")
    low, high = range_["low"], range_["high"]
    if not low < high or (scale == "log" and low <= 0):
        raise ValueError(f"--space: {name} needs low < high, with scale 'log' above 0, got {low} and {high}")


def values(space: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """The values of each list and the ends of each range, by name."""
    tried = {name: space[name] for name in AXES if name in space}
    return {
        name: tuple(sorted(set(each))) if isinstance(each, list) else (each["low"], each["high"])
        for name, each in tried.items()
    }


def columns(space: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The value of each setting, by name: the grid of the lists, or `draws` settings with the file's own `seed`."""
    tried = values(space)
    if "draws" not in space:
        return dict(zip(tried, np.array(list(itertools.product(*tried.values()))).T, strict=True))
    random = np.random.default_rng(space.get("seed", 0))
    found = {}
    for name, each in tried.items():
        u = random.uniform(size=space["draws"])
        if isinstance(space[name], list):
            found[name] = np.array(each)[(u * len(each)).astype(int)]
        elif space[name].get("scale") == "log":
            found[name] = each[0] * (each[1] / each[0]) ** u
        else:
            found[name] = each[0] + u * (each[1] - each[0])
    return found
