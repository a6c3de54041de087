"""What the lesson that builds a network by hand teaches."""

from __future__ import annotations

import math

import numpy as np

from experiments.lessons.teaching import Drawing, Exercise, Formula, Mistake, Question, Teaching, Text, by_hand_bare
from experiments.lessons.teaching import idea_drawing as draw


def steps_of(examples, batch_size, epochs):
    """The number of iterations of a training; the last, incomplete batch of an epoch is left out. Returns a number."""
    return examples // batch_size * epochs


def train(x, y, W, rate, steps):
    """Full-batch gradient descent of a linear softmax classifier without bias: x[N, D], y[N], W[C, D]. Returns W."""
    W = np.array(W, float)
    for _ in range(steps):
        s = x @ W.T
        p = np.exp(s - s.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(y)), y] -= 1
        W = W - rate * p.T @ x / len(y)
    return W


def _train(x, y, W, rate, steps, mean=True, subtract=True, sign=-1.0, fresh=True):
    W, first = np.array(W, float), np.array(W, float)
    for _ in range(steps):
        s = x @ (W if fresh else first).T
        p = np.exp(s - s.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        if subtract:
            p[np.arange(len(y)), y] -= 1
        W = W + sign * rate * p.T @ x / (len(y) if mean else 1)
    return W


X, Y = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]]), np.array([0, 1, 1])

