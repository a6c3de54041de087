import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import layers

KEY = jax.random.key(0)
RATES = [0.1, 1 / 3, 0.5, 0.9]


def rounded(rate):
    return np.float64(round(rate * 2**24) / 2**24)


def scale(rate):
    return np.float32(1) / np.float32(1 - rounded(rate))


def masks(shape, rate, count):
    """bool[count, *shape]: what `count` keys keep."""
    dropped = jax.jit(jax.vmap(lambda key: layers.dropout(key, jnp.ones(shape), rate)))
    return np.asarray(dropped(jax.random.split(KEY, count)) != 0)


@pytest.mark.parametrize("shape", [(), (7,), (12,), (2, 1, 3, 5)], ids=str)
def test_share_and_scale_of_what_is_kept(shape):
    count = 40_000 // math.prod(shape)
    x = np.random.default_rng(1).uniform(1, 2, shape).astype(np.float32)
    drop = jax.jit(jax.vmap(lambda key, rate: layers.dropout(key, x, rate), in_axes=(0, None)))
    for rate in RATES:
        y = drop(jax.random.split(KEY, count), rate)
        assert y.shape == (count, *shape)
        kept = np.asarray(y) != 0
        np.testing.assert_allclose(y, np.where(kept, x * scale(rate), np.float32(0)), rtol=3e-7)
        spread = math.sqrt(rate * (1 - rate))
        assert abs(kept.mean() - (1 - rate)) < 5 * spread / math.sqrt(kept.size)
        assert (np.abs(kept.mean(0) - (1 - rate)) < 5 * spread / math.sqrt(count)).all()  # of each place
        # E[y] = x at each place; the standard deviation of y is x * sqrt(rate / (1 - rate))
        error = np.abs(np.asarray(y, np.float64).mean(0) - x)
        assert (error < 5 * x * math.sqrt(rate / (1 - rate) / count)).all()


