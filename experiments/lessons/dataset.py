"""The data set: examples, class counts, mean images, pixel values.

    python -m experiments.lessons.dataset
    python -m experiments.lessons.dataset --dataset digits

Looks at CIFAR-10 if it is prepared (otherwise, and with --quick, at the digits), or at the prepared set named. It finds
that both splits have the same classes in the same proportions and the same pixel values, that the statistics fitted by
`fit_moments` are those of a direct count, and that the class with the nearest mean image is right far more often than
chance. About 8 s on 2 CPU cores for CIFAR-10, 4 s with --quick.
"""

from __future__ import annotations

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lessons import lesson
from experiments.lessons.data import load_images, load_named
from experiments.lessons.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from jaxnn.data import preprocess
from jaxnn.plots import class_counts, image_table, pixel_values

PER_CLASS, MOST_ROWS = 10, 12


@dataclasses.dataclass(frozen=True)
class DatasetOptions(Options):
    """The options of this lesson."""

    dataset: str | None = None
    """digits, cifar10, or another TFDS image set that is prepared; by default CIFAR-10 if it is, otherwise digits."""


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
            [*("mean image\nof the class" for _ in mean_rows), "mean of all"],
            f"{dataset.name}: the mean image of each class, and of all",
            [*captions, ["all classes"]],
        ),
        "pixels": pixel_values(
            {split: t / t.sum(1, keepdims=True) for split, t in tables.items()},
            list(mean.values()),
            f"{dataset.name}: how often each pixel value occurs; vertical lines: means",
        ),
    }
    return Findings(claims, figures, [table])


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
    DatasetOptions,
)

if __name__ == "__main__":
    sys.exit(lesson.main(LESSON, __doc__))
