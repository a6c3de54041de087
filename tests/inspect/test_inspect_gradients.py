"""The gradient check and the statistics of layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references

from jaxnn import losses, models
from jaxnn.inspect import check_gradient, layer_outputs, layer_statistics


def test_a_smooth_gradient_is_found_right_in_every_coordinate():
    params = {"a": jnp.array([[0.3, -2.0], [5.0, 0.0]]), "b": jnp.array(1.5)}

    def function(params):
        return jnp.sum(jnp.sin(params["a"]) * jnp.exp(params["b"])) + params["b"] ** 3

    a, b = check_gradient(function, params)
    assert a.name == "['a']"
    np.testing.assert_allclose(a.analytic, (np.cos([0.3, -2, 5, 0]) * np.exp(1.5)), rtol=1e-6)
    np.testing.assert_allclose(a.numeric, a.analytic, rtol=1e-7)
    assert max(a.max_error, b.max_error) < 1e-7
    assert a.kinks == b.kinks == 0
    assert a.numeric.dtype == np.float64


def test_the_numeric_gradient_is_that_of_a_loop():
    x = np.array([0.5, -1.0, 2.0])
    [check] = check_gradient(lambda x: jnp.prod(jnp.tanh(x)), jnp.asarray(x, jnp.float32))
    expected = references.differences(lambda x: float(np.prod(np.tanh(x))), x)
    np.testing.assert_allclose(check.numeric, expected, rtol=1e-7)


@pytest.mark.parametrize("wrong", [1.0001, 0.5, -1.0, 0.0])
def test_a_wrong_gradient_is_an_error_and_no_kink(wrong):
    x = jnp.array([0.5, 2.0])
    [check] = check_gradient(lambda x: jnp.sum(x**2), x, gradient=wrong * 2 * x)
    assert check.kinks == 0
    np.testing.assert_allclose(check.error, abs(wrong - 1) / max(1, abs(wrong)), rtol=1e-3)


def test_kinks_are_told_from_errors():
    x = jnp.array([0.0, 1e-7, -1e-7, 3e-6, -3e-6, 1.0, -1.0])
    [right] = check_gradient(lambda x: jax.nn.relu(x).sum(), x)
    assert right.kink[0]  # the slopes are 0 and 1, jax.nn.relu says 0
    assert right.max_error < 1e-6
    [wrong] = check_gradient(lambda x: jax.nn.relu(x).sum(), x, gradient=jnp.full(7, 1.5))
    assert wrong.kinks == 0
    np.testing.assert_allclose(wrong.max_error, 1, rtol=1e-6)


def test_strong_curvature_is_no_kink():
    x = jnp.array([0.1])
    slope = float(1e4 * np.cos(1e4 * np.float64(x[0])))
    [check] = check_gradient(lambda x: jnp.sin(1e4 * x).sum(), x, gradient=jnp.array([1.01 * slope], jnp.float32))
    assert check.kinks == 0
    assert check.max_error > 5e-3


def step(x):
    return jnp.where(x > 0, 1.0, 0.0)


@pytest.mark.parametrize("answer", [0.0, 1.0, 1e5, 1e12])
def test_a_jump_is_no_kink(answer):
    [check] = check_gradient(lambda x: step(x).sum(), jnp.array([0.0, 1.0]), gradient=jnp.array([answer, 0.0]))
    assert check.jump.tolist() == [True, False]
    assert check.jumps == 1
    assert check.kinks == 0
    assert check.max_error == 1.0


def test_a_slope_without_a_bound_is_no_kink():
    [check] = check_gradient(lambda x: jnp.sqrt(jnp.abs(x)).sum(), jnp.zeros(1), gradient=jnp.zeros(1))
    assert (check.jumps, check.kinks, check.max_error) == (1, 0, 1.0)


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("x", [1e-7, -1e-7, 3e-6, 1e-8])
def test_a_wrong_gradient_near_a_kink_is_an_error(x, offset):
    for function in (jax.nn.relu, step):
        slope = float(function is jax.nn.relu and x > 0)
        [wrong] = check_gradient(lambda x, f=function: f(x).sum() + offset, jnp.array([x]), gradient=jnp.array([0.5]))
        assert (wrong.kinks, wrong.jumps) == (0, 0)
        assert wrong.max_error == pytest.approx(0.5 if slope else 1.0, rel=1e-4)
        [right] = check_gradient(lambda x, f=function: f(x).sum() + offset, jnp.array([x]))
        assert (right.kinks, right.jumps) == (0, 0)
        assert right.max_error < 1e-6


def test_a_difference_between_kink_and_central_step_does_not_hide_a_wrong_gradient():
    """At 3e-6 the first central difference of ReLU is exactly 0.75."""
    [check] = check_gradient(lambda x: jax.nn.relu(x).sum(), jnp.array([3e-6]), gradient=jnp.array([0.75]))
    assert check.max_error == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("sharpness", [1e4, 1e6, 1e8])
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_a_sharp_bend_is_no_kink(sharpness, x):
    def bend(v):
        return jax.nn.softplus(sharpness * (v - x)).sum()

    [right] = check_gradient(bend, jnp.array([x]))
    assert (right.kinks, right.jumps) == (0, 0)
    assert right.max_error < 1e-4
    [wrong] = check_gradient(bend, jnp.array([x]), gradient=jnp.array([0.55 * sharpness]))
    assert (wrong.kinks, wrong.jumps) == (0, 0)
    assert wrong.max_error == pytest.approx(1 / 11, rel=1e-2)


def test_a_bend_that_no_step_resolves_is_called_so():
    [check] = check_gradient(lambda x: jax.nn.softplus(1e12 * x).sum(), jnp.zeros(1), gradient=jnp.array([0.55e12]))
    assert (check.unresolved.tolist(), check.kinks) == ([True], 0)
    assert check.max_error > 0.05
    [smooth] = check_gradient(lambda x: (x**2).sum(), jnp.ones(3), gradient=jnp.ones(3))
    assert not smooth.unresolved.any()


def test_any_slope_between_the_sides_of_a_kink_is_right():
    for answer, kinks in ((-1.0, 1), (0.3, 1), (2.0, 1), (2.1, 0), (-1.1, 0)):
        [check] = check_gradient(
            lambda x: jnp.where(x > 0, 2 * x, -x).sum() + 100.0, jnp.zeros(1), gradient=jnp.array([answer])
        )
        assert check.kinks == kinks
        assert (check.max_error > 0.01) == (not kinks)
        assert not check.unresolved.any()


def test_the_margin_of_the_svm_loss_is_a_kink():
    scores = jnp.array([2.0, 1.0, -3.0])  # the second is exactly at the margin
    [check] = check_gradient(lambda s: losses.svm(s, jnp.int32(0)), scores)
    assert check.kinks == 2
    assert check.max_error < 1e-9


def test_some_coordinates_can_be_drawn():
    x = jnp.arange(1000.0) / 1000
    one, again, other = (check_gradient(lambda x: (x**2).sum(), x, limit=5, seed=s)[0] for s in (0, 0, 1))
    assert len(one.places) == 5
    np.testing.assert_array_equal(one.places, again.places)
    assert (one.places != other.places).any()
    np.testing.assert_allclose(one.numeric, 2 * np.asarray(x)[one.places], rtol=1e-6)


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(TypeError, match="must be floating point, got int32"):
        check_gradient(jnp.sum, jnp.arange(3))
    with pytest.raises(ValueError, match="must return one number"):
        check_gradient(lambda x: x, jnp.ones(3))
    with pytest.raises(ValueError, match="no numbers"):
        check_gradient(lambda x: jnp.ones(()), [])
    with pytest.raises(ValueError, match="gradient has shapes"):
        check_gradient(jnp.sum, jnp.ones(3), gradient=jnp.ones(2))
    with pytest.raises(ValueError, match="limit must be at least 1"):
        check_gradient(jnp.sum, jnp.ones(3), limit=0)


def test_layer_outputs_end_with_the_scores_of_the_model():
    model = models.mlp((2, 2, 1), (5, 4), 3, activation=jnp.tanh)
    params = model.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (7, 2, 2, 1))
    outputs = layer_outputs(params, x, jnp.tanh)
    assert [h.shape for h in outputs] == [(7, 5), (7, 4), (7, 3)]
    np.testing.assert_allclose(outputs[-1], model.apply(params, x), rtol=1e-6)
    first = np.tanh(np.asarray(x).reshape(7, 4) @ np.asarray(params[0]["w"]).T)
    np.testing.assert_allclose(outputs[0], first, rtol=1e-5)


def test_layer_statistics_are_those_of_the_arrays():
    params = models.mlp(3, (4,), 2).init(jax.random.key(0))
    params[0]["b"] = jnp.array([-1e6, 0.0, -1e6, 1e6])  # two neurons are never on
    x = jax.random.normal(jax.random.key(1), (9, 3))
    gradient = jax.tree.map(jnp.ones_like, params)
    update = jax.tree.map(lambda p: 0.01 * p, params)
    found = jax.jit(lambda p: layer_statistics(p, x, jax.nn.relu, gradient, update))(params)
    np.testing.assert_array_equal(found.dead, [0.5, 0.0])
    hidden, scores = layer_outputs(params, x, jax.nn.relu)
    np.testing.assert_allclose(found.mean, [np.mean(hidden), np.mean(scores)], rtol=1e-5)
    np.testing.assert_allclose(found.std, [np.std(hidden), np.std(scores)], rtol=1e-5)
    np.testing.assert_allclose(found.gradient_norm, np.sqrt([12, 8]), rtol=1e-6)
    np.testing.assert_allclose(found.update_ratio, 0.01, rtol=1e-5)
    assert np.isnan(layer_statistics(params, x, jax.nn.relu).gradient_norm).all()
    with pytest.raises(ValueError, match="update has 1 layers, expected 2"):
        layer_statistics(params, x, jax.nn.relu, update=params[:1])


def test_layer_statistics_of_many_networks_at_once():
    model = models.mlp(3, (4,), 2, activation=jnp.tanh)
    many = jax.vmap(model.init)(jax.random.split(jax.random.key(0), 6))
    x = jax.random.normal(jax.random.key(1), (9, 3))
    found = jax.vmap(lambda params: layer_statistics(params, x, jnp.tanh))(many)
    assert found.mean.shape == (6, 2)
