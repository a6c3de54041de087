"""scikit-learn's classifiers beside the leaderboard's: the settings that they are chosen from, and the choice."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Grid = Mapping[str, Sequence[Any]]

DIGITS: Mapping[str, Grid] = {
    "RBF-SVM": {"C": [1, 3, 10, 30], "gamma": [0.02, 0.05, 0.1, 0.2, 0.4]},
    "k-NN": {"n_neighbors": [1, 3, 5], "weights": ["uniform", "distance"]},
    "MLPClassifier": {"hidden_layer_sizes": [(256,)], "alpha": [1e-4, 1e-2, 1e-1]},
}
"""For pixels from 0 to 1."""


def classifier(name: str) -> Any:
    """The classifier that is called so here."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    return {
        "RBF-SVM": SVC(),
        "k-NN": KNeighborsClassifier(),
        "MLPClassifier": MLPClassifier(max_iter=300, random_state=0),
        "random forest": RandomForestClassifier(300, random_state=0),
    }[name]


def choose(name: str, grid: Grid, inputs: np.ndarray, labels: np.ndarray, folds: Any) -> Any:
    """The classifier fitted to all examples x[N, D] with the settings that are best in the folds: a `GridSearchCV`."""
    from sklearn.model_selection import GridSearchCV

    return fitted(GridSearchCV(classifier(name), dict(grid), cv=folds), inputs, labels)


def fitted(model: Any, inputs: np.ndarray, labels: np.ndarray) -> Any:
    """The classifier, fitted without a warning where it has not converged."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(inputs, labels)
