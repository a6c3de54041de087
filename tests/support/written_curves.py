"""A training whose curves are chosen: the one parameter w counts the steps, and after epoch e the validation loss is
losses[e] and the validation accuracy accuracies[e].
"""

import jax
import jax.numpy as jnp
import optax

from jaxnn import models
from jaxnn.training import Data, Task

EPOCHS = 8
FLAT = [1.0] * EPOCHS
NEVER = -1


def curves(validation_loss=FLAT, validation_accuracy=FLAT, bad_loss=NEVER, bad_penalty=NEVER, bad_update=NEVER):
    return {
        "loss": jnp.array(validation_loss, jnp.float32),
        "accuracy": jnp.array(validation_accuracy, jnp.float32),
        "bad_loss": jnp.int32(bad_loss),
        "bad_penalty": jnp.int32(bad_penalty),
        "bad_update": jnp.int32(bad_update),
    }


def curve_task(h):
    def apply(w, x, *, key=None):
        epoch = jnp.round(jax.lax.stop_gradient(w) / STEPS).astype(int) - 1
        right = jnp.where(x < h["accuracy"][epoch], 1e6, -1e6)
        return jnp.stack([jnp.full(len(x), w), jnp.full(len(x), h["loss"][epoch]), right], -1)

    def loss(scores, labels):
        w = scores[:, 0]
        training = jnp.where(w == h["bad_loss"].astype(jnp.float32), jnp.nan, -w)  # -1 is the gradient: w grows by 1
        return jnp.where(labels == 0, training, scores[:, 1])

    def penalty(w):
        return jnp.where(w == h["bad_penalty"].astype(jnp.float32), jnp.inf, 0.0)

    optimizer = optax.sgd(lambda step: jnp.where(step == h["bad_update"], jnp.inf, 1.0))
    return Task(models.Model(lambda key: jnp.zeros(()), apply), loss, optimizer, penalty)


STEPS = 3
THRESHOLDS = jnp.arange(10) / 10 + 0.05
CURVE_DATA = Data(
    jnp.zeros(STEPS * 4), jnp.zeros(STEPS * 4, int), evaluate={"validation": (THRESHOLDS, jnp.full(10, 2))}
)
