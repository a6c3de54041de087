"""scikit-learn: its linear classifiers and its MLP, on float32 inputs that were standardized before, on all cores."""

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
from experiments.benchmark.works import Work, floats, read, settings, spread, whole_batches

warnings.filterwarnings("ignore", category=ConvergenceWarning)  # the number of passes is the work
RATE_OF_ONE = 0.05
"""SGDClassifier's rate for one example, as a share of the rate for a batch with momentum."""


def sgd(work: Work, folder: Path) -> Peer:
    """SGDClassifier, one pass of `partial_fit` a unit, the classes spread over all cores.

    Args:
        work: what is trained; the batch size and the momentum do not exist here.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y = _arrays(work, folder)
    model = _sgd(work, work.learning_rate, work.l2, n_jobs=-1)
    classes = np.unique(y)

    def train(units: int) -> None:
        for _ in range(units):
            model.partial_fit(x, y, classes=classes)

    return Peer(train, lambda: [float(model.score(x, y))])


def sgd_sweep(work: Work, folder: Path) -> Peer:
    """SGDClassifier, model after model, two at a time: two of them, for all.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer; in place of a first unit it makes one pass.
    """
    x, y = _arrays(work, folder)
    every = settings(work)
    models = spread(len(every), 2)
    fitted: list[Any] = []

    def fit(epochs: int) -> None:
        chosen = [_sgd(work, every[i].learning_rate, every[i].l2, max_iter=epochs, tol=None) for i in models]
        tasks = [joblib.delayed(model.fit)(x, y) for model in chosen]
        done: Any = joblib.Parallel(n_jobs=2, prefer="threads")(tasks)
        fitted[:] = done

    def train(units: int) -> None:
        for _ in range(units):
            fit(work.epochs)

    return Peer(
        train,
        lambda: [float(model.score(x, y)) for model in fitted],
        warm=lambda: fit(1),
        models=tuple(models),
        scale=len(every) / len(models),
    )


def logistic_regression(work: Work, folder: Path) -> Peer:
    """LogisticRegression (softmax, SAGA), going on from where it was; a unit is a pass.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y = _arrays(work, folder)
    model = LogisticRegression(C=1 / (2 * work.l2 * len(x)), solver="saga", tol=0.0, warm_start=True)
    return _passes(model, x, y)


def linear_svc(work: Work, folder: Path) -> Peer:
    """LinearSVC (hinge, dual); a unit is a pass, each turn starts anew.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y = _arrays(work, folder)
    dual: Any = True  # annotated as a string
    return _passes(LinearSVC(C=1 / (2 * work.l2 * len(x)), loss="hinge", dual=dual, tol=1e-30), x, y)


def mlp(work: Work, folder: Path) -> Peer:
    """MLPClassifier with the same batches, momentum and penalty.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    examples = read(work, folder)
    whole = whole_batches(work, examples)
    x, y = floats(examples), examples.labels
    model = network(work, warm_start=True)
    classes = np.unique(y)

    def train(units: int) -> None:
        if work.epochs > 1:
            model.set_params(max_iter=units * work.epochs).fit(x[:whole], y[:whole])
            return
        for _ in range(units):
            model.partial_fit(x[:whole], y[:whole], classes=classes)

    return Peer(train, lambda: [float(model.score(x, y))])


def network(work: Work, **changes: Any) -> MLPClassifier:
    """The classifier; it divides its penalty by the batch size and halves it, which `alpha` undoes.

    Args:
        work: what is trained.
        **changes: other arguments of `MLPClassifier`.

    Returns:
        The classifier.
    """
    batch_size: Any = work.batch_size  # annotated as a string
    return MLPClassifier(
        work.hidden,
        activation=work.activation,
        solver="sgd",
        alpha=2 * work.l2 * work.batch_size,
        batch_size=batch_size,
        learning_rate_init=work.learning_rate,
        momentum=work.momentum,
        nesterovs_momentum=False,
        tol=0.0,
        n_iter_no_change=10**9,
        random_state=0,
        **changes,
    )


def grid_search(work: Work, folder: Path) -> Peer:
    """GridSearchCV over MLPClassifier, five folds, two fits at a time, without the last fit on everything.

    Args:
        work: a sweep over rates and penalties.
        folder: where the examples are.

    Returns:
        The peer; its accuracies are the means over the folds' validation examples. In place of a first unit it fits
        one epoch.
    """
    x, y = _arrays(work, folder)
    grid = {
        "learning_rate_init": list(work.rates),
        "alpha": [2 * l2 * work.batch_size for l2 in work.penalties],
    }
    found: list[float] = []

    def search(epochs: int) -> None:
        search = GridSearchCV(network(work, max_iter=epochs), grid, cv=5, n_jobs=2, refit=False).fit(x, y)
        table = search.cv_results_
        order = np.lexsort((table["param_alpha"].astype(float), table["param_learning_rate_init"].astype(float)))
        found[:] = table["mean_test_score"][order].tolist()

    def train(units: int) -> None:
        for _ in range(units):
            search(work.epochs)

    return Peer(train, lambda: found, warm=lambda: search(1), models=tuple(range(len(settings(work)))))


def _arrays(work: Work, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    examples = read(work, folder)
    return floats(examples), examples.labels


def _sgd(work: Work, learning_rate: float, l2: float, **changes: Any) -> SGDClassifier:
    loss = "hinge" if work.loss == "svm" else "log_loss"
    rate = learning_rate * RATE_OF_ONE
    return SGDClassifier(loss=loss, alpha=2 * l2, learning_rate="constant", eta0=rate, random_state=0, **changes)


def _passes(model: LogisticRegression | LinearSVC, x: np.ndarray, y: np.ndarray) -> Peer:
    return Peer(lambda units: model.set_params(max_iter=units).fit(x, y) and None, lambda: [float(model.score(x, y))])
