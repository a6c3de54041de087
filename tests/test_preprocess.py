import fractions
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from jaxnn.data import preprocess
from jaxnn.data.preprocess import Moments, Principal

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


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return np.asarray(load_digits(return_X_y=True)[0]).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("components", [None, 10])
def test_principal_directions_are_those_of_scikit_learn(digits, dtype, components):
    train, test = digits[:1200], digits[1200:]
    reference = PCA(components, svd_solver="full").fit(train.astype(np.float64))
    principal = preprocess.fit_principal(train.astype(dtype), components)
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
    principal = preprocess.fit_principal(digits, 40)
    whitened = np.asarray(preprocess.whiten(principal, digits, epsilon=0.0))
    np.testing.assert_allclose(whitened, reference.transform(digits), atol=1e-4)
    default = np.asarray(preprocess.whiten(principal, digits), np.float64)
    np.testing.assert_allclose(np.cov(default.T), np.eye(40), atol=1e-4)


def test_whiten_adds_epsilon_to_the_variance(digits):
    principal = preprocess.fit_principal(digits, 10)
    expected = np.asarray(preprocess.pca(principal, digits)) / np.sqrt(np.asarray(principal.std) ** 2 + 50.0)
    np.testing.assert_allclose(preprocess.whiten(principal, digits, 50.0), expected, rtol=1e-5, atol=1e-6)
    traced = jax.jit(preprocess.whiten)(principal, digits, jnp.float32(50.0))
    np.testing.assert_allclose(traced, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
def test_directions_without_variance_whiten_to_zero_with_finite_gradients(epsilon):
    plane = np.random.default_rng(0).normal(size=(200, 2)) @ np.random.default_rng(1).normal(size=(2, 6))
    principal = preprocess.fit_principal(plane)
    whitened = preprocess.whiten(principal, plane, epsilon)
    np.testing.assert_array_equal(principal.std[2:], 0.0)
    np.testing.assert_array_equal(whitened[:, 2:], 0.0)
    np.testing.assert_allclose(np.var(whitened[:, :2], axis=0, ddof=1), 1.0, rtol=1e-4)

    def total(principal: Principal, x: jax.Array) -> jax.Array:
        return preprocess.whiten(principal, x, epsilon).sum()

    gradients = jax.grad(total, argnums=(0, 1))(principal, jnp.asarray(plane, jnp.float32))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradients))


