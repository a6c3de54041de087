"""Updating the weights: mini-batches, learning rates, optimizers, the size of an update, and the bound 2/L.

    python -m experiments.lessons.optimization --quick

The noise of a mini-batch gradient falls with the square root of its size. Learning rates can be too low, good or too
high; around a solution, the bound for full-batch descent is 2/L, with L the largest eigenvalue of the Hessian. About 30
seconds on 2 cores.
"""

from __future__ import annotations

import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("optimization", __doc__))

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.lessons.framework.data import load_digits
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.framework.rate_search import RateSearch, loss_by_rate, search_rates
from experiments.lessons.parts.optimization_curvature import around_solution
from experiments.lessons.teaching.optimization import TEACHING
from jaxnn import losses, models, plots
from jaxnn.data import preprocess
from jaxnn.training import Data, Task

MODEL = models.mlp((8, 8, 1), (32,), 10, activation=jnp.tanh)
L2 = 1e-3
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")


def any_optimizer(index: Array, rate: Array) -> optax.GradientTransformation:
    """The optimizer of a traced number: all keep their state, the update of one is taken."""
    every = (
        optax.sgd(rate),
        optax.sgd(rate, momentum=0.9),
        optax.sgd(rate, momentum=0.9, nesterov=True),
        optax.adagrad(rate),
        optax.rmsprop(rate),
        optax.adam(rate),
    )

    def init(params: Any) -> Any:
        return tuple(optimizer.init(params) for optimizer in every)

    def update(updates: Any, state: Any, params: Any = None, **_: Any) -> tuple[Any, Any]:
        both = [optimizer.update(updates, own, params) for optimizer, own in zip(every, state, strict=True)]
        chosen = jax.tree.map(lambda *values: jax.lax.select_n(index, *values), *(new for new, _ in both))
        return chosen, tuple(own for _, own in both)

    return optax.GradientTransformation(init, update)


def make_task(h: dict[str, Array]) -> Task:
    """A tanh network of 32 neurons with one of the optimizers."""
    return Task(
        model=MODEL,
        loss=losses.softmax,
        penalty=lambda params: L2 * losses.l2(params),
        optimizer=any_optimizer(h["optimizer"], h["learning_rate"]),
        transform=preprocess.standardize,
    )


def study(options: Options) -> Findings:
    """Mini-batch noise, one sweep over optimizers and learning rates, and the curvature around a solution."""
    data = load_digits(options)
    trained = lesson.in_background(_train, data, options)
    noise, curvature = _noise(data, options), around_solution(data, options)
    return lesson.join([noise, _learning_rates(*trained()), curvature])


