"""Contributions of the inputs to the scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


class Attribution(NamedTuple):
    """A score as a sum: `scores[..., c] = inputs[..., c].sum() + rest[..., c]`."""

    inputs: Array
    """f32[..., C, *example]: positive where the input promotes the class, negative where it inhibits it."""
    rest: Array
    """f32[..., C]: the remainder that no input accounts for; the bias of a linear classifier."""
    scores: Array
    """f32[..., C]."""


def attribution(score: Callable[[Array], Array], x: ArrayLike, example_ndim: int = 1) -> Attribution:
    """The contribution of each input to each class's score.

    Formula: `x_i * (d score_c / d x_i)`. For the linear classifier f(x) = Wx + b this is `W[c, i] * x_i`: the sum
    over i is the score without its bias, and each term is the drop of the score when that input is set to zero (the
    mean of the training split if inputs are standardized). For other models it is the linear part of the score at x.

    Args:
        score: maps one example to its scores f32[C], such as `lambda x: model.apply(params, x)`.
        x: f32[..., *example], with any number of leading axes.
        example_ndim: number of axes of one example: 1 for a vector, 3 for an image [H, W, channels].

    Returns:
        `Attribution`.

    Raises:
        TypeError: x is not floating point.
        ValueError: x has fewer axes than an example, or `score` does not return f32[C].

    Source: gradient times input, Shrikumar et al. 2016, "Not just a black box".

    Example:
        >>> w, x = jnp.array([[0.2, -0.5, 0.1, 2.0]]), jnp.array([56.0, 231.0, 24.0, 2.0])
        >>> found = inspect.attribution(lambda x: w @ x + 1.1, x)
        >>> print(found.inputs, found.rest, found.scores)
        [[  11.2 -115.5    2.4    4. ]] [1.1] [-96.8]
    """
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"attribution: x must be floating point, got {x.dtype}; standardize images first")
    if not 0 <= example_ndim <= x.ndim:
        raise ValueError(f"attribution: x{list(x.shape)} has fewer axes than example_ndim={example_ndim}")
    lead, example = x.shape[: x.ndim - example_ndim], x.shape[x.ndim - example_ndim :]
    shape = jax.eval_shape(score, jax.ShapeDtypeStruct(example, x.dtype)).shape
    if len(shape) != 1:
        raise ValueError(f"attribution: score must return scores[C] for one example, got shape {list(shape)}")

    def of_one(x: Array) -> Attribution:
        scores = score(x)
        parts = jax.jacrev(score)(x) * jnp.broadcast_to(x, (*shape, *example))
        return Attribution(parts, scores - parts.reshape(*shape, -1).sum(-1), scores)

    found = jax.vmap(of_one)(x.reshape(-1, *example))
    return jax.tree.map(lambda a: a.reshape(*lead, *a.shape[1:]), found)
