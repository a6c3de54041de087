"""Weights of examples: a weight of 2 is the example twice, and no weights leave the program as it is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import references
from small_tasks import KEY, RATE, batches, linear_task

from jaxnn import losses, models
from jaxnn.data import augment
from jaxnn.training import Data, Options, Task, init_state, make_train_step, run, run_grid

L2 = 0.05


def weighted_step(x, labels, weights, params):
    """The gradient of mean(weight * loss) + l2 * sum(W**2), example by example in NumPy float64."""
    w, b = (np.asarray(params[0][name], np.float64) for name in ("w", "b"))
    of_w, of_b, loss = 2 * L2 * w, np.zeros_like(b), 0.0
    for one, label, weight in zip(x.astype(np.float64), labels, weights, strict=True):
        scores = w @ one + b
        loss += weight * references.softmax(scores, int(label)) / len(x)
        of_scores = weight * np.asarray(references.softmax_gradient(scores, int(label))) / len(x)
        of_w, of_b = of_w + np.outer(of_scores, one), of_b + of_scores
    return loss, w - RATE * of_w, b - RATE * of_b


@pytest.mark.portable
def test_a_weighted_step_is_the_one_made_by_hand():
    task = linear_task(penalty=lambda params: L2 * losses.l2(params))
    (x, labels), weights = batches(1)[0], np.linspace(0.0, 2.0, 9, dtype=np.float32)
    state = init_state(task, KEY)
    loss, w, b = weighted_step(x, labels, weights, state.params)
    after, metrics = jax.jit(make_train_step(task))(state, (x, labels, weights))
    np.testing.assert_allclose(metrics.loss, loss, rtol=1e-5)
    np.testing.assert_allclose(after.params[0]["w"], w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after.params[0]["b"], b, rtol=1e-5, atol=1e-6)


def task(h, change=None):
    return Task(
        model=models.linear(4, 3),
        loss=losses.softmax,
        penalty=lambda params: h["l2"] * losses.l2(params),
        optimizer=optax.sgd(h["learning_rate"], momentum=0.9),
        mixup=change,
    )


H = {"learning_rate": 0.1, "l2": 1e-2}
compiled_run = jax.jit(functools.partial(run, task, H, KEY), static_argnames=("epochs", "batch_size"))


@pytest.mark.portable
def test_a_weight_of_two_is_the_example_twice():
    x, labels = batches(1, size=12)[0]
    counts = np.array([1, 2, 0, 3, 1, 1, 2, 0, 1, 1, 4, 2])
    repeated = Data(x.repeat(counts, 0), labels.repeat(counts))
    weights = (counts / counts.mean()).astype(np.float32)
    train = functools.partial(compiled_run, epochs=30)
    apart = train(repeated, batch_size=int(counts.sum()))
    together = train(Data(x, labels, weights=weights), batch_size=12)
    alone = train(Data(x, labels), batch_size=12)
    np.testing.assert_allclose(together.state.params[0]["w"], apart.state.params[0]["w"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(together.history["loss"], apart.history["loss"], rtol=1e-5)
    assert np.abs(alone.state.params[0]["w"] - apart.state.params[0]["w"]).max() > 0.01


@pytest.mark.portable
def test_weights_follow_their_examples_through_the_batches():
    """Examples of weight 0 may be anything: in small batches too, the run does not see them."""
    x, labels = batches(1, size=24)[0]
    weights = np.tile(np.array([1.5, 1.5, 0.0], np.float32), 8)
    other = np.where((weights == 0.0)[:, None], np.float32(100.0), x)
    first, second = (
        compiled_run(Data(inputs, labels, weights=weights), epochs=5, batch_size=6) for inputs in (x, other)
    )
    np.testing.assert_array_equal(first.state.params[0]["w"], second.state.params[0]["w"])
    many = jax.jit(functools.partial(run_grid, Options(task, 6), epochs=5))(
        {name: jnp.full(2, value) for name, value in H.items()}, KEY[None], Data(x, labels, weights=weights)
    )
    np.testing.assert_allclose(many.state.params[0]["w"][1, 0], first.state.params[0]["w"], rtol=1e-5, atol=1e-6)


def test_mixed_images_have_the_weights_of_both():
    task = linear_task(mixup=augment.mixup, model=models.linear((2, 2, 1), 3))
    images, labels = np.random.default_rng(0).random((4, 2, 2, 1), np.float32), np.array([0, 1, 2, 0])
    state = init_state(task, KEY)
    update = jax.jit(make_train_step(task))
    plain = update(state, (images, labels))[1].loss
    np.testing.assert_allclose(update(state, (images, labels, np.full(4, 2, np.float32)))[1].loss, 2 * plain, rtol=1e-6)
    each = [float(update(state, (images, labels, row))[1].loss) for row in np.eye(4, dtype=np.float32)]
    np.testing.assert_allclose(sum(each), plain, rtol=1e-5)
    for i in range(4):  # the label of an example of weight 0 does not matter, whatever the example is mixed with
        without, other = np.where(np.arange(4) == i, 0, 1).astype(np.float32), labels.copy()
        other[i] = (other[i] + 1) % 3
        first, second = (update(state, (images, these, without))[1].loss for these in (labels, other))
        np.testing.assert_array_equal(first, second)


def test_no_weights_leave_the_program_as_it_is():
    x, labels = batches(1, size=12)[0]
    train = jax.jit(functools.partial(run, task, H, KEY, epochs=2, batch_size=4))
    plain = train.lower(Data(jnp.asarray(x), jnp.asarray(labels)))
    weighted = train.lower(Data(jnp.asarray(x), jnp.asarray(labels), weights=jnp.ones(12)))
    assert len(plain.in_tree.flatten_up_to(plain.in_tree.unflatten(range(plain.in_tree.num_leaves)))) == 2
    assert "tensor<4xf32>" in weighted.as_text()
    assert plain.as_text().count("gather") < weighted.as_text().count("gather")


@pytest.mark.parametrize(
    ("weights", "error", "match"),
    [
        (np.ones(11, np.float32), ValueError, r"weights must be one number .* f32\[12\], got weights\[11\]"),
        (np.ones((12, 1), np.float32), ValueError, r"got weights\[12, 1\]"),
        (np.ones(12, np.int32), TypeError, "weights must be floating point, got int32"),
    ],
)
def test_wrong_weights_are_refused(weights, error, match):
    x, labels = batches(1, size=12)[0]
    with pytest.raises(error, match=match):
        run(task, H, KEY, Data(x, labels, weights=weights), epochs=1, batch_size=4)
