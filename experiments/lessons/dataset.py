"""The data set: examples, class counts, mean images, pixel values.

    python -m experiments.lessons.dataset
    python -m experiments.lessons.dataset --dataset digits

Looks at CIFAR-10 if it is prepared (otherwise, and with --quick, at the digits), or at the prepared set named. It finds
that both splits have the same classes in the same proportions and the same pixel values, that the statistics fitted by
`fit_moments` are those of a direct count, and that the class with the nearest mean image is right far more often than
chance. About 8 s on 2 CPU cores for CIFAR-10, 4 s with --quick.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import sys

from experiments.lessons.framework import lesson


@dataclasses.dataclass(frozen=True)
class DatasetOptions(lesson.Options):
    """The options of this lesson."""

    dataset: str | None = None
    """digits, cifar10, or another TFDS image set that is prepared; by default CIFAR-10 if it is, otherwise digits."""


if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("dataset", __doc__, DatasetOptions))

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.lessons.framework.data import load_images, load_named
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot
from experiments.lessons.teaching.dataset import TEACHING
from jaxnn import losses, models, training
from jaxnn.data import Dataset, preprocess
from jaxnn.plots import class_counts, image_table, pixel_values

PER_CLASS, MOST_ROWS = 10, 12


def study(options: DatasetOptions) -> Findings:
    """Count, average and show."""
    if options.dataset is None:
        dataset = load_images(options, validation_share=0)
    else:
        dataset = load_named(options.dataset, options, validation_share=0)
    if dataset.train.inputs.ndim != 4:
        raise ValueError(
            f"--dataset {dataset.name} holds points, not images: choose digits, cifar10 or another image set"
        )
    names, classes = dataset.classes, len(dataset.classes)
    splits = {"training": dataset.train, "test": dataset.test}
    counts = {split: np.bincount(data.labels, minlength=classes) for split, data in splits.items()}
    fractions = {split: count / count.sum() for split, count in counts.items()}
    unlike = float(np.abs(fractions["training"] - fractions["test"]).max())

    channels = dataset.train.inputs.shape[-1]
    size = int(max(data.inputs.max() for data in splits.values())) + 1
    tables = {
        split: np.stack([np.bincount(data.inputs[..., c].ravel(), minlength=size) for c in range(channels)])
        for split, data in splits.items()
    }
    values = np.arange(size)
    mean = {split: table @ values / table.sum(1) for split, table in tables.items()}
    std = {split: np.sqrt(table @ values**2 / table.sum(1) - mean[split] ** 2) for split, table in tables.items()}
    fitted = preprocess.fit_moments(dataset.train.inputs, "channel")
    error = max(
        float(np.abs(np.asarray(fitted.mean) - mean["training"]).max()),
        float(np.abs(np.asarray(fitted.std) - std["training"]).max()),
    )
    shift = float((np.abs(mean["test"] - mean["training"]) / std["training"]).max())

    kinds = np.flatnonzero(counts["training"])
    means = np.stack([dataset.train.inputs[dataset.train.labels == c].mean(0, dtype=np.float64) for c in kinds])
    right, chance = _nearest(means, kinds, dataset.test.inputs, dataset.test.labels), float(fractions["test"].max())
    claims = [
        Claim(
            "Both splits hold the classes in the same proportions",
            "训练集与测试集的类别比例相同",
            {
                "training examples": len(dataset.train.labels),
                "test examples": len(dataset.test.labels),
                "classes": classes,
                "largest difference of a class fraction": unlike,
            },
            unlike < 0.02,
        ),
        Claim(
            "The fitted mean and standard deviation are those of a direct count, and those of the test split are close",
            "拟合的均值和标准差与直接统计一致，测试集的也几乎相同",
            {
                "mean": [round(float(m), 4) for m in mean["training"]],
                "standard deviation": [round(float(s), 4) for s in std["training"]],
                "largest error of the fit": error,
                "shift of the test split in standard deviations": shift,
            },
            error < 1e-3 and shift < 0.1,
        ),
        Claim(
            "Even the mean image of a class is informative: the nearest one is right far more often than a guess",
            "类别的平均图片已包含信息：取最近的平均图片，准确率远高于猜测",
            {
                "accuracy of the nearest mean image": right,
                "accuracy of always predicting the most frequent class": chance,
            },
            right > 1.5 * chance,
        ),
    ]
    scale, scale_table = _scale()
    text, seconds = lesson.timed(_text, options.seed)
    claims += [scale, text]
    rows = [
        (split, len(splits[split].labels), c, f"{mean[split][c]:.3f}", f"{std[split][c]:.3f}")
        for split in splits
        for c in range(channels)
    ]
    table = ResultTable(
        f"{dataset.name}: pixel values 0 to {size - 1}", ("split", "images", "channel", "mean", "std"), rows
    )
    random = np.random.default_rng(options.seed)
    shown = kinds[:MOST_ROWS]
    samples = []
    for c in shown:
        of_class = np.flatnonzero(dataset.train.labels == c)
        samples.append(dataset.train.inputs[np.sort(random.permutation(of_class)[:PER_CLASS])])
    some = "" if len(shown) == classes else f", {len(shown)} of {classes} classes"
    per_row = -(-len(shown) // 2)
    whole = dataset.train.inputs.mean(0, dtype=np.float64)
    mean_rows = [means[: len(shown)][i : i + per_row] for i in range(0, len(shown), per_row)]
    captions = [[names[c] for c in shown[i : i + per_row]] for i in range(0, len(shown), per_row)]
    figures = {
        "samples": image_table(
            samples, [names[c] for c in shown], f"{dataset.name}: {PER_CLASS} examples per class{some}"
        ),
        "counts": class_counts(counts, names, f"{dataset.name}: examples of each class"),
        "means": image_table(
            [*mean_rows, whole[None]],
            [*("each class" for _ in mean_rows), "all"],
            f"{dataset.name}: the mean image of each class, and of all",
            [*captions, ["all classes"]],
        ),
        "pixels": pixel_values(
            {split: t / t.sum(1, keepdims=True) for split, t in tables.items()},
            list(mean.values()),
            f"{dataset.name}: how often each pixel value occurs; vertical lines: means",
        ),
    }
    return Findings(claims, figures, [table, scale_table], [_live(dataset)], models=1, training_seconds=seconds)


def _live(dataset: Dataset) -> Live:
    """The mean of the first k pictures of each class."""
    counts, classes = np.arange(1, 31), range(min(10, len(dataset.classes)))
    images, labels = dataset.train.inputs, dataset.train.labels
    of_class = np.stack([images[labels == c][: len(counts)].mean(-1) for c in classes])
    means = np.cumsum(of_class, 1) / counts[:, None, None]
    levels = (means / max(1.0, float(images.max())) * 255).astype(np.uint8)[:, :, ::-1]
    size = float(levels.shape[-1])
    names = list(dataset.classes[: len(classes)])

    def show(title: Text, pictures: np.ndarray) -> Plot:
        picture = Numbers(pictures, (0, 1))
        return Plot(title, "", "", (0, size), (0, size), picture=picture, colors="gray", square=True, axes=False)

    single = (of_class / max(1.0, float(images.max())) * 255).astype(np.uint8)[:, :, ::-1]
    return Live(
        Text(
            "The k-th picture of a class, and the mean of the first k: what the pictures have in common remains.",
            "某一类的第 k 张图片，以及前 k 张的平均：留下来的是它们的共同点。",
        ),
        [
            Control(Text("class", "类别"), names, 0, choice=True),
            Control(Text("k", "k"), counts.tolist(), 0),
        ],
        [show(Text("Picture k", "第 k 张图片"), single), show(Text("Mean of the first k", "前 k 张的平均"), levels)],
    )


def _scale() -> tuple[Claim, ResultTable]:
    """The sizes of CIFAR-10 and of ImageNet's classification set (ILSVRC 2012) at its usual resolution."""
    sets = {"CIFAR-10": (50_000, 32, 10), "ImageNet": (1_281_167, 224, 1000)}
    rows, size = [], {}
    for name, (count, side, classes) in sets.items():
        values = side * side * 3
        size[name] = count * values
        weights = jax.eval_shape(models.linear((side, side, 3), classes).init, jax.random.key(0))[0]["w"].size
        rows.append(
            (
                name,
                f"{count:,}",
                f"{side} x {side}",
                classes,
                f"{size[name] / 1e9:.2f}",
                f"{4 * size[name] / 1e9:.2f}",
                f"{weights:,}",
            )
        )
    ratio = size["ImageNet"] / size["CIFAR-10"]
    claim = Claim(
        "CIFAR-10 fits into the memory of any laptop; ImageNet is more than a thousand times as large and must be "
        "read from disk while training",
        "CIFAR-10 能放进任何一台笔记本电脑的内存；ImageNet 的数据量是它的一千多倍，只能边训练边从磁盘读取",
        {
            "CIFAR-10 in float32 (GB)": 4 * size["CIFAR-10"] / 1e9,
            "ImageNet in float32 (GB)": 4 * size["ImageNet"] / 1e9,
            "size ratio of ImageNet to CIFAR-10": ratio,
        },
        4 * size["CIFAR-10"] < 2e9 and 4 * size["ImageNet"] > 256e9 and ratio > 1000,
    )
    columns = (
        "data set",
        "pictures for training",
        "pixels",
        "classes",
        "GB as bytes",
        "GB as float32",
        "weights of a linear classifier",
    )
    return claim, ResultTable("Two image sets in numbers", columns, rows)


