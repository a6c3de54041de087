"""Overfitting: a wide network memorizes few points, and the sanity check that a network can memorize 50 images.

    python -m experiments.lessons.overfitting --quick

Trains networks of 1, 3 and 200 neurons on 40 noisy points, then one network on 50 images with their own labels and with
random labels, about 15 s on 2 cores. Expected: the wide network reaches 100 % on its training points while the test
accuracy stalls and the test loss rises; 50 images are memorized whatever their labels. The images are those of CIFAR-10
if it is prepared, otherwise digits. Then a misleading feature, and ways to use fewer of them.
"""

from __future__ import annotations

import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("overfitting", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from matplotlib.figure import Figure

from experiments.lessons.framework.data import few_points, load_images
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.parts.overfitting_features import fewer_features, leaf
from experiments.lessons.teaching.overfitting import TEACHING
from jaxnn import losses, models, plots, training
from jaxnn.data import Split, preprocess
from jaxnn.inspect import trajectory

WIDTHS = (1, 3, 200)
NAMES = ("one neuron", "narrow", "wide")
POINTS, IMAGES = 40, 50
LIMIT = 1.7


def network(width: Any) -> models.Model:
    """One hidden layer, `width` of its neurons in use."""
    return models.mlp(2, (max(WIDTHS),), 2, width=(width,))


def task(h: dict[str, Any]) -> training.Task:
    """No penalty, no dropout: nothing holds the network back."""
    return training.Task(network(h["width"]), losses.softmax, optax.adam(0.02))


def study(options: Options) -> Findings:
    """Few points, a narrow and a wide network; then 50 memorized images."""
    epochs, seeds = (500, 4) if options.quick else (1000, 20)
    train, test = few_points(POINTS, 700, options)
    test = test.take(slice(300 if options.quick else None))
    trained = lesson.in_background(
        training.sweep,
        task,
        {"width": np.array(WIDTHS)},
        jax.random.split(jax.random.key(options.seed), seeds),
        training.Data(*train, evaluate={"train": train, "test": test}),
        epochs=epochs,
        batch_size=POINTS // 2,
    )
    (name, memorized), second = lesson.timed(memorize_images, options)
    run, first = trained()
    history = {key: values.astype(np.float64) for key, values in run.history.items()}
    mean = {key: values.mean(1) for key, values in history.items()}
    one, narrow, wide = ({key: float(values[i, -1]) for key, values in mean.items()} for i in range(3))
    lowest = float(mean["test_loss"][2].min())
    learned = {key: float(values[-1]) for key, values in memorized.items()}
    claims = [
        Claim(
            "A wide network memorizes few points: training accuracy reaches 100 %, test accuracy stalls",
            "宽网络记住了全部少量样本：训练准确率达到 100 %，测试准确率停滞不前",
            {
                "training accuracy, wide": round(wide["train_accuracy"], 4),
                "test accuracy, wide": round(wide["test_accuracy"], 4),
                "highest test accuracy during training, wide": float(mean["test_accuracy"][2].max()),
                "training accuracy, narrow": round(narrow["train_accuracy"], 4),
            },
            wide["train_accuracy"] >= 0.98
            and wide["test_accuracy"] < wide["train_accuracy"] - 0.08
            and narrow["train_accuracy"] < wide["train_accuracy"],
        ),
        Claim(
            "One neuron underfits: it misses some of its own training points, and is the worst on test points too",
            "一个神经元则欠拟合：连自己的训练点都分不全对，在测试点上也最差",
            {"training accuracy, one neuron": one["train_accuracy"], "test accuracy, one neuron": one["test_accuracy"]},
            one["train_accuracy"] < 0.95 and one["test_accuracy"] < min(wide["test_accuracy"], narrow["test_accuracy"]),
        ),
        Claim(
            "Meanwhile the test loss rises far above its minimum",
            "与此同时，测试损失从最低点大幅回升",
            {
                "lowest test loss": lowest,
                "last test loss": wide["test_loss"],
                "epoch of the lowest": int(mean["test_loss"][2].argmin()) + 1,
            },
            wide["test_loss"] > 1.5 * lowest,
        ),
        Claim(
            f"A sanity check: a network memorizes {IMAGES} images, even with random labels",
            f"健全性检查：网络能记住 {IMAGES} 张图片，即使标签是随机的",
            {f"training accuracy, {key}": value for key, value in learned.items()},
            all(value == 1.0 for value in learned.values()),
        ),
    ]
    claims += [leaf(options.seed), fewer_features(options.seed)]
    columns = ["hidden neurons", "training accuracy", "test accuracy", "lowest test loss", "last test loss"]
    rows = [
        [
            width,
            f"{100 * mean['train_accuracy'][i, -1]:.1f} %",
            f"{100 * mean['test_accuracy'][i, -1]:.1f} %",
            f"{mean['test_loss'][i].min():.2f}",
            f"{mean['test_loss'][i, -1]:.2f}",
        ]
        for i, width in enumerate(WIDTHS)
    ]
    epoch = np.arange(1, epochs + 1)
    memorized_figure = plots.progress(
        np.arange(1, len(memorized["true labels"]) + 1),
        [plots.Panel({key: 100 * values for key, values in memorized.items()}, name, "training accuracy (%)")],
        f"A sanity check: {IMAGES} images memorized",
        "epoch",
    )
    return Findings(
        claims,
        {"regions": draw(run, train), "curves": draw_curves(epoch, mean, seeds), "memorized": memorized_figure},
        [ResultTable(f"{POINTS} training points, means over {seeds} seeds after {epochs} epochs", columns, rows)],
        [live_epochs(options, train, test)],
        models=len(WIDTHS) * seeds + 2,
        training_seconds=first + second,
    )


def live_epochs(options: Options, train: Split, test: Split) -> Live:
    """The regions of the networks of all widths during training, one program for all of them."""
    last, size = 500 if options.quick else 1000, 56
    epochs = tuple(sorted({0, *np.geomspace(1, last, 29).round().astype(int).tolist()}))
    places = jnp.asarray(plots.plane(LIMIT, size))
    data = training.Data(*train)

    @jax.jit
    def look(width: Array, key: Array) -> tuple[Array, Array, Array]:
        kept, _ = trajectory(task, {"width": width}, key, data, epochs, POINTS // 2)
        apply = jax.vmap(lambda params, x: network(width).apply(params, x), (0, None))

        def loss(part: Split) -> Array:
            x, y = jnp.asarray(part.inputs), jnp.asarray(part.labels)
            scores = apply(kept, x)
            return losses.softmax(scores, jnp.broadcast_to(y, scores.shape[:2])).mean(1)

        return apply(kept, places).argmax(-1), loss(train), loss(test)

    widths, key = jnp.array(WIDTHS), jax.random.key(options.seed)
    found, seconds = lesson.timed(jax.jit(jax.vmap(look, (0, None))), widths, key)
    picture, train_loss, test_loss = (np.asarray(part) for part in found)
    place = np.array([0.7, *epochs[1:]])  # a logarithmic axis has no 0
    losses_of = {Text("training", "训练"): train_loss, Text("test", "测试"): test_loss}
    return Live(
        Text(
            "40 noisy points. One neuron underfits. Three do about right. 200 first find the same border, then bend "
            "it around single points, and the test loss rises.",
            "40 个带噪声的点。一个神经元欠拟合；三个差不多正好；200 个先找到同样的边界，然后绕着个别点弯曲，测试损失"
            "上升。",
        ),
        [
            Control(Text("epochs trained", "已训练轮数"), list(epochs), len(epochs) - 1),
            Control(Text("hidden neurons", "隐藏神经元"), [str(width) for width in WIDTHS], 2, choice=True),
        ],
        [
            Plot(
                Text("Regions and training points", "分类区域与训练点"),
                "x1",
                "x2",
                (-LIMIT, LIMIT),
                (-LIMIT, LIMIT),
                [
                    Series(
                        "",
                        Numbers(train.inputs[:, 0]),
                        Numbers(train.inputs[:, 1]),
                        "points",
                        labels=Numbers(train.labels.astype(np.uint8)),
                    )
                ],
                picture=Numbers(picture.reshape(len(WIDTHS), -1, size, size).swapaxes(0, 1).astype(np.uint8), (0, 1)),
                square=True,
            ),
            Plot(
                Text("Loss", "损失"),
                Text("epoch", "轮"),
                "",
                (0.7, last),
                (1e-4, 10),
                [
                    Series(name, Numbers(place), Numbers(values, (1,)), color=c)
                    for c, (name, values) in enumerate(losses_of.items())
                ]
                + [
                    Series("", Numbers(place[:, None], (0,)), Numbers(values.T[..., None], (0, 1)), "points", c)
                    for c, values in enumerate(losses_of.values())
                ],
                log=(True, True),
                square=True,
            ),
        ],
        [Readout(name, [Numbers(values.T, (0, 1))]) for name, values in losses_of.items()],
        len(WIDTHS),
        seconds,
    )


def draw(run: training.Run, train: Split) -> Figure:
    """The regions of the first seed."""
    places = plots.plane(LIMIT, 151)
    params = jax.tree.map(lambda leaf: leaf[:, 0], run.state.params)
    scores = np.asarray(jax.jit(jax.vmap(lambda width, p: network(width).apply(p, places)))(jnp.array(WIDTHS), params))
    panels = []
    for i, width in enumerate(WIDTHS):
        right = 100 * run.history["train_accuracy"][i, 0, -1], 100 * run.history["test_accuracy"][i, 0, -1]
        caption = f"{width} neuron{'s' * (width > 1)}: training {right[0]:.0f} %, test {right[1]:.0f} %"
        panels.append(plots.Regions(scores[i], *train, caption))
    title = f"A wide network bends its border around single points: {POINTS} training points"
    return plots.decision_regions(panels, title, limit=LIMIT)


def draw_curves(epoch: np.ndarray, mean: dict[str, np.ndarray], seeds: int) -> Figure:
    """Loss and accuracy of the wide network over the epochs, training against test."""
    names = {"training": "train", "test": "test"}
    panels = [
        plots.Panel({shown: mean[f"{key}_loss"][2] for shown, key in names.items()}, "Loss", "loss"),
        plots.Panel(
            {shown: 100 * mean[f"{key}_accuracy"][2] for shown, key in names.items()}, "Accuracy", "accuracy (%)"
        ),
    ]
    title = f"{WIDTHS[2]} neurons on {POINTS} points: the test loss rises while the training loss falls, {seeds} seeds"
    return plots.progress(epoch, panels, title, "epoch", log=True)


def memorize_images(options: Options) -> tuple[str, dict[str, np.ndarray]]:
    """Training accuracy after every epoch on 50 images, with their labels and with random ones, in one program."""
    dataset = load_images(options)
    generator = np.random.default_rng(options.seed)
    chosen = np.sort(generator.choice(len(dataset.train.labels), IMAGES, replace=False))
    inputs, labels = dataset.train.inputs[chosen], dataset.train.labels[chosen]
    random = generator.integers(0, len(dataset.classes), IMAGES).astype(labels.dtype)
    statistics = preprocess.fit_moments(inputs, "global")
    shape, classes = inputs.shape[1:], len(dataset.classes)

    def image_task(rate: float) -> training.Task:
        return training.Task(
            models.mlp(shape, (100,), classes), losses.softmax, optax.adam(rate), transform=preprocess.standardize
        )

    @jax.jit
    def learn(labels: Array, inputs: Array) -> Array:
        def one(labels: Array) -> Array:
            data = training.Data(inputs, labels, statistics, {"train": (inputs, labels)})
            key = jax.random.key(options.seed)
            run = training.run(image_task, 0.003, key, data, epochs=60, batch_size=25)
            return run.history["train_accuracy"]

        return jax.vmap(one)(labels)

    history = np.asarray(learn(np.stack([labels, random]), inputs))
    shown = {"true labels": history[0], "random labels": history[1]}
    return f"{dataset.name}: {IMAGES} images, 100 hidden neurons", shown


LESSON = Lesson(
    "overfitting",
    Text("Overfitting", "过拟合"),
    Text(
        "What are the signs of memorization, and how are they noticed in time?",
        "模型死记硬背时会出现什么现象？怎样及时发现？",
    ),
    study,
    TEACHING,
)
