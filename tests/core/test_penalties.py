from typing import NamedTuple

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import losses


class Layer(NamedTuple):
    w: jax.Array
    b: jax.Array


W1, W2, B = jnp.array([[1.0, -2.0], [3.0, 0.5]]), jnp.array([[0.0, -4.0]]), jnp.array([100.0, -100.0])
TREES = {
    "one array": (W1, [W1]),
    "one layer": ({"w": W1, "b": B}, [W1]),
    "two layers": ([{"w": W1, "b": B}, {"w": W2, "b": B[:1]}], [W1, W2]),
    "flax names": ({"params": {"Dense_0": {"kernel": W1, "bias": B}, "Dense_1": {"kernel": W2}}}, [W1, W2]),
    "named tuples": ((Layer(W1, B), Layer(W2, B)), [W1, W2]),
    "names that only begin with b": ({"bottom": W1, "scale_b": W2}, [W1, W2]),
    "a layer called b": ({"b": {"w": W1, "b": B}}, [W1]),
    "scales and offsets": ({"conv": {"w": W1}, "norm": {"scale": B, "bias": B}, "other": {"offset": B}}, [W1]),
    "a layer called scale": ({"scale": {"w": W1}}, [W1]),
    "no weights": ({"b": B}, []),
    "nothing": ([], []),
}


@pytest.mark.parametrize(("tree", "counted"), TREES.values(), ids=TREES)
def test_penalty_is_the_loop_over_weights_without_biases(tree, counted):
    squares = sum(float(v) ** 2 for w in counted for v in np.ravel(w))
    sizes = sum(abs(float(v)) for w in counted for v in np.ravel(w))
    for penalty, expected in ((losses.l2, squares), (losses.l1, sizes)):
        value = penalty(tree)
        assert (value.shape, value.dtype) == ((), jnp.float32)
        assert float(value) == float(jax.jit(penalty)(tree)) == expected
    assert [w.tolist() for w in losses._weights(tree)] == [w.tolist() for w in counted]


def test_penalty_of_a_real_flax_network():
    model = flax.linen.Sequential([flax.linen.Dense(3), flax.linen.relu, flax.linen.Dense(2)])
    params = model.init(jax.random.key(0), jnp.ones((1, 4)))
    params = jax.tree.map(lambda p: p + 0.5, params)  # biases start at zero
    kernels = [np.asarray(layer["kernel"], np.float64) for layer in params["params"].values()]
    np.testing.assert_allclose(losses.l2(params), sum((k**2).sum() for k in kernels), rtol=1e-6)
    np.testing.assert_allclose(losses.l1(params), sum(np.abs(k).sum() for k in kernels), rtol=1e-6)


def test_normalization_of_flax_is_not_penalized():
    """The penalty would shrink the outputs of layers, to whose weights' size normalization is indifferent."""
    norms = [flax.linen.BatchNorm(use_running_average=True), flax.linen.LayerNorm(), flax.linen.RMSNorm()]
    params = flax.linen.Sequential([flax.linen.Dense(3), *norms]).init(jax.random.key(0), jnp.ones((1, 4)))["params"]
    kernel = np.asarray(params["layers_0"]["kernel"], np.float64)
    np.testing.assert_allclose(losses.l2(params), (kernel**2).sum(), rtol=1e-6)
    np.testing.assert_allclose(losses.l1(params), np.abs(kernel).sum(), rtol=1e-6)
    slopes = jax.grad(losses.l2)(params)
    assert not any(leaf.any() for name, layer in slopes.items() if name != "layers_0" for leaf in layer.values())


def test_gradients():
    tree = {"w": W2, "b": B}
    l2, l1 = jax.grad(losses.l2)(tree), jax.grad(losses.l1)(tree)
    np.testing.assert_array_equal(l2["w"], 2 * W2)
    np.testing.assert_array_equal(l1["w"], [[0, -1]])  # exactly zero at a weight of zero
    np.testing.assert_array_equal(l2["b"], 0)
    np.testing.assert_array_equal(l1["b"], 0)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision(dtype):
    assert losses.l2(W1.astype(dtype)) == 14.25
    assert losses.l1(W1.astype(dtype)) == 6.5


@pytest.mark.parametrize("penalty", [losses.l2, losses.l1, losses._weights])
def test_a_weight_that_is_not_floating_point_is_named(penalty):
    with pytest.raises(TypeError, match=r"params\[1\]\['w'\] must be floating point, got int32"):
        penalty([{"w": W1}, {"w": jnp.arange(3)}])
