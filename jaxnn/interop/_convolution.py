"""Convolutions with fast gradients inside loops on a CPU.

A training run is a loop of steps in one program. On a CPU, XLA transposes convolutions outside loops into the one axis
order for which it has a fast kernel, and leaves those inside loops as they are: their gradients, which JAX computes
with the axes in another order, then take a slow path. Here they are put into that order by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array, lax
from jax.extend import core

_INLINED = ("jit", "pjit", "closed_call")


def with_fast_gradients(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with convolutions whose gradients are fast inside a loop on a CPU; reverse mode only.

    Convolutions inside loops, `jax.checkpoint` and functions with a custom gradient stay as they are.
    """
    return _with_convolutions(function, _convolution)


def _with_convolutions(function: Callable[..., Any], convolution: Callable[..., Array]) -> Callable[..., Any]:
    """The function with `convolution(lhs, rhs, parameters)` in place of every convolution."""

    def changed(*arguments: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        results = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(arguments), convolution)
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return changed


def _evaluate(jaxpr: Any, constants: Any, arguments: Any, convolution: Callable[..., Array]) -> list[Any]:
    values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
    for equation in jaxpr.eqns:
        given = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
        name = equation.primitive.name
        if name == "conv_general_dilated":
            made: Any = [convolution(*given, equation.params)]
        elif name in _INLINED:
            inner = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
            made = _evaluate(inner.jaxpr, inner.consts, given, convolution)
        else:
            bound = equation.primitive.get_bind_params(equation.params)
            functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # a pair in some versions of JAX
            made = equation.primitive.bind(*functions, *given, **parameters)
            made = made if equation.primitive.multiple_results else [made]
        values |= zip(equation.outvars, made, strict=True)
    return [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]


def _convolution(lhs: Array, rhs: Array, parameters: dict[str, Any]) -> Array:
    def plain(lhs: Array, rhs: Array) -> Array:
        return lax.conv_general_dilated(lhs, rhs, **parameters)

    def pull(lhs: Array, rhs: Array, gradient: Array) -> tuple[Array, Array]:
        return jax.vjp(plain, lhs, rhs)[1](gradient)

    convolution = jax.custom_vjp(plain)
    convolution.defvjp(
        lambda lhs, rhs: (plain(lhs, rhs), (lhs, rhs)),
        lambda given, gradient: lax.platform_dependent(
            *given, gradient, cpu=_with_convolutions(pull, _in_order), default=pull
        ),
    )
    return convolution(lhs, rhs)


def _in_order(lhs: Array, rhs: Array, parameters: dict[str, Any]) -> Array:
    """The convolution with the axes of its inputs and output in the order of the fast kernel."""
    numbers = parameters["dimension_numbers"]
    places = range(2, lhs.ndim)

    def last(spec: tuple[int, ...]) -> list[int]:  # batch, places, channels
        return [spec[0], *(spec[i] for i in places), spec[1]]

    lhs = lhs.transpose(last(numbers.lhs_spec))
    out, into, *window = numbers.rhs_spec
    rhs = rhs.transpose([*window, into, out])
    ordered = lax.ConvDimensionNumbers(
        (0, lhs.ndim - 1, *(i - 1 for i in places)),
        (lhs.ndim - 1, lhs.ndim - 2, *(i - 2 for i in places)),
        (0, lhs.ndim - 1, *(i - 1 for i in places)),
    )
    others: dict[str, Any] = {**parameters, "dimension_numbers": ordered}
    made = lax.conv_general_dilated(lhs, rhs, **others)
    return made.transpose(np.argsort(last(numbers.out_spec)).tolist())
