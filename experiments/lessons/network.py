"""A neural network: neurons, weights, and a non-linearity between two score functions.

    python -m experiments.lessons.network --quick

Trains networks of 2 inputs, 6 hidden neurons and 2 scores on a disc within a ring, with ReLU and without activation,
for several seeds in one compiled program, and draws one of them: its weights as lines, the values of its neurons at one
point and over the whole plane. Without the activation the network is one linear function and classifies about half of
the points correctly; with it, about 99 %. About 9 s on 2 CPU cores, 8 s with --quick.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("network", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.teaching.network import TEACHING
from jaxnn import losses, models, training
from jaxnn.data import Dataset, load
from jaxnn.inspect import layer_outputs
from jaxnn.plots import network

HIDDEN, LIMIT, GRID = 6, 1.2, 60
BENDS = np.linspace(0, 1, 21, dtype=np.float32)
SIZES = ((3, (4,), 2), (2, (HIDDEN,), 2), (64, (256,), 10), (3072, (512,), 10))


def _task(h: dict[str, Any]) -> training.Task:
    """A network whose activation has the slope 1 - `bend` for negative values: ReLU at 1, none at 0."""
    return training.Task(
        models.mlp(2, (HIDDEN,), 2, activation=lambda z: jnp.where(z > 0, z, (1.0 - h["bend"]) * z)),
        losses.softmax,
        optax.sgd(0.2, momentum=0.9),
        lambda params: 1e-4 * losses.l2(params),
    )


def study(options: Options) -> Findings:
    """Train, draw, and compare with and without the activation."""
    seeds = 6 if options.quick else 16
    dataset = load("circle", size=600, seed=options.seed, validation_share=0)
    data = training.Data(*dataset.train, evaluate={"test": dataset.test})
    keys = jax.random.split(jax.random.key(options.seed), seeds)
    bends = {"bend": BENDS}
    epochs = 40 if options.quick else 80
    run, seconds = lesson.timed(training.sweep, _task, bends, keys, data, epochs=epochs, batch_size=32)
    live = _live(run, dataset, len(BENDS) * seeds, seconds)
    run = jax.tree.map(lambda leaf: np.asarray(leaf)[[0, -1]], run._replace(state=run.state._replace(key=None)))
    accuracy = np.asarray(run.history["test_accuracy"][..., -1], np.float64)
    straight = float(np.median(accuracy[0]))
    bent = float(np.median(accuracy[1]))

    linear = jax.tree.map(lambda a: a[0, 0], run.state.params)
    points = jnp.asarray(dataset.test.inputs)
    scores = layer_outputs(linear, points, lambda z: z)[-1]
    (w1, b1), (w2, b2) = ((np.asarray(a["w"], np.float64), np.asarray(a["b"], np.float64)) for a in linear)
    w, b = w2 @ w1, w2 @ b1 + b2
    collapse = float(np.abs(np.asarray(scores) - (np.asarray(points, np.float64) @ w.T + b)).max())

    best = int(accuracy[1].argmax())
    params = jax.tree.map(lambda a: a[1, best], run.state.params)
    without = _without_each(params, points, dataset.test.labels)
    counted = [_parameters(*sizes) for sizes in SIZES]
    claims = [
        Claim(
            "Every line is a weight: two layers of n and m neurons are joined by n m weights and m biases",
            "每条连线是一个权重：n 与 m 个神经元的两层之间有 n·m 个权重和 m 个偏置",
            {
                f"parameters of {'-'.join(map(str, (i, *h, o)))}": count
                for (i, h, o), (count, _) in zip(SIZES, counted, strict=True)
            },
            all(count == formula for count, formula in counted),
        ),
        Claim(
            "Without an activation, two layers are one linear function: (W2 W1) x + W2 b1 + b2",
            "没有激活函数时，两层等价于一个线性函数：(W2 W1) x + W2 b1 + b2",
            {"largest difference": collapse, "largest score": float(jnp.abs(scores).max())},
            collapse < 1e-4 * max(1.0, float(jnp.abs(scores).max())),
        ),
        Claim(
            "The non-linearity makes the difference: a disc within a ring is learned with ReLU, and not without",
            "非线性起决定作用：对于圆环中的圆盘，有 ReLU 能学会，没有则不能",
            {
                "median test accuracy without activation": straight,
                "median test accuracy with ReLU": bent,
                "seeds": seeds,
            },
            bent > 0.9 and straight < 0.8,
        ),
        Claim(
            "The hidden neurons share the work: without the most important one, the accuracy drops sharply",
            "隐藏神经元分担工作：去掉最重要的一个，准确率大幅下降",
            {"test accuracy": float(accuracy[1, best])}
            | {f"test accuracy without neuron {i + 1}": float(a) for i, a in enumerate(without)},
            float(accuracy[1, best] - without.min()) > 0.05,
        ),
    ]
    rows = [
        (name, f"{np.min(a):.1%}", f"{np.median(a):.1%}", f"{np.max(a):.1%}")
        for name, a in zip(("no activation", "ReLU"), accuracy, strict=True)
    ]
    table = ResultTable(
        f"Test accuracy of {seeds} networks 2-{HIDDEN}-2 each", ("hidden layer", "lowest", "median", "highest"), rows
    )
    figures = _figures(params, dataset.test.inputs)
    return Findings(claims, figures, [table], [live], len(BENDS) * seeds, seconds)


def _live(run: training.Run, dataset: Dataset, count: int, seconds: float) -> Live:
    """The regions of the best seed for every slope of the activation, and the activation."""
    accuracy = np.asarray(run.history["test_accuracy"][..., -1], np.float64)
    rows, best = np.arange(len(BENDS)), accuracy.argmax(1)
    chosen = jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows, best], run.state.params)
    side = np.linspace(-LIMIT, LIMIT, GRID, dtype=np.float32)
    plane = jnp.asarray(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2))
    score = lambda bend, params: _task({"bend": bend}).model.apply(params, plane)
    found = np.asarray(jax.jit(jax.vmap(score))(jnp.asarray(BENDS), chosen)).argmax(-1)
    points, labels = dataset.test.inputs[:200], dataset.test.labels[:200].astype(np.uint8)
    z = np.linspace(-2, 2, 41)
    curves = np.where(z > 0, z, (1 - BENDS[:, None]) * z)
    return Live(
        Text(
            "Six hidden neurons. At the left the activation is a straight line and the network is linear, whatever "
            "its weights; at the right it is ReLU. Very little bend is enough.",
            "六个隐藏神经元。最左端激活函数是直线，无论权重如何，网络都是线性的；最右端是 ReLU。只要弯一点就够了。",
        ),
        [Control(Text("bend of the activation", "激活函数的弯折程度"), np.round(BENDS, 2).tolist(), 0)],
        [
            Plot(
                Text("Regions and test points", "分类区域与测试点"),
                "x1",
                "x2",
                (-LIMIT, LIMIT),
                (-LIMIT, LIMIT),
                [Series("", Numbers(points[:, 0]), Numbers(points[:, 1]), "points", labels=Numbers(labels))],
                picture=Numbers(found.reshape(-1, GRID, GRID).astype(np.uint8), (0,)),
                square=True,
            ),
            Plot(
                Text("The activation", "激活函数"),
                "z",
                "g(z)",
                (-2, 2),
                (-2, 2),
                [Series("", Numbers(z), Numbers(curves, (0,)))],
                square=True,
            ),
        ],
        [
            Readout(Text("best test accuracy", "最高测试准确率"), [Numbers(100 * accuracy.max(1), (0,))], " %"),
            Readout(Text("median of the seeds", "各种子的中位数"), [Numbers(100 * np.median(accuracy, 1), (0,))], " %"),
        ],
        count,
        seconds,
    )


def _parameters(inputs: int, hidden: tuple[int, ...], outputs: int) -> tuple[int, int]:
    """The number of parameters of a network, counted and by the formula."""
    params = jax.eval_shape(models.mlp(inputs, hidden, outputs).init, jax.random.key(0))
    sizes = (inputs, *hidden, outputs)
    formula = sum(n * m + m for n, m in itertools.pairwise(sizes))
    return sum(leaf.size for leaf in jax.tree.leaves(params)), formula


def _without_each(params: Any, points: jax.Array, labels: np.ndarray) -> np.ndarray:
    """The accuracy of the network with each hidden neuron's weights to the scores set to zero in turn."""
    hidden = layer_outputs(params, points, jax.nn.relu)[0]
    left = 1.0 - np.eye(HIDDEN, dtype=np.float32)
    scores = np.einsum("nh,kh,ch->knc", hidden, left, params[1]["w"]) + np.asarray(params[1]["b"])
    return (scores.argmax(-1) == labels).mean(-1)


