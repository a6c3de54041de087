import functools
import itertools
import math
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references
from hypothesis import given
from hypothesis import strategies as st

from jaxnn import initializers, losses, models

KEY = jax.random.key(0)
MODELS = {
    "linear": (functools.partial(models.linear, 6, 3), [(3, 6)]),
    "linear of images": (functools.partial(models.linear, (2, 3, 1), 3), [(3, 6)]),
    "one hidden layer": (functools.partial(models.mlp, 6, (5,), 3), [(5, 6), (3, 5)]),
    "three hidden layers": (functools.partial(models.mlp, (6,), [4, 1, 7], 2), [(4, 6), (1, 4), (7, 1), (2, 7)]),
    "a scalar in": (functools.partial(models.mlp, (), (2,), 2), [(2, 1), (2, 2)]),
}
each_model = pytest.mark.parametrize(("make", "shapes"), MODELS.values(), ids=MODELS)
each_activation = pytest.mark.parametrize("name", models.ACTIVATIONS)


def random_params(sizes, seed=0, dtype: type = np.float32):
    """Weights and biases as NumPy arrays; no bias is zero."""
    random = np.random.default_rng([seed, *sizes])
    return [
        {
            "w": random.normal(size=(out, into)).astype(dtype) / math.sqrt(into),
            "b": random.normal(size=out).astype(dtype),
        }
        for into, out in itertools.pairwise(sizes)
    ]


def to_jax(params):
    return jax.tree.map(jnp.asarray, params)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


# ---------------------------------------------------------------- init


@each_model
def test_params_are_one_w_and_one_b_per_layer(make, shapes):
    params = jax.jit(make().init)(KEY)
    assert [layer["w"].shape for layer in params] == shapes
    assert [layer["b"].shape for layer in params] == [shape[:1] for shape in shapes]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    assert not any(layer["b"].any() for layer in params)


def test_init_draws_each_layer_by_its_rule_from_its_own_key():
    model = models.mlp(200, (200, 200), 50, init=initializers.he)
    one, again, other = (model.init(jax.random.key(seed)) for seed in (1, 1, 2))
    jax.tree.map(np.testing.assert_array_equal, one, again)
    for layer in one:
        w = layer["w"]
        assert abs(float(w.std()) / math.sqrt(2 / w.shape[1]) - 1) < 5 / math.sqrt(2 * w.size)
    drawn = [one[0]["w"], one[1]["w"], other[0]["w"], other[1]["w"]]  # all of one shape
    correlation = np.corrcoef([np.ravel(w) for w in drawn])
    assert np.abs(correlation - np.eye(4)).max() < 5 / 200


def test_linear_starts_small_unless_told_otherwise():
    w = models.linear(500, 20).init(KEY)[0]["w"]
    assert abs(float(w.std()) / 0.01 - 1) < 5 / math.sqrt(2 * w.size)
    w = models.linear(500, 20, init=initializers.normal(1.0)).init(KEY)[0]["w"]
    assert abs(float(w.std()) - 1) < 5 / math.sqrt(2 * w.size)
    assert not models.linear(5, 2, init=initializers.zeros).init(KEY)[0]["w"].any()


@pytest.mark.parametrize("make", [models.linear, lambda i, o, init: models.mlp(i, (30,), o, init=init)])
def test_loss_at_initialisation(make):
    model = make((4, 4, 3), 10, init=initializers.normal(1e-4))
    labels = jnp.arange(50) % 10

    @jax.jit
    def both(key, x):
        scores = model.apply(model.init(key), x)
        return losses.softmax(scores, labels).mean(), losses.svm(scores, labels).mean()

    np.testing.assert_allclose(both(KEY, normal(50, 4, 4, 3)), [math.log(10), 9.0], rtol=1e-3)


def test_zeros_never_break_symmetry():
    """Weights of zero get no gradient through a hidden layer: only the last bias moves."""
    model = models.mlp(6, (8,), 3, init=initializers.zeros)
    x, labels = jnp.asarray(normal(5, 6)), jnp.arange(5) % 3
    gradient = jax.jit(jax.grad(lambda p: losses.softmax(model.apply(p, x), labels).mean()))(model.init(KEY))
    assert not any(leaf.any() for leaf in (*gradient[0].values(), gradient[1]["w"]))
    assert gradient[1]["b"].any()


# ---------------------------------------------------------------- apply, against NumPy and flax


