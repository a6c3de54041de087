"""A training in one of several processes.

    python tests/support/train_in_parallel.py OUT [COORDINATOR PROCESSES PROCESS]

Over all devices that the process sees. Process 0 writes what came out to the file OUT.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from float64 import enabled, in_float64

from jaxnn import _random as random
from jaxnn import distributed, layers, losses, models, sharding, training
from jaxnn.data import load, preprocess

HPARAMS = {"learning_rate": 0.05, "l2": 1e-4, "dropout": 0.5}


def task(h):
    return training.Task(
        model=models.mlp((8, 8, 1), (64,), 10, dropout=h["dropout"]),
        loss=losses.softmax,
        penalty=lambda params: h["l2"] * losses.l2(params),
        optimizer=optax.sgd(h["learning_rate"], momentum=0.9),
        transform=preprocess.standardize,
    )


wide_task = in_float64(task)


def digits(examples):
    dataset = load("digits")
    statistics = preprocess.fit_moments(dataset.train.inputs, "global")
    inputs, labels = dataset.train.inputs[:examples], dataset.train.labels[:examples]
    validation = dataset.validation.take(slice(139))  # no multiple of any number of devices
    return training.Data(inputs, labels, statistics, evaluate={"validation": validation})


def results():
    found = {}
    # 200 steps in 20 epochs; then 200 epochs of one step each, so that the loss of every step is seen
    for name, epochs, examples in (("epochs", 20, 645), ("steps", 200, 127)):
        data = digits(examples)
        with enabled():
            options = {"epochs": epochs, "batch_size": 64, "chunk_seconds": 0.05}
            run, _ = training.fit(wide_task, HPARAMS, jax.random.key(1), data, **options)
        found |= {f"{name}/{measure}": np.asarray(values) for measure, values in run.history.items()}
        found |= {f"{name}/w{i}": np.asarray(layer["w"]) for i, layer in enumerate(run.state.params)}

    @jax.jit
    def drawn(key):
        order = random.permutation(key, 645)
        kept = layers.dropout(key, sharding.shard(jnp.ones((64, 33))), 0.5)
        return sharding.replicate_inside((order, kept))

    order, kept = drawn(sharding.replicate(jax.random.key(7)))
    return found | {"order": np.asarray(order), "kept": np.asarray(kept)}


def main(out, coordinator=None, processes="1", process="0"):
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    if coordinator is not None:
        distributed.initialize(coordinator, int(processes), int(process), patience=600)
    with sharding.data_parallel():
        distributed.barrier()
        found = results()
    if jax.process_index() == 0:
        np.savez(out, allow_pickle=False, devices=np.array([jax.process_count(), jax.device_count()]), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
