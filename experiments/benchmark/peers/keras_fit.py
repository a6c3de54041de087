"""Keras on its JAX backend: `Model.fit` on arrays that were standardized before, compiled (`jit_compile`)."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from experiments.benchmark.peers import Peer
from experiments.benchmark.works import Work, floats, read, whole_batches

os.environ["KERAS_BACKEND"] = "jax"
keras: Any = importlib.import_module("keras")  # some of its annotations contradict its documentation


def fit(work: Work, folder: Path) -> Peer:
    """One call of `fit` a turn, one step a call of the compiled function.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    return _fitted(work, folder, 1)


def fit_in_bundles(work: Work, folder: Path) -> Peer:
    """As `fit`, with `steps_per_execution=16`.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    return _fitted(work, folder, 16)


def network(work: Work, inputs: int, outputs: int, steps: int = 1) -> Any:
    """The compiled model with random weights.

    Args:
        work: what is trained.
        inputs, outputs: the sizes of an example and of its scores.
        steps: in one call of the compiled function.

    Returns:
        The model.
    """
    init = keras.initializers.RandomNormal(stddev=0.01) if not work.hidden else keras.initializers.HeNormal()

    def dense(size: int, activation: str | None) -> Any:
        penalty = keras.regularizers.L2(work.l2)
        return keras.layers.Dense(size, activation, kernel_initializer=init, kernel_regularizer=penalty)

    model = keras.Sequential([keras.Input((inputs,))])
    for size in work.hidden:
        model.add(dense(size, work.activation))
        if work.dropout:
            model.add(keras.layers.Dropout(work.dropout))
    model.add(dense(outputs, None))
    model.compile(
        optimizer=keras.optimizers.SGD(work.learning_rate, momentum=work.momentum),
        loss=hinge if work.loss == "svm" else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
        steps_per_execution=steps,
    )
    return model


def hinge(labels: Any, scores: Any) -> Any:
    """The hinge loss with margin 1, summed over the wrong classes, per example.

    Args:
        labels: int[B] or int[B, 1].
        scores: f32[B, C].

    Returns:
        f32[B].
    """
    right = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), scores.shape[-1])
    correct = keras.ops.sum(scores * right, axis=-1, keepdims=True)
    return keras.ops.sum(keras.ops.relu(scores - correct + 1) * (1 - right), axis=-1)


def _fitted(work: Work, folder: Path, steps: int) -> Peer:
    keras.utils.set_random_seed(0)
    examples = read(work, folder)
    x, y, whole = floats(examples), examples.labels, whole_batches(work, examples)
    model = network(work, x.shape[1], int(y.max()) + 1, steps)

    def train(units: int) -> None:
        model.fit(x[:whole], y[:whole], batch_size=work.batch_size, epochs=units * work.epochs, verbose=0)

    def accuracies() -> list[float]:
        scores = model.predict(x, batch_size=5000, verbose=0)
        return [float((scores.argmax(1) == y).mean())]

    return Peer(train, accuracies)
