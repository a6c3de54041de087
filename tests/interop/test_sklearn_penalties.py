"""Penalties and averages of the linear classifier, beside scikit-learn's own and loops by hand."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from jaxnn.interop.sklearn import LinearClassifier, MLPClassifier, VmapSearchCV

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # few epochs
]

X, Y = load_iris(return_X_y=True)


@pytest.mark.portable
@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("load", [load_iris, load_breast_cancer], ids=["three classes", "two classes"])
def test_absolute_weights_are_penalized_as_in_logistic_regression(load, ratio):
    inputs, labels = load(return_X_y=True)
    inputs = StandardScaler().fit_transform(inputs)[:, :8]
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(labels))
    penalty: dict[str, Any] = {"penalty": "l1"} if ratio == 1 else {"penalty": "elasticnet", "l1_ratio": ratio}
    ours = LinearClassifier(C=0.1, **penalty).fit(inputs, labels, weight)
    theirs = LogisticRegression(C=0.1, l1_ratio=ratio, solver="saga", tol=1e-7, max_iter=10_000)
    theirs.fit(inputs, labels, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    assert (ours.coef_ == 0).any()


def test_l2_is_the_factor_of_the_penalty():
    model = LinearClassifier(l2=0.02, penalty="elasticnet", l1_ratio=0.25).fit(X, Y)
    log_loss = -model.predict_log_proba(X)[np.arange(150), Y].mean()
    penalty = 0.02 * (0.75 * np.square(model.coef_).sum() + 0.5 * np.abs(model.coef_).sum())
    assert model.loss_ == pytest.approx(log_loss + penalty, rel=1e-9)
    one = LinearClassifier("svm", l2=0.02, penalty="l1").fit(X, Y)
    for change in np.random.default_rng(0).normal(0, 1e-2, (20, 3, 4)):  # a minimum: nothing near is lower
        weights = [one.coef_, one.coef_ + change]
        margins = [
            np.maximum(0, s - s[np.arange(150), Y][:, None] + 1) for s in (X @ w.T + one.intercept_ for w in weights)
        ]
        values = [m.sum(1).mean() - 1 + 0.04 * np.abs(w).sum() for m, w in zip(margins, weights, strict=True)]
        assert values[0] <= values[1] + 1e-6


def test_no_penalty_is_a_penalty_of_zero():
    options: dict[str, Any] = {"max_iter": 30}
    expected = LinearClassifier(l2=0.0, **options).fit(X, Y).coef_
    each: list[dict[str, Any]] = [{"penalty": None}, {"penalty": None, "C": 0.1}, {"C": np.inf}]
    for absent in each:
        np.testing.assert_allclose(LinearClassifier(**options, **absent).fit(X, Y).coef_, expected, rtol=1e-9)


@pytest.mark.parametrize("solver", ["newton-cg", "newton-cholesky", "sag", "saga"])
def test_their_other_solvers_seek_the_same_minimum(solver):
    model = LinearClassifier(C=1.0, solver=solver, n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(model.coef_, LinearClassifier(C=1.0).fit(X, Y).coef_)
    assert not hasattr(model, "partial_fit")


def test_a_search_over_penalties():
    grid = {"penalty": ["l1", "l2", None], "l2": [1e-2, 1e-1]}
    ours, theirs = (kind(LinearClassifier(), grid, cv=2).fit(X, Y) for kind in (VmapSearchCV, GridSearchCV))
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert len(set(theirs.cv_results_["mean_test_score"])) > 2


def averaged(seen: float, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean weights of softmax regression by gradient descent in float64, and the last; 8 examples a step."""
    inputs, labels = X[:32], Y[:32] + np.arange(32) % 2
    w, b, every = np.zeros((2, 4)), np.zeros(2), []
    for step in range(4 * epochs):
        rows = slice(8 * (step % 4), 8 * (step % 4) + 8)
        scores = inputs[rows] @ w.T + b
        share = np.exp(scores) / np.exp(scores).sum(1, keepdims=True) - np.eye(2)[labels[rows]]
        w, b = w - 0.05 * (share.T @ inputs[rows] / 8 + 2e-3 * w), b - 0.05 * share.mean(0)
        if (step + 1) * 8 >= seen:
            every.append(w)
    return np.mean(every, 0) if every else w, w


