"""scikit-learn: its linear classifiers and its MLP on all cores, float32 inputs standardized before training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

from experiments.benchmark.peers import Peer
from experiments.benchmark.workloads import Workload, in_complete_batches, read_standardized, settings, spread

warnings.filterwarnings("ignore", category=ConvergenceWarning)  # the number of passes is given
RATE_OF_ONE = 0.05
"""SGDClassifier's rate for one example, as a fraction of the rate for a batch with momentum."""


def sgd(workload: Workload, folder: Path) -> Peer:
    """SGDClassifier, one pass of `partial_fit` per unit, the classes spread over all cores; no batches, no momentum."""
    x, y = read_standardized(workload, folder)
    model = _sgd(workload, workload.learning_rate, workload.l2, n_jobs=-1)
    classes = np.unique(y)

    def train(units: int) -> None:
        for _ in range(units):
            model.partial_fit(x, y, classes=classes)

    return Peer(train, lambda: [float(model.score(x, y))])


def sgd_sweep(workload: Workload, folder: Path) -> Peer:
    """SGDClassifier, two models at a time; two models are timed and scaled to all. Warms up with one pass."""
    x, y = read_standardized(workload, folder)
    every = settings(workload)
    models = spread(len(every), 2)
    fitted: list[Any] = []

    def fit(epochs: int) -> None:
        chosen = [_sgd(workload, every[i].learning_rate, every[i].l2, max_iter=epochs, tol=None) for i in models]
        tasks = [joblib.delayed(model.fit)(x, y) for model in chosen]
        done: Any = joblib.Parallel(n_jobs=2, prefer="threads")(tasks)
        fitted[:] = done

    def train(units: int) -> None:
        for _ in range(units):
            fit(workload.epochs)

    return Peer(
        train,
        lambda: [float(model.score(x, y)) for model in fitted],
        warm=lambda: fit(1),
        models=tuple(models),
        scale=len(every) / len(models),
    )


def logistic_regression(workload: Workload, folder: Path) -> Peer:
    """LogisticRegression (softmax, SAGA) with a warm start; a unit is a pass."""
    x, y = read_standardized(workload, folder)
    model = LogisticRegression(C=1 / (2 * workload.l2 * len(x)), solver="saga", tol=0.0, warm_start=True)
    return _passes(model, x, y)


def linear_svc(workload: Workload, folder: Path) -> Peer:
    """LinearSVC (hinge, dual); a unit is a pass, and each round starts from scratch."""
    x, y = read_standardized(workload, folder)
    dual: Any = True  # annotated as a string
    return _passes(LinearSVC(C=1 / (2 * workload.l2 * len(x)), loss="hinge", dual=dual, tol=1e-30), x, y)


def mlp(workload: Workload, folder: Path) -> Peer:
    """MLPClassifier with the same batches, momentum and penalty."""
    x, y = read_standardized(workload, folder)
    complete = in_complete_batches(workload, len(y))
    model = network(workload, warm_start=True)
    classes = np.unique(y)

    def train(units: int) -> None:
        if workload.epochs > 1:
            model.set_params(max_iter=units * workload.epochs).fit(x[:complete], y[:complete])
            return
        for _ in range(units):
            model.partial_fit(x[:complete], y[:complete], classes=classes)

    return Peer(train, lambda: [float(model.score(x, y))])


def mlp_again(workload: Workload, folder: Path) -> Peer:
    """A new MLPClassifier fits each time."""
    x, y = read_standardized(workload, folder)
    fitted: list[MLPClassifier] = []

    def train(units: int) -> None:
        fitted[:] = [network(workload, max_iter=units * workload.epochs).fit(x, y)]

    return Peer(train, lambda: [float(fitted[0].score(x, y))])


def network(workload: Workload, **changes: Any) -> MLPClassifier:
    """The classifier; `alpha` cancels its division of the penalty by twice the batch size."""
    batch_size: Any = workload.batch_size  # annotated as a string
    return MLPClassifier(
        workload.hidden,
        activation=workload.activation,
        solver="sgd",
        alpha=2 * workload.l2 * workload.batch_size,
        batch_size=batch_size,
        learning_rate_init=workload.learning_rate,
        momentum=workload.momentum,
        nesterovs_momentum=False,
        tol=0.0,
        n_iter_no_change=10**9,
        random_state=0,
        **changes,
    )


def grid_search(workload: Workload, folder: Path) -> Peer:
    """GridSearchCV over MLPClassifier: five folds, two fits at a time, no refit; accuracies are of validation."""
    x, y = read_standardized(workload, folder)
    alphas = [2 * l2 * workload.batch_size for l2 in workload.penalties]
    grid = {"learning_rate_init": list(workload.rates), "alpha": alphas}
    found: list[float] = []

    def search(epochs: int) -> None:
        search = GridSearchCV(network(workload, max_iter=epochs), grid, cv=5, n_jobs=2, refit=False).fit(x, y)
        table = search.cv_results_
        order = np.lexsort((table["param_alpha"].astype(float), table["param_learning_rate_init"].astype(float)))
        found[:] = table["mean_test_score"][order].tolist()

    def train(units: int) -> None:
        for _ in range(units):
            search(workload.epochs)

    return Peer(train, lambda: found, warm=lambda: search(1), models=tuple(range(len(settings(workload)))))


def _sgd(workload: Workload, learning_rate: float, l2: float, **changes: Any) -> SGDClassifier:
    loss = "hinge" if workload.loss == "svm" else "log_loss"
    rate = learning_rate * RATE_OF_ONE
    return SGDClassifier(loss=loss, alpha=2 * l2, learning_rate="constant", eta0=rate, random_state=0, **changes)


def _passes(model: LogisticRegression | LinearSVC, x: np.ndarray, y: np.ndarray) -> Peer:
    return Peer(lambda units: model.set_params(max_iter=units).fit(x, y) and None, lambda: [float(model.score(x, y))])
