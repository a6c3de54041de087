"""What the lesson on the number of neurons teaches."""

from __future__ import annotations

import math

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import inspect


def bump(x, left, right, height):
    """A rectangular bump from two step neurons: height * (step(x - left) - step(x - right)) for x[N]. Returns [N].

    step(z) is 1 for z >= 0 and 0 otherwise.
    """
    return height * ((x >= left).astype(float) - (x >= right).astype(float))


def inside(points):
    """Whether points[N, 2] lie in the triangle x1 >= 0, x2 >= 0, x1 + x2 <= 1. Returns [N] of 0 and 1.

    Three step neurons, one for each side: add the three steps, and put one more step behind them.
    """
    x1, x2 = points.T
    return ((1.0 * (x1 >= 0) + (x2 >= 0) + (x1 + x2 <= 1)) >= 3).astype(float)


GRID = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
POINTS = np.array([[0.2, 0.2], [0.9, 0.9], [-0.1, 0.5], [0.5, -0.2], [0.0, 0.0], [-1.0, -1.0], [0.4, 0.7]])

TEACHING = Teaching(
    builds_on=("network", "optimization"),
    idea=Text(
        "One hidden neuron draws one straight line through the plane and can do no more than tell its two sides "
        "apart. A disc within a ring cannot be cut out by one line. Three lines can enclose a triangle, and a "
        "triangle is good enough for the disc. With more neurons the border gets more corners and can follow a "
        "spiral.\n\n"
        "In theory a wide enough layer can approach any continuous function as closely as you like. In practice "
        "there are two limits. Every neuron costs memory and time: twice the width means twice the parameters of a "
        "network with one hidden layer, and about twice the work. And the ability to draw any border includes the "
        "ability to draw a foolish one; whether training finds a good one depends on the start, so look at several "
        "seeds before you judge a width.",
        "一个隐藏神经元只在平面上画一条直线，至多能区分直线的两侧。被圆环包围的圆盘，一条直线切不出来；三条直线可以围"
        "成三角形，对这个圆盘来说已经够用。神经元越多，边界的折角越多，甚至能跟着螺旋走。\n\n"
        "理论上，隐藏层足够宽时，可以任意逼近任何连续函数。实际上有两个限制：一是每个神经元都要花内存和时间，单隐藏层"
        "网络的宽度加倍，参数加倍，计算量也大约加倍；二是能画出任何边界，也就包括能画出很荒唐的边界。训练能不能找到好"
        "的边界还与初始值有关，所以评判一个宽度之前，应多看几个随机种子。",
    ),
    drawing=Drawing(
        136,
        Text(
            "A disc inside a ring, twice. One line, from one neuron, cuts through both; three lines, from three "
            "neurons, form a triangle around the disc.",
            "圆环中的圆盘，画了两次。一个神经元的一条直线把两者都切开；三个神经元的三条直线围成三角形，把圆盘包在里面"
            "。",
        ),
        [
            part
            for x, lines, name in (
                (90, (((20, 88), (160, 30)),), Text("1 neuron: one line", "1 个神经元：一条直线")),
                (
                    270,
                    (((208, 92), (332, 92)), ((222, 108), (281, 6)), ((259, 6), (318, 108))),
                    Text("3 neurons: a triangle", "3 个神经元：三角形"),
                ),
            )
            for part in (
                *(
                    draw.circle((x + 50 * math.cos(i * 0.31), 62 + 50 * math.sin(i * 0.31)), 3, "b dot")
                    for i in range(20)
                ),
                *(
                    draw.circle((x + r * math.cos(i * 2.4), 66 + r * math.sin(i * 2.4)), 3, "a dot")
                    for i in range(12)
                    for r in [5 * math.sqrt(i)]
                ),
                *(draw.line(one) for one in lines),
                draw.words(x, 132, name),
            )
        ],
    ),
    formulas=(
        Formula(
            r"s(x) = \sum_{h=1}^{H} v_h \, g(w_h \cdot x + b_h) + c, \qquad \mathrm{parameters} = H (D + C + 1) + C",
            (
                ("H", Text("hidden neurons", "隐藏神经元个数"), "[]"),
                (
                    "w_h",
                    Text("weights of neuron h: the direction of its line", "第 h 个神经元的权重，决定直线的方向"),
                    "[D]",
                ),
                ("v_h", Text("what neuron h adds to each score", "第 h 个神经元对各得分的贡献"), "[C]"),
            ),
        ),
    ),
    code=(inspect.trajectory,),
    question=Question(
        Text(
            "How many hidden neurons does a network need at least to cut the disc out of the ring around it?",
            "要把圆环中的圆盘分出来，至少需要几个隐藏神经元？",
        ),
        (Text("1", "1 个"), Text("3", "3 个"), Text("16", "16 个")),
        1,
        Text(
            "With one neuron the best of all seeds reaches {best test accuracy with one neuron}, with three "
            "{best test accuracy with three neurons}: three lines enclose the disc.",
            "一个神经元时，所有随机种子中最好的准确率为 {best test accuracy with one neuron}；三个时为 "
            "{best test accuracy with three neurons}，因为三条直线就能把圆盘围住。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write a bump from two step neurons.", "用两个阶跃神经元拼出一个矩形凸起。"),
            bump,
            ((GRID, 0.0, 1.0, 2.0), (GRID, -1.0, 0.5, 1.0)),
            [0.0, 2.0, 2.0, 0.0, 0.0],
            (
                Mistake(
                    lambda x, left, right, height: height * (1.0 * (x >= left) + (x >= right)),
                    "the second step must be subtracted",
                ),
                Mistake(
                    lambda x, left, right, height: height * (1.0 * (x >= right) - (x >= left)),
                    "the steps are the wrong way round: the bump points down",
                ),
                Mistake(lambda x, left, right, height: 1.0 * (x >= left) - (x >= right), "the height is missing"),
                Mistake(
                    lambda x, left, right, height: height * (1.0 * (x >= left)),
                    "one step goes up and stays up: a second one must bring it down",
                ),
                Mistake(
                    lambda x, left, right, height: height * (1.0 * (x > left) - (x > right)), "step(0) is 1: use >="
                ),
            ),
        ),
        Exercise(
            Text(
                "Write a triangle from three neurons, and one behind them.",
                "用三个神经元再加一个，判断点是否在三角形内。",
            ),
            inside,
            ((POINTS,), (POINTS[::-1] * 0.6,)),
            [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
            (
                Mistake(
                    lambda points: (
                        (1.0 * (points[:, 0] >= 0) + (points[:, 1] >= 0) + (points.sum(1) <= 1)) >= 2
                    ).astype(float),
                    "all three conditions must hold: the last step is at 3",
                ),
                Mistake(
                    lambda points: 1.0 * (points[:, 0] >= 0) + (points[:, 1] >= 0) + (points.sum(1) <= 1),
                    "one more step is needed behind the sum",
                ),
                Mistake(
                    lambda points: (np.abs(points).sum(1) <= 1).astype(float),
                    "this is a diamond around 0: use three lines",
                ),
                Mistake(
                    lambda points: (points.sum(1) <= 1).astype(float),
                    "one line only halves the plane: three are needed",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The demonstration of the course: one neuron fails, three separate the two classes.",
        "对应课程中的演示：一个神经元分不开，三个就能分开。",
    ),
    playground="hidden=3&data=circle",
    chinese={
        "best test accuracy with one neuron": "一个神经元的最高测试准确率",
        "best test accuracy with three neurons": "三个神经元的最高测试准确率",
        "mean test accuracy at width *": "宽度 * 的平均测试准确率",
        "parameters at width *": "宽度 * 的参数个数",
        "operations per example at width *": "宽度 * 时每个样本的运算次数",
        "bytes of weights at width *": "宽度 * 时权重的字节数",
        "growth of the operations for twice the width": "宽度加倍时运算次数的倍数",
        "Test accuracy of * seeds after * epochs": "* 个随机种子、* 轮训练后的测试准确率",
        "data set": "数据集",
        "hidden neurons": "隐藏神经元",
        "worst seed": "最差的种子",
        "median": "中位数",
        "best seed": "最好的种子",
        "circle": "圆环",
        "moons": "双月",
        "spiral": "螺旋",
        "regions": "分类区域",
        "widths": "准确率与宽度",
        "bent": "被弯折的平面",
    },
)