def _noise(data: Data, options: Options) -> Findings:
    """The distance of mini-batch gradients from the full gradient, for many batch sizes."""

    @jax.jit
    def per_example(key: Array, images: Array, y: Array) -> Array:
        params, x = MODEL.init(key), preprocess.standardize(data.statistics, images)

        def one(x: Array, y: Array) -> Array:
            gradient = jax.grad(lambda p: losses.softmax(MODEL.apply(p, x[None]), y[None]).mean())(params)
            return jax.flatten_util.ravel_pytree(gradient)[0]

        return jax.vmap(one)(x, y)

    gradients = np.asarray(per_example(jax.random.key(options.seed), data.inputs, data.labels))
    full = gradients.mean(0)
    sizes = 2 ** np.arange(0, 10)
    draws = 100 if options.quick else 400
    random = np.random.default_rng(options.seed)
    noise = np.empty((len(sizes), draws))
    for i, size in enumerate(sizes):
        counts = random.multinomial(size, np.full(len(gradients), 1 / len(gradients)), draws)
        noise[i] = np.linalg.norm(counts.astype(np.float32) @ gradients / size - full, axis=1)
    spread = np.sqrt(np.square(noise).mean(1))
    theory = np.sqrt(np.square(gradients - full).sum(1).mean() / sizes)
    power = float(np.polyfit(np.log(sizes), np.log(spread), 1)[0])
    claim = Claim(
        "The noise of a mini-batch gradient is inversely proportional to the square root of the batch size",
        "小批量梯度的噪声与批量大小的平方根成反比",
        {
            "fitted exponent": power,
            "largest relative deviation from sqrt(trace / B)": float(np.abs(spread / theory - 1).max()),
        },
        abs(power + 0.5) < 0.05 and float(np.abs(spread / theory - 1).max()) < 0.2,
    )
    figure = plots.against_rate(
        "The noise of a mini-batch gradient falls with the square root of the batch size",
        sizes,
        [
            (
                "Root of the mean squared distance to the full gradient",
                "distance (log scale)",
                {"mini-batches, measured": spread[:, None], "sqrt(variance of one example / B)": theory[:, None]},
            )
        ],
        "batch size B (log scale)",
        logarithmic=[True],
        height=4.4,
    )
    length = float(np.linalg.norm(full))
    for axes in figure.axes:
        axes.axhline(length, color="#777777", linestyle=":")
        axes.annotate("length of the full gradient", (1, length), xytext=(0, 4), textcoords="offset points")
    return Findings([claim], {"noise": figure})


def _train(data: Data, options: Options) -> RateSearch:
    """Every optimizer with every learning rate and seed: one program."""
    return search_rates(
        make_task,
        {"optimizer": np.arange(len(OPTIMIZERS), dtype=np.int32)},
        np.geomspace(1e-3, 10.0, 21).tolist(),
        data,
        seed=options.seed,
        seeds=1 if options.quick else 3,
        epochs=6 if options.quick else 20,
    )


