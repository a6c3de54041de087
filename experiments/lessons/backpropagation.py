"""Back-propagation: the gradient at every node, and evidence that it is right.

    python -m experiments.lessons.backpropagation --quick

Draws the computation graphs of two textbook examples with the value and the gradient at every node (f = (x + y) z with
gradients -4, -4, 3; a sigmoid neuron with output 0.7311) and of a neuron with its loss. For a two-layer network a
hand-written backward pass, `jax.grad` and central differences in float64 agree to about 1e-8, and the
usual mistakes fail the check. About 12 s on 2 CPU cores, 7 s with --quick.
"""

from __future__ import annotations

import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("backpropagation", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure

from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, Readout
from experiments.lessons.teaching.backpropagation import TEACHING
from jaxnn import losses, models
from jaxnn.inspect import check_gradient, computation_graph
from jaxnn.plots import curves, graph

L2 = 0.1
NEURON = {"w0": -0.197, "x0": 0.393, "w1": -0.393, "x1": -0.590, "w2": 0.197}
MISTAKES = ("mean over the batch forgotten", "factor 2 of the penalty forgotten", "ReLU ignored")


def study(options: Options) -> Findings:
    """The two small graphs, then a network."""
    product = computation_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
    found = {node.name: _number(node.gradient) for node in product if node.kind == "input"}
    small = Claim(
        "f = (x + y) z at (-2, 5, -4) is -12, and its gradients are -4, -4 and 3",
        "f = (x + y) z 在 (-2, 5, -4) 处的值为 -12，梯度为 -4、-4、3",
        {"f": float(product[-1].value)} | {f"df/d{name}": slope for name, slope in found.items()},
        float(product[-1].value) == -12 and found == {"x": -4, "y": -4, "z": 3},
    )
    neuron = computation_graph(_neuron, 2.0, -1.0, -3.0, -2.0, -3.0)
    slopes = {node.name: _number(node.gradient) for node in neuron if node.kind == "input"}
    output = float(neuron[-1].value)
    sigmoid = Claim(
        "A sigmoid neuron outputs 0.7311, and its gradients are those of the textbook example",
        "sigmoid 神经元的输出为 0.7311，各梯度与教材中的例子一致",
        {"output": output} | {f"derivative with respect to {name}": slope for name, slope in slopes.items()},
        abs(output - 0.7311) < 5e-5 and all(abs(slopes[name] - value) < 1e-3 for name, value in NEURON.items()),
    )
    claims, tables, figures = _network(options)
    figures = {
        "product": graph(product, "f = (x + y) z: values forward, gradients backward"),
        "neuron": graph(neuron, "A sigmoid neuron, 1 / (1 + exp(-(w0 x0 + w1 x1 + w2)))"),
    } | figures
    return Findings([small, sigmoid, _only_gradients(), *claims], figures, tables, [_live_product(), _live_neuron()])


def _only_gradients() -> Claim:
    """The same gradients in the hands of two optimizers."""
    model = models.mlp(4, (6,), 3)
    x = jax.random.normal(jax.random.key(1), (8, 4))
    y = jnp.asarray(np.arange(8, dtype=np.int32) % 3)
    gradient = jax.jit(jax.grad(lambda params: losses.softmax(model.apply(params, x), y).mean()))
    params = jax.jit(model.init)(jax.random.key(0))
    first, again = (_flat(gradient(params)) for _ in range(2))
    moved = []
    for optimizer in (optax.sgd(0.1), optax.rmsprop(0.1)):
        step = jax.jit(lambda slopes, params, o=optimizer: o.update(slopes, o.init(params), params)[0])
        moved.append(_flat(step(gradient(params), params)))
    lengths = [float(np.linalg.norm(update)) for update in moved]
    angle = float(np.degrees(np.arccos(moved[0] @ moved[1] / np.prod(lengths))))
    return Claim(
        "Back-propagation only computes gradients: the weights stay as they are, and two optimizers take different "
        "steps from the same gradient",
        "反向传播只计算梯度：权重保持不变；面对同样的梯度，两种优化器走出不同的一步",
        {
            "difference of the gradients": float(np.abs(first - again).max()),
            "length of SGD's update": lengths[0],
            "length of RMSprop's update": lengths[1],
            "angle between the updates (degrees)": angle,
        },
        bool((first == again).all() and angle > 5 and abs(lengths[0] - 0.1 * np.linalg.norm(first)) < 1e-6),
    )


def _flat(tree: Any) -> np.ndarray:
    """All numbers of a tree, f64."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(np.float64)


def _live_product() -> Live:
    """f = (x + y) z with its gradients, for all values."""
    places = np.linspace(-6, 6, 25)
    function = lambda x, y, z: (x + y) * z
    grid = np.meshgrid(*[np.float32(places)] * 3, indexing="ij")
    flat = [axis.ravel() for axis in grid]
    shape = grid[0].shape
    values = np.asarray(function(*flat)).reshape(shape)
    sums = np.asarray(grid[0] + grid[1])
    slopes = np.stack(jax.jit(jax.vmap(jax.grad(function, (0, 1, 2))))(*flat), -1).reshape(*shape, 3)
    every = (0, 1, 2)
    return Live(
        Text(
            "f = (x + y) z. The sum hands the gradient on unchanged, the product multiplies it by the other factor.",
            "f = (x + y) z。加法原样传递梯度，乘法乘以另一个因子。",
        ),
        [
            Control(name, places.tolist(), places.tolist().index(start))
            for name, start in (("x", -2), ("y", 5), ("z", -4))
        ],
        [
            Bars(Text("Forward: the sum", "前向：和"), ["x + y"], [Numbers(sums[..., None], every)], (-12, 12)),
            Bars(Text("Forward: the product", "前向：积"), ["f"], [Numbers(values[..., None], every)], (-72, 72)),
            Bars(
                Text("Backward: gradients", "反向：梯度"),
                ["df/dx", "df/dy", "df/dz"],
                [Numbers(slopes, every)],
                (-12, 12),
            ),
        ],
        [Readout("f", [Numbers(values, every)])],
    )


def _live_neuron() -> Live:
    """The sigmoid neuron of the textbook example with two of its values changed."""
    places = np.linspace(-6, 6, 49)

    def look(w0: Array, x0: Array) -> tuple[Array, tuple[Array, ...]]:
        return jax.value_and_grad(_neuron, (0, 1, 2, 3, 4))(w0, x0, -3.0, -2.0, -3.0)

    over_all = jax.jit(jax.vmap(jax.vmap(look, (None, 0)), (0, None)))
    output, slopes = over_all(jnp.float32(places), jnp.float32(places))
    return Live(
        Text(
            "A sigmoid neuron with w1 = -3, x1 = -2, w2 = -3. Where the output is near 0 or 1 the neuron is "
            "saturated and all gradients are tiny.",
            "一个 Sigmoid 神经元，w1 = -3，x1 = -2，w2 = -3。输出接近 0 或 1 时神经元饱和，所有梯度都很小。",
        ),
        [Control("w0", places.tolist(), 32), Control("x0", places.tolist(), 20)],
        [Bars(Text("Gradients", "梯度"), list(NEURON), [Numbers(np.stack(slopes, -1), (0, 1))], (-1.6, 1.6))],
        [Readout(Text("output", "输出"), [Numbers(output, (0, 1))])],
    )


def _neuron(w0: Array, x0: Array, w1: Array, x1: Array, w2: Array) -> Array:
    return 1 / (1 + jnp.exp(-(w0 * x0 + w1 * x1 + w2)))


def _one_hidden_neuron(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    return jnp.log(1 + jnp.exp(-(w2 * jnp.maximum(0.0, w1 * x + b1) + b2)))


def _number(gradient: np.ndarray | None) -> float:
    return float("nan") if gradient is None else float(gradient)


def _network(options: Options) -> tuple[list[Claim], list[ResultTable], dict[str, Any]]:
    """A two-layer network: three ways to its gradient, mistakes, and the choice of the step."""
    inputs, hidden, classes, batch = (6, 5, 3, 8) if options.quick else (20, 16, 5, 32)
    model = models.mlp(inputs, (hidden,), classes)
    random = np.random.default_rng(options.seed)
    params = jax.tree.map(
        lambda p: (np.asarray(p) + 0.1 * random.normal(size=p.shape)).astype(np.float32),
        model.init(jax.random.key(options.seed)),
    )
    x = random.normal(size=(batch, inputs)).astype(np.float32)
    y = random.integers(0, classes, batch)

    def objective(params: Any, x: Array) -> Array:
        return losses.softmax(model.apply(params, x), jnp.asarray(y, jnp.int32)).mean() + L2 * losses.l2(params)

    by_hand = backward(params, x, y)
    by_jax = check_gradient(objective, params, x)
    checks = check_gradient(objective, params, x, gradient=by_hand)
    rows = []
    for hand, auto in zip(checks, by_jax, strict=True):
        between = np.abs(hand.analytic - auto.analytic).max() / np.abs(auto.analytic).max()
        size = f"{np.linalg.norm(auto.analytic):.3g}"
        rows.append((hand.name, len(hand.analytic), size, f"{between:.1e}", f"{hand.max_error:.1e}", hand.kinks))
    worst = max(check.max_error for check in [*checks, *by_jax])
    together = max(float(row[3]) for row in rows)
    agree = Claim(
        "A hand-written backward pass, jax.grad and central differences in float64 agree for every weight",
        "手写反向传播、jax.grad 与 float64 中心差分对每个权重都一致",
        {
            "largest relative error against central differences": worst,
            "largest relative difference between hand-written and jax.grad": together,
            "weights checked": sum(len(check.analytic) for check in checks),
            "weights at kinks of the ReLU": sum(check.kinks for check in checks),
        },
        worst < 1e-6 and together < 1e-12,
    )
    errors = {
        mistake: max(
            c.max_error for c in check_gradient(objective, params, x, gradient=backward(params, x, y, mistake))
        )
        for mistake in MISTAKES
    }
    caught = Claim(
        "The gradient check catches the usual mistakes in a backward pass: their errors are over 100,000 times larger",
        "梯度检验能发现反向传播的常见错误：其误差是正确实现的 10 万倍以上",
        {"error without a mistake": worst} | {f"error, {mistake}": error for mistake, error in errors.items()},
        min(errors.values()) > 1e5 * worst and min(errors.values()) > 1e-3,
    )
    table = ResultTable(
        "Relative errors of the gradient of a two-layer network",
        (
            "weights",
            "count",
            "norm of the gradient",
            "hand-written vs jax.grad",
            "hand-written vs differences",
            "kinks",
        ),
        rows,
    )
    steps, figure = _steps(params, x, objective, by_hand, options.seed)
    nodes = computation_graph(_one_hidden_neuron, 2.0, 0.5, -0.25, 3.0, -1.0)
    title = "One hidden neuron and its loss: s = w2 max(0, w1 x + b1) + b2, loss = log(1 + exp(-s))"
    picture = graph(nodes, title)
    return [agree, caught, steps], [table], {"network": picture, "step": figure}


def backward(params: Any, x: np.ndarray, y: np.ndarray, mistake: str = "") -> list[dict[str, np.ndarray]]:
    """The hand-written gradient, in float64, of the softmax loss and penalty of a two-layer ReLU network."""
    (w1, b1), (w2, b2) = [[np.asarray(layer[name], np.float64) for name in ("w", "b")] for layer in params]
    x, rows = x.astype(np.float64), np.arange(len(x))
    z = x @ w1.T + b1  # forward
    h = np.maximum(z, 0)
    s = h @ w2.T + b2
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    ds = p.copy()  # backward, from the loss to the first layer
    ds[rows, y] -= 1
    ds /= 1 if mistake == MISTAKES[0] else len(x)
    of_penalty = L2 if mistake == MISTAKES[1] else 2 * L2
    dh = ds @ w2
    dz = dh if mistake == MISTAKES[2] else dh * (z > 0)
    return [{"w": dz.T @ x + of_penalty * w1, "b": dz.sum(0)}, {"w": ds.T @ h + of_penalty * w2, "b": ds.sum(0)}]


def _steps(params: Any, x: np.ndarray, objective: Any, gradient: Any, seed: int) -> tuple[Claim, Figure]:
    """The error of one-sided and central differences along one direction, for steps of all sizes."""
    size = np.geomspace(1e-12, 1e-1, 56)
    with jax.enable_x64(True):
        flat, restore = ravel_pytree(jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params))
        direction = np.random.default_rng(seed).normal(size=flat.size)
        direction /= np.linalg.norm(direction)
        slope = float(np.asarray(ravel_pytree(gradient)[0]) @ direction)

        def differences(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
            inputs = jnp.asarray(x, dtype)

            @jax.jit
            def at(h: Array) -> Array:
                moved = flat + h * jnp.asarray(direction)
                return objective(jax.tree.map(lambda a: a.astype(dtype), restore(moved)), inputs)

            high, low, middle = (np.float64(jax.lax.map(at, jnp.asarray(h))) for h in (size, -size, 0 * size))
            return (high - low) / (2 * size), (high - middle) / size

        double, one_sided = differences(jnp.float64)
        single, _ = differences(jnp.float32)
    lines = {"central, float64": double, "one-sided, float64": one_sided, "central, float32": single}
    errors = {name: np.maximum(np.abs(values / slope - 1), 1e-16) for name, values in lines.items()}
    best = {name: float(values.min()) for name, values in errors.items()}
    at = float(size[errors["central, float64"].argmin()])
    claim = Claim(
        "Central differences need float64 and a step that is neither too large nor too small",
        "中心差分需要 float64，步长既不能太大也不能太小",
        {f"smallest error, {name}": error for name, error in best.items()} | {"best step": at},
        best["central, float64"] < 0.1 * best["one-sided, float64"]
        and best["central, float64"] < 0.01 * best["central, float32"]
        and 1e-10 < at < 1e-2,
    )
    figure = curves(
        size,
        errors,
        "Error of difference quotients: rounding dominates at small steps, curvature at large ones",
        ("step h", "relative error of the slope"),
        log=(True, True),
        marks={"h = 6e-6": 6e-6},
    )
    return claim, figure


LESSON = Lesson(
    "backpropagation",
    Text("Back-propagation", "反向传播"),
    Text(
        "How does the gradient reach every weight, and how do we know that it is right?",
        "梯度怎样传到每个权重？怎样确认它是正确的？",
    ),
    study,
    TEACHING,
)
