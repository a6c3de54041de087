"""Dropout: a different sub-network for every example, and the benefit of training so many of them.

    python -m experiments.lessons.dropout --quick

Trains a network of 256 hidden neurons on 300 digits with 20 rates and several seeds in one compiled sweep.
Expected: inverted scaling preserves the mean of every value; dropout narrows the gap between training
and test; the network without dropout outputs the mean of the scores of its sub-networks, which the mean of a sample of
K of them approaches with an error of 1 / sqrt(K).
"""

from __future__ import annotations

import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("dropout", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.teaching.dropout import TEACHING
from jaxnn import layers, losses, models, plots, training
from jaxnn.data import load, preprocess
from jaxnn.inspect import sample_dropout_masks

RATES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8)
EVERY = tuple(i / 20 for i in range(20))
"""The rates that are trained; claims and figures are about `RATES`."""
SIZES = (4, 7, 7, 3)
"""The drawn network."""
RATE = 0.5
EXAMPLES, HIDDEN = 300, 256
COUNTS = (1, 2, 5, 10, 20, 50, 100, 200)


def task(h: dict[str, Any]) -> training.Task:
    """A network with dropout on its hidden layer."""
    return training.Task(
        models.mlp((8, 8, 1), (HIDDEN,), 10, dropout=h["dropout"]),
        losses.softmax,
        optax.sgd(0.05, momentum=0.9),
        transform=preprocess.standardize,
    )


def study(options: Options) -> Findings:
    """The sweep over rates, then the sub-networks of one of its models."""
    epochs, seeds = (40, 2) if options.quick else (80, 15)
    digits = load("digits", validation_share=0)
    chosen = np.random.default_rng(options.seed).permutation(len(digits.train.labels))[:EXAMPLES]
    train = (digits.train.inputs[chosen], digits.train.labels[chosen])
    statistics = preprocess.fit_moments(train[0], "global")
    run, seconds = lesson.timed(
        training.sweep,
        task,
        {"dropout": np.array(EVERY, np.float32)},
        jax.random.split(jax.random.key(options.seed), seeds),
        training.Data(*train, statistics, {"train": train, "test": digits.test}),
        epochs=epochs,
        batch_size=50,
    )
    live = [_live_net(options.seed), _live_rates(run, len(EVERY) * seeds, seconds)]
    kept = np.array([EVERY.index(rate) for rate in RATES])
    run = jax.tree.map(lambda leaf: np.asarray(leaf)[kept], run._replace(state=run.state._replace(key=None)))
    last = {name: values[..., -1].astype(np.float64) for name, values in run.history.items()}
    gap = last["test_loss"] - last["train_loss"]
    accuracy = {name: 100 * last[f"{name}_accuracy"] for name in ("train", "test")}
    with_it = RATES.index(RATE)
    params = jax.tree.map(lambda leaf: leaf[with_it, 0], run.state.params)
    x = jax.jit(preprocess.standardize)(statistics, digits.test.inputs)
    key = jax.random.key(options.seed)
    scaling, picture = scaling_of(params, x, key)
    averages, average_figure, average_rows = subnets(params, x, digits.test.labels, key)
    claims = [
        scaling,
        Claim(
            "Dropout narrows the gap between training and test",
            "Dropout 缩小训练与测试之间的差距",
            {
                "loss gap without dropout": float(gap[0].mean()),
                f"loss gap at rate {RATE}": float(gap[with_it].mean()),
                "test accuracy without dropout (%)": float(accuracy["test"][0].mean()),
                f"test accuracy at rate {RATE} (%)": float(accuracy["test"][with_it].mean()),
            },
            bool(gap[with_it].mean() < gap[0].mean() and accuracy["test"][with_it].mean() > accuracy["test"][0].mean()),
        ),
        *averages,
        _activations_only(key),
    ]
    panels = [
        plots.Panel({"training": accuracy["train"], "test": accuracy["test"]}, "Accuracy", "accuracy (%)"),
        plots.Panel({"test - training": gap}, "Loss gap", "loss"),
    ]
    columns = ["rate", "training accuracy", "test accuracy", "loss gap"]
    rows = [
        [rate, f"{a:.2f} %", f"{b:.2f} %", f"{c:.3f}"]
        for rate, a, b, c in zip(RATES, accuracy["train"].mean(1), accuracy["test"].mean(1), gap.mean(1), strict=True)
    ]
    title = f"{EXAMPLES} digits, {HIDDEN} hidden neurons, {seeds} seeds: the effect of dropout on training and test"
    return Findings(
        claims,
        {
            "masks": picture,
            "rates": plots.study(RATES, panels, title, "rate (fraction of the hidden values dropped)"),
            "subnets": average_figure,
        },
        [
            ResultTable(f"Means over {seeds} seeds after {epochs} epochs, measured without dropout", columns, rows),
            average_rows,
        ],
        live,
        models=len(EVERY) * seeds,
        training_seconds=seconds,
    )


