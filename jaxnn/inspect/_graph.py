"""Computational graphs: the jaxpr of a function as a list of nodes, each with its value and gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend import core

Kind = Literal["input", "constant", "operation"]
_INLINED = ("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint")
_KEPT = ("custom_jvp_call", "custom_vjp_call")  # inlining would lose their custom gradient


class Node(NamedTuple):
    """One value of the computation."""

    name: str
    """The name of an input, such as "params[0]['w']", or of the operation, such as "mul"."""
    kind: Kind
    operands: tuple[int, ...]
    """Indices of the nodes that are the operation's arguments, in order."""
    value: np.ndarray
    """The value in the forward pass."""
    gradient: np.ndarray | None
    """The gradient of the result with respect to this value, same shape; None if the value is not floating point."""


def computation_graph(
    function: Callable[..., Array], *arguments: Any, names: Sequence[str] | None = None
) -> tuple[Node, ...]:
    """The computational graph of a scalar function, with the value and the gradient of every node.

    The graph is the function's jaxpr. Compiled functions (`jax.jit`) are inlined; operations with a custom gradient,
    such as `jax.nn.relu`, and loops stay one node. A zero is added to every value, and one backward pass
    differentiates with respect to all these zeros.

    Args:
        function: `function(*arguments)` returns one floating-point number.
        arguments: pytrees of arrays and numbers at which the graph is evaluated.
        names: names of the arguments; by default those of the function's parameters.

    Returns:
        The nodes, each after its operands; the last is the result. Nodes that it does not depend on are left out.

    Raises:
        TypeError: the result is not floating point.
        ValueError: the result is not a scalar, or the number of names is wrong.

    Source: CS231n, "Backpropagation, intuitions".

    Example:
        >>> nodes = inspect.computation_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
        >>> for node in nodes:
        ...     print(node.name, node.operands, node.value, node.gradient)
        x () -2.0 -4.0
        y () 5.0 -4.0
        z () -4.0 3.0
        add (0, 1) 3.0 -4.0
        mul (3, 2) -12.0 1.0
    """
    labels = _labels(function, arguments, names)
    arguments = jax.tree.map(jnp.asarray, arguments)
    closed = jax.make_jaxpr(function)(*arguments)
    outputs: Any = closed.out_avals
    if len(outputs) != 1 or outputs[0].shape != ():
        shapes = [list(output.shape) for output in outputs]
        raise ValueError(f"computation_graph: the function must return one number, got shapes {shapes}")
    if not jnp.issubdtype(outputs[0].dtype, jnp.floating):
        raise TypeError(f"computation_graph: the result must be floating point, got {outputs[0].dtype}")
    plan = _Plan()
    inputs = [
        plan.add(label, "input", (), leaf) for label, leaf in zip(labels, jax.tree.leaves(arguments), strict=True)
    ]
    [result] = plan.inline(closed.jaxpr, inputs, closed.consts)
    nodes = plan.evaluate(result)
    needed, kept = {result}, []
    for i in range(result, -1, -1):
        if i in needed:
            needed.update(nodes[i].operands)
            kept.insert(0, i)
    place = {old: new for new, old in enumerate(kept)}
    return tuple(nodes[i]._replace(operands=tuple(place[o] for o in nodes[i].operands)) for i in kept)


