from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import references
from small_tasks import KEY, RATE, batches, linear_task

from jaxnn import losses, models
from jaxnn.training import Data, State, init_state, make_train_step, predict_scores
from jaxnn.training._evaluate import evaluate_splits, join_splits

L2 = 0.05


# ---------------------------------------------------------------- the step, by hand in NumPy float64


def sgd(gradient, memory, step):
    return -RATE * gradient, memory


def momentum(gradient, memory, step):
    velocity = gradient + 0.9 * memory.get("velocity", 0.0)
    return -RATE * velocity, {"velocity": velocity}


def adam(gradient, memory, step):
    m = 0.9 * memory.get("m", 0.0) + 0.1 * gradient
    v = 0.999 * memory.get("v", 0.0) + 0.001 * gradient**2
    return -RATE * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8), {"m": m, "v": v}


def norm(tree):
    return np.sqrt(sum((a**2).sum() for a in tree.values()))


RULES = {
    "sgd": (optax.sgd(RATE), sgd),
    "momentum": (optax.sgd(RATE, momentum=0.9), momentum),
    "adam": (optax.adam(RATE), adam),
}
LOSSES = {
    "softmax": (losses.softmax, references.softmax, references.softmax_gradient),
    "svm": (losses.svm, references.svm, references.svm_gradient),
}


@pytest.mark.portable
@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize(("optimizer", "by_rule"), RULES.values(), ids=RULES)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_steps_and_their_metrics_are_those_made_by_hand(optimizer, by_rule, loss):
    task = linear_task(loss=loss[0], optimizer=optimizer, penalty=lambda params: L2 * losses.l2(params))
    update, state = jax.jit(make_train_step(task)), init_state(task, KEY)
    params = {name: np.asarray(value, np.float64) for name, value in state.params[0].items()}
    memory: dict[str, dict] = {"w": {}, "b": {}}
    for i, (x, labels) in enumerate(batches(5), start=1):
        state, metrics = update(state, (jnp.asarray(x), jnp.asarray(labels)))
        mean, penalty, right, gradient = references.linear_step(loss[1], loss[2], L2, params, x, labels)
        updates = {}
        for name in params:
            updates[name], memory[name] = by_rule(gradient[name], memory[name], i)
            params[name] = params[name] + updates[name]
        expected = [mean, penalty, right, norm(gradient), norm(updates), norm(params)]
        got = [metrics.loss, metrics.penalty, metrics.accuracy]
        got += [metrics.gradient_norm, metrics.update_norm, metrics.parameter_norm]
        np.testing.assert_allclose(np.array(got), expected, rtol=2e-4, err_msg=f"step {i}")
        for name in params:
            np.testing.assert_allclose(state.params[0][name], params[name], rtol=1e-4, atol=1e-5)
        assert int(state.step) == i
        assert metrics.learning_rate is None


@pytest.mark.portable
def test_descent_of_a_parabola():
    """The worked numbers of the notes: f(x) = (x - 1)^2 + 1 from 6 at a rate of 0.05."""
    model = models.Model(lambda key: jnp.array(6.0), lambda params, x, *, key=None: jnp.full((1, 1), params))
    task = linear_task(model=model, loss=lambda s, y: (s[:, 0] - 1) ** 2 + 1, optimizer=optax.sgd(0.05))
    update, batch = make_train_step(task), (jnp.zeros((1, 1)), jnp.zeros(1, int))

    def step(state, _):
        state, metrics = update(state, batch)
        return state, (state.params, metrics.loss)

    x, values = jax.lax.scan(step, init_state(task, KEY), length=1000)[1]
    np.testing.assert_allclose(x[:3], [5.5, 5.05, 4.645], rtol=1e-6)
    np.testing.assert_allclose(x, 1 + 5 * 0.9 ** np.arange(1, 1001), rtol=1e-5)
    np.testing.assert_allclose([values[0], x[-1], values[-1]], [26.0, 1.0, 1.0], rtol=1e-6)


# ---------------------------------------------------------------- what happens to the inputs


class Mixed(NamedTuple):
    images: jax.Array
    partner: jax.Array
    weight: jax.Array


def mean_softmax(params, x, labels):
    pairs = zip(np.asarray(x, np.float64), labels, strict=True)
    return np.mean([references.softmax(references.linear(params["w"], params["b"], one), int(y)) for one, y in pairs])


def test_augment_then_mixup_then_transform():
    x, labels = np.arange(36, dtype=np.uint8).reshape(9, 4), np.arange(9) % 3
    statistics = {"mean": jnp.float32(17.5), "scale": jnp.float32(0.1)}
    partner = np.roll(np.arange(9), 1)

    def mixup(key, images):
        images = images.astype(jnp.float32)
        return Mixed(0.75 * images + 0.25 * images[partner], jnp.asarray(partner), jnp.float32(0.75))

    task = linear_task(
        augment=lambda key, images: images * jnp.uint8(2),
        mixup=mixup,
        transform=lambda statistics, x: (x.astype(jnp.float32) - statistics["mean"]) * statistics["scale"],
    )
    state = init_state(task, KEY)
    _, metrics = jax.jit(make_train_step(task, statistics))(state, (jnp.asarray(x), jnp.asarray(labels)))
    mixed = 0.75 * 2 * x + 0.25 * 2 * x[partner]
    seen, params_before = (mixed - 17.5) * 0.1, state.params
    params = params_before[0]
    expected = 0.75 * mean_softmax(params, seen, labels) + 0.25 * mean_softmax(params, seen, labels[partner])
    np.testing.assert_allclose(metrics.loss, expected, rtol=1e-5)
    scores = [references.linear(params["w"], params["b"], one) for one in seen]
    np.testing.assert_allclose(metrics.accuracy, np.mean(np.argmax(scores, 1) == labels), rtol=1e-6)

    # In evaluation only the transform is applied.
    scores = jax.jit(lambda params, x: predict_scores(task, params, x, statistics))(params_before, x)
    plain = (x.astype(np.float64) - 17.5) * 0.1
    expected = [references.linear(params["w"], params["b"], one) for one in plain]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- randomness


