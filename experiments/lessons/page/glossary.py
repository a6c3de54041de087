"""The terms of the course in both languages, each with its meaning and the lesson that explains it."""

from __future__ import annotations

from experiments.lessons.teaching import Text

T = Text
TERMS: tuple[tuple[Text, Text, str], ...] = (
    (
        T("activation function", "激活函数"),
        T("The non-linear function applied to every value of a hidden layer.", "对隐藏层每个值施加的非线性函数。"),
        "activations",
    ),
    (
        T("back-propagation", "反向传播"),
        T(
            "Computing all partial derivatives of the loss in one pass from the loss back to the inputs.",
            "从损失出发反向走一遍，算出损失对所有参数的偏导数。",
        ),
        "backpropagation",
    ),
    (
        T("batch", "批次"),
        T("The examples of one step; their number is the batch size.", "一步更新所用的样本；其个数称为批量大小。"),
        "optimization",
    ),
    (T("bias", "偏置"), T("The number added to a weighted sum.", "加在加权和上的常数。"), "score_function"),
    (
        T("capacity", "模型容量"),
        T("How complicated a function a model can represent.", "模型能表示多复杂的函数。"),
        "capacity",
    ),
    (
        T("cross-entropy", "交叉熵"),
        T(
            "Minus the logarithm of the probability given to the correct class: the softmax loss.",
            "正确类别概率的负对数，即 softmax 损失。",
        ),
        "losses",
    ),
    (
        T("data set", "数据集"),
        T(
            "Examples with labels, split into training, validation and test examples.",
            "带标签的样本，分为训练集、验证集和测试集。",
        ),
        "dataset",
    ),
    (
        T("dropout", "Dropout（随机失活）"),
        T("Setting random hidden values to zero during training.", "训练时随机把一部分隐藏值置零。"),
        "dropout",
    ),
    (
        T("epoch", "轮（epoch）"),
        T("One pass over all training examples: N / B steps.", "把全部训练样本过一遍，共 N / B 步。"),
        "by_hand",
    ),
    (
        T("feature", "特征"),
        T(
            "A number that describes an example; made by hand or learned.",
            "描述样本的一个数，可人工设计，也可由网络学得。",
        ),
        "data_scale",
    ),
    (
        T("forward pass", "前向传播"),
        T("Computing scores and loss from inputs and weights.", "由输入和权重算出得分与损失。"),
        "forward_pass",
    ),
    (
        T("fully connected layer", "全连接层"),
        T(
            "A layer in which every input reaches every output through a weight.",
            "每个输入都经由一个权重连到每个输出的层。",
        ),
        "network",
    ),
    (
        T("gradient", "梯度"),
        T(
            "The vector of all partial derivatives; it points in the direction of steepest ascent.",
            "由全部偏导数组成的向量，指向函数上升最快的方向。",
        ),
        "gradient_descent",
    ),
    (
        T("gradient descent", "梯度下降"),
        T("Repeated small steps against the gradient.", "沿梯度的反方向一小步一小步地移动。"),
        "gradient_descent",
    ),
    (
        T("gradient check", "梯度检验"),
        T("Comparing a gradient with difference quotients.", "用差商检验梯度是否正确。"),
        "backpropagation",
    ),
    (
        T("Hessian", "Hessian 矩阵"),
        T(
            "The matrix of second derivatives; its largest eigenvalue L bounds the learning rate by 2 / L.",
            "二阶导数组成的矩阵；其最大特征值 L 给出学习率上限 2 / L。",
        ),
        "optimization",
    ),
    (T("hidden layer", "隐藏层"), T("A layer between the inputs and the scores.", "输入与得分之间的层。"), "network"),
    (
        T("hinge loss", "合页损失"),
        T(
            "The loss of the SVM: zero once the correct class leads by the margin.",
            "SVM 的损失：正确类别领先达到间隔后为零。",
        ),
        "losses",
    ),
    (
        T("hyper-parameter", "超参数"),
        T("A setting chosen before training, such as the learning rate.", "训练前选定的设置，例如学习率。"),
        "optimization",
    ),
    (
        T("initialization", "参数初始化"),
        T("The values of the weights before the first step.", "第一步之前权重的取值。"),
        "initialization",
    ),
    (
        T("iteration", "迭代"),
        T("One step: one batch, one gradient, one update.", "一步：一个批次、一次梯度、一次更新。"),
        "by_hand",
    ),
    (T("label", "标签"), T("The number of the correct class of an example.", "样本正确类别的编号。"), "dataset"),
    (
        T("learning rate", "学习率"),
        T("The factor by which the gradient is multiplied in a step.", "更新时梯度所乘的系数。"),
        "gradient_descent",
    ),
    (
        T("linear function", "线性函数"),
        T(
            "A function that preserves sums and multiples; with a bias it is affine.",
            "保持加法与数乘的函数；加上偏置后称为仿射函数。",
        ),
        "score_function",
    ),
    (
        T("local minimum", "局部极小"),
        T("A point lower than all points near it.", "比附近所有点都低的点。"),
        "gradient_descent",
    ),
    (T("logit", "logit（得分）"), T("A score before softmax.", "softmax 之前的得分。"), "losses"),
    (
        T("loss function", "损失函数"),
        T("A number that says how bad the scores of an example are.", "衡量样本得分有多差的一个数。"),
        "losses",
    ),
    (
        T("margin", "间隔"),
        T("The lead of the correct score that the SVM asks for.", "SVM 要求正确得分领先的量。"),
        "losses",
    ),
    (
        T("momentum", "动量"),
        T("Keeping part of the last update in the next one.", "把上一次更新的一部分带入下一次更新。"),
        "gradient_descent",
    ),
    (
        T("neuron", "神经元"),
        T("A weighted sum, a bias and an activation.", "加权和、偏置与激活函数的组合。"),
        "network",
    ),
    (
        T("normalization", "归一化"),
        T("Bringing features to mean 0 and standard deviation 1.", "使特征均值为 0、标准差为 1。"),
        "preprocessing",
    ),
    (
        T("optimizer", "优化器"),
        T("The rule that turns gradients into updates.", "把梯度变成参数更新量的规则。"),
        "optimization",
    ),
    (
        T("overfitting", "过拟合"),
        T("Doing well on the training examples and badly on new ones.", "在训练样本上表现好，在新样本上表现差。"),
        "overfitting",
    ),
    (
        T("parameter", "参数"),
        T("A number that training changes: a weight or a bias.", "训练所改变的数：权重或偏置。"),
        "network",
    ),
    (
        T("partial derivative", "偏导数"),
        T("The slope along one variable while the others are held fixed.", "其余变量固定时沿某一变量的斜率。"),
        "gradient_descent",
    ),
    (
        T("PCA", "主成分分析（PCA）"),
        T("Rotating the data to the directions of largest variance.", "把数据旋转到方差最大的方向上。"),
        "preprocessing",
    ),
    (
        T("regularization", "正则化"),
        T("Adding a penalty on the weights to the loss.", "在损失中加入对权重的惩罚项。"),
        "regularization",
    ),
    (T("ReLU", "ReLU"), T("max(0, z).", "max(0, z)。"), "activations"),
    (
        T("score function", "得分函数"),
        T("The function from an input to one score per class.", "由输入得到每个类别得分的函数。"),
        "score_function",
    ),
    (
        T("sigmoid", "Sigmoid"),
        T("1 / (1 + exp(-z)); saturates on both sides.", "1 / (1 + exp(-z))，两端饱和。"),
        "activations",
    ),
    (
        T("softmax", "softmax"),
        T("Exponentials of the scores, divided by their sum: probabilities.", "得分取指数后除以总和，得到概率。"),
        "losses",
    ),
    (
        T("stochastic gradient descent", "随机梯度下降（SGD）"),
        T("Gradient descent with the gradient of a batch.", "用一个批次的梯度做梯度下降。"),
        "optimization",
    ),
    (
        T("temperature", "温度"),
        T("The number by which scores are divided before softmax.", "softmax 之前除得分的数。"),
        "losses",
    ),
    (
        T("underfitting", "欠拟合"),
        T("A model too simple to learn even its training examples.", "模型过于简单，连训练样本也学不好。"),
        "overfitting",
    ),
    (
        T("vanishing gradient", "梯度消失"),
        T(
            "A gradient that shrinks from layer to layer until early layers learn nothing.",
            "梯度逐层缩小，前面的层几乎学不到东西。",
        ),
        "activations",
    ),
    (T("weight", "权重"), T("The factor of an input in a weighted sum.", "加权和中某个输入的系数。"), "score_function"),
    (
        T("whitening", "白化"),
        T("PCA followed by scaling every direction to variance 1.", "PCA 之后把每个方向缩放为方差 1。"),
        "preprocessing",
    ),
)
