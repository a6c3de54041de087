"""What the lesson on the forward pass teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import inspect as look


def forward(x, W1, b1, W2, b2):
    """Scores of a two-layer network with ReLU for one example x[D]. Returns [C]."""
    return W2 @ np.maximum(0, W1 @ x + b1) + b2


def probabilities(scores):
    """Softmax of a batch: scores[B, C]. Returns [B, C], every row sums to 1."""
    exponentials = np.exp(scores - scores.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def _plain(scores):
    with np.errstate(all="ignore"):
        return np.exp(scores) / np.exp(scores).sum(1, keepdims=True)


NET = (
    np.array([1.0, -2.0]),
    np.array([[1.0, 1.0], [2.0, -1.0], [0.0, 3.0]]),
    np.array([0.5, -1.0, 0.0]),
    np.array([[1.0, 2.0, 1.0], [0.0, -1.0, 1.0]]),
    np.array([0.25, 0.5]),
)
OTHER = (np.array([0.5, 1.5]), NET[1] * 0.7, NET[2] + 1, NET[3] - 0.3, NET[4])
BATCH = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])

TEACHING = Teaching(
    builds_on=("losses", "regularization"),
    idea=Text(
        "The forward pass is the way from a picture to one number. Each stage takes what the stage before it has "
        "computed and nothing else: the pixels are standardized, the first layer turns them into hidden values, ReLU "
        "sets the negative ones to zero, the second layer turns these into scores, softmax turns scores into "
        "probabilities, and the logarithm of one of them is the loss. For a batch the losses are averaged; the "
        "penalty on the weights is added once.\n\n"
        "Writing down the shape of every stage is the best protection against errors: 3,072 pixels, W1 of 64 x "
        "3,072, 64 hidden values, W2 of 10 x 64, ten scores. Nothing is learned here. The forward pass only says how "
        "good the weights are; changing them takes the way back, the backward pass.",
        "前向传播就是从一张图片走到一个数的过程。每一级只用到上一级的输出：像素先做标准化；第一层把它们变成隐藏值；"
        "ReLU 把负数置零；第二层再把它们变成得分；softmax 把得分变成概率；其中一个概率取负对数就是损失。一个批次的损"
        "失取平均，权重的惩罚项只加一次。\n\n"
        "把每一级的形状写下来，是防止出错的最好办法：3072 个像素，W1 为 64 × 3072，64 个隐藏值，W2 为 10 × 64，10 个"
        "得分。这个过程并不学习任何东西，它只告诉我们当前权重好不好；要改动权重，还得反向走回来，那就是反向传播。",
    ),
    drawing=Drawing(
        92,
        Text(
            "The stages from left to right: x with 3,072 numbers, W1, ReLU, h with 64, W2, s with 10, softmax, one "
            "loss L.",
            "各级从左到右：3072 个数的 x、W1、ReLU、64 个数的 h、W2、10 个数的 s、softmax、一个损失 L。",
        ),
        [
            *(draw.box(x, 36 - h / 2, 22, h, kind="a") for x, h in ((18, 68), (132, 44), (226, 28), (326, 14))),
            *(draw.words(x, 86, name) for x, name in ((29, "x [3072]"), (143, "h [64]"), (237, "s [10]"), (337, "L"))),
            *(draw.arrow((a, 36), (b, 36)) for a, b in ((43, 128), (157, 222), (251, 322))),
            draw.words(85, 28, "W₁, ReLU"),
            draw.words(189, 28, "W₂"),
            draw.words(286, 28, "softmax"),
            draw.words(286, 52, "-log"),
        ],
    ),
    formulas=(
        Formula(
            r"h = \max(0,\; W_1 x + b_1), \qquad s = W_2 h + b_2, \qquad L = -\log \frac{e^{s_y}}{\sum_j e^{s_j}} "
            r"+ \lambda R(W)",
            (
                ("x", Text("standardized pixels", "标准化后的像素"), "[3072]"),
                ("W_1", Text("weights of the first layer", "第一层权重"), "[64, 3072]"),
                ("h", Text("hidden values", "隐藏值"), "[64]"),
                ("W_2", Text("weights of the second layer", "第二层权重"), "[10, 64]"),
                ("s", Text("scores", "得分"), "[10]"),
                ("L", Text("objective", "目标值"), "[]"),
            ),
        ),
    ),
    code=(look.layer_outputs,),
    question=Question(
        Text(
            "A batch of 64 pictures passes through the network. How often is the penalty on the weights added?",
            "一个批次有 64 张图片。权重的惩罚项要加几次？",
        ),
        (
            Text("Once for each picture: 64 times", "每张图片一次，共 64 次"),
            Text("Once", "一次"),
            Text("Once for each layer and picture", "每层每张图片各一次"),
        ),
        1,
        Text(
            "The mean of the pictures' losses is {mean loss of its images}; the training step adds the penalty "
            "{penalty in the training step} once. It depends on the weights alone, so averaging it over pictures "
            "would give the same number.",
            "各图片损失的平均值为 {mean loss of its images}，训练步只加一次惩罚项 {penalty in the training step}。它"
            "只与权重有关，对图片取平均也还是这个数。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the forward pass of a two-layer network.", "写出两层网络的前向传播。"),
            forward,
            (NET, OTHER),
            [6.25, -2.5],
            (
                Mistake(
                    lambda x, W1, b1, W2, b2: W2 @ (W1 @ x + b1) + b2,
                    "the ReLU between the layers is missing: this is one linear function",
                ),
                Mistake(
                    lambda x, W1, b1, W2, b2: np.maximum(0, W2 @ np.maximum(0, W1 @ x + b1) + b2),
                    "no ReLU after the last layer: scores may be negative",
                ),
                Mistake(
                    lambda x, W1, b1, W2, b2: W2 @ (np.maximum(0, W1 @ x) + b1) + b2, "the bias belongs inside the ReLU"
                ),
                Mistake(
                    lambda x, W1, b1, W2, b2: W2 @ np.maximum(0, W1 @ x + b1), "the bias of the second layer is missing"
                ),
                Mistake(
                    lambda x, W1, b1, W2, b2: W2 @ np.maximum(0, W1 @ x) + b2, "the bias of the first layer is missing"
                ),
                Mistake(
                    lambda x, W1, b1, W2, b2: W2 @ np.abs(W1 @ x + b1) + b2,
                    "ReLU sets negative values to zero; it does not change their sign",
                ),
            ),
        ),
        Exercise(
            Text("Write softmax for a whole batch.", "写出整个批次的 softmax。"),
            probabilities,
            ((BATCH,), (np.array([[1000.0, 999.0]]),), (np.array([[0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]]),)),
            [[0.129983, 0.869050, 0.000968], [0.025245, 0.923918, 0.050837], [0.424655, 0.573225, 0.002120]],
            (
                Mistake(
                    lambda scores: np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum(),
                    "the sum runs over the classes of one example: axis 1 with keepdims",
                ),
                Mistake(
                    lambda scores: scores / scores.sum(1, keepdims=True),
                    "the exponentials are missing: scores may be negative",
                ),
                Mistake(_plain, "exp overflows at 1000: subtract the largest score of each row first"),
                Mistake(
                    lambda scores: np.log(probabilities(scores)),
                    "these are logarithms: return the probabilities themselves",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The overall flow of the forward pass in the course, with real shapes and values.",
        "对应课程中的前向传播整体流程，给出真实的形状与数值。",
    ),
    playground="hidden=4&data=moons",
    chinese={
        "objective stage by stage": "逐级计算的目标值",
        "objective in one call": "一次调用的目标值",
        "objective with loops in float64": "float64 循环的目标值",
        "loss of the batch": "批次的损失",
        "mean loss of its images": "各图片损失的平均值",
        "penalty in the training step": "训练步中的惩罚项",
        "penalty with loops in float64": "float64 循环的惩罚项",
        "data loss before training": "训练前的数据损失",
        "log C": "log C",
        "data loss over the training set after training": "训练后训练集上的数据损失",
        "Stages of one image (*, class *)": "一张图片的各级计算（*，类别 *）",
        "stage": "级",
        "formula": "公式",
        "shape": "形状",
        "type": "类型",
        "smallest": "最小",
        "mean": "平均",
        "largest": "最大",
        "image": "图片",
        "hidden": "隐藏层",
        "scores": "得分",
        "probabilities": "概率",
        "data loss": "数据损失",
        "penalty": "惩罚项",
        "objective": "目标值",
        "as stored": "原始存储",
        "with biases b1": "偏置为 b1",
        "with biases b2": "偏置为 b2",
        "minimized by training": "训练使其最小",
        "untrained": "训练前",
        "trained": "训练后",
    },
)
