"""scikit-learn's parameters, attributes and kinds of data, beside scikit-learn's own estimators and loops by hand."""

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.neural_network import MLPClassifier as TheirMLP
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from jaxnn.interop.sklearn import LinearClassifier, MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # few epochs
]

X, Y = load_iris(return_X_y=True)


@pytest.mark.portable
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer], ids=["three classes", "two classes"])
def test_equal_settings_give_equal_coefficients(load, bias):
    inputs, labels = load(return_X_y=True)
    inputs = StandardScaler().fit_transform(inputs) + (0.0 if bias else 0.3)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(labels))
    for strength in (0.1, 1.0, 10.0):
        ours = LinearClassifier(C=strength, fit_intercept=bias).fit(inputs, labels, weight)
        theirs = LogisticRegression(C=strength, fit_intercept=bias, tol=1e-8, max_iter=10_000)
        theirs.fit(inputs, labels, weight)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
        biases = [np.asarray(model.intercept_) for model in (ours, theirs)]
        np.testing.assert_allclose(biases[0] - biases[0].mean(), biases[1] - biases[1].mean(), atol=1e-3)
        assert bias or not ours.intercept_.any()


def test_alpha_is_the_penalty_of_their_network():
    ours = MLPClassifier((4,), "logistic", alpha=0.3, solver="lbfgs", max_iter=1000, tol=1e-8, random_state=0).fit(X, Y)
    log_loss = -ours.predict_log_proba(X)[np.arange(150), Y].mean()
    penalty = 0.3 / 2 / 150 * sum(np.square(w).sum() for w in ours.coefs_)
    assert ours.loss_ == pytest.approx(log_loss + penalty, rel=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = [
            TheirMLP((4,), "logistic", alpha=0.3, solver="lbfgs", max_iter=1000, tol=1e-8, random_state=i)
            for i in range(3)
        ]
    assert ours.loss_ <= min(fit.fit(X, Y).loss_ for fit in fits) * 1.05
    by_steps: dict[str, Any] = {"hidden_layer_sizes": (3,), "batch_size": 40, "max_iter": 2, "random_state": 0}
    first, second = MLPClassifier(**by_steps, alpha=0.8).fit(X, Y), MLPClassifier(**by_steps, l2=0.8 / 80).fit(X, Y)
    np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("network", [MLPClassifier, MLPRegressor])
def test_a_weight_of_2_is_the_example_twice(network, solver):
    rows, weight = np.arange(0, 150, 5), np.arange(30) % 4  # also examples of weight 0, and a penalty that counts
    options = {"hidden_layer_sizes": (4,), "solver": solver, "alpha": 10.0, "max_iter": 4, "random_state": 0}
    weighted = network(**options).fit(X[rows], Y[rows], weight)
    repeated = network(**options).fit(X[np.repeat(rows, weight)], Y[np.repeat(rows, weight)])
    np.testing.assert_array_equal(weighted.coefs_[0], repeated.coefs_[0])


@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_ends_after_more_than_so_many_epochs_without_an_improvement(early_stopping):
    options: dict[str, Any] = {"learning_rate_init": 0.05, "n_iter_no_change": 3, "tol": 5e-3, "random_state": 0}
    model = MLPClassifier((5,), early_stopping=early_stopping, **options).fit(X, Y)
    values = model.validation_scores_ if early_stopping else [-loss for loss in model.loss_curve_]
    best, waited = -np.inf, []
    for value in values:
        waited.append(waited[-1] + 1 if value < best + 5e-3 else 0)
        best = max(best, value)
    assert waited[-1] == 4
    assert max(waited[:-1]) <= 3
    assert model.n_iter_ == len(values) < 200
    assert model.t_ == model.n_iter_ * len(X)
    assert (model.best_loss_ is None) == early_stopping
    endless = MLPClassifier((5,), **options | {"n_iter_no_change": np.inf, "max_iter": 60}).fit(X, Y)
    assert endless.n_iter_ == 60


def test_a_training_that_has_not_converged_says_so():
    for solver in ("adam", "sgd"):
        with pytest.warns(ConvergenceWarning, match=f"{solver} failed to converge to tol=0.0001 in 3 iterations"):
            MLPClassifier((3,), solver=solver, max_iter=3).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="raise max_fun=5"):
        LinearClassifier(max_fun=5).fit(X, Y)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
