"""What preprocessing refuses, and how it says so."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.data import preprocess
from jaxnn.data.preprocess import Moments, PCAStatistics


def random_images(seed: int = 0, shape: tuple[int, ...] = (40, 6, 5, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def bad_at(value: float) -> np.ndarray:
    train = np.zeros((1100, 2, 3), np.float32 if abs(value) < 3.5e38 or not math.isfinite(value) else np.float64)
    train[1050, 1, 2] = value
    return train


@pytest.mark.parametrize("fit", [preprocess.fit_moments, preprocess.fit_pca])
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
        preprocess.fit_pca(random_images(shape=(5, 9)), components)


def test_one_example_has_no_principal_directions():
    with pytest.raises(ValueError, match="1 example"):
        preprocess.fit_pca(random_images(shape=(1, 9)))


MOMENTS = Moments(jnp.zeros((4, 4, 3)), jnp.ones((4, 4, 3)))
CHANNELS = Moments(jnp.zeros(3), jnp.ones(3))
PRINCIPAL = PCAStatistics(jnp.zeros((4, 4, 3)), jnp.ones((2, 48)), jnp.ones(2))


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
