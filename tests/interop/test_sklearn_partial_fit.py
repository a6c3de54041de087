"""`partial_fit`: weights count from one call to the next."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from jaxnn.interop.sklearn import LinearClassifier, MLPClassifier

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # few epochs
]

X, Y = make_blobs(60, centers=[(-1.0, 0.0), (1.0, 0.0)], cluster_std=1.5, random_state=0)[:2]


def by_steps(**changes):
    return LinearClassifier(**{"solver": "sgd", "momentum": 0.0, "l2": 0.1, "random_state": 0} | changes)


def test_the_scale_of_a_weight_is_the_scale_of_the_step():
    after = {}
    for weight in (1e-3, 1.0, 1000.0):
        model = by_steps(learning_rate_init=1e-4).partial_fit(X[:1], Y[:1], classes=[0, 1], sample_weight=[weight])
        after[weight] = model.coef_
    np.testing.assert_allclose(after[1000.0], 1000 * after[1.0], rtol=1e-4)
    np.testing.assert_allclose(after[1.0], 1000 * after[1e-3], rtol=1e-4)
    assert np.abs(after[1.0]).max() > 0


@pytest.mark.portable
@pytest.mark.parametrize("calls", [pytest.param("of one example", marks=pytest.mark.slow), "of ten"])
def test_a_weight_of_2_counts_as_the_example_twice_across_calls(calls):
    rng, size = np.random.default_rng(0), 1 if calls == "of one example" else 10
    model, twice = (by_steps(learning_rate_init=2e-3) for _ in range(2))
    for _ in range(300 // size):
        rows = rng.permutation(len(X))[:size]
        weight = rng.integers(1, 4)
        model.partial_fit(X[rows], Y[rows], classes=[0, 1], sample_weight=np.full(size, weight))
        for _ in range(weight):
            twice.partial_fit(X[rows], Y[rows], classes=[0, 1])
    np.testing.assert_allclose(model.coef_, twice.coef_, rtol=0.02)
    np.testing.assert_allclose(model.intercept_, twice.intercept_, atol=0.02)


@pytest.mark.portable
def test_class_weights_count_over_many_calls_of_one_example():
    order = np.random.default_rng(1).integers(0, len(X), 400)
    models = {"even": by_steps(), "uneven": by_steps(class_weight={0: 1, 1: 19})}
    for model in models.values():
        for row in order:
            model.partial_fit(X[row : row + 1], Y[row : row + 1], classes=[0, 1])
    shares = {name: model.predict(X).mean() for name, model in models.items()}
    assert 0.3 < shares["even"] < 0.7
    assert shares["uneven"] > 0.85
    all_at_once = LinearClassifier(l2=0.1, class_weight={0: 1, 1: 19}).fit(X, Y)
    assert shares["uneven"] == pytest.approx(all_at_once.predict(X).mean(), abs=0.1)


def test_the_loss_curve_is_the_objective_whatever_the_weights():
    losses = [by_steps().partial_fit(X, Y, [0, 1], np.full(60, weight)).loss_ for weight in (1.0, 50.0)]
    assert losses == pytest.approx([np.log(2)] * 2, rel=1e-5)


def test_balanced_weights_are_refused():
    for model in (by_steps(class_weight="balanced"), MLPClassifier(class_weight="balanced")):
        with pytest.raises(ValueError, match="class_weight='balanced' needs all examples at once"):
            model.partial_fit(X, Y, classes=[0, 1])


def test_a_class_weight_need_not_name_the_classes_of_every_call():
    model = by_steps(class_weight={0: 5.0}).partial_fit(X[Y == 1], Y[Y == 1], classes=[0, 1])
    assert model.intercept_[0] > 0
