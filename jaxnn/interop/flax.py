"""Flax networks, Linen or NNX, as models of this package.

    model = linen_model(Net(classes=10), (32, 32, 3))
    task = lambda h: training.Task(model, losses.softmax, optax.sgd(h["learning_rate"]))

>>> from flax import linen, nnx
>>> from jaxnn.interop.flax import linen_model, nnx_model

A module whose only variables are its parameters becomes a `Model`; one with batch statistics or other variables that
its call changes becomes a `StatefulModel`, and those variables are its state. Both train, sweep, shard and save like
any other model. In training all random streams of the module derive from the key. For a dropout rate that is a traced
hyper-parameter, use `layers.dropout` in the module, since Flax's own needs a Python number.

`params_to_linen` and `params_from_linen` convert the weights of an `mlp` to Linen's names and back.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jax import Array

from jaxnn.interop._convolution import with_fast_gradients
from jaxnn.layers import Weights
from jaxnn.models import Model, StatefulModel

__all__ = ["linen_model", "nnx_model"]

_TRAINING = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}
"""The usual arguments of a Linen module's call that select training, and their values in training."""

_Inputs = int | Sequence[int] | jax.ShapeDtypeStruct
"""The number of inputs, or the shape of one example, or shape and dtype."""


def linen_model(
    module: linen.Module, inputs: _Inputs, *, training: Mapping[str, bool] | None = None
) -> Model | StatefulModel:
    """A Linen module as a model.

    The key passed to `apply` seeds the stream "dropout"; the other streams use a key folded from it.

    Args:
        module: its call maps a batch [B, *inputs] to scores f32[B, C].
        inputs: the shape of one example, such as (32, 32, 3); a `jax.ShapeDtypeStruct` if it is not float32.
        training: arguments of its call in training, such as {"train": True}; evaluation negates them. By default those
            of train, training, is_training, deterministic and use_running_average that the call has.

    Returns:
        A `StatefulModel` if the module has variables other than its parameters (they are its state), else a `Model`.
        Parameters and state are dicts as in Linen, the state by collection: {"batch_stats": ...}.

    Raises:
        TypeError: `module` is not a Linen module, or its call lacks an argument in `training`.
        ValueError: it does not map a batch to scores f32[B, C].

    Source: Heek et al., "Flax: a neural network library and ecosystem for JAX".

    Example:
        >>> model = linen_model(linen.Dense(3), 4)
        >>> params = model.init(jax.random.key(0))
        >>> model.apply(params, jnp.ones((2, 4))).shape
        (2, 3)
    """
    if not isinstance(module, linen.Module):
        raise TypeError(f"linen_model: module must be an instance of a Linen module, got {module!r}")
    takes = inspect.signature(type(module).__call__).parameters
    if training is None:
        training = {name: value for name, value in _TRAINING.items() if name in takes}
    elif unknown := sorted(set(training) - set(takes)):
        raise TypeError(f"linen_model: the call of {type(module).__name__} does not take {', '.join(unknown)}")
    evaluation: dict[str, Any] = {name: not value for name, value in training.items()}
    example = _example(inputs)

    def initialize(key: Array) -> dict[str, Any]:
        batch = jnp.zeros((1, *example.shape), example.dtype)
        return linen.unbox(dict(module.init({"params": key}, batch, **evaluation)))

    variables = jax.eval_shape(initialize, jax.random.key(0))
    collections = sorted(set(variables) - {"params"})

    def score(variables: Mapping[str, Any], x: Array, key: Array | None) -> tuple[Array, Any]:
        if key is None:
            scores: Any = module.apply(variables, x, **evaluation)
            return scores, None
        streams = {"dropout": key, "params": jax.random.fold_in(key, 0)}  # all others fall back on "params"
        apply = functools.partial(module.apply, **training, mutable=collections)
        return with_fast_gradients(lambda variables, x, rngs: apply(variables, x, rngs=rngs))(variables, x, streams)

    _check_scores("linen_model", jax.eval_shape(lambda v, x: score(v, x, None)[0], variables, _batch(example)))

    def init(key: Array) -> Any:
        return initialize(key).get("params", {})

    def init_state(key: Array) -> Any:
        variables = initialize(key)
        return {name: variables[name] for name in collections}

    def apply(params: Any, x: Array, *, key: Array | None = None) -> Array:
        return _over_leading(lambda x: score({"params": params}, x, key), x, example)[0]

    def apply_with_state(params: Any, state: Any, x: Array, *, key: Array | None = None) -> tuple[Array, Any]:
        scores, after = _over_leading(lambda x: score({"params": params, **state}, x, key), x, example)
        return scores, state if key is None else after

    return StatefulModel(init, init_state, apply_with_state) if collections else Model(init, apply)


