"""Parameters changed after a fit: taken over by the next one, or refused by name."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from jaxnn.interop.sklearn import LinearClassifier, MLPClassifier

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # few epochs
]

X, Y = load_iris(return_X_y=True)


def network(**changes):
    default = {"hidden_layer_sizes": (4,), "learning_rate_init": 0.02, "max_iter": 5, "random_state": 0}
    return MLPClassifier(**default | changes)


def test_a_fitted_classifier_predicts_as_it_was_fitted():
    model = network().fit(X, Y)
    before = model.predict_proba(X)
    for name, value in {"hidden_layer_sizes": (7, 3), "activation": "tanh", "loss": "svm"}.items():
        model.set_params(**{name: value})
        np.testing.assert_array_equal(model.predict_proba(X), before)
    model.fit(X, Y)
    assert [w.shape for w in model.coefs_] == [(4, 7), (7, 3), (3, 3)]
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_of_another_shape_are_refused_by_name(method):
    model = network(warm_start=True).fit(X, Y)
    before = model.predict(X)
    model.set_params(hidden_layer_sizes=(5,))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes was \(4,\) .* and is now \(5,\)"):
        getattr(model, method)(X, Y)
    np.testing.assert_array_equal(model.predict(X), before)
    model.set_params(warm_start=False).fit(X, Y)
    assert model.coefs_[0].shape == (4, 5)


@pytest.mark.portable
@pytest.mark.parametrize("solvers", [("adam", "sgd"), ("sgd", "adam"), ("lbfgs", "adam")])
def test_another_solver_is_taken_over(solvers):
    epochs = 2000 if solvers[0] == "lbfgs" else 20
    model = network(solver=solvers[0], activation="tanh", l2=1e-2, warm_start=True, max_iter=epochs).fit(X, Y)
    weights = model.coefs_
    model.set_params(solver=solvers[1], learning_rate_init=1e-4)
    model.partial_fit(X, Y)
    for before, after in zip(weights, model.coefs_, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-3)
        assert np.abs(after - before).max() > 0


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "tanh"},
        pytest.param({"batch_size": 16}, marks=pytest.mark.slow),
        {"class_weight": {0: 9.0}},
        pytest.param({"dropout": 0.5}, marks=pytest.mark.slow),
        {"l2": 1.0},
        {"learning_rate_init": 0.5},
        {"loss": "svm"},
        pytest.param({"random_state": 1}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_any_other_change_is_taken_over_by_the_next_call(change):
    models = [network(max_iter=1, batch_size=8).fit(X, Y) for _ in range(2)]
    models[1].set_params(**change)
    first, second = (model.partial_fit(X, Y).coefs_[0] for model in models)
    assert np.abs(first - second).max() > 1e-6


def test_scores_of_an_earlier_fit_do_not_stay():
    model = LinearClassifier(solver="adam", early_stopping=True, random_state=0).fit(X, Y)
    assert len(model.validation_scores_) == model.n_iter_
    model.set_params(early_stopping=False, max_iter=3).fit(X, Y)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
