"""The settings of the page, their bounds, and the shape for which programs are compiled."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from experiments.playground.engine.registry import ACTIVATIONS, FEATURES, LOSSES
from jaxnn.initializers import INITIALIZERS

CLASS_SETS = ("circle", "spiral", "xor", "gauss", "moons", "simple", "random")
VALUE_SETS = ("plane", "hills")
MAX_LAYERS, MAX_NEURONS, MAX_POINTS = 6, 32, 1000

CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "data": CLASS_SETS + VALUE_SETS,
        "activation": tuple(ACTIVATIONS),
        "init": tuple(INITIALIZERS),
        "loss": tuple(LOSSES),
        "optimizer": ("sgd", "nesterov", "adam", "rmsprop", "adagrad"),
        "many": ("one", "seeds", "widths"),
    }
)

BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "size": (2, 800),
        "noise": (0.0, 0.5),
        "train_share": (0.1, 0.9),
        "classes": (2, 5),
        "data_seed": (0, 9999),
        "batch_size": (1, 100),
        "learning_rate": (0.0, 10.0),
        "momentum": (0.0, 0.99),
        "l1": (0.0, 1.0),
        "l2": (0.0, 1.0),
        "dropout": (0.0, 0.9),
        "seed": (0, 9999),
        "speed": (1, 10**6),
    }
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the page; changes of those in `TRACED` compile nothing."""

    data: str = "circle"
    """The set of points."""
    size: int = 300
    """Number of training and test points."""
    noise: float = 0.05
    """In units of the radius of the set."""
    train_share: float = 0.5
    """The fraction of training points."""
    classes: int = 2
    data_seed: int = 0
    """Seed of the points and of the training split."""
    features: tuple[str, ...] = ("x1", "x2")
    """Functions of a point (x1, x2) that are the inputs of the network."""
    hidden: tuple[int, ...] = (6, 2)
    """Neurons of each hidden layer."""
    activation: str = "tanh"
    init: str = "xavier"
    """Rule for the initial weights; normal is 0.01 * randn."""
    dropout: float = 0.0
    """The fraction of hidden values dropped in training."""
    loss: str = "softmax"
    """For classes; sets of values have the squared loss."""
    l1: float = 0.0
    """Coefficient of the sum of absolute weights."""
    l2: float = 0.0
    """Coefficient of the sum of squared weights."""
    optimizer: str = "sgd"
    learning_rate: float = 0.03
    momentum: float = 0.0
    """For sgd and nesterov."""
    batch_size: int = 10
    """Examples per step."""
    seed: int = 0
    """Seed of the initial weights, the order of the examples and the dropout masks."""
    speed: int = 100
    """The largest number of steps per second."""
    many: str = "one"
    """One network, or several at once: 16 seeds, or 5 widths of the hidden layers."""

    @property
    def regression(self) -> bool:
        """Whether the targets are values instead of classes."""
        return self.data in VALUE_SETS


class Shape(NamedTuple):
    """The settings for which programs are compiled."""

    features: tuple[str, ...]
    hidden: tuple[int, ...]
    outputs: int
    activation: str
    init: str
    loss: str
    optimizer: str
    batch_size: int
    many: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of all layers, features and outputs included."""
        return (len(self.features), *self.hidden, self.outputs)


TRACED = ("learning_rate", "momentum", "l1", "l2", "dropout")
DATA_SETTINGS = ("data", "size", "noise", "train_share", "classes", "data_seed")


def shape_of(settings: Settings) -> Shape:
    """The shape of checked settings."""
    return Shape(
        features=settings.features,
        hidden=settings.hidden,
        outputs=1 if settings.regression else settings.classes,
        activation=settings.activation,
        init=settings.init,
        loss="value" if settings.regression else settings.loss,
        optimizer=settings.optimizer,
        batch_size=settings.batch_size,
        many=settings.many if settings.hidden else "one",
    )


def change(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Change some settings to values of unknown origin, which are checked."""
    names = {field.name for field in dataclasses.fields(Settings)}
    for name in given:
        if name not in names:
            raise ValueError(f"no setting is called {name!r}; choose from {', '.join(sorted(names))}")
    changed = dataclasses.replace(settings, **{name: _checked(name, value) for name, value in given.items()})
    if not changed.features:
        raise ValueError(f"the network needs at least one input of {', '.join(FEATURES)}")
    return changed


def _checked(name: str, value: Any) -> Any:
    """The value, converted to the type of the setting."""
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise ValueError(f"{name} must be one of {', '.join(CHOICES[name])}; got {value!r}")
        return value
    if name == "features":
        if not isinstance(value, list | tuple) or any(one not in tuple(FEATURES) for one in value):
            raise ValueError(f"features must be some of {', '.join(FEATURES)}; got {value!r}")
        return tuple(one for one in FEATURES if one in value)
    if name == "hidden":
        if not isinstance(value, list | tuple) or len(value) > MAX_LAYERS:
            raise ValueError(f"hidden must be at most {MAX_LAYERS} whole numbers, one for each layer; got {value!r}")
        return tuple(_number("neurons of a hidden layer", size, (1, MAX_NEURONS), whole=True) for size in value)
    return _number(name, value, BOUNDS[name], whole=isinstance(getattr(Settings, name), int))


def _number(name: str, value: Any, bounds: tuple[float, float], *, whole: bool) -> Any:
    low, high = bounds
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name} must be {kind} from {low:g} to {high:g}; got {value!r}")
    return int(value) if whole else float(value)