TEACHING = Teaching(
    builds_on=("optimization", "backpropagation", "initialization"),
    idea=Text(
        "A network and its training fit into forty lines when a library computes the gradient. Parameters are two "
        "matrices and two vectors. The score function is three lines. The loss is one. `jax.grad` turns the loss "
        "into the function that computes its gradient, optax turns a gradient into an update, and the rest is a "
        "loop: take the next batch, compute the gradient, update, repeat.\n\n"
        "Here three words get their meaning. An iteration is one turn of the loop, with one batch. An epoch is over "
        "when every example has been used once: N / B iterations. Nothing else happens in `training.fit`. It does "
        "the same in one compiled program, and because both draw the same batches in the same order, they end with "
        "the same weights to the last digits that rounding leaves.",
        "有了能求梯度的库，一个网络加上它的训练只需四十行。参数是两个矩阵和两个向量；得分函数三行；损失一行；"
        "`jax.grad` 把损失函数变成求梯度的函数；optax 把梯度变成更新量；剩下的就是一个循环：取下一个批次，求梯度，更"
        "新，再来一次。\n\n"
        "三个词在这里有了确切的含义。循环转一圈、用一个批次，叫一次迭代；所有样本都用过一遍，叫一轮（epoch），共 N / "
        "B 次迭代。`training.fit` 里也没有别的东西：它在一个编译好的程序里做同样的事。由于两者以同样的顺序取同样的批"
        "次，最后得到的权重也相同，只差舍入误差。",
    ),
    drawing=Drawing(
        132,
        Text(
            "A row of examples divided into five batches. Each batch is one iteration: gradient, then update. All "
            "five together are one epoch; then it starts again.",
            "一行样本分成五个批次。每个批次一次迭代：求梯度，再更新。五个批次合起来是一轮，然后从头再来。",
        ),
        [
            *(
                draw.box(4 + 70 * i, 40, 66, 26, Text(f"batch {i + 1}", f"批次 {i + 1}"), "a" if i == 1 else "")
                for i in range(5)
            ),
            draw.line(((4, 30), (4, 24), (350, 24), (350, 30)), "soft"),
            draw.words(177, 16, Text("one epoch: all N examples once", "一轮：N 个样本各用一次")),
            draw.arrow((107, 68), (107, 92), "a"),
            draw.box(20, 95, 174, 28, Text("gradient, then update", "求梯度，再更新"), "a"),
            draw.words(276, 106, Text("one iteration:", "一次迭代："), "a"),
            draw.words(276, 122, Text("one batch, one update", "一个批次，一次更新"), "a"),
        ],
    ),
    formulas=(
        Formula(
            r"\mathrm{iterations} = \mathrm{epochs} \cdot \left\lfloor \frac{N}{B} \right\rfloor, \qquad W "
            r"\leftarrow W + u(\nabla L_B)",
            (
                ("N", Text("training examples", "训练样本数"), "[]"),
                ("B", Text("batch size", "批量大小"), "[]"),
                ("u", Text("optimizer: from gradient to update", "优化器：由梯度得到更新量"), ""),
            ),
        ),
    ),
    code=(by_hand_bare.train,),
    question=Question(
        Text(
            "1,295 examples, batches of 64, 10 epochs, incomplete batches left out: how many times are the weights "
            "updated?",
            "1295 个样本，批量大小 64，训练 10 轮，不满一批的部分舍去。权重一共更新多少次？",
        ),
        (Text("10", "10 次"), Text("200", "200 次"), Text("12,950", "12950 次")),
        1,
        Text(
            "20 batches an epoch, {iterations counted in the loop} in all; `training.fit` counted "
            "{iterations counted by training.fit}. The largest difference between the weights of the two is "
            "{largest difference of a weight}.",
            "每轮 20 个批次，共 {iterations counted in the loop} 次；`training.fit` 数到 "
            "{iterations counted by training.fit} 次。两者的权重最多相差 {largest difference of a weight}。",
        ),
    ),
    exercises=(
        Exercise(
            Text("Write the number of iterations of a training.", "写出训练的迭代次数。"),
            steps_of,
            ((1295, 64, 10), (50000, 256, 3), (100, 100, 7), (99, 10, 1)),
            200,
            (
                Mistake(
                    lambda examples, batch_size, epochs: math.ceil(examples / batch_size) * epochs,
                    "the incomplete batch is left out: round down",
                ),
                Mistake(
                    lambda examples, batch_size, epochs: examples * epochs // batch_size,
                    "round down in every epoch, not at the end",
                ),
                Mistake(lambda examples, batch_size, epochs: examples // batch_size, "this is one epoch"),
                Mistake(
                    lambda examples, batch_size, epochs: examples * epochs,
                    "these are examples: a step takes a whole batch",
                ),
            ),
        ),
        Exercise(
            Text("Write the whole training of a linear classifier in NumPy.", "用 NumPy 写出线性分类器的完整训练。"),
            train,
            ((X, Y, np.zeros((2, 2)), 0.3, 1), (X, Y, np.zeros((2, 2)), 0.5, 5), (X, Y, np.eye(2), 0.2, 3)),
            [[0.1, -0.15], [-0.1, 0.15]],
            (
                Mistake(lambda *a: _train(*a, mean=False), "the gradient is the mean over the examples: divide by N"),
                Mistake(
                    lambda *a: _train(*a, subtract=False),
                    "the gradient for the scores is p minus 1 at the correct class",
                ),
                Mistake(lambda *a: _train(*a, sign=1.0), "the step goes against the gradient"),
                Mistake(lambda *a: _train(*a, fresh=False), "compute the scores with the current W in every step"),
                Mistake(
                    lambda x, y, W, rate, steps: train(x, y, W, rate, 1), "the loop is missing: repeat `steps` times"
                ),
            ),
        ),
    ),
    reproduces=Text(
        "The hands-on network of the course, from data to trained weights.",
        "对应课程中的“动手实现神经网络模型”：从数据到训练好的权重。",
    ),
    playground="hidden=32&batch_size=64&learning_rate=0.1",
    chinese={
        "lines of code": "代码行数",
        "iterations counted in the loop": "循环中数到的迭代次数",
        "iterations counted by training.fit": "training.fit 数到的迭代次数",
        "epochs times N / B": "轮数乘以 N / B",
        "largest difference of a weight": "权重的最大差异",
        "largest difference of the loss of an epoch": "每轮损失的最大差异",
        "test accuracy, by hand": "测试准确率，手写",
        "test accuracy, training.fit": "测试准确率，training.fit",
        "Iterations of one epoch of * examples": "* 个样本一轮的迭代次数",
        "batch size": "批量大小",
        "iterations": "迭代次数",
        "examples left out": "舍去的样本数",
        "losses": "两条损失曲线",
    },
)
