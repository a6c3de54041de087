"""The texts of the page in both languages."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str


_WORDS = {
    "preset": ("Preset", "预设"),
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
    "layers": ("Hidden layers", "隐藏层数"),
    "layer": ("Layer", "层"),
    "activation": ("Activation", "激活函数"),
    "init": ("Initial weights", "参数初始化"),
    "dropout": ("Dropout", "Dropout"),
    "loss": ("Loss", "损失函数"),
    "l1": ("L1", "L1"),
    "l2": ("L2", "L2"),
    "optimizer": ("Optimizer", "优化器"),
    "learning_rate": ("Learning rate", "学习率"),
    "momentum": ("Momentum", "动量"),
    "batch_size": ("Batch size", "批量"),
    "seed": ("Seed", "种子"),
    "many": ("Networks", "网络数"),
    "weight": ("Click a link or a neuron", "点击连线或神经元"),
    "weight_of": ("Weight", "权重"),
    "bias_of": ("Bias", "偏置"),
    "warp_layer": ("Layer", "层"),
    "axis_1": ("Across", "横轴"),
    "axis_2": ("Up", "纵轴"),
    "axis_3": ("Third", "第三轴"),
    "turn": ("Turn", "旋转"),
    "link": ("Link to this", "链接"),
    "link_weights": ("Link with weights", "带权重的链接"),
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
}


def word(name: str, language: str) -> str:
    """The text of a name in a language, en or zh; names without a text stand for themselves."""
    return getattr(Text(*_WORDS[name]), language) if name in _WORDS else name
