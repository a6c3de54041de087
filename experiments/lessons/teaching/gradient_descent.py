"""What the lesson on gradient descent teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import inspect


def descend(slope, start, eta, steps):
    """Gradient descent on a function of one number: slope(x) is its derivative. Returns the last point."""
    x = start
    for _ in range(steps):
        x = x - eta * slope(x)
    return x


def momentum_step(x, velocity, gradient, eta, momentum):
    """One step with momentum: the new velocity, then the new point. Returns np.array([x, velocity])."""
    velocity = momentum * velocity - eta * gradient
    return np.array([x + velocity, velocity])


def _parabola(x):
    return 2 * x - 2


def _waves(x):
    return np.sin(x) + x * np.cos(x)


TEACHING = Teaching(
    builds_on=("losses",),
    idea=Text(
        "You stand on a hillside in fog and want to reach the valley. You cannot see it, but you feel the slope "
        "under your feet, so you take a step downhill and feel again. That is gradient descent. The derivative says "
        "in which direction the function rises; the step goes the other way, and its length is the step size eta "
        "times the slope.\n\n"
        "Near a minimum the slope goes to zero, so the steps shrink by themselves although eta never changes. Eta "
        "still has to be chosen: if it is tiny, you hardly move; if it is too large, each step overshoots the valley "
        "and lands higher than it began. The border is 2 / L, where L is the second derivative. And descent only "
        "finds the valley that it starts in: on `x sin x` most starts end in a minimum that is not the lowest one. "
        "All that helps is to try several starts. With several variables, each has its own partial derivative; "
        "together they are the gradient.",
        "设想在浓雾中站在山坡上，想走到谷底。看不见谷底，但脚下能感觉到坡度：朝下坡方向迈一步，再感觉一次。这就是梯度"
        "下降。导数指出函数往哪边增大，更新时就往相反方向走，步子的长度是学习率 eta 乘以斜率。\n\n"
        "越接近极小值，斜率越接近零，因此 eta 虽然不变，步子也会自动变小。不过 eta 仍需选好：太小则几乎不动；太大则每"
        "一步都越过谷底，落到比原来更高的地方。分界线是 2 / L，其中 L 是二阶导数。此外，梯度下降只能找到出发点所在的"
        "那个谷：在 `x sin x` 上，多数起点都走不到最低的极小值，唯一的办法是多试几个起点。有多个变量时，每个变量各有"
        "自己的偏导数，合在一起就是梯度。",
    ),
    drawing=Drawing(
        166,
        Text(
            "A parabola with four points that descend toward its minimum. At the first point one arrow leads uphill, "
            "the derivative, and a shorter one back, the step. The steps become shorter.",
            "一条抛物线，四个点依次向最低点移动。第一个点处，一个箭头指向上坡，即导数；另一个较短的箭头指向相反方向，"
            "即下一步。步子越来越短。",
        ),
        [
            draw.line(draw.places(lambda x: x * x, -4.2, 5.4, (140, 146), (30, 4.2))),
            *(
                draw.arrow((140 + 30 * x, 146 - 4.2 * x * x), (140 + 22.5 * x, 146 - 4.2 * x * x), "a")
                for x in (5, 3.75, 2.8)
            ),
            draw.arrow((290, 41), (336, 41), "b"),
            *(draw.circle((140 + 30 * x, 146 - 4.2 * x * x), 4.5, "a dot") for x in (5, 3.75, 2.8, 2.1)),
            draw.words(322, 64, Text("derivative", "导数"), "b"),
            draw.words(176, 34, Text("step: eta times the", "步子：eta 乘以"), "a"),
            draw.words(176, 50, Text("derivative, backward", "导数，方向相反"), "a"),
            draw.words(140, 162, Text("minimum: slope 0", "极小值：斜率为 0"), "soft"),
        ],
    ),
    formulas=(
        Formula(
            r"x \leftarrow x - \eta \, \nabla f(x), \qquad \nabla f = \left( \frac{\partial f}{\partial x_1}, \ldots, "
            r"\frac{\partial f}{\partial x_n} \right)",
            (
                ("x", Text("current point", "当前位置"), "[n]"),
                (r"\eta", Text("learning rate (step size)", "学习率（步长）"), "[]"),
                (r"\nabla f", Text("gradient: all partial derivatives", "梯度：全部偏导数"), "[n]"),
            ),
        ),
        Formula(
            r"f(x) = (x-1)^2 + 1,\; x_0 = 6,\; \eta = 0.05: \qquad x_n = 1 + 5 \cdot 0.9^n",
            (("n", Text("number of steps", "步数"), "[]"),),
        ),
    ),
    code=(inspect.descend,),
    question=Question(
        Text(
            "Descent on (x - 1)² + 1 starts at x = 6. Its second derivative is L = 2 everywhere. What happens with "
            "eta = 1, which is exactly 2 / L?",
            "在 (x - 1)² + 1 上从 x = 6 开始下降，其二阶导数处处为 L = 2。若 eta = 1，即恰好等于 2 / L，会怎样？",
        ),
        (
            Text("It arrives in one step", "一步到达最低点"),
            Text("It jumps between 6 and -4 forever", "在 6 与 -4 之间永远来回跳"),
            Text("It diverges", "发散"),
        ),
        1,
        Text(
            "The step is 1 · 10, from 6 to -4; there the slope is -10, and the step leads back to 6. The largest "
            "step size that still converges was measured as {largest converging step size}, the smallest that "
            "diverges as {smallest diverging step size}. In one step arrives eta = 1 / L = 0.5.",
            "第一步的长度是 1 × 10，从 6 到 -4；那里斜率为 -10，又跳回 6。实测仍然收敛的最大步长为 "
            "{largest converging step size}，开始发散的最小步长为 {smallest diverging step size}。一步到达的是 eta = "
            "1 / L = 0.5。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write gradient descent on a function of one number.", "写出一元函数的梯度下降。"),
            descend,
            ((_parabola, 6.0, 0.05, 2), (_parabola, 6.0, 0.05, 30), (_waves, 4.0, 0.1, 3), (_parabola, -3.0, 0.6, 5)),
            5.05,
            (
                Mistake(
                    lambda slope, start, eta, steps: descend(slope, start, -eta, steps),
                    "this climbs: the step goes against the slope, with a minus sign",
                ),
                Mistake(
                    lambda slope, start, eta, steps: start - steps * eta * slope(start),
                    "the slope is computed only once: compute it again at every new point",
                ),
                Mistake(lambda slope, start, eta, steps: descend(slope, start, 1.0, steps), "eta is not used"),
                Mistake(
                    lambda slope, start, eta, steps: descend(slope, start, eta, steps - 1),
                    "one step is missing: the loop runs `steps` times",
                ),
                Mistake(
                    lambda slope, start, eta, steps: descend(slope, start, eta, steps + 1),
                    "one step too many: the loop runs `steps` times",
                ),
                Mistake(
                    lambda slope, start, eta, steps: descend(lambda x: np.sign(slope(x)), start, eta, steps),
                    "every step has the length eta: it must be proportional to the slope",
                ),
            ),
        ),
        Exercise(
            Text("Write one step of gradient descent with momentum.", "写出带动量的梯度下降的一步。"),
            momentum_step,
            ((10.0, 0.0, 10.0, 0.02, 0.9), (9.8, -0.2, 9.8, 0.02, 0.9), (1.0, 0.5, -2.0, 0.1, 0.5)),
            [9.8, -0.2],
            (
                Mistake(
                    lambda x, velocity, gradient, eta, momentum: np.array(
                        [x + momentum * velocity + eta * gradient, momentum * velocity + eta * gradient]
                    ),
                    "the gradient must be subtracted from the velocity",
                ),
                Mistake(
                    lambda x, velocity, gradient, eta, momentum: np.array(
                        [x - eta * gradient, momentum * velocity - eta * gradient]
                    ),
                    "the point moves by the whole new velocity, not only by the gradient",
                ),
                Mistake(
                    lambda x, velocity, gradient, eta, momentum: np.array(
                        [x + velocity, momentum * velocity - eta * gradient]
                    ),
                    "the point moves by the new velocity, not by the old one",
                ),
                Mistake(
                    lambda x, velocity, gradient, eta, momentum: momentum_step(
                        x, velocity, gradient, eta, 1 - momentum
                    ),
                    "momentum is the part of the velocity that is kept, not the part that is lost",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The worked descent of the course: 6, 5.5, 5.05, ... and after 1,000 steps x = f(x) = 1; the two minima of x "
        "sin x; the surface with both partial derivatives.",
        "对应课程中的算例：6、5.5、5.05……1000 步后 x = f(x) = 1；x sin x 的两个极小值；带两个偏导数箭头的曲面。",
    ),
    playground="learning_rate=1&hidden=4",
    chinese={
        "first points": "最初几个点",
        "largest error": "最大误差",
        "last point": "最后的点",
        "largest ratio of successive moves": "相邻两步长度之比的最大值",
        "length of the 100th move": "第 100 步的长度",
        "L": "L",
        "distance after one step with 1/L": "步长 1/L 走一步后的距离",
        "largest converging step size": "仍收敛的最大步长",
        "smallest diverging step size": "开始发散的最小步长",
        "minima": "极小值点",
        "values": "函数值",
        "fraction of starts": "起点所占比例",
        "2/L": "2/L",
        "descents that end beyond the bound": "超过界限却停在该处的下降次数",
        "end points": "终点",
        "error of the first step": "第一步的误差",
        "steps of plain descent": "普通梯度下降的步数",
        "steps with momentum": "带动量的步数",
        "best momentum": "最佳动量",
        "best momentum in theory": "理论最佳动量",
        "chance of the lowest minimum, best of *": "* 次尝试取最好，找到最低极小值的概率",
        "expected, best of *": "* 次尝试的理论概率",
        "2/L of each variable alone": "单独看每个变量时的 2/L",
        "2/L of both together": "两个变量一起时的 2/L",
        "distance after 40 steps, without the cross term": "无交叉项，40 步后的距离",
        "distance after 40 steps, with the cross term": "有交叉项，40 步后的距离",
        "Step sizes on (x - 1)^2 + 1": "(x - 1)^2 + 1 上的各种步长",
        "kind": "情形",
        "step size": "步长",
        "factor per step": "每步的缩放系数",
        "distance after 40 steps": "40 步后的距离",
        "slow": "太慢",
        "good": "合适",
        "oscillating": "振荡",
        "at the bound": "恰在界限上",
        "diverging": "发散",
        "path": "下降路径",
        "step sizes": "步长的影响",
        "basins": "起点与步长决定的极小值",
        "surface": "曲面上的下降",
        "momentum": "窄谷中的动量",
    },
)
