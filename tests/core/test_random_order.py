import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxnn._random import ROUNDS, ROUNDS_OF_SMALL, _grid, permutation, permutation_at

KEY = jax.random.key(0)


def many(sizes, count):
    """{n: i32[count, n]}: the permutations of `count` keys, all in one program."""
    orders = jax.jit(jax.vmap(lambda key: {n: permutation(key, n) for n in sizes}))(jax.random.split(KEY, count))
    return jax.tree.map(np.asarray, orders)


@pytest.fixture(scope="module")
def small():
    return many((2, 3, 4, 5, 6, 9), 20_000)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 17, 31, 101, 300])
def test_it_is_a_permutation(n):
    keys = jax.random.split(jax.random.key(0, impl="rbg"), 20)  # quicker to compile than threefry
    orders = jax.jit(lambda keys: jax.lax.map(lambda key: permutation(key, n), keys))(keys)
    assert (orders.shape, orders.dtype) == ((20, n), jnp.int32)
    np.testing.assert_array_equal(np.sort(orders), np.broadcast_to(np.arange(n), (20, n)))


def test_it_is_a_permutation_of_fifty_thousand():
    order = jax.jit(permutation, static_argnums=1)(KEY, 50_000)
    np.testing.assert_array_equal(np.sort(order), np.arange(50_000))
    # at random, the mean distance moved is n / 3, with a spread of about n * sqrt(1 / 18 / n)
    assert abs(np.abs(order - np.arange(50_000)).mean() / 50_000 - 1 / 3) < 5 * math.sqrt(1 / 18 / 50_000)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_every_order_is_as_likely(small, n):
    orders = small[n]
    numbers = {order: i for i, order in enumerate(itertools.permutations(range(n)))}
    counts = np.bincount([numbers[tuple(order)] for order in orders], minlength=len(numbers))
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_every_place_gets_every_number_as_often(small):
    for place in range(9):
        assert scipy.stats.chisquare(np.bincount(small[9][:, place], minlength=9)).pvalue > 1e-4


def test_odd_orders_are_as_likely_as_even_ones(small):
    """With a grid of 3 x 3 every shift would be an even permutation."""
    first, second = np.triu_indices(9, 1)
    inversions = (small[9][:, first] > small[9][:, second]).sum(1)
    assert abs((inversions % 2).mean() - 0.5) < 5 * 0.5 / math.sqrt(20_000)


def test_no_trace_of_the_old_order_in_a_thousand():
    n, count = 1000, 1000
    orders = many((n,), count)[n]
    pairs = n * count
    # Of neighbours: how often they were neighbours before (2 (n-1) of n (n-1) pairs), and how often they ascend.
    steps = np.diff(orders, axis=1)
    neighbours = (np.abs(steps) == 1).sum()
    assert abs(neighbours - 2 * pairs / n) < 5 * math.sqrt(2 * pairs / n)
    assert abs((steps > 0).mean() - 1 / 2) < 5 * 0.5 / math.sqrt(pairs)
    # Fixed points: one in each order on average.
    assert abs((orders == np.arange(n)).sum() - count) < 5 * math.sqrt(count)
    # The place of one number among 20 bins, and the mean of every place.
    assert scipy.stats.chisquare(np.bincount(orders[:, 0] // 50, minlength=20)).pvalue > 1e-3
    assert scipy.stats.chisquare(np.bincount(orders[:, 777] // 50, minlength=20)).pvalue > 1e-3
    z = (orders.mean(0) - (n - 1) / 2) / math.sqrt((n * n - 1) / 12 / count)
    assert np.abs(z).max() < 5
    assert abs(z.std() - 1) < 0.2


def test_pairs_of_places_are_independent():
    """Also the two at a distance of one row of the grid, which the network moves by the same amounts at first."""
    n, count = 100, 4000
    orders = many((n,), count)[n]
    correlation = np.corrcoef(orders.T)
    off_diagonal = correlation[~np.eye(n, dtype=bool)]
    assert np.abs(off_diagonal + 1 / (n - 1)).max() < 5.5 / math.sqrt(count)

    # Other keys give other orders, one key the same again: eager, jitted and under vmap.
    assert (orders[0] != orders[1]).sum() > 80
    first, second, *_ = jax.random.split(KEY, count)
    np.testing.assert_array_equal(permutation(first, n), orders[0])
    np.testing.assert_array_equal(jax.jit(permutation, static_argnums=1)(second, n), orders[1])


def test_of_every_length_to_a_thousand_places_are_uniform_and_two_orders_independent():
    random, firsts = np.random.default_rng(0), []
    for n in range(1, 1001):
        shape = ROUNDS if n > 100 else ROUNDS_OF_SMALL, sum(_grid(n))
        two = [permutation_at(np.arange(n), random.integers(0, 2**32, shape, np.uint32), n) for _ in range(2)]
        assert (np.sort(two, axis=1) == np.arange(n)).all()
        if n > 10:
            firsts.append([(order[n // 2] + random.uniform()) / n for order in two])
    firsts = np.array(firsts)
    assert min(scipy.stats.kstest(places, "uniform").pvalue for places in firsts.T) > 1e-3
    assert abs(np.corrcoef(firsts.T)[0, 1]) < 4 / math.sqrt(len(firsts))


@pytest.mark.parametrize("n", [0, -3])
def test_wrong_sizes(n):
    with pytest.raises(ValueError, match=f"n must be at least 1, got {n}"):
        permutation(KEY, n)
