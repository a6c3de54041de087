"""What is trained, the same for everyone, the goals, and the examples as files that every process reads for itself."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxnn.data import load, preprocess


class Work(NamedTuple):
    """Minibatch SGD with momentum on mean loss + l2 * sum(W**2).

    Attributes:
        name: as shown.
        data: whose training examples; images are standardized.
        hidden: neurons of each hidden layer; of a sweep over widths, the largest.
        loss: softmax cross-entropy, or the hinge loss with margin 1, summed over the wrong classes.
        activation: of the hidden layers.
        dropout: share of the hidden values that is dropped.
        learning_rate, momentum, l2, batch_size: as usual. Examples left over at the end of an epoch are not trained on.
        epochs: how often one unit goes through the examples; units are what is timed.
        turn: units in a turn.
        rates, penalties: a sweep over their product, in place of `learning_rate` and `l2`.
        widths: a sweep over the neurons of the hidden layer.
        seeds: how many initial weights of each setting.
    """

    name: str
    data: Literal["cifar10", "digits", "circle"] = "cifar10"
    hidden: tuple[int, ...] = ()
    loss: Literal["softmax", "svm"] = "softmax"
    activation: Literal["relu", "tanh"] = "relu"
    dropout: float = 0.0
    learning_rate: float = 0.02
    momentum: float = 0.9
    l2: float = 1e-3
    batch_size: int = 256
    epochs: int = 1
    turn: int = 1
    rates: tuple[float, ...] = ()
    penalties: tuple[float, ...] = ()
    widths: tuple[int, ...] = ()
    seeds: int = 1


class Setting(NamedTuple):
    """One model of a sweep."""

    learning_rate: float
    l2: float
    hidden: tuple[int, ...]
    seed: int


class Examples(NamedTuple):
    """Training examples [N, D], as stored, their labels, and the moments that standardize them."""

    inputs: np.ndarray
    labels: np.ndarray
    mean: np.ndarray
    std: np.ndarray


_LINEAR = Work("linear softmax", learning_rate=0.002, l2=0.01, turn=5)
_DIGITS = Work("digits MLP 128", "digits", (128,), l2=1e-4, batch_size=64, epochs=100, turn=3)
_TOY = Work("toy net 2-6-2", "circle", (6,), activation="tanh", l2=1e-5, batch_size=10, epochs=1000, turn=2)
_RATES = tuple(0.002 * 2.0**k for k in range(-4, 4))
WORKS = {
    "linear": _LINEAR,
    "linear-svm": _LINEAR._replace(name="linear SVM", loss="svm", learning_rate=0.0005),
    "mlp": Work("MLP 512", hidden=(512,)),
    "mlp-dropout": Work("MLP 512, dropout", hidden=(512,), dropout=0.5),
    "mlp-64": Work("MLP 64", hidden=(64,)),
    "digits": _DIGITS,
    "digits-whole": _DIGITS._replace(name="digits, whole call", turn=1),
    "toy": _TOY,
    "sweep-linear": _LINEAR._replace(
        name="64 linear models", epochs=10, turn=1, rates=_RATES, penalties=tuple(0.01 * 2.0**k for k in range(-4, 4))
    ),
    "sweep-mlp": Work("16 MLPs 64", hidden=(64,), rates=(0.005, 0.01, 0.02, 0.04), penalties=(1e-4, 3e-4, 1e-3, 3e-3)),
    "sweep-toy": _TOY._replace(
        name="1,024 toy nets", hidden=(16,), epochs=100, widths=tuple(range(1, 17)), seeds=64, turn=1
    ),
    "grid-digits": _DIGITS._replace(
        name="grid search, digits", epochs=30, turn=1, rates=(0.01, 0.02, 0.05, 0.1), penalties=(1e-5, 1e-4, 1e-3, 1e-2)
    ),
    "process": _DIGITS._replace(name="process, digits"),
}
"""By the name on the command line."""

ONE_BY_ONE = "jaxnn one by one"
_OF_LINEAR = {"PyTorch": 4.0, "scikit-learn": 10.0, "Keras": 6.0, "Flax": 6.0}
_OF_MLP = {"PyTorch": 1.4, "Keras": 1.5, "Flax": 1.5}
GOALS: dict[str, dict[str, float]] = {
    "linear": _OF_LINEAR,
    "linear-svm": _OF_LINEAR,
    "mlp": _OF_MLP | {"scikit-learn": 1.5},
    "mlp-dropout": _OF_MLP,
    "mlp-64": {"PyTorch": 2.0},
    "digits": {"PyTorch": 10.0, "scikit-learn": 5.0},
    "digits-whole": {"PyTorch": 1.0, "scikit-learn": 1.0, "Keras": 1.0, "Flax": 1.0},
    "toy": {"PyTorch": 50.0, "scikit-learn": 40.0},
    "sweep-linear": {"scikit-learn": 25.0, ONE_BY_ONE: 2.0},
    "sweep-mlp": {"PyTorch": 3.0, ONE_BY_ONE: 1.2},
    "sweep-toy": {"PyTorch": 100.0},
    "process": {"Keras": 2.0},
}
"""How many times as fast as the best form of each family."""


def shortened(work: Work) -> Work:
    """The work for a trial: everything of it, only less.

    Args:
        work: one of `WORKS`.

    Returns:
        The same with few epochs, few models and turns of one unit.
    """
    return work._replace(
        epochs=min(work.epochs, 3),
        turn=1,
        rates=work.rates[:2],
        penalties=work.penalties[:2],
        widths=work.widths[::8],
        seeds=min(work.seeds, 2),
    )


def settings(work: Work) -> list[Setting]:
    """The models of a sweep, those of one setting next to each other; one model for a work that is no sweep.

    Args:
        work: what is trained.

    Returns:
        One `Setting` per model.
    """
    rates, penalties = work.rates or (work.learning_rate,), work.penalties or (work.l2,)
    hidden = [(width,) for width in work.widths] or [work.hidden]
    return [Setting(*values) for values in itertools.product(rates, penalties, hidden, range(work.seeds))]


def spread(models: int, count: int) -> list[int]:
    """Which models stand for all of them: so many, evenly spread, the first and the last among them.

    Args:
        models: how many there are.
        count: how many are wanted; at least 1.

    Returns:
        Their places, at most `models` of them.
    """
    return sorted({round(place) for place in np.linspace(0, models - 1, min(count, models))})


def write(data: str, folder: Path, *, data_dir: Path | None = None, most: int | None = None) -> None:
    """Write the training examples for the processes to read.

    Args:
        data: as `Work.data`.
        folder: where; an own folder is made in it.
        data_dir: where TFDS keeps prepared datasets.
        most: keep so many examples at most.

    Raises:
        ValueError, OSError, ImportError: the dataset cannot be loaded; the message says why.
    """
    options: Any = {"size": 250} if data == "circle" else {}  # 200 of them are for training
    train = load(data, data_dir=data_dir, validation_share=0.0, **options).train
    inputs = np.array(train.inputs[:most]).reshape(len(train.labels[:most]), -1)
    moments = (np.float32(0), np.float32(1))
    if data != "circle":
        moments = preprocess.fit_moments(inputs, "global" if data == "digits" else "pixel")
    (folder / data).mkdir(parents=True, exist_ok=True)
    for name, values in zip(Examples._fields, (inputs, train.labels[:most], *moments), strict=True):
        np.save(folder / data / f"{name}.npy", np.asarray(values))


def read(work: Work, folder: Path) -> Examples:
    """Read what `write` wrote.

    Args:
        work: whose examples.
        folder: as given to `write`.

    Returns:
        The examples.
    """
    return Examples(*(np.load(folder / work.data / f"{name}.npy") for name in Examples._fields))


def floats(examples: Examples) -> np.ndarray:
    """The inputs standardized before training: the fast form, at four times the memory of bytes.

    Args:
        examples: as stored.

    Returns:
        f32[N, D].
    """
    x = examples.inputs.astype(np.float32)
    x -= examples.mean
    x *= 1 / examples.std
    return x


def whole_batches(work: Work, examples: Examples) -> int:
    """How many examples make whole batches: for peers that would train on what is left over.

    Args:
        work: gives the batch size.
        examples: the training examples.

    Returns:
        The number of examples.
    """
    return len(examples.labels) // work.batch_size * work.batch_size