def test_the_randomness_of_a_step_is_a_function_of_key_and_step():
    seen: list[tuple] = []

    def note(name, key):
        seen.append((name, *jax.random.key_data(key).tolist()))

    def apply(params, x, *, key=None):
        note("model", key)
        return models.linear(4, 3).apply(params, x)

    def augment(key, images):
        note("augment", key)
        return images

    def mixup(key, images):
        note("mixup", key)
        return Mixed(images, jnp.arange(9), jnp.float32(1))

    task = linear_task(model=models.Model(models.linear(4, 3).init, apply), augment=augment, mixup=mixup)
    ((x, labels),), update, state = batches(1), make_train_step(task), init_state(task, KEY)
    batch = jnp.asarray(x), jnp.asarray(labels)
    for _ in range(3):
        state, _ = update(state, batch)
    keys = [key for _, *key in seen]
    assert [name for name, *_ in seen] == ["augment", "mixup", "model"] * 3
    assert len({tuple(key) for key in keys}) == 9  # all differ
    update(state._replace(step=jnp.int32(1)), batch)
    assert seen[9:] == seen[3:6]
    update(init_state(task, jax.random.key(1)), batch)
    assert not {tuple(key) for key in keys} & {tuple(key) for _, *key in seen[12:]}


def test_dropout_masks_differ_between_steps_and_repeat_with_the_state():
    task = linear_task(model=models.mlp(4, (20,), 3, dropout=0.5), optimizer=optax.sgd(0.0))
    ((x, labels),), update, state = batches(1), jax.jit(make_train_step(task)), init_state(task, KEY)
    batch = jnp.asarray(x), jnp.asarray(labels)
    after, first = update(state, batch)
    again, repeated = update(state, batch)
    jax.tree.map(np.testing.assert_array_equal, (after.params, first), (again.params, repeated))
    second, third = update(after, batch)[1], update(after._replace(step=jnp.int32(2)), batch)[1]
    assert len({float(m.loss) for m in (first, second, third)}) == 3
    assert jax.random.key_data(after.key).tolist() == jax.random.key_data(state.key).tolist()


def test_initial_parameters_and_steps_draw_from_different_keys():
    state = init_state(linear_task(), KEY)
    other = init_state(linear_task(), jax.random.key(1))
    assert isinstance(state, State)
    assert int(state.step) == 0
    assert (state.params[0]["w"] != other.params[0]["w"]).all()
    assert (state.params[0]["w"] != models.linear(4, 3).init(state.key)[0]["w"]).all()


# ---------------------------------------------------------------- scores in evaluation mode


@pytest.mark.parametrize(("count", "size"), [(2345, 1000), (7, 3), (2, 1000), (0, 1000), (6, 3)])
def test_every_example_gets_its_scores(count, size):
    task = linear_task(model=models.mlp(4, (5,), 3, activation=jnp.tanh, dropout=0.5, input_dropout=0.5))
    state, x = init_state(task, KEY), np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    scores = jax.jit(lambda params, x: predict_scores(task, params, x, batch_size=size))(state.params, jnp.asarray(x))
    assert scores.shape == (count, 3)
    expected = [references.mlp(state.params, one, np.tanh) for one in x[-50:]]
    np.testing.assert_allclose(scores[-50:], np.reshape(expected, (-1, 3)), rtol=1e-4, atol=1e-5)
    first = [references.mlp(state.params, one, np.tanh) for one in x[:50]]
    np.testing.assert_allclose(scores[:50], np.reshape(first, (-1, 3)), rtol=1e-4, atol=1e-5)


def test_the_metrics_of_each_split_are_the_means_over_its_examples():
    """In two batches of which the second begins earlier, so as not to end too late."""
    random, sizes = np.random.default_rng(0), {"many": 1300, "few": 38, "one": 1}
    splits = {name: (random.normal(size=(n, 4)), random.integers(0, 3, n)) for name, n in sizes.items()}
    data = Data(*splits["many"], evaluate={name: (x.astype(np.float32), y) for name, (x, y) in splits.items()})
    task = linear_task()
    state = init_state(task, KEY)
    found = evaluate_splits(task, state, None, join_splits(data))
    assert len(found) == 2 * len(sizes)
    for name, (x, labels) in splits.items():
        scores = [references.linear(state.params[0]["w"], state.params[0]["b"], one) for one in x]
        expected = np.mean([references.softmax(*pair) for pair in zip(scores, labels, strict=True)])
        np.testing.assert_allclose(found[f"{name}_loss"], expected, rtol=1e-5)
        assert float(found[f"{name}_accuracy"]) == np.float32(np.mean(np.argmax(scores, 1) == labels))


def test_with_mirror_the_scores_are_the_mean_over_the_image_and_its_mirror_image():
    images = np.random.default_rng(0).integers(0, 256, (7, 2, 3, 1), dtype=np.uint8)
    transform = lambda _, x: x.astype(jnp.float32) / 255
    task = linear_task(model=models.mlp((2, 3, 1), (4,), 3), transform=transform)
    params = init_state(task, KEY).params
    both = [predict_scores(task, params, x) for x in (images, images[:, :, ::-1])]
    got = predict_scores(task._replace(mirror=True), params, images, batch_size=3)
    np.testing.assert_allclose(got, (both[0] + both[1]) / 2, rtol=1e-5, atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 0.01
