import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import references

from jaxnn import losses

LOSSES = {
    "svm": (losses.svm, references.svm),
    "svm, margin 0.3": (functools.partial(losses.svm, margin=0.3), functools.partial(references.svm, margin=0.3)),
    "softmax": (losses.softmax, references.softmax),
    "softmax, smoothing 0.2": (
        functools.partial(losses.softmax, smoothing=0.2),
        functools.partial(references.softmax, smoothing=0.2),
    ),
}
SHARP = {name: LOSSES[name] for name in ("svm", "svm, margin 0.3", "softmax")}
each_loss = pytest.mark.parametrize(("loss", "reference"), LOSSES.values(), ids=LOSSES)
each_sharp_loss = pytest.mark.parametrize(("loss", "reference"), SHARP.values(), ids=SHARP)


def examples(*leading, classes=5, dtype: type = np.float32):
    random = np.random.default_rng([7, classes, *leading])
    return random.normal(0, 2, (*leading, classes)).astype(dtype), random.integers(0, classes, leading)


@functools.cache
def value_and_gradient(loss):
    """Per example, compiled once per loss and shape."""
    return jax.jit(lambda s, y: (loss(s, y), jax.grad(lambda s: loss(s, y).sum())(s)))


def loop(reference, scores, labels):
    return np.array([reference(scores[i], labels[i]) for i in np.ndindex(labels.shape)]).reshape(labels.shape)


# ---------------------------------------------------------------- the worked numbers of the notes


def test_svm_of_the_cat_the_car_and_the_frog():
    scores = jnp.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    loss = losses.svm(scores, jnp.array([0, 1, 2]))
    np.testing.assert_allclose(loss, [2.9, 0.0, 12.9], rtol=1e-6)
    assert round(float(loss.mean()), 2) == 5.27


def test_softmax_of_the_cat():
    scores = jnp.array([3.2, 5.1, -1.7])
    np.testing.assert_allclose(np.exp(scores), [24.53, 164.02, 0.183], rtol=2e-3)
    each = [float(losses.softmax(scores, jnp.array(label))) for label in range(3)]
    np.testing.assert_allclose(np.exp(np.negative(each)), [0.130, 0.869, 0.001], atol=5e-4)
    assert round(each[0], 2) == 2.04


@pytest.mark.parametrize(("loss", "expected"), [(losses.softmax, math.log(10)), (losses.svm, 9.0)])
def test_equal_scores_give_the_loss_at_initialisation(loss, expected):
    np.testing.assert_allclose(loss(jnp.full((4, 10), 0.3), jnp.array([0, 3, 8, 9])), expected, rtol=1e-6)


def test_penalty_tells_apart_what_the_score_does_not():
    x, w1, w2 = jnp.ones(4), jnp.array([1.0, 0, 0, 0]), jnp.full(4, 0.25)
    assert float(w1 @ x) == float(w2 @ x) == 1.0
    assert (float(losses.l2(w1)), float(losses.l2(w2))) == (1.0, 0.25)


# ---------------------------------------------------------------- losses x properties


@each_loss
@pytest.mark.parametrize(
    ("leading", "classes"), [((), 5), ((4,), 5), ((2, 3), 5), ((0,), 5), ((4,), 1), ((1, 1), 2)], ids=str
)
def test_loss_is_the_loop_over_examples_and_classes(loss, reference, leading, classes):
    scores, labels = examples(*leading, classes=classes)
    value = jax.jit(loss)(jnp.asarray(scores), jnp.asarray(labels))
    assert value.shape == leading
    np.testing.assert_allclose(value, loop(reference, scores, labels), rtol=2e-6, atol=1e-6)


@each_loss
def test_vmap_and_jit_are_the_loop(loss, reference):
    scores, labels = map(jnp.asarray, examples(6))
    one_by_one = jnp.stack([loss(s, y) for s, y in zip(scores, labels, strict=True)])
    np.testing.assert_allclose(jax.vmap(loss)(scores, labels), one_by_one, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(loss)(scores, labels), one_by_one, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda s: loss(s, labels))(scores), one_by_one, rtol=1e-6)  # labels a constant


