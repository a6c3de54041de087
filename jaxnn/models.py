"""Models as pure functions: `init(key) -> params` and `apply(params, x, *, key=None) -> scores`.

`StatefulModel` also has a state that training changes without a gradient, such as running means.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxnn import initializers, layers
from jaxnn.initializers import Initializer

__all__ = ["Model", "StatefulModel", "freeze_state", "linear", "mlp", "with_compute_dtype"]

Activation = Callable[[Array], Array]

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "sigmoid": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "relu": jax.nn.relu,
        "leaky_relu": jax.nn.leaky_relu,
        "gelu": jax.nn.gelu,
    }
)
"""Activations by name; `mlp` takes any elementwise function."""


class Model(NamedTuple):
    """A model. A key means randomness, no key none: dropout cannot be left on at evaluation by accident.

    `init(key)` gives the parameters, a list of `{"w": f32[out, in], "b": f32[out]}`, one per layer.
    `apply(params, x, *, key=None)` gives the scores f32[..., C] for x f32[..., *input_shape].
    """

    init: Callable[[Array], Any]
    apply: Callable[..., Array]


class StatefulModel(NamedTuple):
    """A model with a state that training changes without a gradient, such as the running statistics of batches.

    A key means training, as in `Model`: with one, `apply` may use the batch as a whole and the state moves on; without
    one every example is scored by itself, and the state stays as it is.

    `init(key)` gives the parameters, `init_state(key)` the state, each a pytree of arrays.
    `apply(params, state, x, *, key=None)` gives the scores f32[..., C] and the state.
    """

    init: Callable[[Array], Any]
    init_state: Callable[[Array], Any]
    apply: Callable[..., Any]


def linear(
    inputs: int | Sequence[int], outputs: int, *, init: Initializer | None = None, dot: layers.Dot = layers.dot_general
) -> Model:
    """The linear classifier: one layer from the inputs straight to the scores.

    Formula: `f(x) = W x + b`.

    Args:
        inputs: the number of inputs, or the shape of one example, such as (32, 32, 3), which is flattened.
        outputs: the number of classes C.
        init: rule for W; by default `initializers.normal(0.01)`.
        dot: the product; see `layers.linear`.

    Returns:
        A `Model`.

    Raises:
        TypeError, ValueError: as `mlp`.

    Source: CS231n, "Linear classification".

    Example:
        >>> model = models.linear((32, 32, 3), 10)
        >>> params = model.init(jax.random.key(0))
        >>> params[0]["w"].shape, model.apply(params, jnp.zeros((5, 32, 32, 3))).shape
        ((10, 3072), (5, 10))
    """
    return mlp(inputs, (), outputs, init=init or initializers.normal(0.01), dot=dot)


def mlp(
    inputs: int | Sequence[int],
    hidden: Sequence[int],
    outputs: int,
    *,
    activation: Activation = jax.nn.relu,
    init: Initializer = initializers.he,
    dropout: ArrayLike = 0.0,
    input_dropout: ArrayLike = 0.0,
    normalize: bool = False,
    normalize_inputs: bool = False,
    width: Sequence[ArrayLike] | None = None,
    dot: layers.Dot = layers.dot_general,
) -> Model:
    """A fully connected network of any depth, with dropout on the hidden layers and on the input.

    Formula: `h_0 = x`, `h_i = activation(W_i h_(i-1) + b_i)`, `f(x) = W_n h_(n-1) + b_n`; no activation on the scores.
    Biases start at zero. Layer i draws its weights and its dropout mask from `fold_in(key, i)`.

    Args:
        inputs: the number of inputs, or the shape of one example, such as (32, 32, 3), which is flattened.
        hidden: neurons of each hidden layer; empty for the linear classifier.
        outputs: the number of classes C.
        activation: elementwise function; see `ACTIVATIONS`.
        init: rule for every W[out, in]; see `jaxnn.initializers`.
        dropout: the fraction of hidden values dropped when `apply` is given a key; a number in [0, 1) or a traced
            scalar.
        input_dropout: the same for the inputs.
        normalize: whether hidden layers are normalized, `h_i = activation(normalize(W_i h_(i-1)) + b_i)` with
            `layers.normalize`, with which deep networks learn faster.
        normalize_inputs: whether each example is normalized before the first layer, `h_0 = normalize(x)`, which removes
            the brightness and the contrast of an image.
        width: how many neurons of each hidden layer are in use, each at most its size in `hidden`; may be traced, so
            that networks of several widths are trained in one program. The weights of the others are zero and stay
            zero. By default all are in use.
        dot: the product of inputs and weights; see `layers.linear`.

    Returns:
        A `Model`.

    Raises:
        TypeError: a size is not an integer, `hidden` is not a sequence, or a rate is not a number.
        ValueError: a size is not positive, a rate is outside [0, 1), or `width` does not fit `hidden` or is combined
            with `normalize`.

    Source: Goodfellow et al. 2016, "Deep learning", chapter 6.

    Example:
        >>> model = models.mlp(4, (5,), 3, dropout=0.5)
        >>> params = model.init(jax.random.key(0))
        >>> [layer["w"].shape for layer in params]
        [(5, 4), (3, 5)]
        >>> x = jnp.ones((2, 4))
        >>> first, second = model.apply(params, x), model.apply(params, x, key=jax.random.key(1))
        >>> first.shape, bool((first == second).all())  # a key means dropout
        ((2, 3), False)
    """
    shape = tuple(inputs) if isinstance(inputs, Sequence) else (inputs,)
    if not isinstance(hidden, Sequence):
        raise TypeError(f"mlp: hidden must be a sequence of whole numbers, such as (64, 32), got {hidden!r}")
    for name, sizes in (("inputs", shape), ("hidden", tuple(hidden)), ("outputs", (outputs,))):
        for size in sizes:
            if not isinstance(size, int) or isinstance(size, bool):
                raise TypeError(f"mlp: {name} must be whole numbers, got {size!r}")
            if size < 1:
                raise ValueError(f"mlp: {name} must be positive, got {size}")
    layers.check_rate("mlp: dropout", dropout)
    layers.check_rate("mlp: input_dropout", input_dropout)
    sizes = (math.prod(shape), *hidden, outputs)
    if normalize and width is not None:
        raise ValueError("mlp: normalize counts all neurons of a layer, so that width cannot leave some of them out")
    used = sizes if width is None else (sizes[0], *_check_width(width, hidden), outputs)

    def mask(layer: int) -> Array:
        return jnp.arange(sizes[layer]) < used[layer]

    def initialize(key: Array) -> list[layers.Weights]:
        params: list[layers.Weights] = []
        for i, (into, out) in enumerate(itertools.pairwise(sizes)):
            layer_key = jax.random.fold_in(key, i)
            if width is None:
                w = init(layer_key, (out, into), jnp.float32)
            else:
                w = init(layer_key, (out, into), jnp.float32, fans=(used[i + 1], used[i]))
                w = jnp.where(mask(i + 1)[:, None] & mask(i)[None], w, jnp.zeros_like(w))
            params.append({"w": w, "b": jnp.zeros(out)})
        return params

    def drop(key: Array | None, layer: int, x: Array, rate: ArrayLike) -> Array:
        return x if key is None else layers.dropout(jax.random.fold_in(key, layer), x, rate)

    def before_activation(layer: layers.Weights, x: Array) -> Array:
        if not normalize:
            return layers.linear(layer, x, dot=dot)
        x = layers.normalize(layers.linear({"w": layer["w"], "b": jnp.zeros_like(layer["b"])}, x, dot=dot))
        return x + jnp.broadcast_to(layer["b"].astype(x.dtype), x.shape)

    def apply(params: Sequence[layers.Weights], x: Array, *, key: Array | None = None) -> Array:
        x = jnp.asarray(x)
        if x.shape[max(x.ndim - len(shape), 0) :] != shape:
            raise ValueError(f"mlp: x{list(x.shape)} must end with the shape of one example, {list(shape)}")
        if len(params) != len(sizes) - 1:
            raise ValueError(f"mlp: params of {len(params)} layers given to a model of {len(sizes) - 1}")
        x = x.reshape(*x.shape[: x.ndim - len(shape)], sizes[0])
        x = drop(key, 0, layers.normalize(x) if normalize_inputs else x, input_dropout)
        for i, layer in enumerate(params[:-1], start=1):
            x = activation(before_activation(layer, x))
            if width is not None:  # an activation need not be zero at zero
                x = jnp.where(jnp.broadcast_to(mask(i), x.shape), x, jnp.zeros_like(x))
            x = drop(key, i, x, dropout)
        return layers.linear(params[-1], x, dot=dot)

    return Model(initialize, apply)


def freeze_state(model: Model | StatefulModel, state: Any) -> Model:
    """The model with a state that no longer changes, for evaluation and export.

    Args:
        model: any model.
        state: its state; anything where `model` has none.

    Returns:
        A `Model`; `model` itself if it is one.

    Example:
        >>> model = models.linear(2, 2)
        >>> models.freeze_state(model, None) is model
        True
    """
    if isinstance(model, Model):
        return model
    return Model(model.init, lambda params, x, *, key=None: model.apply(params, state, x, key=key)[0])


@overload
def with_compute_dtype(model: Model, dtype: Any) -> Model: ...


@overload
def with_compute_dtype(model: StatefulModel, dtype: Any) -> StatefulModel: ...


def with_compute_dtype(model: Model | StatefulModel, dtype: Any) -> Model | StatefulModel:
    """The model computed in another precision: parameters stay as they are and are cast on the way in.

    In bfloat16 the products run on the tensor cores of a GPU or the matrix units of a TPU and take half the memory; the
    parameters, the optimizer, the penalty and the loss stay in float32, and so does a state. On most CPUs it is slower.

    Derivatives in a 16-bit type are those of `jax.grad` and `jax.vjp`; `jax.jvp` does not pass through its products.

    Args:
        model: any model.
        dtype: a floating-point type, such as `jnp.bfloat16`.

    Returns:
        A model of the same kind whose `apply` gives scores in the precision of its parameters.

    Raises:
        TypeError: `dtype` is not a floating-point type.

    Source: Micikevicius et al. 2018, "Mixed precision training".

    Example:
        >>> model = models.with_compute_dtype(models.mlp(4, (5,), 3), jnp.bfloat16)
        >>> params = model.init(jax.random.key(0))
        >>> params[0]["w"].dtype.name, model.apply(params, jnp.ones((2, 4))).dtype.name
        ('float32', 'float32')
    """
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"with_compute_dtype: dtype must be a floating-point type, such as jnp.bfloat16, got {dtype!r}")

    def cast(params: Any) -> Any:
        return jax.tree.map(lambda p: p.astype(dtype), params)

    def apply(params: Any, x: Array, *, key: Array | None = None) -> Array:
        of_params = jnp.result_type(*jax.tree.leaves(params))
        return model.apply(cast(params), x.astype(dtype), key=key).astype(of_params)

    def apply_with_state(params: Any, state: Any, x: Array, *, key: Array | None = None) -> tuple[Array, Any]:
        of_params = jnp.result_type(*jax.tree.leaves(params))
        scores, after = model.apply(cast(params), state, x.astype(dtype), key=key)
        return scores.astype(of_params), jax.tree.map(lambda new, old: new.astype(old.dtype), after, state)

    return Model(model.init, apply) if isinstance(model, Model) else model._replace(apply=apply_with_state)


def _check_width(width: Sequence[ArrayLike], hidden: Sequence[int]) -> Sequence[ArrayLike]:
    if len(width) != len(hidden):
        raise ValueError(f"mlp: width of {len(width)} layers given to {len(hidden)} hidden layers")
    for used, size in zip(width, hidden, strict=True):
        if not isinstance(used, Tracer) and not 1 <= np.asarray(used).item() <= size:
            raise ValueError(f"mlp: width must be from 1 to the size of its layer, {size}, got {used}")
    return width