@given(
    shape=st.sampled_from([(), (3,), (2, 1, 2)]),
    hidden=st.lists(st.integers(1, 3), max_size=3),
    leading=st.sampled_from([(), (1,), (2, 2), (0,)]),
    activation=st.sampled_from(sorted(models.ACTIVATIONS)),
    seed=st.integers(0, 1000),
)
def test_apply_is_the_loop_over_examples_and_neurons(shape, hidden, leading, activation, seed):
    model = models.mlp(shape, hidden, 2, activation=models.ACTIVATIONS[activation])
    params, x = random_params((math.prod(shape), *hidden, 2), seed), normal(*leading, *shape, seed=seed)
    scores = jax.jit(model.apply)(to_jax(params), jnp.asarray(x))
    assert scores.shape == (*leading, 2)
    for i in np.ndindex(leading):
        expected = references.mlp(params, x[i], references.ACTIVATIONS[activation])
        np.testing.assert_allclose(scores[i], expected, rtol=2e-5, atol=2e-5)


@each_activation
def test_apply_is_that_of_flax(name):
    sizes, activation = (12, 7, 5, 3), models.ACTIVATIONS[name]
    parts = [part for size in sizes[1:] for part in (flax.linen.Dense(size), getattr(flax.linen, name))][:-1]
    params = random_params(sizes)
    in_flax = {f"layers_{2 * i}": {"kernel": p["w"].T, "bias": p["b"]} for i, p in enumerate(params)}
    images = normal(4, 2, 2, 3)
    expected: Any = flax.linen.Sequential(parts).apply({"params": in_flax}, images.reshape(4, 12))
    model = models.mlp((2, 2, 3), sizes[1:-1], sizes[-1], activation=activation)
    np.testing.assert_allclose(model.apply(to_jax(params), jnp.asarray(images)), expected, rtol=1e-5, atol=1e-5)


def test_images_may_have_any_leading_axes():
    model = models.mlp((2, 3, 1), (4,), 2)
    params, x = to_jax(random_params((6, 4, 2))), jnp.asarray(normal(5, 3, 2, 3, 1))
    scores = model.apply(params, x)
    assert scores.shape == (5, 3, 2)
    np.testing.assert_allclose(scores[1, 2], model.apply(params, x[1, 2]), rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(model.apply, (None, 0))(params, x), scores, rtol=1e-5)


@each_activation
def test_gradient_of_the_whole_objective_is_central_differences(name):
    """Forward pass, mean loss and penalty in NumPy, differentiated numerically, against `jax.grad` in float64."""
    sizes = (4, 5, 3, 3)
    params, x, labels = random_params(sizes, dtype=np.float64), normal(6, 4).astype(np.float64), [0, 1, 2, 0, 1, 2]

    def in_numpy(layer, name_of_array, value):
        changed = [dict(p) for p in params]
        changed[layer][name_of_array] = value
        scores = [references.mlp(changed, one, references.ACTIVATIONS[name]) for one in x]
        data = np.mean([references.softmax(s, y) + references.svm(s, y) for s, y in zip(scores, labels, strict=True)])
        return float(data + 0.1 * sum((p["w"] ** 2).sum() for p in changed))

    with jax.enable_x64(True):
        model = models.mlp(4, sizes[1:-1], 3, activation=models.ACTIVATIONS[name])

        def objective(params):
            scores = model.apply(params, jnp.asarray(x))
            data = losses.softmax(scores, jnp.asarray(labels)) + losses.svm(scores, jnp.asarray(labels))
            return data.mean() + 0.1 * losses.l2(params)

        gradient = jax.jit(jax.grad(objective))(to_jax(params))
    for layer, p in enumerate(params):
        for key, value in p.items():
            expected = references.differences(functools.partial(in_numpy, layer, key), value, step=1e-6)
            np.testing.assert_allclose(gradient[layer][key], expected, rtol=1e-6, atol=1e-7)


# ---------------------------------------------------------------- dropout


