"""Examples far from zero: what is subtracted loses no digits, and a warning says where float32 holds too few."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.data import preprocess

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(3000, 3)) * [1.0, 0.01, 30.0]
OFFSETS = [(0.0, 0.0, 0.0), (1e6, 1e4, -3e6), (1e8, 1e4, 1.7e9)]


def far(offset):
    return NOISE + np.asarray(offset)


def fitted(fit, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(*arguments)


@pytest.mark.parametrize("offset", OFFSETS)
def test_centering_float64_loses_no_digits(offset):
    x = far(offset)
    moments = fitted(preprocess.fit_moments, x)
    expected = x - x.mean(0)
    centered = np.asarray(preprocess.center(moments, x))
    assert centered.dtype == np.float32
    np.testing.assert_allclose(centered, expected, atol=1e-5 * NOISE.std(0).max())
    np.testing.assert_allclose(centered / NOISE.std(0), expected / NOISE.std(0), atol=2e-6)
    np.testing.assert_allclose(preprocess.standardize(moments, x), expected / x.std(0), atol=2e-6)
    np.testing.assert_allclose(preprocess.standardize(moments, x[0]), (expected / x.std(0))[0], atol=2e-6)


@pytest.mark.parametrize("offset", OFFSETS)
def test_projections_of_float64_lose_no_digits(offset):
    x = far(offset)
    principal = fitted(preprocess.fit_pca, x)
    expected = (x - x.mean(0)) @ np.asarray(principal.components, np.float64).T
    np.testing.assert_allclose(preprocess.pca(principal, x), expected, atol=3e-4)  # of a spread of 30
    whitened = np.asarray(preprocess.whiten(principal, x, 0.0), np.float64)
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(3), atol=2e-3)


def test_all_times_of_one_hour_stay_apart():
    times = 1_700_000_000.0 + np.arange(300.0)[:, None]
    moments = fitted(preprocess.fit_moments, times)
    assert len(np.unique(np.asarray(preprocess.standardize(moments, times)))) == 300


@pytest.mark.parametrize("jitted", [False, True])
def test_float64_on_the_device_loses_no_digits_either(jitted):
    x = far(OFFSETS[2])
    with jax.enable_x64(True):
        moments = fitted(preprocess.fit_moments, x)
        center = jax.jit(preprocess.center) if jitted else preprocess.center
        centered = np.asarray(center(moments, jnp.asarray(x)))
        gradient = jax.grad(lambda x: preprocess.standardize(moments, x).sum())(jnp.asarray(x[:2]))
    np.testing.assert_allclose(centered / NOISE.std(0), (x - x.mean(0)) / NOISE.std(0), atol=2e-6)
    np.testing.assert_allclose(gradient, np.broadcast_to(1 / x.std(0), (2, 3)), rtol=1e-5)


def test_float32_examples_lose_nothing_but_their_own_rounding():
    x = far((1e4, 50.0, -1e5)).astype(np.float32)
    moments = preprocess.fit_moments(x)
    exact = x.astype(np.float64) - x.astype(np.float64).mean(0)
    for center in (preprocess.center, jax.jit(preprocess.center)):
        centered = np.asarray(center(moments, jnp.asarray(x)))
        np.testing.assert_allclose(centered / NOISE.std(0), exact / NOISE.std(0), atol=2e-6)


def test_images_are_centered_as_ever_bit_for_bit():
    images = RNG.integers(0, 256, (50, 4, 4, 3), dtype=np.uint8)
    moments, principal = preprocess.fit_moments(images), preprocess.fit_pca(images)
    assert moments.mean_low is None
    assert principal.mean_low is None
    assert len(jax.tree.leaves(moments)) == 2  # a saved classifier holds the same arrays
    plain = images.astype(np.float32) - np.asarray(moments.mean)
    np.testing.assert_array_equal(preprocess.center(moments, images), plain)
    np.testing.assert_array_equal(preprocess.standardize(moments, images), plain * (1 / np.asarray(moments.std)))


@pytest.mark.parametrize("fit", [preprocess.fit_moments, preprocess.fit_pca])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_warning_names_the_feature_that_float32_holds_too_coarsely(fit, dtype):
    x = np.stack([RNG.normal(size=500), 1e6 + RNG.normal(size=500), np.full(500, 1e7 + 0.1)], 1)
    with pytest.warns(UserWarning, match=r"feature 1 has mean .* and std .* 0\.06\d* std only: subtract a constant"):
        fit(x.astype(dtype))
    fit(np.delete(x, 1, axis=1).astype(dtype))  # a constant is no trouble
    fit(np.stack([x[:, 0] + 6e4, x[:, 0]], 1).astype(dtype))


def test_a_saved_classifier_keeps_both_parts(tmp_path):
    from experiments.classifier.config import Settings
    from experiments.classifier.results import Classifier
    from experiments.classifier.saved_classifier import Described, read_classifier
    from experiments.cli import files

    x = far((1e4, 3.0, 0.1))
    params = [{"w": jnp.ones((2, 3)), "b": jnp.zeros(2)}]
    for statistics in (fitted(preprocess.fit_moments, x), preprocess.Moments(jnp.ones(3), jnp.ones(3))):
        files.write_arrays(tmp_path / "classifier.npz", Classifier(statistics, params))
        described = Described(Settings(model="linear"), ("a", "b"), (3,))
        found = read_classifier(tmp_path, described).classifier.statistics
        assert jax.tree.structure(found) == jax.tree.structure(statistics)
        for one, other in zip(found, statistics, strict=True):
            if other is not None:
                np.testing.assert_array_equal(one, other)
