"""Hessian-vector products, Lanczos and loss planes, against the full Hessian and finite differences; the lesson."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import losses, models
from jaxnn.inspect import _curvature as curvature

MODEL = models.mlp(4, (5,), 3, activation=jnp.tanh)
X = jax.random.normal(jax.random.key(0), (20, 4))
Y = jnp.arange(20) % 3
PARAMS = MODEL.init(jax.random.key(1))
FLAT, UNRAVEL = jax.flatten_util.ravel_pytree(PARAMS)


def loss(params):
    return losses.softmax(MODEL.apply(params, X), Y).mean() + 0.01 * losses.l2(params)


@pytest.fixture(scope="module")
def hessian():
    """The whole Hessian of the small net, 43 x 43, as NumPy has it in float64."""
    full = jax.jit(jax.hessian(lambda flat: loss(UNRAVEL(flat))))(FLAT)
    return np.asarray(full, np.float64)


def test_the_product_is_that_with_the_whole_hessian(hessian):
    direction = jax.random.normal(jax.random.key(2), FLAT.shape)
    product = curvature._hessian_product(loss, PARAMS, UNRAVEL(direction))
    np.testing.assert_allclose(jax.flatten_util.ravel_pytree(product)[0], hessian @ direction, atol=1e-5)


@pytest.mark.parametrize("iterations", [27, 43, 100])
def test_the_eigenvalues_are_those_of_numpy(hessian, iterations):
    exact = np.linalg.eigvalsh(hessian)[::-1]
    found = curvature.top_eigenvalues(loss, PARAMS, jax.random.key(3), 3, iterations=iterations)
    np.testing.assert_allclose(found.values, exact[:3], rtol=1e-3)
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert np.abs(exact - value).min() <= 2 * residual + 1e-5


def test_other_arguments_of_the_loss_compile_once(compiled):
    def square(params, scale):
        return 0.5 * (scale * params**2).sum()

    for scale, top in (([3.0, 1.0, 0.5], 3), ([0.5, 7.0, 1.0], 7)):
        found = curvature.top_eigenvalues(square, jnp.ones(3), jax.random.key(0), 1, jnp.array(scale), iterations=3)
        np.testing.assert_allclose(found.values, [top], rtol=1e-5)
    with jax.log_compiles():
        compiled()
        curvature.top_eigenvalues(square, jnp.ones(3), jax.random.key(0), 1, jnp.array([1.0, 2.0, 9.0]), iterations=3)
        assert not [name for name in compiled() if "lanczos" in name]
        other = jnp.ones(4)
        curvature.top_eigenvalues(lambda p: (p**2).sum(), other, jax.random.key(0), 1, iterations=3)
        assert [name for name in compiled() if "lanczos" in name]


def quadratic(params, matrix):
    return 0.5 * params @ (matrix @ params)


@pytest.mark.parametrize("iterations", [4, 10])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_repeated_eigenvalue_is_found_as_often_as_it_occurs(count, iterations):
    matrix = jnp.diag(jnp.array([5.0, 5.0, 5.0, 2.0]))
    found = curvature.top_eigenvalues(quadratic, jnp.ones(4), jax.random.key(0), count, matrix, iterations=iterations)
    np.testing.assert_allclose(found.values, [5, 5, 5, 2][:count], rtol=1e-5)
    assert (found.residuals < 1e-4).all()


def test_repeated_eigenvalues_of_a_large_matrix_are_found_in_few_iterations():
    """Long before the space of all parameters is exhausted."""
    values = np.concatenate([[9, 9, 9, 7, 7], np.linspace(0, 1, 295)]).astype(np.float32)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(300, 300)))[0]
    matrix = jnp.asarray((basis * values) @ basis.T, jnp.float32)
    found = curvature.top_eigenvalues(quadratic, jnp.ones(300), jax.random.key(1), 5, matrix, iterations=40)
    np.testing.assert_allclose(found.values, values[:5], rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("size", "count", "iterations"), [(3, 3, 3), (8, 3, 8), (30, 4, 12), (30, 4, 30)])
def test_values_are_bounds_and_residuals_hold(seed, size, count, iterations):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
    exact = np.sort(rng.integers(-3, 6, size))[::-1]  # many repeat
    matrix = jnp.asarray((basis * exact) @ basis.T, jnp.float32)
    key = jax.random.key(seed)
    found = curvature.top_eigenvalues(quadratic, jnp.ones(size), key, count, matrix, iterations=iterations)
    assert (found.values <= exact[:count] + 1e-4).all()
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert np.abs(exact - value).min() <= residual + 1e-4
    if iterations == size:
        np.testing.assert_allclose(found.values, exact[:count], atol=1e-4)


def test_a_hessian_with_few_directions_invents_no_eigenvalues():
    """In an invariant space the next vector is rounding error."""
    matrix = jnp.diag(jnp.array([3.0, 3.0, 1.0, 0.0, 0.0, 0.0]))
    found = curvature.top_eigenvalues(quadratic, jnp.ones(6), jax.random.key(0), 4, matrix, iterations=6)
    np.testing.assert_allclose(found.values, [3, 3, 1, 0], atol=1e-5)
    nothing = curvature.top_eigenvalues(quadratic, jnp.ones(6), jax.random.key(0), 3, 0 * matrix, iterations=6)
    np.testing.assert_allclose(nothing.values, 0, atol=1e-6)


@pytest.mark.parametrize(("dtype", "rtol"), [(jnp.bfloat16, 1e-2), (jnp.float64, 1e-12)])
def test_parameters_in_other_precisions(dtype, rtol):
    with jax.enable_x64(True):
        matrix = jnp.diag(jnp.array([5.0, 5.0, 1.0, 0.5], dtype))
        found = curvature.top_eigenvalues(quadratic, jnp.ones(4, dtype), jax.random.key(0), 3, matrix)
    np.testing.assert_allclose(found.values, [5, 5, 1], rtol=rtol)


def test_the_largest_rate():
    np.testing.assert_array_equal(curvature.largest_rate(np.array([2.0, 0.5, -1.0, 0.0])), [1, 4, np.inf, np.inf])
    with pytest.raises(ValueError, match="count"):
        curvature.top_eigenvalues(loss, PARAMS, jax.random.key(0), 5, iterations=4)


def test_directions_are_as_large_as_the_neurons():
    direction = curvature.filter_direction(jax.random.key(4), PARAMS)
    for part, weights in zip(direction, PARAMS, strict=True):
        np.testing.assert_allclose(np.linalg.norm(part["w"], axis=1), np.linalg.norm(weights["w"], axis=1), rtol=1e-5)
        assert not part["b"].any()
        assert float(jnp.abs(part["w"] - weights["w"]).max()) > 0.1


def test_the_plane_holds_the_loss_of_each_place():
    first, second = (curvature.filter_direction(jax.random.key(i), PARAMS) for i in (5, 6))
    a, b = np.array([-1.0, 0.0, 0.5]), np.array([0.0, 2.0])
    plane = curvature.loss_plane(loss, PARAMS, first, second, a, b)
    assert plane.shape == (3, 2)
    for i, u in enumerate(a.tolist()):
        for j, v in enumerate(b.tolist()):
            moved = jax.tree.map(lambda p, d, e, u=u, v=v: p + u * d + v * e, PARAMS, first, second)
            assert float(plane[i, j]) == pytest.approx(float(loss(moved)), rel=1e-5)
    assert float(plane[1, 0]) == pytest.approx(float(loss(PARAMS)), rel=1e-6)
    with pytest.raises(ValueError, match="along_first"):
        curvature.loss_plane(loss, PARAMS, first, second, 1.0, b)


def test_a_direction_for_weights_of_flax_is_scaled_for_each_neuron_as_well():
    kernel = jax.random.normal(jax.random.key(0), (3, 3, 2, 5)) * jnp.arange(1.0, 6.0)[None, None, None]
    params = {"Conv_0": {"kernel": kernel, "bias": jnp.ones(5)}}
    direction = curvature.filter_direction(jax.random.key(1), params)["Conv_0"]
    np.testing.assert_allclose(
        np.linalg.norm(np.asarray(direction["kernel"]).reshape(18, 5), axis=0),
        np.linalg.norm(np.asarray(kernel).reshape(18, 5), axis=0),
        rtol=1e-5,
    )
    assert not direction["bias"].any()
