"""The figures of the lesson on the number of examples: many sizes, trained side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from sklearn.neighbors import KNeighborsClassifier

from experiments.lessons.framework import lesson
from experiments.lessons.framework.lesson import Findings, Options, Text
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, Plot, Readout, Series
from jaxnn import losses, metrics, models, plots
from jaxnn.data import load


def accuracy_by_size(options: Options) -> Findings:
    """Linear classifier, MLP and k-NN on the first n digits, for many n; the networks of all sizes in one program."""
    digits = load("digits", validation_share=0, seed=options.seed)
    sizes = np.unique(np.geomspace(20, len(digits.train.labels), 24).round().astype(int))
    x, test = (
        jnp.asarray(part.inputs.reshape(len(part.inputs), -1), jnp.float32) / 16 for part in (digits.train, digits.test)
    )
    y, test_y = jnp.asarray(digits.train.labels), jnp.asarray(digits.test.labels)
    nets = {"linear": models.linear(64, 10), "MLP": models.mlp(64, (128,), 10)}
    optimizer, steps = optax.sgd(0.1, momentum=0.9), 300

    @jax.jit
    def learn(size: Array, key: Array) -> list[Array]:
        found = []
        for model in nets.values():

            def objective(params: Any, rows: Array, model: models.Model = model) -> Array:
                return losses.softmax(model.apply(params, x[rows]), y[rows]).mean() + 1e-4 * losses.l2(params)

            def step(carry: Any, key: Array, objective: Callable[..., Array] = objective) -> tuple[Any, None]:
                rows = jax.random.randint(key, (50,), 0, size)
                updates, state = optimizer.update(jax.grad(objective)(carry[0], rows), carry[1])
                return (optax.apply_updates(carry[0], updates), state), None

            params = model.init(key)
            (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(key, steps))
            right = [metrics.accuracy(model.apply(params, test), test_y)]
            hits = model.apply(params, x).argmax(-1) == y
            found.append(jnp.stack([*right, (hits & (jnp.arange(len(x)) < size)).sum() / size]))
        return found

    over_sizes = jax.vmap(learn, (0, None))
    trained, seconds = lesson.timed(over_sizes, jnp.asarray(sizes, jnp.int32), jax.random.key(options.seed))
    accuracy = {name: 100 * np.asarray(values) for name, values in zip(nets, trained, strict=True)}
    flat, held_out = np.asarray(x), np.asarray(test)
    near = [
        KNeighborsClassifier(1).fit(flat[:n], digits.train.labels[:n]).score(held_out, digits.test.labels)
        for n in sizes
    ]
    lines = {name: values[:, 0] for name, values in accuracy.items()} | {"k-NN": 100 * np.array(near)}
    shown, names = sizes.astype(float), {"linear": Text("linear", "线性")}
    panel = plots.Panel({name: values[:, None] for name, values in lines.items()}, "digits", "test accuracy (%)")
    title = "Test accuracy on 360 digits against training examples"
    figure = plots.study(sizes.tolist(), [panel], title, "training examples", log=True)
    live = Live(
        Text(
            "Accuracy on 360 new digits against the number of training digits. With few of them the nearest neighbor "
            "keeps up; training accuracy is near 100 % all the time and says nothing.",
            "在 360 个新数字图像上的准确率与训练样本数的关系。样本少时最近邻并不落后；训练准确率始终接近 100 %，说明"
            "不了什么。",
        ),
        [Control(Text("training examples", "训练样本数"), sizes.tolist(), 4)],
        [
            Plot(
                Text("Test accuracy (%)", "测试准确率（%）"),
                Text("training examples", "训练样本数"),
                "",
                (18, 1600),
                (40, 101),
                [
                    Series(names.get(name, name), Numbers(shown), Numbers(values), color=c)
                    for c, (name, values) in enumerate(lines.items())
                ]
                + [
                    Series("", Numbers(shown[:, None], (0,)), Numbers(values[:, None], (0,)), "points", c)
                    for c, values in enumerate(lines.values())
                ],
                log=(True, False),
            ),
            Bars(
                Text("Test accuracy (%)", "测试准确率（%）"),
                [names.get(name, name) for name in lines],
                [Numbers(np.stack(list(lines.values()), 1), (0,))],
                (0, 105),
            ),
        ],
        [
            Readout(Text(f"training accuracy, {name}", f"训练准确率，{chinese}"), [Numbers(values[:, 1], (0,))], " %")
            for (name, values), chinese in zip(accuracy.items(), ("线性", "MLP"), strict=True)
        ],
        2 * len(sizes),
        seconds,
    )
    return Findings([], {"sizes": figure}, live=[live])
