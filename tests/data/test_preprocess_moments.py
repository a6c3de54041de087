"""Mean and standard deviation of the training split, and what is centered and standardized with them."""

import fractions
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from jaxnn.data import preprocess

GROUPS = ("pixel", "channel", "global")


def random_images(seed: int = 0, shape: tuple[int, ...] = (40, 6, 5, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def reference_moments(train: np.ndarray, per: str) -> tuple[np.ndarray, np.ndarray]:
    """Exact fractions, one statistic at a time: no floating point before the square root."""
    rows = {
        "pixel": train.reshape(len(train), -1).T,
        "channel": train.reshape(-1, train.shape[-1]).T,
        "global": train.reshape(1, -1),
    }[per]
    means, stds = [], []
    for values in rows:
        exact = [fractions.Fraction(value.item()) for value in values]
        mean = sum(exact, fractions.Fraction(0)) / len(exact)
        variance = sum(((value - mean) ** 2 for value in exact), fractions.Fraction(0)) / len(exact)
        means.append(float(mean))
        stds.append(math.sqrt(variance) or 1.0)
    shape = {"pixel": train.shape[1:], "channel": train.shape[-1:], "global": ()}[per]
    return np.reshape(means, shape), np.reshape(stds, shape)


@pytest.mark.parametrize("per", GROUPS)
@settings(max_examples=25, deadline=None)
@given(
    train=st.one_of(
        hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)),
        hnp.arrays(
            np.float32,
            hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
            elements=st.floats(-1e3, 1e3, width=32, allow_subnormal=False),
        ),
    )
)
def test_moments_are_those_of_exact_fractions(per, train):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fit_moments")  # of numbers that lie close together
        moments = preprocess.fit_moments(train, per)
    mean, std = reference_moments(train, per)
    assert moments.mean.shape == moments.std.shape == mean.shape
    assert moments.mean.dtype == moments.std.dtype == jnp.float32
    std = np.where(std < np.finfo(np.float32).tiny, 1.0, std)
    np.testing.assert_allclose(moments.mean, mean.astype(np.float32), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(moments.std, std.astype(np.float32), rtol=1e-6)


@pytest.mark.parametrize("per", GROUPS)
def test_moments_of_uint8_are_correctly_rounded_over_many_blocks(per):
    # 3000 rows are three blocks; 255 everywhere but in one value is where sums of squares in floats go wrong
    train = np.full((3000, 2, 2, 2), 255, np.uint8)
    train[1234, 0, 1, 0] = 254
    moments = preprocess.fit_moments(train, per)
    mean, std = reference_moments(train, per)
    np.testing.assert_array_equal(moments.mean, mean.astype(np.float32))
    np.testing.assert_array_equal(moments.std, std.astype(np.float32))


def test_sums_do_not_overflow_at_the_size_of_a_real_dataset():
    # n * sum(x^2) is 1.9e19 here, beyond int64
    train = np.full((8, 1000, 1000, 3), 255, np.uint8)
    train[:4] = 0
    moments = preprocess.fit_moments(train, "global")
    assert float(moments.mean) == 127.5
    assert float(moments.std) == 127.5


def test_floats_keep_their_digits_far_from_zero():
    # the one-pass formula in float64 would lose every digit of this std
    signs = np.where(np.arange(2000) % 2, 1.0, -1.0)
    train = np.stack([1e9 + signs * 1e-3, 5 + signs], axis=1)
    with pytest.warns(UserWarning, match="feature 0"):
        moments = preprocess.fit_moments(train)
    np.testing.assert_allclose(moments.std, [1e-3, 1.0], rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_moments_agree_with_standard_scaler_with_constant_pixels(dtype):
    train = np.asarray(load_digits(return_X_y=True)[0])[:900].astype(dtype)
    scaler = StandardScaler().fit(train.astype(np.float64))
    moments = preprocess.fit_moments(train)
    assert (np.ptp(train, axis=0) == 0).any()
    np.testing.assert_allclose(moments.mean, np.asarray(scaler.mean_, np.float64), rtol=1e-6)
    np.testing.assert_allclose(moments.std, np.asarray(scaler.scale_, np.float64), rtol=1e-6)
    expected = np.asarray(scaler.transform(train[:50].astype(np.float64)), np.float64)
    np.testing.assert_allclose(preprocess.standardize(moments, train[:50]), expected, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-30, 3e38])
@pytest.mark.parametrize("per", GROUPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_features_have_std_one_and_standardize_to_zero(value, per, dtype):
    train = np.full((1500, 2, 3), value, dtype)
    moments = preprocess.fit_moments(train, per)
    np.testing.assert_array_equal(moments.std, 1.0)
    np.testing.assert_array_equal(preprocess.standardize(moments, train), 0.0)


@pytest.mark.parametrize("per", GROUPS)
def test_standardized_training_split_has_mean_zero_and_std_one(per):
    train = random_images(shape=(500, 4, 4, 3))
    axes = {"pixel": (0,), "channel": (0, 1, 2), "global": None}[per]
    moments = preprocess.fit_moments(train, per)
    standardized = np.asarray(preprocess.standardize(moments, train), np.float64)
    np.testing.assert_allclose(standardized.mean(axes), 0, atol=1e-6)
    np.testing.assert_allclose(standardized.std(axes), 1, rtol=1e-6)
    centered = np.asarray(preprocess.center(moments, train), np.float64)
    np.testing.assert_allclose(centered.mean(axes), 0, atol=1e-4)
    np.testing.assert_allclose(centered.std(axes), moments.std, rtol=1e-6)


@pytest.mark.parametrize("function", [preprocess.center, preprocess.standardize])
@pytest.mark.parametrize("per", GROUPS)
def test_any_leading_axes_jit_and_vmap_give_the_same(function, per):
    train = random_images()
    moments = preprocess.fit_moments(train, per)
    whole = function(moments, train)
    assert whole.dtype == jnp.float32
    np.testing.assert_array_equal(function(moments, train[3]), whole[3])
    np.testing.assert_array_equal(function(moments, train.reshape(8, 5, 6, 5, 3)), whole.reshape(8, 5, 6, 5, 3))
    np.testing.assert_allclose(jax.jit(function)(moments, train), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(function, (None, 0))(moments, jnp.asarray(train)), whole, atol=1e-6)
    np.testing.assert_allclose(function(moments, train.astype(np.float32)), whole, atol=1e-6)


def test_gradient_of_standardize_is_one_over_std():
    train = random_images(shape=(30, 7))
    moments = preprocess.fit_moments(train)
    gradient = jax.grad(lambda x: preprocess.standardize(moments, x).sum())(jnp.ones((2, 7)))
    np.testing.assert_allclose(gradient, np.broadcast_to(1 / train.std(axis=0), (2, 7)), rtol=1e-5)


def test_standardize_compiles_to_one_pass_over_the_batch():
    moments = preprocess.fit_moments(random_images(shape=(30, 3072)))
    batch = jnp.asarray(random_images(shape=(256, 3072)))
    text = jax.jit(preprocess.standardize).lower(moments, batch).compile().as_text()
    assert text is not None
    entry = text[text.index("\nENTRY") :]
    assert entry.count("f32[256,3072]{1,0} ") == 1, entry  # the result, and no intermediate of its size
