"""A network by hand: model, gradient and loop from bare JAX and optax in forty lines, beside `training.fit`.

    python -m experiments.lessons.by_hand --quick

Trains the same network twice on the same batches of the digits: by a loop written out in `bare.py`, and by
`training.fit`. Both take epochs times N / B iterations and end with the same weights, to rounding. About
5 s on 2 cores.
"""

from __future__ import annotations

import inspect
import sys

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("by_hand", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.lessons.framework.data import load_digits
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.teaching import by_hand_bare
from experiments.lessons.teaching.by_hand import TEACHING
from jaxnn import losses, metrics, models, training
from jaxnn.data import loader
from jaxnn.plots import curves

HIDDEN, RATE, EPOCHS, BATCH = 32, 0.1, 10, 64
SIZES = (1, 16, 64, 256, 1295)


def task(rate: float) -> training.Task:
    """The network of `bare.train`, as a task."""
    return training.Task(models.mlp((64,), (HIDDEN,), 10), losses.softmax, optax.sgd(rate, momentum=0.9))


def study(options: Options) -> Findings:
    """Both trainings, their iterations, and their weights."""
    digits, key = load_digits(options), jax.random.key(options.seed)
    x, y = (np.asarray(digits.inputs, np.float32).reshape(-1, 64) / np.float32(16)), np.asarray(digits.labels)
    assert digits.evaluate is not None
    test_x, test_y = digits.evaluate["validation"]
    start = training.init_state(task(RATE), jax.random.fold_in(key, 0)).params  # as training.fit
    batches = loader.shuffled_batches(loader.InMemory(x, y), key, batch_size=BATCH, epochs=EPOCHS, threads=1)
    (params, history), first = lesson.timed(by_hand_bare.train, start, batches, RATE)
    (run, _), second = lesson.timed(training.fit, task, RATE, key, training.Data(x, y), epochs=EPOCHS, batch_size=BATCH)
    loss = np.array([float(value) for value in history])
    steps = len(y) // BATCH
    by_epoch, by_fit = loss.reshape(EPOCHS, steps).mean(1), np.asarray(run.history["loss"], np.float64)
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(run.state.params), strict=True)
    apart = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)
    largest = max(float(np.abs(np.asarray(leaf)).max()) for leaf in jax.tree.leaves(params))
    code = [line for line in inspect.getsource(by_hand_bare.train).splitlines() if line.strip()]
    shown = jnp.asarray(np.asarray(test_x, np.float32).reshape(-1, 64) / np.float32(16))
    accuracy = [
        float(metrics.accuracy(task(RATE).model.apply(trained, shown), jnp.asarray(test_y)))
        for trained in (params, run.state.params)
    ]
    claims = [
        Claim(
            "Fewer than 40 lines of bare JAX and optax train the same network as training.fit, to rounding",
            "不到四十行的 JAX 与 optax 代码训练出的网络与 training.fit 相同，只差舍入误差",
            {
                "lines of code": len(code),
                "largest difference of a weight": apart,
                "largest difference of the loss of an epoch": float(np.abs(by_epoch - by_fit).max()),
                "test accuracy, by hand": accuracy[0],
                "test accuracy, training.fit": accuracy[1],
            },
            len(code) <= 40 and apart < 1e-2 * largest and abs(by_epoch[0] - by_fit[0]) < 1e-4 and min(accuracy) > 0.9,
        ),
        Claim(
            "An epoch is N / B iterations, each with one batch, one gradient and one update",
            "一轮等于 N / B 次迭代，每次迭代用一个批次、求一次梯度、更新一次",
            {
                "iterations counted in the loop": len(history),
                "iterations counted by training.fit": int(run.state.step),
                "epochs times N / B": EPOCHS * steps,
            },
            len(history) == int(run.state.step) == EPOCHS * (len(y) // BATCH),
        ),
    ]
    rows = [(size, len(y) // size, len(y) % size) for size in SIZES]
    table = ResultTable(
        f"Iterations of one epoch of {len(y):,} examples", ("batch size", "iterations", "examples left out"), rows
    )
    figure = curves(
        np.arange(1, EPOCHS + 1),
        {"training.fit": by_fit},
        "The loss of each epoch: written out by hand (points), and by training.fit (line)",
        ("epoch", "loss"),
        log=(False, True),
        points={"by hand": by_epoch},
    )
    return Findings(claims, {"losses": figure}, [table], [_live(loss, by_fit)], 2, first + second)


def _live(loss: np.ndarray, by_fit: np.ndarray) -> Live:
    """The loss of every iteration by hand, and of every epoch by `training.fit`."""
    steps = len(loss) // EPOCHS
    done, epoch = np.arange(1.0, len(loss) + 1), np.arange(1.0, EPOCHS + 1)
    return Live(
        Text(
            "The loop, iteration by iteration. After every 20 of them all examples have been used: an epoch. The "
            "other line is the mean loss of each epoch that training.fit reports.",
            "逐次迭代看循环。每 20 次迭代用完全部样本，就是一轮。另一条线是 training.fit 报告的每轮平均损失。",
        ),
        [Control(Text("iteration", "迭代"), list(range(1, len(loss) + 1)), steps - 1)],
        [
            Plot(
                Text("Loss", "损失"),
                Text("iteration", "迭代"),
                "",
                (0, len(loss) + 1),
                (0.01, 4),
                [
                    Series(Text("by hand", "手写循环"), Numbers(done), Numbers(loss), "path", 1, 0),
                    Series("training.fit", Numbers(epoch * steps - steps / 2), Numbers(by_fit), "dashed", 0),
                ],
                log=(False, True),
            )
        ],
        [
            Readout(Text("epoch", "轮"), [Numbers(np.ceil(done / steps), (0,))]),
            Readout(Text("loss of this batch", "这个批次的损失"), [Numbers(loss, (0,))]),
        ],
    )


LESSON = Lesson(
    "by_hand",
    Text("A network by hand", "动手实现神经网络"),
    Text(
        "How much code are a network and its training, and what are batch, iteration and epoch?",
        "一个网络和它的训练需要多少代码？批次、迭代和轮各指什么？",
    ),
    study,
    TEACHING,
)