@each_loss
def test_gradient_is_central_differences(loss, reference):
    with jax.enable_x64(True):
        scores, labels = examples(3, dtype=np.float64)
        _, gradient = value_and_gradient(loss)(jnp.asarray(scores), jnp.asarray(labels))
        assert gradient.dtype == jnp.float64
    expected = references.differences(lambda s: float(loop(reference, s, labels).sum()), scores)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)


@each_loss
def test_each_gradient_sums_to_zero(loss, reference):
    scores, labels = map(jnp.asarray, examples(50, classes=10))
    _, gradient = value_and_gradient(loss)(scores, labels)
    assert float(jnp.abs(gradient).max()) > 0.1
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-6)


@each_loss
@pytest.mark.parametrize("shift", [-1024.0, 16.0, 4096.0])
def test_a_constant_added_to_all_scores_changes_nothing(loss, reference, shift):
    quarters = jnp.array([[0.25, -1.5, 2.75], [4.0, 3.5, 3.25]])  # exact in float32, shifted or not
    labels = jnp.array([0, 1])
    compiled = value_and_gradient(loss)
    for shifted, plain in zip(compiled(quarters + shift, labels), compiled(quarters, labels), strict=True):
        np.testing.assert_allclose(shifted, plain, rtol=1e-6)


@each_loss
@pytest.mark.parametrize(
    "scores",
    [[1e4, 9999.0, 0.0], [-1e4, 1e4, 0.0], [1e30, 1e30, -1e30], [-1e30, -1e30, -1e30], [1e-30, 0.0, -1e-30]],
    ids=str,
)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_huge_and_tiny_scores(loss, reference, scores, label):
    value, gradient = value_and_gradient(loss)(jnp.array(scores), jnp.array(label))
    np.testing.assert_allclose(value, reference(np.float32(scores), label), rtol=1e-6)
    assert np.isfinite(gradient).all()


@each_sharp_loss
def test_a_wrong_class_may_be_impossible(loss, reference):
    value, gradient = value_and_gradient(loss)(jnp.array([1.0, -jnp.inf, 1.5]), jnp.array(0))
    np.testing.assert_allclose(value, reference([1.0, 1.5], 0), rtol=1e-6)
    assert np.isfinite(gradient).all()
    assert gradient[1] == 0


def test_smoothing_makes_an_impossible_class_infinitely_wrong():
    assert losses.softmax(jnp.array([1.0, -jnp.inf, 1.5]), jnp.array(0), smoothing=0.1) == jnp.inf


@each_sharp_loss
def test_zero_at_the_right_answer(loss, reference):
    value, gradient = value_and_gradient(loss)(jnp.array([-50.0, 150.0, -50.0]), jnp.array(1))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_smoothed_softmax_is_lowest_at_the_smoothed_target():
    target = jnp.array([0.05, 0.85, 0.05, 0.05])
    smoothed = LOSSES["softmax, smoothing 0.2"][0]
    value, gradient = value_and_gradient(smoothed)(jnp.log(target), jnp.array(1))
    np.testing.assert_allclose(value, -(target * jnp.log(target)).sum(), rtol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    others, _ = value_and_gradient(smoothed)(jnp.asarray(examples(100, classes=4)[0]), jnp.ones(100, int))
    assert (others > value).all()


@pytest.mark.parametrize("lead", [1.0, 1.5, 100.0])
def test_svm_gradient_is_exactly_zero_once_the_margins_are_kept(lead):
    scores = jnp.array([[2.0, 2.0 - lead, 1.0 - lead], [2.0, 1.5, 1.0]])
    _, gradient = value_and_gradient(losses.svm)(scores, jnp.array([0, 0]))
    np.testing.assert_array_equal(gradient, [[0, 0, 0], [-1, 1, 0]])  # second row: one of the two margins is broken


@each_loss
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_stays_half_precision(loss, reference, dtype):
    scores, labels = examples(20)
    value, gradient = value_and_gradient(loss)(jnp.asarray(scores, dtype), jnp.asarray(labels))
    assert value.dtype == gradient.dtype == dtype
    np.testing.assert_allclose(value.astype(jnp.float32), loop(reference, scores, labels), rtol=0.03, atol=0.1)


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int8, jnp.uint32])
@pytest.mark.parametrize(("loss", "reference"), [LOSSES["svm"], LOSSES["softmax"]], ids=["svm", "softmax"])
def test_labels_of_any_integer_type(loss, reference, dtype):
    scores, _ = examples(2, classes=300)
    labels = np.array([0, 100])
    value = jax.jit(loss)(jnp.asarray(scores), jnp.asarray(labels, dtype))
    np.testing.assert_allclose(value, loop(reference, scores, labels), rtol=2e-6)


