"""A script for digits as a user of Keras would write it: load, split, train, evaluate. A process of `startup`.

python -m experiments.benchmark.keras_digits '{"hidden": [256], ...}'
"""

import importlib
import json
import os
import sys
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

os.environ["KERAS_BACKEND"] = "jax"
keras: Any = importlib.import_module("keras")  # some of its annotations contradict its documentation


def main(given: str) -> None:
    """Train, then print the training and test accuracy as JSON."""
    settings = json.loads(given)
    keras.utils.set_random_seed(0)
    digits: Any = load_digits()
    x, y = digits.data, digits.target
    x, x_test, y, y_test = _split(x.astype(np.float32), y, 0.2)
    x, x_validation, y, y_validation = _split(x, y, 0.1)
    mean, std = x.mean(), x.std()
    x, x_validation, x_test = ((part - mean) / std for part in (x, x_validation, x_test))
    complete = len(x) // settings["batch_size"] * settings["batch_size"]
    l2 = keras.regularizers.L2(settings["l2"])
    model = keras.Sequential([keras.Input((x.shape[1],))])
    for size in settings["hidden"]:
        model.add(keras.layers.Dense(size, "relu", kernel_initializer="he_normal", kernel_regularizer=l2))
        model.add(keras.layers.Dropout(settings["dropout"]))
    model.add(keras.layers.Dense(10, kernel_initializer="he_normal", kernel_regularizer=l2))
    steps = complete // settings["batch_size"] * settings["epochs"]
    model.compile(
        optimizer=keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(settings["learning_rate"], steps), momentum=settings["momentum"]
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=True,
    )
    model.fit(
        x[:complete],
        y[:complete],
        batch_size=settings["batch_size"],
        epochs=settings["epochs"],
        validation_data=(x_validation, y_validation),
        verbose=0,
    )
    train = model.evaluate(x, y, verbose=0, return_dict=True)
    test = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print(json.dumps({"train_accuracy": float(train["accuracy"]), "test_accuracy": float(test["accuracy"])}))


def _split(x: np.ndarray, y: np.ndarray, fraction: float) -> list[Any]:
    return train_test_split(x, y, test_size=fraction, stratify=y, random_state=0)


if __name__ == "__main__":
    main(sys.argv[1])