def _text(seed: int) -> Claim:
    """A linear classifier of lines of text: documentation or code, from modules that come with Python."""
    parts = []
    for names in (("argparse", "ast", "random", "textwrap", "typing"), ("calendar", "json.decoder", "statistics")):
        lines = [line for name in names for line in _lines(name)]
        counts = np.array([np.bincount([min(ord(c), 127) for c in text], minlength=128) for text, _ in lines])
        share = counts.astype(np.float32) / counts.sum(1, keepdims=True).astype(np.float32)
        # square roots, so that rare characters count as well
        parts.append((np.sqrt(share), np.array([label for _, label in lines], np.int32)))
    (x, y), (test_x, test_y) = parts

    def task(rate: jax.Array) -> training.Task:
        return training.Task(models.linear(128, 2), losses.softmax, optax.sgd(rate, momentum=0.9))

    data = training.Data(x, y, evaluate={"test": (test_x, test_y)})
    run = jax.jit(lambda rate, key, data: training.run(task, rate, key, data, epochs=40, batch_size=64))
    history = run(jnp.float32(0.1), jax.random.key(seed), data).history
    accuracy, chance = float(history["test_accuracy"][-1]), float(np.bincount(test_y).max() / len(test_y))
    return Claim(
        "Text becomes numbers too: from the counts of its characters alone, a linear classifier tells documentation "
        "from code, on modules that it has not seen",
        "文本也可以变成数：只凭各字符出现的次数，线性分类器就能在没见过的模块上区分文档与代码",
        {
            "lines for training": len(y),
            "lines for testing": len(test_y),
            "test accuracy on lines of text": accuracy,
            "accuracy of guessing": chance,
        },
        accuracy > 0.85 and accuracy > chance + 0.15,
    )


