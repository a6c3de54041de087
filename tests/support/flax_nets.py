"""Small networks in Flax, for the tests of what becomes of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx

from jaxnn import losses, training
from jaxnn.interop.flax import linen_model, nnx_model

SHAPE = (6, 6, 2)
CLASSES = 3


class Plain(linen.Module):
    """No dropout and no state, and no argument that tells training."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(CLASSES)(linen.relu(linen.Dense(7)(x.reshape(len(x), -1))))


class Whole(linen.Module):
    """Convolution, batch statistics and dropout."""

    @linen.compact
    def __call__(self, x, train: bool):
        x = linen.Conv(4, (3, 3))(x)
        x = linen.relu(linen.BatchNorm(use_running_average=not train, momentum=0.8)(x))
        x = linen.Dropout(0.3, deterministic=not train)(x.reshape(len(x), -1))
        return linen.Dense(CLASSES)(x)


class PlainNnx(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(72, 7, rngs=rngs), nnx.Linear(7, CLASSES, rngs=rngs)])

    def __call__(self, x):
        return self.layers[1](nnx.relu(self.layers[0](x.reshape(len(x), -1))))


class WholeNnx(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, momentum=0.8, rngs=rngs)
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.out = nnx.Linear(144, CLASSES, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x)))
        return self.out(self.drop(x.reshape(len(x), -1)))


MODELS: dict[str, Any] = {
    "linen": lambda: linen_model(Whole(), SHAPE),
    "nnx": lambda: nnx_model(lambda rngs: WholeNnx(rngs), SHAPE),
}
"""With a state, by kind."""
PLAIN: dict[str, Any] = {
    "linen": lambda: linen_model(Plain(), SHAPE),
    "nnx": lambda: nnx_model(lambda rngs: PlainNnx(rngs), SHAPE),
}


def examples(count, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count).astype(np.int32)
    images = random.normal(size=(count, *SHAPE)).astype(np.float32)
    images[:, :2, :, 0] += labels[:, None, None]
    return images, labels


def task_of(model, **changes):
    """`make_task` for a model."""

    def make_task(h):
        default = {
            "model": model,
            "loss": losses.softmax,
            "penalty": lambda params: h["l2"] * losses.l2(params),
            "optimizer": optax.sgd(h["rate"], momentum=0.9),
        }
        return training.Task(**(default | changes))

    return make_task


def assert_trees(found, expected, **options):
    """Trees of the same structure and numbers; equal bit for bit without a tolerance."""
    places, structure = jax.tree_util.tree_flatten_with_path(expected)
    assert jax.tree.structure(found) == structure
    for (place, leaf), other in zip(places, jax.tree.leaves(found), strict=True):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf, other = jax.random.key_data(leaf), jax.random.key_data(other)
        name = jax.tree_util.keystr(place)
        if options:
            np.testing.assert_allclose(np.asarray(other), np.asarray(leaf), err_msg=name, **options)
        else:
            np.testing.assert_array_equal(np.asarray(other), np.asarray(leaf), err_msg=name)
