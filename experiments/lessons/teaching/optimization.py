"""What the lesson on updating the weights teaches."""

from __future__ import annotations

import math

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import inspect


def batch_gradient(gradients, rows):
    """The gradient of a mini-batch: the gradient of every example [N, P] and the rows of the batch. Returns [P]."""
    return np.asarray(gradients, float)[rows].mean(0)


def adam_step(w, m, v, gradient, rate, step):
    """One step of Adam with b1 = 0.9, b2 = 0.999, eps = 1e-8; `step` counts from 1. Returns the new w.

    m and v are the running means of the gradient and of its square before this step.
    """
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    return w - rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)


def _adam(bias=True, root=True, square=True, one=0.9, eps=1e-8):
    def step_of(w, m, v, gradient, rate, step):
        m = one * m + (1 - one) * gradient
        v = 0.999 * v + 0.001 * (gradient**2 if square else gradient)
        if bias:
            m, v = m / (1 - one**step), v / (1 - 0.999**step)
        return w - rate * m / ((np.sqrt(np.abs(v)) if root else v) + eps)

    return step_of


GRADIENTS = np.array([[1.0, 2.0], [3.0, -2.0], [5.0, 0.0], [-1.0, 4.0]])
STATE = (np.array([1.0, -2.0]), np.array([0.1, 0.3]), np.array([0.02, 0.5]), np.array([0.5, -4.0]), 0.01)
FIRST = (np.array([1.0, -2.0]), np.zeros(2), np.zeros(2), np.array([0.5, -4.0]), 0.01, 1)

