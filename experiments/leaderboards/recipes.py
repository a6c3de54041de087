"""The leaderboard's models: recipes, published results to compare with, and replacements for ablations."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.classifier.presets import DEFAULTS, PRESETS
from experiments.leaderboards import peers
from jaxnn.data import load


class Recipe(NamedTuple):
    """One row of the leaderboard."""

    title: str
    reference: str
    """Published or well-known results, in percent, of any training; [1] is the first source in README.md."""
    goal: float | None
    """Mean test accuracy to reach, in percent; None: that of the best peer."""
    recipe: Mapping[str, Any]
    """Options of `experiments.train`."""
    parts: Mapping[str, Mapping[str, Any]]
    """By name of a part: the options that replace it in an ablation."""
    peers: Callable[[int], list[dict[str, Any]]] | None = None
    """From the number of seeds to results of other libraries, each with a "name" and a "mean"."""
    gpu: bool = False
    """Whether it needs a GPU; its recipe is then a starting point that has not been tuned."""
    others: Mapping[str, Mapping[str, Any]] = {}
    """By name of an addition: the options that add it."""
    ablated: float = 1.0
    """Fraction of the recipe's epochs that an ablation trains for."""


def peers_on_digits(seeds: int) -> list[dict[str, Any]]:
    """Test accuracies of scikit-learn's classifiers on the digits, settings chosen by cross-validation on the training
    examples.
    """
    from sklearn.model_selection import StratifiedKFold

    digits = load("digits", validation_share=0)
    train, test = (
        split.inputs.reshape(len(split.labels), -1) / np.float32(16) for split in (digits.train, digits.test)
    )
    found = []
    for name in ("RBF-SVM", "MLPClassifier"):
        started = time.perf_counter()
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        search = peers.choose(name, peers.DIGITS[name], train, digits.train.labels, folds)
        best = search.best_estimator_
        accuracies = [100 * float(best.score(test, digits.test.labels))]
        for seed in range(1, seeds if name == "MLPClassifier" else 1):
            best = peers.fitted(best.set_params(random_state=seed), train, digits.train.labels)
            accuracies.append(100 * float(best.score(test, digits.test.labels)))
        numbers = {"mean": float(np.mean(accuracies)), "std": spread(accuracies), "accuracies": accuracies}
        seconds = time.perf_counter() - started
        found.append({"name": name, **numbers, "seconds": seconds, "config": search.best_params_})
    return found


_MIRROR: dict[str, Any] = {"augment": ("flip",), "mirror": True}
_WITHOUT: dict[str, Mapping[str, Any]] = {
    "the penalty": {"l2": 0.0},
    "dropout": {"dropout": 0.0},
    "crops": {"augment": ("flip",)},
    "mirror images in training": {"augment": ()},
    "mirror images in evaluation": {"mirror": False},
    "layer normalization": {"normalize": False, "learning_rate": 0.04, "l2": 0.0005},
}
"""By name of a part that several recipes have: the options that leave it out."""


def _parts(*names: str) -> dict[str, Mapping[str, Any]]:
    return {name: _WITHOUT[name] for name in names}


