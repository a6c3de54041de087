"""What the lesson on the score function teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn import layers


def scores_of(W, x, b):
    """The scores of one example: W[C, D], x[D], b[C]. Returns [C]."""
    return np.asarray(W, float) @ np.asarray(x, float) + np.asarray(b, float)


def contributions(W, x, label, rival):
    """What each pixel adds to the lead of the class `label` over `rival`: W[C, D], x[D]. Returns [D]."""
    return (W[label] - W[rival]) * x


W = np.array([[0.2, -0.5, 0.1, 2.0], [1.5, 1.3, 2.1, 0.0], [0.0, 0.25, 0.2, -0.3]])
X, B = np.array([56.0, 231.0, 24.0, 2.0]), np.array([1.1, 3.2, -1.2])
SQUARE = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 4.0], [2.0, 2.0, 1.0]])

TEACHING = Teaching(
    builds_on=("dataset",),
    idea=Text(
        "To a computer a picture is a list of numbers, one per pixel and color: 3,072 of them for 32 x 32 pixels in "
        "three colors. The simplest classifier gives every pixel a weight for every class. A pixel that speaks for "
        "the cat gets a positive weight, one that speaks against it a negative one, and one that says nothing gets "
        "zero. The score of a class is the sum of pixels times weights, plus a bias that is the same for every "
        "picture.\n\n"
        "Stack the weights of three classes as three rows and you have a matrix W of 3 x 3,072; all three scores are "
        "one product W x + b. Because it is a sum, the score can be taken apart again: each pixel's share can be "
        "drawn on the picture. And because it is a sum, it is limited: twice the input gives twice the score, and "
        "the border between two classes is always straight.",
        "对计算机来说，一张图片就是一串数：32 × 32 像素、三种颜色，一共 3072 个。最简单的分类器为每个类别给每个像素配"
        "一个权重：支持“猫”的像素权重为正，反对的为负，无关的为零。某个类别的得分就是像素与权重的乘积之和，再加上一个"
        "与图片无关的偏置。\n\n"
        "把三个类别的权重排成三行，就得到 3 × 3072 的矩阵 W，三个得分只需一次乘法 W x + b。正因为得分是一个和，它可以"
        "再拆开，把每个像素的贡献画回图片上；也正因为是一个和，它的能力有限：输入加倍，得分（不计偏置）也加倍，而且两"
        "个类别的分界总是直的。",
    ),
    drawing=Drawing(
        128,
        Text(
            "W with 3 rows of 4 weights, times x with 4 pixels, plus b with 3 numbers, gives 3 scores.",
            "W 有 3 行，每行 4 个权重；乘以含 4 个像素的 x，再加上含 3 个数的 b，得到 3 个得分。",
        ),
        [
            *(
                draw.box(x + 26 * c, y + 22 * r, 26, 22, kind="a" if r == 0 and name in "Ws" else "")
                for name, x, y, rows, columns in (
                    ("W", 2, 29, 3, 4),
                    ("x", 146, 18, 4, 1),
                    ("b", 214, 29, 3, 1),
                    ("s", 282, 29, 3, 1),
                )
                for r in range(rows)
                for c in range(columns)
            ),
            *(draw.words(x, 66, sign) for x, sign in ((127, "·"), (193, "+"), (261, "="))),
            *(
                draw.words(x, y, name)
                for x, y, name in ((54, 22, "W"), (159, 11, "x"), (227, 22, "b"), (295, 22, Text("scores", "得分")))
            ),
            *(
                draw.words(332, 45 + 22 * r, name, "a" if r == 0 else "")
                for r, name in enumerate((Text("cat", "猫"), Text("dog", "狗"), Text("ship", "船")))
            ),
            *(
                draw.words(x, 122, shape, "soft")
                for x, shape in ((54, "[3, 4]"), (159, "[4]"), (227, "[3]"), (295, "[3]"))
            ),
        ],
    ),
    formulas=(
        Formula(
            r"f(x, W, b) = W x + b, \qquad s_c = \sum_{i=1}^{D} W_{c i}\, x_i + b_c",
            (
                ("x", Text("pixels of one picture in a column", "一张图片的像素，排成一列"), "[3072]"),
                ("W", Text("weights, one row per class", "权重，每个类别一行"), "[3, 3072]"),
                ("b", Text("biases", "偏置"), "[3]"),
                ("s", Text("scores", "得分"), "[3]"),
            ),
        ),
        Formula(
            r"W(x + z) = W x + W z, \qquad W(a x) = a\, W x",
            (
                (
                    "a",
                    Text("any number: these two rules define a linear function", "任意数；这两条就是线性函数的定义"),
                    "[]",
                ),
            ),
        ),
    ),
    code=(layers.linear, layers.dot_general),
    question=Question(
        Text(
            "All four pixels of the example are doubled. What happens to the scores W x + b?",
            "把例子中的四个像素都乘以 2，得分 W x + b 会怎样？",
        ),
        (
            Text("They double", "正好加倍"),
            Text("They do not change", "不变"),
            Text("They double except for the bias", "除偏置外加倍"),
        ),
        2,
        Text(
            "W x doubles, b does not: W x is linear, W x + b is only affine. Measured: doubling the input changes W "
            "x by the factor {factor of W x when x doubles}, and the score of the cat from -96.8 to "
            "{score of the cat when x doubles}.",
            "W x 加倍而 b 不变：W x 是线性的，W x + b 只是仿射的。实测：输入加倍时 W x 变为原来的 "
            "{factor of W x when x doubles} 倍，猫的得分从 -96.8 变为 {score of the cat when x doubles}。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the score function.", "写出得分函数。"),
            scores_of,
            ((W, X, B), (SQUARE, np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.0, -1.0]))),
            [-96.8, 437.9, 60.75],
            (
                Mistake(lambda W, x, b: W @ x, "the bias is missing"),
                Mistake(lambda W, x, b: W @ x - b, "the bias is added, not subtracted"),
                Mistake(lambda W, x, b: W @ x + b.sum(), "each class has a bias of its own: do not add them all up"),
                Mistake(lambda W, x, b: (W + b[:, None]) @ x, "the bias is added to the score, not to every weight"),
                Mistake(lambda W, x, b: W * x, "the products are not added up: one score per class"),
                Mistake(lambda W, x, b: W @ x / len(x) + b, "the score is a sum, not a mean"),
            ),
        ),
        Exercise(
            Text(
                "Write what each pixel contributes to the lead of one class over another.",
                "写出每个像素对一个类别领先另一个类别的贡献。",
            ),
            contributions,
            ((W, X, 1, 0), (W, X, 2, 1), (SQUARE, np.array([1.0, -2.0, 3.0]), 0, 2)),
            [72.8, 415.8, 48.0, -4.0],
            (
                Mistake(
                    lambda W, x, label, rival: W[label] * x, "this is the share in the score: subtract the rival's"
                ),
                Mistake(lambda W, x, label, rival: W[label] - W[rival], "a weight counts only times its pixel"),
                Mistake(lambda W, x, label, rival: (W[rival] - W[label]) * x, "the sign is the wrong way round"),
                Mistake(
                    lambda W, x, label, rival: float(((W[label] - W[rival]) * x).sum()),
                    "this is the whole lead: keep one number for each pixel",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The four-pixel example of the course: scores -96.8, 437.9 and 60.75.",
        "对应课程中的四像素例子：得分 -96.8、437.9、60.75。",
    ),
    playground="hidden=&data=gauss&classes=3",
    chinese={
        "score of cat": "猫的得分",
        "score of dog": "狗的得分",
        "score of ship": "船的得分",
        "largest error": "最大误差",
        "largest error of additivity": "可加性的最大误差",
        "largest error of homogeneity": "齐次性的最大误差",
        "factor of W x when x doubles": "x 加倍时 W x 的倍数",
        "score of the cat when x doubles": "x 加倍时猫的得分",
        "error of additivity of 1/x": "1/x 违反可加性的程度",
        "shape of W for three classes": "三个类别时 W 的形状",
        "pairs of points": "点对数目",
        "fraction of midpoints inside": "中点仍在区域内的比例",
        "largest change of slope": "斜率的最大变化",
        "Scores of the four-pixel example": "四像素例子的得分",
        "class": "类别",
        "cat": "猫",
        "dog": "狗",
        "ship": "船",
        "score": "得分",
        "test accuracy": "测试准确率",
        "chance": "随机猜测",
        "test examples": "测试样本数",
        "largest difference": "最大差异",
        "largest score": "最大得分",
        "predictions changed without the most promoting pixels": "去掉促进作用最强的像素后改判的比例",
        "predictions changed without random pixels": "随机去掉像素后改判的比例",
        "example": "四像素例子",
        "templates": "各类别的模板",
        "contributions": "像素的贡献",
        "planes": "得分平面",
    },
)
