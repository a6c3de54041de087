"""Default settings by dataset and model, presets of whole datasets, and the checks of a user's settings."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from experiments.classifier import budget
from experiments.classifier.config import Config, Settings
from jaxnn.data import Dataset, toy

_CNN_LARGE = {
    "learning_rate": 0.4,
    "l2": 2.5e-4,
    "batch_size": 512,
    "epochs": 30,
    "hidden": (64, 128, 256, 512),
    "preprocess": "standardize-channel",
}
DEFAULTS: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "linear"): {
        "learning_rate": 0.05,
        "l2": 1e-3,
        "epochs": 100,
        "init": "normal",
        "preprocess": "standardize-global",
    },
    ("digits", "mlp"): {
        "learning_rate": 0.05,
        "l2": 1e-4,
        "epochs": 100,
        "hidden": (256,),
        "dropout": 0.5,
        "preprocess": "standardize-global",
    },
    ("images", "linear"): {"learning_rate": 0.002, "l2": 0.02, "batch_size": 256, "epochs": 30, "init": "normal"},
    ("images", "mlp"): {
        "learning_rate": 0.01,
        "l2": 2e-3,
        "batch_size": 256,
        "epochs": 40,
        "hidden": (512,),
        "dropout": 0.5,
    },
    ("digits", "cnn"): {
        "learning_rate": 0.1,
        "l2": 5e-4,
        "epochs": 20,
        "hidden": (32, 64),
        "preprocess": "standardize-global",
    },
    ("digits", "cnn-large"): _CNN_LARGE,
    ("images", "cnn"): {
        "learning_rate": 0.1,
        "l2": 2.5e-4,
        "batch_size": 128,
        "epochs": 12,
        "hidden": (32, 64, 128),
        "preprocess": "standardize-channel",
    },
    ("images", "cnn-large"): _CNN_LARGE,
    ("points", "linear"): {"learning_rate": 0.1, "batch_size": 16, "epochs": 100, "init": "normal"},
    ("points", "mlp"): {"learning_rate": 0.1, "batch_size": 16, "epochs": 300, "hidden": (32, 32)},
}
"""Default settings by kind of dataset (digits, other images, 2-D points) and model. Those of digits and images were
chosen on validation splits (images: of CIFAR-10), never on test data; those of points and of convolutional networks are
ordinary values, not searched for."""
PRESETS: dict[str, dict[str, Any]] = {
    "cifar10": {
        "augment": ("flip", "crop"),
        "mirror": True,
        "preprocess": "whiten",
        "components": 400,
        "whiten_epsilon": 5000.0,
        "hidden": (2048, 512),
        "normalize": True,
        "dropout": 0.0,
        "learning_rate": 0.08,
        "l2": 0.001,
        "epochs": 36,
    },
    "digits": {"augment": ("affine",)},
    "folder": {"model": "cnn", "augment": ("flip",), "schedule": "one-cycle", "epochs": 30},
    "idx": {
        "augment": ("affine",),
        "preprocess": "standardize-global",
        "dropout": 0.2,
        "learning_rate": 0.05,
        "l2": 1e-5,
        "epochs": 20,
    },
}
"""What `experiments.train --dataset NAME` uses if no other setting is given. Of cifar10 the best fully connected
network found for three minutes on 2 CPU cores, and of digits the augmentation, both chosen on validation examples; of
folders what learns from few; of IDX files what was best on validation examples of MNIST."""
NO_SETTINGS = {
    "out", "data_dir", "memory_share", "device", "resume", "rescue", "coordinator", "num_processes", "process_id",
    "checkpoint_every", "checkpoint_minutes", "checkpoint_keep", "choosing", "svg", "compile_for",
    "budget", "typed",
}  # fmt: skip
"""Options that do not affect the result; they may differ when a run is resumed."""
BESIDE_A_PRESET = NO_SETTINGS | {
    "dataset", "image_size", "strict", "epochs", "batch_size",
    "validation_share", "early_stopping", "seed", "precision", "on_nonfinite", "quick",
}  # fmt: skip
"""Options that can be combined with a preset."""
BESIDE_A_BUDGET = BESIDE_A_PRESET - {"epochs", "batch_size", "early_stopping"}
"""Options that can be combined with --budget."""


def apply_preset(config: Config) -> tuple[Config, str]:
    """The settings with those of the dataset's preset, and the preset as it is typed; "" if it does not apply."""
    given = {field.name for field in dataclasses.fields(config) if getattr(config, field.name) != field.default}
    typed, config = config.typed, dataclasses.replace(config, typed=())
    if config.budget is not None:
        return _apply_budget(config, given)
    name = config.dataset.partition(":")[0] if config.dataset.startswith(("folder:", "idx:")) else config.dataset
    if name not in PRESETS or given - BESIDE_A_PRESET:
        return config, ""
    preset = {name: value for name, value in PRESETS[name].items() if name not in given}
    if any(preset.get(name, getattr(config, name)) != getattr(config, name) for name in typed):
        return config, ""  # a default was asked for by name, such as --model mlp for a folder of images
    config = dataclasses.replace(config, **preset)
    return config, " ".join(option(config, name) for name in preset)