def _activations_only(key: Array) -> Claim:
    """One step with dropout: which values are zero, and which weights receive no gradient."""
    model = models.mlp(8, (200,), 3, dropout=RATE)
    params = jax.device_get(jax.jit(model.init)(key))
    before = jax.tree.map(np.copy, params)

    @jax.jit
    def gradients(params: Any) -> tuple[Array, Array]:
        x, y = jnp.abs(jax.random.normal(key, (1, 8))), jnp.zeros(1, jnp.int32)
        with_it = jax.grad(lambda params: losses.softmax(model.apply(params, x, key=key), y).mean())(params)
        without = jax.grad(lambda params: losses.softmax(model.apply(params, x), y).mean())(params)
        return with_it[0]["w"], without[0]["w"]

    gradient, plain = map(np.asarray, gradients(params))
    active, silent = np.abs(plain).max(1) > 0, np.abs(gradient).max(1) == 0
    off = int((silent & active).sum())
    zeros = sum(int((leaf == 0).sum()) for leaf in (params[0]["w"], params[1]["w"]))
    same = all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(params), strict=True))
    return Claim(
        "Activations are dropped, not parameters: about half of the hidden values are zero for this example, their "
        "weights get no gradient from it, and no parameter has changed or become zero",
        "丢弃的是激活值而不是参数：对这个样本约一半隐藏值为零，相应的权重没有梯度，而没有任何参数改变或变为零",
        {
            "hidden values set to zero (%)": 100 * off / int(active.sum()),
            "parameters set to zero": zeros,
            "weights of a dropped neuron that get no gradient (%)": 100.0 * float((gradient[silent] == 0).mean()),
        },
        same and zeros == 0 and 30 < 100 * off / int(active.sum()) < 70,
    )


