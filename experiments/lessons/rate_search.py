"""Kinds of something raced against each other: each is trained with every learning rate, and shown with its best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn.plots import studies
from jaxnn.training import Data, Run, sweep
from jaxnn.training._task import MakeTask


class RateSearch(NamedTuple):
    """K kinds, each trained with R learning rates and S seeds for E epochs."""

    rates: np.ndarray
    """f32[R]."""
    history: Mapping[str, np.ndarray]
    """f64[K, R, S, E] for each measure; NaN after a run has diverged."""
    best: np.ndarray
    """int[K]: the place of the best rate of each kind."""
    params: Any
    """What was learned, each leaf [K, R, S, ...]."""

    @property
    def models(self) -> int:
        """How many were trained."""
        return int(np.prod(self.history["loss"].shape[:3]))

    @property
    def best_rates(self) -> list[float]:
        """The best rate of each kind."""
        return self.rates[self.best].tolist()

    def last(self, measure: str) -> np.ndarray:
        """f64[K, R, S] after the last epoch: infinity for a loss that has diverged, 0 for an accuracy."""
        values = self.history[measure][..., -1]
        return np.where(np.isfinite(values), values, np.inf if measure.endswith("loss") else 0.0)

    def at_best(self, values: np.ndarray) -> list[np.ndarray]:
        """Of values [K, R, ...] those of each kind at its best rate."""
        return [row[i] for row, i in zip(values, self.best, strict=True)]


def search_rates(
    make_task: MakeTask,
    kinds: Mapping[str, ArrayLike],
    rates: Sequence[float],
    data: Data,
    *,
    seed: int,
    seeds: int,
    epochs: int,
    batch_size: int = 64,
    by: str = "loss",
) -> RateSearch:
    """Train every kind with every learning rate and seed in one compiled sweep.

    Args:
        make_task: of hyper-parameters that hold `learning_rate` and those of the kinds.
        kinds: hyper-parameters by name, K values each.
        rates: R learning rates, rising.
        data: as `jaxnn.training.sweep`.
        seed: of the S seeds.
        seeds: S.
        epochs: E.
        batch_size: examples a step.
        by: the measure whose median over the seeds after the last epoch decides which rate is best.

    Returns:
        A `RateSearch`.
    """
    keys = jax.random.split(jax.random.key(seed), seeds)
    run = sweep(make_task, settings(kinds, rates), keys, data, epochs=epochs, batch_size=batch_size)
    return of_run(run, rates, by)


def settings(kinds: Mapping[str, ArrayLike], rates: Sequence[float]) -> dict[str, np.ndarray]:
    """The hyper-parameters of a race: every kind with every rate.

    Args:
        kinds, rates: as `search_rates`.

    Returns:
        Each [K * R]; the rates of a kind stand together.
    """
    count = len(np.asarray(next(iter(kinds.values()))))
    repeated = {name: np.repeat(np.asarray(values), len(rates)) for name, values in kinds.items()}
    return repeated | {"learning_rate": np.tile(np.asarray(rates, np.float32), count)}


def of_run(run: Run, rates: Sequence[float], by: str = "loss") -> RateSearch:
    """A race from the run of a sweep.

    Args:
        run: leaves [K * R, S, ...], of `settings`.
        rates, by: as `search_rates`.

    Returns:
        A `RateSearch`.
    """

    def by_kind(leaf: ArrayLike) -> np.ndarray:
        values = np.asarray(leaf)
        return values.reshape(-1, len(rates), *values.shape[1:])

    history = {name: by_kind(values).astype(np.float64) for name, values in run.history.items()}
    params = jax.tree.map(by_kind, run.state.params)
    found = RateSearch(np.asarray(rates, np.float32), history, np.zeros(len(history["loss"]), int), params)
    middle = np.median(found.last(by), -1)
    return found._replace(best=middle.argmin(1) if by.endswith("loss") else middle.argmax(1))


def curves(
    title: str, names: Sequence[str], found: RateSearch, *, log: bool = False, classes: int | None = None
) -> Figure:
    """Training loss and validation accuracy of every kind with its best learning rate, a band over the seeds.

    Args:
        title: of the figure.
        names: of the kinds.
        found: the race.
        log: whether the loss is on a log scale.
        classes: mark the loss and the accuracy of guessing among so many.

    Returns:
        A figure.
    """
    labels = [f"{name}, rate {rate:.2g}" for name, rate in zip(names, found.best_rates, strict=True)]
    loss, accuracy = (found.at_best(found.history[name]) for name in ("loss", "validation_accuracy"))
    panels = [
        ("Training loss", "epoch", "loss (log scale)" if log else "loss", dict(zip(labels, loss, strict=True))),
        (
            "Validation accuracy",
            "epoch",
            "accuracy (%)",
            {label: 100 * values for label, values in zip(labels, accuracy, strict=True)},
        ),
    ]
    lines = [] if classes is None else [{f"log {classes}: guessing": np.log(classes)}, {"chance": 100 / classes}]
    return studies.bands(title, panels, logarithmic=[log, False], lines=lines)
