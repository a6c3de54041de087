"""The solver lbfgs: it reaches the minimum, on data as they are, and says when it has not."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from jaxnn.interop.sklearn import LinearClassifier, MLPClassifier, VmapSearchCV

pytestmark = pytest.mark.usefixtures("standard_promotion")

LOADERS = {"wine": load_wine, "breast cancer": load_breast_cancer, "iris": load_iris}
# of float64 and ever narrower rounded hinges, l2 = 1 / 2N
LEAST_OF_SVM = {"wine": 0.02224516, "breast cancer": 0.08093387, "iris": 0.10402791}


def objective(weights, biases, loss, l2, inputs, labels):
    """The objective in float64, by hand."""
    scores = inputs @ np.asarray(weights, float).T + np.asarray(biases, float)
    each, right = np.arange(len(labels)), scores[np.arange(len(labels)), labels][:, None]
    if loss == "softmax":
        highest = scores.max(1, keepdims=True)
        losses = np.log(np.exp(scores - highest).sum(1)) + highest[:, 0] - right[:, 0]
    else:
        margins = np.maximum(0.0, scores - right + 1.0)
        margins[each, labels] = 0.0
        losses = margins.sum(1)
    return losses.mean() + l2 * np.square(np.asarray(weights, float)).sum()


def both_rows(model):
    """The weights and biases of all classes; scikit-learn has one row for two classes."""
    coef, intercept = model.coef_, model.intercept_
    if len(coef) == 1:
        return np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    return coef, intercept


def least_of_softmax(inputs, labels, l2):
    """The minimum that scikit-learn's Newton method finds on centred data."""
    inputs = inputs - inputs.mean(0)
    rows = 1 if labels.max() == 1 else 2
    exact = LogisticRegression(C=1 / (rows * l2 * len(labels)), solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return objective(*both_rows(exact.fit(inputs, labels)), "softmax", l2, inputs, labels)


@pytest.mark.portable
@pytest.mark.parametrize("kind", ["raw", "far from 0", "mixed units", "standardized"])
@pytest.mark.parametrize("name", LOADERS)
def test_softmax_reaches_the_minimum_on_data_as_they_are(name, kind):
    inputs, labels = LOADERS[name](return_X_y=True)
    if kind == "far from 0":
        inputs = inputs + 1000
    if kind == "mixed units":
        inputs = inputs * np.logspace(-3, 3, inputs.shape[1])
    if kind == "standardized":
        inputs = StandardScaler().fit_transform(inputs)
    for l2 in (1 / (2 * len(labels)), 1e-5):
        model = LinearClassifier(l2=l2).fit(inputs, labels)
        least = least_of_softmax(inputs, labels, l2)
        found = objective(*both_rows(model), "softmax", l2, inputs, labels)
        assert found == pytest.approx(least, rel=1e-3)
        assert model.loss_ == pytest.approx(least, rel=1e-3)


@pytest.mark.portable
@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("name", LOADERS)
def test_the_svm_reaches_the_minimum_on_data_as_they_are(name, offset):
    inputs, labels = LOADERS[name](return_X_y=True)
    l2 = 1 / (2 * len(labels))
    model = LinearClassifier("svm", l2=l2).fit(inputs + offset, labels)
    found = objective(*both_rows(model), "svm", l2, inputs + offset, labels)
    assert found == pytest.approx(LEAST_OF_SVM[name], rel=2e-5)
    assert model.score(inputs + offset, labels) > 0.96


@pytest.mark.portable
@pytest.mark.parametrize("seed", range(3))
def test_the_svm_converges_in_any_order_of_examples_and_inputs(seed):
    inputs, labels = load_wine(return_X_y=True)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(178), rng.permutation(13)
    inputs, labels = inputs[rows][:, columns], labels[rows]
    model = LinearClassifier("svm", C=1.0).fit(inputs, labels)
    assert model.loss_ == pytest.approx(LEAST_OF_SVM["wine"], rel=2e-4)


def test_the_svm_reaches_the_minimum_where_the_penalty_is_tiny():
    inputs, labels = load_iris(return_X_y=True)
    model = LinearClassifier("svm", l2=1e-6).fit(inputs, labels)
    assert objective(*both_rows(model), "svm", 1e-6, inputs, labels) == pytest.approx(0.03764185, rel=2.5e-5)


def test_a_solver_that_has_not_converged_says_so():
    inputs, labels = load_wine(return_X_y=True)
    for model in (
        LinearClassifier(max_iter=2),
        LinearClassifier("svm", max_iter=20),
        MLPClassifier((4,), solver="lbfgs", max_iter=2, random_state=0),
    ):
        with pytest.warns(ConvergenceWarning, match=r"lbfgs failed to converge to tol=.* in \d+ iterations"):
            model.fit(inputs, labels)
        assert model.n_iter_ == model.max_iter


@pytest.mark.portable
def test_a_network_that_has_converged_says_nothing():
    inputs, labels = load_iris(return_X_y=True)
    model = MLPClassifier((4,), "tanh", l2=1e-2, solver="lbfgs", max_iter=2000, random_state=0).fit(inputs, labels)
    assert model.n_iter_ < 2000
    assert model.score(inputs, labels) > 0.96


def test_a_warm_start_of_what_has_converged_stays_there():
    inputs, labels = load_wine(return_X_y=True)
    model = LinearClassifier(l2=1e-2, warm_start=True).fit(inputs + 1000, labels)
    before, steps = model.coef_, model.n_iter_
    model.fit(inputs + 1000, labels)
    assert model.n_iter_ < steps / 2
    np.testing.assert_allclose(model.coef_, before, atol=1e-3)


def test_constant_and_repeated_inputs_are_no_trouble():
    inputs, labels = load_digits(return_X_y=True)  # its corners are always 0
    inputs = np.column_stack([inputs[:300], inputs[:300, :5], np.full(300, 1e6)])
    for l2 in (1e-2, 0.0):
        model = LinearClassifier(l2=l2).fit(inputs, labels[:300])
        assert np.abs(model.coef_).max() < 100
        assert model.score(inputs, labels[:300]) == 1.0


@pytest.mark.portable
def test_early_stopping_still_ends_it():
    inputs, labels = load_wine(return_X_y=True)
    model = LinearClassifier(early_stopping=True, n_iter_no_change=3, random_state=0).fit(inputs, labels)
    assert model.n_iter_ < 20
    assert model.best_validation_score_ > 0.9


@pytest.mark.portable
def test_a_search_finds_the_same():
    inputs, labels = load_wine(return_X_y=True)
    grid = {"l2": [1e-3, 1e-1], "max_iter": [2, 200]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours, theirs = (
            kind(LinearClassifier(random_state=0), grid, cv=3).fit(inputs, labels)
            for kind in (VmapSearchCV, GridSearchCV)
        )
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert ours.best_score_ > 0.93