@pytest.mark.parametrize("shape", [(6,), (7,), (2, 4)], ids=str)
def test_places_are_independent(shape):
    """Also those that share a random word: place i and place i + half of the last axis."""
    kept = masks(shape, 0.3, 40_000).reshape(40_000, -1)
    correlation = np.corrcoef(kept.T)
    off_diagonal = correlation[~np.eye(len(correlation), dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / math.sqrt(40_000)


def test_keys():
    one, again, other = (layers.dropout(jax.random.key(seed), jnp.ones(40_000), 0.5) != 0 for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert abs(float((one == other).mean()) - 0.5) < 5 * 0.5 / math.sqrt(40_000)


def test_gradient_is_exactly_zero_where_dropped_and_the_scale_where_kept():
    x = jnp.linspace(-2, 3, 300)
    y, pull = jax.vjp(lambda x: layers.dropout(KEY, x, 0.4), x)
    np.testing.assert_allclose(pull(jnp.ones(300))[0], np.where(y == 0, np.float32(0), scale(0.4)), rtol=3e-7)
    assert 80 < int((y == 0).sum()) < 160


def test_what_is_dropped_is_zero_whatever_it_was():
    x = jnp.array([jnp.inf, jnp.nan, -jnp.inf, 1.0] * 75)
    y = layers.dropout(KEY, x, 0.5)
    kept = layers.dropout(KEY, jnp.ones(300), 0.5) != 0
    np.testing.assert_array_equal(y, jnp.where(kept, x * 2, 0))


@pytest.mark.parametrize("rate", [0, 0.0, np.float32(0), jnp.zeros(())])
def test_rate_zero_is_the_identity(rate):
    x = jnp.arange(5.0)
    assert layers.dropout(KEY, x, rate) is x


def test_a_traced_rate_compiles_once_and_equals_the_concrete_one():
    traces = []

    @jax.jit
    def traced(x, rate):
        traces.append(rate)
        return layers.dropout(KEY, x, rate)

    x = jnp.asarray(np.random.default_rng(0).normal(size=300), jnp.float32)
    for rate in (0.0, 1e-9, 0.25, 1 / 3, 0.999):
        np.testing.assert_allclose(traced(x, rate), layers.dropout(KEY, x, rate), rtol=3e-7)
    np.testing.assert_array_equal(traced(x, 0.0), x)
    assert len(traces) == 1


def test_more_is_dropped_at_a_higher_rate():
    kept = [layers.dropout(KEY, jnp.ones(300), rate) != 0 for rate in (0.2, 0.6, 0.95)]
    assert bool((kept[0] >= kept[1]).all() and (kept[1] >= kept[2]).all())  # of one key, the same and more


def test_the_extreme_rates():
    """The rate is rounded to a multiple of 2**-24: even the highest keeps some, the lowest drops none."""
    x = jnp.ones(2_000_000)
    y = layers.dropout(KEY, x, 1 - 2**-16)
    assert 5 < int((y != 0).sum()) < 80  # 30 are expected
    assert float(y.max()) == 2.0**16
    y = jax.jit(layers.dropout)(KEY, x, jnp.float32(1 - 2**-24))
    assert set(y.tolist()) <= {0.0, 2.0**24}
    np.testing.assert_array_equal(layers.dropout(KEY, x, 2**-26), x)


def test_vmap_over_keys_is_the_loop():
    keys, x = jax.random.split(KEY, 4), jnp.ones((3, 5))
    loop = jnp.stack([layers.dropout(key, x, 0.5) for key in keys])
    np.testing.assert_array_equal(jax.vmap(lambda key: layers.dropout(key, x, 0.5))(keys), loop)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_dtype_is_preserved(dtype):
    y = layers.dropout(KEY, jnp.full(300, 3, dtype), 0.5)
    assert y.dtype == dtype
    assert set(y.tolist()) == {0.0, 6.0}


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_keeps_the_mean(rate, dtype):
    """A factor rounded to bfloat16 would be off by up to 0.2 %, for all values alike."""
    x = jax.random.uniform(jax.random.key(1), (200_000,), jnp.float32, 1.0, 2.0).astype(dtype)
    y = jax.jit(layers.dropout)(KEY, x, rate)
    kept = np.asarray(y) != 0
    factors = np.asarray(y, np.float64)[kept] / np.asarray(x, np.float64)[kept]
    assert factors.mean() == pytest.approx(1 / (1 - rate), rel=1e-4)
    gradient = jax.grad(lambda x: layers.dropout(KEY, x, rate).astype(jnp.float32).sum())(x)
    assert gradient.dtype == dtype


def test_float32_is_bit_for_bit_the_product_with_the_scale():
    x = jnp.asarray(np.random.default_rng(0).normal(size=1000), jnp.float32)
    kept = np.asarray(layers.dropout(KEY, jnp.ones(1000), 0.1)) != 0
    np.testing.assert_array_equal(layers.dropout(KEY, x, 0.1), np.where(kept, np.asarray(x) * scale(0.1), 0))


def test_float64():
    with jax.enable_x64(True):
        y = layers.dropout(KEY, jnp.full(300, 1 / 3, jnp.float64), 0.5)
        assert y.dtype == jnp.float64
        assert set(y.tolist()) == {0.0, 2 / 3}


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4)], ids=str)
def test_nothing_to_drop(shape):
    assert layers.dropout(KEY, jnp.ones(shape), 0.5).shape == shape


