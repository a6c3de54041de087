from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from jaxnn import metrics


def predictions_of(count, classes, seed=0):
    random = np.random.default_rng([seed, classes])
    return random.integers(0, classes, count), random.integers(0, classes, count)


# ---------------------------------------------------------------- against scikit-learn


@given(seed=st.integers(0, 10_000), classes=st.sampled_from([2, 5]))
def test_confusion_and_recall_are_those_of_scikit_learn(seed, classes):
    labels, predicted = predictions_of(30, classes, seed)
    counts = metrics.confusion(jnp.asarray(labels), jnp.asarray(predicted), classes)
    every = list(range(classes))
    np.testing.assert_array_equal(counts, sklearn.metrics.confusion_matrix(labels, predicted, labels=every))
    report: Any = sklearn.metrics.classification_report(
        labels, predicted, labels=every, output_dict=True, zero_division=cast(Any, np.nan)
    )
    np.testing.assert_allclose(metrics.recall(counts), [report[str(c)]["recall"] for c in every], rtol=1e-6)


@given(seed=st.integers(0, 10_000))
def test_accuracy_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    scores, labels = random.normal(size=(30, 4)).astype(np.float32), random.integers(0, 4, 30)
    expected = sklearn.metrics.accuracy_score(labels, [max(range(4), key=lambda c: s[c]) for s in scores])
    np.testing.assert_allclose(metrics.accuracy(jnp.asarray(scores), jnp.asarray(labels)), expected, rtol=1e-6)


# ---------------------------------------------------------------- exact cases


def test_of_equal_scores_the_lowest_class_is_taken():
    scores = jnp.array([[1.0, 1.0, 1.0], [0.0, 2.0, 2.0], [-jnp.inf, -jnp.inf, -jnp.inf]])
    for label, expected in ((0, [True, False, True]), (1, [False, True, False]), (2, [False, False, False])):
        assert metrics.correct(scores, jnp.full(3, label)).tolist() == expected


@pytest.mark.parametrize("leading", [(), (4,), (2, 3)], ids=str)
def test_leading_axes(leading):
    scores = jnp.broadcast_to(jnp.array([0.0, 2.0, 1.0]), (*leading, 3))
    right = metrics.correct(scores, jnp.ones(leading, int))
    assert (right.shape, right.dtype, bool(right.all())) == (leading, jnp.bool_, True)
    accuracy = metrics.accuracy(scores, jnp.zeros(leading, int))
    assert (accuracy.shape, accuracy.dtype, float(accuracy)) == ((), jnp.float32, 0.0)


def test_counts_of_a_hand_written_case():
    labels, predicted = jnp.array([[0, 0, 1], [1, 1, 3]]), jnp.array([[0, 2, 1], [1, 0, 3]])
    counts = metrics.confusion(labels, predicted, 4)
    assert counts.dtype == jnp.int32
    assert counts.tolist() == [[1, 0, 1, 0], [1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(metrics.recall(counts), [1 / 2, 2 / 3, np.nan, 1], rtol=1e-6)


def test_nothing():
    assert metrics.confusion(jnp.zeros(0, int), jnp.zeros(0, int), 2).tolist() == [[0, 0], [0, 0]]
    assert np.isnan(metrics.accuracy(jnp.zeros((0, 2)), jnp.zeros(0, int)))


def test_jit_is_eager_also_with_constants():
    labels, predicted = map(jnp.asarray, predictions_of(50, 3))
    eager = metrics.confusion(labels, predicted, 3)
    np.testing.assert_array_equal(jax.jit(metrics.confusion, static_argnums=2)(labels, predicted, 3), eager)
    np.testing.assert_array_equal(jax.jit(lambda p: metrics.confusion(labels, p, 3))(predicted), eager)


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.uint32])
def test_labels_of_any_integer_type(dtype):
    scores = jnp.eye(300)[jnp.array([5, 5, 261])]  # 261 is 5 in a uint8
    labels = jnp.array([5, 6, 5], dtype)
    assert metrics.correct(scores, labels).tolist() == [True, False, False]
    counts = metrics.confusion(labels, jnp.array([5, 5, 261]), 300)
    assert [counts[5, 5], counts[6, 5], counts[5, 261], counts.sum()] == [1, 1, 1, 3]


# ---------------------------------------------------------------- wrong inputs

Y = jnp.zeros(2, int)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.correct(jnp.zeros((2, 3)), jnp.zeros(3, int)), ValueError, r"scores\[2, 3\] and labels\[3\]"),
        (lambda: metrics.accuracy(jnp.zeros((2, 3)), jnp.zeros((2, 1), int)), ValueError, r"labels\[2, 1\]"),
        (lambda: metrics.correct(jnp.zeros(()), jnp.zeros((), int)), ValueError, r"scores\[\] and labels\[\]"),
        (lambda: metrics.correct(jnp.zeros((2, 3)), jnp.zeros(2)), TypeError, "labels must be integer.* got float32"),
        (lambda: metrics.confusion(Y, jnp.zeros(3, int), 2), ValueError, r"labels\[2\] and predictions\[3\]"),
        (lambda: metrics.confusion(jnp.array([0, 2]), Y, 2), ValueError, r"labels must be in \[0, 2\).* from 0 to 2"),
        (lambda: metrics.confusion(Y, jnp.array([-1, 0]), 2), ValueError, r"predictions must be in .* from -1 to 0"),
        (lambda: metrics.confusion(jnp.zeros(2), Y, 2), TypeError, "labels must be integer.* got float32"),
        (lambda: metrics.confusion(Y, jnp.ones(2), 2), TypeError, "predictions must be integer.* got float32"),
        (lambda: metrics.recall(jnp.zeros((2, 3), int)), ValueError, r"square counts\[C, C\], got \[2, 3\]"),
        (lambda: metrics.recall(jnp.zeros(4, int)), ValueError, r"got \[4\]"),
    ],
)
def test_wrong_inputs(call, error, message):
    with pytest.raises(error, match=message):
        call()
