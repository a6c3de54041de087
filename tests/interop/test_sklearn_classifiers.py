"""The classifiers with scikit-learn's contract: its own checks, its own estimators, and what they promise beside."""

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from jaxnn.interop.sklearn import LinearClassifier, MLPClassifier
from jaxnn.interop.sklearn._jobs import padded_batch_size

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # few epochs
]

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
EACH = {
    "softmax": LinearClassifier(),
    "svm": LinearClassifier("svm"),
    "softmax by steps": LinearClassifier(solver="adam"),
    "svm by steps": LinearClassifier("svm", solver="adam"),
    "mlp": MLPClassifier(),
    "mlp svm": MLPClassifier(loss="svm"),
}


def by_steps(**changes: Any) -> LinearClassifier:
    default: dict[str, Any] = {"solver": "adam", "learning_rate_init": 0.05, "max_iter": 50, "random_state": 0}
    return LinearClassifier(**(default | changes))


@pytest.mark.slow
@pytest.mark.parametrize("classifier", EACH.values(), ids=EACH)
def test_scikit_learn_finds_nothing_to_complain_about(classifier):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(classifier, on_skip=None)
    assert len(found) > 55
    failed = {result["check_name"]: result["status"] for result in found if result["status"] == "failed"}
    assert not failed
    skipped = [result["check_name"] for result in found if result["status"] == "skipped"]
    assert len(skipped) <= 3  # those that need pandas or the array API's switch
    assert not any(result["expected_to_fail"] for result in found)


# ---------------------------------------------------------------- beside scikit-learn's own


@pytest.mark.portable
def test_the_linear_classifier_is_logistic_regression():
    """The same convex objective has the same minimum; of three classes or more, C = 1 / (2 l2 N)."""
    ours = LinearClassifier(l2=1e-2, max_iter=500).fit(X, NAMES)
    theirs = LogisticRegression(C=1 / (2 * 1e-2 * len(X)), tol=1e-8, max_iter=1000).fit(X, NAMES)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-3)
    np.testing.assert_allclose(
        ours.decision_function(X) @ [1, -1, 0], theirs.decision_function(X) @ [1, -1, 0], atol=0.01
    )


@pytest.mark.portable
def test_of_two_classes_too_with_half_the_penalty_on_the_difference_of_the_rows():
    inputs, labels = load_breast_cancer(return_X_y=True)
    inputs = StandardScaler().fit_transform(inputs)
    ours = LinearClassifier(l2=1e-2, max_iter=500).fit(inputs, labels)
    theirs = LogisticRegression(C=1 / (1e-2 * len(inputs)), tol=1e-8, max_iter=1000).fit(inputs, labels)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == theirs.intercept_.shape
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(ours.decision_function(inputs), theirs.decision_function(inputs), atol=0.02)
    assert ours.decision_function(inputs).shape == (len(inputs),)


@pytest.mark.portable
def test_class_weights_are_those_of_logistic_regression():
    few = np.concatenate([np.flatnonzero(Y == 0)[:10], np.flatnonzero(Y > 0)])
    weight = np.random.default_rng(0).uniform(0.1, 2.0, len(few))
    for balance in (None, {0: 5.0, 1: 1.0, 2: 0.2}):
        of_class = np.ones(3) if balance is None else np.array(list(balance.values()))
        total = (weight * of_class[Y[few]]).sum()
        ours = LinearClassifier(l2=1e-2, class_weight=balance, max_iter=500).fit(X[few], Y[few], weight)
        theirs = LogisticRegression(C=1 / (2e-2 * total), class_weight=balance, tol=1e-8, max_iter=1000)
        theirs.fit(X[few], Y[few], weight)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)
    balanced = LinearClassifier(class_weight="balanced").fit(X[few], Y[few])
    shares = np.bincount(Y[few])
    by_hand = LinearClassifier(class_weight=dict(enumerate(len(few) / (3 * shares)))).fit(X[few], Y[few])
    np.testing.assert_allclose(balanced.coef_, by_hand.coef_, atol=1e-4)


