"""What the lesson on activation functions teaches."""

from __future__ import annotations

import math

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import inspect as look


def sigmoid_slope(z):
    """The derivative of the sigmoid 1 / (1 + exp(-z)) at z[N]. Returns [N]."""
    s = 1 / (1 + np.exp(-np.asarray(z, float)))
    return s * (1 - s)


def through_relu(arriving, z):
    """Backward through h = max(0, z): the gradient that arrives for h, and the values z. Returns the gradient for z."""
    return np.where(np.asarray(z) > 0, arriving, 0.0)


Z, ARRIVING = np.array([-6.0, -1.0, 0.5, 2.0, 6.0]), np.array([1.0, -2.0, 3.0, -4.0, 0.5])

TEACHING = Teaching(
    builds_on=("backpropagation", "network"),
    idea=Text(
        "The activation makes a network more than a linear function. On the way back, it decides how much gradient "
        "survives: at every layer the gradient is multiplied by the slope of the activation.\n\n"
        "The sigmoid squeezes every number into the range from 0 to 1. Its slope is at most 1/4, and far from zero "
        "it is almost nothing; the neuron is saturated. Through twenty layers the gradient is multiplied by a "
        "quarter or less twenty times, and the first layers learn nothing: it has vanished. A product only needs one "
        "small factor; in x W1 W2 W3 W4 with W3 = 0 everything is 0, and the gradients of W1, W2 and W4 are too. "
        "ReLU, max(0, z), has the slope 1 for every positive value and passes the gradient on unharmed. Its price: a "
        "neuron that is negative for all examples has the slope 0 for all of them and is dead; large learning rates "
        "produce such neurons.",
        "激活函数让网络不只是线性函数。而在反向传播时，它还决定有多少梯度能存活：每经过一层，梯度都要乘以激活函数的斜"
        "率。\n\n"
        "Sigmoid 把任何数压到 0 与 1 之间，斜率最大只有 1/4，离零稍远就几乎为零，这时称神经元饱和。经过二十层，梯度要"
        "乘二十次不超过四分之一的数，前面的层几乎学不到东西，这就是梯度消失。一个乘积里只要有一个因子很小就够了：x W1 "
        "W2 W3 W4 中若 W3 = 0，结果全为 0，W1、W2、W4 的梯度也全为 0。ReLU 即 max(0, z)，对所有正数斜率都是 1，梯度能"
        "原样通过。代价是：如果一个神经元对所有样本都是负的，斜率就总是 0，它就“死亡”了；学习率过大会造成这种情况。",
    ),
    drawing=Drawing(
        142,
        Text(
            "Sigmoid and ReLU with their slopes. The sigmoid is flat on both sides and its slope is at most 1/4; ReLU "
            "has the slope 1 for every positive value and 0 for negative ones.",
            "Sigmoid 与 ReLU 及其斜率。Sigmoid 两侧平坦，斜率最大为 1/4；ReLU 在正数处斜率为 1，在负数处为 0。",
        ),
        [
            *(draw.line(((x - 80, 112), (x + 80, 112)), "soft") for x in (90, 270)),
            draw.line(draw.places(lambda z: 1 / (1 + math.exp(-z)), -5, 5, (90, 112), (16, 80)), "a"),
            draw.line(
                draw.places(lambda z: math.exp(-z) / (1 + math.exp(-z)) ** 2, -5, 5, (90, 112), (16, 80)), "b dashed"
            ),
            draw.line(((190, 112), (270, 112), (350, 14)), "a"),
            draw.line(((190, 110), (269, 110)), "b dashed"),
            draw.line(((271, 32), (350, 32)), "b dashed"),
            draw.words(140, 22, "Sigmoid", "a"),
            draw.words(150, 86, Text("slope, up to 1/4", "斜率，最大 1/4"), "b"),
            draw.words(218, 22, "ReLU", "a"),
            draw.words(226, 104, Text("slope 0: dead", "斜率 0：死亡"), "b"),
            draw.words(288, 26, Text("slope 1", "斜率 1"), "b"),
            *(draw.words(x, 130, "z = 0", "soft") for x in (90, 270)),
        ],
    ),
    formulas=(
        Formula(
            r"\sigma(z) = \frac{1}{1 + e^{-z}}, \qquad \sigma'(z) = \sigma(z)\,(1 - \sigma(z)) \leq \frac{1}{4}",
            (("z", Text("value before the activation", "激活之前的值"), "[H]"),),
        ),
        Formula(
            r"\mathrm{ReLU}(z) = \max(0, z), \qquad \frac{\partial L}{\partial z_1} = W_2^T g'(z_2) \cdots W_D^T "
            r"g'(z_D)\, \frac{\partial L}{\partial s}",
            (
                ("g'", Text("slope of the activation, one factor per layer", "激活函数的斜率，每层一个因子"), ""),
                ("D", Text("number of layers", "层数"), "[]"),
            ),
        ),
    ),
    code=(look.layer_statistics,),
    question=Question(
        Text(
            "A network of many sigmoid layers, before training. How large is the gradient of the first layer "
            "compared with that of the last?",
            "一个有很多 Sigmoid 层的网络，尚未训练。第一层的梯度与最后一层相比有多大？",
        ),
        (
            Text("About as large", "差不多大"),
            Text("About a tenth", "约十分之一"),
            Text("Less than a millionth", "不到百万分之一"),
        ),
        2,
        Text(
            "Measured: {gradient of the first layer / the last, sigmoid} for the sigmoid, "
            "{gradient of the first layer / the last, ReLU} for ReLU.",
            "实测：Sigmoid 为 {gradient of the first layer / the last, sigmoid}，ReLU 为 "
            "{gradient of the first layer / the last, ReLU}。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the derivative of the sigmoid.", "写出 Sigmoid 的导数。"),
            sigmoid_slope,
            ((Z,), (np.array([0.0, 1.0]),)),
            [0.00246651, 0.19661193, 0.23500371, 0.10499359, 0.00246651],
            (
                Mistake(lambda z: 1 / (1 + np.exp(-z)), "this is the sigmoid itself: its derivative is s (1 - s)"),
                Mistake(lambda z: z * (1 - z), "s (1 - s) takes the output s of the sigmoid, not its input"),
                Mistake(lambda z: 1 - np.tanh(z) ** 2, "this is the derivative of tanh"),
                Mistake(lambda z: -sigmoid_slope(z), "the sign is wrong: the sigmoid rises everywhere"),
                Mistake(
                    lambda z: np.exp(-z) / (1 + np.exp(-z)),
                    "one factor s is missing: the square of 1 + exp(-z) is in the denominator",
                ),
            ),
        ),
        Exercise(
            Text("Write the backward pass of ReLU.", "写出 ReLU 的反向传播。"),
            through_relu,
            ((ARRIVING, Z), (ARRIVING, -Z), (np.array([2.0, 3.0]), np.array([0.0, 5.0]))),
            [0.0, 0.0, 3.0, -4.0, 0.5],
            (
                Mistake(
                    lambda arriving, z: np.maximum(0, arriving),
                    "the sign of z decides, not that of the gradient that arrives",
                ),
                Mistake(lambda arriving, z: np.maximum(0, z) * arriving, "the slope is 1, not z"),
                Mistake(
                    lambda arriving, z: (z > 0) * 1.0,
                    "this is the slope alone: multiply it by the gradient that arrives",
                ),
                Mistake(lambda arriving, z: arriving, "where z is negative, nothing passes"),
                Mistake(
                    lambda arriving, z: np.where(z >= 0, arriving, 0.0), "at exactly 0 the usual choice is the slope 0"
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The section on vanishing gradients: x W1 W2 W3 W4 with W3 = 0, and why ReLU took the sigmoid's place.",
        "对应课程中“梯度消失”一节：W3 = 0 时的 x W1 W2 W3 W4，以及为什么 ReLU 取代了 Sigmoid。",
    ),
    playground="activation=sigmoid&hidden=6,6,6,6",
    chinese={
        "largest derivative of *": "* 的最大导数",
        "derivative of sigmoid at 6": "Sigmoid 在 6 处的导数",
        "gradient of the first layer / the last, *": "第 1 层与最后一层的梯度之比，*",
        "validation accuracy, *": "验证准确率，*",
        "fraction of dead ReLU neurons at learning rate *": "学习率 * 时死亡的 ReLU 神经元比例",
        "largest fraction of dead leaky ReLU neurons": "死亡的 Leaky ReLU 神经元比例的最大值",
        "largest output": "输出的最大值",
        "largest gradient of W*": "W* 的最大梯度",
        "Digits, six hidden layers of 32": "手写数字，六个 32 神经元的隐藏层",
        "activation": "激活函数",
        "variance of the weights": "权重的方差",
        "best learning rate": "最佳学习率",
        "validation accuracy": "验证准确率",
        "sigmoid": "Sigmoid",
        "leaky ReLU": "Leaky ReLU",
        "functions": "激活函数及其导数",
        "gradients": "梯度与深度",
        "training": "训练曲线",
        "dead": "死亡的神经元",
    },
)
