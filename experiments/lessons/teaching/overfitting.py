"""What the lesson on overfitting teaches."""

from __future__ import annotations

import math

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import training


def stop_at(losses, patience):
    """Early stopping: the epoch (from 0) to go back to, given the validation loss after each epoch.

    Training ends once `patience` epochs in a row have not been better than the best so far. Returns a number.
    """
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def keep_best(features, target, count):
    """The numbers of the `count` features of [N, D] that correlate most with target[N], increasing. Returns [count].

    By absolute correlation.
    """
    correlations = [abs(np.corrcoef(column, target)[0, 1]) for column in features.T]
    return np.sort(np.argsort(correlations)[::-1][:count])


LOSSES = [1.0, 0.8, 0.7, 0.72, 0.71, 0.9, 0.5]
TABLE = np.array(
    [[1.0, 5.0, -3.0, 0.2], [2.0, 1.0, -2.0, 0.1], [3.0, 4.0, -1.2, 0.5], [4.0, 2.0, 0.1, 0.3], [5.0, 6.0, 0.9, 0.0]]
)
TARGET = np.array([0.0, 0.0, 0.0, 1.0, 1.0])
OTHER = np.array([1.0, 0.0, 1.0, 0.0, 1.0])

TEACHING = Teaching(
    builds_on=("capacity", "regularization"),
    idea=Text(
        "A model that is shown pictures of leaves, some with spiny edges, may conclude that leaves must have spines. "
        "It is right on every training example and wrong in the world. That is overfitting: the model has learned "
        "the examples instead of what they have in common. The opposite, underfitting, is a model too simple to get "
        "even its training examples right.\n\n"
        "You notice overfitting by the gap: training accuracy climbs to 100 %, test accuracy stalls, and the test "
        "loss rises because the network is ever more certain of its errors. What helps: more examples; fewer "
        "features, chosen by hand or by their value on validation data; a penalty on the weights; dropout; stopping "
        "when the validation loss is lowest. Memorizing is useful once, as a check: a network that cannot memorize "
        "50 pictures has an error in its code.",
        "给模型看一些树叶的图片，其中有几片边缘带刺，它可能得出结论：树叶必须带刺。它在训练样本上全对，放到现实中却错"
        "了。这就是过拟合：模型记住了样本本身，而不是它们的共同点。反过来，模型太简单，连训练样本都分不对，叫欠拟合。"
        "\n\n"
        "过拟合可以从差距看出来：训练准确率升到 100 %，测试准确率停滞不前，测试损失反而上升，因为网络对自己的错误越来"
        "越有把握。办法有：增加样本；减少特征（人工挑选，或按验证集上的作用挑选）；对权重加惩罚项；Dropout；在验证损"
        "失最低时停止训练。死记硬背也有一个用处，就是检查程序：一个连 50 张图片都记不住的网络，代码里一定有错。",
    ),
    drawing=Drawing(
        158,
        Text(
            "Training loss and validation loss against epochs. The training loss falls all the time; the validation "
            "loss falls, reaches its minimum, where one should stop, and rises again. The distance between the curves "
            "is the gap.",
            "训练损失与验证损失随训练轮数的变化。训练损失一直下降；验证损失先降到最低点（应在此停止），然后回升。两条"
            "曲线之间的距离就是差距。",
        ),
        [
            draw.axes(10, 136, 260, 114, Text("epochs", "训练轮数"), Text("loss", "损失")),
            draw.line(draw.places(lambda x: 4 + 92 * math.exp(-1.1 * x), 0, 4, (12, 134), (62, 1)), "a"),
            draw.line(draw.places(lambda x: 26 + 74 * math.exp(-1.8 * x) + 3.4 * x * x, 0, 4, (12, 134), (62, 1)), "b"),
            draw.line(((95, 22), (95, 136)), "soft dashed"),
            draw.words(95, 16, Text("stop here", "在此停止"), "soft"),
            draw.words(53, 128, Text("underfit", "欠拟合"), "soft"),
            draw.arrow((225, 92), (225, 74)),
            draw.arrow((225, 104), (225, 128)),
            draw.words(225, 103, Text("gap", "差距")),
            draw.words(266, 52, Text("validation", "验证集"), "b start"),
            draw.words(278, 132, Text("training", "训练集"), "a start"),
        ],
    ),
    formulas=(
        Formula(
            r"\mathrm{gap} = L_{\mathrm{test}} - L_{\mathrm{train}}",
            (
                (r"L_{\mathrm{train}}", Text("mean loss on the training examples", "训练样本上的平均损失"), "[]"),
                (
                    r"L_{\mathrm{test}}",
                    Text("mean loss on examples not used for training", "未用于训练的样本上的平均损失"),
                    "[]",
                ),
            ),
        ),
    ),
    code=(training.evaluate,),
    question=Question(
        Text(
            "A wide network has reached 100 % on its 40 training points and is trained further. What happens to the "
            "test loss?",
            "一个宽网络已经在 40 个训练点上达到 100 %，继续训练下去，测试损失会怎样？",
        ),
        (
            Text("It stays where it is", "保持不变"),
            Text("It keeps falling slowly", "继续缓慢下降"),
            Text("It rises", "上升"),
        ),
        2,
        Text(
            "It rises from {lowest test loss} to {last test loss}: the scores keep growing, and on the points that "
            "are classified wrongly the network becomes certain of its error.",
            "从 {lowest test loss} 上升到 {last test loss}：得分还在不断变大，对分错的点，网络越来越确信自己的错误。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write early stopping.", "写出早停。"),
            stop_at,
            (
                (LOSSES, 3),
                (LOSSES, 10),
                ([3.0, 2.0, 1.0], 1),
                ([1.0, 2.0, 0.5, 3.0], 1),
                ([1.0, 0.9, 0.9, 0.95, 0.8], 2),
            ),
            2,
            (
                Mistake(
                    lambda losses, patience: int(np.argmin(losses)),
                    "training would have ended before this epoch: the patience is not used",
                ),
                Mistake(
                    lambda losses, patience: min(stop_at(losses, patience) + patience, len(losses) - 1),
                    "this is where training ends: go back to the best epoch",
                ),
                Mistake(
                    lambda losses, patience: next(
                        (i - 1 for i in range(1, len(losses)) if losses[i] >= losses[i - 1]), len(losses) - 1
                    ),
                    "one bad epoch is not enough: wait for `patience` of them",
                ),
                Mistake(
                    lambda losses, patience: stop_at([-loss for loss in losses], patience),
                    "the best loss is the lowest, not the highest",
                ),
            ),
        ),
        Exercise(
            Text("Choose the features that go with the target.", "选出与目标最相关的特征。"),
            keep_best,
            ((TABLE, TARGET, 2), (TABLE, OTHER, 1), (-TABLE, TARGET, 1)),
            [0, 2],
            (
                Mistake(
                    lambda features, target, count: np.sort(
                        np.argsort([np.corrcoef(c, target)[0, 1] for c in features.T])[::-1][:count]
                    ),
                    "a strong negative correlation is as useful: take absolute values",
                ),
                Mistake(
                    lambda features, target, count: np.sort(
                        np.argsort([abs(np.corrcoef(c, target)[0, 1]) for c in features.T])[:count]
                    ),
                    "these are the smallest correlations: take the largest",
                ),
                Mistake(
                    lambda features, target, count: np.sort(np.argsort(features.var(0))[::-1][:count]),
                    "a large variance does not make a feature useful: compare it with the target",
                ),
                Mistake(
                    lambda features, target, count: np.arange(count), "these are the first features, whatever they hold"
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The leaf with spiny edges, under-fitting beside over-fitting, and the ways out that the course lists.",
        "对应课程中带刺树叶的例子、欠拟合与过拟合，以及减小过拟合的各种方法。",
    ),
    playground="data=moons&noise=0.4&size=80&hidden=24,24",
    chinese={
        "training accuracy, *": "训练准确率，*",
        "test accuracy, *": "测试准确率，*",
        "highest test accuracy during training, wide": "训练中的最高测试准确率，宽网络",
        "wide": "宽网络",
        "narrow": "窄网络",
        "one neuron": "一个神经元",
        "true labels": "真实标签",
        "random labels": "随机标签",
        "lowest test loss": "最低测试损失",
        "last test loss": "最后的测试损失",
        "epoch of the lowest": "最低点所在的轮",
        "weight of the spiny edge": "“边缘带刺”的权重",
        "weight of the shape": "“形状”的权重",
        "accuracy on the training leaves": "训练树叶上的准确率",
        "accuracy on new leaves": "新树叶上的准确率",
        "accuracy on new leaves without that feature": "去掉该特征后新树叶上的准确率",
        "test accuracy, all features": "测试准确率，全部特征",
        "test accuracy, chosen by hand": "测试准确率，人工挑选",
        "test accuracy, chosen on validation examples": "测试准确率，按验证集挑选",
        "test accuracy, dropout": "测试准确率，Dropout",
        "test accuracy, L2": "测试准确率，L2",
        "features chosen": "选中的特征数",
        "* training points, means over * seeds after * epochs": "* 个训练点，* 个种子、* 轮训练后的平均值",
        "hidden neurons": "隐藏神经元",
        "training accuracy": "训练准确率",
        "test accuracy": "测试准确率",
        "regions": "分类区域",
        "curves": "训练与测试曲线",
        "memorized": "记住 50 张图片",
    },
)