def test_sgd_is_the_loop_by_hand(schedule, nesterov):
    """Linear regression by gradient descent on all examples at once."""
    inputs, targets = X[:64, :3], X[:64, 3]
    options: dict[str, Any] = {
        "learning_rate": schedule,
        "power_t": 0.3,
        "momentum": 0.8,
        "nesterovs_momentum": nesterov,
    }
    options |= {"solver": "sgd", "learning_rate_init": 0.01, "alpha": 0.64, "batch_size": 64, "max_iter": 5}
    model = MLPRegressor(hidden_layer_sizes=(), **options).fit(inputs, targets)
    w, b, trace = np.zeros(3), 0.0, np.zeros(4)
    for step in range(5):
        error = inputs @ w + b - targets
        gradient = np.append(inputs.T @ error / 64 + 0.64 / 64 * w, error.mean())
        trace = gradient + 0.8 * trace
        rate = 0.01 / (1 + 64 * step) ** 0.3 if schedule == "invscaling" else 0.01
        change = rate * (gradient + 0.8 * trace if nesterov else trace)
        w, b = w - change[:3], b - change[3]
    np.testing.assert_allclose(model.coefs_[0][:, 0], w, rtol=1e-4)
    np.testing.assert_allclose(model.intercepts_[0], b, rtol=1e-4)


def test_the_adaptive_rate_falls_to_the_end():
    model = MLPClassifier((3,), solver="sgd", learning_rate="adaptive", learning_rate_init=0.1, tol=0.5, max_iter=500)
    model.fit(X, Y)
    assert model.n_iter_ <= 1 + 8 * 11 + 11  # 0.1 / 5**8 is below 1e-6, and each fifth takes 11 epochs
    assert np.abs(np.diff(model.loss_curve_[-5:])).max() < 1e-4


def test_sparse_is_dense():
    random: Any = scipy.sparse.random
    sparse = random(90, 60, 0.05, format="csr", random_state=0)
    labels = np.arange(90) % 3
    for model in (LinearClassifier(), MLPClassifier((4,), max_iter=3, batch_size=40, random_state=0)):
        model.fit(sparse.toarray(), labels)
        expected = model.predict_proba(sparse.toarray())
        np.testing.assert_allclose(model.fit(sparse, labels).predict_proba(sparse), expected, atol=1e-6)


def test_several_labels_an_example():
    labels = np.stack([X[:, 0] > 5.8, X[:, 2] > 4, X[:, 3] > 1.5], 1).astype(int)
    model = MLPClassifier((), solver="lbfgs", alpha=1.5).fit(X, labels)
    assert (model.predict(X) == labels).mean() > 0.95
    assert model.out_activation_ == "logistic"
    for i in range(3):  # each is a logistic regression of its own
        alone = LogisticRegression(C=1 / 1.5, tol=1e-8, max_iter=1000).fit(X, labels[:, i])
        np.testing.assert_allclose(model.coefs_[0][:, i], alone.coef_[0], atol=1e-3)
        np.testing.assert_allclose(model.predict_proba(X)[:, i], alone.predict_proba(X)[:, 1], atol=1e-3)
    options: dict[str, Any] = {"early_stopping": True, "n_iter_no_change": 60, "random_state": 0}
    stepped = MLPClassifier((8,), learning_rate_init=0.02, **options).fit(X, labels)
    assert stepped.best_validation_score_ == max(stepped.validation_scores_) > 0.5


