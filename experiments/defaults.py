"""What the settings of a training run are by default."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.config import Config

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
"""What `Settings` are by default, by kind of dataset (digits, other images, points in the plane) and model. Those of
digits and images follow runs on validation splits (of CIFAR-10 for images), never test data; those of points and of
convolutional networks are ordinary values that were not searched for."""
RECIPES: dict[str, dict[str, Any]] = {
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
    }
}
"""What training takes for a dataset where nothing else is given: the best network of the notes that was found to be
trained in three minutes on 2 CPU cores, chosen on validation examples."""
NO_SETTINGS = {
    "out", "data_dir", "memory_share", "device", "resume", "rescue", "coordinator", "num_processes", "process_id",
    "checkpoint_every", "checkpoint_minutes", "checkpoint_keep",
}  # fmt: skip
"""The options that do not decide what is learned: they may be others when a run goes on."""
BESIDE_A_RECIPE = NO_SETTINGS | {
    "dataset", "epochs", "validation_share", "early_stopping", "seed", "precision", "on_nonfinite", "quick",
}  # fmt: skip
"""The options that a recipe leaves to the user."""


def with_recipe(config: Config) -> tuple[Config, str]:
    """The settings with those of the dataset's recipe, if there is one and the user gave no setting in its place.

    Args:
        config: the user's settings.

    Returns:
        The settings, and the recipe as it is typed on the command line, "" where there is none.
    """
    given = {field.name for field in dataclasses.fields(config) if getattr(config, field.name) != field.default}
    if config.dataset not in RECIPES or given - BESIDE_A_RECIPE:
        return config, ""
    recipe = {name: value for name, value in RECIPES[config.dataset].items() if name not in given}
    config = dataclasses.replace(config, **recipe)
    return config, " ".join(option(config, name) for name in recipe)


def option(config: Config, name: str) -> str:
    """A setting as it is typed on the command line.

    Args:
        config: the settings.
        name: of one.

    Returns:
        Such as "--hidden 32 32".
    """
    value = getattr(config, name)
    if value is True:
        return f"--{name.replace('_', '-')}"
    return f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
