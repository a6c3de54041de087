"""What the lesson on the data set teaches."""

from __future__ import annotations

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text
from experiments.lessons.teaching import idea_drawing as draw
from jaxnn.data import preprocess


def class_means(images, labels, classes):
    """The mean image of each class: images[N, D], labels[N], number of classes. Returns [classes, D]."""
    return np.stack([np.asarray(images, float)[labels == c].mean(0) for c in range(classes)])


def split(count, share, seed):
    """Rows of a random training and validation split. Returns [count] row numbers, the validation rows last.

    Use `np.random.default_rng(seed).permutation(count)`; `share` is the part of the rows for validation.
    Sort the rows within both parts.
    """
    order = np.random.default_rng(seed).permutation(count)
    first = count - round(share * count)
    return np.concatenate([np.sort(order[:first]), np.sort(order[first:])])


IMAGES, LABELS = np.array([[0, 0], [2, 4], [10, 6], [14, 8]]), np.array([0, 0, 1, 1])
MORE = np.arange(24).reshape(6, 4) ** 2 % 17

TEACHING = Teaching(
    builds_on=(),
    idea=Text(
        "A classifier learns from examples with known answers. Before any model is trained, it pays to look at them: "
        "how many are there, how are they spread over the classes, which values do the pixels take? The examples are "
        "divided: the network learns from the training split, settings are chosen on the validation split, and the "
        "test split is read once, at the end. Statistics such as mean and standard deviation come from the training "
        "split alone.\n\n"
        "CIFAR-10 holds 60,000 pictures of 32 x 32 pixels and fits on any laptop; ImageNet holds more than a million "
        "and a thousand classes. What is a picture to us is a row of numbers to the network, and the same is true of "
        "other data: a line of text becomes a row of counts, one per character, and can be classified by the same "
        "function.",
        "分类器从带有答案的样本中学习。训练之前先看看数据总是值得的：一共多少张，各类别分布如何，像素取哪些值？样本要"
        "分成几份：网络从训练集学习，设置在验证集上挑选，测试集只在最后用一次。均值、标准差等统计量只能从训练集计算。"
        "\n\n"
        "CIFAR-10 有 6 万张 32 × 32 像素的图片，普通笔记本电脑就放得下；ImageNet 有一百多万张、一千个类别。在我们眼里"
        "是图片，在网络看来只是一行数。别的数据也一样：把一行文字变成各个字符出现的次数，就可以交给同一个函数去分类。",
    ),
    drawing=Drawing(
        72,
        Text(
            "All examples in a row, divided into a large part for training, and two small ones for validation and "
            "test.",
            "所有样本排成一行，分成三份：大的一份用于训练，两份小的分别用于验证和测试。",
        ),
        [
            draw.box(2, 22, 208, 30, Text("training: learn", "训练集：学习"), "a"),
            draw.box(212, 22, 80, 30, Text("validation", "验证集")),
            draw.box(294, 22, 62, 30, Text("test", "测试集"), "b"),
            draw.words(106, 14, Text("all examples", "全部样本"), "soft"),
            draw.words(252, 68, Text("choose", "挑选设置"), "soft"),
            draw.words(325, 68, Text("once", "只用一次"), "soft"),
        ],
    ),
    formulas=(
        Formula(
            r"\mu = \frac{1}{N} \sum_{n=1}^{N} x_n, \qquad \sigma = \sqrt{\frac{1}{N} \sum_{n=1}^{N} (x_n - \mu)^2}",
            (
                ("x_n", Text("values of one color of the training pictures", "训练图片中某一颜色的像素值"), "[N]"),
                (r"\mu", Text("their mean", "均值"), "[]"),
                (r"\sigma", Text("their standard deviation", "标准差"), "[]"),
            ),
        ),
    ),
    code=(preprocess.fit_moments,),
    question=Question(
        Text(
            "Average all pictures of each class, and classify a new picture by the nearest of these ten mean "
            "pictures. How good is that compared with guessing?",
            "把每个类别的图片取平均，得到十张平均图，再按“离哪张平均图最近”给新图片分类。与随机猜测相比怎么样？",
        ),
        (
            Text("No better than guessing", "不比猜测好"),
            Text("Far better than guessing", "远好于猜测"),
            Text("Perfect", "完全正确"),
        ),
        1,
        Text(
            "The nearest mean picture is right for the fraction {accuracy of the nearest mean image} of the test "
            "pictures, guessing for {accuracy of always predicting the most frequent class}. A new method should be "
            "compared with such a simple one first.",
            "最近平均图的准确率为 {accuracy of the nearest mean image}，猜测为 "
            "{accuracy of always predicting the most frequent class}。提出新方法时，应先与这样的简单方法比较。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the mean picture of each class.", "写出每个类别的平均图片。"),
            class_means,
            ((IMAGES, LABELS, 2), (MORE, np.array([1, 0, 1, 2, 2, 2]), 3)),
            [[1.0, 2.0], [12.0, 7.0]],
            (
                Mistake(
                    lambda images, labels, classes: np.stack([images[labels == c].sum(0) for c in range(classes)]),
                    "this is the sum: divide by the number of pictures of the class",
                ),
                Mistake(
                    lambda images, labels, classes: np.stack(
                        [images[labels == c].sum(0) / len(images) for c in range(classes)]
                    ),
                    "divide by the number of pictures of the class, not of all",
                ),
                Mistake(
                    lambda images, labels, classes: np.array([images[labels == c].mean() for c in range(classes)]),
                    "the mean is taken over the pictures, not over the pixels: use axis 0",
                ),
                Mistake(
                    lambda images, labels, classes: np.stack(
                        [images[labels == c].mean(0).astype(int) for c in range(classes)]
                    ),
                    "the mean of whole numbers is not a whole number: do not cast it back",
                ),
            ),
        ),
        Exercise(
            Text("Write a random split into training and validation rows.", "写出训练集与验证集的随机划分。"),
            split,
            ((10, 0.2, 0), (25, 0.4, 3), (7, 0.5, 1)),
            [0, 2, 3, 4, 5, 6, 7, 9, 1, 8],
            (
                Mistake(
                    lambda count, share, seed: np.arange(count),
                    "the rows are not shuffled: a file is often sorted by class",
                ),
                Mistake(
                    lambda count, share, seed: np.random.default_rng(seed).permutation(count),
                    "sort the rows within both parts",
                ),
                Mistake(
                    lambda count, share, seed: split(count, 1 - share, seed),
                    "`share` is the validation part, not the training part",
                ),
                Mistake(
                    lambda count, share, seed: np.roll(split(count, share, seed), round(share * count)),
                    "the validation rows come last",
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The section on data sets: CIFAR-10 for a laptop, ImageNet beside it; and pictures and text as inputs.",
        "对应课程中“数据集”与“应用”两节：适合笔记本电脑的 CIFAR-10 与规模大得多的 ImageNet，图像与文本作为输入。",
    ),
    chinese={
        "training examples": "训练样本数",
        "test examples": "测试样本数",
        "classes": "类别数",
        "largest difference of a class fraction": "类别比例的最大差异",
        "mean": "均值",
        "standard deviation": "标准差",
        "largest error of the fit": "拟合的最大误差",
        "shift of the test split in standard deviations": "测试集均值的偏移（以标准差为单位）",
        "accuracy of the nearest mean image": "最近平均图的准确率",
        "accuracy of always predicting the most frequent class": "总猜最常见类别的准确率",
        "lines for training": "训练用的行数",
        "lines for testing": "测试用的行数",
        "test accuracy on lines of text": "文本行的测试准确率",
        "accuracy of guessing": "猜测的准确率",
        "*: pixel values 0 to *": "*：像素值 0 到 *",
        "split": "划分",
        "images": "图片数",
        "channel": "通道",
        "std": "标准差",
        "training": "训练集",
        "test": "测试集",
        "Two image sets in numbers": "两个图像数据集的规模",
        "data set": "数据集",
        "pictures for training": "训练图片数",
        "pixels": "像素",
        "GB as bytes": "每像素一字节（GB）",
        "GB as float32": "float32（GB）",
        "weights of a linear classifier": "线性分类器的权重数",
        "size ratio of ImageNet to CIFAR-10": "ImageNet 与 CIFAR-10 的大小之比",
        "CIFAR-10 in float32 (GB)": "CIFAR-10 的 float32 大小（GB）",
        "ImageNet in float32 (GB)": "ImageNet 的 float32 大小（GB）",
        "samples": "每类样例",
        "counts": "各类别数量",
        "means": "平均图片",
    },
)
