"""What the lesson on dropout teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import layers


def dropped(x, keep, rate):
    """Inverted dropout: values x[N], a mask keep[N] of True and False, the fraction that is dropped. Returns [N]."""
    return np.where(keep, np.asarray(x, float) / (1 - rate), 0.0)


def backward(arriving, keep, rate):
    """Backward through inverted dropout: the gradient that arrives for its outputs. Returns that for x, [N]."""
    return np.where(keep, np.asarray(arriving, float) / (1 - rate), 0.0)


X, KEEP = np.array([1.0, -2.0, 3.0, 4.0]), np.array([True, False, True, True])
OTHER = np.array([False, True, True, False])

TEACHING = Teaching(
    builds_on=("overfitting",),
    idea=Text(
        "Neurons can become dependent on each other: one makes an error, another has learned to correct it, and the "
        "pair works only on the training examples. Dropout makes this impossible. In each training step, and for "
        "each example anew, a random part of the hidden values is set to zero. No neuron can rely on a particular "
        "other one; each has to be useful by itself.\n\n"
        "What is dropped are activations, not parameters: every weight keeps its value and returns in the next step. "
        "The values that remain are divided by 1 - rate, so that the next layer receives the same sum on average. "
        "Then nothing has to be changed for prediction: simply leave dropout out. The whole network is then the "
        "average of all the thinned networks that were trained, and an average of many is better than most of them.",
        "神经元之间可能产生依赖：一个犯了错，另一个学会了补救，这一对只在训练样本上管用。Dropout 使这种依赖不可能形"
        "成：每一步训练，对每个样本都重新随机挑选一部分隐藏值置零。谁也不能指望某个特定的同伴，每个神经元自己就得有"
        "用。\n\n"
        "丢弃的是激活值，不是参数：所有权重都保留原值，下一步照常参与。留下的值要除以 1 - rate，使下一层收到的总和平"
        "均不变；这样预测时什么都不用改，直接不用 Dropout 即可。这时的完整网络相当于训练过的所有“瘦身”网络的平均，而"
        "平均通常比其中大多数都好。",
    ),
    drawing=Drawing(
        150,
        Text(
            "A fully connected net; beside it the same net in a training step with dropout: half of the hidden "
            "neurons are crossed out, and their lines are gone.",
            "全连接网络；旁边是同一网络在某一训练步使用 Dropout 的样子：一半隐藏神经元被划去，它们的连线也消失。",
        ),
        [
            draw.layers(((20, (32, 68, 104)), (88, (14, 50, 86, 122)), (152, (50, 86)))),
            draw.layers(((214, (32, 68, 104)), (282, (14, 50, 86, 122)), (346, (50, 86))), ((282, 14), (282, 86))),
            draw.words(86, 146, Text("prediction: all neurons", "预测：全部参与")),
            draw.words(280, 146, Text("one training step", "一个训练步")),
        ],
    ),
    formulas=(
        Formula(
            r"h' = \frac{m \odot h}{1 - r}, \qquad m_i \sim \mathrm{Bernoulli}(1 - r), \qquad \mathrm{E}(h') = h",
            (
                ("h", Text("hidden values of one example", "一个样本的隐藏值"), "[H]"),
                ("m", Text("mask: 0 is dropped, 1 is kept", "掩码：0 表示丢弃，1 表示保留"), "[H]"),
                ("r", Text("rate: the fraction dropped", "丢弃率：被丢弃的比例"), "[]"),
            ),
        ),
    ),
    code=(layers.dropout,),
    question=Question(
        Text(
            "Dropout with rate 0.5 disturbs every training step. What happens to the test accuracy of a wide network "
            "on 300 digits?",
            "丢弃率 0.5 的 Dropout 每一步都在干扰训练。对于在 300 个数字图像上训练的宽网络，测试准确率会怎样？",
        ),
        (Text("It falls", "下降"), Text("It rises", "上升"), Text("It does not change", "不变")),
        1,
        Text(
            "It rises from {test accuracy without dropout (%)} % to {test accuracy at rate 0.5 (%)} %, and the gap "
            "between test and training loss falls from {loss gap without dropout} to {loss gap at rate 0.5}.",
            "从 {test accuracy without dropout (%)} % 升到 {test accuracy at rate 0.5 (%)} %，测试与训练损失之差从 "
            "{loss gap without dropout} 降到 {loss gap at rate 0.5}。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write inverted dropout with a given mask.", "用给定的掩码写出反向缩放的 Dropout。"),
            dropped,
            ((X, KEEP, 0.25), (X, OTHER, 0.5), (X, KEEP, 0.8)),
            [1.333333, 0.0, 4.0, 5.333333],
            (
                Mistake(
                    lambda x, keep, rate: np.where(keep, x, 0.0),
                    "the values that remain must be divided by 1 - rate to keep the mean",
                ),
                Mistake(
                    lambda x, keep, rate: np.where(keep, x / rate, 0.0),
                    "the rate is the fraction dropped: divide by the fraction kept",
                ),
                Mistake(
                    lambda x, keep, rate: np.where(keep, x * (1 - rate), 0.0),
                    "multiplying shrinks the values further: divide",
                ),
                Mistake(lambda x, keep, rate: np.where(keep, 0.0, x / (1 - rate)), "the mask says what is kept"),
                Mistake(
                    lambda x, keep, rate: np.where(keep, x / keep.mean(), 0.0),
                    "the scale is fixed by the rate, not by how many happen to remain",
                ),
            ),
        ),
        Exercise(
            Text("Write the backward pass of dropout.", "写出 Dropout 的反向传播。"),
            backward,
            ((X, KEEP, 0.25), (X, OTHER, 0.6), (-X, KEEP, 0.5)),
            [1.333333, 0.0, 4.0, 5.333333],
            (
                Mistake(
                    lambda arriving, keep, rate: np.where(keep, arriving, 0.0),
                    "the scale 1 / (1 - rate) acts on the gradient too",
                ),
                Mistake(lambda arriving, keep, rate: arriving / (1 - rate), "a dropped value receives no gradient"),
                Mistake(
                    lambda arriving, keep, rate: np.where(keep, arriving * (1 - rate), 0.0),
                    "the slope is 1 / (1 - rate), as on the way forward",
                ),
                Mistake(
                    lambda arriving, keep, rate: arriving,
                    "dropout has a slope: 0 where it drops, 1 / (1 - rate) elsewhere",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The picture of the course: the fully connected net, and the same net with units crossed out.",
        "对应课程中的示意图：全连接网络，以及划去部分神经元后的同一网络。",
    ),
    playground="dropout=0.5&hidden=24,24&data=moons&noise=0.4&size=80",
    chinese={
        "mean without dropout": "无 Dropout 的均值",
        "mean over * masks": "* 个掩码的均值",
        "deviation in standard errors": "偏差（以标准误差为单位）",
        "loss gap without dropout": "无 Dropout 的损失差距",
        "loss gap at rate *": "丢弃率 * 时的损失差距",
        "test accuracy without dropout (%)": "无 Dropout 的测试准确率（%）",
        "test accuracy at rate * (%)": "丢弃率 * 时的测试准确率（%）",
        "slope of log error against log K": "误差对数关于 K 对数的斜率",
        "error of * sub-network": "* 个子网络的误差",
        "error of * sub-networks": "* 个子网络的误差",
        "mean accuracy of the sub-networks (%)": "子网络的平均准确率（%）",
        "accuracy of the whole network (%)": "完整网络的准确率（%）",
        "hidden values set to zero (%)": "被置零的隐藏值（%）",
        "parameters set to zero": "被置零的参数个数",
        "weights of a dropped neuron that get no gradient (%)": "被丢弃神经元中没有梯度的权重（%）",
        "Means over * seeds after * epochs, measured without dropout": "* 个种子、* 轮后的平均值（测量时不用 Dropout）",
        "rate": "丢弃率",
        "training accuracy": "训练准确率",
        "test accuracy": "测试准确率",
        "loss gap": "损失差距",
        "Means of K sub-networks": "K 个子网络的平均",
        "error of the scores": "得分误差",
        "masks": "掩码",
        "rates": "丢弃率的影响",
        "subnets": "子网络的平均",
    },
)
