"""Networks written in Flax as models: what Flax's own loops compute, and the weights of an `mlp` in Linen's form."""

from typing import Any, cast

import flax_nets
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from flax_nets import CLASSES, MODELS, PLAIN, SHAPE, Plain, Whole, WholeNnx, assert_trees, examples, task_of

from jaxnn import models, training
from jaxnn.interop.flax import linen_model, nnx_model, params_from_linen, params_to_linen

KEY = jax.random.key(0)
H = {"rate": 0.05, "l2": 1e-3}
X, Y = examples(24)
SUMS = {"rtol": 2e-5, "atol": 2e-6}
"""Sums of the same numbers in a program of another shape."""


# ---------------------------------------------------------------- scores


def test_linen_scores_are_those_of_the_module():
    model, module = linen_model(Whole(), SHAPE), Whole()
    assert isinstance(model, models.StatefulModel)
    params, state = model.init(KEY), model.init_state(KEY)
    expected = module.init({"params": KEY}, X, train=False)
    assert_trees({"params": params, **state}, expected)
    state = jax.tree.map(lambda a: a + 0.3, state)
    variables = {"params": params, **state}
    scores, after = model.apply(params, state, X)
    np.testing.assert_array_equal(scores, module.apply(variables, X, train=False))
    assert after is state
    scores, after = model.apply(params, state, X, key=KEY)
    theirs, updates = module.apply(variables, X, train=True, rngs={"dropout": KEY}, mutable=["batch_stats"])
    np.testing.assert_array_equal(scores, theirs)
    assert_trees(after, updates)
    assert np.abs(scores - model.apply(params, state, X, key=jax.random.key(1))[0]).max() > 0.01


def test_nnx_scores_are_those_of_the_module():
    model, module = nnx_model(lambda rngs: WholeNnx(rngs), SHAPE), WholeNnx(nnx.Rngs(KEY))
    assert isinstance(model, models.StatefulModel)
    params, state = model.init(KEY), model.init_state(KEY)
    assert_trees(params, nnx.to_pure_dict(nnx.state(module, nnx.Param)))
    assert_trees(state, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat)))
    module.eval()
    scores, after = model.apply(params, state, X)
    np.testing.assert_array_equal(scores, module(X))
    assert after is state
    module.train()
    nnx.reseed(module, default=KEY)
    scores, after = model.apply(params, state, X, key=KEY)
    np.testing.assert_array_equal(scores, module(X))
    assert_trees(after, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat)))
    assert np.abs(scores - model.apply(params, state, X, key=jax.random.key(1))[0]).max() > 0.01


@pytest.mark.parametrize("kind", PLAIN)
def test_a_module_without_a_state_is_a_plain_model(kind):
    model = PLAIN[kind]()
    assert isinstance(model, models.Model)
    params = model.init(KEY)
    if kind == "linen":
        module = Plain()
        expected = module.apply({"params": params}, X)
    else:
        expected = flax_nets.PlainNnx(nnx.Rngs(KEY))(X)
    np.testing.assert_array_equal(model.apply(params, X), expected)
    np.testing.assert_array_equal(model.apply(params, X, key=KEY), expected)


@pytest.mark.parametrize("kind", MODELS)
def test_any_leading_axes(kind):
    model = MODELS[kind]()
    params, state = model.init(KEY), model.init_state(KEY)
    whole = model.apply(params, state, X)[0]
    np.testing.assert_array_equal(
        model.apply(params, state, X.reshape(2, 3, 4, *SHAPE))[0], whole.reshape(2, 3, 4, CLASSES)
    )
    np.testing.assert_allclose(model.apply(params, state, X[0])[0], whole[0], rtol=SUMS["rtol"], atol=SUMS["atol"])
    with pytest.raises(ValueError, match=r"x\[24, 6, 6, 1\] must end with the shape of one example, \[6, 6, 2\]"):
        model.apply(params, state, X[..., :1])


def test_examples_need_not_be_floats():
    class Words(linen.Module):
        @linen.compact
        def __call__(self, words, deterministic: bool):
            x = linen.Embed(9, 4)(words).mean(1)
            return linen.Dense(CLASSES)(linen.Dropout(0.5)(x, deterministic=deterministic))

    model = linen_model(Words(), jax.ShapeDtypeStruct((5,), jnp.int32))
    words = np.random.default_rng(0).integers(0, 9, (24, 5)).astype(np.int32)
    data = training.Data(words, words[:, 0] % CLASSES)
    run, _ = training.fit(task_of(model), H | {"rate": 0.3}, KEY, data, epochs=60, batch_size=8)
    assert run.history["loss"][-1] < 0.8 * run.history["loss"][0]


def test_what_tells_training_may_have_any_name():
    class Odd(linen.Module):
        @linen.compact
        def __call__(self, x, learns: bool):
            return linen.Dense(CLASSES)(linen.Dropout(0.5, deterministic=not learns)(x))

    model = linen_model(Odd(), 4, training={"learns": True})
    params, x = model.init(KEY), jnp.ones((8, 4))
    assert jnp.unique(model.apply(params, x), axis=0).shape == (1, CLASSES)
    assert jnp.unique(model.apply(params, x, key=KEY), axis=0).shape[0] > 1


