"""A small linear classifier and its batches, for the tests of the training step."""

from typing import Any

import jax
import numpy as np
import optax

from jaxnn import losses, models
from jaxnn.training import Task

KEY = jax.random.key(0)
RATE = 0.1


def batches(count, seed=0, size=9, inputs=4, classes=3):
    random = np.random.default_rng(seed)
    return [
        (random.normal(size=(size, inputs)).astype(np.float32), random.integers(0, classes, size)) for _ in range(count)
    ]


def linear_task(**changes: Any) -> Task:
    default = {"model": models.linear(4, 3), "loss": losses.softmax, "optimizer": optax.sgd(RATE)}
    return Task(**(default | changes))
