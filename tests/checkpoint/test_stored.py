"""Checkpoints written by an earlier version, one of each kind of run, are read, restored and trained on.

`python tests/checkpoint/test_stored.py` writes those that are not there yet; those that are stay as they were written.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import checkpoint, losses, models, optimizers, training

STORED = Path(__file__).parent / "stored"
KEY = jax.random.key(5)
X = np.linspace(-1, 1, 36, dtype=np.float32).reshape(12, 3)
Y = np.arange(12, dtype=np.int32) % 2
DATA = training.Data(X, Y, evaluate={"held": (X[:4], Y[:4])})
STREAM = training.Stream(lambda first: iter([(X[:4], Y[:4])] * 100), 3, {"held": lambda: iter([(X[:4], Y[:4], 4)])})
OPTIMIZERS = {
    "in memory": lambda h: optax.inject_hyperparams(optax.sgd)(h["rate"], momentum=0.9),
    "averaged": lambda h: optimizers.with_ema(optax.adam(h["rate"]), 0.9),
    "steps left out": lambda h: optax.apply_if_finite(optax.sgd(h["rate"], momentum=0.9), 3),
    "streamed": lambda h: optax.sgd(h["rate"], momentum=0.9),
}


def task_of(kind):
    def task(h):
        return training.Task(models.mlp((3,), (4,), 2, dropout=0.5), losses.softmax, OPTIMIZERS[kind](h))

    return task


def fit(kind, epochs, **options):
    data, size = (STREAM, None) if kind == "streamed" else (DATA, 4)
    options |= {"epochs": epochs, "batch_size": size, "select": "held_loss"}
    return training.fit(task_of(kind), {"rate": 0.05}, KEY, data, **options)[0]


def start(kind):
    data = STREAM if kind == "streamed" else DATA
    return training.init_run(task_of(kind), {"rate": 0.05}, KEY, data, epochs=2, select="held_loss")


def sums(arrays):
    return {name: float(np.nansum(np.asarray(array, np.float64))) for name, array in arrays.items()}


@pytest.fixture(autouse=True)
def promotion(standard_promotion):
    """Adam and the averages of optax mix types."""


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_what_was_stored_is_restored_and_trained_on(kind):
    found = checkpoint.load(STORED / kind.replace(" ", "-") / "000002")
    assert sums(found.arrays) == found.about["sums"]
    run = checkpoint.restore(found, jax.eval_shape(lambda: start(kind)))
    assert (int(run.epoch), int(run.state.step), int(run.bad_step)) == (2, 6, -1)
    assert jnp.issubdtype(run.state.key.dtype, jax.dtypes.prng_key)
    longer = fit(kind, 4, progress=run)
    assert int(longer.epoch) == 4
    np.testing.assert_array_equal(longer.history["held_loss"][:2], run.history["held_loss"])
    np.testing.assert_allclose(longer.history["loss"], fit(kind, 4).history["loss"], rtol=1e-4)


if __name__ == "__main__":
    for kind in OPTIMIZERS:
        folder = STORED / kind.replace(" ", "-")
        if folder.exists():
            continue
        run = fit(kind, 2)
        arrays = checkpoint.load(checkpoint.save(folder, 2, run, {})).arrays
        print(
            checkpoint.save(folder, 2, run, {"sums": sums(arrays), "jax": jax.__version__, "optax": optax.__version__})
        )
