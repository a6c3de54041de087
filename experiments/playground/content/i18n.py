"""The texts of the page in both languages."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str


_WORDS = {
    "preset": ("Presets", "预设"),
    "play": ("Play", "播放"),
    "pause": ("Pause", "暂停"),
    "step": ("Step", "一步"),
    "epoch": ("Epoch", "一轮"),
    "reset": ("Reset", "重置"),
    "speed": ("Steps per second", "每秒步数"),
    "data": ("Data", "数据"),
    "size": ("Points", "点数"),
    "noise": ("Noise", "噪声"),
    "train_share": ("Train fraction", "训练比例"),
    "classes": ("Classes", "类别数"),
    "data_seed": ("Data seed", "数据种子"),
    "regenerate": ("Regenerate", "重新生成"),
    "new_class": ("Click adds class", "点击添加类别"),
    "delete": ("Delete selected", "删除所选"),
    "clear": ("Clear all", "全部清除"),
    "features": ("Inputs", "输入"),
    "activation": ("Activation", "激活函数"),
    "init": ("Initial weights", "参数初始化"),
    "dropout": ("Dropout", "Dropout"),
    "loss": ("Loss", "损失函数"),
    "l1": ("L1", "L1"),
    "l2": ("L2", "L2"),
    "optimizer": ("Optimizer", "优化器"),
    "learning_rate": ("Learning rate", "学习率"),
    "momentum": ("Momentum", "动量"),
    "batch_size": ("Batch size", "批量大小"),
    "seed": ("Seed", "种子"),
    "many": ("Networks", "网络数"),
    "warp_layer": ("Layer", "网络层"),
    "axis_1": ("Across", "横轴"),
    "axis_2": ("Up", "纵轴"),
    "axis_3": ("Third", "第三轴"),
    "turn": ("Turn", "旋转"),
    "tests": ("Test points", "测试点"),
    "discrete": ("Discretize", "离散显示"),
    "link": ("Link to this", "复制链接"),
    "link_weights": ("Link with weights", "复制带权重的链接"),
    "save": ("Save model", "保存模型"),
    "save_csv": ("Save points", "保存数据"),
    "language": ("中文", "English"),
    "compiling": ("compiling …", "编译中……"),
    "diverged": ("Diverged: lower the learning rate, then reset.", "已发散：降低学习率后重置。"),
    "steps": ("step {step:,} · epoch {epoch:,.1f}", "第 {step:,} 步 · 第 {epoch:,.1f} 轮"),
    "losses": ("loss: training {0}, test {1}", "损失：训练 {0}，测试 {1}"),
    "accuracies": ("accuracy: training {0}, test {1}", "准确率：训练 {0}，测试 {1}"),
    "dead": ("constant neurons: {0}", "输出恒定的神经元：{0}"),
    "none": ("none", "无"),
    "inputs": ("Inputs", "输入"),
    "hidden": ("Hidden {0}", "隐藏层 {0}"),
    "scores": ("Scores", "得分"),
    "empty": ("There are no training points: click the plane to add some.", "没有训练点：点击平面添加。"),
    "legend_class": ("class {0}", "类别 {0}"),
    "legend_points": ("● training ◉ test (white dot)", "● 训练点 ◉ 测试点（白点）"),
    "legend_signed": ("{0} negative {1} positive", "{0} 负 {1} 正"),
    "own": ("own points", "自己的点"),
    "too_many": ("Weights can be linked or saved for one network only.", "只有单个网络的权重可以保存。"),
    "circle": ("Circle", "圆"),
    "spiral": ("Spiral", "螺旋"),
    "xor": ("XOR", "异或"),
    "gauss": ("Gauss", "高斯"),
    "moons": ("Moons", "月牙"),
    "simple": ("Simple", "简单"),
    "random": ("Random", "随机"),
    "plane": ("Plane (values)", "平面数值"),
    "hills": ("Gauss (values)", "高斯数值"),
    "leaky_relu": ("leaky relu", "leaky relu"),
    "linear": ("linear", "线性"),
    "normal": ("0.01 · randn", "0.01 · randn"),
    "zeros": ("zeros", "全零"),
    "svm": ("SVM", "SVM"),
    "squared": ("squared", "平方"),
    "one": ("One", "一个"),
    "seeds": ("16 seeds", "16 个种子"),
    "widths": ("5 widths", "5 种宽度"),
    "penalty": ("penalty: {0} = L1 · Σ|W| + L2 · ΣW²", "惩罚项：{0} = L1 · Σ|W| + L2 · ΣW²"),
    "dropped": (
        "each step drops {0} of the hidden values and multiplies the others by {1}",
        "每一步丢弃 {0} 的隐藏值，其余乘以 {1}",
    ),
    "negative": ("negative", "负"),
    "positive": ("positive", "正"),
    "layers": ("Hidden layers", "隐藏层"),
    "add_layer": ("Add a hidden layer", "增加隐藏层"),
    "remove_layer": ("Remove the last hidden layer", "去掉最后一个隐藏层"),
    "add_neuron": ("add a neuron", "增加一个神经元"),
    "remove_neuron": ("remove a neuron", "去掉一个神经元"),
    "copied": ("The link was copied.", "链接已复制。"),
    "in_the_bar": ("The link is in the address bar.", "链接在地址栏中。"),
    "regions_alt": ("The plane as the network sees it, with the points", "网络眼中的平面与数据点"),
    "net_alt": (
        "The network: a picture for each neuron, a line for each weight",
        "网络：每个神经元一幅小图，每个权重一条线",
    ),
    "losses_alt": ("Loss against steps", "损失随步数的变化"),
    "accuracy_alt": ("Accuracy against steps", "准确率随步数的变化"),
}


_TIPS = {
    "play": ("Train, or pause (Space)", "训练或暂停（空格）"),
    "step": ("One batch (s)", "训练一个批次（s）"),
    "epoch": ("Once through the training points (e)", "遍历训练点一次（e）"),
    "reset": ("Back to the initial weights of the seed (r)", "回到该种子的初始权重（r）"),
    "speed": ("At most so many steps a second; max is as fast as this computer can", "每秒最多训练的步数"),
    "data": ("Which points to learn; (values) are regression", "要学习的点；“数值”是回归问题"),
    "size": ("Training and test points together", "训练点与测试点总数"),
    "noise": ("Moves the points, in units of the radius of the set", "点的扰动，以数据集半径为单位"),
    "train_share": ("Fraction of the points that is trained on; the others test", "用于训练的比例，其余用于测试"),
    "classes": ("Number of classes, of spiral, Gauss and random", "类别数（螺旋、高斯、随机）"),
    "data_seed": ("Another seed, other points", "换一个种子，换一组点"),
    "regenerate": ("New points of the same kind", "重新抽取同类的点"),
    "new_class": ("Class of points added by a click (keys 1 to 5)", "点击添加的点的类别（数字键 1–5）"),
    "delete": ("Delete the point that was clicked", "删除选中的点"),
    "clear": ("Delete all points", "删除所有点"),
    "features": ("Functions of the point that the network sees", "网络看到的输入特征"),
    "activation": ("What each hidden neuron applies to its weighted sum", "隐藏神经元的激活函数"),
    "init": ("How the weights are drawn before training", "训练前权重的抽取方式"),
    "many": ("Train one network, or several side by side", "训练一个网络或同时训练多个"),
    "loss": ("What training makes small", "训练所减小的量"),
    "optimizer": ("How a gradient becomes a step", "如何由梯度得到一步更新"),
    "learning_rate": ("Length of a step, from 0 to 10", "步长，0 到 10"),
    "momentum": ("Fraction of the last step that goes on, for sgd and nesterov", "保留上一步的比例（sgd、nesterov）"),
    "batch_size": ("Points per step", "每一步使用的点数"),
    "l1": ("Penalty on the absolute weights", "权重绝对值之和的惩罚系数"),
    "l2": ("Penalty on the squared weights", "权重平方和的惩罚系数"),
    "dropout": ("Fraction of hidden values dropped in training", "训练时丢弃的隐藏值比例"),
    "seed": ("Of the initial weights, the batches and dropout", "初始权重、批次与 Dropout 的种子"),
    "warp_layer": ("The layer whose neurons are the axes", "以其神经元为坐标轴的层"),
    "axis_1": ("Neuron along the horizontal axis", "横轴的神经元"),
    "axis_2": ("Neuron along the vertical axis", "纵轴的神经元"),
    "axis_3": ("Neuron along the third axis, or none", "第三轴的神经元（可无）"),
    "turn": ("Turn the three axes", "旋转三个坐标轴"),
    "view": ("What the plane shows", "平面上显示什么"),
    "link": ("Copy a link that restores these settings and points", "复制可恢复设置与点的链接"),
    "link_weights": ("Copy a link that also holds the weights", "复制还含有权重的链接"),
    "save": ("Settings, points and weights as a JSON file", "将设置、点和权重存为 JSON 文件"),
    "save_csv": ("The points as a CSV file", "将点存为 CSV 文件"),
    "language": ("Change the language", "切换语言"),
}


def word(name: str, language: str) -> str:
    """The text of a name in a language, en or zh; names without a text stand for themselves."""
    return getattr(Text(*_WORDS[name]), language) if name in _WORDS else name


def words(language: str) -> dict[str, str]:
    """All texts in a language, by their names."""
    return {name: word(name, language) for name in _WORDS}


def tips(language: str) -> dict[str, str]:
    """What each control is for, by its name."""
    return {name: getattr(Text(*text), language) for name, text in _TIPS.items()}
