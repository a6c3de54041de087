"""Keras on its JAX backend: compiled `Model.fit` (`jit_compile`) on inputs standardized before training."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from experiments.benchmark.peers import Peer
from experiments.benchmark.workloads import Workload, in_complete_batches, read_standardized

os.environ["KERAS_BACKEND"] = "jax"
keras: Any = importlib.import_module("keras")  # some of its annotations contradict its documentation


def fit(workload: Workload, folder: Path) -> Peer:
    """One call of `fit` per round, one step per call of the compiled function."""
    return _fitted(workload, folder, 1)


def fit_in_bundles(workload: Workload, folder: Path) -> Peer:
    """As `fit`, with `steps_per_execution=16`."""
    return _fitted(workload, folder, 16)


def network(workload: Workload, inputs: int, outputs: int, steps: int = 1) -> Any:
    """The compiled model with random weights; `steps` per call of the compiled function."""
    init = keras.initializers.RandomNormal(stddev=0.01) if not workload.hidden else keras.initializers.HeNormal()

    def dense(size: int, activation: str | None) -> Any:
        penalty = keras.regularizers.L2(workload.l2)
        return keras.layers.Dense(size, activation, kernel_initializer=init, kernel_regularizer=penalty)

    model = keras.Sequential([keras.Input((inputs,))])
    for size in workload.hidden:
        model.add(dense(size, workload.activation))
        if workload.dropout:
            model.add(keras.layers.Dropout(workload.dropout))
    model.add(dense(outputs, None))
    model.compile(
        optimizer=keras.optimizers.SGD(workload.learning_rate, momentum=workload.momentum),
        loss=_hinge if workload.loss == "svm" else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
        steps_per_execution=steps,
    )
    return model


def _hinge(labels: Any, scores: Any) -> Any:
    """Hinge loss per example with margin 1, summed over the wrong classes; Keras passes int[B, 1] labels."""
    right = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), scores.shape[-1])
    correct = keras.ops.sum(scores * right, axis=-1, keepdims=True)
    return keras.ops.sum(keras.ops.relu(scores - correct + 1) * (1 - right), axis=-1)


def _fitted(workload: Workload, folder: Path, steps: int) -> Peer:
    keras.utils.set_random_seed(0)
    x, y = read_standardized(workload, folder)
    complete = in_complete_batches(workload, len(y))
    model = network(workload, x.shape[1], int(y.max()) + 1, steps)

    def train(units: int) -> None:
        model.fit(x[:complete], y[:complete], batch_size=workload.batch_size, epochs=units * workload.epochs, verbose=0)

    def accuracies() -> list[float]:
        scores = model.predict(x, batch_size=5000, verbose=0)
        return [float((scores.argmax(1) == y).mean())]

    return Peer(train, accuracies)
