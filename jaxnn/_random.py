"""Random numbers that are cheap to compile and to draw: permutations without sorting, bits hashed from a key."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

ROUNDS = 8
ROUNDS_OF_SMALL = 24  # for up to 100 numbers, whose orders 8 rounds leave unequally likely by a few percent


def permutation(key: Array, n: int) -> Array:
    """A random permutation of 0 ... n-1, several times cheaper than sorting random keys.

    The numbers are laid out as (row, column) of a grid with at least n cells; each round shifts every column by a
    random amount and then every row by another, which moves cells without ever joining two (a Feistel network). A
    number that lands outside 0 ... n-1 is sent through the network again until it lands inside, which keeps the map a
    permutation. The number of columns is even, so that odd permutations are reached as well as even ones.

    On 2 CPU cores 50,000 numbers take about 2 ms, `jax.random.permutation` about 25 ms.

    Source: Luby & Rackoff 1988, "How to construct pseudorandom permutations from pseudorandom functions"; Black &
    Rogaway 2002, "Ciphers with arbitrary finite domains" (walking the cycle until inside).
    """
    rows, columns = _grid(n)
    words = feistel_keys(key, n)
    down = (words[:, :columns] % jnp.uint32(rows)).astype(jnp.int32)
    right = (words[:, columns:] % jnp.uint32(columns)).astype(jnp.int32)

    def shift(position: Array, by: Array, size: int) -> Array:
        position = position + by
        return jnp.where(position >= size, position - size, position)

    def shuffle(cell: tuple[Array, Array], shifts: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        row, column = cell
        row = shift(row, rows_of(shifts[0], column), rows)
        column = shift(column, rows_of(shifts[1], row), columns)
        return (row, column), None

    def send(x_outside: tuple[Array, Array]) -> tuple[Array, Array]:
        x, outside = x_outside
        cell = jax.lax.div(x, jnp.int32(columns)), jax.lax.rem(x, jnp.int32(columns))  # // would look for signs
        (row, column), _ = jax.lax.scan(shuffle, cell, (down, right))
        x = jnp.where(outside, row * columns + column, x)
        return x, x >= n

    start = jnp.arange(n, dtype=jnp.int32), jnp.ones(n, bool)
    return jax.lax.while_loop(lambda x_outside: x_outside[1].any(), send, start)[0]


def rows_of(a: Array, rows: Array) -> Array:
    """`a[rows]` of rows that are known to be in range: nothing in the program looks for others."""
    return a.at[rows].get(mode="promise_in_bounds", wrap_negative_indices=False)


def epoch_key(key: Array, epoch: ArrayLike) -> Array:
    """The key of the order of an epoch, counted from 0; `key` is that of the run."""
    return jax.random.fold_in(jax.random.fold_in(key, 1), epoch)


def epoch_rows(key: Array, epoch: ArrayLike, n: int, batch_size: int) -> Array:
    """The examples of each step of an epoch, i32[steps, batch_size]; those left over are not used."""
    return shuffled_rows(epoch_key(key, epoch), n, batch_size)


def shuffled_rows(epoch_key: Array, n: int, batch_size: int) -> Array:
    """As `epoch_rows`, from the key of the epoch."""
    order = permutation(epoch_key, n)
    steps = n // batch_size
    return order[: steps * batch_size].reshape(steps, batch_size)


def fold_in_rows(keys: Array, data: Array) -> Array:
    """`keys[L]` folded with each row of `data[n, L]` in turn: one hash in the program, whatever their number."""
    fold_in = jax.vmap(jax.random.fold_in)
    return jax.lax.scan(lambda keys, row: (fold_in(keys, row), None), keys, data)[0]


def feistel_keys(key: Array, n: int) -> Array:
    """The random numbers of the permutation, u32[rounds, rows + columns] of the grid; about 16 sqrt(n) numbers."""
    shape = ROUNDS if n > 100 else ROUNDS_OF_SMALL, sum(_grid(n))
    return jax.random.bits(key, (math.prod(shape),), jnp.uint32).reshape(shape)  # one axis: compiled in half the time


def permutation_at(places: np.ndarray, words: np.ndarray, n: int) -> np.ndarray:
    """`permutation(key, n)[places]` without the rest and without JAX; `words` are `feistel_keys(key, n)`."""
    rows, columns = _grid(n)
    numbers = np.asarray(places, np.int64)
    outside = np.ones(numbers.shape, bool)
    while outside.any():
        row, column = np.divmod(numbers[outside], columns)
        for of_round in words:
            row = (row + of_round[column] % rows) % rows
            column = (column + of_round[columns + row] % columns) % columns
        numbers = numbers.copy()
        numbers[outside] = row * columns + column
        outside = numbers >= n
    return numbers


def _grid(n: int) -> tuple[int, int]:
    """Rows and columns of the grid for n numbers."""
    if n < 1:
        raise ValueError(f"permutation: n must be at least 1, got {n}")
    rows = math.isqrt(n - 1) + 1
    return rows, 2 * -(-n // (2 * rows))


def hash_bits(key: Array, shape: tuple[int, ...]) -> Array:
    """Random bits u32[shape], each a hash of the key and of its index: elementwise, so that they fuse with their use.

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (bits as a keyed function of a counter);
    the finalizer of Appleby's MurmurHash3.
    """
    words = jax.random.key_data(key)
    first = _mix(words[..., 0], jnp.uint32(0x9E3779B9))
    second = _mix(words[..., 1], first)
    place = jnp.zeros(shape, jnp.uint32)
    for axis, size in enumerate(shape):
        place = place * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
    return _mix(place ^ first, second)


def _mix(word: Array, key: Array) -> Array:
    """A bijection of 32-bit words, another for each key: MurmurHash3's finalizer with the key in its middle."""
    word = (word ^ word >> jnp.uint32(16)) * jnp.uint32(0x85EBCA6B) ^ key
    word = (word ^ word >> jnp.uint32(13)) * jnp.uint32(0xC2B2AE35)
    return word ^ word >> jnp.uint32(16)