def _learning_rates(search: RateSearch, seconds: float) -> Findings:
    """Learning rates of plain descent, and all optimizers with their best ones."""
    rates, best, loss = search.rates, search.best, search.history["loss"]
    seeds, epochs = loss.shape[2:]
    ratio = search.history["update_norm"] / search.history["parameter_norm"]
    middle = np.median(search.last("loss"), -1)
    sgd = middle[0]
    low, high = float(sgd[0]), float(sgd[-1])
    ratios = np.median(ratio[0, :, :, 0], -1)
    good = float(ratios[best[0]])
    claims = [
        Claim(
            "A learning rate can be too low, good or too high: the loss after training is lowest in between",
            "学习率可能太低、合适或太高：训练后的损失在中间最低",
            {
                "loss at the lowest rate": low,
                "best rate": float(rates[best[0]]),
                "loss at the best rate": float(sgd.min()),
                "loss at the highest rate": high,
            },
            bool(0 < best[0] < len(rates) - 1 and low > 3 * float(sgd.min()) and high > 3 * float(sgd.min())),
        ),
        Claim(
            "The ratio of update to weights reveals a learning rate that is too low: it is far below 1e-3, and at "
            "the best rate it is above",
            "更新量与权重之比能暴露过低的学习率：此时它远小于千分之一，而在最佳学习率下大于千分之一",
            {
                "ratio after the first epoch at the lowest rate": float(ratios[0]),
                "ratio after the first epoch at the best rate": good,
            },
            bool(ratios[0] < 5e-4 and 1e-3 < good < 0.3),
        ),
        Claim(
            "Each optimizer needs its own learning rate: Adam's best is far below that of plain descent",
            "不同优化器需要不同的学习率：Adam 的最佳学习率远低于普通梯度下降",
            {f"best rate of {name}": float(rates[best[i]]) for i, name in enumerate(OPTIMIZERS)},
            bool(rates[best[-1]] < 0.3 * rates[best[0]]),
        ),
    ]
    kinds = {"too low": 0, "low": max(1, best[0] - len(rates) // 4), "good": int(best[0])}
    kinds["too high"] = len(rates) - 1
    kinds = {f"{name}: {rates[i]:.3g}": i for name, i in kinds.items()}
    curves = plots.bands(
        "Plain descent with four learning rates: the loss, and the size of an update relative to the weights",
        [
            ("Training loss", "epoch", "loss (log scale)", {name: loss[0, i] for name, i in kinds.items()}),
            (
                "|update| / |weights|, last step",
                "epoch",
                "ratio (log scale)",
                {name: ratio[0, i] for name, i in kinds.items()},
            ),
        ],
        logarithmic=[True, True],
        lines=[{}, {"1e-3, the rule of thumb": 1e-3}],
    )
    compared = plots.bands(
        f"Each optimizer with the best of {len(rates)} learning rates",
        [
            (
                f"Training loss, {seeds} seed{'s' if seeds > 1 else ''} each",
                "epoch",
                "loss (log scale)",
                {f"{name}, {rates[best[i]]:.2g}": loss[i, best[i]] for i, name in enumerate(OPTIMIZERS)},
            )
        ],
        logarithmic=[True],
    )
    title = "Loss against learning rate: every optimizer has an optimum of its own"
    against = loss_by_rate(title, OPTIMIZERS, search, below=100)
    rows = [(name, f"{rates[best[i]]:.3g}", f"{middle[i, best[i]]:.4f}") for i, name in enumerate(OPTIMIZERS)]
    table = ResultTable(
        f"Digits, tanh network of 32, {epochs} epochs", ("optimizer", "best rate", "training loss"), rows
    )
    live = _live(search, seconds)
    figures = {"learning_rates": curves, "optimizers": compared, "rates": against}
    return Findings(claims, figures, [table], [live], search.models, seconds)


def _live(search: RateSearch, seconds: float) -> Live:
    """The loss curve of every optimizer with every learning rate."""
    loss = np.minimum(np.median(search.history["loss"], 2), 1e3)
    loss = np.where(np.isfinite(loss), loss, np.nan)
    end, epochs = loss[..., -1], np.arange(1.0, loss.shape[-1] + 1)
    rates = search.rates.astype(np.float64)
    return Live(
        Text(
            "The training loss of a network of 32 neurons on the digits. Every optimizer has a range of good "
            "learning rates, and not the same one.",
            "32 个神经元的网络在手写数字上的训练损失。每种优化器都有一段合适的学习率，但各不相同。",
        ),
        [
            Control(Text("learning rate", "学习率"), [float(f"{rate:.2g}") for rate in rates], 8),
            Control(Text("optimizer", "优化器"), list(OPTIMIZERS), 0, choice=True),
        ],
        [
            Plot(
                Text("Loss during training", "训练中的损失"),
                Text("epoch", "轮"),
                Text("loss", "损失"),
                (1, float(epochs[-1])),
                (1e-3, 30),
                [Series("", Numbers(epochs), Numbers(loss.swapaxes(0, 1), (0, 1)), "path")],
                log=(False, True),
            ),
            Plot(
                Text("Loss at the end, all learning rates", "训练结束时的损失（所有学习率）"),
                Text("learning rate", "学习率"),
                "",
                (1e-3, 10),
                (1e-3, 30),
                [
                    Series("", Numbers(rates), Numbers(end, (1,)), color=6),
                    Series("", Numbers(rates[:, None], (0,)), Numbers(end.T[..., None], (0, 1)), "points", 1),
                ],
                log=(True, True),
            ),
        ],
        [Readout(Text("loss at the end", "结束时的损失"), [Numbers(end.T, (0, 1))])],
        search.models,
        seconds,
    )


LESSON = Lesson(
    "optimization",
    Text("Updating the weights", "参数更新与优化设置"),
    Text(
        "How large should batch and learning rate be, which optimizer is best, and what sets the limit?",
        "批量大小和学习率取多大？用哪个优化器？极限由什么决定？",
    ),
    study,
    TEACHING,
)
