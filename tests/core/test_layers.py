import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references
from hypothesis import given
from hypothesis import strategies as st

from jaxnn import layers, models


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


# ---------------------------------------------------------------- the worked numbers of the notes


def test_score_of_the_four_pixel_image():
    w = jnp.array([[0.2, -0.5, 0.1, 2.0], [1.5, 1.3, 2.1, 0.0], [0.0, 0.25, 0.2, -0.3]])
    scores = layers.linear({"w": w, "b": jnp.array([1.1, 3.2, -1.2])}, jnp.array([56.0, 231.0, 24.0, 2.0]))
    np.testing.assert_allclose(scores, [-96.8, 437.9, 60.75], rtol=1e-6)


def test_back_propagation_of_a_sum_times_a_factor():
    f = lambda x, y, z: (x + y) * z
    value, gradients = jax.value_and_grad(f, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    assert (float(value), *map(float, gradients)) == (-12.0, -4.0, -4.0, 3.0)


def test_back_propagation_through_a_sigmoid_neuron():
    def neuron(w, x):
        return jax.nn.sigmoid(layers.linear({"w": w[None, :2], "b": w[2:]}, x))[0]

    value, (w, x) = jax.value_and_grad(neuron, argnums=(0, 1))(jnp.array([2.0, -3.0, -3.0]), jnp.array([-1.0, -2.0]))
    np.testing.assert_allclose(value, 0.7311, atol=5e-5)
    np.testing.assert_allclose(w, [-0.197, -0.393, 0.197], atol=5e-4)
    np.testing.assert_allclose(x, [0.393, -0.590], atol=5e-4)


# ---------------------------------------------------------------- linear


@pytest.mark.parametrize("leading", [(), (1,), (5,), (2, 3), (0,)], ids=str)
def test_linear_is_the_loop_over_examples(leading):
    w, b, x = normal(4, 7), normal(4, seed=1), normal(*leading, 7)
    scores = layers.linear({"w": jnp.asarray(w), "b": jnp.asarray(b)}, jnp.asarray(x))
    assert scores.shape == (*leading, 4)
    for i in np.ndindex(leading):
        np.testing.assert_allclose(scores[i], references.linear(w, b, x[i]), rtol=1e-5, atol=1e-6)


@given(
    out=st.sampled_from([1, 3]), into=st.sampled_from([1, 4]), count=st.sampled_from([1, 2]), seed=st.integers(0, 99)
)
def test_linear_of_any_values(out, into, count, seed):
    w, b, x = 100 * normal(out, into, seed=seed), normal(out, seed=seed), normal(count, into, seed=seed)
    scores = layers.linear({"w": jnp.asarray(w), "b": jnp.asarray(b)}, jnp.asarray(x))
    expected = [references.linear(w, b, one) for one in x]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-4)


def test_linear_under_jit_vmap_and_grad():
    w, b, x = normal(4, 7), normal(4, seed=1), jnp.asarray(normal(5, 7))
    params: layers.Weights = {"w": jnp.asarray(w), "b": jnp.asarray(b)}
    expected = np.array([references.linear(w, b, one) for one in np.asarray(x)])
    np.testing.assert_allclose(jax.jit(layers.linear)(params, x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(layers.linear, in_axes=(None, 0))(params, x), expected, rtol=1e-5, atol=1e-6)

    up = normal(5, 4, seed=2)  # the gradient that arrives from above
    gradient = jax.grad(lambda params: (layers.linear(params, x) * up).sum())(params)
    np.testing.assert_allclose(gradient["w"], sum(np.outer(u, one) for u, one in zip(up, x, strict=True)), rtol=1e-4)
    np.testing.assert_allclose(gradient["b"], up.sum(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("w", "b", "x", "error", "message"),
    [
        ((4,), (4,), jnp.ones(4), ValueError, r"expected w\[out, in\] and b\[out\], got w\[4\] and b\[4\]"),
        ((2, 3), (3,), jnp.ones(3), ValueError, r"got w\[2, 3\] and b\[3\]"),
        ((2, 3), (2, 1), jnp.ones(3), ValueError, r"got w\[2, 3\] and b\[2, 1\]"),
        ((2, 3), (), jnp.ones(3), ValueError, r"got w\[2, 3\] and b\[\]"),
        ((2, 3), (2,), jnp.ones((5, 2)), ValueError, r"x\[5, 2\] does not fit w\[2, 3\].* must have 3 values"),
        ((2, 1), (2,), jnp.ones(()), ValueError, r"x\[\] does not fit w\[2, 1\]"),
        ((2, 3), (2,), jnp.ones(3, jnp.uint8), TypeError, "x must be floating point, got uint8; cast or standardize"),
        ((2, 3), (2,), jnp.ones(3, bool), TypeError, "x must be floating point, got bool"),
    ],
)
def test_linear_wrong_inputs(w, b, x, error, message):
    with pytest.raises(error, match=f"^linear: .*{message}"):
        layers.linear({"w": jnp.ones(w), "b": jnp.ones(b)}, x)


# ---------------------------------------------------------------- normalize


@pytest.mark.parametrize("leading", [(), (3,), (2, 4)])
def test_normalized_values_are_those_of_flax_and_of_the_loop(leading):
    x = 3 * normal(*leading, 7) + 2
    got = layers.normalize(jnp.asarray(x))
    theirs = flax.linen.LayerNorm(use_bias=False, use_scale=False, epsilon=1e-6).apply({}, x)
    np.testing.assert_allclose(got, np.asarray(theirs), rtol=1e-5, atol=1e-6)
    for place in np.ndindex(leading):
        row = x[place].astype(np.float64)
        np.testing.assert_allclose(got[place], (row - row.mean()) / np.sqrt(row.var() + 1e-6), rtol=1e-4, atol=1e-5)


def test_equal_values_become_zeros_with_a_finite_gradient():
    x = jnp.full((2, 5), 3.0)
    assert not layers.normalize(x).any()
    assert jnp.isfinite(jax.grad(lambda x: layers.normalize(x)[0, 0])(x)).all()


def test_whole_numbers_are_not_normalized():
    with pytest.raises(TypeError, match="normalize: x must be floating point, got int32"):
        layers.normalize(jnp.arange(3))


# ---------------------------------------------------------------- small products as sums


def operations(x, w, dot=layers.dot_as_sum):
    return {equation.primitive.name for equation in jax.make_jaxpr(dot)(x, w).eqns}


@pytest.mark.parametrize("leading", [(), (3,), (2, 4)])
def test_a_small_product_as_a_sum_has_the_same_value_and_gradient(leading):
    params = {"w": jnp.asarray(normal(5, 7)), "b": jnp.asarray(normal(5))}
    x = jnp.asarray(normal(*leading, 7))

    def objective(params, x, dot):
        return (layers.linear(params, x, dot=dot) ** 2).sum()

    found, expected = (
        jax.value_and_grad(objective, argnums=(0, 1))(params, x, dot) for dot in (layers.dot_as_sum, layers.dot_general)
    )
    assert "dot_general" not in operations(x, params["w"])
    assert "dot_general" in operations(x, params["w"], layers.dot_general)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), found, expected)


