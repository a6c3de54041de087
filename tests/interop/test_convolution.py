"""Convolutions with other gradients: the same numbers, in the order of axes that is fast inside a loop on a CPU."""

import re

import flax_nets
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxnn import training
from jaxnn.interop._convolution import with_fast_gradients

KEY = jax.random.key(0)
CONVOLUTIONS = {
    "plain": ((2, 8, 8, 3), (3, 3, 3, 4), {"padding": "SAME"}),
    "strides": ((2, 9, 8, 3), (3, 2, 3, 4), {"padding": "SAME", "window_strides": (2, 3)}),
    "no padding": ((2, 9, 8, 3), (3, 2, 3, 4), {"padding": "VALID", "window_strides": (2, 1)}),
    "dilated": ((2, 9, 8, 3), (3, 2, 3, 4), {"padding": "SAME", "rhs_dilation": (2, 2)}),
    "transposed": ((2, 5, 5, 3), (3, 3, 3, 4), {"padding": ((1, 2), (2, 1)), "lhs_dilation": (2, 2)}),
    "groups": ((2, 8, 8, 4), (3, 3, 2, 6), {"padding": "SAME", "feature_group_count": 2}),
    "channels first": (
        (2, 3, 8, 8),
        (4, 3, 3, 3),
        {"padding": "SAME", "dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ),
    "one dimension": ((2, 8, 3), (3, 3, 4), {"padding": "SAME", "dimension_numbers": ("NWC", "WIO", "NWC")}),
}


def convolution(options):
    rank = len(options.get("dimension_numbers", ("NHWC",))[0]) - 2
    given = {"window_strides": (1,) * rank, "dimension_numbers": ("NHWC", "HWIO", "NHWC")} | options
    return lambda x, w: lax.conv_general_dilated(x, w, **given)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in ("plain", "no padding") else n for n in CONVOLUTIONS]
)
def test_gradients_are_those_of_jax(name):
    of_x, of_w, options = CONVOLUTIONS[name]
    plain = convolution(options)

    def objective(function):
        return lambda x, w: jnp.sin(jax.nn.relu(jax.jit(function)(2.0 * x, w)) + 0.5).sum()

    x, w = jax.random.normal(KEY, of_x), jax.random.normal(jax.random.key(1), of_w)
    fast = with_fast_gradients(objective(plain))
    np.testing.assert_array_equal(with_fast_gradients(plain)(x, w), plain(x, w))
    expected = jax.grad(objective(plain), argnums=(0, 1))(x, w)
    for found in (jax.grad(fast, argnums=(0, 1))(x, w), jax.jit(jax.grad(fast, argnums=(0, 1)))(x, w)):
        flax_nets.assert_trees(found, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other devices have kernels for gradients")
@pytest.mark.parametrize("kind", flax_nets.MODELS)
def test_every_convolution_of_a_training_is_in_the_fast_order(kind):
    data = jax.tree.map(jnp.asarray, training.Data(*flax_nets.examples(40)))
    task = flax_nets.task_of(flax_nets.MODELS[kind]())
    run = jax.jit(lambda h, data: training.run(task, h, KEY, data, epochs=2, batch_size=8))
    text = run.lower({"rate": 0.1, "l2": 0.0}, data).compile().as_text() or ""
    orders = re.findall(r" convolution\(.*dim_labels=(\S+?)(?:,|$)", text, re.MULTILINE)
    assert len(orders) >= 2  # forward, and the kernel's gradient
    assert set(orders) == {"b01f_01io->b01f"}


def test_functions_with_a_gradient_of_their_own_keep_it():
    @jax.custom_vjp
    def odd(x):
        return x

    odd.defvjp(lambda x: (x, None), lambda _, gradient: (3.0 * gradient,))
    function = with_fast_gradients(lambda tree: {"out": odd(tree["x"]) * 2.0, "same": tree["x"]})
    given = {"x": jnp.arange(3.0)}
    assert jax.tree.structure(function(given)) == jax.tree.structure({"out": 0, "same": 0})
    np.testing.assert_array_equal(jax.grad(lambda tree: function(tree)["out"].sum())(given)["x"], 6.0)
