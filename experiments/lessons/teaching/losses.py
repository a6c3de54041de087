"""What the lesson on losses teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import losses


def svm_loss(scores, label, margin):
    """The SVM loss of one example: scores[C], the number of the correct class, the margin. Returns one number."""
    others = np.delete(np.asarray(scores, float), label)
    return float(np.maximum(0.0, others - scores[label] + margin).sum())


def softmax_loss(scores, label):
    """The softmax loss of one example, also for scores of 1e4: scores[C] and the correct class. Returns one number."""
    scores = np.asarray(scores, float) - np.max(scores)
    return float(np.log(np.exp(scores).sum()) - scores[label])


def _naive(scores, label):
    with np.errstate(all="ignore"):
        exponentials = np.exp(np.asarray(scores, float))
        return float(-np.log(exponentials[label] / exponentials.sum()))


CAT, FROG, LARGE = np.array([3.2, 5.1, -1.7]), np.array([2.2, 2.5, -3.1]), np.array([1e4, 9998.0, -1e4])

TEACHING = Teaching(
    builds_on=("score_function",),
    idea=Text(
        "A score function answers with numbers, and on the first day it answers badly. To improve it, we need one "
        "number that says how badly: the loss.\n\n"
        "The SVM loss looks at differences. Every wrong class should stay below the correct one by a margin of 1; "
        "whatever a class lacks is added up. Once all margins are kept, the loss is exactly zero and the example has "
        "nothing more to teach. The softmax loss first turns scores into probabilities: it raises e to each score, "
        "so that all are positive, and divides by the sum. The loss is minus the logarithm of the probability that "
        "the correct class received. It is never zero: a probability of 0.9 can still become 0.99. The logarithm is "
        "the natural one, so `-log 0.13` is 2.04; with base 10 it would be 0.89, the same loss in another unit.",
        "得分函数给出的只是一些数，刚开始时往往错得离谱。要改进它，先得有一个数来说明“错得有多严重”，这个数就是损失。"
        "\n\n"
        "SVM 损失看的是差距：每个错误类别的得分都应比正确类别低至少 1（间隔），不足的部分累加起来。一旦所有间隔都满"
        "足，损失恰好为零，这个样本就不再提供任何信息。softmax 损失先把得分变成概率：对每个得分取 e 的幂，使其全为"
        "正，再除以总和；损失是正确类别概率的负对数。它永远不会等于零，因为 0.9 的概率还可以变成 0.99。这里的对数是自"
        "然对数，所以 `-log 0.13` 等于 2.04；若以 10 为底则是 0.89，只是换了个单位。",
    ),
    drawing=Drawing(
        98,
        Text(
            "The scores of the cat picture on a line: frog -1.7, cat 3.2, car 5.1. All wrong classes should stay left "
            "of 2.2, a margin of 1 below the cat. The frog does; the car lies 2.9 too far right.",
            "猫图片的得分画在数轴上：青蛙 -1.7，猫 3.2，车 5.1。错误类别都应在 2.2 左侧，即比猫低一个间隔 1。青蛙满足"
            "；车超出了 2.9。",
        ),
        [
            draw.arrow((6, 70), (356, 70), "soft"),
            draw.box(205, 40, 44, 30, kind="fill"),
            draw.line(((205, 26), (205, 76)), "dashed"),
            *(
                draw.circle((108 + 44 * s, 70), 6, f"{kind} dot")
                for s, kind in ((-1.7, "plain"), (3.2, "a"), (5.1, "b"))
            ),
            *(
                draw.words(108 + 44 * s, 92, name, kind)
                for s, name, kind in (
                    (-1.7, Text("frog -1.7", "青蛙 -1.7"), ""),
                    (3.2, Text("cat 3.2", "猫 3.2"), "a"),
                    (5.1, Text("car 5.1", "车 5.1"), "b"),
                )
            ),
            draw.arrow((205, 33), (332, 33), "b"),
            draw.words(272, 26, Text("the car's loss: 2.9", "车的损失：2.9"), "b"),
            draw.words(253, 59, Text("margin 1", "间隔 1"), "start"),
            draw.words(100, 50, Text("no loss on this side", "这一侧没有损失"), "soft"),
            draw.words(205, 92, "2.2", "soft"),
        ],
    ),
    formulas=(
        Formula(
            r"L_{\mathrm{SVM}} = \sum_{j \neq y} \max(0,\; s_j - s_y + \Delta)",
            (
                ("s", Text("scores of an example", "一个样本的得分"), "[C]"),
                ("y", Text("number of the correct class", "正确类别的编号"), "[]"),
                (r"\Delta", Text("margin, usually 1", "间隔，通常取 1"), "[]"),
            ),
        ),
        Formula(
            r"p_j = \frac{e^{s_j / T}}{\sum_k e^{s_k / T}}, \qquad L_{\mathrm{softmax}} = -\log p_y",
            (
                ("p", Text("probabilities of the classes", "各类别的概率"), "[C]"),
                ("T", Text("temperature, 1 unless said otherwise", "温度，不特别说明时为 1"), "[]"),
            ),
        ),
    ),
    code=(losses.svm, losses.softmax),
    question=Question(
        Text(
            "A network with tiny random weights has not learned anything yet and is asked about 10 classes. Which "
            "loss does the SVM report on average, which does softmax?",
            "一个网络的权重是很小的随机数，什么都还没学到，现在要在 10 个类别中选择。SVM 与 softmax 的平均损失各是多"
            "少？",
        ),
        (
            Text("0 and 0: nothing is wrong yet", "0 和 0：还没有犯错"),
            Text("9 and 2.303", "9 和 2.303"),
            Text("10 and 1", "10 和 1"),
        ),
        1,
        Text(
            "All scores are nearly equal. Each of the 9 wrong classes lacks the whole margin of 1, and every class "
            "has the probability 1/10. Measured: {SVM loss with 10 classes} and {softmax loss with 10 classes}. A "
            "first loss that is far from these numbers is a sign of an error.",
            "所有得分几乎相等：9 个错误类别各差整整一个间隔 1；每个类别的概率都是 1/10。实测为 "
            "{SVM loss with 10 classes} 和 {softmax loss with 10 classes}。如果训练开始时的损失与此相去甚远，程序多半"
            "有错。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the SVM loss of one example.", "写出单个样本的 SVM 损失。"),
            svm_loss,
            ((CAT, 0, 1.0), (FROG, 2, 1.0), (np.array([1.3, 4.9, 2.0]), 1, 1.0), (CAT, 0, 0.5), (CAT, 1, 2.5)),
            2.9,
            (
                Mistake(
                    lambda scores, label, margin: float(np.maximum(0, scores - scores[label] + margin).sum()),
                    "the correct class is counted as well, which adds the margin: leave out j = y",
                ),
                Mistake(
                    lambda scores, label, margin: float((np.delete(scores, label) - scores[label] + margin).sum()),
                    "a class that keeps its margin must add 0, not a negative number: max(0, ...) is missing",
                ),
                Mistake(
                    lambda scores, label, margin: float(
                        np.maximum(0, scores[label] - np.delete(scores, label) + margin).sum()
                    ),
                    "the difference is the wrong way round: it is the wrong score minus the correct one",
                ),
                Mistake(
                    lambda scores, label, margin: svm_loss(scores, label, 1.0),
                    "the margin is always 1 here: use the argument",
                ),
                Mistake(
                    lambda scores, label, margin: max(
                        0.0, float(np.delete(scores, label).max() - scores[label] + margin)
                    ),
                    "only the worst wrong class is counted: this loss is a sum over all of them",
                ),
                Mistake(
                    lambda scores, label, margin: svm_loss(scores, label, margin) / len(scores),
                    "the loss of one example is a sum over classes, not their mean",
                ),
            ),
        ),
        Exercise(
            Text(
                "Write the softmax loss of one example so that it is exact for scores of 10,000.",
                "写出单个样本的 softmax 损失，要求得分达到 10000 时仍然精确。",
            ),
            softmax_loss,
            ((CAT, 0), (FROG, 1), (LARGE, 1), (np.zeros(10), 3)),
            2.04036,
            (
                Mistake(_naive, "exp overflows for large scores: subtract the largest score first, p does not change"),
                Mistake(
                    lambda scores, label: softmax_loss(scores, label) / np.log(10),
                    "this is the logarithm with base 10: the loss uses the natural one (np.log)",
                ),
                Mistake(
                    lambda scores, label: -softmax_loss(scores, label),
                    "the sign is missing: the loss is minus the logarithm, and never negative",
                ),
                Mistake(
                    lambda scores, label: float(np.exp(-softmax_loss(scores, label))),
                    "this is the probability of the correct class: the loss is minus its logarithm",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The worked example of the course: losses 2.9, 0 and 12.9 with mean 5.27; probabilities 0.13, 0.87 and 0.00.",
        "对应课程中的算例：损失 2.9、0、12.9，平均 5.27；概率 0.13、0.87、0.00。",
    ),
    playground="classes=3&data=spiral&hidden=8,8&loss=svm",
    chinese={
        "loss of the cat": "猫的损失",
        "loss of the car": "车的损失",
        "loss of the frog": "青蛙的损失",
        "mean loss": "平均损失",
        "probability of cat": "猫的概率",
        "probability of car": "车的概率",
        "probability of frog": "青蛙的概率",
        "loss": "损失",
        "cat": "猫",
        "car": "车",
        "frog": "青蛙",
        "class": "类别",
        "score": "得分",
        "exp": "指数",
        "probability": "概率",
        "Softmax of a cat, step by step": "一张猫图片的 softmax 逐步计算",
        "SVM loss with 10 classes": "10 个类别时的 SVM 损失",
        "softmax loss with 10 classes": "10 个类别时的 softmax 损失",
        "largest relative error of C - 1": "与 C - 1 的最大相对误差",
        "largest relative error of log C": "与 log C 的最大相对误差",
        "untrained networks": "未训练的网络个数",
        "seconds": "秒数",
        "largest SVM loss or slope beyond the margin": "超过间隔后 SVM 损失或斜率的最大值",
        "smallest softmax slope beyond the margin": "超过间隔后 softmax 斜率绝对值的最小值",
        "highest probability, cold": "低温时的最大概率",
        "distance from uniform, hot": "高温时与均匀分布的差距",
        "entropy, hot": "高温时的熵",
        "largest relative error of the stable form": "稳定形式的最大相对误差",
        "smallest score at which the textbook formula fails": "教科书公式开始失效的最小得分",
        "fraction of scores at which it fails": "失效的得分所占比例",
        "-ln 0.13": "-ln 0.13",
        "-log10 0.13": "-log10 0.13",
        "ratio": "两者之比",
        "margins": "各类别的间隔",
        "softmax": "softmax 的计算步骤",
        "initialization": "训练前的损失",
        "weight scale": "权重大小与初始损失",
        "lead": "领先量与损失",
        "temperature": "温度",
        "stability": "数值稳定性",
    },
)