@pytest.mark.parametrize(
    ("x", "rate", "error", "message"),
    [
        (jnp.ones(3), -0.1, ValueError, r"must be in \[0, 1\), got -0.1"),
        (jnp.ones(3), 1.0, ValueError, r"the fraction that is dropped and must be in \[0, 1\), got 1.0"),
        (jnp.ones(3), 1, ValueError, "got 1"),
        (jnp.ones(3), 50, ValueError, "got 50"),
        (jnp.ones(3), math.nan, ValueError, "got nan"),
        (jnp.ones(3), math.inf, ValueError, "got inf"),
        (jnp.ones(3), jnp.float32(2), ValueError, "got 2.0"),
        (jnp.ones(3), jnp.ones(3) / 2, ValueError, r"rate must be one number, got shape \[3\]"),
        (jnp.ones(3), None, TypeError, "rate must be a number, got None"),
        (jnp.ones(3), "0.5", TypeError, "rate must be a number, got '0.5'"),
        (jnp.ones(3, int), 0.5, TypeError, "x must be floating point, got int32"),
        (jnp.ones(3, jnp.uint8), 0.0, TypeError, "x must be floating point, got uint8"),
    ],
)
def test_wrong_inputs(x, rate, error, message):
    with pytest.raises(error, match=f"^dropout: .*{message}"):
        layers.dropout(KEY, x, rate)


def test_a_traced_rate_must_be_one_number():
    with pytest.raises(ValueError, match=r"rate must be one number, got shape \[2\]"):
        jax.jit(lambda rate: layers.dropout(KEY, jnp.ones(3), rate))(jnp.zeros(2))


def test_steps_layers_and_plain_seeds_are_independent():
    """Masks of keys that differ as little as those of a run do: by the step, by the layer, or by the seed."""
    steps = jax.vmap(jax.random.fold_in, (None, 0))(KEY, jnp.arange(8))
    layers_ = jax.vmap(jax.random.fold_in, (None, 0))(steps[0], jnp.arange(8))
    seeds = jax.vmap(jax.random.key)(jnp.arange(8))
    n = 60_000
    kept = jax.jit(jax.vmap(lambda key: layers.dropout(key, jnp.ones((200, 300)), 0.3) != 0))
    for keys in (steps, layers_, seeds):
        correlation = np.corrcoef(np.asarray(kept(keys)).reshape(8, n))
        assert np.abs(correlation[~np.eye(8, dtype=bool)]).max() < 4.5 / math.sqrt(n)


def test_neighbours_near_and_far_are_independent():
    n = 1 << 20
    kept = np.asarray(layers.dropout(KEY, jnp.ones((1024, n // 1024)), 0.5) != 0).ravel() * 2.0 - 1.0
    for lag in (1, 2, 3, 7, 8, 32, 127, 1024, 1025, 4096, 65536):
        assert abs((kept[lag:] * kept[:-lag]).mean()) < 4.5 / math.sqrt(n - lag), lag
    for i, j in ((1, 1024), (2, 2048), (511, 512), (1023, 65536)):  # corners of rectangles, four at a time
        corners = kept[: n - i - j] * kept[i : n - j] * kept[j : n - i] * kept[i + j :]
        assert abs(corners.mean()) < 4.5 / math.sqrt(len(corners)), (i, j)


def test_bytes_of_a_mask_are_evenly_spread():
    """Chi-square of 131,072 runs of eight places over the 256 patterns: 255 degrees of freedom, spread 22.6."""
    for seed in range(4):
        kept = np.asarray(layers.dropout(jax.random.key(seed), jnp.ones(1 << 20), 0.5) != 0)
        counts = np.bincount(np.packbits(kept), minlength=256)
        chi_square = ((counts - 512.0) ** 2 / 512.0).sum()
        assert abs(chi_square - 255) < 4.5 * 22.6


def test_the_mask_is_the_same_whatever_the_sharding():
    x = jnp.ones((64, 48))
    plain = layers.dropout(KEY, x, 0.5)
    mesh = jax.make_mesh((4, 2), ("rows", "columns"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    for axes in (("rows", "columns"), ("columns", None), (None, "rows")):
        sharding = jax.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
        parted = jax.jit(lambda x: layers.dropout(KEY, x, 0.5), out_shardings=sharding)(jax.device_put(x, sharding))
        assert parted.sharding.is_equivalent_to(sharding, 2)
        np.testing.assert_array_equal(parted, plain)
