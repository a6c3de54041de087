"""The forward pass: from an image to its loss, with the shape and the values of every stage.

    python -m experiments.lessons.forward_pass --quick

Follows one image (of CIFAR-10 if it is prepared, otherwise and with --quick of the digits) through a two-layer network
to scores, probabilities, data loss, penalty and their sum, stage by stage, before and after training. It finds that the
stages equal a single call of the library and loops in float64, that the loss of a batch is the mean over its examples,
and that the penalty is added once for all of them. About 10 s on 2 CPU cores.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("forward_pass", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.lessons.framework.data import load_images
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, Plot, Readout
from experiments.lessons.teaching.forward_pass import TEACHING
from jaxnn import initializers, losses, models, training
from jaxnn.data import Dataset, Split, load, preprocess
from jaxnn.inspect import layer_outputs, trajectory
from jaxnn.plots import Stage, pipeline

L2 = 1e-3
BATCH = 64


def study(options: Options) -> Findings:
    """The stages before and after training."""
    dataset = load_images(options)
    moments = preprocess.fit_moments(dataset.train.inputs, "global")
    hidden = 32 if dataset.name == "digits" else 64
    make_task = functools.partial(_task, dataset.train.inputs.shape[1:], hidden, len(dataset.classes))
    task = make_task({})
    untrained = jax.jit(task.model.init)(jax.random.key(options.seed))
    large = len(dataset.train.labels) > 10_000
    plan = {"epochs": 4 if large else 20, "batch_size": 256 if large else 32}
    train = jax.jit(functools.partial(training.run, make_task, {}, jax.random.key(options.seed), **plan))
    run, seconds = lesson.timed(train, training.Data(*dataset.train, statistics=moments))
    trained = run.state.params
    image, label = dataset.test.inputs[0], int(dataset.test.labels[0])
    before, after = (_stages(image, label, params, moments) for params in (untrained, trained))
    classes = len(dataset.classes)
    start = float(_objective(task, untrained, moments, dataset.test.take(slice(200)))[0])
    claims = [
        _same(dataset, task, trained, moments, after),
        _mean(dataset, task, trained, moments),
        Claim(
            "Before training all classes are equally likely and the data loss is log C; training lowers it",
            "训练前各类概率相同，数据损失为 log C；训练使其降低",
            {
                "data loss before training": start,
                "log C": float(np.log(classes)),
                "data loss over the training set after training": float(run.history["loss"][-1]),
            },
            abs(start / np.log(classes) - 1) < 0.05 and float(run.history["loss"][-1]) < 0.8 * np.log(classes),
        ),
    ]
    name = dataset.classes[label]
    table = ResultTable(
        f"Stages of one image ({dataset.name}, class {name})",
        ("stage", "formula", "shape", "type", "smallest", "mean", "largest"),
        [
            (s.name, s.formula, list(a.shape), str(a.dtype), *(f"{float(f(a)):.4g}" for f in (np.min, np.mean, np.max)))
            for s in after.values()
            for a in [np.asarray(s.values)]
        ],
    )
    figures = {
        "untrained": pipeline(list(before.values()), f"Forward pass before training ({dataset.name}, class {name})"),
        "trained": pipeline(list(after.values()), f"Forward pass after training ({dataset.name}, class {name})"),
    }
    return Findings(claims, figures, [table], [_live(options)], models=1, training_seconds=seconds)


def _live(options: Options) -> Live:
    """Scores, probabilities and losses of some digits after each epoch of a training."""
    digits, epochs = load("digits", seed=options.seed), tuple(range(25))
    moments = preprocess.fit_moments(digits.train.inputs, "global")
    make_task = functools.partial(_task, (8, 8, 1), 32, 10)
    images = jnp.asarray(np.stack([digits.test.inputs[digits.test.labels == c][0] for c in range(10)]))

    @jax.jit
    def look(key: Array, data: training.Data) -> tuple[Array, ...]:
        kept, _ = trajectory(make_task, {}, key, data, epochs, 64)
        x = preprocess.standardize(moments, images)
        scores = jax.vmap(lambda params: make_task({}).model.apply(params, x))(kept)
        labels = jnp.broadcast_to(jnp.arange(10, dtype=jnp.int32), scores.shape[:2])
        penalty = jax.vmap(lambda params: L2 * losses.l2(params))(kept)
        return scores, jax.nn.softmax(scores), losses.softmax(scores, labels), penalty

    arguments = jax.random.key(options.seed), training.Data(*digits.train, statistics=moments)
    (scores, p, loss, penalty), seconds = lesson.timed(look, *arguments)
    names = [str(c) for c in range(10)]
    pictures = np.asarray(images, np.float64)[..., 0][:, ::-1] / 16 * 255
    return Live(
        Text(
            "A digit on its way through the network, after each epoch of training. Before training all ten classes "
            "have the probability 0.1 and the loss is log 10.",
            "一个数字图像通过网络的全过程，可查看每一轮训练之后的情况。训练前十个类别的概率都是 0.1，损失为 log 10。",
        ),
        [
            Control(Text("epochs trained", "已训练轮数"), list(epochs), 3),
            Control(Text("digit", "数字"), names, 3, choice=True),
        ],
        [
            Plot(
                Text("The picture", "图片"),
                "",
                "",
                (0, 8),
                (0, 8),
                picture=Numbers(pictures.astype(np.uint8), (1,)),
                colors="gray",
                square=True,
                axes=False,
            ),
            Bars(Text("Scores", "得分"), names, [Numbers(scores, (0, 1))], (-8, 14)),
            Bars(Text("Probabilities", "概率"), names, [Numbers(p, (0, 1))], (0, 1)),
        ],
        [
            Readout(Text("data loss", "数据损失"), [Numbers(loss, (0, 1))]),
            Readout(Text("penalty", "惩罚项"), [Numbers(penalty, (0,))]),
            Readout(Text("objective", "目标值"), [Numbers(loss, (0, 1)), Numbers(penalty, (0,))]),
        ],
        seconds=seconds,
    )


def _task(shape: tuple[int, ...], hidden: int, classes: int, h: Any) -> training.Task:
    return training.Task(
        models.mlp(shape, (hidden,), classes, init=initializers.normal(0.01)),
        losses.softmax,
        optax.sgd(0.02, momentum=0.9),
        lambda params: L2 * losses.l2(params),
        preprocess.standardize,
    )


@jax.jit
def _forward(image: Any, label: Any, params: Any, moments: preprocess.Moments) -> tuple[Array, ...]:
    x = preprocess.standardize(moments, image).reshape(-1)
    h, scores = (a[0] for a in layer_outputs(params, x[None], jax.nn.relu))
    return x, h, scores, jax.nn.softmax(scores), losses.softmax(scores, label), L2 * losses.l2(params)


@functools.partial(jax.jit, static_argnums=0)
def _objective(task: training.Task, params: Any, moments: preprocess.Moments, examples: Split) -> tuple[Array, Any]:
    """The mean loss of some examples, and the penalty."""
    scores = task.model.apply(params, preprocess.standardize(moments, examples.inputs))
    return task.loss(scores, jnp.asarray(examples.labels)).mean(), task.penalty(params)


def _stages(image: np.ndarray, label: int, params: Any, moments: preprocess.Moments) -> dict[str, Stage]:
    """Every stage from one image to its objective."""
    x, h, scores, p, loss, penalty = map(np.asarray, _forward(image, np.int32(label), params, moments))
    return {
        stage.name: stage._replace(values=np.asarray(stage.values))
        for stage in (
            Stage("image", "as stored", image),
            Stage("x", "(image - mean) / std", x),
            Stage("W1", "with biases b1", params[0]["w"], joined="·"),
            Stage("hidden", "h = max(0, W1 x + b1)", h),
            Stage("W2", "with biases b2", params[1]["w"], joined="·"),
            Stage("scores", "s = W2 h + b2", scores, label),
            Stage("probabilities", "p = exp(s) / sum exp(s)", p, label),
            Stage("data loss", "-log p(right class)", loss),
            Stage("penalty", f"{L2:g} · sum of W1², W2²", penalty, joined="+"),
            Stage("objective", "minimized by training", loss + penalty, joined="="),
        )
    }


def _same(
    dataset: Dataset, task: training.Task, params: Any, moments: preprocess.Moments, stages: dict[str, Stage]
) -> Claim:
    """The stages, the composed functions, and loops in float64 agree."""
    image, label = one = dataset.test.take(slice(1))
    whole = float(sum(_objective(task, params, moments, one)))
    x = (image[0].astype(np.float64) - np.float64(moments.mean)) / np.float64(moments.std)
    h = x.ravel()
    for i, layer in enumerate(params):
        w, b = np.asarray(layer["w"], np.float64), np.asarray(layer["b"], np.float64)
        h = np.array([sum(row * h) + offset for row, offset in zip(w, b, strict=True)])
        h = h if i == len(params) - 1 else np.where(h > 0, h, 0)
    exact = np.log(np.exp(h - h.max()).sum()) - (h[label[0]] - h.max())
    exact += L2 * sum((np.asarray(layer["w"], np.float64) ** 2).sum() for layer in params)
    staged = float(np.asarray(stages["objective"].values))
    return Claim(
        "Stage by stage, in one call, and with loops in float64, the objective is the same number",
        "逐级计算、一次调用、float64 循环，三者得到相同的目标值",
        {
            "objective stage by stage": staged,
            "objective in one call": whole,
            "objective with loops in float64": float(exact),
        },
        abs(staged - whole) < 1e-5 * whole and abs(staged - exact) < 1e-4 * exact,
    )


def _mean(dataset: Dataset, task: training.Task, params: Any, moments: preprocess.Moments) -> Claim:
    """The training step on a batch: the mean of its examples' losses, and the penalty once."""
    inputs, labels = jnp.asarray(dataset.test.inputs[:BATCH]), jnp.asarray(dataset.test.labels[:BATCH])
    state = training.State(params, task.optimizer.init(params), jnp.int32(0), jax.random.key(0))
    _, step = jax.jit(training.make_train_step(task, moments))(state, (inputs, labels))

    def loss(x: Array, label: Array) -> Array:
        return task.loss(task.model.apply(params, preprocess.standardize(moments, x)), label)

    singly = np.asarray(jax.jit(jax.vmap(loss))(inputs, labels), np.float64)
    penalty = L2 * sum((np.asarray(layer["w"], np.float64) ** 2).sum() for layer in params)
    return Claim(
        "The loss of a batch is the mean over its images, and the penalty is added once",
        "一个批次的损失是其中各图片损失的平均值，惩罚项只加一次",
        {
            "loss of the batch": float(step.loss),
            "mean loss of its images": float(singly.mean()),
            "penalty in the training step": float(step.penalty),
            "penalty with loops in float64": float(penalty),
        },
        abs(float(step.loss) / singly.mean() - 1) < 1e-4 and abs(float(step.penalty) / penalty - 1) < 1e-4,
    )


LESSON = Lesson(
    "forward_pass",
    Text("The forward pass", "前向传播"),
    Text(
        "Which steps lead from an image and the weights to the loss, and what passes from one to the next?",
        "从图片和权重到损失要经过哪些步骤？每一步传递什么数据？",
    ),
    study,
    TEACHING,
)
