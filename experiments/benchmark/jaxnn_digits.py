"""A script for digits as a user of jaxnn would write it: load, split, train, evaluate. A process of `startup`.

python -m experiments.benchmark.jaxnn_digits '{"hidden": [256], ...}'
"""

import json
import sys

import jax
import optax

from jaxnn import losses, metrics, models, training
from jaxnn.data import load, preprocess


def main(given: str) -> None:
    """Train, then print the training and test accuracy as JSON."""
    settings = json.loads(given)
    training.enable_compilation_cache()
    digits = load("digits")
    statistics = preprocess.fit_moments(digits.train.inputs, "global")
    steps = len(digits.train.labels) // settings["batch_size"] * settings["epochs"]

    def task(h: dict[str, jax.Array]) -> training.Task:
        return training.Task(
            model=models.mlp((8, 8, 1), settings["hidden"], 10, dropout=h["dropout"]),
            loss=losses.softmax,
            penalty=lambda params: h["l2"] * losses.l2(params),
            optimizer=optax.sgd(optax.cosine_decay_schedule(h["learning_rate"], steps), momentum=h["momentum"]),
            transform=preprocess.standardize,
        )

    h = {name: settings[name] for name in ("learning_rate", "momentum", "l2", "dropout")}
    data = training.Data(*digits.train, statistics, evaluate={"validation": digits.validation})
    run, _ = training.fit(
        task, h, jax.random.key(0), data, epochs=settings["epochs"], batch_size=settings["batch_size"]
    )

    @jax.jit
    def accuracy(inputs: jax.Array, labels: jax.Array) -> jax.Array:
        return metrics.accuracy(training.predict_scores(task(h), run.state.params, inputs, statistics), labels)

    print(json.dumps({f"{name}_accuracy": float(accuracy(*getattr(digits, name))) for name in ("train", "test")}))


if __name__ == "__main__":
    main(sys.argv[1])
