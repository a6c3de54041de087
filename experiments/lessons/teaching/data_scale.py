"""What the lesson on deep learning and classical machine learning teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn.data import preprocess


def nearest_neighbor(train, labels, x):
    """The label of the training example nearest to x: train[N, D], labels[N], x[D]. Returns one number."""
    return int(labels[np.square(np.asarray(train, float) - x).sum(1).argmin()])


def edge_histogram(image, bins):
    """How much edge an image [H, W] has in each direction: a histogram of gradients with `bins` bins. Returns [bins].

    dy, dx = np.gradient(image); directions are arctan2(dy, dx) modulo pi; each pixel counts with the length of its
    gradient; the result is divided by its sum.
    """
    dy, dx = np.gradient(np.asarray(image, float))
    found, _ = np.histogram(np.arctan2(dy, dx) % np.pi, bins, (0, np.pi), weights=np.hypot(dx, dy))
    return found / found.sum()


def _histogram(image, bins, whole):
    dy, dx = np.gradient(np.asarray(image, float))
    found, _ = np.histogram(np.arctan2(dy, dx) % whole, bins, (0, whole), weights=np.hypot(dx, dy))
    return found / found.sum()


TRAIN, LABELS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0], [-5.0, -5.0]]), np.array([2, 0, 1, 3])
RAMP = np.tile(np.arange(4.0), (3, 1))
IMAGE = np.array([[0.0, 0.0, 3.0, 3.0], [0.0, 1.0, 3.0, 2.0], [0.0, 2.0, 4.0, 1.0], [1.0, 2.0, 4.0, 0.0]])

TEACHING = Teaching(
    builds_on=("dataset", "overfitting"),
    idea=Text(
        "Classical machine learning works in two steps: a person decides what to measure in a picture, such as the "
        "directions of edges or the colors that occur, and a simple classifier learns from these features. Deep "
        "learning leaves the first step to the network as well. Its hidden layer starts as noise and becomes a set "
        "of detectors that nobody wrote down.\n\n"
        "This freedom has a price: many parameters have to be determined, so many examples, much memory and much "
        "computing are needed. With a few hundred examples, k-nearest neighbors, a random forest or an SVM do as "
        "well, and need no tuning. With tens of thousands the network overtakes them. So look at the size of your "
        "data set before you choose. And always train a simple method first: it tells you what the complicated one "
        "is worth.",
        "传统机器学习分两步：先由人决定在图片里量什么，比如边缘的方向、出现的颜色；再由一个简单的分类器从这些特征中学"
        "习。深度学习把第一步也交给网络：隐藏层起初只是噪声，训练后变成一组谁也没有事先写好的检测器。\n\n"
        "这种自由是有代价的：要确定的参数很多，因此需要大量样本、内存和算力。只有几百个样本时，k 近邻、随机森林或 "
        "SVM 的效果差不多，而且几乎不用调参；有几万个样本时，网络就会超过它们。所以选方法之前先看数据有多少；而且总要"
        "先试一个简单的方法，才知道复杂的方法值不值得。",
    ),
    drawing=Drawing(
        124,
        Text(
            "Two ways from a picture to the answer cat. Above: a person decides on the features, a classifier is "
            "trained. Below: a hidden layer and a classifier are both trained.",
            "从图片到答案“猫”的两条路。上：特征由人决定，只训练分类器。下：隐藏层和分类器都由训练得到。",
        ),
        [
            part
            for y, middle, note, kind in (
                (6, Text("features", "特征"), Text("a person decides", "由人决定"), "b"),
                (70, Text("hidden layer", "隐藏层"), Text("training decides", "由训练决定"), "a"),
            )
            for part in (
                draw.box(2, y, 62, 28, Text("picture", "图片")),
                draw.arrow((66, y + 14), (90, y + 14)),
                draw.box(93, y, 94, 28, middle, kind),
                draw.words(140, y + 45, note, kind),
                draw.arrow((189, y + 14), (213, y + 14)),
                draw.box(216, y, 82, 28, Text("classifier", "分类器"), "a"),
                draw.words(257, y + 45, Text("trained", "训练得到"), "a"),
                draw.arrow((300, y + 14), (324, y + 14)),
                draw.words(343, y + 19, Text("cat", "猫")),
            )
        ],
    ),
    formulas=(
        Formula(
            r"s = W \,\phi(x), \qquad s = W_2 \, g(W_1 x + b_1) + b_2",
            (
                (r"\phi", Text("features designed by a person", "人工设计的特征"), "[F]"),
                ("g(W_1 x + b_1)", Text("features found by training", "训练得到的特征"), "[H]"),
            ),
        ),
    ),
    code=(preprocess.pca,),
    question=Question(
        Text(
            "Only 100 labeled pictures are there. Which classifier is best on new ones?",
            "只有 100 张带标签的图片。哪种分类器在新图片上最好？",
        ),
        (
            Text("The network, by far", "网络，而且遥遥领先"),
            Text("The classical methods are as good or better", "传统方法不相上下，甚至更好"),
            Text("None beats guessing", "都不比猜测好"),
        ),
        1,
        Text(
            "Best of the classical methods: {best of the classical learners with few examples (%)} %, MLP: "
            "{test accuracy of the MLP with few examples (%)} %.",
            "传统方法中最好的为 {best of the classical learners with few examples (%)} %，MLP 为 "
            "{test accuracy of the MLP with few examples (%)} %。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the nearest-neighbor classifier.", "写出最近邻分类器。"),
            nearest_neighbor,
            (
                (TRAIN, LABELS, np.array([3.0, 1.0])),
                (TRAIN, LABELS, np.array([-1.0, 2.5])),
                (TRAIN, LABELS, np.array([-2.0, -1.0])),
                (TRAIN, LABELS, np.array([-4.0, -4.0])),
            ),
            0,
            (
                Mistake(
                    lambda train, labels, x: int(np.square(train - x).sum(1).argmin()),
                    "this is the row of the nearest example: return its label",
                ),
                Mistake(
                    lambda train, labels, x: int(labels[np.square(train - x).sum(1).argmax()]),
                    "this is the farthest example",
                ),
                Mistake(
                    lambda train, labels, x: int(labels[(train - x).sum(1).argmin()]),
                    "differences of different signs cancel: square them",
                ),
                Mistake(
                    lambda train, labels, x: int(labels[(train @ x).argmax()]),
                    "a large product is not a small distance",
                ),
            ),
        ),
        Exercise(
            Text("Write a feature by hand: the histogram of gradients.", "手工写一个特征：梯度方向直方图。"),
            edge_histogram,
            ((RAMP, 4), (IMAGE, 4), (IMAGE.T, 3), (IMAGE**2, 6)),
            [1.0, 0.0, 0.0, 0.0],
            (
                Mistake(
                    lambda image, bins: (
                        np.histogram(np.arctan2(*np.gradient(image)) % np.pi, bins, (0, np.pi))[0] / image.size
                    ),
                    "each pixel counts with the length of its gradient: use weights",
                ),
                Mistake(
                    lambda image, bins: _histogram(image, bins, 2 * np.pi),
                    "an edge from dark to light and one from light to dark are the same: take the direction modulo pi",
                ),
                Mistake(
                    lambda image, bins: edge_histogram(np.asarray(image).T, bins), "arctan2 takes dy first, then dx"
                ),
                Mistake(
                    lambda image, bins: edge_histogram(image, bins) * np.hypot(*np.gradient(image)).sum(),
                    "divide by the sum, so that bright and dark images compare",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The comparison of the course: with little data deep learning is about as good as classical methods; its "
        "strength shows with more.",
        "对应课程中的比较：数据不多时，深度学习与传统方法差不多；数据多了才显出优势。",
    ),
    playground="size=20&data=moons&hidden=16,16",
    chinese={
        "test accuracy of * (%)": "* 的测试准确率（%）",
        "test accuracy of the MLP with few examples (%)": "样本很少时 MLP 的测试准确率（%）",
        "best of the classical learners with few examples (%)": "样本很少时传统算法的最高准确率（%）",
        "test accuracy of the MLP (%)": "MLP 的测试准确率（%）",
        "best of the classical learners (%)": "传统算法的最高准确率（%）",
        "test accuracy of * with at most * examples (%)": "* 的测试准确率，至多 * 个样本（%）",
        "linear, raw pixels (%)": "线性，原始像素（%）",
        "linear, hand-made features (%)": "线性，手工特征（%）",
        "MLP, raw pixels (%)": "MLP，原始像素（%）",
        "number of hand-made features": "手工特征的个数",
        "Test accuracy on digits (CIFAR-10 needs to be prepared, and a run without --quick)": "手写数字上的测试准确率（"
        "要用 CIFAR-10，需先准备好数据，运行时不加 --quick）",
        "Test accuracy on cifar10; *": "CIFAR-10 上的测试准确率；*",
        "RBF-SVM at most * examples; the classical learners get * principal components, fitted on at most *": "RBF-SVM "
        "至多用 * 个样本；传统算法的输入是前 * 个主成分，由至多 * 个样本求得",
        "examples": "样本数",
        "linear": "线性",
        "random forest": "随机森林",
        "total seconds": "总秒数",
        "not run": "未运行",
        "data scale": "准确率与样本数",
        "detectors": "隐藏单元学到的检测器",
        "sizes": "24 种样本数下的准确率",
    },
)