def _lines(name: str) -> list[tuple[str, int]]:
    """The lines of a module with at least 20 characters, each with 1 for documentation and 0 for code."""
    source = inspect.getsource(importlib.import_module(name))
    written: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            written.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = [(line.strip(), int(i in written)) for i, line in enumerate(source.splitlines(), 1)]
    return [(line, label) for line, label in lines if len(line) >= 20 and not line.startswith("#")]


def _nearest(means: np.ndarray, kinds: np.ndarray, images: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of images whose nearest mean image is that of their class."""
    flat = jnp.asarray(means.reshape(len(means), -1), jnp.float32)

    @jax.jit
    def nearest(x: jax.Array) -> jax.Array:
        x = x.reshape(len(x), -1).astype(jnp.float32)
        lengths = jnp.broadcast_to(jnp.square(flat).sum(1)[None], (len(x), len(flat)))
        return jnp.argmin(lengths - 2 * x @ flat.T, axis=1)

    return float((kinds[np.asarray(nearest(jnp.asarray(images)))] == labels).mean())


LESSON = Lesson(
    "dataset",
    Text("The data set", "数据集"),
    Text(
        "What do the images look like, how many are there per class, and what are their pixel values?",
        "图片是什么样子？每个类别有多少张？像素取哪些值？",
    ),
    study,
    TEACHING,
    DatasetOptions,
)
