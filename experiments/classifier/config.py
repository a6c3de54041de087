"""What a training run is, as typed settings, and the task, data and statistics that follow from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

Preprocessing = Literal["none", "center", "standardize", "standardize-channel", "standardize-global", "pca", "whiten"]
ModelName = Literal["linear", "mlp", "cnn", "cnn-large"]
ImageChange = Literal["flip", "crop", "cutout", "mixup"]


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of a training run. Those left out depend on the dataset and the model (see `DEFAULTS`)."""

    dataset: str = "digits"
    """digits, cifar10, another TFDS image set (mnist, fashion_mnist, cifar100, ...), or a 2-D set: circle, spiral,
    moons, xor, gauss. Your own: folder:PATH (one folder of images for each class), csv:FILE with --label, npz:FILE."""
    label: str | None = None
    """Of csv:FILE: the column of the classes; all others are inputs."""
    image_size: int | None = None
    """Of folder:PATH: pixels of each side; by default the images' own size if they share one, else 32."""
    strict: bool = False
    """Refuse files and rows of your own data that cannot be read, in place of skipping them."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets; by default TFDS_DATA_DIR, then ~/tensorflow_datasets."""
    memory_share: float = 0.5
    """A prepared TFDS image set that takes more than this share of the memory when it is decoded is not: its images are
    read and decoded while the training goes on. 0 does so with any such set."""
    model: ModelName = "mlp"
    """The linear classifier f(x) = Wx + b, a fully connected network, or a convolutional one for images: cnn is small
    enough for a CPU, cnn-large a residual one for a GPU."""
    hidden: tuple[int, ...] | None = None
    """Neurons of each hidden layer of the mlp; channels of each stage of a cnn."""
    activation: Literal["sigmoid", "tanh", "relu", "leaky_relu", "gelu"] = "relu"
    """Activation of the hidden layers."""
    dropout: float | None = None
    """Share of the hidden values that is dropped in training."""
    input_dropout: float = 0.0
    """Share of the inputs that is dropped in training."""
    normalize: bool = False
    """Normalize the values of each hidden layer, example by example (layer normalization)."""
    normalize_inputs: bool = False
    """Normalize the inputs of the network as well, example by example, after the preprocessing."""
    init: Literal["normal", "xavier", "he", "zeros"] | None = None
    """Rule for the initial weights; normal is 0.01 * randn."""
    loss: Literal["softmax", "svm"] = "softmax"
    """Softmax cross-entropy, or the multiclass SVM loss (sum over the wrong classes)."""
    smoothing: float = 0.0
    """Label smoothing of the softmax loss."""
    l2: float | None = None
    """Factor of the penalty, the sum of the squared weights."""
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "sgd"
    """The update rule."""
    weight_decay: float | None = None
    """Of adamw, 1e-4 by default: each step also shrinks the weights by learning rate x weight decay."""
    beta_lasso: float = 0.0
    """Of sgd: the factor of an L1 penalty whose steps also set small weights to zero (beta-LASSO), such as 1e-6."""
    average: float = 0.0
    """Evaluate and keep the mean of the parameters over the last 1 / (1 - average) steps or so, such as 0.999."""
    learning_rate: float | None = None
    """The step size; its peak, where a schedule changes it."""
    schedule: Literal["constant", "cosine", "one-cycle"] = "cosine"
    """How the learning rate changes over the run: not at all, down to 0 on a cosine, or up and down."""
    momentum: float = 0.9
    """Momentum of sgd; 0 for plain gradient descent."""
    batch_size: int | None = None
    """Examples per step."""
    epochs: int | None = None
    """How often to go through the training examples."""
    augment: tuple[ImageChange, ...] = ()
    """Random changes of the training images, in this order: flip, crop, cutout, mixup."""
    mirror: bool = False
    """In evaluation, take the mean of the scores of each image and of its mirror image."""
    preprocess: Preprocessing | None = None
    """What is done to the inputs; standardize is per pixel. Fitted on the training examples only."""
    components: int | None = None
    """How many principal components pca and whiten keep; all of them by default."""
    whiten_epsilon: float | None = None
    """Of whiten, 1e-5 by default: is added to the variances, in the squared units of the inputs (of images, steps of
    0 to 255), and so damps the directions of a smaller variance, which are mostly noise."""
    validation_share: float = 0.1
    """Share of the training examples that is kept apart for validation."""
    early_stopping: int | None = None
    """Stop after so many epochs without a better validation accuracy, and keep the best epoch's parameters."""
    seed: int = 0
    """Decides the validation split, the initial weights, the order of the examples, dropout and augmentation."""
    device: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to train."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products; bfloat16 pays on GPUs and TPUs. Parameters, sums and losses stay float32."""
    out: Path | None = None
    """Folder for the results; must not hold any yet. By default a dated folder under runs/."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """When a gradient is NaN or infinite: stop at that step, or leave its update out (10 in a row stop as well)."""
    resume: Path | None = None
    """Go on with the run in this folder, from its newest good checkpoint and with its settings: it ends as if it had
    never been stopped. Only --device, --data-dir, --rescue and the --checkpoint options may be given along with it."""
    checkpoint_every: int | None = None
    """Write a checkpoint every so many epochs, into the folder checkpoints of the results."""
    checkpoint_minutes: float = 5.0
    """Write a checkpoint when so many minutes have passed since the last; 0 for never. Control-C and SIGTERM write one
    in any case."""
    checkpoint_keep: int = 2
    """How many of the newest checkpoints are kept, beside the best."""
    rescue: Path | None = None
    """Where a folder is made for results that cannot be written to --out; by default among the temporary files."""
    quick: bool = False
    """A trial: at most 3 epochs on at most 2,000 training examples."""
    coordinator: str | None = None
    """For a training over several processes: HOST:PORT of process 0, or auto where the cluster's own variables tell."""
    num_processes: int | None = None
    """How many processes there are."""
    process_id: int | None = None
    """Which one of them this is, from 0; process 0 writes the results."""


@dataclasses.dataclass(frozen=True)
class Settings(Config):
    """A `Config` in which everything that training needs has a value."""

    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    init: Literal["normal", "xavier", "he", "zeros"] = "he"
    preprocess: Preprocessing = "standardize"
    l2: float = 0.0
    learning_rate: float = 0.1
    batch_size: int = 64
    epochs: int = 30
