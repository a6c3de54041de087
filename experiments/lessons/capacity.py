"""Capacity: decision regions of 1 to 20 hidden neurons, and a plane being bent.

    python -m experiments.lessons.capacity --quick

Trains 20 widths x 40 seeds (5 with --quick) on each of three sets in one compiled program. Expected:
one neuron draws one straight border and fails on the disc in a ring (about 70 %), three enclose it
(98 % and more), and on a five-armed spiral every increase in width helps (about 30 % to 95 %).
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("capacity", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from matplotlib.figure import Figure

from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.teaching.capacity import TEACHING
from jaxnn import initializers, losses, models, plots, training
from jaxnn.data import Dataset, Split, load
from jaxnn.inspect import trajectory

WIDTHS = (1, 2, 3, 6, 20)
EVERY = tuple(range(1, 21))
"""The widths that are trained; claims and figures are about `WIDTHS`."""
SETS: dict[str, dict[str, Any]] = {"circle": {}, "moons": {}, "spiral": {"classes": 5}}
CLASSES, BATCH = 5, 40
LIMIT = 1.2


def network(width: Any) -> models.Model:
    """One hidden layer of up to 20 tanh neurons, `width` of them in use; scores for up to five classes."""
    return models.mlp(2, (max(WIDTHS),), CLASSES, activation=jnp.tanh, init=initializers.xavier, width=(width,))


def train(widths: Array, keys: Array, x: Array, y: Array, order: Array) -> Any:
    """Every width with every seed on every set: parameters [sets, widths, seeds, ...].

    x[sets, N, 2] and y[sets, N] are the examples, order[steps, B] the rows of each batch, the same for all networks.
    """

    def loss(width: Array, params: Any, x: Array, y: Array) -> Array:
        return losses.softmax(network(width).apply(params, x), y).mean()

    slopes = jax.grad(loss, argnums=1)
    for axes in ((None, 0, None, None), (0, 0, None, None), (None, 0, 0, 0)):  # seeds, widths, sets
        slopes = jax.vmap(slopes, axes)
    init = jax.vmap(jax.vmap(lambda width, key: network(width).init(key), (None, 0)), (0, None))
    params = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(x)), init(widths, keys))
    optimizer = optax.adam(0.03)

    def step(carry: Any, rows: Array) -> tuple[Any, None]:
        params, state = carry
        updates, state = optimizer.update(slopes(widths, params, x[:, rows], y[:, rows]), state)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), order)[0][0]


@jax.jit
def score(widths: Array, params: Any, x: Array) -> Array:
    """Scores [widths, seeds, N, classes] for x[N, 2]."""
    each = jax.vmap(lambda width, params: network(width).apply(params, x), (None, 0))
    return jax.vmap(each)(widths, params)


def folding_task(h: dict[str, Any]) -> training.Task:
    """A network whose last hidden layer has two neurons, so that it can be drawn."""
    return training.Task(
        models.mlp(2, (6, 2), 2, activation=jnp.tanh, init=initializers.xavier),
        losses.softmax,
        optax.adam(h["learning_rate"]),
    )


def study(options: Options) -> Findings:
    """Train every width with every seed on every set, then show one network as it learns."""
    epochs, seeds = (100, 5) if options.quick else (200, 40)
    datasets = {
        name: load(name, validation_share=0, size=1000, seed=options.seed, **more) for name, more in SETS.items()
    }
    keys, count = jax.random.split(jax.random.key(options.seed), seeds), len(EVERY) * seeds * len(SETS)
    random, n = np.random.default_rng(options.seed), len(datasets["circle"].train.labels)
    order = np.concatenate([random.permutation(n)[: n // BATCH * BATCH].reshape(-1, BATCH) for _ in range(epochs)])
    x, y = (np.stack([dataset.train[i] for dataset in datasets.values()]) for i in range(2))
    compiled = jax.jit(train)
    wait = lesson.in_background(compiled, np.array(EVERY), keys, x, y, order)
    bent, learning = learning_network(options, datasets["circle"])
    trained, seconds = wait()
    params = {name: jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), trained) for i, name in enumerate(SETS)}
    every = {name: accuracies(params[name], dataset.test) for name, dataset in datasets.items()}
    live = live_regions(datasets, params, every, count, seconds)
    kept = np.array([EVERY.index(width) for width in WIDTHS])
    params = {name: jax.tree.map(lambda leaf: leaf[kept], of_set) for name, of_set in params.items()}
    test = {name: accuracy[kept] for name, accuracy in every.items()}
    one, three = (round(float(test["circle"][i].max()), 4) for i in (0, 2))
    mean = test["spiral"].mean(1)
    claims = [
        Claim(
            "One hidden neuron cannot separate a disc from the ring around it; three can",
            "一个隐藏神经元分不开圆盘与外围的圆环；三个就可以",
            {"best test accuracy with one neuron": one, "best test accuracy with three neurons": three},
            one < 0.85 and three >= 0.97,
        ),
        Claim(
            "On a five-armed spiral every increase in width raises the mean test accuracy",
            "在五臂螺旋上，网络每加宽一次，平均测试准确率都有提高",
            {f"mean test accuracy at width {width}": float(value) for width, value in zip(WIDTHS, mean, strict=True)},
            bool((np.diff(mean) > 0).all()),
        ),
        costs(),
    ]
    rows = [
        [name, width, *(f"{100 * value:.1f} %" for value in (row.min(), np.median(row), row.max()))]
        for name, accuracy in test.items()
        for width, row in zip(WIDTHS, accuracy, strict=True)
    ]
    columns = ["data set", "hidden neurons", "worst seed", "median", "best seed"]
    return Findings(
        claims,
        {"regions": draw_best(datasets, params, test, seeds), "widths": draw_widths(test, seeds), "bent": bent},
        [ResultTable(f"Test accuracy of {seeds} seeds after {epochs} epochs", columns, rows)],
        [live, learning],
        models=count,
        training_seconds=seconds,
    )


def accuracies(params: Any, points: Split) -> np.ndarray:
    """The accuracy of every width and seed on the points of a set."""
    return (np.asarray(score(np.array(EVERY), params, points.inputs)).argmax(-1) == points.labels).mean(-1)


def costs() -> Claim:
    """Parameters, bytes and operations of a network of one hidden layer for CIFAR-10, by its width."""
    widths, parameters, operations = (128, 256, 512, 1024), [], []
    x = jax.ShapeDtypeStruct((32, 32, 32, 3), jnp.float32)
    for width in widths:
        model = models.mlp((32, 32, 3), (width,), 10)
        params = jax.eval_shape(model.init, jax.random.key(0))
        parameters.append(sum(leaf.size for leaf in jax.tree.leaves(params)))
        cost = jax.jit(model.apply).lower(params, x).cost_analysis() or {}
        operations.append(cost["flops"] / x.shape[0])
    growth = [b / a for a, b in itertools.pairwise(operations)]
    return Claim(
        "Twice as many neurons cost twice the parameters, the memory and the operations",
        "神经元加倍，参数、内存和运算次数也加倍",
        {f"parameters at width {width}": count for width, count in zip(widths, parameters, strict=True)}
        | {f"bytes of weights at width {widths[-1]}": 4 * parameters[-1]}
        | {f"operations per example at width {widths[-1]}": float(operations[-1])}
        | {"growth of the operations for twice the width": float(np.mean(growth))},
        parameters == [width * (3072 + 10 + 1) + 10 for width in widths] and all(1.9 < one < 2.1 for one in growth),
    )


def live_regions(
    datasets: dict[str, Dataset], params: dict[str, Any], test: dict[str, np.ndarray], count: int, seconds: float
) -> Live:
    """The regions of every width with every seed on every set."""
    size, shown = 44, min(20, test["circle"].shape[1])
    found = []
    for name, dataset in datasets.items():
        some = jax.tree.map(lambda leaf: leaf[:, :shown], params[name])
        scores = np.asarray(score(np.array(EVERY), some, plots.plane(LIMIT, size)))[..., : len(dataset.classes)]
        found.append(scores.argmax(-1).reshape(len(EVERY), shown, size, size).astype(np.uint8))
    inputs, labels = (np.stack([dataset.test[i][:150] for dataset in datasets.values()]) for i in range(2))
    widths = np.array(EVERY)
    place = Numbers(widths[:, None], (1,))
    best, every = 100 * np.stack([accuracy[:, :shown] for accuracy in test.values()]), (0, 1, 2)
    return Live(
        Text(
            f"Networks with one hidden layer of 1 to 20 neurons, from {shown} different starts each. Look at several "
            "seeds before you judge a width.",
            f"单隐藏层网络，1 到 20 个神经元，每种宽度 {shown} 个不同的初始值。评判一个宽度之前，先多看几个随机种子。",
        ),
        [
            Control(
                Text("points", "数据"),
                [Text("disc in a ring", "圆环"), Text("moons", "双月"), Text("spiral", "螺旋")],
                0,
                choice=True,
            ),
            Control(Text("hidden neurons", "隐藏神经元"), list(EVERY), 0),
            Control(Text("seed", "随机种子"), list(range(shown)), 0, choice=shown < 20),
        ],
        [
            Plot(
                Text("Regions and test points", "分类区域与测试点"),
                "x1",
                "x2",
                (-LIMIT, LIMIT),
                (-LIMIT, LIMIT),
                [
                    Series(
                        "",
                        Numbers(inputs[..., 0], (0,)),
                        Numbers(inputs[..., 1], (0,)),
                        "points",
                        labels=Numbers(labels.astype(np.uint8), (0,)),
                    )
                ],
                picture=Numbers(np.stack(found), every),
                square=True,
            ),
            Plot(
                Text("Test accuracy (%)", "测试准确率（%）"),
                Text("hidden neurons", "隐藏神经元"),
                "",
                (0, 21),
                (0, 102),
                [
                    Series(Text("median", "中位数"), Numbers(widths), Numbers(np.median(best, 2), (0,)), "line", 6),
                    Series(Text("this network", "当前网络"), place, Numbers(best[..., None], every), "points", 1),
                ],
                square=True,
            ),
        ],
        [Readout(Text("test accuracy", "测试准确率"), [Numbers(best, every)], " %")],
        count,
        seconds,
    )


def draw_best(datasets: dict[str, Dataset], params: dict[str, Any], test: dict[str, Any], seeds: int) -> Figure:
    """The regions of the best seed of every width on every set."""
    places = plots.plane(LIMIT, 121)
    panels = []
    for name, dataset in datasets.items():
        best = test[name].argmax(1)
        chosen = jax.tree.map(lambda leaf, best=best: leaf[np.arange(len(WIDTHS)), best][:, None], params[name])
        scores = np.asarray(score(np.array(WIDTHS), chosen, places))[:, 0, ..., : len(dataset.classes)]
        for i, width in enumerate(WIDTHS):
            caption = f"{name}, {width}: {100 * test[name][i, best[i]]:.0f} %"
            panels.append(plots.Regions(scores[i], *dataset.test, caption))
    title = f"More neurons, more bends: best of {seeds} seeds for 1 to 20 neurons, test points and accuracy"
    return plots.decision_regions(panels, title, limit=LIMIT, columns=len(WIDTHS))


def draw_widths(test: dict[str, Any], seeds: int) -> Figure:
    """Test accuracy against width with every seed."""
    panels = [
        plots.Panel({f"median of {seeds} seeds": 100 * accuracy}, name, "test accuracy (%)")
        for name, accuracy in test.items()
    ]
    return plots.study(WIDTHS, panels, "Test accuracy against the number of hidden neurons", "hidden neurons", log=True)


def learning_network(options: Options, dataset: Dataset) -> tuple[Figure, Live]:
    """One network during training: its regions, and the plane as seen by its last hidden layer; drawn at the end."""
    epochs = (0, *range(1, 13), 14, 16, 19, 22, 26, 30, 35, 40, 50, 60)
    places = jnp.asarray(plots.plane(LIMIT, 121))
    model = folding_task({"learning_rate": 0.02}).model
    layer = models.mlp(2, (6,), 2, activation=jnp.tanh)

    @jax.jit
    def look(learning_rate: Array, key: Array, data: training.Data) -> tuple[Array, ...]:
        h = {"learning_rate": learning_rate}
        kept, _ = trajectory(folding_task, h, key, data, epochs, 40)
        folded = jax.vmap(lambda params, x: jnp.tanh(layer.apply(params[:-1], x)), (0, None))
        scores = jax.vmap(model.apply, (0, None))(kept, places)
        accuracy = jax.vmap(lambda p: (model.apply(p, data.inputs).argmax(-1) == data.labels).mean())(kept)
        return scores, folded(kept, places), folded(kept, data.inputs), accuracy, kept[-1]["w"], kept[-1]["b"]

    data = training.Data(*dataset.train)
    key = jax.random.key(options.seed)
    found, seconds = lesson.timed(look, jnp.float32(0.02), key, jax.tree.map(jnp.asarray, data))
    scores, grid, points, accuracy, w, b = (np.asarray(part) for part in found)
    line = (w[-1], b[-1])
    figure = plots.bent_plane(
        plots.Regions(scores[-1], *dataset.train, f"epoch {epochs[-1]}: accuracy {100 * accuracy[-1]:.0f} %"),
        plots.Bent(grid[-1], points[-1], dataset.train.labels, "as seen by the last hidden layer", line, 1.05),
        "A 2-6-2-2 network learns: the hidden layers bend the plane until a line separates it",
        limit=LIMIT,
    )
    squares = grid.reshape(len(epochs), 121, 121, 2)[:, ::6, ::6]
    gap = np.full((len(epochs), squares.shape[1], 1, 2), np.nan)
    rows = np.concatenate([squares, gap], 2).reshape(len(epochs), -1, 2)
    columns = np.concatenate([squares.swapaxes(1, 2), gap], 2).reshape(len(epochs), -1, 2)
    lines, some = np.concatenate([rows, columns], 1), slice(0, 160)
    labels = Numbers(dataset.train.labels[some].astype(np.uint8))
    inputs, small = dataset.train.inputs[some], scores.argmax(-1).reshape(-1, 121, 121)[:, ::2, ::2].astype(np.uint8)
    live = Live(
        Text(
            "A 2-6-2-2 network while it learns. On the right the plane as its last two hidden neurons see it: they "
            "bend it until one straight line separates the classes.",
            "一个 2-6-2-2 网络的学习过程。右图是最后两个隐藏神经元看到的平面：它们把平面弯折，直到一条直线就能分开两"
            "类。",
        ),
        [Control(Text("epochs trained", "已训练轮数"), list(epochs), 0)],
        [
            Plot(
                Text("Regions and training points", "分类区域与训练点"),
                "x1",
                "x2",
                (-LIMIT, LIMIT),
                (-LIMIT, LIMIT),
                [Series("", Numbers(inputs[:, 0]), Numbers(inputs[:, 1]), "points", labels=labels)],
                picture=Numbers(small, (0,)),
                square=True,
            ),
            Plot(
                Text("As seen by the last hidden layer", "最后一个隐藏层看到的平面"),
                Text("neuron 1", "神经元 1"),
                Text("neuron 2", "神经元 2"),
                (-1.05, 1.05),
                (-1.05, 1.05),
                [
                    Series("", Numbers(lines[..., 0], (0,)), Numbers(lines[..., 1], (0,)), "line", 6),
                    Series(
                        "",
                        Numbers(points[:, some, 0], (0,)),
                        Numbers(points[:, some, 1], (0,)),
                        "points",
                        labels=labels,
                    ),
                ],
                square=True,
            ),
        ],
        [Readout(Text("training accuracy", "训练准确率"), [Numbers(100 * accuracy, (0,))], " %")],
        1,
        seconds,
    )
    return figure, live


LESSON = Lesson(
    "capacity",
    Text("The number of neurons", "神经元的个数"),
    Text("What can a network do with more hidden neurons?", "隐藏神经元越多，网络能做到什么？"),
    study,
    TEACHING,
)
