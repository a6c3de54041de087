"""Presets: the defaults of two earlier demos, and one for each lesson that a plane can show."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from experiments.playground.content.i18n import Text
from experiments.playground.engine.settings import Settings, change


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
                "原演示的默认设置：6 个和 2 个 tanh 神经元，学习率 0.01，动量 0.1，批量大小 10。它的 l2 = 0.001 "
                "在那里被减半并除以批量大小，相当于这里的 0.00005。",
            ),
            {"data": "circle", "size": 100, "train_share": 0.9, "hidden": (6, 2), "learning_rate": 0.01}
            | {"momentum": 0.1, "l2": 5e-5},
        ),
        "playground": Preset(
            Text("TensorFlow Playground", "TensorFlow Playground"),
            Text(
                "The playground's defaults: 4 and 2 tanh neurons, squared loss, rate 0.03, half of 500 points.",
                "原演示的默认设置：4 个和 2 个 tanh 神经元，平方损失，学习率 0.03，500 个点中的一半用于训练。",
            ),
            {"data": "circle", "size": 500, "noise": 0.0, "hidden": (4, 2), "loss": "squared"},
        ),
        "one_neuron": Preset(
            Text("What does one neuron see?", "一个神经元看到什么？"),
            Text(
                "One neuron draws one straight border: the disc cannot be cut out.",
                "一个神经元只能画一条直线，圆盘分不出来。",
            ),
            {"hidden": (1,), "learning_rate": 0.1},
        ),
        "three_neurons": Preset(
            Text("Can three neurons close a circle?", "三个神经元能围住圆吗？"),
            Text("Three borders close around the disc.", "三条边界围住圆盘。"),
            {"hidden": (3,), "learning_rate": 0.1},
        ),
        "spiral": Preset(
            Text("How is a spiral unrolled?", "螺旋怎样展开？"),
            Text("Two layers of 8 tanh neurons unroll three arms.", "两层各 8 个 tanh 神经元展开三条旋臂。"),
            {"data": "spiral", "classes": 3, "noise": 0.1, "hidden": (8, 8), "optimizer": "adam"}
            | {"learning_rate": 0.01, "train_share": 0.7},
        ),
        "vanishing": Preset(
            Text("Where do gradients vanish?", "梯度在哪里消失？"),
            Text(
                "Six sigmoid layers: the gradients of the first layers are orders of magnitude below that of the last.",
                "六层 sigmoid：前几层的梯度比最后一层小好几个数量级。",
            ),
            {"hidden": (6,) * 6, "activation": "sigmoid", "learning_rate": 0.1},
        ),
        "l2": Preset(
            Text("What does L2 smooth?", "L2 使什么变平滑？"),
            Text(
                "Many neurons, few noisy points, a smooth border. Set L2 to 0: the border becomes ragged, and the test "
                "loss triples.",
                "神经元多，点少而有噪声，边界却平滑。把 L2 设为 0：边界变得曲折，测试损失增至三倍。",
            ),
            {"data": "moons", "size": 80, "noise": 0.3, "hidden": (20, 20), "l2": 0.03, "learning_rate": 0.1}
            | {"speed": 1000},
        ),
        "dropout": Preset(
            Text("What does dropout prevent?", "Dropout 防止什么？"),
            Text(
                "Half of the hidden values are dropped in each step. Set dropout to 0 and reset: within 3,000 steps "
                "the test loss climbs twice as high.",
                "每一步丢弃一半的隐藏值。把 Dropout 设为 0 并重置：3000 步之内测试损失升到两倍以上。",
            ),
            {"data": "moons", "size": 80, "noise": 0.3, "hidden": (32, 32), "dropout": 0.5, "activation": "relu"}
            | {"init": "he", "learning_rate": 0.02, "data_seed": 1, "speed": 1000},
        ),
        "dead_relu": Preset(
            Text("When does a neuron die?", "神经元何时死亡？"),
            Text(
                "The rate is much too large: within 30 steps no ReLU neuron of the second layer responds to any point. "
                "They are dead, no gradient revives them. Lower the rate to 0.1 and reset.",
                "学习率太大：30 步之内第二层的 ReLU 神经元对任何点都不再有反应。它们已死亡，没有梯度能使其恢复。"
                "把学习率降到 0.1 再重置。",
            ),
            {"hidden": (12, 12), "activation": "relu", "init": "he", "learning_rate": 2.0, "speed": 10},
        ),
        "zeros": Preset(
            Text("Why not start from zero?", "为什么不从零开始？"),
            Text(
                "With weights of zero all neurons are equal and no weight has a gradient: only the last biases "
                "learn, which class is more frequent.",
                "权重全为零时，所有神经元都相同，权重没有梯度：只有最后的偏置学到哪一类更多。",
            ),
            {"init": "zeros", "learning_rate": 0.1},
        ),
        "svm": Preset(
            Text("Which points matter to an SVM?", "SVM 在意哪些点？"),
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
            Text("Can it fit values?", "能拟合数值吗？"),
            Text("Values instead of classes: six hills.", "预测数值而不是类别：六座山丘。"),
            {"data": "hills", "hidden": (16, 16), "optimizer": "adam", "learning_rate": 0.01, "size": 600},
        ),
        "widths": Preset(
            Text("How many neurons does it take?", "需要多少个神经元？"),
            Text(
                "Five widths, one program: see what another neuron gains.",
                "五种宽度，同一个程序：看多一个神经元带来什么。",
            ),
            {"hidden": (20,), "many": "widths", "learning_rate": 0.1},
        ),
        "seeds": Preset(
            Text("Does the start matter?", "起点重要吗？"),
            Text("The same network from sixteen initial weights.", "同一网络，十六个起点。"),
            {"hidden": (3,), "many": "seeds", "learning_rate": 0.1},
        ),
    }
)
