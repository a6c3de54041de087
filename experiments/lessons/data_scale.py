"""Test accuracy against the number of training examples, for networks and for classical learners.

    python -m experiments.lessons.data_scale --quick

Compares a linear classifier and an MLP of jaxnn with k-NN, a random forest and an RBF-SVM of scikit-learn on 100 to
50,000 images of CIFAR-10 if it is prepared, about 4 minutes of CPU time; otherwise, and with --quick, on 100 to 1,437
digits. Expected: with 100 images the MLP is no better than the classical learners; with 50,000 it is several points
better than k-NN and the random forest. The RBF-SVM, whose training time grows with the square of the number of
examples, gets at most 10,000.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("data_scale", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from experiments.lessons.framework.data import load_images
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.parts.data_scale_live import accuracy_by_size
from experiments.lessons.teaching.data_scale import TEACHING
from jaxnn import initializers, losses, metrics, models, plots, training
from jaxnn.data import Dataset, Split, preprocess

COMPONENTS = 100
FIT_PCA_ON, MOST_FOR_SVM = 10_000, 10_000
MOST_BY_HAND, BINS, EXCITING = 5000, 8, 20
NETWORKS, CLASSICAL = ("linear", "MLP"), ("k-NN", "random forest", "RBF-SVM")


class Plan(NamedTuple):
    """The measurements on one data set."""

    sizes: tuple[int, ...]
    hidden: int
    tests: int
    repeats: int
    """Number of draws of the smaller training sets."""
    epochs: Mapping[int, int]
    """By the largest training size they apply to."""
    settings: Mapping[str, Mapping[str, float]]
    """Learning rate and l2 of the networks."""


PLANS = {
    "cifar10": Plan(
        (100, 1000, 10_000, 50_000),
        128,
        2000,
        2,
        {1000: 60, 10_000: 15, 50_000: 6},
        {"linear": {"rate": 0.002, "l2": 0.02}, "MLP": {"rate": 0.01, "l2": 0.002}},
    ),
    "digits": Plan(
        (100, 300, 1000, 1437),
        256,
        360,
        3,
        {1437: 60},
        {"linear": {"rate": 0.05, "l2": 1e-3}, "MLP": {"rate": 0.05, "l2": 1e-4}},
    ),
}
PLANS["quick"] = PLANS["digits"]._replace(sizes=(100, 1437), repeats=2, epochs={1437: 40})


def study(options: Options) -> Findings:
    """Every learner on every size."""
    dataset = load_images(options, validation_share=0)
    plan = PLANS["quick" if options.quick else dataset.name]
    generator = np.random.default_rng(options.seed)
    rows = np.sort(generator.permutation(len(dataset.test.labels))[: plan.tests])
    test = dataset.test.take(rows)
    sizes = [size for size in plan.sizes if size <= len(dataset.train.labels)]
    shape = (len(sizes), plan.repeats)
    accuracy = {name: np.full(shape, np.nan) for name in NETWORKS + CLASSICAL}
    seconds = dict.fromkeys(accuracy, 0.0)
    models_trained = 0
    for repeat in range(plan.repeats):
        order = generator.permutation(len(dataset.train.labels))
        for i, size in enumerate(sizes):
            if repeat and size > 2000:
                continue
            train = dataset.train.take(np.sort(order[:size]))
            for name in NETWORKS:
                arguments = name, plan, train, test, dataset, options.seed + repeat
                (accuracy[name][i, repeat], _), more = lesson.timed(train_network, *arguments)
                seconds[name] += more
                models_trained += 1
            inputs = features(train.inputs, test.inputs)
            for name in CLASSICAL:
                if name == "RBF-SVM" and size > MOST_FOR_SVM:
                    continue
                started = time.perf_counter()
                fitted = learner(name, options.seed + repeat).fit(inputs[0], train.labels)
                accuracy[name][i, repeat] = float((fitted.predict(inputs[1]) == test.labels).mean())
                seconds[name] += time.perf_counter() - started
    found = report(dataset, sizes, {k: 100 * v for k, v in accuracy.items()}, seconds, models_trained, options)
    return lesson.join([found, accuracy_by_size(options), by_hand_or_learned(dataset, plan, options)])


def by_hand_or_learned(dataset: Dataset, plan: Plan, options: Options) -> Findings:
    """A linear classifier of raw pixels and of hand-made features, an MLP of raw pixels; what its neurons detect."""
    most = min(MOST_BY_HAND, max(plan.sizes))
    train, test = (split.take(slice(most)) for split in (dataset.train, dataset.test))
    features_of = [Split(hand_made(split.inputs), split.labels) for split in (train, test)]
    found, params = {}, None
    kinds = {"linear, raw pixels": ("linear", train, test), "linear, hand-made features": ("linear", *features_of)}
    for label, (name, a, b) in (kinds | {"MLP, raw pixels": ("MLP", train, test)}).items():
        accuracy, params = train_network(name, plan, a, b, dataset, options.seed)
        found[label] = 100 * accuracy
    assert params is not None
    w1, w2 = (np.asarray(layer["w"], np.float64) for layer in params)
    raw, made, learned = found.values()
    if dataset.name == "digits":
        text = Text(
            "On digits of 8 x 8 pixels, features designed by hand (histograms of gradients) hardly help a linear "
            "classifier; the hidden layer finds features in the raw pixels that beat both",
            "在 8 x 8 像素的数字图像上，人工设计的特征（梯度方向直方图）对线性分类器帮助不大；"
            "隐藏层从原始像素中找到的特征优于两者",
        )
        held = learned > max(raw, made)
    else:
        text = Text(
            "Features are the point: designed by hand (histograms of gradients and colors), they lift a linear "
            "classifier; a hidden layer that finds its own in the raw pixels lifts it as well",
            "关键在于特征：人工设计的特征（梯度方向和颜色直方图）能提高线性分类器的准确率；"
            "隐藏层从原始像素中自己找到的特征同样能做到",
        )
        held = min(made, learned) > raw
    claim = Claim(
        *text,
        {f"{label} (%)": value for label, value in found.items()}
        | {"number of hand-made features": features_of[0].inputs.shape[1]},
        held,
    )
    order = np.argsort(-np.linalg.norm(w1, axis=1) * np.linalg.norm(w2, axis=0))[:16]
    names = [f"for {dataset.classes[w2[:, i].argmax()]}" for i in order]
    images = train.inputs
    if dataset.name == "digits":  # weights of 8 x 8 pixels look like noise: what excites a unit says more
        inputs = preprocess.standardize(preprocess.fit_moments(images, "global"), images).reshape(len(images), -1)
        hidden = np.asarray(inputs, np.float64) @ w1[order].T + np.asarray(params[0]["b"])[order]
        excite = images[np.argsort(-hidden, axis=0)[:EXCITING].T].mean(1)
        title = f"What excites 16 hidden units: the mean of the {EXCITING} digits of largest value"
        figure = plots.image_table([excite[:8], excite[8:]], ["strongest 8", "next 8"], title, [names[:8], names[8:]])
    else:
        figure = plots.templates(w1[order].reshape(-1, *images.shape[1:]), names)
    return Findings([claim], {"detectors": figure}, models=3)


def hand_made(images: np.ndarray) -> np.ndarray:
    """A histogram of gradients in each cell of a quarter of the side, half overlapping; then one of each color."""
    n, side = images.shape[:2]
    gray, cell = images.mean(-1, dtype=np.float32), side // 4
    dy, dx = np.gradient(gray, axis=(1, 2))
    size, place = np.hypot(dx, dy), np.minimum((np.arctan2(dy, dx) % np.pi / np.pi * BINS).astype(int), BINS - 1)
    by_direction = size[..., None] * (place[..., None] == np.arange(BINS))
    step = cell // 2
    starts = range(0, side - cell + 1, step)
    cells = [by_direction[:, i : i + cell, j : j + cell].sum((1, 2)) for i in starts for j in starts]
    edges = np.stack(cells, 1)
    edges /= np.linalg.norm(edges, axis=-1, keepdims=True) + 1e-3 * float(gray.max())
    top = float(images.max()) + 1
    colors = [((images // (top / 8)).astype(int) == level).mean((1, 2)) for level in range(8)]
    return np.concatenate([edges.reshape(n, -1), np.stack(colors, 1).reshape(n, -1)], 1).astype(np.float32)


def train_network(name: str, plan: Plan, train: Split, test: Split, dataset: Dataset, seed: int) -> tuple[float, Any]:
    """Test accuracy and parameters of the linear classifier or the MLP."""
    size = len(train.labels)
    epochs = next(epochs for largest, epochs in plan.epochs.items() if size <= largest)
    batch_size = min(256, max(20, size // 10))
    model = network(name, train.inputs.shape[1:], len(dataset.classes), plan.hidden)
    kind = task_maker(model, epochs * (size // batch_size))
    kind_of = "pixel" if train.inputs.ndim == 2 else "global" if dataset.name == "digits" else "channel"
    statistics = preprocess.fit_moments(train.inputs, kind_of)
    arguments = kind, dict(plan.settings[name]), jax.random.key(seed), training.Data(*train, statistics)
    params = learn(*arguments, epochs=epochs, batch_size=batch_size).state.params
    return float(accuracy_of(model, params, statistics, *map(jnp.asarray, test))), params


learn = jax.jit(training.run, static_argnames=("make_task", "epochs", "batch_size"))


@functools.cache
def network(name: str, shape: tuple[int, ...], classes: int, hidden: int) -> models.Model:
    """The linear classifier or the MLP with dropout 0.5; the same object for the same arguments compiles once."""
    if name == "MLP":
        return models.mlp(shape, (hidden,), classes, dropout=0.5)
    return models.linear(shape, classes, init=initializers.normal(0.01))


@functools.cache
def task_maker(model: models.Model, steps: int) -> Callable[[Mapping[str, Any]], training.Task]:
    """Softmax loss, momentum, a cosine schedule over all steps."""

    def network_task(h: Mapping[str, Any]) -> training.Task:
        return training.Task(
            model,
            losses.softmax,
            optax.sgd(optax.cosine_decay_schedule(h["rate"], steps), momentum=0.9),
            penalty=lambda params: h["l2"] * losses.l2(params),
            transform=preprocess.standardize,
        )

    return network_task


@functools.partial(jax.jit, static_argnums=0)
def accuracy_of(model: models.Model, params: Any, statistics: preprocess.Moments, x: Array, labels: Array) -> Array:
    """The accuracy of a trained network."""
    return metrics.accuracy(model.apply(params, preprocess.standardize(statistics, x)), labels)


def features(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of the classical learners: pixels from 0 to 1, or the first 100 principal components of larger images."""
    flat = [inputs.reshape(len(inputs), -1) for inputs in (train, test)]
    if flat[0].shape[1] <= COMPONENTS:
        high = float(train.max())
        return flat[0] / np.float32(high), flat[1] / np.float32(high)
    pca = PCA(min(COMPONENTS, len(train)), svd_solver="randomized", random_state=0)
    pca.fit(flat[0][:FIT_PCA_ON].astype(np.float32) / 255)
    parts = [
        np.concatenate([pca.transform(some[i : i + 5000].astype(np.float32) / 255) for i in range(0, len(some), 5000)])
        for some in flat
    ]
    return parts[0], parts[1]


