"""What the lesson on initial weights teaches."""

from __future__ import annotations

import math

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import initializers


def he_std(shape):
    """The standard deviation of He's initial weights for W of the shape (out, in). Returns one number."""
    return math.sqrt(2 / shape[1])


def spread(width, std, layers):
    """The standard deviation after some linear layers of equal width, for inputs of standard deviation 1.

    The weights have the standard deviation std. Returns one number.
    """
    return (math.sqrt(width) * std) ** layers


TEACHING = Teaching(
    builds_on=("activations",),
    idea=Text(
        "Before the first step the weights must have some values. Zero seems neutral but is fatal: all neurons of a "
        "layer compute the same, receive the same gradient and stay equal for ever. So the weights are random. How "
        "large?\n\n"
        "A neuron adds up many products. With n inputs the variance of its sum is n times the variance of a weight "
        "times that of an input. If the weights are 0.01 * randn, this factor is far below 1, and after ten layers "
        "nothing is left of the signal. If they are 1.0 * randn, it is far above 1, and every tanh saturates. Xavier "
        "chooses the variance 2 / (in + out), so that the factor is about 1. ReLU throws away half of the signal; He "
        "makes up for it with the variance 2 / in. For one hidden layer 0.01 * randn is good enough, for ten not.",
        "第一步之前，权重总得有个值。取零看似公平，其实是致命的：同一层的神经元算出同样的值，得到同样的梯度，永远一模"
        "一样。所以权重要随机取。取多大呢？\n\n"
        "一个神经元把许多乘积加起来。有 n 个输入时，和的方差等于 n 乘以权重的方差再乘以输入的方差。权重若是 0.01 * "
        "randn，每层的倍数远小于 1，十层之后信号就没有了；若是 1.0 * randn，倍数远大于 1，所有 tanh 都会饱和。Xavier "
        "把方差取为 2 / (in + out)，使倍数约为 1。ReLU 会丢掉一半信号，He 用方差 2 / in 补回来。只有一个隐藏层时，"
        "0.01 * randn 够用；有十层时就不行了。",
    ),
    drawing=Drawing(
        150,
        Text(
            "The spread of the signal in six tanh layers as bars: with 0.01 randn it shrinks to nothing, with Xavier "
            "it stays, with 1.0 randn all values sit at the ends, -1 and 1.",
            "信号在六个 tanh 层中的大小（柱状图）：0.01 randn 时逐层缩小到零，Xavier 时保持不变，1.0 randn 时所有值都"
            "挤在 -1 与 1 两端。",
        ),
        [
            part
            for x, name, sizes, kind, note in (
                (2, "0.01 randn", [44 * 0.5**i for i in range(6)], "b", Text("dies out", "逐层消失")),
                (126, "Xavier", [44, 40, 38, 36, 35, 34], "a", Text("stays", "保持不变")),
                (250, "1.0 randn", [88] * 6, "b", Text("saturated", "饱和")),
            )
            for part in (
                *(draw.box(x + 18 * i, 64 - size / 2, 13, size, kind=kind + " full") for i, size in enumerate(sizes)),
                draw.words(x + 52, 127, name, kind),
                draw.words(x + 52, 145, note, "soft"),
            )
        ],
    ),
    formulas=(
        Formula(
            r"\mathrm{Var}(z) = n \, \mathrm{Var}(W)\, \mathrm{E}(h^2), \qquad \mathrm{Var}(W)_{\mathrm{Xavier}} "
            r"= \frac{2}{n_{in} + n_{out}}, \qquad "
            r"\mathrm{Var}(W)_{\mathrm{He}} = \frac{2}{n_{in}}",
            (
                ("n_{in}", Text("inputs of the layer", "本层的输入个数"), "[]"),
                ("n_{out}", Text("outputs of the layer", "本层的输出个数"), "[]"),
                ("z", Text("values before the activation", "激活之前的值"), "[out]"),
            ),
        ),
    ),
    code=(initializers.xavier, initializers.he),
    question=Question(
        Text(
            "All weights start at zero, then the network is trained. How many different neurons does a hidden layer "
            "of 32 have in the end?",
            "所有权重从零开始，然后训练网络。最后，一个 32 个神经元的隐藏层里有多少个不同的神经元？",
        ),
        (Text("32", "32 个"), Text("About half of them", "大约一半"), Text("1", "1 个")),
        2,
        Text(
            "Measured: {distinct neurons of 32}. The largest difference between two of their weights is "
            "{largest difference of two weights}, and the loss stays at {lowest loss}, that of guessing.",
            "实测：{distinct neurons of 32} 个。任意两个权重之差最大为 {largest difference of two weights}，损失停在 "
            "{lowest loss}，即随机猜测的水平。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the standard deviation of He's initial weights.", "写出 He 初始化的标准差。"),
            he_std,
            (((512, 3072),), ((10, 512),), ((64, 64),)),
            0.0255155,
            (
                Mistake(lambda shape: math.sqrt(2 / shape[0]), "`in` is the second size: W is [out, in]"),
                Mistake(lambda shape: 2 / shape[1], "this is the variance: take its root"),
                Mistake(
                    lambda shape: math.sqrt(1 / shape[1]), "the factor 2 makes up for the half that ReLU throws away"
                ),
                Mistake(lambda shape: math.sqrt(2 / sum(shape)), "this is Xavier's rule: He's counts the inputs only"),
            ),
        ),
        Exercise(
            Text(
                "Write how the signal's spread changes over some linear layers.",
                "写出信号的标准差经过若干线性层后的变化。",
            ),
            spread,
            ((128, 0.01, 6), (128, 1.0, 3), (100, 0.1, 10), (64, 0.2, 1)),
            2.097152e-06,
            (
                Mistake(
                    lambda width, std, layers: (width * std) ** layers,
                    "the variances add up, so the spread grows with the root of the width",
                ),
                Mistake(
                    lambda width, std, layers: (math.sqrt(width) * std) ** (2 * layers),
                    "this is the variance: take its root",
                ),
                Mistake(
                    lambda width, std, layers: math.sqrt(width) * std * layers,
                    "each layer multiplies: it is a power, not a multiple",
                ),
                Mistake(
                    lambda width, std, layers: std**layers, "the width is missing: a neuron adds up that many products"
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The rule W = 0.01 * randn(D, H) of the course, where it works and where it does not.",
        "对应课程中的 W = 0.01 * randn(D, H)：何时可用，何时不行。",
    ),
    playground="init=zeros&hidden=6",
    chinese={
        "standard deviation in the first layer, 0.01 randn": "第 1 层的标准差，0.01 randn",
        "standard deviation in the last layer, 0.01 randn": "最后一层的标准差，0.01 randn",
        "fraction saturated, 1.0 randn": "饱和的比例，1.0 randn",
        "last layer / first, *": "最后一层与第 1 层之比，*",
        "in theory, ReLU with Xavier": "理论值，ReLU 与 Xavier",
        "tanh with Xavier": "tanh 与 Xavier",
        "ReLU with He": "ReLU 与 He",
        "ReLU with Xavier": "ReLU 与 Xavier",
        "largest difference of two weights": "任意两个权重之差的最大值",
        "distinct neurons of 32": "32 个中互不相同的神经元数",
        "lowest loss": "最低损失",
        "log 10": "log 10",
        "validation accuracy, *": "验证准确率，*",
        "zeros": "零",
        "xavier": "Xavier",
        "he": "He",
        "best scale in units of He's": "最佳尺度（以 He 为单位）",
        "validation accuracy at He's scale": "He 尺度下的验证准确率",
        "validation accuracy at the smallest scale": "最小尺度下的验证准确率",
        "validation accuracy at the largest scale": "最大尺度下的验证准确率",
        "Digits, ReLU, five hidden layers of 32": "手写数字，ReLU，五个 32 神经元的隐藏层",
        "rule": "规则",
        "best learning rate": "最佳学习率",
        "validation accuracy": "验证准确率",
        "histograms": "各层取值的直方图",
        "spread": "标准差与深度",
        "training": "训练曲线",
        "scales": "权重尺度的影响",
    },
)
