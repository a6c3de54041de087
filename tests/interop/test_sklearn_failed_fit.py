"""An estimator after a fit that failed: as it was before."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from jaxnn.interop.sklearn import MLPClassifier

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # few epochs
]

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def network(**changes):
    default = {"hidden_layer_sizes": (4,), "learning_rate_init": 0.02, "max_iter": 5, "random_state": 0}
    return MLPClassifier(**default | changes)


REFUSED = {
    "a wrong parameter": ({"l2": -1.0}, X[:, :3], Y + 5),
    "one class": ({}, X[:, :3], np.zeros(150, int)),
    "a divergence": ({"solver": "sgd", "learning_rate_init": 1e30, "l2": 1e3}, X[:, :3], Y + 5),
    "a part that is too small": ({"early_stopping": True, "validation_fraction": 0.001}, X[:, :3], Y + 5),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(refused):
    changes, inputs, labels = refused
    model = network().set_params(**changes)
    with pytest.raises((ValueError, FloatingPointError)):
        model.fit(inputs, labels)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not [name for name in vars(model) if name.endswith("_")]

    model = network().fit(X, NAMES)
    before = model.predict(X)
    model.set_params(**changes)
    with pytest.raises((ValueError, FloatingPointError)):
        model.fit(inputs, labels)
    assert vars(model)["n_features_in_"] == 4
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    np.testing.assert_array_equal(model.predict(X), before)


def test_so_does_a_partial_fit_that_fails():
    model = network()
    with pytest.raises(ValueError, match="first call did not name"):
        model.partial_fit(X, Y, classes=[0, 1])
    model.partial_fit(X[:, :2], Y, classes=[0, 1, 2])
    assert vars(model)["n_features_in_"] == 2
