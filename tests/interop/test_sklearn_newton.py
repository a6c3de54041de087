"""Newton's method for the linear SVM: its Hessian, its minimum beside that of L-BFGS, and its steps."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.preprocessing import StandardScaler

from jaxnn.interop.sklearn import LinearClassifier, _newton

pytestmark = pytest.mark.usefixtures("standard_promotion")


def objective(theta, x, labels, weights, width, penalty):
    """The rounded hinge with its penalty, by loops in float64."""
    w, b = theta[:12].reshape(3, 4), theta[12:]
    total = 0.0
    for x_n, y_n, weight in zip(x, labels, weights, strict=True):
        scores = w @ x_n + b
        for k in range(3):
            margin = scores[k] - scores[y_n] + 1.0
            if k != y_n and margin > 0.0:
                total += weight / len(x) * (margin**2 / (2 * width) if margin < width else margin - width / 2)
    return total + sum(row @ penalty @ row for row in w) / 2.0


@pytest.mark.portable
def test_the_hessian_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    x, labels, weights = rng.normal(size=(20, 4)), np.arange(20) % 3, np.append(rng.uniform(0.5, 2.0, 18), [0.0, 0.0])
    root = rng.normal(size=(4, 4))
    penalty, theta, h = root.T @ root, rng.normal(size=15) / 2, 1e-4
    around = (x, labels, weights, 0.8, penalty)
    params = [{"w": theta[:12].reshape(3, 4), "b": theta[12:]}]
    data = SimpleNamespace(inputs=x, labels=labels, weights=weights)
    found = _newton.hessian(params, data, 0.8, penalty, bias=True)
    for i, j in itertools.combinations_with_replacement(range(15), 2):
        steps = [h * (a * np.eye(15)[i] + b * np.eye(15)[j]) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
        values = [objective(theta + step, *around) for step in steps]
        expected = (values[0] - values[1] - values[2] + values[3]) / (4 * h**2)
        np.testing.assert_allclose([found[i, j], found[j, i]], expected, atol=1e-5)
    without = _newton.hessian(params, data, 0.8, penalty, bias=False)
    assert not without[12:].any()
    assert not without[:, 12:].any()


@pytest.mark.portable
@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"class_weight": {0: 3.0, 1: 1.0, 2: 0.5}}])
def test_newton_and_lbfgs_reach_the_same_minimum(options, monkeypatch):
    inputs, labels = load_iris(return_X_y=True)
    newton = LinearClassifier("svm", l2=0.01, **options).fit(inputs, labels)
    monkeypatch.setattr(_newton, "MOST", 0)
    lbfgs = LinearClassifier("svm", l2=0.01, **options).fit(inputs, labels)
    assert newton.n_iter_ < lbfgs.n_iter_ / 2
    assert newton.loss_ == pytest.approx(lbfgs.loss_, rel=1e-5)
    np.testing.assert_allclose(newton.decision_function(inputs), lbfgs.decision_function(inputs), atol=0.01)


def test_the_svm_of_the_digits_takes_few_steps():
    inputs, labels = load_digits(return_X_y=True)
    model = LinearClassifier("svm", C=1.0).fit(StandardScaler().fit_transform(inputs)[:500], labels[:500])
    assert model.n_iter_ < 300  # L-BFGS: thousands


@pytest.mark.parametrize("l2", [1e-3, 0.1])
@pytest.mark.parametrize("weight", [1e-6, 1.0, 1e6])
def test_a_direction_without_curvature_does_not_end_the_search(l2, weight):
    inputs, labels = np.array([[-2.0, -1], [-1, -1], [-1, -2], [1, 1], [1, 2], [2, 1]]), [0, 0, 0, 1, 1, 1]
    options = {"l2": l2, "solver": "lbfgs", "tol": 1e-8, "max_iter": 1000}
    found = LinearClassifier("svm", **options).fit(inputs, labels, sample_weight=np.full(6, weight))
    assert found.loss_ == pytest.approx(l2 / 4, rel=1e-5)  # the widest margin: the scores differ by (x1 + x2) / 2