_MIRRORED = _parts("mirror images in training", "mirror images in evaluation")
_SVM: dict[str, Any] = {"model": "linear", "loss": "svm", "learning_rate": 0.00025, "l2": 0.1}
_WHITENED: dict[str, Any] = {"preprocess": "whiten", "components": 400, "whiten_epsilon": 5000.0}
RECIPES = {
    "linear-softmax": Recipe(
        "linear softmax, raw pixels",
        "40.7 best found in print, courses 38-39",
        42.0,
        {"model": "linear"},
        _parts("the penalty"),
    ),
    "linear-softmax-mirror": Recipe(
        "linear softmax, mirror images", "-", 42.5, {"model": "linear", **_MIRROR}, _MIRRORED
    ),
    "linear-svm": Recipe("linear SVM, raw pixels", "courses 39", 40.5, _SVM, _parts("the penalty")),
    "linear-svm-mirror": Recipe("linear SVM, mirror images", "courses 39", 41.5, {**_SVM, **_MIRROR}, _MIRRORED),
    "one-hidden": Recipe(
        "one hidden layer, no augmentation",
        "54.8 best found (ensemble), courses 52",
        58.5,
        {**_WHITENED, "hidden": (3072,), "dropout": 0.6, "learning_rate": 0.04, "l2": 0.001, "epochs": 40},
        {
            "whitening": {
                **{"preprocess": "standardize", "components": None, "whiten_epsilon": None},
                **{"learning_rate": 0.01, "l2": 0.002},
            },
            "damping of the whitening": {"whiten_epsilon": None},
            **_parts("dropout", "the penalty"),
        },
        ablated=1 / 4,
    ),
    "one-hidden-augmented": Recipe(
        "one hidden layer, flips and crops",
        "57 found",
        65.0,
        {
            **_WHITENED,
            **_MIRROR,
            **{"augment": ("flip", "crop"), "hidden": (2048,), "dropout": 0.1, "learning_rate": 0.08, "l2": 0.0003},
            "epochs": 100,
        },
        _parts("crops", "mirror images in evaluation", "dropout"),
        ablated=1 / 8,
    ),
    "deep": Recipe(
        "two hidden layers, dropout, no augmentation",
        "about 70 with pre-training [1]; usual 56-59, kernel methods 63",
        62.0,
        {
            **_WHITENED,
            **{"hidden": (2048, 512), "normalize": True, "dropout": 0.5, "learning_rate": 0.08, "l2": 0.002},
            "epochs": 20,
        },
        _parts("layer normalization", "dropout", "the penalty"),
        others={"normalized inputs": {"normalize_inputs": True}, "label smoothing": {"smoothing": 0.1}},
    ),
    "deep-augmented": Recipe(
        "two hidden layers, flips and crops",
        "85.2 after 4,000 epochs [2]; 95 with pre-training on ImageNet-21k [3]",
        70.0,
        {**PRESETS["cifar10"], "epochs": 80},
        _parts("layer normalization", "crops", "mirror images in evaluation", "the penalty"),
        others={
            "mixup": {"augment": ("flip", "crop", "mixup")},
            "cutout": {"augment": ("flip", "crop", "cutout")},
            "averaged weights": {"average": 0.999},
            "label smoothing": {"smoothing": 0.1},
            "dropout": {"dropout": 0.1},
        },
        ablated=1 / 8,
    ),
    "digits": Recipe(
        "digits, one hidden layer",
        "scikit-learn on the same split",
        None,
        {"dataset": "digits", "hidden": (1024,), "dropout": 0.5, "input_dropout": 0.2, "epochs": 200},
        {**_parts("dropout"), "dropout of the inputs": {"input_dropout": 0.0}},
        peers_on_digits,
    ),
    "deep-gpu": Recipe(
        "deep, all augmentation, on a GPU",
        "78.6 with pre-training and deformations [1]",
        78.7,
        {
            **_WHITENED,
            **{"components": 1000, "hidden": (4096, 4096, 4096), "normalize": True, "dropout": 0.2, "l2": 1e-4},
            **{"augment": ("flip", "crop", "cutout", "mixup"), "mirror": True, "average": 0.999},
            **{"learning_rate": 0.1, "batch_size": 512, "epochs": 300, "precision": "bfloat16"},
        },
        {"mixup": {"augment": ("flip", "crop", "cutout")}, "averaged weights": {"average": 0.0}},
        gpu=True,
    ),
    "beta-lasso-gpu": Recipe(
        "wide, beta-LASSO, on a GPU",
        "85.2 after 4,000 epochs [2]",
        85.2,
        {
            **{"preprocess": "standardize-channel", "hidden": (16384, 3072), "dropout": 0.0, "l2": 0.0},
            **{"augment": ("flip", "crop", "cutout"), "mirror": True, "beta_lasso": 1e-6},
            **{"learning_rate": 0.1, "batch_size": 512, "epochs": 1000, "precision": "bfloat16"},
        },
        {"beta-LASSO": {"beta_lasso": 0.0}},
        gpu=True,
    ),
}


def epochs_of(recipe: Mapping[str, Any]) -> int:
    """The number of epochs of a recipe."""
    return recipe.get("epochs") or DEFAULTS["images", recipe["model"]]["epochs"]


def spread(values: Sequence[float] | np.ndarray) -> float | None:
    """The standard deviation over seeds, with n - 1 in the denominator; None for one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