def nnx_model(make: Callable[[nnx.Rngs], nnx.Module], inputs: _Inputs) -> Model | StatefulModel:
    """An NNX module as a model.

    The module's own `train()` and `eval()` switch between training and evaluation. In training its random streams are
    seeded as by `nnx.reseed`: the first in alphabetical order ("default", if it has one) with the key passed to
    `apply`, the others with keys folded from it.

    Args:
        make: makes the module, such as `lambda rngs: Net(10, rngs=rngs)`. Its call maps a batch [B, *inputs] to scores
            f32[B, C].
        inputs: as `linen_model`.

    Returns:
        A `StatefulModel` if the module has variables other than `nnx.Param` and its random streams, else a `Model`.
        Parameters and state are nested dicts of arrays.

    Raises:
        TypeError: `make` is a module, or does not make one.
        ValueError: the module does not map a batch to scores f32[B, C].

    Source: Flax documentation, "NNX Basics".

    Example:
        >>> model = nnx_model(lambda rngs: nnx.Linear(4, 3, rngs=rngs), 4)
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 4))).shape
        (2, 3)
    """
    if isinstance(make, nnx.Module):
        raise TypeError(
            "nnx_model: make must be a function that makes the module, such as lambda rngs: Net(10, rngs=rngs); "
            "got a module"
        )
    example = _example(inputs)
    module = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    if not isinstance(module, nnx.Module):
        raise TypeError(f"nnx_model: make must make an NNX module, it makes {type(module).__name__}")
    kinds = nnx.Param, nnx.RngState, ...
    module.train()
    training = nnx.graphdef(module)
    module.eval()
    evaluation, *parts = nnx.split(module, *kinds)
    blank_params, blank_streams, blank_state = parts
    keys, _ = nnx.split_state(blank_streams, nnx.RngKey, ...)
    tags = sorted({variable.tag for _, variable in nnx.to_flat_state(keys)})

    def initialize(key: Array) -> list[Any]:
        return [nnx.to_pure_dict(part) for part in nnx.split(make(nnx.Rngs(key)), *kinds)[1:]]

    def merged(graph: Any, params: Any, state: Any) -> Any:
        blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.uint32), blank_streams)  # never seen
        return nnx.merge(graph, _filled(blank_params, params), blank, _filled(blank_state, state))

    def score(params: Any, state: Any, x: Array, key: Array | None) -> tuple[Array, Any]:
        if key is None:
            return merged(evaluation, params, state)(x), None
        return with_fast_gradients(score_in_training)(params, state, x, key)

    def score_in_training(params: Any, state: Any, x: Array, key: Array) -> tuple[Array, Any]:
        net = merged(training, params, state)
        streams: dict[str, Any] = {tag: jax.random.fold_in(key, i) if i else key for i, tag in enumerate(tags)}
        nnx.reseed(net, policy="match_shape", **streams)
        scores = net(x)
        nnx.pop(net, nnx.Intermediate)
        after: Any = nnx.split(net, *kinds)[3]
        return scores, nnx.to_pure_dict(after)

    abstract = [nnx.to_pure_dict(part) for part in parts]
    of_batch = jax.eval_shape(lambda p, s, x: score(p, s, x, None)[0], abstract[0], abstract[2], _batch(example))
    _check_scores("nnx_model", of_batch)

    def apply(params: Any, x: Array, *, key: Array | None = None) -> Array:
        return _over_leading(lambda x: score(params, {}, x, key), x, example)[0]

    def apply_with_state(params: Any, state: Any, x: Array, *, key: Array | None = None) -> tuple[Array, Any]:
        scores, after = _over_leading(lambda x: score(params, state, x, key), x, example)
        return scores, state if key is None else after

    if not abstract[2]:
        return Model(lambda key: initialize(key)[0], apply)
    return StatefulModel(lambda key: initialize(key)[0], lambda key: initialize(key)[2], apply_with_state)


