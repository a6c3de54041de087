"""Preprocessing: raw, centered, normalized, PCA and whitened data, in the plane, as images, and in training.

    python -m experiments.lessons.preprocessing --quick

Centering removes the largest eigenvalue of the Hessian of a linear classifier, which comes from the mean of the pixels;
whitening makes the cloud round. Each with its own best learning rate, the raw data are learned more slowly than the
normalized data. About 20 seconds on 2 cores.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("preprocessing", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.lessons.framework.data import load_digits
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series, as_levels
from experiments.lessons.framework.rate_search import RateSearch, curves, loss_by_rate, search_rates
from experiments.lessons.teaching.preprocessing import TEACHING
from jaxnn import inspect, losses, models, plots
from jaxnn.data import preprocess
from jaxnn.training import Data, Task

KINDS = ("raw", "zero-centered", "normalized", "PCA", "whitened")


class Fitted(NamedTuple):
    """The statistics of the transforms, fitted on the training split."""

    moments: preprocess.Moments
    principal: preprocess.PCAStatistics


def fit(train: np.ndarray) -> Fitted:
    """Mean and standard deviation of each feature, and the principal directions, of the training examples."""
    return Fitted(preprocess.fit_moments(train), preprocess.fit_pca(train))


def every_form(fitted: Fitted, x: Array, epsilon: float) -> tuple[Array, ...]:
    """The five forms of the examples, flat f32[B, D] each, in the order of `KINDS`."""
    flat = (len(x), -1)
    return (
        x.astype(jnp.float32).reshape(flat),
        preprocess.center(fitted.moments, x).reshape(flat),
        preprocess.standardize(fitted.moments, x).reshape(flat),
        preprocess.pca(fitted.principal, x),
        preprocess.whiten(fitted.principal, x, epsilon),
    )


EPSILON = 0.1
"""Added to the variances (pixels of 0 to 16) before whitening: pixels at the edge hardly vary."""


def make_task(h: dict[str, Array]) -> Task:
    """A network of 32 neurons on the form of the data with the number `h["kind"]`."""

    def transform(fitted: Fitted, x: Array) -> Array:
        return jax.lax.select_n(h["kind"], *every_form(fitted, x, EPSILON))

    return Task(
        model=models.mlp(64, (32,), 10),
        loss=losses.softmax,
        optimizer=optax.sgd(h["learning_rate"]),
        transform=transform,
    )


def study(options: Options) -> Findings:
    """The forms of a cloud in the plane and of the digits, and training on each."""
    data = load_digits(options, fit)
    trained = lesson.in_background(_train, data, options)
    largest, first = lesson.timed(_largest_eigenvalues, data, options)
    parts = [_cloud(options), _images(data)]
    search, second = trained()
    found = lesson.join([*parts, _training(search, largest)])
    return found._replace(live=[_live(options)], training_seconds=first + second)


def _live(options: Options) -> Live:
    """A cloud in its five forms, and descent on the squared loss of a linear function of it."""
    random = np.random.default_rng(options.seed)
    mix = np.array([[1.6, 0.0], [1.1, 0.5]])
    points = (random.normal(size=(200, 2)) @ mix.T + [2.5, 1.5]).astype(np.float32)
    forms = np.stack(every_form(fit(points), jnp.asarray(points), 1e-5))
    hessians = np.einsum("knd,kne->kde", forms, forms) / len(points)
    sizes = np.sqrt(np.trace(hessians, axis1=1, axis2=2) / 2)
    rates, start = np.geomspace(0.02, 2.2, 40), np.array([[-1.6, 1.1]])
    paths, seconds = [], 0.0

    def loss(hessian: np.ndarray) -> inspect.Function:
        return lambda w: w @ jnp.asarray(hessian, jnp.float32) @ w / 2.0

    for hessian, size in zip(hessians, sizes, strict=True):
        found, took = lesson.timed(inspect.descend_many, loss(hessian), start / size, rates, steps=25)
        path = np.asarray(found.points, np.float64)[0] * size
        paths.append(np.where(np.abs(path) > 10, np.nan, path))
        seconds += took
    path = np.stack(paths)
    left = np.linalg.norm(path[:, :, -1], axis=-1)
    side = np.linspace(-2, 2, 81)
    plane = np.stack(np.meshgrid(side, side), -1)
    heights = np.stack(
        [np.einsum("...d,de,...e->...", plane, h / s**2, plane) for h, s in zip(hessians, sizes, strict=True)]
    )
    levels = as_levels(np.sqrt(heights), 0, float(np.sqrt(heights.max())), 18)
    names = [Text(name, TEACHING.chinese[name]) for name in KINDS]
    return Live(
        Text(
            "Left: the data. Right: the squared loss of a linear function of them, the bluer the higher, and 25 "
            "steps of gradient descent. The rounder the valley, the larger the rate that works. (Weights relative to "
            "the minimum, scaled.)",
            "左：数据。右：数据的线性函数的平方损失（颜色越蓝越高），以及梯度下降的 25 步。谷越圆，可用的学习率越大。"
            "（权重以极小值为原点，并经缩放。）",
        ),
        [
            Control(Text("form of the data", "数据的形式"), names, 0, choice=True),
            Control(Text("learning rate", "学习率"), [float(f"{rate:.2g}") for rate in rates], 10),
        ],
        [
            Plot(
                Text("The data", "数据"),
                "x1",
                "x2",
                (-5, 8),
                (-5, 8),
                [Series("", Numbers(forms[..., 0], (0,)), Numbers(forms[..., 1], (0,)), "points")],
                square=True,
            ),
            Plot(
                Text("The loss, and descent", "损失与下降路径"),
                Text("weight 1", "权重 1"),
                Text("weight 2", "权重 2"),
                (-2, 2),
                (-2, 2),
                [Series("", Numbers(path[..., 0], (0, 1)), Numbers(path[..., 1], (0, 1)), "path", 1)],
                picture=Numbers(levels, (0,)),
                colors="levels",
                square=True,
            ),
        ],
        [Readout(Text("distance from the minimum after 25 steps", "25 步后离极小值的距离"), [Numbers(left, (0, 1))])],
        len(KINDS) * len(rates),
        seconds,
    )


def _cloud(options: Options) -> Findings:
    """A slanted cloud away from the origin, in all forms."""
    random = np.random.default_rng(options.seed)
    mix = np.array([[2.0, 0.0], [0.9, 0.5]])
    points = (random.normal(size=(600, 2)) @ mix.T + [3.0, 2.0]).astype(np.float32)
    forms = {
        name: np.asarray(form)
        for name, form in zip(KINDS, every_form(fit(points), jnp.asarray(points), 1e-5), strict=True)
    }
    covariance = {name: np.cov(form.T) for name, form in forms.items()}
    mean = float(np.abs(forms["zero-centered"].mean(0)).max())
    spread = float(np.abs(forms["normalized"].std(0) - 1).max())
    slant = float(abs(covariance["PCA"][0, 1]))
    whole = float(np.abs(covariance["whitened"] - np.eye(2)).max())
    claim = Claim(
        "Centering makes the mean 0, normalizing the standard deviations 1, PCA the correlation 0, whitening the "
        "covariance the identity",
        "零中心化使均值为 0，归一化使标准差为 1，PCA 使相关系数为 0，白化使协方差为单位阵",
        {
            "largest mean, centered": mean,
            "largest |std - 1|, normalized": spread,
            "covariance after PCA": slant,
            "largest |covariance - identity|, whitened": whole,
        },
        max(mean, spread, slant, whole) < 1e-3,
    )
    return Findings([claim], {"clouds": plots.clouds(forms)})


def _images(data: Data) -> Findings:
    """Some digits in all forms, and restored from a few principal directions."""
    fitted: Fitted = data.statistics
    x = jnp.asarray(np.asarray(data.inputs)[:8])
    raw, centered, normalized, projected, white = (np.asarray(form) for form in every_form(fitted, x, EPSILON))
    directions, mean = np.asarray(fitted.principal.components), np.asarray(fitted.principal.mean).ravel()
    rows = {"raw": raw, "zero-centered": centered, "normalized": normalized}
    for count in (8, 20):
        rows[f"from {count} directions"] = projected[:, :count] @ directions[:count] + mean
    rows["whitened, rotated back"] = white @ directions
    variance = np.square(np.asarray(fitted.principal.std, np.float64))
    fraction = np.cumsum(variance) / variance.sum()
    back = float(np.abs(projected @ directions + mean - raw).max())
    kept = int((fraction < 0.95).sum()) + 1
    claim = Claim(
        "The first 20 of 64 principal directions keep most of the variance of the digits, and all 64 restore them",
        "前 20 个主方向（共 64 个）保留了数字图像的大部分方差，用全部方向可以还原图像",
        {
            "fraction of the variance in 20 directions": float(fraction[19]),
            "directions for 95 % of the variance": kept,
            "largest error with all directions": back,
        },
        fraction[19] > 0.85 and back < 1e-2,
    )
    images = {name: row.reshape(-1, 8, 8) for name, row in rows.items()}
    return Findings([claim], {"images": plots.image_rows(images, "The same digits, raw and preprocessed")})


def _train(data: Data, options: Options) -> RateSearch:
    """Every form with every learning rate and seed, in one program."""
    return search_rates(
        make_task,
        {"kind": np.arange(len(KINDS), dtype=np.int32)},
        np.geomspace(1e-4, 3.0, 6 if options.quick else 14).tolist(),
        data,
        seed=options.seed,
        seeds=2 if options.quick else 5,
        epochs=6 if options.quick else 20,
    )


def _largest_eigenvalues(data: Data, options: Options) -> dict[str, float]:
    """The largest eigenvalue of the Hessian of an untrained linear classifier, for each form."""
    linear = models.linear(64, 10)
    key = jax.random.key(options.seed)
    params = linear.init(key)

    def objective(params: Any, x: Array, labels: Array) -> Array:
        return losses.softmax(linear.apply(params, x), labels).mean()

    labels = jnp.asarray(data.labels)
    forms = jax.jit(every_form)(data.statistics, data.inputs, EPSILON)
    return {
        name: float(inspect.top_eigenvalues(objective, params, key, 1, form, labels, iterations=20).values[0])
        for name, form in zip(KINDS, forms, strict=True)
    }


def _training(search: RateSearch, top: dict[str, float]) -> Findings:
    """The learning rates that work for each form, and the loss that they reach."""
    lowest = dict(zip(KINDS, (float(np.median(a)) for a in search.at_best(search.last("loss"))), strict=True))
    seeds, epochs = search.history["loss"].shape[2:]
    bounds = {name: float(inspect.largest_rate(value)) for name, value in top.items()}
    claims = [
        Claim(
            "The mean of the pixels makes the loss steep: centering reduces the largest eigenvalue of the Hessian, "
            "and normalizing and whitening allow far larger learning rates",
            "像素的均值使损失面变陡：零中心化降低 Hessian 的最大特征值，归一化和白化则允许使用大得多的学习率",
            {f"2/L, {name}": value for name, value in bounds.items()},
            top["zero-centered"] < 0.5 * top["raw"]
            and min(bounds["normalized"], bounds["whitened"]) > 5 * bounds["raw"],
        ),
        Claim(
            "After the same number of epochs, each at its best learning rate, the training loss is lower on "
            "normalized than on raw data",
            "训练轮数相同、各用最佳学习率时，归一化数据上的训练损失低于原始数据",
            {f"training loss, {name}": value for name, value in lowest.items()},
            lowest["normalized"] < lowest["raw"] and lowest["whitened"] < lowest["raw"],
        ),
    ]
    title = f"Training on each form of the digits, with the best of {len(search.rates)} learning rates ({seeds} seeds)"
    against = loss_by_rate("The learning rates that work depend on the preprocessing", KINDS, search, below=10)
    rows = [
        (n, f"{top[n]:.3g}", f"{bounds[n]:.3g}", f"{rate:.2g}", f"{lowest[n]:.4f}")
        for n, rate in zip(KINDS, search.best_rates, strict=True)
    ]
    columns = ("form", "L of the linear classifier", "2/L", "best learning rate of the MLP", "training loss")
    table = ResultTable(f"Digits, {epochs} epochs", columns, rows)
    figures = {"training": curves(title, KINDS, search, log=True), "rates": against}
    return Findings(claims, figures, [table], models=search.models)


LESSON = Lesson(
    "preprocessing",
    Text("Preprocessing the data", "数据预处理"),
    Text(
        "What do centering, normalizing, PCA and whitening do, and what are they good for?",
        "零中心化、归一化、PCA、白化各做了什么？有什么用？",
    ),
    study,
    TEACHING,
)
