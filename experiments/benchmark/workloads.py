"""The benchmark's workloads, the goals, and the examples as files that every process reads for itself."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxnn.data import load


class Workload(NamedTuple):
    """Minibatch SGD with momentum on mean loss + l2 * sum(W**2), without the incomplete last batch of an epoch."""

    name: str
    data: Literal["cifar10", "digits", "circle"] = "cifar10"
    """Its training examples; images are standardized."""
    hidden: tuple[int, ...] = ()
    """Neurons of each hidden layer; in a sweep over widths, the largest."""
    loss: Literal["softmax", "svm"] = "softmax"
    activation: Literal["relu", "tanh"] = "relu"
    dropout: float = 0.0
    learning_rate: float = 0.02
    momentum: float = 0.9
    l2: float = 1e-3
    batch_size: int = 256
    epochs: int = 1
    """Epochs per unit; units are what is timed."""
    units_per_round: int = 1
    rates: tuple[float, ...] = ()
    """With `penalties`: a sweep over their product, in place of `learning_rate` and `l2`."""
    penalties: tuple[float, ...] = ()
    widths: tuple[int, ...] = ()
    """A sweep over the neurons of the hidden layer."""
    seeds: int = 1
    """Models of each setting, with different initial weights."""


class Setting(NamedTuple):
    """One model of a sweep."""

    learning_rate: float
    l2: float
    hidden: tuple[int, ...]
    seed: int


class Examples(NamedTuple):
    """Training examples [N, D] as stored, their labels, and the moments that standardize them."""

    inputs: np.ndarray
    labels: np.ndarray
    mean: np.ndarray
    std: np.ndarray


_LINEAR = Workload("linear softmax", learning_rate=0.002, l2=0.01, units_per_round=5)
_DIGITS = Workload("digits MLP 128", "digits", (128,), l2=1e-4, batch_size=64, epochs=100, units_per_round=3)
_TOY = Workload(
    "toy net 2-6-2", "circle", (6,), activation="tanh", l2=1e-5, batch_size=10, epochs=1000, units_per_round=2
)
_RATES = tuple(0.002 * 2.0**k for k in range(-4, 4))
WORKLOADS = {
    "linear": _LINEAR,
    "linear-svm": _LINEAR._replace(name="linear SVM", loss="svm", learning_rate=0.0005),
    "mlp": Workload("MLP 512", hidden=(512,)),
    "mlp-dropout": Workload("MLP 512, dropout", hidden=(512,), dropout=0.5),
    "mlp-64": Workload("MLP 64", hidden=(64,)),
    "digits": _DIGITS,
    "digits-whole": _DIGITS._replace(name="digits, whole call", units_per_round=1),
    "digits-again": _DIGITS._replace(name="digits, second fit", units_per_round=1),
    "toy": _TOY,
    "sweep-linear": _LINEAR._replace(
        name="64 linear models",
        epochs=10,
        units_per_round=1,
        rates=_RATES,
        penalties=tuple(0.01 * 2.0**k for k in range(-4, 4)),
    ),
    "sweep-mlp": Workload(
        "16 MLPs 64", hidden=(64,), rates=(0.005, 0.01, 0.02, 0.04), penalties=(1e-4, 3e-4, 1e-3, 3e-3)
    ),
    "sweep-toy": _TOY._replace(
        name="1,024 toy nets", hidden=(16,), epochs=100, widths=tuple(range(1, 17)), seeds=64, units_per_round=1
    ),
    "grid-digits": _DIGITS._replace(
        name="grid search, digits",
        epochs=30,
        units_per_round=1,
        rates=(0.01, 0.02, 0.05, 0.1),
        penalties=(1e-5, 1e-4, 1e-3, 1e-2),
    ),
    "process": _DIGITS._replace(name="process, digits"),
}
"""By the name on the command line, which is also the `key` of a row of the results."""
STARTUP = "startup"
"""What has no peer, by its name on the command line and in the result file."""
ONE_BY_ONE = "jaxnn one by one"
BARE = "bare loop"
"""A loop of nothing but gradient and update: the bound of what any of these libraries can do with XLA's products."""
_OF_LINEAR = {"PyTorch": 4.0, "scikit-learn": 10.0, "Keras": 6.0, "Flax": 6.0}
_OF_MLP = {"PyTorch": 1.4, "Keras": 1.5, "Flax": 1.5}
GOALS: dict[str, dict[str, float]] = {
    "linear": _OF_LINEAR,
    "linear-svm": _OF_LINEAR,
    "mlp": _OF_MLP | {"scikit-learn": 1.5},
    "mlp-dropout": _OF_MLP,
    "mlp-64": {"PyTorch": 2.0},
    "digits": {"PyTorch": 10.0, "scikit-learn": 5.0},
    "digits-whole": {"PyTorch": 1.0, "scikit-learn": 0.6, "Keras": 1.0, "Flax": 2.0},
    "digits-again": {"scikit-learn": 5.0},
    "toy": {"PyTorch": 50.0, "scikit-learn": 40.0},
    "sweep-linear": {"scikit-learn": 25.0, ONE_BY_ONE: 2.0},
    "sweep-mlp": {"PyTorch": 3.0, ONE_BY_ONE: 1.2},
    "sweep-toy": {"PyTorch": 100.0},
    "process": {"Keras": 2.0},
}
"""Speed-up over the best form of each family that jaxnn should reach."""