def _apply_budget(config: Config, given: set[str]) -> tuple[Config, str]:
    """The settings with those of the best measured recipe for `--budget`, as they are typed, and what to expect."""
    wanted = f"--budget {config.budget}"
    if config.resume is not None:
        raise ValueError(f"{wanted} chooses the recipe of a new run: leave it out beside --resume")
    if config.dataset != "cifar10":
        raise ValueError(f"{wanted} needs --dataset cifar10, whose recipes were measured; got {config.dataset}")
    if more := sorted(given - BESIDE_A_BUDGET):
        raise ValueError(f"{wanted} chooses the recipe: leave out {' '.join(option(config, name) for name in more)}")
    settings, expected = budget.choose(str(config.budget))
    config = dataclasses.replace(config, budget=None, **settings)
    return config, f"{' '.join(option(config, name) for name in settings)}; {expected}"


def defaults(config: Config) -> dict[str, Any]:
    """The values that the settings left out will have, as far as they are known before the data are read."""
    points = config.dataset in toy.__all__ or config.dataset.startswith("csv:")
    kind = "points" if points else "digits" if config.dataset == "digits" else "images"
    given = {name: value for name, value in vars(apply_preset(config)[0]).items() if value is not None}
    return vars(Settings()) | DEFAULTS.get((kind, config.model), {}) | given


def option(config: Config, name: str) -> str:
    """A setting as it is typed on the command line, such as "--hidden 32 32"."""
    value = getattr(config, name)
    if value is True:
        return f"--{name.replace('_', '-')}"
    return f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"


def resolve(config: Config, dataset: Dataset) -> Settings:
    """The settings with every default filled in; ValueError if they contradict each other or do not fit the data."""
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
    if config.choosing and config.validation_share == 0:
        raise ValueError("choosing needs validation_share above 0: such a run is evaluated on validation examples")
    given = {name: value for name, value in vars(config).items() if value is not None}
    settings = Settings(**DEFAULTS[kind, config.model] | given)
    if config.batch_size is None:  # at least eight steps in an epoch, where there are examples for that
        most = 2 ** int(math.log2(max(len(dataset.train.labels) / 8, min(len(dataset.train.labels), 8), 1)))
        settings = dataclasses.replace(settings, batch_size=min(settings.batch_size, most))
    if config.hidden is None and settings.model == "cnn":
        stages = max(1, int(math.log2(min(dataset.train.inputs.shape[1:3]))))
        settings = dataclasses.replace(settings, hidden=settings.hidden[:stages])
    if settings.quick:
        settings = dataclasses.replace(settings, epochs=min(settings.epochs, 3))
    amounts = "learning_rate l2 momentum weight_decay beta_lasso whiten_epsilon checkpoint_minutes"
    for name in amounts.split():
        if not 0.0 <= (getattr(settings, name) or 0.0) < math.inf:
            raise ValueError(f"{option(settings, name)} must be at least 0 and finite")
    for name in ("dropout", "input_dropout", "smoothing", "average"):
        if not 0.0 <= getattr(settings, name) < 1.0:
            raise ValueError(f"{option(settings, name)} is a fraction: it must be at least 0 and below 1")
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
    """Refuse settings that convolutional networks do not support."""
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
    if config.hidden is None and config.model == "cnn" and side > 1:
        return  # `resolve` takes as many stages as the images allow
    if side < 2**halved:
        raise ValueError(
            f"--hidden {' '.join(map(str, hidden))}: {len(hidden)} stages halve the images {halved} times, too "
            f"often for {side} pixels: give fewer"
        )