def test_regression_is_theirs_where_it_is_convex():
    made: Any = make_regression(80, 5, n_targets=2, noise=5.0, random_state=0)
    inputs, targets = made
    ridge = Ridge(alpha=3.0).fit(inputs, targets)
    ours = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=3.0).fit(inputs, targets)
    np.testing.assert_allclose(ours.predict(inputs), ridge.predict(inputs), rtol=1e-4, atol=1e-3)
    assert ours.score(inputs, targets) == pytest.approx(ridge.score(inputs, targets), abs=1e-6)
    counts = np.random.default_rng(0).poisson(np.exp(inputs[:, 0] / 2))
    poisson = PoissonRegressor(alpha=0.01, tol=1e-8).fit(inputs, counts)
    ours = MLPRegressor("poisson", (), solver="lbfgs", alpha=0.8, tol=1e-8).fit(inputs, counts)
    np.testing.assert_allclose(ours.predict(inputs), poisson.predict(inputs), rtol=1e-3)


def test_a_regression_by_steps_learns_and_goes_on(capsys):
    targets = X[:, 2] * X[:, 3] / 5
    options: dict[str, Any] = {
        "hidden_layer_sizes": (32,),
        "activation": "tanh",
        "learning_rate_init": 0.01,
        "random_state": 0,
    }
    model = MLPRegressor(**options, early_stopping=True, verbose=True).fit(X, targets)
    assert model.score(X, targets) > 0.5
    assert f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}" in capsys.readouterr().out
    model = MLPRegressor(**options).partial_fit(X, targets)
    for _ in range(5):
        model.partial_fit(X, targets)
    assert model.n_iter_ == len(model.loss_curve_) == 6
    assert model.predict(X.astype(np.float32)).shape == (150,)


def test_without_shuffling_the_order_is_that_of_the_data():
    options: dict[str, Any] = {"batch_size": 16, "max_iter": 1, "solver": "sgd", "momentum": 0.0, "random_state": 0}
    fits = [MLPClassifier((3,), shuffle=shuffle, **options).fit(X, Y) for shuffle in (True, False, False)]
    np.testing.assert_array_equal(fits[1].coefs_[0], fits[2].coefs_[0])
    assert np.abs(fits[0].coefs_[0] - fits[1].coefs_[0]).max() > 0


@pytest.mark.parametrize(
    ("model", "changes", "match"),
    [
        (MLPClassifier(), {"dropout": 0.5, "solver": "lbfgs"}, r"dropout=0.5 needs solver='adam' or 'sgd'"),
        (MLPClassifier(), {"learning_rate": "fast"}, "learning_rate must be one of constant, invscaling, adaptive"),
        (LinearClassifier(), {"C": 0}, "C must be above 0"),
        (MLPClassifier(), {"beta_1": 1.0}, "beta_1 must be at least 0 and below 1.0"),
        (MLPRegressor(), {"loss": "softmax"}, "loss must be one of squared_error, poisson"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(model, changes, match):
    with pytest.raises(ValueError, match=match):
        model.set_params(**changes).fit(X, Y)


def test_what_partial_fit_cannot_know_is_refused():
    with pytest.raises(ValueError, match=r"C=1\.0 needs all examples at once"):
        LinearClassifier(C=1.0, solver="sgd").partial_fit(X, Y, classes=[0, 1, 2])
    model = MLPRegressor(hidden_layer_sizes=(2,)).partial_fit(X, Y)
    with pytest.raises(ValueError, match="y must have 1 outputs, as in the last call, got 2"):
        model.partial_fit(X, np.stack([Y, Y], 1))


@pytest.mark.slow
@pytest.mark.parametrize("model", [MLPRegressor(), MLPRegressor(solver="lbfgs")], ids=["adam", "lbfgs"])
def test_scikit_learn_finds_nothing_to_complain_about(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(model, on_skip=None, on_fail=None)
    assert not {each["check_name"]: each["exception"] for each in found if each["status"] == "failed"}
