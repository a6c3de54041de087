"""Overfitting: a wide network memorizes few points, and the sanity check that a network can memorize 50 images.

    python -m experiments.lessons.overfitting --quick

Trains a narrow and a wide network on 40 noisy points, then one network on 50 images with their own labels and with
random labels, about 15 s on 2 cores. Expected: the wide network reaches 100 % on its training points while the test
accuracy stalls and the test loss rises; 50 images are memorized whatever their labels. The images are those of CIFAR-10
if it is prepared, otherwise digits.
"""

from __future__ import annotations

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from matplotlib.figure import Figure

from experiments.lessons import lesson
from experiments.lessons.data import few_points, load_images
from experiments.lessons.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from jaxnn import losses, models, plots, training
from jaxnn.data import Split, preprocess

WIDTHS = (3, 200)
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
    narrow, wide = ({key: float(values[i, -1]) for key, values in mean.items()} for i in (0, 1))
    lowest = float(mean["test_loss"][1].min())
    learned = {key: float(values[-1]) for key, values in memorized.items()}
    claims = [
        Claim(
            "A wide network memorizes few points: training accuracy reaches 100 %, test accuracy stalls",
            "宽网络记住了全部少量样本：训练准确率达到 100 %，测试准确率停滞不前",
            {
                "training accuracy, wide": round(wide["train_accuracy"], 4),
                "test accuracy, wide": round(wide["test_accuracy"], 4),
                "highest test accuracy during training, wide": float(mean["test_accuracy"][1].max()),
                "training accuracy, narrow": round(narrow["train_accuracy"], 4),
            },
            wide["train_accuracy"] >= 0.98
            and wide["test_accuracy"] < wide["train_accuracy"] - 0.08
            and narrow["train_accuracy"] < wide["train_accuracy"],
        ),
        Claim(
            "Meanwhile the test loss rises far above its minimum",
            "与此同时，测试损失从最低点大幅回升",
            {
                "lowest test loss": lowest,
                "last test loss": wide["test_loss"],
                "epoch of the lowest": int(mean["test_loss"][1].argmin()) + 1,
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
        models=len(WIDTHS) * seeds + 2,
        training_seconds=first + second,
    )


def draw(run: training.Run, train: Split) -> Figure:
    """The regions of the first seed."""
    places = plots.plane(LIMIT, 151)
    params = jax.tree.map(lambda leaf: leaf[:, 0], run.state.params)
    scores = np.asarray(jax.jit(jax.vmap(lambda width, p: network(width).apply(p, places)))(jnp.array(WIDTHS), params))
    panels = []
    for i, width in enumerate(WIDTHS):
        right = 100 * run.history["train_accuracy"][i, 0, -1], 100 * run.history["test_accuracy"][i, 0, -1]
        caption = f"{width} neurons: training {right[0]:.0f} %, test {right[1]:.0f} %"
        panels.append(plots.Regions(scores[i], *train, caption))
    title = f"A wide network bends its border around single points: {POINTS} training points"
    return plots.decision_regions(panels, title, limit=LIMIT)


def draw_curves(epoch: np.ndarray, mean: dict[str, np.ndarray], seeds: int) -> Figure:
    """Loss and accuracy of the wide network over the epochs, training against test."""
    names = {"training": "train", "test": "test"}
    panels = [
        plots.Panel({shown: mean[f"{key}_loss"][1] for shown, key in names.items()}, "Loss", "loss"),
        plots.Panel(
            {shown: 100 * mean[f"{key}_accuracy"][1] for shown, key in names.items()}, "Accuracy", "accuracy (%)"
        ),
    ]
    title = f"{WIDTHS[1]} neurons on {POINTS} points: the test loss rises while the training loss falls, {seeds} seeds"
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
)

if __name__ == "__main__":
    sys.exit(lesson.main(LESSON, __doc__))
