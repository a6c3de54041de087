"""Dropout: a different sub-network for every example, and the benefit of training so many of them.

    python -m experiments.lessons.dropout --quick

Trains a network of 256 hidden neurons on 300 digits with six rates and several seeds in one compiled sweep, about
15 s on 2 cores. Expected: inverted scaling preserves the mean of every value; dropout narrows the gap between training
and test; the network without dropout outputs the mean of the scores of its sub-networks, which the mean of a sample of
K of them approaches with an error of 1 / sqrt(K).
"""

from __future__ import annotations

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.lessons import lesson
from experiments.lessons.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from jaxnn import layers, losses, models, plots, training
from jaxnn.data import load, preprocess
from jaxnn.inspect import sample_dropout_masks

RATES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8)
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
    epochs, seeds = (40, 5) if options.quick else (80, 15)
    digits = load("digits", validation_share=0)
    chosen = np.random.default_rng(options.seed).permutation(len(digits.train.labels))[:EXAMPLES]
    train = (digits.train.inputs[chosen], digits.train.labels[chosen])
    statistics = preprocess.fit_moments(train[0], "global")
    run, seconds = lesson.timed(
        training.sweep,
        task,
        {"dropout": np.array(RATES, np.float32)},
        jax.random.split(jax.random.key(options.seed), seeds),
        training.Data(*train, statistics, {"train": train, "test": digits.test}),
        epochs=epochs,
        batch_size=50,
    )
    last = {name: values[..., -1].astype(np.float64) for name, values in run.history.items()}
    gap = last["test_loss"] - last["train_loss"]
    accuracy = {name: 100 * last[f"{name}_accuracy"] for name in ("train", "test")}
    with_it = RATES.index(RATE)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf[with_it, 0]), run.state.params)
    x = preprocess.standardize(statistics, jnp.asarray(digits.test.inputs))
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
        models=len(RATES) * seeds,
        training_seconds=seconds,
    )


def scaling_of(params: Any, x: Array, key: Array) -> tuple[Claim, Any]:
    """Whether the mean over many masks is the value without dropout, and a picture of some masks."""
    hidden = jax.nn.relu(layers.linear(params[0], x.reshape(len(x), -1)))
    count = 2000

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
    dropped = layers.dropout(key, hidden, RATE)
    return claim, plots.dropout_masks(np.asarray(hidden[rows, columns]), np.asarray(dropped[rows, columns]), RATE)


def subnets(params: Any, x: Array, labels: np.ndarray, key: Array) -> tuple[list[Claim], Any, ResultTable]:
    """The distance of the mean of K sub-networks from the whole network, and their accuracy."""
    model = models.mlp((8, 8, 1), (HIDDEN,), 10, dropout=RATE)
    scores = np.asarray(
        jax.jit(lambda p, x: sample_dropout_masks(model.apply, p, x, key, max(COUNTS)))(params, x), np.float64
    )
    whole = np.asarray(model.apply(params, x), np.float64)
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
)

if __name__ == "__main__":
    sys.exit(lesson.main(LESSON, __doc__))
