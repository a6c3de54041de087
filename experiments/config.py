"""What a training run is, as typed settings, and the task, data and statistics that follow from them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax
from jax import Array

from experiments.defaults import DEFAULTS, option
from experiments.nets import make_model
from experiments.transforms import Preprocessing, transform_of
from jaxnn import losses, optimizers, training
from jaxnn.data import Dataset, augment

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


SKIPPED_IN_A_ROW = 10


def resolve(config: Config, dataset: Dataset) -> Settings:
    """The settings with every default filled in.

    Args:
        config: the user's settings.
        dataset: what `config.dataset` names.

    Returns:
        The complete settings.

    Raises:
        ValueError: settings contradict each other or do not fit the dataset.
    """
    images = dataset.train.inputs.ndim == 4
    kind = "points" if not images else "digits" if dataset.name == "digits" else "images"
    if config.model == "linear" and (config.hidden or config.dropout):
        name, value = ("hidden", config.hidden) if config.hidden else ("dropout", config.dropout)
        raise ValueError(f"--{name} {value} needs hidden layers, which --model linear does not have: use --model mlp")
    if config.normalize and config.model != "mlp":
        raise ValueError(f"--normalize belongs to --model mlp, got --model {config.model}")
    if config.model in ("cnn", "cnn-large"):
        _check_convolutional(config, dataset, DEFAULTS.get((kind, config.model), {}).get("hidden", ()))
    if config.augment and not images:
        raise ValueError(f"--augment {' '.join(config.augment)} needs images; {dataset.name} has points as inputs")
    if config.mirror and not images:
        raise ValueError(f"--mirror needs images; {dataset.name} has points as inputs")
    if config.components is not None and config.preprocess not in ("pca", "whiten"):
        raise ValueError(f"--components {config.components} needs --preprocess pca or whiten, got {config.preprocess}")
    if config.whiten_epsilon is not None and config.preprocess != "whiten":
        raise ValueError(f"--whiten-epsilon {config.whiten_epsilon} needs --preprocess whiten, got {config.preprocess}")
    if config.weight_decay is not None and config.optimizer != "adamw":
        raise ValueError(f"--weight-decay {config.weight_decay} belongs to --optimizer adamw, got {config.optimizer}")
    if config.beta_lasso and config.optimizer != "sgd":
        raise ValueError(f"--beta-lasso {config.beta_lasso} belongs to --optimizer sgd, got {config.optimizer}")
    if config.smoothing and config.loss != "softmax":
        raise ValueError(f"--smoothing {config.smoothing} belongs to --loss softmax, got --loss {config.loss}")
    if config.early_stopping is not None and config.validation_share == 0:
        raise ValueError(f"--early-stopping {config.early_stopping} needs --validation-share above 0")
    given = {name: value for name, value in vars(config).items() if value is not None}
    settings = Settings(**DEFAULTS[kind, config.model] | given)
    if settings.quick:
        settings = dataclasses.replace(settings, epochs=min(settings.epochs, 3))
    for name in (
        "learning_rate",
        "l2",
        "momentum",
        "weight_decay",
        "beta_lasso",
        "whiten_epsilon",
        "checkpoint_minutes",
    ):
        if not 0.0 <= (getattr(settings, name) or 0.0) < math.inf:
            raise ValueError(f"{option(settings, name)} must be at least 0 and finite")
    for name in ("dropout", "input_dropout", "smoothing", "average"):
        if not 0.0 <= getattr(settings, name) < 1.0:
            raise ValueError(f"{option(settings, name)} is a share: it must be at least 0 and below 1")
    for name in ("batch_size", "epochs", "early_stopping", "checkpoint_every", "checkpoint_keep"):
        if (value := getattr(settings, name)) is not None and value < 1:
            raise ValueError(f"{option(settings, name)} must be at least 1")
    if min(settings.hidden, default=1) < 1:
        raise ValueError(f"{option(settings, 'hidden')} must be at least 1 neuron in each layer")
    if settings.batch_size > len(dataset.train.labels):
        raise ValueError(
            f"{option(settings, 'batch_size')} must be at most {len(dataset.train.labels)}, the number of training "
            f"examples of {dataset.name}"
        )
    return settings


def _check_convolutional(config: Config, dataset: Dataset, default: tuple[int, ...]) -> None:
    """Raise a ValueError for settings that a convolutional network does not have."""
    if dataset.train.inputs.ndim != 4:
        raise ValueError(f"--model {config.model} needs images; {dataset.name} has points as inputs: use --model mlp")
    if config.preprocess in ("pca", "whiten"):
        raise ValueError(f"--preprocess {config.preprocess} leaves no image, which --model {config.model} needs")
    if config.input_dropout:
        raise ValueError(f"--input-dropout {config.input_dropout} belongs to --model linear and mlp")
    if config.normalize_inputs:
        raise ValueError(f"--normalize-inputs belongs to --model linear and mlp, got --model {config.model}")
    if config.init not in (None, "he"):
        raise ValueError(f"--init {config.init} belongs to --model linear and mlp: --model {config.model} takes he")
    hidden = default if config.hidden is None else config.hidden
    if not hidden:
        raise ValueError(f"--hidden needs the channels of one stage or more for --model {config.model}")
    halved, side = len(hidden) - (config.model == "cnn-large"), min(dataset.train.inputs.shape[1:3])
    if side < 2**halved:
        raise ValueError(
            f"--hidden {' '.join(map(str, hidden))}: {len(hidden)} stages halve the images {halved} times, too "
            f"often for {side} pixels: give fewer"
        )


def hyperparameters(config: Settings) -> dict[str, float]:
    """The numbers of the settings that are traced: another value needs no new compilation."""
    values = {"learning_rate": config.learning_rate, "l2": config.l2}
    if config.optimizer == "sgd" and config.momentum:
        values["momentum"] = config.momentum
    if config.dropout:
        values["dropout"] = config.dropout
    if config.input_dropout:
        values["input_dropout"] = config.input_dropout
    if config.smoothing:
        values["smoothing"] = config.smoothing
    if config.optimizer == "adamw":
        values["weight_decay"] = 1e-4 if config.weight_decay is None else config.weight_decay
    return values


def task_maker(
    config: Settings, statistics: Any, inputs: np.ndarray, classes: int
) -> Callable[[Mapping[str, Any]], training.Task]:
    """The function from hyper-parameters to the task that `training.run` and `fit` take.

    Args:
        config: the complete settings.
        statistics: as from `fit_statistics`.
        inputs: the training inputs [N, ...]; only their shape and type are used.
        classes: the number of classes.

    Returns:
        `make_task(hparams) -> training.Task`, with `hparams` as from `hyperparameters`; `width`, if it is among them,
        is how many neurons of each hidden layer are in use.
    """
    steps = config.epochs * (len(inputs) // config.batch_size)
    transform = transform_of(config)
    example = jax.eval_shape(transform, statistics, jax.ShapeDtypeStruct(inputs.shape[1:], inputs.dtype))
    changes = [IMAGE_CHANGES[name] for name in config.augment if name != "mixup"]

    def change(key: Array, images: Array) -> Array:
        for i, one in enumerate(changes):
            images = one(jax.random.fold_in(key, i), images)
        return images

    def make_task(h: Mapping[str, Any]) -> training.Task:
        smoothing = h.get("smoothing", 0.0)
        optimizer = _optimizer(config, h, steps)
        return training.Task(
            model=make_model(config, h, example.shape, classes),
            loss=losses.svm if config.loss == "svm" else functools.partial(losses.softmax, smoothing=smoothing),
            penalty=lambda params: h["l2"] * losses.l2(params),
            optimizer=optimizer
            if config.on_nonfinite == "stop"
            else optax.apply_if_finite(optimizer, SKIPPED_IN_A_ROW),
            transform=transform,
            augment=change if changes else None,
            mixup=augment.mixup if "mixup" in config.augment else None,
            mirror=config.mirror,
        )

    return make_task


IMAGE_CHANGES: dict[str, Callable[[Array, Array], Array]] = {
    "flip": augment.flip,
    "crop": augment.crop,
    "cutout": augment.cutout,
}


def _optimizer(config: Settings, h: Mapping[str, Any], steps: int) -> optax.GradientTransformation:
    rate = h["learning_rate"]
    match config.schedule:
        case "cosine":
            rate = optax.cosine_decay_schedule(rate, steps)
        case "one-cycle":
            rate = optax.cosine_onecycle_schedule(steps, rate)
    match config.optimizer:
        case "sgd":
            made = optax.inject_hyperparams(optax.sgd)(rate, momentum=h.get("momentum"))
            made = optimizers.beta_lasso(made, config.beta_lasso, rate) if config.beta_lasso else made
        case "adam":
            made = optax.inject_hyperparams(optax.adam)(rate)
        case "adamw":
            made = optax.inject_hyperparams(optax.adamw, "mask")(rate, weight_decay=h["weight_decay"], mask=_weights)
        case "rmsprop":
            made = optax.inject_hyperparams(optax.rmsprop)(rate)
    return optimizers.averaged(made, config.average) if config.average else made


def _weights(params: Any) -> Any:
    """Which arrays are weights; biases do not decay."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
