"""Presets: the defaults of two earlier demos, and one for each lesson that a plane can show."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from experiments.playground.engine.settings import Settings, change
from experiments.playground.page.i18n import Text


class Preset(NamedTuple):
    """Named settings with a hint on what to look for."""

    title: Text
    hint: Text
    given: Mapping[str, Any]

    def settings(self) -> Settings:
        """The defaults with the given changes."""
        return change(Settings(), self.given)


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "classify2d": Preset(
            Text("ConvNetJS classify2d", "ConvNetJS classify2d"),
            Text(
                "The demo's defaults: 6 and 2 tanh neurons, rate 0.01, momentum 0.1, batches of 10. Its l2 of 0.001 is "
                "halved and divided by the batch there, which is 0.00005 here.",
                "原演示的默认设置：6 个和 2 个 tanh 神经元，学习率 0.01，动量 0.1，批量 10。它的 l2 = 0.001 "
                "在那里被减半并除以批量，相当于这里的 0.00005。",
            ),
            {"data": "circle", "size": 100, "train_share": 0.9, "hidden": (6, 2), "learning_rate": 0.01}
            | {"momentum": 0.1, "l2": 5e-5, "speed": 4000},
        ),
        "playground": Preset(
            Text("TensorFlow Playground", "TensorFlow Playground"),
            Text(
                "The playground's defaults: 4 and 2 tanh neurons, squared loss, rate 0.03, half of 500 points.",
                "原演示的默认设置：4 个和 2 个 tanh 神经元，平方损失，学习率 0.03，500 个点中的一半用于训练。",
            ),
            {"data": "circle", "size": 500, "noise": 0.0, "hidden": (4, 2), "loss": "squared", "speed": 1000},
        ),
        "one_neuron": Preset(
            Text("1 neuron fails", "1 个神经元不够"),
            Text(
                "One neuron draws one straight border: the disc cannot be cut out.",
                "一个神经元只能画一条直线，圆盘分不出来。",
            ),
            {"hidden": (1,), "learning_rate": 0.1, "speed": 10000},
        ),
        "three_neurons": Preset(
            Text("3 neurons close the circle", "3 个神经元围住圆"),
            Text("Three borders close around the disc.", "三条边界围住圆盘。"),
            {"hidden": (3,), "learning_rate": 0.1, "speed": 10000},
        ),
        "spiral": Preset(
            Text("Spiral", "螺旋"),
            Text("Two layers of 8 tanh neurons unroll three arms.", "两层各 8 个 tanh 神经元展开三条旋臂。"),
            {"data": "spiral", "classes": 3, "noise": 0.1, "hidden": (8, 8), "optimizer": "adam"}
            | {"learning_rate": 0.01, "train_share": 0.7},
        ),
        "vanishing": Preset(
            Text("Vanishing gradient", "梯度消失"),
            Text(
                "Six sigmoid layers: the gradients of the first layers are orders of magnitude below that of the last.",
                "六层 sigmoid：前几层的梯度比最后一层小好几个数量级。",
            ),
            {"hidden": (6,) * 6, "activation": "sigmoid", "learning_rate": 0.1},
        ),
        "l2": Preset(
            Text("l2 smooths", "l2 使边界平滑"),
            Text(
                "Many neurons, few noisy points. Set l2 to 0 and see the border become ragged.",
                "神经元多，点少而有噪声。把 l2 设为 0，边界就变得曲折。",
            ),
            {"data": "moons", "size": 80, "noise": 0.3, "hidden": (20, 20), "l2": 0.01, "learning_rate": 0.03},
        ),
        "dropout": Preset(
            Text("Dropout", "DROP-OUT"),
            Text(
                "Half of the hidden values are dropped. Set it to 0: the test loss climbs.",
                "隐藏层的值有一半被丢弃。设为 0 时测试损失上升。",
            ),
            {"data": "moons", "size": 80, "noise": 0.3, "hidden": (32, 32), "dropout": 0.5, "activation": "relu"}
            | {"init": "he", "learning_rate": 0.05},
        ),
        "dead_relu": Preset(
            Text("Dead neurons", "死亡的神经元"),
            Text(
                "A large rate pushes ReLU neurons to where they respond to no point.",
                "学习率过大，ReLU 神经元对任何点都不再有反应。",
            ),
            {"hidden": (12, 12), "activation": "relu", "init": "he", "learning_rate": 0.6},
        ),
        "zeros": Preset(
            Text("Zeros never learn", "零初始化"),
            Text(
                "With weights of zero all neurons stay equal: nothing is learned.",
                "权重全为零时，所有神经元始终相同，什么也学不到。",
            ),
            {"init": "zeros", "learning_rate": 0.1},
        ),
        "svm": Preset(
            Text("SVM margin", "SVM 间隔"),
            Text(
                "Dashed: where the correct score leads by 1. Points beyond it have no loss.",
                "虚线：得分领先恰好为 1 的地方，之外的点没有损失。",
            ),
            {
                "data": "gauss",
                "classes": 3,
                "noise": 0.2,
                "loss": "svm",
                "hidden": (),
                "learning_rate": 0.003,
                "l2": 0.001,
            },
        ),
        "values": Preset(
            Text("Regression", "回归"),
            Text("Values instead of classes: six hills.", "预测数值而不是类别：六座山丘。"),
            {"data": "hills", "hidden": (16, 16), "optimizer": "adam", "learning_rate": 0.01, "size": 600},
        ),
        "widths": Preset(
            Text("1 to 20 neurons at once", "同时训练 1 到 20 个神经元"),
            Text(
                "Five widths, one program: see what another neuron gains.",
                "五种宽度，同一个程序：看多一个神经元带来什么。",
            ),
            {"hidden": (20,), "many": "widths", "learning_rate": 0.1},
        ),
        "seeds": Preset(
            Text("16 seeds at once", "同时训练 16 个种子"),
            Text("The same network from sixteen initial weights.", "同一网络，十六个起点。"),
            {"hidden": (3,), "many": "seeds", "learning_rate": 0.1},
        ),
    }
)