def test_running_averages_are_updated_in_training_and_used_in_evaluation():
    class Normed(linen.Module):
        @linen.compact
        def __call__(self, x, use_running_average: bool):
            x = linen.BatchNorm(momentum=0.75)(x, use_running_average=use_running_average)
            return linen.Dense(CLASSES)(x.reshape(len(x), -1))

    model: Any = linen_model(Normed(), SHAPE)
    params, state = model.init(KEY), model.init_state(KEY)
    _, after = model.apply(params, state, X, key=KEY)
    [mean] = [leaf for path, leaf in jax.tree.leaves_with_path(after) if "mean" in jax.tree_util.keystr(path)]
    np.testing.assert_allclose(mean, 0.25 * X.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
    assert model.apply(params, after, X)[1] is after


def test_all_variables_beside_the_parameters_are_the_state():
    class Counting(linen.Module):
        @linen.compact
        def __call__(self, x, train: bool):
            count = self.variable("seen", "count", lambda: jnp.zeros(()))
            if train:
                count.value += len(x)
            self.sow("intermediates", "x", x)
            return linen.Dense(CLASSES)(x)

    model = linen_model(Counting(), 4)
    assert isinstance(model, models.StatefulModel)
    params, state = model.init(KEY), model.init_state(KEY)
    _, after = model.apply(params, state, jnp.ones((8, 4)), key=KEY)
    assert_trees(after, {"seen": {"count": jnp.float32(8)}})


def test_every_random_stream_follows_the_key():
    class Noisy(linen.Module):
        @linen.compact
        def __call__(self, x, train: bool):
            noise = jax.random.normal(self.make_rng("noise"), x.shape) if train else jnp.zeros(x.shape)
            return linen.Dense(CLASSES)(x + noise)

    class NoisyNnx(nnx.Module):
        def __init__(self, rngs):
            own = nnx.Rngs(noise=rngs(), more=rngs())
            self.dense, self.noise, self.more = nnx.Linear(4, CLASSES, rngs=rngs), own.noise.fork(), own.more.fork()
            self.deterministic = False

        def __call__(self, x):
            if self.deterministic:
                return self.dense(x)
            return self.dense(x + jax.random.normal(self.noise(), x.shape) - jax.random.normal(self.more(), x.shape))

    x = jnp.zeros((2, 4))
    for model in (linen_model(Noisy(), 4), nnx_model(lambda rngs: NoisyNnx(rngs), 4)):
        assert isinstance(model, models.Model)
        params = model.init(KEY)
        np.testing.assert_array_equal(model.apply(params, x), jnp.zeros((2, CLASSES)))
        one, other = (model.apply(params, x, key=jax.random.key(i)) for i in (1, 2))
        assert (one != other).all()
        assert jnp.abs(one).min() > 0


# ---------------------------------------------------------------- the weights of an mlp


class Dense(linen.Module):
    sizes: tuple[int, ...]

    @linen.compact
    def __call__(self, x):
        for size in self.sizes[:-1]:
            x = linen.relu(linen.Dense(size)(x))
        return linen.Dense(self.sizes[-1])(x)


def test_the_weights_of_an_mlp_go_to_linen_and_back_exactly():
    sizes = (8,) * 11 + (CLASSES,)
    model = models.mlp(5, sizes[:-1], CLASSES)
    params = model.init(KEY)
    variables = params_to_linen(params)
    x = jax.random.normal(KEY, (9, 5))
    assert jax.tree.structure(variables) == jax.tree.structure(Dense(sizes).init(KEY, x))
    theirs: Any = Dense(sizes).apply(variables, x)
    np.testing.assert_allclose(theirs, model.apply(params, x), rtol=1e-5, atol=1e-6)
    assert_trees(params_from_linen(variables), params)
    assert_trees(params_from_linen(variables["params"]), params)
    theirs = Dense(sizes).init(jax.random.key(1), x)
    assert_trees(params_to_linen(params_from_linen(theirs)), theirs)


def test_the_weights_of_a_sweep_and_other_names_go_along():
    many = jax.vmap(models.mlp(5, (4,), CLASSES).init)(jax.random.split(KEY, 3))
    variables = params_to_linen(many, names=["layers_0", "layers_2"])
    assert variables["params"]["layers_2"]["kernel"].shape == (3, 4, CLASSES)
    assert_trees(params_from_linen(variables), many)
    sequence = linen.Sequential([linen.Dense(4), linen.relu, linen.Dense(CLASSES)])
    x = jax.random.normal(KEY, (9, 5))
    second = jax.tree.map(lambda a: a[1], variables)
    ours = models.mlp(5, (4,), CLASSES).apply(jax.tree.map(lambda a: a[1], many), x)
    theirs: Any = sequence.apply(second, x)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: linen_model(cast(Any, Whole), SHAPE), TypeError, "must be an instance of a Linen module"),
        (lambda: linen_model(Whole(), SHAPE, training={"tran": True}), TypeError, "Whole does not take tran"),
        (lambda: linen_model(linen.Conv(3, (3, 3)), SHAPE), ValueError, r"it gave float32\[2, 6, 6, 3\]"),
        (
            lambda: nnx_model(cast(Any, WholeNnx(nnx.Rngs(0))), SHAPE),
            TypeError,
            "a function that makes the module",
        ),
        (lambda: nnx_model(cast(Any, lambda rngs: jnp.ones(3)), SHAPE), TypeError, "it makes ShapeDtypeStruct"),
        (lambda: nnx_model(lambda r: nnx.Linear(2, 3, rngs=r), SHAPE), ValueError, r"gave float32\[2, 6, 6, 3\]"),
        (lambda: params_to_linen([], names=["a"]), ValueError, "1 names given to 0 layers"),
        (lambda: params_from_linen({"a": {"kernel": X}}), ValueError, "a must be a Dense .* it holds kernel"),
        (lambda: params_from_linen({"kernel": X}), ValueError, "kernel must be a Dense .* it holds an array"),
        (
            lambda: params_from_linen({f"d{i}": {"kernel": np.ones((2, 3)), "bias": np.ones(3)} for i in range(2)}),
            ValueError,
            r"d1 has kernel\[2, 3\] and bias\[3\], expected kernel\[..., 3, out\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
