"""Capacity: decision regions of 1 to 20 hidden neurons, and a plane being bent.

    python -m experiments.lessons.capacity --quick

Trains 5 widths x 40 seeds on each of three sets in one compiled program, about 30 s on 2 cores with figures and
frames. Expected: one neuron draws one straight border and fails on the disc in a ring (about 70 %), three enclose it
(98 % and more), and on a five-armed spiral every increase in width helps (about 30 % to 95 %).
"""

from __future__ import annotations

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from matplotlib.figure import Figure

from experiments.lessons import lesson
from experiments.lessons.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from jaxnn import initializers, losses, models, plots, training
from jaxnn.data import Dataset, load
from jaxnn.inspect import trajectory

WIDTHS = (1, 2, 3, 6, 20)
SETS: dict[str, dict[str, Any]] = {"circle": {}, "moons": {}, "spiral": {"classes": 5}}
CLASSES = 5
LIMIT = 1.2


def network(width: Any) -> models.Model:
    """One hidden layer of up to 20 tanh neurons, `width` of them in use; scores for up to five classes."""
    return models.mlp(2, (max(WIDTHS),), CLASSES, activation=jnp.tanh, init=initializers.xavier, width=(width,))


def task(h: dict[str, Any]) -> training.Task:
    """The same task for every set, so that one program serves them all."""
    return training.Task(network(h["width"]), losses.softmax, optax.adam(0.03))


def folding_task(h: dict[str, Any]) -> training.Task:
    """A network whose last hidden layer has two neurons, so that it can be drawn."""
    return training.Task(
        models.mlp(2, (6, 2), 2, activation=jnp.tanh, init=initializers.xavier),
        losses.softmax,
        optax.adam(h["learning_rate"]),
    )


def study(options: Options) -> Findings:
    """Train every width with every seed on every set, then show one network as it learns."""
    epochs, seeds = (100, 5) if options.quick else (200, 40)
    datasets = {
        name: load(name, validation_share=0, size=1000, seed=options.seed, **more) for name, more in SETS.items()
    }
    keys = jax.random.split(jax.random.key(options.seed), seeds)
    trained = {}
    for name, dataset in datasets.items():
        data = training.Data(*dataset.train, evaluate={"test": dataset.test})
        widths = {"width": np.array(WIDTHS)}
        trained[name] = lesson.in_background(training.sweep, task, widths, keys, data, epochs=epochs, batch_size=40)
    frames = learning_frames(options, datasets["circle"])
    found = {name: wait() for name, wait in trained.items()}
    runs, seconds = {name: run for name, (run, _) in found.items()}, sum(took for _, took in found.values())
    test = {name: run.history["test_accuracy"][..., -1] for name, run in runs.items()}
    one, three = (round(float(test["circle"][i].max()), 4) for i in (0, 2))
    mean = test["spiral"].mean(1)
    claims = [
        Claim(
            "One hidden neuron cannot separate a disc from the ring around it; three can",
            "一个隐藏神经元分不开圆盘与外围的圆环；三个就可以",
            {"best test accuracy with one neuron": one, "best test accuracy with three neurons": three},
            one < 0.85 and three >= 0.97,
        ),
        Claim(
            "On a five-armed spiral every increase in width raises the mean test accuracy",
            "在五臂螺旋上，网络每加宽一次，平均测试准确率都有提高",
            {f"mean test accuracy at width {width}": float(value) for width, value in zip(WIDTHS, mean, strict=True)},
            bool((np.diff(mean) > 0).all()),
        ),
    ]
    rows = [
        [name, width, *(f"{100 * value:.1f} %" for value in (row.min(), np.median(row), row.max()))]
        for name, accuracy in test.items()
        for width, row in zip(WIDTHS, accuracy, strict=True)
    ]
    columns = ["data set", "hidden neurons", "worst seed", "median", "best seed"]
    return Findings(
        claims,
        {"regions": draw_best(datasets, runs, test, seeds), "widths": draw_widths(test, seeds), "bent": frames[-1]},
        [ResultTable(f"Test accuracy of {seeds} seeds after {epochs} epochs", columns, rows)],
        {"learning": frames},
        models=len(WIDTHS) * seeds * len(SETS),
        training_seconds=seconds,
    )