def test_no_key_no_randomness():
    plain, dropping = models.mlp(6, (8, 8), 3), models.mlp(6, (8, 8), 3, dropout=0.5, input_dropout=0.2)
    params, x = to_jax(random_params((6, 8, 8, 3))), jnp.asarray(normal(5, 6))
    scores = plain.apply(params, x)
    np.testing.assert_array_equal(dropping.apply(params, x), scores)
    np.testing.assert_array_equal(dropping.apply(params, x, key=None), scores)
    np.testing.assert_array_equal(plain.apply(params, x, key=KEY), scores)  # both rates are 0
    one, again, other = (dropping.apply(params, x, key=jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != scores).any()
    assert (one != other).any()


def zeros_of_gradient(dropout, input_dropout, key=KEY):
    """Which weights of a 40-60-60-3 tanh network have a gradient of exactly zero for one example, by layer."""
    model = models.mlp(40, (60, 60), 3, activation=jnp.tanh, dropout=dropout, input_dropout=input_dropout)
    params, x = to_jax(random_params((40, 60, 60, 3))), jnp.asarray(normal(40))
    gradient = jax.jit(jax.grad(lambda params: model.apply(params, x, key=key).sum()))(params)
    return [np.asarray(layer["w"]) == 0 for layer in gradient], [np.asarray(layer["b"]) == 0 for layer in gradient]


def test_dropped_neurons_have_exactly_zero_gradients():
    (first, second, last), (b1, b2, b3) = zeros_of_gradient(0.5, 0.0)
    dropped1, dropped2 = second.all(0), last.all(0)  # a neuron is a column of the next layer
    assert 15 < dropped1.sum() < 45
    assert 15 < dropped2.sum() < 45
    np.testing.assert_array_equal(first, np.broadcast_to(dropped1[:, None], first.shape))  # and a row of its own
    np.testing.assert_array_equal(second, dropped2[:, None] | dropped1[None])
    np.testing.assert_array_equal(last, np.broadcast_to(dropped2[None], last.shape))
    for bias, expected in ((b1, dropped1), (b2, dropped2), (b3, np.zeros(3, bool))):
        np.testing.assert_array_equal(bias, expected)
    assert (dropped1 != dropped2).any()  # each layer has a mask of its own


def test_dropped_inputs_have_exactly_zero_gradients():
    (first, second, last), biases = zeros_of_gradient(0.0, 0.5)
    dropped = first.all(0)
    assert 10 < dropped.sum() < 30
    np.testing.assert_array_equal(first, np.broadcast_to(dropped[None], first.shape))
    assert not any(zeros.any() for zeros in (second, last, *biases))


def test_without_dropout_no_gradient_is_zero():
    weights, biases = zeros_of_gradient(0.0, 0.0)
    assert not any(zeros.any() for zeros in weights + biases)


def test_each_example_has_its_own_mask():
    model = models.mlp(30, (), 1, input_dropout=0.5)
    params = to_jax([{"w": np.ones((1, 30)), "b": np.zeros(1)}])
    gradient = jax.jit(jax.grad(lambda x: model.apply(params, x, key=KEY).sum()))(jnp.ones((8, 30)))
    assert len({tuple(row) for row in np.asarray(gradient).tolist()}) == 8


@pytest.mark.parametrize(
    ("hidden", "rates"), [((), {"input_dropout": 0.3}), ((20,), {"dropout": 0.5})], ids=["input", "hidden"]
)
def test_dropout_keeps_the_expected_score(hidden, rates):
    """The scores are linear in the mask of the last layer that drops."""
    model, count = models.mlp(10, hidden, 2, activation=jnp.tanh, **rates), 20_000
    params, x = to_jax(random_params((10, *hidden, 2))), jnp.asarray(normal(10))
    scores = jax.jit(jax.vmap(lambda key: model.apply(params, x, key=key)))(jax.random.split(KEY, count))
    scores = np.asarray(scores, np.float64)
    assert (scores.std(0) > 0.1).all()
    assert (np.abs(scores.mean(0) - model.apply(params, x)) < 5 * scores.std(0) / math.sqrt(count)).all()


def test_traced_rates_compile_once_and_equal_the_concrete_ones():
    params, x, traces = to_jax(random_params((6, 8, 3))), jnp.asarray(normal(5, 6)), []

    @jax.jit
    def traced(dropout, input_dropout):
        traces.append(None)
        return models.mlp(6, (8,), 3, dropout=dropout, input_dropout=input_dropout).apply(params, x, key=KEY)

    for rates in ((0.0, 0.0), (0.5, 0.25), (0.1, 0.0)):
        expected = models.mlp(6, (8,), 3, dropout=rates[0], input_dropout=rates[1]).apply(params, x, key=KEY)
        np.testing.assert_allclose(traced(*rates), expected, rtol=1e-5, atol=1e-6)
    assert len(traces) == 1


# ---------------------------------------------------------------- wrong inputs

PARAMS = to_jax(random_params((6, 8, 3)))
mlp: Any = models.mlp  # called with what its types forbid
linear: Any = models.linear


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mlp(0, (8,), 3), ValueError, "inputs must be positive, got 0"),
        (lambda: mlp((32, -1, 3), (8,), 3), ValueError, "inputs must be positive, got -1"),
        (lambda: mlp(2.5, (8,), 3), TypeError, "inputs must be whole numbers, got 2.5"),
        (lambda: mlp((4, "4"), (8,), 3), TypeError, "inputs must be whole numbers, got '4'"),
        (lambda: mlp(True, (8,), 3), TypeError, "inputs must be whole numbers, got True"),
        (lambda: mlp(6, (8, 0), 3), ValueError, "hidden must be positive, got 0"),
        (lambda: mlp(6, (8, 1.5), 3), TypeError, "hidden must be whole numbers, got 1.5"),
        (lambda: mlp(6, 8, 3), TypeError, r"hidden must be a sequence .* got 8"),
        (lambda: mlp(6, (8,), 0), ValueError, "outputs must be positive, got 0"),
        (lambda: linear(6, 3.0), TypeError, "outputs must be whole numbers, got 3.0"),
        (lambda: mlp(6, (8,), 3, dropout=1.0), ValueError, r"dropout: rate .* in \[0, 1\), got 1.0"),
        (lambda: mlp(6, (8,), 3, dropout=-0.5), ValueError, "dropout: .* got -0.5"),
        (lambda: mlp(6, (8,), 3, input_dropout=2), ValueError, "input_dropout: .* got 2"),
        (lambda: mlp(6, (8,), 3, input_dropout=math.nan), ValueError, "input_dropout: .* got nan"),
        (lambda: mlp(6, (8,), 3, dropout=None), TypeError, "rate .* got None"),
        (lambda: mlp(6, (8,), 3).apply(PARAMS, jnp.ones((2, 5))), ValueError, r"x\[2, 5\] must end .* \[6\]"),
        (lambda: mlp(6, (8,), 3).apply(PARAMS, jnp.ones(())), ValueError, r"x\[\] must end .* \[6\]"),
        (lambda: mlp((2, 3), (8,), 3).apply(PARAMS, jnp.ones(6)), ValueError, r"x\[6\] must end .* \[2, 3\]"),
        (lambda: mlp(6, (), 3).apply(PARAMS, jnp.ones(6)), ValueError, "params of 2 layers .* a model of 1"),
        (lambda: mlp(6, (9,), 3).apply(PARAMS[1:] + PARAMS, jnp.ones(6)), ValueError, "params of 3 layers"),
    ],
)
def test_wrong_inputs(call, error, message):
    with pytest.raises(error, match=f"^mlp: .*{message}"):
        call()