def _live_net(seed: int) -> Live:
    """The drawn network with the hidden neurons that one mask drops crossed out."""
    draws = 20
    ones = [np.ones(size, np.float32) for size in SIZES[1:-1]]

    @jax.jit
    def look(rates: Array, keys: Array) -> list[Array]:
        def one(rate: Array, key: Array) -> list[Array]:
            return [layers.dropout(jax.random.fold_in(key, i), jnp.asarray(x), rate) > 0 for i, x in enumerate(ones)]

        return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(rates, keys)

    hidden = look(np.array(EVERY, np.float32), jax.random.split(jax.random.key(seed), draws))
    shape = (len(EVERY), draws)
    kept = [np.ones((*shape, SIZES[0]), bool), *map(np.asarray, hidden), np.ones((*shape, SIZES[-1]), bool)]
    heights = [np.linspace(-1, 1, size + 2)[1:-1] for size in SIZES]
    x_nodes = np.concatenate([np.full(size, float(i)) for i, size in enumerate(SIZES)])
    y_nodes = np.broadcast_to(np.concatenate(heights), (*shape, len(x_nodes)))
    on = np.concatenate(kept, -1)
    x_edges, y_edges = [], []
    for i in range(len(SIZES) - 1):
        for a in range(SIZES[i]):
            for b in range(SIZES[i + 1]):
                there = kept[i][..., a] & kept[i + 1][..., b]
                ends = np.array([heights[i][a], heights[i + 1][b], np.nan])
                x_edges.append(np.array([i, i + 1, np.nan]))
                y_edges.append(np.where(there[..., None], ends, np.nan))
    both = (0, 1)
    lines = Series("", Numbers(np.concatenate(x_edges)), Numbers(np.concatenate(y_edges, -1), both), "line", 6)
    used = 1 - on[..., SIZES[0] : -SIZES[-1]].mean(-1)
    return Live(
        Text(
            "The fully connected net at rate 0; with dropout, another thinned net in every step. Crossed out are "
            "values, not weights: in the next step other neurons are missing.",
            "丢弃率为 0 时是完整的全连接网络；使用 Dropout 时，每一步都是另一个“瘦身”网络。划去的是取值，不是权重：下"
            "一步缺席的是别的神经元。",
        ),
        [
            Control(Text("rate", "丢弃率"), list(EVERY), 0),
            Control(Text("step", "第几步"), list(range(1, draws + 1)), 0),
        ],
        [
            Plot(
                Text("One step of training", "训练中的一步"),
                Text("inputs — hidden — hidden — scores", "输入 — 隐藏层 — 隐藏层 — 得分"),
                "",
                (-0.2, 3.2),
                (-1.05, 1.05),
                [
                    lines,
                    Series("", Numbers(x_nodes), Numbers(np.where(on, y_nodes, np.nan), both), "points"),
                    Series("", Numbers(x_nodes), Numbers(np.where(on, np.nan, y_nodes), both), "cross", 1),
                ],
                axes=False,
            )
        ],
        [Readout(Text("hidden neurons crossed out", "被划去的隐藏神经元"), [Numbers(100 * used, both)], " %")],
    )


def _live_rates(run: training.Run, count: int, seconds: float) -> Live:
    """Training and test accuracy for every rate."""
    accuracy = {
        name: 100 * run.history[f"{part}_accuracy"][..., -1].astype(np.float64).mean(1)
        for name, part in ((Text("training", "训练"), "train"), (Text("test", "测试"), "test"))
    }
    gap = (run.history["test_loss"] - run.history["train_loss"])[..., -1].mean(1)
    rates = np.array(EVERY)
    return Live(
        Text(
            "300 digits, 256 hidden neurons: dropout narrows the gap. At very high rates too little of the network "
            "is left.",
            "300 个数字图像，256 个隐藏神经元：Dropout 缩小差距。丢弃率过高时，剩下的网络太小。",
        ),
        [Control(Text("rate", "丢弃率"), list(EVERY), 10)],
        [
            Plot(
                Text("Accuracy (%)", "准确率（%）"),
                Text("rate", "丢弃率"),
                "",
                (0, 0.95),
                (80, 100.5),
                [
                    Series(name, Numbers(rates), Numbers(values), color=c)
                    for c, (name, values) in enumerate(accuracy.items())
                ]
                + [
                    Series("", Numbers(rates[:, None], (0,)), Numbers(values[:, None], (0,)), "points", c)
                    for c, values in enumerate(accuracy.values())
                ],
            )
        ],
        [Readout(name, [Numbers(values, (0,))], " %") for name, values in accuracy.items()]
        + [Readout(Text("loss gap", "损失差距"), [Numbers(gap, (0,))])],
        count,
        seconds,
    )