@pytest.mark.parametrize("normalize", [False, True])
def test_a_network_takes_the_product_it_is_given(normalize):
    def operations_of(model):
        params = model.init(jax.random.key(0))
        return str(jax.make_jaxpr(model.apply)(params, jnp.ones((2, 3))))

    assert "dot_general" not in operations_of(models.mlp(3, (4,), 2, normalize=normalize, dot=layers.dot_as_sum))
    assert "dot_general" not in operations_of(models.linear(3, 2, dot=layers.dot_as_sum))
    assert operations_of(models.mlp(3, (4,), 2, normalize=normalize)).count("dot_general") == 2


def test_a_large_product_and_one_of_unknown_size_stay_products():
    w = jnp.ones((32, 8))
    assert "dot_general" not in operations(jnp.ones((4, 8)), w)
    assert "dot_general" in operations(jnp.ones((5, 8)), w)
    batch = jax.ShapeDtypeStruct(jax.export.symbolic_shape("b, 8"), jnp.float32)
    exported = jax.export.export(jax.jit(lambda x: layers.dot_as_sum(x, w)))(batch)
    assert exported.call(jnp.ones((3, 8))).shape == (3, 32)


@pytest.mark.parametrize("dot", [layers.dot_general, layers.dot_as_sum])
def test_the_sum_of_products_of_16_bits_has_32(dot):
    """Whatever the device does inside a product of 16 bits, its result is asked for in 32."""
    found = jax.eval_shape(dot, jnp.ones((3, 5), jnp.bfloat16), jnp.ones((2, 5), jnp.bfloat16))
    assert (found.shape, found.dtype) == ((3, 2), jnp.float32)


def test_sums_of_numbers_of_16_bits_are_held_in_32():
    params = layers.Weights(w=jnp.full((1, 1000), 1 / 256, jnp.bfloat16), b=jnp.zeros(1, jnp.bfloat16))
    found = layers.linear(params, jnp.ones(1000, jnp.bfloat16), dot=layers.dot_as_sum)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), 1000 / 256, rtol=2**-8)


def test_sums_of_16_bits_are_held_in_32():
    """The sum of 3,000 ones: in bfloat16 itself it would stop at 256."""
    params: layers.Weights = {"w": jnp.ones((1, 3000), jnp.bfloat16), "b": jnp.zeros(1, jnp.bfloat16)}
    assert float(layers.linear(params, jnp.ones(3000, jnp.bfloat16))[0]) == 3008.0  # the nearest of 8 bits


def test_gradients_of_16_bits_are_products_of_16_bit_numbers_with_wide_sums():
    x, w, of_scores = (
        jax.random.normal(key, shape, jnp.bfloat16)
        for key, shape in zip(jax.random.split(jax.random.key(5), 3), [(2, 300, 6), (4, 6), (2, 300, 4)], strict=True)
    )

    def pull_back(x, w, of_scores):
        b = jnp.zeros(4, w.dtype)
        return jax.vjp(lambda x, w, b: layers.linear({"w": w, "b": b}, x), x, w, b)[1](of_scores)

    found = pull_back(x, w, of_scores)
    wide = [np.asarray(a, np.float64) for a in (x, w, of_scores)]
    expected = [wide[2] @ wide[1], np.einsum("abo,abi->oi", wide[2], wide[0]), wide[2].sum((0, 1))]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == jnp.bfloat16
        np.testing.assert_allclose(np.asarray(one, np.float64), other, rtol=2**-8, atol=1e-4)
    products = [e for e in jax.make_jaxpr(pull_back)(x, w, of_scores).eqns if e.primitive.name == "dot_general"]
    assert len(products) >= 2
    for product in products:
        assert {v.aval.dtype.name for v in product.invars} == {"bfloat16"}
        assert product.outvars[0].aval.dtype == jnp.float32