def test_integer_images_must_be_cast_first():
    with pytest.raises(TypeError, match="x must be floating point, got uint8; cast or standardize it first"):
        models.mlp(6, (8,), 3).apply(PARAMS, jnp.ones(6, jnp.uint8))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_a_model_computed_in_16_bits_is_close_and_keeps_its_parameters(dtype):
    plain = models.mlp(20, (64,), 5)
    model = models.with_compute_dtype(plain, dtype)
    params, x = plain.init(KEY), jax.random.normal(jax.random.key(1), (30, 20))
    scores, exact = model.apply(params, x), plain.apply(params, x)
    assert scores.dtype == jnp.float32
    error = float(jnp.abs(scores - exact).max() / jnp.abs(exact).max())
    assert 1e-5 < error < 3 * float(jnp.finfo(dtype).eps)
    gradient = jax.grad(lambda p: model.apply(p, x).sum())(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}
    with pytest.raises(TypeError, match="with_compute_dtype: dtype must be a floating-point type"):
        models.with_compute_dtype(plain, jnp.int32)


# ---------------------------------------------------------------- normalized layers


def test_a_normalized_network_is_the_loop_over_examples():
    params = random_params((6, 5, 4, 3))
    x = normal(2, 6)
    got = models.mlp(6, (5, 4), 3, normalize=True).apply(to_jax(params), jnp.asarray(x))
    for scores, example in zip(got, x.astype(np.float64), strict=True):
        h = example
        for layer in params[:-1]:
            z = layer["w"].astype(np.float64) @ h
            h = np.maximum((z - z.mean()) / np.sqrt(z.var() + 1e-6) + layer["b"], 0)
        np.testing.assert_allclose(scores, params[-1]["w"] @ h + params[-1]["b"], rtol=1e-4, atol=1e-5)


def test_normalized_inputs_are_those_of_the_loop_over_examples():
    params, x = random_params((6, 5, 3)), normal(4, 2, 3)
    got = models.mlp((2, 3), (5,), 3, normalize_inputs=True).apply(to_jax(params), jnp.asarray(x))
    for scores, example in zip(got, x.astype(np.float64).reshape(4, 6), strict=True):
        inputs = (example - example.mean()) / np.sqrt(example.var() + 1e-6)
        h = np.maximum(params[0]["w"].astype(np.float64) @ inputs + params[0]["b"], 0)
        np.testing.assert_allclose(scores, params[1]["w"] @ h + params[1]["b"], rtol=1e-4, atol=1e-5)


def test_a_normalized_network_does_not_see_the_scale_of_its_weights():
    params, x = to_jax(random_params((6, 5, 3))), jnp.asarray(normal(4, 6))
    model = models.mlp(6, (5,), 3, normalize=True)
    larger = [{"w": 100 * params[0]["w"], "b": params[0]["b"]}, params[1]]
    np.testing.assert_allclose(model.apply(larger, x), model.apply(params, x), rtol=1e-3, atol=1e-4)


def test_normalize_and_width_are_refused_together():
    with pytest.raises(ValueError, match="normalize counts all neurons of a layer"):
        models.mlp(6, (5,), 3, normalize=True, width=[3])