def params_to_linen(params: Sequence[Weights], names: Sequence[str] | None = None) -> dict[str, Any]:
    """The parameters of an `mlp` as the variables of a Linen module with a `Dense` for each layer."""
    names = [f"Dense_{i}" for i in range(len(params))] if names is None else names
    if len(names) != len(params):
        raise ValueError(f"params_to_linen: {len(names)} names given to {len(params)} layers")
    layers = zip(names, params, strict=True)
    return {"params": {name: {"kernel": p["w"].swapaxes(-1, -2), "bias": p["b"]} for name, p in layers}}


def params_from_linen(variables: Mapping[str, Any]) -> list[Weights]:
    """The variables of a Linen module that consists of `Dense` layers as the parameters of an `mlp`."""
    layers = variables.get("params", variables)

    params: list[Weights] = []
    for name in sorted(layers, key=lambda name: [int(number) for number in re.findall(r"\d+", name)]):
        if not isinstance(layers[name], Mapping) or set(layers[name]) != {"kernel", "bias"}:
            found = ", ".join(sorted(layers[name])) if isinstance(layers[name], Mapping) else "an array"
            raise ValueError(f"params_from_linen: {name} must be a Dense with kernel and bias, it holds {found}")
        kernel, bias = layers[name]["kernel"], layers[name]["bias"]
        into = kernel.shape[-2] if not params else params[-1]["b"].shape[-1]
        if kernel.shape[-2:] != (into, bias.shape[-1]):
            raise ValueError(
                f"params_from_linen: {name} has kernel{list(kernel.shape)} and bias{list(bias.shape)}, expected "
                f"kernel[..., {into}, out] and bias[..., out] after the layer before it"
            )
        params.append({"w": kernel.swapaxes(-1, -2), "b": bias})
    return params


def _example(inputs: _Inputs) -> jax.ShapeDtypeStruct:
    if isinstance(inputs, jax.ShapeDtypeStruct):
        return inputs
    return jax.ShapeDtypeStruct((inputs,) if isinstance(inputs, int) else tuple(inputs), jnp.float32)


def _batch(example: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((2, *example.shape), example.dtype)


def _check_scores(where: str, scores: Any) -> None:
    shape = getattr(scores, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != 2 or not jnp.issubdtype(scores.dtype, jnp.floating):
        found = jax.tree.map(lambda a: f"{a.dtype}{list(a.shape)}", scores)
        raise ValueError(f"{where}: the module must map a batch to scores f32[B, C]; for two examples it gave {found}")


def _over_leading(score: Callable[[Array], tuple[Array, Any]], x: Array, example: jax.ShapeDtypeStruct) -> Any:
    """The scores for any number of leading axes, by a module that takes one."""
    x = jnp.asarray(x)
    lead = x.shape[: max(x.ndim - len(example.shape), 0)]
    if x.shape[len(lead) :] != example.shape:
        raise ValueError(f"x{list(x.shape)} must end with the shape of one example, {list(example.shape)}")
    if len(lead) == 1:
        return score(x)
    scores, state = score(x.reshape(math.prod(lead), *example.shape))
    return scores.reshape(*lead, scores.shape[-1]), state


def _filled(blank: nnx.State, values: Any) -> nnx.State:
    """The variables of a module with values in place of shapes."""
    state = jax.tree.map(lambda leaf: leaf, blank)
    nnx.replace_by_pure_dict(state, values)
    return state
