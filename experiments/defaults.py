"""What the settings of a training run are by default."""

from typing import Any

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
        "hidden": (2048,),
        "dropout": 0.1,
        "learning_rate": 0.08,
        "l2": 0.0003,
        "epochs": 50,
    }
}
"""What training takes for a dataset where nothing else is given: the best network of the notes that was found to be
trained in three minutes on 2 CPU cores, chosen on validation examples."""