def learner(name: str, seed: int) -> Any:
    """A classical learner of scikit-learn."""
    match name:
        case "k-NN":
            return KNeighborsClassifier(5)
        case "random forest":
            return RandomForestClassifier(50, n_jobs=-1, random_state=seed)
        case _:
            return SVC(C=10.0)


def report(
    dataset: Dataset,
    sizes: list[int],
    accuracy: Mapping[str, np.ndarray],
    seconds: Mapping[str, float],
    models_trained: int,
    options: Options,
) -> Findings:
    """The claims, the figure and the table; the few sizes of the short form make no figure."""
    mean = {name: np.ma.masked_invalid(values).mean(1).filled(np.nan) for name, values in accuracy.items()}
    few = {name: float(values[0]) for name, values in mean.items()}
    full = {name: float(values[-1]) for name, values in mean.items()}
    best_few = max(few[name] for name in CLASSICAL)
    with_all = [name for name in CLASSICAL if np.isfinite(full[name])]
    best_full = max(full[name] for name in with_all)
    claims = [
        Claim(
            f"With {sizes[0]} examples the MLP is no better than the classical learners",
            f"只有 {sizes[0]} 个样本时，MLP 并不优于传统算法",
            {
                "test accuracy of the MLP with few examples (%)": few["MLP"],
                "best of the classical learners with few examples (%)": best_few,
            },
            few["MLP"] <= best_few + 2.0,
        )
    ]
    if sizes[-1] >= 50_000:
        chinese = "、".join({"random forest": "随机森林"}.get(name, name) for name in with_all)
        claims.append(
            Claim(
                f"With {sizes[-1]:,} examples the MLP is better than the classical learners that were trained on all "
                f"of them: {', '.join(with_all)}",
                f"有 {sizes[-1]:,} 个样本时，MLP 优于用全部样本训练的传统算法：{chinese}",
                {f"test accuracy of {name} (%)": full[name] for name in ("MLP", *with_all)}
                | {
                    f"test accuracy of {name} with at most {MOST_FOR_SVM:,} examples (%)": float(np.nanmax(mean[name]))
                    for name in set(CLASSICAL) - set(with_all)
                },
                full["MLP"] > best_full,
            )
        )
    else:
        claims.append(
            Claim(
                f"{sizes[-1]:,} examples are still few: the MLP and the best classical learner are about equal",
                f"{sizes[-1]:,} 个样本仍然偏少：MLP 与最好的传统算法不相上下",
                {"test accuracy of the MLP (%)": full["MLP"], "best of the classical learners (%)": best_full},
                abs(full["MLP"] - best_full) < 2.0,
            )
        )
    note = " (CIFAR-10 needs to be prepared, and a run without --quick)"
    if dataset.name == "cifar10":
        note = (
            f"; RBF-SVM at most {MOST_FOR_SVM:,} examples; the classical learners get {COMPONENTS} principal "
            f"components, fitted on at most {FIT_PCA_ON:,}"
        )
    cells = [
        [f"{size:,}", *("not run" if np.isnan(mean[name][i]) else f"{mean[name][i]:.1f} %" for name in mean)]
        for i, size in enumerate(sizes)
    ]
    cells.append(["total seconds", *(f"{value:.1f}" for value in seconds.values())])
    panels = [plots.Panel(accuracy, f"{dataset.name}: {len(dataset.classes)} classes", "test accuracy (%)")]
    title = "Test accuracy against training examples"
    figure = None if options.quick else plots.study(sizes, panels, title, "training examples", log=True)
    return Findings(
        claims,
        {} if figure is None else {"data_scale": figure},
        [ResultTable(f"Test accuracy on {dataset.name}{note}", ["examples", *mean], cells)],
        models=models_trained,
        training_seconds=sum(seconds[name] for name in NETWORKS),
    )


LESSON = Lesson(
    "data_scale",
    Text("Deep learning and classical machine learning", "深度学习与传统机器学习"),
    Text(
        "How many examples does a network need to outperform classical learners?",
        "样本多到什么程度，神经网络才优于传统算法？",
    ),
    study,
    TEACHING,
    short=Text("Deep or classical learning", "深度学习与传统方法"),
)
