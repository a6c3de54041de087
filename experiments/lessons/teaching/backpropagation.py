"""What the lesson on back-propagation teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import inspect as look


def through_a_product(x, y, z):
    """The gradient of f = (x + y) z. Returns np.array([df/dx, df/dy, df/dz])."""
    return np.array([z, z, x + y], float)


def of_scores(scores, label):
    """The gradient of the softmax loss of one example with respect to its scores[C]. Returns [C]."""
    p = np.exp(scores - np.max(scores))
    p /= p.sum()
    p[label] -= 1
    return p


def through_a_layer(dscores, h, W):
    """Backward through s = W h: the gradient for s[C], the input h[D], W[C, D]. Returns the gradient for W, [C, D]."""
    return np.outer(dscores, h)


CAT = np.array([3.2, 5.1, -1.7])
DS, H, M = (
    np.array([-0.87, 0.869, 0.001]),
    np.array([1.0, 0.0, 2.0]),
    np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0], [2.0, 2.0, 2.0]]),
)
DS2, H2 = np.array([0.5, -0.5, 0.25]), np.array([3.0, 1.0, -2.0])

TEACHING = Teaching(
    builds_on=("forward_pass", "gradient_descent"),
    idea=Text(
        "The loss depends on millions of weights, and we want the derivative for each of them. Changing one weight "
        "at a time and computing the loss again would take millions of forward passes. Back-propagation gets them "
        "all in one pass backward.\n\n"
        "The trick is the chain rule, applied locally. Every operation only has to know its own slope. A gradient "
        "arrives from behind, is multiplied by that slope, and is handed on to the inputs: a sum hands it on "
        "unchanged, a product multiplies it by the other factor, a ReLU lets it through or stops it. Where two paths "
        "join, gradients are added. That is all it does: back-propagation computes gradients and changes nothing. "
        "What is done with them is the optimizer's business, and two optimizers take different steps from the same "
        "gradient.",
        "损失依赖于上百万个权重，我们要知道它对每一个权重的导数。如果一次只改一个权重、重新算一遍损失，就要做上百万次"
        "前向传播；反向传播只需反向走一遍就能全部得到。\n\n"
        "诀窍是在局部使用链式法则。每个运算只需知道自己的斜率：梯度从后面传来，乘以这个斜率，再传给它的输入。加法原样"
        "传递，乘法乘以另一个因子，ReLU 要么放行要么截断；两条路径汇合的地方，梯度相加。它做的仅此而已：反向传播只计"
        "算梯度，不改变任何参数。怎样使用梯度是优化器的事，同样的梯度，两种优化器会走出不同的一步。",
    ),
    drawing=Drawing(
        140,
        Text(
            "The graph of f = (x + y) z. Forward: x = -2 and y = 5 are added to 3, times z = -4 is -12. Backward, "
            "below each line: 1 at f, -4 at the sum, x and y, and 3 at z.",
            "f = (x + y) z 的计算图。前向：x = -2 与 y = 5 相加得 3，再乘以 z = -4 得 -12。反向（每条线下方）：f 处为"
            " 1，和、x、y 处为 -4，z 处为 3。",
        ),
        [
            *(draw.arrow(a, b) for a, b in (((36, 18), (126, 46)), ((36, 92), (126, 63)), ((158, 57), (240, 74)))),
            draw.arrow((36, 126), (241, 88)),
            draw.arrow((276, 79), (334, 79)),
            *(draw.circle(center, 16, "paper") for center in ((142, 54), (258, 79))),
            draw.words(142, 59, "+"),
            draw.words(258, 84, "×"),
            *(draw.words(x, y, name) for x, y, name in ((22, 22, "x"), (22, 97, "y"), (22, 131, "z"), (347, 83, "f"))),
            *(
                draw.words(x, y, value, "a")
                for x, y, value in ((86, 27, "-2"), (76, 72, "5"), (198, 59, "3"), (130, 101, "-4"), (304, 71, "-12"))
            ),
            *(
                draw.words(x, y, value, "b")
                for x, y, value in ((72, 46, "-4"), (98, 88, "-4"), (188, 82, "-4"), (150, 127, "3"), (304, 96, "1"))
            ),
            draw.words(284, 18, Text("forward: values", "前向：数值"), "a"),
            draw.words(284, 36, Text("backward: gradients", "反向：梯度"), "b"),
        ],
    ),
    formulas=(
        Formula(
            r"\frac{\partial L}{\partial x} = \frac{\partial L}{\partial z} \cdot \frac{\partial z}{\partial x}, "
            r"\qquad "
            r"f = (x + y)\, z: \; \frac{\partial f}{\partial x} = z, \; \frac{\partial f}{\partial y} = z, \; "
            r"\frac{\partial f}{\partial z} = x + y",
            (
                (r"\partial L / \partial z", Text("arrives from behind", "从后面传来的梯度"), ""),
                (r"\partial z / \partial x", Text("slope of this operation", "本运算的斜率"), ""),
            ),
        ),
        Formula(
            r"\frac{\partial L}{\partial s} = p - e_y, \qquad \frac{\partial L}{\partial W} = \frac{\partial "
            r"L}{\partial s}\, h^{T}, "
            r"\qquad \frac{\partial L}{\partial h} = W^{T} \frac{\partial L}{\partial s}",
            (
                ("p", Text("probabilities", "概率"), "[C]"),
                ("e_y", Text("1 at the correct class, else 0", "正确类别处为 1，其余为 0"), "[C]"),
                ("h", Text("input of the layer", "本层的输入"), "[D]"),
                ("W", Text("weights of the layer", "本层的权重"), "[C, D]"),
            ),
        ),
    ),
    code=(look.computation_graph,),
    question=Question(
        Text(
            "f = (x + y) z at x = -2, y = 5, z = -4. By how much does f change if x grows by 0.01?",
            "f = (x + y) z，x = -2，y = 5，z = -4。x 增大 0.01 时，f 变化多少？",
        ),
        (Text("+0.03", "+0.03"), Text("-0.04", "-0.04"), Text("-0.12", "-0.12")),
        1,
        Text(
            "df/dx is z = {df/dx}, so f changes by -4 · 0.01. The sum hands the gradient of the product on "
            "unchanged: df/dy is the same number, and df/dz is x + y = {df/dz}.",
            "df/dx 等于 z，即 {df/dx}，所以 f 变化 -4 × 0.01。加法把乘积传来的梯度原样传下去：df/dy 也是这个数，而 "
            "df/dz 等于 x + y，即 {df/dz}。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the backward pass of f = (x + y) z by hand.", "手写 f = (x + y) z 的反向传播。"),
            through_a_product,
            ((-2.0, 5.0, -4.0), (1.0, 2.0, 0.5)),
            [-4.0, -4.0, 3.0],
            (
                Mistake(
                    lambda x, y, z: np.array([1.0, 1.0, x + y]),
                    "the gradient of the product must be handed on through the sum: times z",
                ),
                Mistake(
                    lambda x, y, z: np.array([z * x, z * y, x + y]),
                    "a sum hands the gradient on unchanged, whatever its inputs are",
                ),
                Mistake(
                    lambda x, y, z: np.array([z, z, z]), "the gradient of a factor is the other factor: x + y for z"
                ),
                Mistake(
                    lambda x, y, z: np.array([y * z, x * z, x * y]),
                    "this is the gradient of x y z: x and y are added here",
                ),
            ),
        ),
        Exercise(
            Text(
                "Write the gradient of the softmax loss with respect to the scores.", "写出 softmax 损失对得分的梯度。"
            ),
            of_scores,
            ((CAT, 0), (CAT, 1), (np.zeros(4), 2)),
            [-0.870017, 0.86905, 0.000968],
            (
                Mistake(
                    lambda scores, label: of_scores(scores, label) + np.eye(len(scores))[label],
                    "1 must be subtracted at the correct class",
                ),
                Mistake(
                    lambda scores, label: -of_scores(scores, label),
                    "the sign is the wrong way round: raising the correct score lowers the loss",
                ),
                Mistake(
                    lambda scores, label: of_scores(scores, label) - 1 + np.eye(len(scores))[label],
                    "1 is subtracted at the correct class only",
                ),
                Mistake(
                    lambda scores, label: np.eye(len(scores))[label] * of_scores(scores, label),
                    "the wrong classes have a gradient too: their probability",
                ),
            ),
        ),
        Exercise(
            Text("Write the gradient for the weights of a linear layer.", "写出线性层权重的梯度。"),
            through_a_layer,
            ((DS, H, M), (DS2, H2, M)),
            [[-0.87, 0, -1.74], [0.869, 0, 1.738], [0.001, 0, 0.002]],
            (
                Mistake(
                    lambda dscores, h, W: np.outer(h, dscores),
                    "this is the transpose: the gradient has the shape of W, [C, D]",
                ),
                Mistake(lambda dscores, h, W: W.T @ dscores, "this is the gradient for the input h, not for W"),
                Mistake(
                    lambda dscores, h, W: np.outer(dscores, h) * W,
                    "the slope of W h with respect to W is h: W itself does not appear",
                ),
                Mistake(
                    lambda dscores, h, W: np.outer(W @ h, h), "the gradient that arrives must be used, not the scores"
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The two graphs of the course: f = -12 with gradients -4, -4, 3, and the sigmoid neuron with output 0.73.",
        "对应课程中的两个计算图：f = -12，梯度 -4、-4、3；输出为 0.73 的 sigmoid 神经元。",
    ),
    playground="hidden=4,2",
    chinese={
        "f": "f",
        "df/d*": "df/d*",
        "output": "输出",
        "derivative with respect to *": "对 * 的导数",
        "largest relative error against central differences": "与中心差分的最大相对误差",
        "largest relative difference between hand-written and jax.grad": "手写与 jax.grad 的最大相对差异",
        "weights checked": "检验的权重数",
        "weights at kinks of the ReLU": "处在 ReLU 折点的权重数",
        "error without a mistake": "没有错误时的误差",
        "error, mean over the batch forgotten": "忘记对批次取平均时的误差",
        "error, factor 2 of the penalty forgotten": "忘记惩罚项导数中的 2 时的误差",
        "error, ReLU ignored": "忽略 ReLU 时的误差",
        "smallest error, *": "最小误差，*",
        "central, float64": "中心差分，float64",
        "one-sided, float64": "单侧差分，float64",
        "central, float32": "中心差分，float32",
        "best step": "最佳步长",
        "difference of the gradients": "两份梯度之差",
        "angle between the updates (degrees)": "两种更新之间的夹角（度）",
        "length of SGD's update": "SGD 更新量的长度",
        "length of RMSprop's update": "RMSprop 更新量的长度",
        "change of the weights by back-propagation alone": "仅做反向传播时权重的变化",
        "Relative errors of the gradient of a two-layer network": "两层网络梯度的相对误差",
        "weights": "权重",
        "count": "个数",
        "norm of the gradient": "梯度范数",
        "hand-written vs jax.grad": "手写与 jax.grad",
        "hand-written vs differences": "手写与差分",
        "kinks": "折点",
        "product": "f = (x + y) z 的计算图",
        "neuron": "sigmoid 神经元",
        "network": "一个隐藏神经元及其损失的计算图",
        "step": "差分步长",
    },
)