def test_fewer_examples_than_features():
    train = random_images(shape=(5, 4, 4, 3))
    principal = preprocess.fit_principal(train)
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
    principal = preprocess.fit_principal(train)
    np.testing.assert_allclose(np.square(principal.std), np.linalg.eigvalsh(covariance)[::-1], rtol=1e-6)
    again = preprocess.fit_principal(train)
    for one, other in zip(principal, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("function", [preprocess.pca, preprocess.whiten])
def test_images_and_flat_examples_project_alike(function):
    images = random_images(shape=(60, 4, 4, 3))
    flat = images.reshape(60, 48)
    of_images, of_flat = preprocess.fit_principal(images, 7), preprocess.fit_principal(flat, 7)
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


def bad_at(value: float) -> np.ndarray:
    train = np.zeros((1100, 2, 3), np.float32 if abs(value) < 3.5e38 or not math.isfinite(value) else np.float64)
    train[1050, 1, 2] = value
    return train


@pytest.mark.parametrize("fit", [preprocess.fit_moments, preprocess.fit_principal])
@pytest.mark.parametrize(
    ("train", "error", "message"),
    [
        (np.zeros((0, 4), np.uint8), ValueError, r"shape \(0, 4\)"),
        (np.zeros((4, 0), np.uint8), ValueError, r"shape \(4, 0\)"),
        (np.zeros(4, np.uint8), ValueError, r"shape \(4,\)"),
        (np.zeros((4, 2), np.int64), TypeError, "int64, expected uint8 or float"),
        (np.zeros((4, 2), bool), TypeError, "bool, expected uint8 or float"),
        (np.array([["a", "b"]]), TypeError, "expected uint8 or float"),
        (bad_at(math.nan), ValueError, r"train\[1050, 1, 2\] is nan"),
        (bad_at(math.inf), ValueError, r"train\[1050, 1, 2\] is inf"),
        (bad_at(-math.inf), ValueError, r"train\[1050, 1, 2\] is -inf"),
        (bad_at(1e300), ValueError, r"train\[1050, 1, 2\] is 1e\+300, expected .* float32"),
    ],
)
def test_bad_training_data(fit, train, error, message):
    with pytest.raises(error, match=message):
        fit(train)


@pytest.mark.parametrize(
    ("per", "message"),
    [
        ("pixels", "Did you mean 'pixel'"),
        ("chanel", "Did you mean 'channel'"),
        ("", "expected one of"),
        (3, "per is 3"),
    ],
)
def test_bad_grouping(per, message):
    with pytest.raises(ValueError, match=message):
        preprocess.fit_moments(random_images(), per)


@pytest.mark.parametrize(
    ("components", "error", "message"),
    [
        (0, ValueError, "components is 0, expected 1 to 5"),
        (6, ValueError, "components is 6, expected 1 to 5"),
        (-1, ValueError, "components is -1"),
        (2.0, TypeError, r"components is 2\.0"),
        (True, TypeError, "components is True"),
        ("3", TypeError, "components is '3'"),
    ],
)
def test_bad_components(components, error, message):
    with pytest.raises(error, match=message):
        preprocess.fit_principal(random_images(shape=(5, 9)), components)


def test_one_example_has_no_principal_directions():
    with pytest.raises(ValueError, match="1 example"):
        preprocess.fit_principal(random_images(shape=(1, 9)))


MOMENTS = Moments(jnp.zeros((4, 4, 3)), jnp.ones((4, 4, 3)))
CHANNELS = Moments(jnp.zeros(3), jnp.ones(3))
PRINCIPAL = Principal(jnp.zeros((4, 4, 3)), jnp.ones((2, 48)), jnp.ones(2))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("function", "statistics", "shape", "dtype", "error", "message"),
    [
        (preprocess.center, MOMENTS, (2, 48), jnp.uint8, ValueError, r"\(2, 48\), expected \[\.\.\., 4, 4, 3\]"),
        (preprocess.standardize, MOMENTS, (4, 3), jnp.uint8, ValueError, r"\(4, 3\), expected"),
        (preprocess.standardize, MOMENTS, (2, 4, 4, 1), jnp.uint8, ValueError, r"\(2, 4, 4, 1\), expected"),
        (preprocess.center, MOMENTS, (2, 4, 3, 4), jnp.uint8, ValueError, r"\(2, 4, 3, 4\), expected"),
        (preprocess.standardize, CHANNELS, (2, 48), jnp.uint8, ValueError, r"\(2, 48\), expected \[\.\.\., 3\]"),
        (preprocess.standardize, CHANNELS, (2, 4, 4, 1), jnp.uint8, ValueError, "reshape x"),
        (preprocess.center, CHANNELS, (2, 3), jnp.int32, TypeError, "int32, expected uint8 or float"),
        (preprocess.pca, PRINCIPAL, (2, 47), jnp.uint8, ValueError, r"\(2, 47\), expected .* flat \[\.\.\., 48\]"),
        (preprocess.pca, PRINCIPAL, (2, 4, 3, 4), jnp.uint8, ValueError, r"\(2, 4, 3, 4\), expected"),
        (preprocess.whiten, PRINCIPAL, (), jnp.float32, ValueError, r"\(\), expected"),
        (preprocess.whiten, PRINCIPAL, (2, 48), jnp.int32, TypeError, "int32, expected uint8 or float"),
    ],
)
def test_bad_inputs_are_refused_while_tracing(compiled, function, statistics, shape, dtype, error, message):
    with pytest.raises(error, match=message):
        (jax.jit(function) if compiled else function)(statistics, jnp.zeros(shape, dtype))


@pytest.mark.parametrize("epsilon", [-1e-5, math.nan, math.inf, np.ones(2)])
def test_bad_epsilon(epsilon):
    with pytest.raises(ValueError, match="epsilon is"):
        preprocess.whiten(PRINCIPAL, jnp.zeros((2, 48)), epsilon)