def draw_best(datasets: dict[str, Dataset], runs: dict[str, Any], test: dict[str, Any], seeds: int) -> Figure:
    """The regions of the best seed of every width on every set."""
    places = plots.plane(LIMIT, 121)
    score = jax.jit(jax.vmap(lambda width, params: network(width).apply(params, places)))
    panels = []
    for name, dataset in datasets.items():
        best = test[name].argmax(1)
        chosen = jax.tree.map(lambda leaf, best=best: leaf[np.arange(len(WIDTHS)), best], runs[name].state.params)
        scores = np.asarray(score(jnp.array(WIDTHS), chosen))[..., : len(dataset.classes)]
        for i, width in enumerate(WIDTHS):
            caption = f"{name}, {width}: {100 * test[name][i, best[i]]:.0f} %"
            panels.append(plots.Regions(scores[i], *dataset.test, caption))
    title = f"More neurons, more bends: best of {seeds} seeds for 1 to 20 neurons, test points and accuracy"
    return plots.decision_regions(panels, title, limit=LIMIT, columns=len(WIDTHS))


def draw_widths(test: dict[str, Any], seeds: int) -> Figure:
    """Test accuracy against width with every seed."""
    panels = [
        plots.Panel({f"median of {seeds} seeds": 100 * accuracy}, name, "test accuracy (%)")
        for name, accuracy in test.items()
    ]
    return plots.study(WIDTHS, panels, "Test accuracy against the number of hidden neurons", "hidden neurons", log=True)


def learning_frames(options: Options, dataset: Dataset) -> list[Figure]:
    """One network during training: its regions, and the plane as seen by its last hidden layer."""
    epochs = (0, 12, 40) if options.quick else (0, *range(1, 13), 14, 16, 19, 22, 26, 30, 35, 40, 50, 60)
    places = jnp.asarray(plots.plane(LIMIT, 121))
    model = folding_task({"learning_rate": 0.02}).model
    layer = models.mlp(2, (6,), 2, activation=jnp.tanh)

    @jax.jit
    def look(learning_rate: Array, key: Array, data: training.Data) -> tuple[Array, ...]:
        h = {"learning_rate": learning_rate}
        kept, _ = trajectory(folding_task, h, key, data, epochs, 40)
        folded = jax.vmap(lambda params, x: jnp.tanh(layer.apply(params[:-1], x)), (0, None))
        scores = jax.vmap(model.apply, (0, None))(kept, places)
        accuracy = jax.vmap(lambda p: (model.apply(p, data.inputs).argmax(-1) == data.labels).mean())(kept)
        return scores, folded(kept, places), folded(kept, data.inputs), accuracy, kept[-1]["w"], kept[-1]["b"]

    data = training.Data(*dataset.train)
    key = jax.random.key(options.seed)
    looks = (np.asarray(part) for part in look(jnp.float32(0.02), key, jax.tree.map(jnp.asarray, data)))
    figures = []
    for epoch, scores, grid, points, accuracy, w, b in zip(epochs, *looks, strict=True):
        figures.append(
            plots.bent_plane(
                plots.Regions(scores, *dataset.train, f"epoch {epoch}: accuracy {100 * accuracy:.0f} %"),
                plots.Bent(grid, points, dataset.train.labels, "as seen by the last hidden layer", (w, b), 1.05),
                "A 2-6-2-2 network learns: the hidden layers bend the plane until a line separates it",
                limit=LIMIT,
            )
        )
    return figures


LESSON = Lesson(
    "capacity",
    Text("The number of neurons", "神经元的个数"),
    Text("What can a network do with more hidden neurons?", "隐藏神经元越多，网络能做到什么？"),
    study,
)

if __name__ == "__main__":
    sys.exit(lesson.main(LESSON, __doc__))