class _Plan:
    """The operations of a jaxpr in one list, with calls of compiled functions inlined."""

    def __init__(self) -> None:
        self.nodes: list[tuple[str, Kind, tuple[int, ...], Any]] = []
        self.steps: dict[int, tuple[Any, int]] = {}  # node -> its equation and the index among its outputs

    def add(self, name: str, kind: Kind, operands: tuple[int, ...], value: Any = None) -> int:
        self.nodes.append((name, kind, operands, value))
        return len(self.nodes) - 1

    def inline(self, jaxpr: Any, inputs: Sequence[int], consts: Sequence[Any]) -> list[int]:
        """Adds the equations of a jaxpr; returns the nodes of its outputs."""
        where = dict(zip(jaxpr.invars, inputs, strict=True))
        where |= {v: self.add("constant", "constant", (), c) for v, c in zip(jaxpr.constvars, consts, strict=True)}

        def node(atom: Any) -> int:
            if isinstance(atom, core.Literal):
                kind: Any = atom.aval
                return self.add("constant", "constant", (), jnp.asarray(atom.val, kind.dtype))
            return where[atom]

        for equation in jaxpr.eqns:
            operands = [node(atom) for atom in equation.invars]
            name = equation.primitive.name
            inner = equation.params.get("jaxpr") if name in _INLINED else None
            if inner is not None:
                inner_jaxpr = getattr(inner, "jaxpr", inner)
                made = self.inline(inner_jaxpr, operands, getattr(inner, "consts", ()))
            else:
                made = []
                for i, _ in enumerate(equation.outvars):
                    made.append(self.add(_name(equation), "operation", tuple(operands)))
                    self.steps[made[-1]] = (equation, i)
            where |= dict(zip(equation.outvars, made, strict=True))
        return [node(atom) for atom in jaxpr.outvars]

    def evaluate(self, result: int) -> list[Node]:
        """All values, and the gradients of the result with respect to those that are floating point."""
        given = {i: value for i, (_, _, _, value) in enumerate(self.nodes) if i not in self.steps}

        def forward(zeros: dict[int, Array], given: dict[int, Array]) -> tuple[Array, list[Array]]:
            values: list[Array] = []
            for i, (_, _, operands, _) in enumerate(self.nodes):
                if i in self.steps:
                    equation, output = self.steps[i]
                    made = _bind(equation, [values[o] for o in operands])
                    value = made[output]
                else:
                    value = jnp.asarray(given[i])
                values.append(value + zeros[i] if i in zeros else value)
            return values[result], values

        no_zeros: dict[int, Array] = {}
        shapes = jax.eval_shape(lambda given: forward(no_zeros, given)[1], given)
        zeros = {i: jnp.zeros(s.shape, s.dtype) for i, s in enumerate(shapes) if jnp.issubdtype(s.dtype, jnp.floating)}
        gradients, values = jax.jit(jax.grad(forward, has_aux=True))(zeros, given)
        return [
            Node(name, kind, operands, np.asarray(value), np.asarray(gradients[i]) if i in gradients else None)
            for i, ((name, kind, operands, _), value) in enumerate(zip(self.nodes, values, strict=True))
        ]


def _bind(equation: Any, values: list[Array]) -> Sequence[Array]:
    bound = equation.primitive.get_bind_params(equation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # a pair in some versions of JAX
    made = equation.primitive.bind(*functions, *values, **params)
    return made if equation.primitive.multiple_results else [made]


def _name(equation: Any) -> str:
    """Name of an operation: its primitive, with a power's exponent, or the function with the custom gradient."""
    name = equation.primitive.name
    if name == "integer_pow":
        return f"power {equation.params['y']}"
    if name in _KEPT:
        info = equation.params.get("call_jaxpr") or equation.params.get("fun_jaxpr")
        debug = getattr(getattr(info, "jaxpr", info), "debug_info", None)
        return str(getattr(debug, "func_name", name)).rsplit(".", 1)[-1]
    plain = {"dot_general": "dot product", "reduce_sum": "sum", "reduce_max": "max of all"}
    return plain[name] if name in plain else str(name)


def _labels(function: Callable[..., Array], arguments: tuple[Any, ...], names: Sequence[str] | None) -> list[str]:
    if names is None:
        parameters = list(inspect.signature(function).parameters.values())
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        names = [*names, *(f"argument {i}" for i in range(len(names), len(arguments)))][: len(arguments)]
    if len(names) != len(arguments):
        raise ValueError(f"computation_graph: {len(names)} names given for {len(arguments)} arguments")
    return [
        name + jax.tree_util.keystr(path)
        for name, argument in zip(names, arguments, strict=True)
        for path, _ in jax.tree_util.tree_leaves_with_path(argument)
    ]
