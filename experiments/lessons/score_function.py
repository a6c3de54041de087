"""The score function f(x, W, b) = Wx + b: numbers, templates, contributions of pixels, and planes of scores.

    python -m experiments.lessons.score_function --quick

Works through a four-pixel example (scores -96.8, 437.9, 60.75), trains a linear classifier on CIFAR-10 if it is
prepared (otherwise, and with --quick, on the digits), and splits its scores into contributions of the pixels. It finds
that the contributions and the bias add up to the score, that removing the tenth of the pixels that contributes most to
a class against its rival changes far more predictions than removing a random tenth, and that the regions of a linear
classifier are convex. About 10 s on 2 CPU cores, 7 s with --quick.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("score_function", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.lessons.framework.data import load_images
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, Readout
from experiments.lessons.teaching.score_function import TEACHING
from jaxnn import layers, losses, metrics, models, plots, training
from jaxnn.data import Dataset, load, preprocess
from jaxnn.inspect import attribution
from jaxnn.plots import Matrix, equation, score_planes
from jaxnn.plots import attribution as draw_contributions

W = np.array([[0.2, -0.5, 0.1, 2.0], [1.5, 1.3, 2.1, 0.0], [0.0, 0.25, 0.2, -0.3]], np.float32)
X = np.array([56, 231, 24, 2], np.float32)
B = np.array([1.1, 3.2, -1.2], np.float32)
SCORES = np.array([-96.8, 437.9, 60.75])
CLASSES = ("cat", "dog", "ship")


def study(options: Options) -> Findings:
    """The four parts of the lesson."""
    scores = np.asarray(layers.linear({"w": jnp.asarray(W), "b": jnp.asarray(B)}, jnp.asarray(X)), np.float64)
    error = float(np.abs(scores - SCORES).max())
    image = Matrix("image", X.reshape(2, 2), note="2 x 2 pixels", cmap="gray")
    parts = [
        image,
        "→",
        Matrix("W", W, CLASSES, "one row of weights\nper class"),
        "·",
        Matrix("x", X, note="the pixels,\nin a column", cmap="gray"),
        "+",
        Matrix("b", B, note="biases"),
        "=",
        Matrix("scores", scores, note="highest: " + CLASSES[int(scores.argmax())]),
    ]
    worked = Claim(
        "The four-pixel example has the scores -96.8, 437.9, 60.75",
        "四像素示例的得分为 -96.8、437.9、60.75",
        {f"score of {name}": score for name, score in zip(CLASSES, scores.tolist(), strict=True)}
        | {"largest error": error},
        error < 1e-4,
    )

    dataset = load_images(options)
    (params, statistics), first = lesson.timed(_train, dataset, options.seed)
    points = load("gauss", classes=3, size=300, noise=0.25, seed=options.seed)
    plane_params, second = lesson.timed(_descend, points)
    figures = {"example": equation(parts, "The score function: four pixels, three classes, f(x, W, b) = Wx + b")}
    pixels, image_figures = _pixels(dataset, params, statistics, options.seed)
    planes, plane_figures = _planes(points, plane_params, options.seed)
    table = ResultTable(
        "Scores of the four-pixel example",
        ("class", *(f"W x{i + 1}" for i in range(4)), "b", "score"),
        [(c, *(f"{v:.4g}" for v in (*row * X, b, s))) for c, row, b, s in zip(CLASSES, W, B, scores, strict=True)],
    )
    return Findings(
        [worked, _linear(), *pixels, *planes],
        figures | image_figures | plane_figures,
        [table],
        [_live()],
        models=2,
        training_seconds=first + second,
    )


def _linear() -> Claim:
    """What makes a function linear, for W x, for W x + b and for 1 / x."""
    w, b = jnp.asarray(W), jnp.asarray(B)
    x, z = jnp.asarray(X), jnp.asarray(X[::-1])
    product = lambda x: layers.linear({"w": w, "b": jnp.zeros(3)}, x)
    affine = lambda x: layers.linear({"w": w, "b": b}, x)
    size = float(jnp.abs(product(x + z)).max())
    additive = float(jnp.abs(product(x + z) - product(x) - product(z)).max()) / size
    homogeneous = float(jnp.abs(product(3.0 * x) - 3.0 * product(x)).max()) / size
    shifted = float(jnp.abs(affine(x + z) - affine(x) - affine(z) + b).max()) / size
    inverse = float(jnp.abs(1 / (x + z) - 1 / x - 1 / z).max())
    doubled = float((product(2.0 * x) / product(x)).mean())
    shape = list(jax.eval_shape(models.linear((32, 32, 3), 3).init, jax.random.key(0))[0]["w"].shape)
    return Claim(
        "W x is linear (sums and multiples are preserved); the bias makes it affine; 1/x is not linear; for pictures "
        "of 32 x 32 x 3 and three classes, W is 3 x 3072",
        "W x 是线性的（保持加法与数乘），加上偏置后是仿射的，1/x 不是线性的；图片为 32 x 32 x 3、共三个类别时，W 为 "
        "3 x 3072",
        {
            "largest error of additivity": additive,
            "largest error of homogeneity": homogeneous,
            "factor of W x when x doubles": doubled,
            "score of the cat when x doubles": float(affine(2.0 * x)[0]),
            "error of additivity of 1/x": inverse,
            "shape of W for three classes": shape,
        },
        max(additive, homogeneous, shifted) < 1e-5 and inverse > 0.1 and shape == [3, 3072],
    )


def _live() -> Live:
    """The scores of the four-pixel example for every value of every pixel."""
    pixels = np.unique([*np.arange(0, 256, 5), *X])
    parts = np.asarray(
        jax.vmap(lambda i: jax.vmap(lambda x: jnp.asarray(W)[:, i] * x)(jnp.float32(pixels)))(jnp.arange(4))
    )
    shares = [Numbers(parts[i][..., None] * np.eye(4)[i], (i, 4)) for i in range(4)]
    names = [Text("cat", "猫"), Text("dog", "狗"), Text("ship", "船")]
    return Live(
        Text(
            "Four pixels, three classes. A pixel counts as much as its weight: the fourth one speaks for the cat and "
            "hardly for anything else.",
            "四个像素、三个类别。像素的作用取决于权重：第四个像素几乎只支持猫。",
        ),
        [
            *(
                Control(Text(f"pixel x{i + 1}", f"像素 x{i + 1}"), pixels.tolist(), int(np.abs(pixels - X[i]).argmin()))
                for i in range(4)
            ),
            Control(Text("pixels' shares in the score of", "查看各像素对哪一类的贡献"), names, 0, choice=True),
        ],
        [
            Bars(
                Text("Scores W x + b", "得分 W x + b"),
                names,
                [*(Numbers(parts[i], (i,)) for i in range(4)), Numbers(B)],
                (-200, 1300),
            ),
            Bars(Text("Share of each pixel", "每个像素的贡献"), [f"x{i + 1}" for i in range(4)], shares, (-200, 600)),
        ],
        [
            Readout(name, [*(Numbers(parts[i][:, c], (i,)) for i in range(4)), Numbers(B[c])])
            for c, name in enumerate(names)
        ],
    )


def _train(dataset: Dataset, seed: int) -> tuple[layers.Weights, preprocess.Moments]:
    """The one layer of a linear softmax classifier, and the moments of its inputs."""
    moments = preprocess.fit_moments(dataset.train.inputs)
    large = len(dataset.train.labels) > 10_000
    shape, classes = dataset.train.inputs.shape[1:], len(dataset.classes)

    def task(h: dict[str, Any]) -> training.Task:
        return training.Task(
            models.linear(shape, classes),
            losses.softmax,
            optax.sgd(h["learning_rate"], momentum=0.9),
            lambda params: h["l2"] * losses.l2(params),
            preprocess.standardize,
        )

    hparams = {"learning_rate": 0.002, "l2": 0.02} if large else {"learning_rate": 0.02, "l2": 0.003}
    train = functools.partial(training.run, task, epochs=10 if large else 30, batch_size=256 if large else 32)
    run = jax.jit(lambda h, data: train(h, jax.random.key(seed), data))(
        hparams, training.Data(*dataset.train, statistics=moments)
    )
    return run.state.params[0], moments


def _descend(dataset: Dataset) -> layers.Weights:
    """A linear softmax classifier of points in the plane, by plain gradient descent on all of them."""
    x, y = map(jnp.asarray, dataset.train)

    def objective(params: layers.Weights) -> Array:
        return losses.softmax(layers.linear(params, x), y).mean() + 1e-3 * losses.l2(params)

    def step(_: int, params: layers.Weights) -> layers.Weights:
        return jax.tree.map(lambda p, g: p - 0.5 * g, params, jax.grad(objective)(params))

    zeros: layers.Weights = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(3)}
    return jax.jit(lambda params: jax.lax.fori_loop(0, 500, step, params))(zeros)


def _pixels(
    dataset: Dataset, params: layers.Weights, moments: preprocess.Moments, seed: int
) -> tuple[list[Claim], dict[str, Any]]:
    """Templates, the contribution of each pixel to the scores, and predictions without the most promoting pixels."""
    shape, classes = dataset.train.inputs.shape[1:], len(dataset.classes)
    count = min(500, len(dataset.test.labels))
    places = shape[0] * shape[1]
    taken = places // 10

    def score(x: Array) -> Array:
        return layers.linear(params, x.reshape(-1))

    @jax.jit
    def measure(images: Array, key: Array) -> tuple[Array, ...]:
        x = preprocess.standardize(moments, images)
        parts, _, scores = attribution(score, x, 3)
        wrong_sum = jnp.abs(scores - parts.reshape(count, classes, -1).sum(-1) - params["b"][None]).max()
        order = jnp.argsort(-scores, axis=-1)
        first, second = order[:, 0], order[:, 1]
        rows = jnp.arange(count)
        lead = (parts[rows, first] - parts[rows, second]).sum(-1).reshape(count, places)

        def changed(importance: Array) -> Array:
            gone = jnp.argsort(jnp.argsort(-importance, axis=-1), axis=-1) < taken  # as many of each image
            left = jnp.where(gone.reshape(count, *shape[:2], 1), jnp.zeros_like(x), x)
            return (jnp.argmax(jax.vmap(score)(left), -1) != first).mean()

        return parts, scores, order, wrong_sum, changed(lead), changed(jax.random.uniform(key, lead.shape))

    images, labels = dataset.test.inputs[:count], dataset.test.labels[:count]
    parts, scores, order, wrong_sum, promoting, at_random = map(np.asarray, measure(images, jax.random.key(seed)))
    test_scores = jax.jit(jax.vmap(lambda x: score(preprocess.standardize(moments, x))))(dataset.test.inputs)
    accuracy = float(metrics.accuracy(test_scores, jnp.asarray(dataset.test.labels)))
    name = dataset.name
    claims = [
        Claim(
            f"One template per class is already far better than chance on {name}",
            f"每个类别只用一个模板，在 {name} 上的准确率就远高于随机猜测",
            {"test accuracy": accuracy, "chance": 1 / classes, "test examples": len(dataset.test.labels)},
            accuracy > 2.5 / classes,
        ),
        Claim(
            "The contributions W x of the pixels and the bias add up to the score",
            "各像素的贡献 Wx 与偏置之和等于得分",
            {"largest difference": float(wrong_sum), "largest score": float(np.abs(scores).max())},
            float(wrong_sum) < 1e-4 * max(1.0, float(np.abs(scores).max())),
        ),
        Claim(
            "Some pixels promote a class: removing the tenth that promotes it most changes far more predictions than "
            "removing a random tenth",
            "有些像素起促进作用：去掉促进作用最强的十分之一像素，被改判的图片远多于随机去掉十分之一像素时",
            {
                "predictions changed without the most promoting pixels": float(promoting),
                "predictions changed without random pixels": float(at_random),
            },
            float(promoting) > 2 * float(at_random) and float(promoting) > 0.2,
        ),
    ]
    right = np.flatnonzero(order[:, 0] == labels)
    chosen = [right[labels[right] == c][0] for c in range(classes) if (labels[right] == c).any()][:8:2]
    maps, captions = [], []
    for i in chosen:
        own, rival = order[i, :2]
        maps.append(np.stack([parts[i, own], parts[i, rival], parts[i, own] - parts[i, rival]]))
        own_name, rival_name = dataset.classes[own], dataset.classes[rival]
        captions.append(
            [
                own_name,
                f"for {own_name}: score {scores[i, own]:.2f}",
                f"for its rival {rival_name}: {scores[i, rival]:.2f}",
                f"for {own_name} against {rival_name}: {scores[i, own] - scores[i, rival]:.2f}",
            ]
        )
    templates = np.asarray(params["w"]).reshape(classes, *shape)
    figures = {
        "templates": plots.templates(templates, dataset.classes),
        "contributions": draw_contributions(
            images[chosen], np.stack(maps), captions, f"Pixels that promote a class and pixels that inhibit it ({name})"
        ),
    }
    return claims, figures


def _planes(dataset: Dataset, params: layers.Weights, seed: int) -> tuple[list[Claim], dict[str, Any]]:
    """Three classes in the plane: where each score is zero, and the shape of the regions."""
    w, b = np.asarray(params["w"], np.float64), np.asarray(params["b"], np.float64)
    points = np.random.default_rng(seed).uniform(-1.5, 1.5, (2, 100_000, 2))
    ends = (points @ w.T + b).argmax(-1)
    same = ends[0] == ends[1]
    between = (points.mean(0) @ w.T + b).argmax(-1)
    inside = float((between[same] == ends[0][same]).mean())
    slopes = np.asarray(jax.vmap(jax.jacrev(lambda x: layers.linear(params, x)))(jnp.float32(points[0, :1000])))
    spread = float(np.ptp(slopes, axis=0).max())
    claim = Claim(
        "Scores are planes: their slope is the same everywhere, and points between two points of a class region "
        "belong to it",
        "得分是平面：斜率处处相同；同一类别区域内两点之间的点也属于该区域",
        {"pairs of points": int(same.sum()), "fraction of midpoints inside": inside, "largest change of slope": spread},
        inside == 1.0 and spread == 0.0,
    )
    names = [f"class {c}" for c in dataset.classes]
    return [claim], {"planes": score_planes(w, b, *dataset.train, names=names)}


LESSON = Lesson(
    "score_function",
    Text("Score function", "得分函数"),
    Text(
        "How does a linear function turn pixels into one score per class, and which pixels matter?",
        "线性函数怎样把像素变成每个类别的得分？哪些像素起作用？",
    ),
    study,
    TEACHING,
)
