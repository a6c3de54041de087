"""Regularization: which of two equal-scoring weight vectors a penalty prefers, and its effect on a network.

    python -m experiments.lessons.regularization --quick

Two weight vectors with the same score, then a network of 50 hidden neurons on 100 noisy points with 22 values of l2
from 0 to 0.3, all of them in one compiled sweep. Expected: the weight norm falls with every step
of l2, the borders get smoother, and the gap between training and test accuracy closes.
"""

from __future__ import annotations

import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("regularization", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments.lessons.framework.data import few_points
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.teaching.regularization import TEACHING
from jaxnn import layers, losses, models, plots, training
from jaxnn.data import Split

L2 = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
EVERY = tuple(sorted({*L2, *(float(f"{value:.2g}") for value in np.geomspace(2e-5, 0.3, 14))}))
"""With more values in between, for the slider."""
DRAWN = (0, 3, 5, 7)
LIMIT = 1.7
MODEL = models.mlp(2, (50,), 2)


def task(h: dict[str, Any]) -> training.Task:
    """A network that is wide enough to bend around single points, held by the penalty alone."""
    return training.Task(MODEL, losses.softmax, optax.adam(0.02), penalty=lambda params: h["l2"] * losses.l2(params))


def study(options: Options) -> Findings:
    """The two weight vectors, then the sweep over l2."""
    claim, rows, picture = two_vectors()
    epochs, seeds = (150, 3) if options.quick else (400, 10)
    train, test = few_points(100, 1250, options)
    run, seconds = lesson.timed(
        training.sweep,
        task,
        {"l2": np.array(EVERY, np.float32)},
        jax.random.split(jax.random.key(options.seed), seeds),
        training.Data(*train, evaluate={"train": train, "test": test}),
        epochs=epochs,
        batch_size=50,
    )
    live = [_live_pair(), _live_regions(run, train, len(EVERY) * seeds, seconds)]
    kept = np.array([EVERY.index(value) for value in L2])
    run = jax.tree.map(lambda leaf: np.asarray(leaf)[kept], run._replace(state=run.state._replace(key=None)))
    last = {name: values[..., -1].astype(np.float64) for name, values in run.history.items()}
    norm = np.asarray(jax.jit(jax.vmap(jax.vmap(lambda params: jnp.sqrt(losses.l2(params)))))(run.state.params))
    accuracy = {name: 100 * last[f"{name}_accuracy"] for name in ("train", "test")}
    gap = {"accuracy": accuracy["train"] - accuracy["test"], "loss": last["test_loss"] - last["train_loss"]}
    loss, best = last["test_loss"].mean(1), int(last["test_loss"].mean(1).argmin())
    mean_gap = gap["loss"].mean(1)
    claims = [
        claim,
        Claim(
            "The larger l2, the smaller the weights",
            "l2 越大，权重越小",
            {f"weight norm at l2 = {l2:g}": float(value) for l2, value in zip(L2, norm.mean(1), strict=True)},
            bool((np.diff(norm.mean(1)) < 0).all()),
        ),
        Claim(
            "A penalty narrows the gap between training and test; the right one lowers the test loss",
            "惩罚项缩小训练与测试之间的差距；取值合适时测试损失更低",
            {
                "loss gap at l2 = 0": float(mean_gap[0]),
                "loss gap at l2 = 0.01": float(mean_gap[L2.index(1e-2)]),
                "test loss at l2 = 0": float(loss[0]),
                "lowest test loss": float(loss[best]),
                "l2 of the lowest test loss": L2[best],
            },
            bool(mean_gap[L2.index(1e-2)] < 0.5 * mean_gap[0] and 0 < best < len(L2) - 1),
        ),
    ]
    places = plots.plane(LIMIT, 121)
    scores = np.asarray(jax.jit(jax.vmap(lambda p: MODEL.apply(p, places)))(jax.tree.map(first_seed, run.state.params)))
    panels = [
        plots.Regions(
            scores[i],
            *train,
            f"l2 {L2[i]:g}, weight norm {norm[i, 0]:.1f}\ntrain {accuracy['train'][i, 0]:.0f} %, test "
            f"{accuracy['test'][i, 0]:.0f} %",
        )
        for i in DRAWN
    ]
    curves = [
        plots.Panel({"training": accuracy["train"], "test": accuracy["test"]}, "Accuracy", "accuracy (%)"),
        plots.Panel({"test - training": gap["loss"]}, "Loss gap", "loss"),
        plots.Panel({"all weights": norm}, "Weight norm", "l2 norm of the weights", log=True),
    ]
    columns = ["l2", "training accuracy", "test accuracy", "loss gap", "weight norm"]
    table = [
        [f"{l2:g}", f"{a:.1f} %", f"{b:.1f} %", f"{c:.3f}", f"{d:.2f}"]
        for l2, a, b, c, d in zip(
            L2, accuracy["train"].mean(1), accuracy["test"].mean(1), mean_gap, norm.mean(1), strict=True
        )
    ]
    title = f"Training and test against l2: 100 noisy points, 50 hidden neurons, {seeds} seeds"
    return Findings(
        claims,
        {
            "two_vectors": picture,
            "regions": plots.decision_regions(
                panels, "The penalty smooths the border: training points of the first seed", limit=LIMIT, columns=4
            ),
            "l2": plots.study(L2, curves, title, "l2 (factor of the penalty)", log=True),
        },
        [rows, ResultTable(f"Means over {seeds} seeds after {epochs} epochs", columns, table)],
        live,
        models=len(EVERY) * seeds,
        training_seconds=seconds,
    )


def _live_pair() -> Live:
    """The pair of weight vectors with the same loss, and what the penalty adds."""
    l2 = np.linspace(0, 1, 21)
    pair = jnp.array([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    data = jax.vmap(lambda w: losses.softmax(jnp.stack([w @ jnp.ones(4), jnp.float32(0)]), jnp.int32(0)))(pair)
    added = jax.vmap(lambda l2: jax.vmap(lambda w: l2 * losses.l2(w))(pair))(jnp.asarray(l2, jnp.float32))
    both = [Text("A: (1, 0, 0, 0)", "A：(1, 0, 0, 0)"), Text("B: (¼, ¼, ¼, ¼)", "B：(¼, ¼, ¼, ¼)")]
    return Live(
        Text(
            "Two models, one score, one data loss. Without a penalty neither is better; with it, B is.",
            "两个模型，得分相同，数据损失也相同。没有惩罚项时不分高下；有惩罚项时 B 更好。",
        ),
        [Control("l2", np.round(l2, 2).tolist(), 4)],
        [
            Bars(Text("Data loss", "数据损失"), both, [Numbers(data)], (0, 1.5)),
            Bars(
                Text("Data loss + penalty", "数据损失 + 惩罚项"), both, [Numbers(data), Numbers(added, (0,))], (0, 1.5)
            ),
        ],
    )


def _live_regions(run: training.Run, train: Split, models_trained: int, seconds: float) -> Live:
    """The regions of one network for every l2, and all accuracies."""
    places = plots.plane(LIMIT, 60)
    params = jax.tree.map(first_seed, run.state.params)
    scores = np.asarray(jax.jit(jax.vmap(lambda p: MODEL.apply(p, places)))(params))
    found = scores.argmax(-1).reshape(len(EVERY), 60, 60).astype(np.uint8)
    accuracy = {name: 100 * run.history[f"{name}_accuracy"][..., -1].mean(1) for name in ("train", "test")}
    norm = np.asarray(jax.vmap(jax.vmap(lambda p: jnp.sqrt(losses.l2(p))))(run.state.params)).mean(1)
    shown = np.array([1e-5, *EVERY[1:]])  # a logarithmic axis has no 0
    names = {"train": Text("training", "训练"), "test": Text("test", "测试")}
    labels = Numbers(train.labels.astype(np.uint8))
    return Live(
        Text(
            "100 noisy points, 50 hidden neurons. Raise l2: the border stops bending around single points, then the "
            "network learns nothing. (The leftmost position is l2 = 0.)",
            "100 个带噪声的点，50 个隐藏神经元。增大 l2：边界不再绕着个别点弯曲；再增大，网络就什么也学不到。（最左为"
            " l2 = 0。）",
        ),
        [Control("l2", list(EVERY), 0)],
        [
            Plot(
                Text("Regions and training points", "分类区域与训练点"),
                "x1",
                "x2",
                (-LIMIT, LIMIT),
                (-LIMIT, LIMIT),
                [Series("", Numbers(train.inputs[:, 0]), Numbers(train.inputs[:, 1]), "points", labels=labels)],
                picture=Numbers(found, (0,)),
                square=True,
            ),
            Plot(
                Text("Accuracy (%)", "准确率（%）"),
                "l2",
                "",
                (1e-5, 0.3),
                (45, 101),
                [Series(names[k], Numbers(shown), Numbers(accuracy[k]), color=c) for c, k in enumerate(names)]
                + [
                    Series("", Numbers(shown[:, None], (0,)), Numbers(accuracy[k][:, None], (0,)), "points", c)
                    for c, k in enumerate(names)
                ],
                log=(True, False),
                square=True,
            ),
        ],
        [
            Readout(Text("training accuracy", "训练准确率"), [Numbers(accuracy["train"], (0,))], " %"),
            Readout(Text("test accuracy", "测试准确率"), [Numbers(accuracy["test"], (0,))], " %"),
            Readout(Text("weight norm", "权重范数"), [Numbers(norm, (0,))]),
        ],
        models_trained,
        seconds,
    )


def first_seed(leaf: Any) -> Any:
    """From leaves [H, S, ...], the part [H, ...]."""
    return leaf[:, 0]


def two_vectors() -> tuple[Claim, ResultTable, Figure]:
    """Two weight vectors that give one input the same score, and their penalties."""
    x, weights = jnp.ones(4), {"w1": jnp.array([1.0, 0.0, 0.0, 0.0]), "w2": jnp.full(4, 0.25)}
    params = {name: layers.Weights(w=w[None], b=jnp.zeros(1)) for name, w in weights.items()}
    scores = {name: float(layers.linear(layer, x)[0]) for name, layer in params.items()}
    penalties = {name: float(losses.l2([layer])) for name, layer in params.items()}
    claim = Claim(
        "Two weight vectors with the same score can differ in their penalty",
        "得分相同的两组权重，惩罚项可以不同",
        {f"score of {name}": value for name, value in scores.items()}
        | {f"penalty of {name}": value for name, value in penalties.items()},
        scores == {"w1": 1.0, "w2": 1.0} and penalties == {"w1": 1.0, "w2": 0.25},
    )
    rows = [[name, np.asarray(w).tolist(), scores[name], penalties[name]] for name, w in weights.items()]
    table = ResultTable("Input x = [1, 1, 1, 1]", ["vector", "weights", "score w x", "penalty (sum of squares)"], rows)
    captions = {name: f"{name}: score {scores[name]:g}, penalty {penalties[name]:g}" for name in weights}
    title = "The same score from one pixel or from all: the penalty prefers all"
    return claim, table, plots.bars({captions[name]: np.asarray(w) for name, w in weights.items()}, title, "pixel")


LESSON = Lesson(
    "regularization",
    Text("Regularization", "正则化惩罚项"),
    Text(
        "Are two models with the same loss equally good, and what does a penalty on the weights change?",
        "损失值相同的两个模型一样好吗？惩罚项改变了什么？",
    ),
    study,
    TEACHING,
)
