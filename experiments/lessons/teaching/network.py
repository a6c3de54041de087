"""What the lesson on neural networks teaches."""

from __future__ import annotations

import itertools

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import inspect, layers


def parameters(sizes):
    """The number of weights and biases of a fully connected network; sizes from inputs to scores, [3072, 512, 10]."""
    return sum(n * m + m for n, m in itertools.pairwise(sizes))


def collapsed(W1, b1, W2, b2):
    """Two layers without activation are one: W and b of W x + b, as one array [C, D + 1] with b in the last column."""
    return np.concatenate([W2 @ W1, (W2 @ b1 + b2)[:, None]], 1)


W1, B1 = np.array([[1.0, 1.0], [2.0, -1.0], [0.0, 3.0]]), np.array([0.5, -1.0, 0.0])
W2, B2 = np.array([[1.0, 2.0, 1.0], [0.0, -1.0, 1.0]]), np.array([0.25, 0.5])

TEACHING = Teaching(
    builds_on=("score_function", "losses"),
    idea=Text(
        "A network is a score function of score functions. Each neuron of the hidden layer computes what the score "
        "function computes: a weighted sum of all inputs plus a bias. Its value then passes through a non-linear "
        "function, and the next layer takes these values as its inputs. The drawing with circles and lines says just "
        "this: a circle is a number, a line is a weight, and if every circle is joined to every circle of the layer "
        "before it, the layer is fully connected.\n\n"
        "Why the non-linear function? Without it, the second matrix times the first is again a matrix: two layers "
        "are one linear function, and so are a hundred. With it, every neuron can bend the plane along one line, and "
        "several neurons together can enclose a region. The name comes from the brain; the comparison does not carry "
        "further.",
        "网络就是“得分函数的得分函数”。隐藏层的每个神经元算的正是得分函数：所有输入的加权和再加偏置；结果经过一个非线"
        "性函数，再作为下一层的输入。圆圈和连线组成的示意图说的就是这件事：一个圆圈是一个数，一条线是一个权重；如果每"
        "个圆圈都与前一层的所有圆圈相连，就叫全连接。\n\n"
        "为什么要有非线性函数？没有它，第二个矩阵乘第一个矩阵还是一个矩阵：两层等于一个线性函数，一百层也一样。有了"
        "它，每个神经元可以让平面沿一条直线弯折，几个神经元合起来就能围出一块区域。“神经”二字来自大脑，但这个比喻到此"
        "为止。",
    ),
    drawing=Drawing(
        146,
        Text(
            "A net of three inputs, four hidden neurons and two scores, all joined; beside it one hidden neuron: it "
            "adds three weighted inputs and a bias, and passes the sum through max(0, z).",
            "一个网络：三个输入、四个隐藏神经元、两个得分，全部相连。旁边放大一个隐藏神经元：把三个输入加权求和，加上"
            "偏置，再通过 max(0, z)。",
        ),
        [
            draw.layers(((28, (34, 68, 102)), (90, (17, 51, 85, 119)), (152, (51, 85)))),
            *(
                draw.words(x, 143, name, "soft")
                for x, name in (
                    (28, Text("features", "特征")),
                    (90, Text("hidden", "隐藏层")),
                    (152, Text("scores", "得分")),
                )
            ),
            *(draw.arrow((214, y), (251, z), "a") for y, z in ((16, 54), (66, 66), (116, 78))),
            *(draw.words(204, y, f"x{i}") for i, y in zip("₁₂₃", (19, 70, 121), strict=True)),
            *(draw.words(x, y, f"w{i}", "a") for i, x, y in (("₁", 242, 30), ("₂", 228, 61), ("₃", 242, 112))),
            draw.circle((271, 66), 18, "paper a"),
            draw.words(271, 71, "z"),
            draw.arrow((290, 66), (352, 66), "b"),
            draw.words(322, 58, "max(0, z)", "b"),
            draw.words(272, 143, "z = w · x + b"),
        ],
    ),
    formulas=(
        Formula(
            r"h = g(W_1 x + b_1), \qquad s = W_2 h + b_2",
            (
                ("x", Text("features, the input neurons", "特征，即输入神经元"), "[D]"),
                ("g", Text("activation, for example max(0, z)", "激活函数，例如 max(0, z)"), ""),
                ("h", Text("hidden neurons", "隐藏神经元"), "[H]"),
                ("s", Text("scores", "得分"), "[C]"),
            ),
        ),
        Formula(
            r"g(z) = z: \quad s = (W_2 W_1)\, x + (W_2 b_1 + b_2)",
            (("W_2 W_1", Text("one matrix: nothing is gained", "仍是一个矩阵，没有任何收获"), "[C, D]"),),
        ),
    ),
    code=(inspect.layer_outputs, layers.linear),
    question=Question(
        Text(
            "A network 3072-512-10 for CIFAR-10 is fully connected. How many parameters does it have?",
            "用于 CIFAR-10 的全连接网络 3072-512-10 有多少个参数？",
        ),
        (Text("3,594", "3594"), Text("About 1.6 million", "约 160 万"), Text("About 16 million", "约 1600 万")),
        1,
        Text(
            "3072 · 512 + 512 + 512 · 10 + 10 = {parameters of 3072-512-10}. Nearly all of them sit between the "
            "pixels and the hidden layer.",
            "3072 × 512 + 512 + 512 × 10 + 10 = {parameters of 3072-512-10}。几乎全部集中在像素与隐藏层之间。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the number of parameters of a fully connected network.", "写出全连接网络的参数个数。"),
            parameters,
            (([3, 4, 2],), ([3072, 512, 10],), ([64, 10],), ([2, 6, 2, 2],)),
            26,
            (
                Mistake(
                    lambda sizes: sum(n * m for n, m in itertools.pairwise(sizes)),
                    "the biases are missing: one for each neuron that is not an input",
                ),
                Mistake(
                    lambda sizes: sum(n * m + n for n, m in itertools.pairwise(sizes)),
                    "a layer has a bias for each of its outputs, not inputs",
                ),
                Mistake(lambda sizes: sum(sizes), "these are the neurons: count the lines between them"),
                Mistake(lambda sizes: sizes[0] * sizes[1] + sizes[1], "all layers count, not only the first"),
            ),
        ),
        Exercise(
            Text("Write two layers without activation as one.", "把没有激活函数的两层写成一层。"),
            collapsed,
            ((W1, B1, W2, B2), (W1 + 1, B1 - 2, W2 * 3, B2)),
            [[5.0, 2.0, -1.25], [-2.0, 4.0, 1.5]],
            (
                Mistake(
                    lambda W1, b1, W2, b2: np.concatenate([W2 @ W1, b2[:, None]], 1),
                    "the first bias passes through the second layer: W2 b1 is missing",
                ),
                Mistake(
                    lambda W1, b1, W2, b2: np.concatenate([W2 @ W1, (W2 @ b1)[:, None]], 1),
                    "the second bias is missing",
                ),
                Mistake(
                    lambda W1, b1, W2, b2: np.concatenate([W2 @ W1, (W2 @ (b1 + 1) + b2)[:, None]], 1),
                    "b1 is multiplied by W2 as it is",
                ),
                Mistake(
                    lambda W1, b1, W2, b2: np.concatenate(
                        [W2 @ np.maximum(0, W1), (W2 @ np.maximum(0, b1) + b2)[:, None]], 1
                    ),
                    "there is no ReLU here",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The drawn network of the course: features, hidden neurons, scores; every line is a weight.",
        "对应课程中的网络示意图：特征、隐藏神经元、得分，每条连线都是一个权重。",
    ),
    playground="hidden=6&activation=relu",
    chinese={
        "parameters of *": "* 的参数个数",
        "largest difference": "最大差异",
        "largest score": "最大得分",
        "median test accuracy without activation": "无激活函数时测试准确率的中位数",
        "median test accuracy with ReLU": "用 ReLU 时测试准确率的中位数",
        "seeds": "随机种子数",
        "test accuracy": "测试准确率",
        "test accuracy without neuron *": "去掉第 * 个神经元后的测试准确率",
        "Test accuracy of * networks 2-6-2 each": "各 * 个 2-6-2 网络的测试准确率",
        "hidden layer": "隐藏层",
        "lowest": "最低",
        "median": "中位数",
        "highest": "最高",
        "no activation": "无激活函数",
        "values": "一个点在网络中的各级数值",
        "maps": "各神经元在平面上的取值",
    },
)
