"""What the lesson on regularization teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import losses


def objective(data_losses, weights, l2):
    """The objective: the mean of the examples' losses, plus l2 times the sum of squares of all weight matrices."""
    return float(np.mean(data_losses) + l2 * sum(np.square(w).sum() for w in weights))


def decayed(w, gradient, rate, l2):
    """A step of gradient descent on loss + l2 * sum(w**2); `gradient` is that of the loss alone. Returns the new w."""
    return w - rate * (gradient + 2 * l2 * w)


LOSSES, WEIGHTS = np.array([2.9, 0.0, 12.9]), [np.array([[1.0, -2.0], [0.5, 0.0]]), np.array([[3.0]])]
V, G = np.array([1.0, 0.0, -2.0]), np.array([0.5, -1.0, 0.0])

TEACHING = Teaching(
    builds_on=("losses",),
    idea=Text(
        "Two models can have the same loss and still be different. Take four pixels of value 1 and the weights (1, "
        "0, 0, 0) or (1/4, 1/4, 1/4, 1/4): both give the score 1. But the first trusts a single pixel, the second "
        "listens to all. If that one pixel is noisy in a new picture, the first model is lost.\n\n"
        "So we add a term to the loss that does not look at the data at all, only at the weights: l2 times the sum "
        "of their squares. It is 1 for the first and 1/4 for the second, so training now prefers the second. The "
        "factor l2 says how much this counts. With 0 the network bends its border around single points; with a good "
        "value the border becomes smooth and new points are classified better; with too large a value all weights "
        "shrink and nothing is learned.",
        "两个模型的损失相同，并不等于模型相同。设四个像素都是 1，权重取 (1, 0, 0, 0) 或 (1/4, 1/4, 1/4, 1/4)，得分都"
        "是 1。但前者只相信一个像素，后者听取所有像素的意见。一旦新图片中那个像素有噪声，前一个模型就错了。\n\n"
        "因此我们在损失里加上一项，它完全不看数据，只看权重：l2 乘以权重的平方和。前者为 1，后者为 1/4，于是训练会偏"
        "向后者。系数 l2 决定这一项有多重要：取 0 时，网络会让边界绕着个别点弯曲；取得合适时，边界变得平滑，新样本分"
        "得更准；取得过大时，所有权重都被压小，什么也学不到。",
    ),
    drawing=Drawing(
        124,
        Text(
            "Two bar charts of four weights: 1, 0, 0, 0 with penalty 1, and four times a quarter with penalty 1/4. "
            "Both give the score 1.",
            "两组权重的柱状图：1、0、0、0，惩罚项为 1；四个 1/4，惩罚项为 1/4。得分都是 1。",
        ),
        [
            part
            for x, weights, kind, penalty in ((26, (1, 0, 0, 0), "b", "1"), (206, (0.25,) * 4, "a", "1/4"))
            for part in (
                *(
                    draw.box(x + 34 * i, 82 - 64 * w, 26, 64 * w, kind=kind + " full")
                    for i, w in enumerate(weights)
                    if w
                ),
                draw.line(((x - 6, 82), (x + 136, 82))),
                *(draw.words(x + 34 * i + 13, 76 - 64 * w, f"{w:g}") for i, w in enumerate(weights)),
                draw.words(x + 64, 102, Text("score 1", "得分 1")),
                draw.words(x + 64, 119, Text(f"sum of squares {penalty}", f"平方和 {penalty}"), kind),
            )
        ],
    ),
    formulas=(
        Formula(
            r"L = \frac{1}{N} \sum_{n=1}^{N} L_n + \lambda \, R(W), \qquad R(W) = \sum_{k, l} W_{k l}^2",
            (
                ("L_n", Text("loss of example n", "第 n 个样本的损失"), "[N]"),
                ("W", Text("all weights; biases do not count", "所有权重；不含偏置"), "[out, in]"),
                (r"\lambda", Text("factor of the penalty, `l2` in the code", "惩罚项的系数，代码中为 `l2`"), "[]"),
            ),
        ),
    ),
    code=(losses.l2,),
    question=Question(
        Text(
            "A wide network learns 100 noisy points. When l2 rises from 0 to a good value, what happens to the "
            "training accuracy and the test loss?",
            "一个很宽的网络学习 100 个带噪声的点。l2 从 0 增大到合适的值时，训练准确率和测试损失各怎样变化？",
        ),
        (
            Text("Both get better", "两者都变好"),
            Text("Training accuracy falls, test loss falls", "训练准确率下降，测试损失下降"),
            Text("Training accuracy rises, test loss rises", "训练准确率上升，测试损失上升"),
        ),
        1,
        Text(
            "The penalty forbids learning single points by heart, which costs training accuracy, and pays on new "
            "points: the test loss fell from {test loss at l2 = 0} to {lowest test loss} at l2 = "
            "{l2 of the lowest test loss}.",
            "惩罚项不允许死记单个点，训练准确率因此降低，但在新样本上有回报：测试损失从 {test loss at l2 = 0} 降到 "
            "{lowest test loss}（l2 = {l2 of the lowest test loss}）。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the objective: mean data loss plus penalty.", "写出目标函数：平均数据损失加惩罚项。"),
            objective,
            ((LOSSES, WEIGHTS, 0.1), (LOSSES[:2], WEIGHTS[:1], 0.01), (LOSSES, WEIGHTS, 0.0)),
            6.691667,
            (
                Mistake(
                    lambda data_losses, weights, l2: float(
                        np.sum(data_losses) + l2 * sum((w**2).sum() for w in weights)
                    ),
                    "the data loss is the mean over the examples, not their sum",
                ),
                Mistake(
                    lambda data_losses, weights, l2: float(
                        np.mean([d + l2 * sum((w**2).sum() for w in weights) / len(data_losses) for d in data_losses])
                    ),
                    "the penalty is added once and whole: do not divide it by the number of examples",
                ),
                Mistake(
                    lambda data_losses, weights, l2: float(
                        np.mean(data_losses) + l2 * sum(np.abs(w).sum() for w in weights)
                    ),
                    "these are absolute values (L1): the penalty takes squares",
                ),
                Mistake(
                    lambda data_losses, weights, l2: float(
                        np.mean(data_losses) + l2 * np.sqrt(sum((w**2).sum() for w in weights))
                    ),
                    "this is the norm: the penalty is its square, without the root",
                ),
                Mistake(
                    lambda data_losses, weights, l2: float(
                        np.mean(data_losses) + l2 / 2 * sum((w**2).sum() for w in weights)
                    ),
                    "there is no factor 1/2 in this penalty",
                ),
                Mistake(
                    lambda data_losses, weights, l2: float(
                        np.mean(data_losses) + l2 * sum((w**2).mean() for w in weights)
                    ),
                    "the penalty is a sum over all weights, not a mean",
                ),
            ),
        ),
        Exercise(
            Text("Write one step of gradient descent with the penalty.", "写出带惩罚项的梯度下降的一步。"),
            decayed,
            ((V, G, 0.1, 0.5), (V, 0 * G, 0.2, 0.1)),
            [0.85, 0.1, -1.8],
            (
                Mistake(lambda w, gradient, rate, l2: w - rate * gradient, "the penalty's own gradient is missing"),
                Mistake(lambda w, gradient, rate, l2: w - rate * (gradient + l2 * w), "the derivative of w² is 2 w"),
                Mistake(
                    lambda w, gradient, rate, l2: w - rate * (gradient - 2 * l2 * w),
                    "the penalty must shrink the weights, not grow them",
                ),
                Mistake(
                    lambda w, gradient, rate, l2: w - rate * gradient - 2 * l2 * w,
                    "the penalty's gradient is multiplied by the rate too",
                ),
                Mistake(
                    lambda w, gradient, rate, l2: w - rate * (gradient + 2 * l2 * w**2),
                    "this adds the penalty itself, not its derivative",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The pair of weight vectors of the course with the same loss: penalties 1 and 0.25.",
        "对应课程中损失相同的两组权重：惩罚项分别为 1 和 0.25。",
    ),
    playground="data=moons&noise=0.3&hidden=20,20&size=200&l2=0.003",
    chinese={
        "score of *": "* 的得分",
        "penalty of *": "* 的惩罚项",
        "weight norm at l2 = *": "l2 = * 时的权重范数",
        "loss gap at l2 = *": "l2 = * 时的损失差距",
        "test loss at l2 = *": "l2 = * 时的测试损失",
        "lowest test loss": "最低测试损失",
        "l2 of the lowest test loss": "测试损失最低时的 l2",
        "Input x = [1, 1, 1, 1]": "输入 x = [1, 1, 1, 1]",
        "vector": "向量",
        "weights": "权重",
        "score w x": "得分 w x",
        "penalty (sum of squares)": "惩罚项（平方和）",
        "Means over * seeds after * epochs": "* 个随机种子、* 轮训练后的平均值",
        "training accuracy": "训练准确率",
        "test accuracy": "测试准确率",
        "loss gap": "损失差距",
        "weight norm": "权重范数",
        "two vectors": "两组权重",
        "regions": "分类区域",
    },
)
