"""What the lesson on preprocessing teaches."""

from __future__ import annotations

import math

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn.data import preprocess


def standardized(train, test):
    """Standardize the test examples with the statistics of the training examples, both [N, D]. Returns like test."""
    return (test - train.mean(0)) / train.std(0)


def whitened(x):
    """Whiten x[N, D]: center, rotate to the principal directions, divide by their standard deviations.

    Returns the covariance matrix [D, D] of the result, computed with np.cov(result.T, bias=True).
    """
    centered = x - x.mean(0)
    variances, directions = np.linalg.eigh(np.cov(centered.T, bias=True))
    return np.cov((centered @ directions / np.sqrt(variances)).T, bias=True)


TRAIN, TEST = np.array([[0.0, 10.0], [2.0, 30.0], [4.0, 20.0]]), np.array([[2.0, 20.0], [6.0, 0.0]])
MORE = np.array([[1.0, 5.0], [3.0, -1.0], [8.0, 2.0], [4.0, 4.0]])
CLOUD = np.array([[2.0, 1.0], [0.0, 1.0], [4.0, 4.0], [6.0, 4.0], [3.0, 2.5]])

TEACHING = Teaching(
    builds_on=("dataset", "gradient_descent"),
    idea=Text(
        "Gradient descent likes a round valley. If one feature has values near 1,000 and another near 1, the valley "
        "is long and narrow: steep across, flat along. The step must be small for the steep direction, and then it "
        "takes forever along the flat one.\n\n"
        "Preprocessing rounds the valley. Zero-centering subtracts the mean of each feature, normalizing also "
        "divides by its standard deviation, so that all features are on one scale. PCA rotates the data so that its "
        "directions are no longer correlated; whitening then scales every direction to variance 1, and the cloud is "
        "round. For pictures, subtracting the mean and dividing by one standard deviation is usually enough. All "
        "statistics are fitted on the training examples alone and then applied to every example, otherwise the test "
        "examples have been seen.",
        "梯度下降喜欢圆形的谷。如果一个特征的取值在 1000 附近，另一个在 1 附近，谷就又长又窄：横向很陡，纵向很平。为"
        "了不在陡的方向上出错，步子必须小，于是在平的方向上就要走很久。\n\n"
        "数据预处理的作用就是把谷变圆。零中心化减去每个特征的均值；归一化再除以标准差，使各特征处在同一尺度；PCA 旋转"
        "数据，使各方向不再相关；白化再把每个方向缩放为方差 1，点云就成了圆的。对图片来说，减去均值、除以标准差通常就"
        "够了。所有统计量只能在训练样本上计算，再用到其他样本上，否则就等于提前看了测试样本。",
    ),
    drawing=Drawing(
        132,
        Text(
            "A cloud of points four times: off the center and oblique; zero-centered; rotated by PCA so that it lies "
            "along the axes; whitened, round.",
            "同一点云的四种样子：偏离中心且倾斜；零中心化；经 PCA 旋转后与坐标轴对齐；白化后变圆。",
        ),
        [
            part
            for k, (name, dx, dy, turn, wide, high) in enumerate(
                (
                    (Text("original", "原始"), 12, -14, -0.6, 22, 8),
                    (Text("centered", "零中心化"), 0, 0, -0.6, 22, 8),
                    ("PCA", 0, 0, 0.0, 22, 8),
                    (Text("whitened", "白化"), 0, 0, 0.0, 15, 15),
                )
            )
            for x in [46 + 90 * k]
            for part in (
                draw.line(((x - 40, 58), (x + 40, 58)), "soft"),
                draw.line(((x, 18), (x, 98)), "soft"),
                *(
                    draw.circle(
                        (
                            x + dx + u * math.cos(turn) - v * math.sin(turn),
                            58 + dy + u * math.sin(turn) + v * math.cos(turn),
                        ),
                        2.2,
                        "a dot",
                    )
                    for i in range(40)
                    for r in [math.sqrt((i + 0.5) / 20)]
                    for u, v in [(wide * r * math.cos(2.4 * i), high * r * math.sin(2.4 * i))]
                ),
                draw.words(x, 122, name),
            )
        ],
    ),
    formulas=(
        Formula(
            r"x' = \frac{x - \mu}{\sigma}, \qquad x'' = U^T (x - \mu), \qquad x''' = \frac{U^T (x - "
            r"\mu)}{\sqrt{\lambda + \varepsilon}}",
            (
                (
                    r"\mu, \sigma",
                    Text("mean and standard deviation of the training examples", "训练样本的均值与标准差"),
                    "[D]",
                ),
                ("U", Text("principal directions in the columns", "主方向，按列排列"), "[D, D]"),
                (r"\lambda", Text("variances along them", "各主方向上的方差"), "[D]"),
                (r"\varepsilon", Text("keeps tiny variances from blowing up noise", "防止方差极小时放大噪声"), "[]"),
            ),
        ),
    ),
    code=(preprocess.standardize, preprocess.whiten),
    question=Question(
        Text(
            "The same network learns raw pixels (0 to 16) and whitened ones. Around an untrained linear classifier, "
            "how do the largest stable learning rates 2 / L compare?",
            "同一任务分别使用原始像素（0 到 16）和白化后的数据。在未训练的线性分类器附近，最大稳定学习率 2 / L 相比如"
            "何？",
        ),
        (
            Text("They are equal", "相同"),
            Text("The raw pixels allow a larger one", "原始像素允许更大的学习率"),
            Text("The whitened data allow a far larger one", "白化后的数据允许大得多的学习率"),
        ),
        2,
        Text(
            "Measured: {2/L, raw} for raw pixels, {2/L, zero-centered} after centering, {2/L, normalized} after "
            "normalizing, {2/L, whitened} after whitening.",
            "实测：原始像素为 {2/L, raw}，零中心化后为 {2/L, zero-centered}，归一化后为 {2/L, normalized}，白化后为 "
            "{2/L, whitened}。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Standardize test examples.", "对测试样本做归一化。"),
            standardized,
            ((TRAIN, TEST), (MORE, TEST)),
            [[0.0, 0.0], [2.449490, -2.449490]],
            (
                Mistake(
                    lambda train, test: (test - test.mean(0)) / test.std(0),
                    "the statistics are those of the training examples, also for the test",
                ),
                Mistake(
                    lambda train, test: (test - train.mean()) / train.std(), "each feature has its own mean: use axis 0"
                ),
                Mistake(lambda train, test: test - train.mean(0), "divide by the standard deviation as well"),
                Mistake(
                    lambda train, test: (test - train.mean(0)) / train.var(0),
                    "this is the variance: divide by its square root",
                ),
                Mistake(
                    lambda train, test: test / train.std(0) - train.mean(0), "subtract the mean first, then divide"
                ),
                Mistake(
                    lambda train, test: (test - train.mean(0)) / train.std(0, ddof=1),
                    "the standard deviation divides by N, not by N - 1",
                ),
            ),
        ),
        Exercise(
            Text(
                "Whiten a cloud and show that its covariance is the identity.", "对点云做白化，并说明其协方差为单位阵。"
            ),
            whitened,
            ((CLOUD,), (MORE,)),
            [[1.0, 0.0], [0.0, 1.0]],
            (
                Mistake(
                    lambda x: np.cov(((x - x.mean(0)) / x.std(0)).T, bias=True),
                    "normalizing leaves the correlation: rotate to the principal directions first",
                ),
                Mistake(
                    lambda x: np.diag(np.linalg.eigvalsh(np.cov(x.T, bias=True))),
                    "this is PCA: divide by the square roots of the variances",
                ),
                Mistake(
                    lambda x: np.diag(1 / np.linalg.eigvalsh(np.cov(x.T, bias=True))),
                    "divide by the standard deviations, not by the variances",
                ),
                Mistake(lambda x: np.cov(x.T, bias=True), "the data are only centered"),
            ),
        ),
    ),
    reproduces=Text(
        "The pictures of the course: original, zero-centered, normalized, decorrelated and whitened data.",
        "对应课程中的图：原始、零中心化、归一化、去相关与白化后的数据。",
    ),
    playground="features=x1,x2,x1^2&hidden=4",
    chinese={
        "largest mean, centered": "零中心化后的最大均值",
        "largest |std - 1|, normalized": "归一化后 |标准差 - 1| 的最大值",
        "covariance after PCA": "PCA 之后的协方差",
        "largest |covariance - identity|, whitened": "白化后 |协方差 - 单位阵| 的最大值",
        "fraction of the variance in 20 directions": "20 个方向所占的方差比例",
        "directions for 95 % of the variance": "占 95 % 方差所需的方向数",
        "largest error with all directions": "用全部方向时的最大误差",
        "2/L, *": "2/L，*",
        "training loss, *": "训练损失，*",
        "raw": "原始",
        "zero-centered": "零中心化",
        "normalized": "归一化",
        "PCA": "PCA",
        "whitened": "白化",
        "Digits, * epochs": "手写数字，* 轮",
        "form": "形式",
        "L of the linear classifier": "线性分类器的 L",
        "2/L": "2/L",
        "best learning rate of the MLP": "MLP 的最佳学习率",
        "training loss": "训练损失",
        "clouds": "点云",
        "images": "预处理后的图片",
        "training": "训练曲线",
        "rates": "可用的学习率",
    },
)
