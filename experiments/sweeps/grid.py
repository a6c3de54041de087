"""The options of a sweep, the values it tries, and the settings they form."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.classifier.config import Config, Settings
from experiments.sweeps import space

NAMES = {"learning_rates": "learning_rate", "l2s": "l2", "dropouts": "dropout", "widths": "width"}


@dataclasses.dataclass(frozen=True)
class SweepConfig(Config):
    """Values to try."""

    learning_rates: tuple[float, ...] = ()
    """Learning rates to try; without any values to try, five around --learning-rate, each with five around --l2."""
    l2s: tuple[float, ...] = ()
    """Factors of the L2 penalty to try."""
    dropouts: tuple[float, ...] = ()
    """Dropout rates to try."""
    widths: tuple[int, ...] = ()
    """Hidden layer widths to try, the same in every layer."""
    random: int | None = None
    """Instead of the whole grid, this many random settings between the smallest and the largest value of each: dropout
    uniform, the others log-uniform."""
    space: Path | None = None
    """Instead of the lists above, a TOML file with the values or ranges to try, and how many settings to draw."""
    halving: int | None = None
    """Successive halving: all settings train for some epochs, the best of every so many go on, and so forth, from where
    they were; three times, or as --first-rung says."""
    first_rung: int | None = None
    """Of --halving, the epochs for which all settings train; by default a 27th of --epochs with --halving 3."""
    seeds: int = 3
    """Runs per setting, which differ in initial weights, order and dropout; the validation split is the same."""
    chunk: tuple[int, int] | None = None
    """Settings and seeds that are trained together; by default what fits the memory and is fast here."""
    final: bool = True
    """Finally train the best setting on training and validation examples and read the test set."""


def check_values(config: SweepConfig) -> None:
    """ValueError for values that cannot be tried."""
    for name, low, high in (("learning_rates", 0.0, math.inf), ("l2s", 0.0, math.inf), ("dropouts", 0.0, 1.0)):
        for value in getattr(config, name):
            if not low <= value < high:
                raise ValueError(
                    f"--{name.replace('_', '-')} {value:g}: each must be at least {low:g} and below {high:g}"
                )
    if config.budget is not None:
        raise ValueError(f"--budget {config.budget} chooses one recipe for jaxnn train: leave it out of a sweep")
    if config.widths and min(config.widths) < 1:
        raise ValueError(f"--widths {min(config.widths)}: each must be at least 1 neuron")
    if config.model == "linear" and (config.widths or config.dropouts):
        raise ValueError("--widths and --dropouts need hidden layers, which --model linear does not have")
    if config.model not in ("linear", "mlp") and config.widths:
        raise ValueError(f"--widths are of the hidden layers of --model mlp, got --model {config.model}")
    if config.halving is not None and config.halving < 2:
        raise ValueError(f"--halving {config.halving}: one of so many settings goes on, at least 2")
    if config.first_rung is not None and config.halving is None:
        raise ValueError(f"--first-rung {config.first_rung} belongs to --halving, such as --halving 3")
    least = {"first-rung": config.first_rung, "seeds": config.seeds, "random": config.random}
    for name, value in (least | {"chunk": min(config.chunk or (1,))}).items():
        if value is not None and value < 1:
            raise ValueError(f"--{name} {value} must be at least 1")


def tried_values(config: SweepConfig, settings: Settings) -> dict[str, tuple[float, ...]]:
    """The values to try by option name; by default around the default learning rate and L2 factor."""
    values = {name: tuple(sorted(set(getattr(config, name)))) for name in NAMES if getattr(config, name)}
    if config.space is not None:
        if values or config.random is not None:
            raise ValueError("--space has all values to try: leave out --random and the lists of values")
        tried = space.values(space.read(config.space))
        values = {axis: tried[name] for axis, name in NAMES.items() if name in tried}
        check_values(dataclasses.replace(config, space=None, **values))
        return values
    if not values:
        rate, l2 = settings.learning_rate, settings.l2 or 1e-4
        values = {
            "learning_rates": tuple(rate * 2.0**i for i in range(-2, 3)),
            "l2s": tuple(l2 * 10.0 ** (i / 2) for i in range(-2, 3)),
        }
    if config.random is not None:
        for name, tried in values.items():
            if len(tried) < 2 or (name != "dropouts" and tried[0] == 0):
                raise ValueError(f"--random needs the smallest and the largest of --{name.replace('_', '-')}, above 0")
    return values


def is_random(config: SweepConfig) -> bool:
    """Whether settings are drawn, not a grid."""
    return config.random is not None or (config.space is not None and "draws" in space.read(config.space))


def hparams_of(
    config: SweepConfig, settings: Settings, values: Mapping[str, tuple[float, ...]]
) -> dict[str, np.ndarray]:
    """Every hyper-parameter of the task with a value per setting, [H]."""
    from experiments.classifier.task import hyperparameters

    if config.space is not None:
        drawn = space.columns(space.read(config.space))
        columns = {axis: drawn[name] for axis, name in NAMES.items() if name in drawn}
    elif config.random is None:
        columns = dict(zip(values, np.array(list(itertools.product(*values.values()))).T, strict=True))
    else:
        draw = np.random.default_rng(config.seed).uniform(size=(len(values), config.random))
        columns = {
            name: low + u * (high - low) if name == "dropouts" else low * (high / low) ** u
            for (name, (low, *_, high)), u in zip(values.items(), draw, strict=True)
        }
    count = len(next(iter(columns.values())))
    fixed = {name: np.full(count, value, np.float32) for name, value in hyperparameters(settings).items()}
    swept = {NAMES[name]: column.astype(np.float32) for name, column in columns.items()}
    if "width" in swept:
        swept["width"] = np.round(swept["width"]).astype(np.int32)
    return fixed | swept


def on_border(chosen: Mapping[str, float], values: Mapping[str, tuple[float, ...]]) -> list[str]:
    """A warning for each chosen value at the end of its tried range, beyond which a better one may lie."""
    found = []
    for name, value in chosen.items():
        low, high = min(values[name]), max(values[name])
        if low == high:
            continue
        near = 0.02 * (high - low) if name == "dropout" else 0.02 * value
        if value >= high - near:
            found.append(f"the best {name}, {value:.3g}, is the largest tried: try larger ones")
        elif value <= low + near and low > 0 and not (name == "width" and low == 1):
            found.append(f"the best {name}, {value:.3g}, is the smallest tried: try smaller ones")
    return found
