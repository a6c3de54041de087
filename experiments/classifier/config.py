"""The settings of a training run: what the user may give, and the same with every default filled in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

Preprocessing = Literal["none", "center", "standardize", "standardize-channel", "standardize-global", "pca", "whiten"]
ModelName = Literal["linear", "mlp", "cnn", "cnn-large"]
ImageChange = Literal["flip", "crop", "cutout", "affine", "mixup"]


@dataclasses.dataclass(frozen=True)
class MainOptions:
    """What matters first."""

    dataset: str = "digits"
    """digits, cifar10, cifar100, another TFDS image set (such as mnist; most need TensorFlow once, to be prepared), or
    a 2-D set: circle, spiral, moons, xor, gauss. Your own: folder:PATH (one folder of images for each class), csv:FILE
    or parquet:FILE with --label, npz:FILE, npy:FOLDER (inputs.npy and labels.npy, or x and y),
    idx:FOLDER (the files of MNIST)."""
    model: ModelName = "mlp"
    """The linear classifier f(x) = Wx + b, a fully connected network, or a convolutional one for images: cnn is small
    enough for a CPU, cnn-large a residual one for a GPU."""
    epochs: int | None = None
    """Passes over the training examples."""
    learning_rate: float | None = None
    """The step size; with a schedule, its peak."""
    out: Path | None = None
    """Folder for the results, new or empty; by default a dated folder under runs/."""


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """Data."""

    label: str | None = None
    """csv:FILE, parquet:FILE: the column that holds the classes; all others are inputs."""
    drop: tuple[str, ...] = ()
    """csv:FILE, parquet:FILE: columns to leave out, such as an identifier."""
    image_size: int | None = None
    """folder:PATH: pixels per side; by default the images' own size if it is the same for all and at most 256, else
    32."""
    strict: bool = False
    """Fail on files and rows of your own data that cannot be read, instead of skipping them."""
    validation_share: float = 0.1
    """Fraction of the training examples held out for validation."""
    preprocess: Preprocessing | None = None
    """Preprocessing of the inputs, fitted on the training examples only; standardize is per pixel."""
    components: int | None = None
    """Principal components that pca and whiten keep; all if not given."""
    whiten_epsilon: float | None = None
    """whiten: added to the variances, in squared input units (0 to 255 for images), 1e-5 if not given; damps directions
    of smaller variance, which are mostly noise."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets; by default TFDS_DATA_DIR, then ~/tensorflow_datasets."""
    memory_share: float = 0.5
    """A prepared TFDS image set that would take more than this fraction of memory once decoded is streamed: read and
    decoded during training. 0 streams every such set."""


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """Model."""

    hidden: tuple[int, ...] | None = None
    """Neurons per hidden layer of the mlp; channels per stage of a cnn."""
    activation: Literal["sigmoid", "tanh", "relu", "leaky_relu", "gelu"] = "relu"
    """Activation of the hidden layers."""
    dropout: float | None = None
    """Fraction of the hidden activations dropped in training."""
    input_dropout: float = 0.0
    """Fraction of the inputs dropped in training."""
    normalize: bool = False
    """Layer normalization in every hidden layer."""
    normalize_inputs: bool = False
    """Also normalize each example after preprocessing, before the first layer."""
    init: Literal["normal", "xavier", "he", "zeros"] | None = None
    """Initialization of the weights; normal is 0.01 * randn."""


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """Training."""

    budget: str | None = None
    """cifar10: take the recipe that was measured to be best in such a time, such as 90s, 10m or 1h, on 2 CPU cores, and
    say what it reached. With no settings at all, that for three minutes is taken."""
    batch_size: int | None = None
    """Examples per step."""
    loss: Literal["softmax", "svm"] = "softmax"
    """Softmax cross-entropy, or the multiclass SVM loss (a sum over the wrong classes)."""
    smoothing: float = 0.0
    """Label smoothing of the softmax loss."""
    l2: float | None = None
    """Factor of the L2 penalty, the sum of the squared weights."""
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "sgd"
    """The update rule."""
    momentum: float = 0.9
    """Momentum of sgd; 0 is plain gradient descent."""
    schedule: Literal["constant", "cosine", "one-cycle"] = "cosine"
    """The learning rate over the run: constant, a cosine down to 0, or up and down again."""
    weight_decay: float | None = None
    """adamw: each step also shrinks the weights by learning rate x weight decay; 1e-4 if not given."""
    beta_lasso: float = 0.0
    """sgd: factor of an L1 penalty whose steps also set small weights to zero (beta-LASSO), such as 1e-6."""
    average: float = 0.0
    """Decay of an exponential moving average of the parameters (EMA), which is evaluated and kept; such as 0.999."""
    early_stopping: int | None = None
    """Stop after this many epochs without a better validation accuracy and keep the best epoch's parameters."""
    seed: int = 0
    """Determines the validation split, initial weights, order of the examples, dropout and augmentation."""
    svg: bool = False
    """Also write the figures as SVG."""
    quick: bool = False
    """Trial run: at most 3 epochs on at most 2,000 training examples."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """If a gradient is NaN or infinite: stop at that step, or skip its update (10 in a row stop as well)."""


@dataclasses.dataclass(frozen=True)
class AugmentationOptions:
    """Augmentation of images."""

    augment: tuple[ImageChange, ...] = ()
    """Random changes of the training images, applied in the order given, mixup last."""
    mirror: bool = False
    """Test-time augmentation: average the scores of each image and its mirror image."""


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """Output, checkpoints and resuming."""

    resume: Path | None = None
    """Continue the run in this folder from its newest intact checkpoint, with its settings; it ends as if never
    interrupted. Only --device, --data-dir, --rescue and the --checkpoint options may be combined with it."""
    checkpoint_every: int | None = None
    """Write a checkpoint every this many epochs, into the folder checkpoints of the results."""
    checkpoint_minutes: float = 5.0
    """Write a checkpoint when this many minutes have passed since the last; 0 never does. Control-C and SIGTERM always
    write one."""
    checkpoint_keep: int = 2
    """Number of newest checkpoints to keep, besides the best."""
    rescue: Path | None = None
    """Parent of a new folder for results that cannot be written to --out; by default the temporary files."""


@dataclasses.dataclass(frozen=True)
class MachineOptions:
    """Machine."""

    device: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to train."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of matrix products; bfloat16 pays off on GPUs and TPUs. Parameters, sums and losses stay float32."""
    compile_for: str | None = None
    """Train nothing: compile this training for an accelerator that need not be there, such as v5e:4x4 or 4xh100,
    and print its memory, kernels, communication and what limits a step."""
    coordinator: str | None = None
    """Training over several processes: HOST:PORT of process 0, or auto on a cluster that JAX recognizes."""
    num_processes: int | None = None
    """Number of processes."""
    process_id: int | None = None
    """Number of this process, from 0; process 0 writes the results."""


@dataclasses.dataclass(frozen=True)
class Config(
    MachineOptions, OutputOptions, AugmentationOptions, TrainingOptions, ModelOptions, DataOptions, MainOptions
):
    """The settings of a training run. Those not given depend on the dataset and the model (`presets.DEFAULTS`).

    A dataclass takes the fields of its last base first, so the options are in the order of the classes above.
    """

    choosing: bool = dataclasses.field(default=False, metadata={"option": False})
    """The run is one of several that a choice is made between, such as an ablation: it is evaluated on its validation
    examples, and never reads the test set. Not an option of the command."""
    typed: tuple[str, ...] = dataclasses.field(default=(), compare=False, metadata={"option": False})
    """The options that the command line gave, which a preset does not contradict. Not an option of the command."""


@dataclasses.dataclass(frozen=True)
class Settings(Config):
    """A `Config` with a value for everything that training needs."""

    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    init: Literal["normal", "xavier", "he", "zeros"] = "he"
    preprocess: Preprocessing = "standardize"
    l2: float = 0.0
    learning_rate: float = 0.1
    batch_size: int = 64
    epochs: int = 30
