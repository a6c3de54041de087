"""Gradient checks, and statistics of the values and gradients of each layer of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxnn import layers
from jaxnn.inspect import _differences


class LeafCheck(NamedTuple):
    """The check of the gradient of one leaf, at n of its coordinates."""

    name: str
    """The path of the leaf in the pytree, such as "[0]['w']"."""
    places: np.ndarray
    """int[n], the coordinates in the flattened leaf."""
    analytic: np.ndarray
    """f64[n], by `jax.grad`, or the gradient passed in."""
    numeric: np.ndarray
    """f64[n], by central differences."""
    error: np.ndarray
    """f64[n], `|analytic - numeric| / max(|analytic|, |numeric|, floor)`."""
    kink: np.ndarray
    """bool[n], whether the one-sided slopes are finite and differ, and the analytic gradient is one of them or lies
    between: then it is correct."""
    jump: np.ndarray
    """bool[n], whether the function jumps, or a one-sided slope is not finite: no gradient is correct, the error is 1.
    """
    unresolved: np.ndarray
    """bool[n], whether the slope still changes between the smallest steps that rounding allows: the curvature is too
    strong for differences, and the error is only that of the smallest step."""

    @property
    def max_error(self) -> float:
        """The largest relative error over the coordinates that are not at a kink; 0 if all are."""
        return float(self.error[~self.kink].max(initial=0.0))

    @property
    def kinks(self) -> int:
        """Number of coordinates at a kink."""
        return int(self.kink.sum())

    @property
    def jumps(self) -> int:
        """Number of coordinates at a jump."""
        return int(self.jump.sum())


def check_gradient(
    function: Callable[..., Array],
    params: Any,
    *others: Any,
    gradient: Any = None,
    limit: int | None = None,
    seed: int = 0,
    tolerance: float = 1e-6,
) -> list[LeafCheck]:
    """Compare the gradient of a scalar function with central differences, always in float64.

    Formula: `(f(x + h e) - f(x - h e)) / 2h` with `h = 6e-6 max(1, |x|)`, and a tenth of that where it is better. An
    exact gradient gives errors of about 1e-8. Where neither confirms the gradient, or slopes from the left and from the
    right (of second order) differ, ever smaller steps down to 6e-13 are tried, as far as rounding allows:

    - once both sides agree, their slope decides;
    - at a kink, such as ReLU's at zero or the SVM loss's at the margin, both converge, to different slopes, and any
      value between them is correct; such coordinates are marked and do not count as errors;
    - at a jump they grow without bound, and beyond what the steps resolve they go on changing; such coordinates are
      marked as well, and count as errors.

    Args:
        function: `function(params, *others)` returns one number; it must not cast to float32 itself.
        params: a pytree of floating-point arrays at which the gradient is checked.
        others: further arguments; their floating-point arrays become float64 too.
        gradient: a pytree like params, the gradient to check, such as one derived by hand; by default `jax.grad` of
            the function.
        limit: maximum number of coordinates checked in each leaf, drawn at random; None checks all.
        seed: seed of this draw.
        tolerance: coordinates with a larger relative error are examined with smaller steps. The error of a gradient
            below a thousandth of the largest is relative to that thousandth, because differences have rounding errors.

    Returns:
        A `LeafCheck` for each leaf, in the tree's order.

    Raises:
        TypeError: a leaf is not floating point.
        ValueError: the function does not return a scalar, there is nothing to check, the gradient has another shape,
            or limit is below 1.

    Source: CS231n, "Gradient checks"; Nocedal & Wright 2006, "Numerical optimization", section 8.1.

    Example:
        >>> w, cubes = jnp.array([1.0, -2.0]), lambda w: (w**3).sum()
        >>> [checked] = inspect.check_gradient(cubes, w)
        >>> checked.analytic, checked.max_error < 1e-7, checked.kinks
        (array([ 3., 12.]), True, 0)
        >>> [wrong] = inspect.check_gradient(cubes, w, gradient=np.array([3.0, 10.0]))
        >>> wrong.max_error > 0.1
        True
    """
    if limit is not None and limit < 1:
        raise ValueError(f"check_gradient: limit must be at least 1, got {limit}")
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            name = jax.tree_util.keystr(path)
            raise TypeError(f"check_gradient: params{name} must be floating point, got {jnp.result_type(leaf)}")
    with jax.enable_x64(True):
        params, others = jax.tree.map(_to_float64, (params, others))
        shape = jax.eval_shape(function, params, *others)
        if getattr(shape, "shape", None) != ():
            shapes = jax.tree.map(lambda leaf: list(leaf.shape), shape)
            raise ValueError(
                f"check_gradient: the function must return one number, got shape {shapes}; take a sum or a mean"
            )
        names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        sizes = [leaf.size for leaf in jax.tree.leaves(params)]
        if not sum(sizes):
            raise ValueError("check_gradient: params hold no numbers to check")
        if gradient is None:
            gradient = jax.jit(jax.grad(function))(params, *others)
        if jax.tree.map(np.shape, gradient) != jax.tree.map(np.shape, params):
            raise ValueError(
                f"check_gradient: the gradient has shapes {jax.tree.map(np.shape, gradient)}, "
                f"expected those of params, {jax.tree.map(np.shape, params)}"
            )
        random = np.random.default_rng(seed)
        index = [
            np.arange(size) if limit is None or size <= limit else np.sort(random.choice(size, limit, replace=False))
            for size in sizes
        ]
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
        places = np.concatenate([start + places for start, places in zip(starts, index, strict=True)])
        exact = np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(gradient)])
        analytic, largest = exact[places], float(np.abs(exact).max())
        verdict = _differences.compare(function, params, others, places, analytic, largest, tolerance)
    ends = np.cumsum([len(i) for i in index])
    parts = (np.split(a, ends[:-1]) for a in (analytic, *verdict))
    return [LeafCheck(*leaf) for leaf in zip(names, index, *parts, strict=True)]


def _to_float64(leaf: Any) -> Any:
    if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
        return leaf
    return jnp.asarray(leaf, jnp.float64 if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else None)


def layer_outputs(params: Sequence[layers.Weights], x: ArrayLike, activation: Callable[[Array], Array]) -> list[Array]:
    """The output of each layer of a fully connected network: the hidden activations, then the scores.

    Args:
        params: of `models.mlp` or `models.linear`, one `{"w": f32[out, in], "b": f32[out]}` per layer.
        x: f32[B, ...], the inputs, flattened here.
        activation: the network's activation function.

    Returns:
        f32[B, out] for each layer, without dropout; the last are the scores.

    Raises:
        TypeError, ValueError: x does not match the first layer.

    Example:
        >>> params = models.mlp(4, (5,), 3).init(jax.random.key(0))
        >>> [h.shape for h in inspect.layer_outputs(params, jnp.ones((2, 4)), jax.nn.relu)]
        [(2, 5), (2, 3)]
    """
    x = jnp.asarray(x)
    h = x.reshape(len(x), -1)
    found = []
    for i, layer in enumerate(params):
        h = layers.linear(layer, h)
        h = activation(h) if i < len(params) - 1 else h
        found.append(h)
    return found


class LayerStatistics(NamedTuple):
    """Statistics of each layer of a network, f32[layers] each; the last layer is that of the scores."""

    mean: Array
    """Mean of the outputs over examples and neurons."""
    std: Array
    """Standard deviation of the outputs over examples and neurons."""
    dead: Array
    """Fraction of neurons whose activation has slope 0 for every example and cannot learn; 0 for the scores."""
    weight_norm: Array
    """L2 norm of W."""
    gradient_norm: Array
    """L2 norm of the gradient of W; NaN where none was given."""
    update_ratio: Array
    """L2 norm of the update of W over that of W; NaN where none was given; about 1e-3 is usual."""


def _dead(layer: layers.Weights, h: Array, activation: Callable[[Array], Array]) -> Array:
    """The fraction of neurons whose activation has slope 0 for every input h."""
    z = layers.linear(layer, h)
    slope = jax.jvp(activation, (z,), (jnp.ones_like(z),))[1]
    return (slope == 0).all(0).astype(jnp.float32).mean()


def layer_statistics(
    params: Sequence[layers.Weights],
    x: ArrayLike,
    activation: Callable[[Array], Array],
    gradient: Sequence[layers.Weights] | None = None,
    update: Sequence[layers.Weights] | None = None,
) -> LayerStatistics:
    """Statistics of activations, gradients and updates layer by layer; to jit, or to vmap over networks.

    Args:
        params: as `layer_outputs`.
        x: f32[B, ...], a batch of inputs.
        activation: the network's activation function, elementwise.
        gradient: pytree like params, the gradient of the objective.
        update: pytree like params, what a step adds to them.

    Returns:
        `LayerStatistics`.

    Raises:
        TypeError, ValueError: as `layer_outputs`, or gradient or update have another number of layers.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks"; CS231n,
    "Babysitting the learning process".

    Example:
        >>> params = models.mlp(4, (5,), 3).init(jax.random.key(0))
        >>> found = inspect.layer_statistics(params, jnp.ones((2, 4)), jnp.tanh)
        >>> found.std.shape, found.dead.tolist()
        ((2,), [0.0, 0.0])
    """
    for name, tree in (("gradient", gradient), ("update", update)):
        if tree is not None and len(tree) != len(params):
            raise ValueError(f"layer_statistics: {name} has {len(tree)} layers, expected {len(params)} as params")
    x = jnp.asarray(x)
    outputs = layer_outputs(params, x, activation)
    inputs = [x.reshape(len(x), -1), *outputs]
    dead = [_dead(layer, h, activation) for layer, h in zip(params[:-1], inputs, strict=False)]
    norms = jnp.stack([jnp.linalg.norm(layer["w"]) for layer in params])
    nothing = jnp.full(len(params), jnp.nan, norms.dtype)

    def norms_of(tree: Sequence[layers.Weights] | None) -> Array:
        return nothing if tree is None else jnp.stack([jnp.linalg.norm(layer["w"]) for layer in tree])

    return LayerStatistics(
        mean=jnp.stack([h.mean() for h in outputs]),
        std=jnp.stack([h.std() for h in outputs]),
        dead=jnp.stack([*dead, jnp.zeros(())]),
        weight_norm=norms,
        gradient_norm=norms_of(gradient),
        update_ratio=norms_of(update) / norms,
    )


def distinct_neurons(weights: Array) -> Array:
    """Number of distinct neurons of a layer, judged by their incoming weights."""
    equal = (weights[:, None] == weights[None]).all(-1)
    earlier = jnp.tril(jnp.ones(equal.shape, bool), -1)
    return (~(equal & earlier).any(1)).sum(dtype=jnp.int32)