def test_traced_margin_and_smoothing():
    scores, labels = map(jnp.asarray, examples(4))
    for loss, name, value in ((losses.svm, "margin", 0.3), (losses.softmax, "smoothing", 0.2)):
        traced = jax.jit(lambda v, loss=loss, name=name: loss(scores, labels, **{name: v}))(value)
        np.testing.assert_allclose(traced, loss(scores, labels, **{name: value}), rtol=1e-6)


# ---------------------------------------------------------------- against optax


@pytest.mark.parametrize(("dtype", "rtol"), [("float16", 4e-3), ("float32", 1e-5), ("float64", 1e-13)])
def test_softmax_is_optax_softmax(dtype, rtol):
    scores, labels = examples(30, classes=10)
    with jax.enable_x64(dtype == "float64"):
        given = jnp.asarray(scores, dtype), jnp.asarray(labels)
        expected = optax.losses.softmax_cross_entropy_with_integer_labels(*given)
        found = losses.softmax(*given)
        assert found.dtype == expected.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol / 10)


def test_smoothing_is_optax_smooth_labels():
    scores, labels = map(jnp.asarray, examples(30, classes=10))
    target = optax.losses.smooth_labels(jax.nn.one_hot(labels, 10), 0.1)
    expected = optax.losses.softmax_cross_entropy(scores, target)
    np.testing.assert_allclose(losses.softmax(scores, labels, smoothing=0.1), expected, rtol=1e-5)


def test_svm_is_not_optax_multiclass_hinge():
    frog, label = jnp.array([2.2, 2.5, -3.1]), jnp.array(2)
    np.testing.assert_allclose(losses.svm(frog, label), 12.9, rtol=1e-6)
    np.testing.assert_allclose(optax.losses.multiclass_hinge_loss(frog, label), 6.6, rtol=1e-6)
    two, labels = map(jnp.asarray, examples(10, classes=2))  # one wrong class: the worst is the sum
    np.testing.assert_allclose(losses.svm(two, labels), optax.losses.multiclass_hinge_loss(two, labels), atol=1e-6)


# ---------------------------------------------------------------- wrong inputs

S, Y = jnp.zeros((2, 3)), jnp.zeros(2, int)


@pytest.mark.parametrize("loss", [losses.svm, losses.softmax])
@pytest.mark.parametrize(
    ("scores", "labels", "error", "message"),
    [
        (jnp.zeros((2, 3), int), Y, TypeError, "scores must be floating point, got int32"),
        (S, jnp.zeros(2), TypeError, "labels must be integer class numbers, got float32"),
        (S, jnp.zeros(2, bool), TypeError, "labels must be integer class numbers, got bool"),
        (S, jnp.zeros((2, 1), int), ValueError, r"got scores\[2, 3\] and labels\[2, 1\]"),
        (S, jnp.zeros(3, int), ValueError, r"got scores\[2, 3\] and labels\[3\]"),
        (jnp.zeros(()), jnp.zeros((), int), ValueError, r"got scores\[\] and labels\[\]"),
        (jnp.zeros((2, 0)), Y, ValueError, r"got scores\[2, 0\] and labels\[2\]"),
        (S, jnp.array([0, 3]), ValueError, r"labels must be in \[0, 3\) for scores\[2, 3\], got values from 0 to 3"),
        (S, jnp.array([-1, 2]), ValueError, "got values from -1 to 2"),
    ],
)
def test_wrong_inputs(loss, scores, labels, error, message):
    with pytest.raises(error, match=f"^{loss.__name__}: .*{message}"):
        loss(scores, labels)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_wrong_smoothing(smoothing):
    with pytest.raises(ValueError, match=f"smoothing must be in .* got {smoothing}"):
        losses.softmax(S, Y, smoothing=smoothing)