def _figures(params: Any, points: np.ndarray) -> dict[str, Any]:
    """The network at the point with the most active neurons, and over the plane."""
    on = np.asarray(layer_outputs(params, jnp.asarray(points), jax.nn.relu)[0]) > 0
    point = points[on.sum(1).argmax()]
    weights = [layer["w"] for layer in params]
    values = [point, *(h[0] for h in layer_outputs(params, point[None], jax.nn.relu))]
    side = np.linspace(-LIMIT, LIMIT, GRID, dtype=np.float32)
    plane = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    maps = [np.asarray(h).T.reshape(-1, GRID, GRID) for h in (plane, *layer_outputs(params, plane, jax.nn.relu))]
    layers = ("features", f"{HIDDEN} hidden neurons, ReLU", "scores")
    names = (("x1", "x2"), ("disc", "ring"))
    of_point = f"A network at the point ({point[0]:.2f}, {point[1]:.2f}): features, hidden neurons, scores"
    return {
        "values": network(weights, values, layers, of_point, names),
        "maps": network(
            weights, maps, layers, "The same network over the plane: each neuron bends along a line", names
        ),
    }


LESSON = Lesson(
    "network",
    Text("What a neural network is", "什么是神经网络"),
    Text(
        "What do the neurons and lines of a network stand for, and why is it more than a linear function?",
        "网络中的神经元和连线代表什么？它为什么不只是线性函数？",
    ),
    study,
    TEACHING,
)
