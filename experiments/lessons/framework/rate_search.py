"""A search for the best learning rate of each of several kinds, for a fair comparison of the kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxnn import plots
from jaxnn.training import Data, MakeTask, Run, sweep


class RateSearch(NamedTuple):
    """K kinds, each trained with R learning rates and S seeds for E epochs."""

    rates: np.ndarray
    """f32[R]."""
    history: Mapping[str, np.ndarray]
    """f64[K, R, S, E] for each metric; NaN after a run has diverged."""
    best: np.ndarray
    """int[K]: the index of the best rate of each kind."""
    params: Any
    """The trained parameters, each leaf [K, R, S, ...]."""

    @property
    def models(self) -> int:
        """How many models were trained."""
        return int(np.prod(self.history["loss"].shape[:3]))

    @property
    def best_rates(self) -> list[float]:
        """The best rate of each kind."""
        return self.rates[self.best].tolist()

    def last(self, metric: str) -> np.ndarray:
        """f64[K, R, S] after the last epoch: infinity for a loss that has diverged, 0 for an accuracy."""
        values = self.history[metric][..., -1]
        return np.where(np.isfinite(values), values, np.inf if metric.endswith("loss") else 0.0)

    def at_best(self, values: np.ndarray) -> list[np.ndarray]:
        """From values [K, R, ...], those of each kind at its best rate."""
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
    """Train every kind with every learning rate (ascending) and seed in one compiled sweep.

    The best rate is the one with the best median of the metric `by` over the seeds after the last epoch.
    """
    keys = jax.random.split(jax.random.key(seed), seeds)
    run = sweep(make_task, settings(kinds, rates), keys, data, epochs=epochs, batch_size=batch_size)
    return of_run(run, rates, by)


def settings(kinds: Mapping[str, ArrayLike], rates: Sequence[float]) -> dict[str, np.ndarray]:
    """Hyper-parameters of every kind with every rate, each [K * R]; the rates of one kind are adjacent."""
    count = len(np.asarray(next(iter(kinds.values()))))
    repeated = {name: np.repeat(np.asarray(values), len(rates)) for name, values in kinds.items()}
    return repeated | {"learning_rate": np.tile(np.asarray(rates, np.float32), count)}


def of_run(run: Run, rates: Sequence[float], by: str = "loss") -> RateSearch:
    """The search from a sweep over `settings`, with leaves [K * R, S, ...]."""

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

    With `classes`, the loss and the accuracy of guessing among that many are marked.
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
    return plots.bands(title, panels, logarithmic=[log, False], lines=lines)


def loss_by_rate(title: str, names: Sequence[str], found: RateSearch, *, below: float) -> Figure:
    """Training loss after the last epoch against the learning rate, for every kind; a loss above `below` is a gap."""
    last, epochs = found.last("loss"), found.history["loss"].shape[-1]
    shown = {name: np.where(values < below, values, np.nan) for name, values in zip(names, last, strict=True)}
    panel = (f"Training loss after {epochs} epochs (gaps: diverged)", "loss (log scale)", shown)
    return plots.against_rate(title, found.rates, [panel], "learning rate (log scale)", logarithmic=[True])