TEACHING = Teaching(
    builds_on=("gradient_descent", "forward_pass"),
    idea=Text(
        "The full gradient needs all examples for a single step. A mini-batch of B examples gives an estimate of it "
        "that is right on average and noisy; four times as many examples halve the noise, so after a while larger "
        "batches buy little. One step with one batch is an iteration; once all examples have been used, an epoch is "
        "over.\n\n"
        "The learning rate is the setting that matters most. Too low, and the loss creeps; too high, and it jumps or "
        "diverges; the useful range is often only a factor of ten wide. It is limited by the steepest direction of "
        "the loss: 2 / L again, with L the largest eigenvalue of the Hessian. Optimizers differ in how they use the "
        "gradient: momentum averages over past steps, Adam divides every component by its usual size. Each has its "
        "own good rate, so comparing them at the same rate says nothing.",
        "完整的梯度每走一步都要用到全部样本。只用 B 个样本的小批量，得到的是梯度的一个估计：平均来说是对的，但带噪"
        "声。样本数增加到四倍，噪声才减半，所以批量大到一定程度就不划算了。用一个批次更新一次叫一次迭代；所有样本都用"
        "过一遍叫一轮（epoch）。\n\n"
        "最重要的设置是学习率。太低，损失降得极慢；太高，损失上下跳动甚至发散；合适的范围往往只有十倍宽。它受损失最陡"
        "的方向限制，上限仍是 2 / L，其中 L 是 Hessian 的最大特征值。各种优化器的区别在于怎样使用梯度：动量对过去的步"
        "子求平均，Adam 把每个分量除以它平时的大小。它们各有合适的学习率，用同一个学习率去比较没有意义。",
    ),
    drawing=Drawing(
        160,
        Text(
            "Three curves of the loss against the steps: a learning rate too low falls slowly, a good one falls fast "
            "and far, one too high jumps up and down above both.",
            "三条损失随步数变化的曲线：学习率太低时下降缓慢，合适时降得又快又低，太高时在上方来回跳动。",
        ),
        [
            draw.axes(10, 140, 250, 118, Text("steps", "步数"), Text("loss", "损失")),
            draw.line(draw.places(lambda x: 90 - 14 * x, 0, 3.9, (12, 138), (60, 1)), "soft"),
            draw.line(draw.places(lambda x: 12 + 78 * math.exp(-1.6 * x), 0, 3.9, (12, 138), (60, 1)), "a"),
            draw.line([(12 + 16 * i, 138 - (90 if i == 0 else 78 + (26 if i % 2 else -20))) for i in range(15)], "b"),
            draw.words(264, 40, Text("too high", "太高"), "b start"),
            draw.words(264, 104, Text("too low", "太低"), "soft start"),
            draw.words(264, 130, Text("good", "合适"), "a start"),
        ],
    ),
    formulas=(
        Formula(
            r"g_B = \frac{1}{B} \sum_{n \in \mathrm{batch}} \nabla L_n, \qquad \mathrm{E}\, \| g_B - g \|^2 = "
            r"\frac{\mathrm{tr}\, \Sigma}{B}",
            (
                ("g_B", Text("gradient of a batch", "一个批次的梯度"), "[P]"),
                ("B", Text("batch size", "批量大小"), "[]"),
                (r"\Sigma", Text("covariance of the examples' gradients", "各样本梯度的协方差矩阵"), "[P, P]"),
            ),
        ),
        Formula(
            r"W \leftarrow W - \eta\, g_B, \qquad \eta < \frac{2}{L}",
            (
                (r"\eta", Text("learning rate", "学习率"), "[]"),
                ("L", Text("largest eigenvalue of the Hessian", "Hessian 的最大特征值"), "[]"),
            ),
        ),
    ),
    code=(inspect.top_eigenvalues, inspect.largest_rate),
    question=Question(
        Text(
            "Plain descent (SGD) works best with some learning rate. Where is the best rate of Adam on the same "
            "network?",
            "普通梯度下降（SGD）有一个最佳学习率。在同一个网络上，Adam 的最佳学习率与之相比如何？",
        ),
        (
            Text("At the same rate: it belongs to the network", "相同，因为它由网络决定"),
            Text("Far higher", "高得多"),
            Text("Far lower", "低得多"),
        ),
        2,
        Text(
            "Adam divides by the size of the gradient, so every weight moves by about the rate itself in each step. "
            "Measured: {best rate of adam} for Adam, {best rate of sgd} for plain descent.",
            "Adam 要除以梯度的大小，所以每个权重每步大约就移动一个学习率。实测：Adam 为 {best rate of adam}，普通梯度"
            "下降为 {best rate of sgd}。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the gradient of a mini-batch.", "写出小批量的梯度。"),
            batch_gradient,
            ((GRADIENTS, np.array([0, 1])), (GRADIENTS, np.array([0, 2, 3])), (GRADIENTS, np.array([3, 3]))),
            [2.0, 0.0],
            (
                Mistake(
                    lambda gradients, rows: gradients[rows].sum(0),
                    "this is the sum: divide by the batch size, or the learning rate depends on it",
                ),
                Mistake(
                    lambda gradients, rows: gradients[rows].sum(0) / len(gradients),
                    "divide by the size of the batch, not by the number of all examples",
                ),
                Mistake(lambda gradients, rows: gradients.mean(0), "the batch is not used: take only its rows"),
                Mistake(
                    lambda gradients, rows: gradients[rows].mean(1),
                    "the mean is taken over examples (axis 0), not over parameters",
                ),
            ),
        ),
        Exercise(
            Text("Write one step of Adam.", "写出 Adam 的一步。"),
            adam_step,
            (FIRST, (*STATE, 10), (*STATE, 500)),
            [0.99, -1.99],
            (
                Mistake(
                    _adam(bias=False),
                    "the running means start at zero: divide m by 1 - 0.9^step and v by 1 - 0.999^step",
                ),
                Mistake(_adam(root=False), "divide by the square root of v"),
                Mistake(
                    _adam(one=0.999), "the mean of the gradient decays with 0.9; only that of its square with 0.999"
                ),
                Mistake(
                    lambda w, m, v, gradient, rate, step: 2 * w - adam_step(w, m, v, gradient, rate, step),
                    "the step goes against the mean gradient: subtract it",
                ),
                Mistake(lambda w, m, v, gradient, rate, step: w - rate * gradient, "this is plain gradient descent"),
            ),
        ),
    ),
    reproduces=Text(
        "The section on updating parameters: loss against learning rate (too low, good, too high), batch, epoch, "
        "iteration.",
        "对应课程中“参数更新”一节：学习率太低、合适、太高时的损失曲线，以及批次、轮与迭代。",
    ),
    playground="optimizer=adam&learning_rate=0.01&data=spiral&hidden=12,12",
    chinese={
        "fitted exponent": "拟合得到的指数",
        "largest relative deviation from sqrt(trace / B)": "与 sqrt(迹 / B) 的最大相对偏差",
        "loss at the lowest rate": "最低学习率时的损失",
        "best rate": "最佳学习率",
        "loss at the best rate": "最佳学习率时的损失",
        "loss at the highest rate": "最高学习率时的损失",
        "ratio after the first epoch at the lowest rate": "最低学习率时第一轮后的比值",
        "ratio after the first epoch at the best rate": "最佳学习率时第一轮后的比值",
        "best rate of *": "* 的最佳学习率",
        "L": "L",
        "residual of the eigenvalue": "特征值的残差",
        "2/L": "2/L",
        "smallest diverging rate": "开始发散的最小学习率",
        "gradient norm at the solution": "解处的梯度范数",
        "Digits, tanh network of 32, * epochs": "手写数字，32 个 tanh 神经元，* 轮",
        "optimizer": "优化器",
        "training loss": "训练损失",
        "Largest eigenvalues of the Hessian": "Hessian 的最大几个特征值",
        "eigenvalue": "特征值",
        "residual": "残差",
        "2 / eigenvalue": "2 / 特征值",
        "number": "序号",
        "noise": "小批量的噪声",
        "learning rates": "学习率的影响",
        "optimizers": "优化器比较",
        "rates": "损失与学习率",
        "surface": "损失曲面",
        "bound": "上限 2/L",
    },
)