def scaling_of(params: Any, x: Array, key: Array) -> tuple[Claim, Any]:
    """Whether the mean over many masks is the value without dropout, and a picture of some masks."""
    hidden = jax.jit(lambda layer, x: jax.nn.relu(layers.linear(layer, x.reshape(len(x), -1))))(params[0], x)
    hidden, count = np.asarray(hidden), 2000

    @jax.jit
    def mean_and_error(hidden: Array) -> tuple[Array, Array, Array]:
        dropped = jax.vmap(lambda key: layers.dropout(key, hidden, RATE))(jax.random.split(key, count))
        error = dropped.std(0) / jnp.sqrt(jnp.float32(count))
        off = jnp.where(error > 0, jnp.abs(dropped.mean(0) - hidden) / jnp.where(error > 0, error, 1.0), 0.0)
        return dropped.mean(), hidden.mean(), jnp.sqrt((off**2).sum() / (error > 0).sum())

    after, before, deviation = (float(value) for value in mean_and_error(hidden[:20]))
    claim = Claim(
        "Inverted scaling preserves the mean of every value",
        "反向缩放使每个值的均值保持不变",
        {"mean without dropout": before, f"mean over {count} masks": after, "deviation in standard errors": deviation},
        abs(after - before) < 0.01 * before and 0.9 < deviation < 1.1,
    )
    rows, columns = slice(0, 24), slice(0, 64)
    dropped = jax.jit(lambda hidden: layers.dropout(key, hidden, RATE))(hidden)
    return claim, plots.dropout_masks(hidden[rows, columns], np.asarray(dropped[rows, columns]), RATE)


def subnets(params: Any, x: Array, labels: np.ndarray, key: Array) -> tuple[list[Claim], Any, ResultTable]:
    """The distance of the mean of K sub-networks from the whole network, and their accuracy."""
    model = models.mlp((8, 8, 1), (HIDDEN,), 10, dropout=RATE)
    scores = np.asarray(
        jax.jit(lambda p, x: sample_dropout_masks(model.apply, p, x, key, max(COUNTS)))(params, x), np.float64
    )
    whole = np.asarray(jax.jit(model.apply)(params, x), np.float64)
    each = 100 * (scores.argmax(-1) == labels).mean(1)
    all_right = 100 * float((whole.argmax(-1) == labels).mean())
    error, right = [], []
    for count in COUNTS:
        groups = scores[: max(COUNTS) // count * count].reshape(-1, count, *scores.shape[1:]).mean(1)
        error.append(float(np.sqrt(((groups - whole) ** 2).mean())))
        right.append(100 * float((groups.argmax(-1) == labels).mean()))
    slope = float(np.polyfit(np.log(COUNTS[:-2]), np.log(error[:-2]), 1)[0])
    claims = [
        Claim(
            "Without dropout the network outputs the mean of its sub-networks: the error of a mean over K falls as 1 "
            "/ sqrt(K)",
            "关闭 Dropout 后，网络输出各子网络得分的均值：K 个子网络均值的误差按 1 / sqrt(K) 下降",
            {
                "slope of log error against log K": slope,
                "error of 1 sub-network": error[0],
                f"error of {COUNTS[-1]} sub-networks": error[-1],
            },
            -0.6 < slope < -0.4,
        ),
        Claim(
            "The whole network is more accurate than its sub-networks are on average",
            "完整网络的准确率高于各子网络的平均准确率",
            {
                "mean accuracy of the sub-networks (%)": float(each.mean()),
                "accuracy of the whole network (%)": all_right,
            },
            all_right > each.mean(),
        ),
    ]
    panels = [
        plots.Panel(
            {"distance from the whole network": error, "error of 1 / sqrt(K)": error[0] / np.sqrt(COUNTS)},
            "Mean scores of K sub-networks",
            "root mean square error of the scores",
            log=True,
        ),
        plots.Panel(
            {"mean of K sub-networks": right, "the whole network": np.full(len(COUNTS), all_right)},
            "Accuracy",
            "test accuracy (%)",
        ),
    ]
    title = f"The network without dropout is the average of its sub-networks (rate {RATE:g})"
    figure = plots.study(COUNTS, panels, title, "K (sub-networks in the mean)", log=True)
    rows = [[count, f"{a:.3f}", f"{b:.2f} %"] for count, a, b in zip(COUNTS, error, right, strict=True)]
    return claims, figure, ResultTable("Means of K sub-networks", ["K", "error of the scores", "test accuracy"], rows)


LESSON = Lesson(
    "dropout",
    Text("Dropout", "Dropout"),
    Text(
        "What does dropout drop, why does the mean stay the same, and why does it help?",
        "Dropout 丢弃的是什么？均值为何不变？为什么有用？",
    ),
    study,
    TEACHING,
)
