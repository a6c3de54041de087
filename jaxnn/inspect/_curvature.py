"""The loss around a solution: values on a plane, largest Hessian eigenvalues, and the step size that they allow.

Examples start from:
    >>> loss = lambda x: x[0] ** 2 + 5 * x[1] ** 2
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

Params = Any
Loss = Callable[..., Array]
"""A scalar function of the parameters, such as the mean loss of a data set."""


class Spectrum(NamedTuple):
    """Eigenvalues of a Hessian, largest first, with error bounds.

    Attributes:
        values: f64[k].
        residuals: f64[k], `|H v - value v|` for each approximate unit eigenvector v: some eigenvalue of H lies within
            this distance. Never below the rounding error of the parameters' type.
    """

    values: np.ndarray
    residuals: np.ndarray


def _hessian_product(loss: Loss, params: Params, direction: Params) -> Params:
    """The Hessian times a direction at the cost of about two gradients (Pearlmutter 1994), forward over reverse."""
    return jax.jvp(jax.grad(loss), (params,), (direction,))[1]


def top_eigenvalues(
    loss: Loss, params: Params, key: Array, count: int = 1, *others: Any, iterations: int = 40
) -> Spectrum:
    """The largest eigenvalues of the Hessian, by the block Lanczos method with full reorthogonalization.

    The block has k vectors, so a repeated eigenvalue appears as often as it occurs, up to k times. (From a single
    vector the Lanczos method finds each eigenvalue once.)

    Args:
        loss: `loss(params, *others)` returns f32[]; the same function object compiles once per shapes of its arguments.
        params: a pytree of N numbers in all.
        key: a PRNG key, for the first vectors.
        count: number of eigenvalues, k; the more, the more iterations each of them needs.
        others: further arguments of the loss, such as the examples.
        iterations: number of Hessian-vector products, at least k; capped at N.

    Returns:
        A `Spectrum`. With N iterations it holds the k largest eigenvalues up to rounding. With fewer its values are
        never larger than these, again up to rounding, and `residuals` show whether more iterations are needed: each
        value is that close to some eigenvalue. Small residuals do not prove that none was missed: a large eigenvalue to
        whose eigenvectors the random first vectors happen to be nearly orthogonal comes late.

    Raises:
        ValueError: k is below 1, or above the number of iterations or of parameters.

    Source: Ruhe 1979, "Implementation aspects of band Lanczos algorithms"; Golub & Van Loan, "Matrix computations",
    chapter 10.

    Example:
        >>> inspect.top_eigenvalues(loss, jnp.zeros(2), jax.random.key(0), 2).values
        array([10.,  2.])
    """
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(params))
    steps = min(iterations, size)
    if not 1 <= count <= steps:
        raise ValueError(
            f"top_eigenvalues: count must be from 1 to {steps}, got {count} "
            f"({iterations} iterations, {size} parameters)"
        )

    products = np.asarray(_lanczos(loss, steps, count, params, key, others), np.float64)
    projected, left = products[:steps], products[steps:]
    values, vectors = np.linalg.eigh((projected + projected.T) / 2)
    order = np.argsort(-values)[:count]
    rounding = float(jnp.finfo(jnp.result_type(*jax.tree.leaves(params))).eps) * np.abs(values).max()
    return Spectrum(values[order], np.maximum(np.linalg.norm(left @ vectors[:, order], axis=0), rounding))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _lanczos(loss: Loss, steps: int, count: int, params: Params, key: Array, others: tuple[Any, ...]) -> Array:
    """The products of the Hessian with the first `steps` basis vectors, in the basis: [steps + count, steps]."""
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    dtype = flat.dtype if jnp.finfo(flat.dtype).bits >= 32 else jnp.float32
    basis = jnp.zeros((steps + count, flat.size), dtype)
    first, *restarts = jax.random.split(key, steps + 1)
    block = jax.random.normal(first, (flat.size, count), dtype)
    basis = basis.at[:count].set(jnp.linalg.qr(block)[0].T)

    def orthogonal(basis: Array, vector: Array) -> tuple[Array, Array]:
        """The part of a vector orthogonal to the basis, and its coefficients in the basis."""
        first = basis @ vector
        vector -= basis.T @ first
        again = basis @ vector  # twice is enough
        return vector - basis.T @ again, first + again

    def unit(vector: Array) -> Array:
        return vector / jnp.maximum(jnp.linalg.norm(vector), jnp.finfo(dtype).tiny)

    def step(carry: tuple[Array, Array], at: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        (basis, largest), (i, key) = carry, at
        direction = unravel(basis[i].astype(flat.dtype))
        product = _hessian_product(lambda params: loss(params, *others), params, direction)
        image = jax.flatten_util.ravel_pytree(product)[0].astype(dtype)
        largest = jnp.maximum(largest, jnp.linalg.norm(image))
        rest, coefficients = orthogonal(basis, image)
        beta = jnp.linalg.norm(rest)
        # what is left is rounding error if the space is invariant: a random direction continues in its place
        invariant = beta <= 10 * jnp.finfo(dtype).eps * largest
        fresh = orthogonal(basis, unit(orthogonal(basis, jax.random.normal(key, flat.shape, dtype))[0]))[0]
        new = jnp.where(invariant, unit(fresh), unit(rest))
        new = jnp.where(i + count < flat.size, new, 0)  # the basis is complete
        coefficients = coefficients.at[i + count].set(jnp.where(invariant, 0, beta))
        return (basis.at[i + count].set(new), largest), coefficients

    start = (basis, jnp.zeros((), dtype))
    return jax.lax.scan(step, start, (jnp.arange(steps), jnp.stack(restarts)))[1].T


def largest_rate(eigenvalue: ArrayLike) -> np.ndarray:
    """The step size above which plain gradient descent moves away from a minimum.

    Formula: `2 / L` with L the largest eigenvalue of the Hessian: along its eigenvector each step multiplies the
    distance by `1 - rate * L`. With momentum m the bound is `2 (1 + m) / L`.

    Args:
        eigenvalue: L, any shape.

    Returns:
        f64, shaped like L; infinity where L is not positive.

    Source: Nesterov 2004, "Introductory lectures on convex optimization", section 1.2.3.

    Example:
        >>> print(inspect.largest_rate(10.0))
        0.2
    """
    top = np.asarray(eigenvalue, np.float64)
    return np.where(top > 0, 2 / np.where(top > 0, top, 1), np.inf)


def filter_direction(key: Array, params: Params) -> Params:
    """A random direction with filter-wise normalization, which makes loss surfaces comparable between networks.

    Formula: normal numbers; the weights `d_i` of a neuron are scaled to `|w_i|`, biases and other vectors are zero.

    Args:
        key: a PRNG key.
        params: the solution; matrices are W[out, ...], or [..., out] if named "kernel" as in Flax.

    Returns:
        A tree like the parameters.

    Source: Li et al. 2018, "Visualizing the loss landscape of neural nets".

    Example:
        >>> params = {"w": jnp.array([[3.0, 4.0], [0.0, 2.0]]), "b": jnp.ones(2)}
        >>> direction = inspect.filter_direction(jax.random.key(0), params)
        >>> print(jnp.linalg.norm(direction["w"], axis=1), direction["b"])
        [5. 2.] [0. 0.]
    """
    places, tree = jax.tree_util.tree_flatten_with_path(params)

    def draw(key: Array, place: tuple[Any, ...], leaf: Array) -> Array:
        if leaf.ndim < 2:
            return jnp.zeros_like(leaf)
        direction = jax.random.normal(key, leaf.shape, leaf.dtype)
        out_is_last = bool(place) and getattr(place[-1], "key", None) == "kernel"
        axes = tuple(range(leaf.ndim - 1)) if out_is_last else tuple(range(1, leaf.ndim))
        length = jnp.sqrt(jnp.square(leaf).sum(axes, keepdims=True) / jnp.square(direction).sum(axes, keepdims=True))
        return direction * jnp.broadcast_to(length, leaf.shape)

    keys = jax.random.split(key, len(places))
    return jax.tree.unflatten(tree, [draw(k, *at) for k, at in zip(keys, places, strict=True)])


def loss_plane(
    loss: Loss, params: Params, first: Params, second: Params, along_first: ArrayLike, along_second: ArrayLike
) -> Array:
    """The loss on a plane through a solution, as one compiled program.

    Formula: `loss(params + a * first + b * second)`.

    Args:
        loss: `loss(params)` returns f32[].
        params: the solution, at a = b = 0.
        first, second: directions, pytrees like the parameters: random (`filter_direction`), eigenvectors, or the
            difference to another solution.
        along_first, along_second: f32[A], f32[B], the values of a and b.

    Returns:
        f32[A, B].

    Raises:
        ValueError: `along_first` or `along_second` is not one-dimensional.

    Example:
        >>> first, second = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
        >>> print(inspect.loss_plane(loss, jnp.zeros(2), first, second, [0.0, 1.0], [0.0, 1.0, 2.0]))
        [[ 0.  5. 20.]
         [ 1.  6. 21.]]
    """
    a, b = jnp.asarray(along_first, jnp.float32), jnp.asarray(along_second, jnp.float32)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(
            f"loss_plane: expected along_first[A] and along_second[B], got {list(a.shape)} and {list(b.shape)}"
        )

    def value(a: Array, b: Array) -> Array:
        return loss(
            jax.tree.map(lambda p, u, v: p + a.astype(p.dtype) * u + b.astype(p.dtype) * v, params, first, second)
        )

    # one row at a time: the activations of a whole plane would not fit in memory
    return jax.jit(lambda a, b: jax.lax.map(lambda one: jax.vmap(lambda other: value(one, other))(b), a))(a, b)