@pytest.mark.parametrize("average", [True, 40, pytest.param(1000, marks=pytest.mark.slow)])
def test_averages_are_those_of_the_loop_by_hand(average):
    options: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05, "shuffle": False}
    options |= {"batch_size": 8, "average": average, "max_iter": 5, "n_iter_no_change": np.inf, "random_state": 0}
    inputs, labels = X[:32], Y[:32] + np.arange(32) % 2
    mean, _ = averaged(1 if average is True else average, 5)
    for model in (LinearClassifier(**options).fit(inputs, labels), LinearClassifier(**options)):
        for _ in range(0 if hasattr(model, "classes_") else 5):
            model.partial_fit(inputs, labels, classes=[0, 1])
        np.testing.assert_allclose(model.coef_[0], mean[1] - mean[0], rtol=1e-4)
    if average != 40:
        return
    search = VmapSearchCV(LinearClassifier(**options), {"l2": [1e-3, 1.0]}, cv=2, refit=False).fit(inputs, labels)
    alone = GridSearchCV(LinearClassifier(**options), {"l2": [1e-3, 1.0]}, cv=2, refit=False).fit(inputs, labels)
    np.testing.assert_array_equal(*(each.cv_results_["mean_test_score"] for each in (search, alone)))


def test_another_average_starts_with_a_fresh_one():
    options: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.05, "random_state": 0, "warm_start": True}
    model = LinearClassifier(**options, average=True, max_iter=3).fit(X, Y)
    mean, last = model.coef_, model._reached[0]["w"]
    assert np.abs(mean - last).max() > 1e-4
    model.set_params(average=False, learning_rate_init=1e-9).partial_fit(X, Y)  # from where the steps were
    np.testing.assert_allclose(model.coef_, last, atol=1e-6)
    model.set_params(average=True).partial_fit(X, Y)
    np.testing.assert_allclose(model.coef_, last, atol=1e-6)
    model.set_params(average=False, learning_rate_init=1e-9, max_iter=1).fit(X, Y)
    np.testing.assert_allclose(model.coef_, last, atol=1e-6)


def test_a_penalty_may_change_between_fits():
    model = LinearClassifier(l2=0.05, warm_start=True).fit(X, Y)
    fresh = LinearClassifier(l2=0.05, penalty="l1").fit(X, Y)
    again = model.set_params(penalty="l1").fit(X, Y)
    np.testing.assert_allclose(again.coef_, fresh.coef_, atol=1e-4)
    np.testing.assert_array_equal(again.coef_ == 0, fresh.coef_ == 0)
    by_steps = LinearClassifier(solver="adam", max_iter=2).fit(X, Y)
    with pytest.raises(ValueError, match="penalty='l1' needs solver='lbfgs'"):
        by_steps.set_params(penalty="l1").partial_fit(X, Y)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"penalty": "l3"}, "penalty must be one of l2, l1, elasticnet, None, got 'l3'"),
        ({"penalty": "elasticnet"}, "needs l1_ratio, the fraction of l1"),
        ({"penalty": "elasticnet", "l1_ratio": 1.5}, "l1_ratio must be from 0 to 1, got 1.5"),
        ({"l1_ratio": 0.5}, "l1_ratio=0.5 needs penalty='elasticnet', got penalty='l2'"),
        ({"penalty": "l1", "solver": "sgd"}, "penalty='l1' needs solver='lbfgs': sgd does not find exact zeros"),
        ({"average": True}, "average=True needs solver='adam' or 'sgd'"),
        ({"average": -3, "solver": "sgd"}, "average must be at least 1, got -3"),
        ({"solver": "liblinear"}, "solver must be one of lbfgs, adam, sgd, newton-cg, newton-cholesky, sag, saga"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        LinearClassifier(**options).fit(X, Y)


def test_parameters_of_others_are_named():
    kind: Any = LinearClassifier
    for name, match in {"eta0": "learning_rate_init", "multi_class": "in one objective", "dual": "primal"}.items():
        with pytest.raises(TypeError, match=f"LinearClassifier has no parameter {name}: .*{match}"):
            kind(**{name: 1})
    with pytest.raises(TypeError, match="n_jobs must be a whole number or None, got 'all'"):
        kind(n_jobs="all").fit(X, Y)
    with pytest.raises(ValueError, match="solver must be one of lbfgs, adam, sgd, got 'saga'"):
        MLPClassifier().set_params(solver="saga").fit(X, Y)
    with pytest.warns(
        ConvergenceWarning, match="saga failed to converge to tol=1e-06 in 2 iterations: raise max_iter=2"
    ):
        kind(solver="saga", max_iter=2).fit(X, Y)