@pytest.mark.portable
def test_the_svm_of_two_classes_is_linear_svc():
    inputs, labels = X[Y > 0], Y[Y > 0]
    ours = LinearClassifier("svm", l2=0.05, max_iter=500).fit(inputs, labels)
    theirs = LinearSVC(C=1 / (0.05 * len(inputs)), loss="hinge", tol=1e-6, max_iter=100_000, intercept_scaling=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its last digits
        theirs.fit(inputs, labels)

    def objective(model):
        margins = np.maximum(0.0, 1.0 - np.where(labels == 2, 1, -1) * model.decision_function(inputs))
        return margins.mean() + 0.05 / 2 * (model.coef_**2).sum()

    assert objective(ours) == pytest.approx(objective(theirs), rel=0.01)
    assert ours.score(inputs, labels) == pytest.approx(theirs.score(inputs, labels), abs=0.02)
    assert not hasattr(ours, "predict_proba")
    with pytest.raises(AttributeError, match="no attribute 'predict_proba'") as missing:
        _ = ours.predict_proba
    assert "need loss='softmax', got loss='svm'" in str(missing.value.__cause__)


# ---------------------------------------------------------------- what a fit promises


def test_labels_of_any_kind_come_back():
    for labels in (NAMES, Y + 7, Y.astype(np.uint8), NAMES.astype(object)):
        fitted = by_steps().fit(X, labels)
        assert set(fitted.predict(X).tolist()) == set(labels.tolist())
        assert fitted.score(X, labels) > 0.9


def test_a_random_state_repeats_the_training_and_another_does_not():
    first, second, third = (
        MLPClassifier((8,), max_iter=5, dropout=0.5, random_state=seed).fit(X, Y).predict_proba(X) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-3


def test_a_warm_start_goes_on_and_a_cold_one_does_not():
    warm, cold = (by_steps(max_iter=10, warm_start=warm) for warm in (True, False))
    losses = {}
    for name, model in (("warm", warm), ("cold", cold)):
        losses[name] = [model.fit(X, NAMES).loss_ for _ in range(3)]
    assert losses["warm"][0] > losses["warm"][1] > losses["warm"][2]
    assert len(set(losses["cold"])) == 1
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes"):
        warm.fit(X, Y)


def test_partial_fits_in_a_row_learn_like_a_fit():
    model = by_steps(batch_size=25)
    model.partial_fit(X[:50], NAMES[:50], classes=np.unique(NAMES))  # of one class
    assert model.predict(X[:50]).tolist() == ["setosa"] * 50
    for _ in range(40):
        model.partial_fit(X, NAMES)
    assert model.score(X, NAMES) > 0.93
    assert model.n_iter_ == len(model.loss_curve_) == 41
    once = by_steps(max_iter=1).fit(X, NAMES)
    alone = by_steps().partial_fit(X, NAMES, classes=NAMES)
    np.testing.assert_array_equal(once.coef_, alone.coef_)
    two = pickle.loads(pickle.dumps(alone)).partial_fit(X, NAMES)
    np.testing.assert_array_equal(two.coef_, alone.partial_fit(X, NAMES).coef_)


BORDER = 1e-3


@pytest.mark.portable
def test_early_stopping_keeps_the_best():
    inputs, labels = load_digits(return_X_y=True)
    inputs = inputs[:400] / 16
    model = MLPClassifier(
        (16,),
        learning_rate_init=0.05,
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=4,
        random_state=0,
    ).fit(inputs, labels[:400])
    scores = model.validation_scores_
    assert model.n_iter_ == len(scores) < 200
    assert model.best_validation_score_ == pytest.approx(max(scores))
    assert int(np.argmax(scores)) == len(scores) - 1 - 5  # as scikit-learn: more than 4 without a better one
    best: dict[str, Any] = model.get_params() | {"max_iter": int(np.argmax(scores)) + 1, "n_iter_no_change": 1000}
    again = MLPClassifier(**best).fit(inputs, labels[:400])
    np.testing.assert_allclose(again.loss_curve_[:3], model.loss_curve_[:3], rtol=1e-5)
    # another program: what rounding has grown to by now is far less than what an epoch changes
    epoch_before = MLPClassifier(**best | {"max_iter": best["max_iter"] - 1}).fit(inputs, labels[:400])
    assert np.abs(epoch_before.coefs_[0] - model.coefs_[0]).max() > 20 * BORDER
    np.testing.assert_allclose(again.coefs_[0], model.coefs_[0], atol=BORDER)


def test_pipelines_and_searches_of_scikit_learn_take_them():
    model = make_pipeline(StandardScaler(), by_steps())
    assert cross_val_score(model, X, NAMES, cv=3).mean() > 0.9
    search = GridSearchCV(model, {"linearclassifier__l2": [1e-3, 10.0]}, cv=3).fit(X, NAMES)
    assert search.best_params_ == {"linearclassifier__l2": 1e-3}


def test_a_network_has_its_layers_as_scikit_learn_shapes_them():
    model = MLPClassifier((6, 5), "tanh", max_iter=2, random_state=0).fit(X, Y)
    assert [w.shape for w in model.coefs_] == [(4, 6), (6, 5), (5, 3)]
    hidden = np.tanh(np.tanh(X @ model.coefs_[0] + model.intercepts_[0]) @ model.coefs_[1] + model.intercepts_[1])
    scores = hidden @ model.coefs_[2] + model.intercepts_[2]
    np.testing.assert_allclose(model.decision_function(X), scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.predict_proba(X), np.exp(scores) / np.exp(scores).sum(1, keepdims=True), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("examples", "at_most", "size", "rows"),
    [(15, 200, 16, 16), (200, 200, 200, 200), (1437, 200, 184, 1472), (1438, 200, 184, 1472), (1000, 1, 8, 8000)],
)
def test_batches_are_even_and_leave_nothing_out(examples, at_most, size, rows):
    assert padded_batch_size(examples, at_most) == (size, rows)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"loss": "hinge"}, ValueError, "loss must be one of softmax, svm, got 'hinge'"),
        ({"solver": "newton"}, ValueError, "solver must be one of lbfgs, adam, sgd, newton-cg, .*, got 'newton'"),
        ({"l2": -1.0}, ValueError, "l2 must be at least 0"),
        ({"l2": "small"}, TypeError, "l2 must be a number, got 'small'"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1, got 0"),
        ({"max_iter": 2.5}, TypeError, "max_iter must be a whole number, got 2.5"),
        ({"batch_size": "all"}, TypeError, "batch_size must be a whole number, got 'all'"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction must be at least 0 and below 1.0, got 1.0"),
        ({"solver": "sgd", "learning_rate_init": 1e30, "l2": 1e3}, FloatingPointError, "became non-finite at step"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, match):
    with pytest.raises(error, match=match):
        LinearClassifier(**changes).fit(X, Y)


def test_wrong_data_are_refused():
    with pytest.raises(ValueError, match="at least 2 classes, got 1 class"):
        by_steps().fit(X[:50], Y[:50])
    with pytest.raises(ValueError, match="first call of partial_fit needs classes"):
        by_steps().partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"y has classes that the first call did not name: \[2\]"):
        by_steps().partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'") as missing:
        _ = LinearClassifier().partial_fit
    assert "'lbfgs' needs all examples at once" in str(missing.value.__cause__)
    with pytest.raises(ValueError, match="Negative values in data"):
        by_steps().fit(X, Y, sample_weight=-np.ones(150))
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(X)
    with pytest.raises(ValueError, match="X has 3 features, but LinearClassifier is expecting 4 features"):
        by_steps().fit(X, Y).predict(X[:, :3])
