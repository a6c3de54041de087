"""Principal directions of the training split, and what is projected on them and whitened."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from jaxnn.data import preprocess
from jaxnn.data.preprocess import PCAStatistics


def random_images(seed: int = 0, shape: tuple[int, ...] = (40, 6, 5, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return np.asarray(load_digits(return_X_y=True)[0]).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("components", [None, 10])
def test_principal_directions_are_those_of_scikit_learn(digits, dtype, components):
    train, test = digits[:1200], digits[1200:]
    reference = PCA(components, svd_solver="full").fit(train.astype(np.float64))
    principal = preprocess.fit_pca(train.astype(dtype), components)
    real = reference.explained_variance_ > 1e-9  # three pixels are constant: their directions are arbitrary
    count = int(real.sum())
    directions = np.asarray(reference.components_)
    assert principal.components.shape == directions.shape
    np.testing.assert_allclose(principal.mean, reference.mean_, rtol=1e-6)
    np.testing.assert_allclose(principal.std[:count], np.sqrt(reference.explained_variance_[real]), rtol=1e-6)
    np.testing.assert_array_equal(principal.std[count:], 0.0)
    np.testing.assert_allclose(principal.components[:count], directions[real], atol=1e-6)
    projected = preprocess.pca(principal, test.astype(dtype))
    np.testing.assert_allclose(projected[:, :count], np.asarray(reference.transform(test))[:, real], atol=1e-4)


def test_whiten_is_that_of_scikit_learn_and_has_unit_variance(digits):
    reference = PCA(40, svd_solver="full", whiten=True).fit(digits.astype(np.float64))
    principal = preprocess.fit_pca(digits, 40)
    whitened = np.asarray(preprocess.whiten(principal, digits, epsilon=0.0))
    np.testing.assert_allclose(whitened, reference.transform(digits), atol=1e-4)
    default = np.asarray(preprocess.whiten(principal, digits), np.float64)
    np.testing.assert_allclose(np.cov(default.T), np.eye(40), atol=1e-4)


def test_whiten_adds_epsilon_to_the_variance(digits):
    principal = preprocess.fit_pca(digits, 10)
    expected = np.asarray(preprocess.pca(principal, digits)) / np.sqrt(np.asarray(principal.std) ** 2 + 50.0)
    np.testing.assert_allclose(preprocess.whiten(principal, digits, 50.0), expected, rtol=1e-5, atol=1e-6)
    traced = jax.jit(preprocess.whiten)(principal, digits, jnp.float32(50.0))
    np.testing.assert_allclose(traced, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
def test_directions_without_variance_whiten_to_zero_with_finite_gradients(epsilon):
    plane = np.random.default_rng(0).normal(size=(200, 2)) @ np.random.default_rng(1).normal(size=(2, 6))
    principal = preprocess.fit_pca(plane)
    whitened = preprocess.whiten(principal, plane, epsilon)
    np.testing.assert_array_equal(principal.std[2:], 0.0)
    np.testing.assert_array_equal(whitened[:, 2:], 0.0)
    np.testing.assert_allclose(np.var(whitened[:, :2], axis=0, ddof=1), 1.0, rtol=1e-4)

    def total(principal: PCAStatistics, x: jax.Array) -> jax.Array:
        return preprocess.whiten(principal, x, epsilon).sum()

    gradients = jax.grad(total, argnums=(0, 1))(principal, jnp.asarray(plane, jnp.float32))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradients))


def test_fewer_examples_than_features():
    train = random_images(shape=(5, 4, 4, 3))
    principal = preprocess.fit_pca(train)
    assert principal.mean.shape == (4, 4, 3)
    assert principal.components.shape == (5, 48)
    assert float(principal.std[3]) > 1  # five points span four directions
    assert float(principal.std[4]) == 0.0
    rebuilt = preprocess.pca(principal, train) @ principal.components + principal.mean.reshape(1, 48)
    np.testing.assert_allclose(rebuilt, train.reshape(5, 48), atol=1e-3)


def test_principal_is_exact_over_many_blocks_and_for_the_largest_values():
    # 255 and 0 are the ends of the range that float32 sums of a block have to hold exactly
    train = np.where(np.random.default_rng(0).random((3000, 12)) < 0.5, 0, 255).astype(np.uint8)
    train[:, 1] = train[:, 0] ^ (np.arange(3000) % 500 == 0)  # nearly the same pixel: a tiny variance
    covariance = np.cov(train.astype(np.float64).T)
    principal = preprocess.fit_pca(train)
    np.testing.assert_allclose(np.square(principal.std), np.linalg.eigvalsh(covariance)[::-1], rtol=1e-6)
    again = preprocess.fit_pca(train)
    for one, other in zip(principal, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("function", [preprocess.pca, preprocess.whiten])
def test_images_and_flat_examples_project_alike(function):
    images = random_images(shape=(60, 4, 4, 3))
    flat = images.reshape(60, 48)
    of_images, of_flat = preprocess.fit_pca(images, 7), preprocess.fit_pca(flat, 7)
    assert of_images.mean.shape == (4, 4, 3)
    assert of_flat.mean.shape == (48,)
    expected = function(of_flat, flat)
    assert expected.shape == (60, 7)
    assert expected.dtype == jnp.float32
    for principal in (of_images, of_flat):
        for x in (images, flat):
            np.testing.assert_allclose(function(principal, x), expected, rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(jax.jit(function)(principal, x), expected, rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(
                function(principal, x.reshape(6, 10, *x.shape[1:])), expected.reshape(6, 10, 7), rtol=1e-5, atol=1e-4
            )
            np.testing.assert_allclose(function(principal, x[0]), expected[0], rtol=1e-5, atol=1e-4)
        mapped = jax.vmap(function, (None, 0))(principal, jnp.asarray(images))
        np.testing.assert_allclose(mapped, expected, rtol=1e-5, atol=1e-4)