def shortened(workload: Workload) -> Workload:
    """A small version of the workload, for a trial."""
    return workload._replace(
        epochs=min(workload.epochs, 3),
        units_per_round=1,
        rates=workload.rates[:2],
        penalties=workload.penalties[:2],
        widths=workload.widths[::8],
        seeds=min(workload.seeds, 2),
    )


def settings(workload: Workload) -> list[Setting]:
    """The models of a sweep, seeds of one setting next to each other; a single model if it is no sweep."""
    rates, penalties = workload.rates or (workload.learning_rate,), workload.penalties or (workload.l2,)
    hidden = [(width,) for width in workload.widths] or [workload.hidden]
    return [Setting(*values) for values in itertools.product(rates, penalties, hidden, range(workload.seeds))]


def spread(models: int, count: int) -> list[int]:
    """Indices of up to `count` evenly spaced models, the first and the last included."""
    return sorted({round(index) for index in np.linspace(0, models - 1, min(count, models))})


def write(data: str, folder: Path, *, data_dir: Path | None = None, most: int | None = None) -> None:
    """Write the training examples, at most `most`, to a folder of their own for the processes to read."""
    options: Any = {"size": 250} if data == "circle" else {}  # 200 of them are for training
    train = load(data, data_dir=data_dir, validation_share=0.0, **options).train
    inputs = np.array(train.inputs[:most]).reshape(len(train.labels[:most]), -1)
    moments = (np.float32(0), np.float32(1))
    if data != "circle":
        from jaxnn.data import preprocess

        moments = preprocess.fit_moments(inputs, "global" if data == "digits" else "pixel")[:2]
    (folder / data).mkdir(parents=True, exist_ok=True)
    for name, values in zip(Examples._fields, (inputs, train.labels[:most], *moments), strict=True):
        np.save(folder / data / f"{name}.npy", np.asarray(values))


def read(workload: Workload, folder: Path) -> Examples:
    """Read the examples that `write` wrote."""
    return Examples(*(np.load(folder / workload.data / f"{name}.npy") for name in Examples._fields))


def read_standardized(workload: Workload, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Inputs standardized before training, f32[N, D] (fast, at four times the memory of bytes), and labels."""
    examples = read(workload, folder)
    x = examples.inputs.astype(np.float32)
    x -= examples.mean
    x *= 1 / examples.std
    return x, examples.labels


def in_complete_batches(workload: Workload, examples: int) -> int:
    """Number of examples in complete batches, for peers that would train on an incomplete one."""
    return examples // workload.batch_size * workload.batch_size
