"""jaxnn itself, as its users call it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from sklearn.model_selection import StratifiedKFold

from experiments.benchmark.peers import Peer
from experiments.benchmark.works import Examples, Work, read, settings, spread
from jaxnn import initializers, layers, losses, metrics, models, training
from jaxnn.data import preprocess

Hparams = Mapping[str, Any]
ROOM = 64
"""A run has room for so many units."""


def training_run(work: Work, folder: Path) -> Peer:
    """One training, the compiled program called with the epoch at which to stop.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    data = on_device(work, read(work, folder))
    make_task, h = task_maker(work, data, layers.dot_as_sum), hyperparameters(work)
    arguments = make_task, jax.tree.map(jnp.float32, h), jax.random.key(0), data
    start = jax.jit(functools.partial(training.init_run, make_task), static_argnums=(3, 4, 5))
    one = functools.partial(training.train_until, make_task)
    advance = jax.jit(one, static_argnums=(5, 6, 7), donate_argnums=3)
    progress = start(*arguments[1:], ROOM * work.epochs, work.batch_size, None)
    done = 0

    def train(units: int) -> None:
        nonlocal progress, done
        done += units * work.epochs
        progress = advance(*arguments[1:], progress, jnp.int32(done), work.batch_size, None, None)
        jax.block_until_ready(progress)

    def warm() -> float:
        clock = time.perf_counter()
        train(0)
        seconds = time.perf_counter() - clock
        train(1)
        return seconds

    return Peer(train, lambda: [accuracy(make_task, h, progress.state.params, data)], warm)


def whole_call(work: Work, folder: Path) -> Peer:
    """One call of `training.fit`, which compiles.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    examples = read(work, folder)
    data = training.Data(examples.inputs, examples.labels, statistics(work, examples))
    make_task, h = task_maker(work, data, layers.dot_as_sum), hyperparameters(work)
    reached: list[Any] = []

    def train(units: int) -> None:
        epochs = units * work.epochs
        run, _ = training.fit(make_task, h, jax.random.key(0), data, epochs=epochs, batch_size=work.batch_size)
        reached[:] = [run.state.params]

    return Peer(train, lambda: [accuracy(make_task, h, reached[0], data)])


def one_by_one(work: Work, folder: Path) -> Peer:
    """The models of a sweep one after the other with one compiled program: eight of them, for all.

    Args:
        work: a sweep.
        folder: where the examples are.

    Returns:
        The peer.
    """
    data = on_device(work, read(work, folder))
    make_task = task_maker(work, data)
    train_one = jax.jit(functools.partial(training.run, make_task, epochs=work.epochs, batch_size=work.batch_size))
    every = settings(work)
    places = spread(len(every), 8)
    trained: list[Any] = []

    def train(units: int) -> None:
        for _ in range(units):
            trained.clear()
            for place in places:
                h = hyperparameters(work, learning_rate=every[place].learning_rate, l2=every[place].l2)
                run = train_one(jax.tree.map(jnp.float32, h), jax.random.key(every[place].seed), data)
                trained.append((h, jax.block_until_ready(run.state.params)))

    def accuracies() -> list[float]:
        return [accuracy(make_task, h, params, data) for h, params in trained]

    return Peer(train, accuracies, models=tuple(places), scale=len(every) / len(places))


def sweep(work: Work, folder: Path) -> Peer:
    """All models of a sweep side by side, `training.sweep`.

    Args:
        work: a sweep.
        folder: where the examples are.

    Returns:
        The peer.
    """
    data = on_device(work, read(work, folder))
    make_task, h, keys = task_maker(work, data), hparams_of_sweep(work), jax.random.split(jax.random.key(0), work.seeds)
    train_all = sweep_function(make_task, work)
    reached: list[Any] = []

    def train(units: int) -> None:
        for _ in range(units):
            reached[:] = [jax.block_until_ready(train_all(h, keys, data)).state.params]

    def accuracies() -> list[float]:
        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), reached[0])
        each = jax.tree.map(lambda a: jnp.repeat(a, work.seeds), h)
        return np.asarray(
            jax.lax.map(lambda a: _accuracy(make_task, a[0], a[1], data), (each, flat)), np.float64
        ).tolist()

    return Peer(train, accuracies, models=tuple(range(len(settings(work)))))


def grid_search(work: Work, folder: Path) -> Peer:
    """`training.sweep` over the grid, once for each of five folds.

    The folds have equal sizes: at most one example is left out of each, so that the program fits all of them.

    Args:
        work: a sweep.
        folder: where the examples are.

    Returns:
        The peer; its accuracies are the means over the folds' validation examples.
    """
    examples = read(work, folder)
    folds = list(StratifiedKFold(5).split(examples.inputs, examples.labels))
    kept, held = (min(len(fold[i]) for fold in folds) for i in range(2))
    everything = on_device(work, examples)
    x, y = everything.inputs, everything.labels
    parts = [
        everything._replace(
            inputs=x[train[:kept]], labels=y[train[:kept]], evaluate={"validation": (x[test[:held]], y[test[:held]])}
        )
        for train, test in folds
    ]
    h, keys = hparams_of_sweep(work), jax.random.split(jax.random.key(0), 1)
    train_all = sweep_function(task_maker(work, everything), work)
    means: list[float] = []

    def train(units: int) -> None:
        for _ in range(units):
            histories = [train_all(h, keys, data).history["validation_accuracy"] for data in parts]
            means[:] = np.mean([np.asarray(history)[:, 0, -1] for history in histories], axis=0).tolist()

    return Peer(train, lambda: means, models=tuple(range(len(settings(work)))))


def sweep_function(make_task: Callable[[Hparams], training.Task], work: Work) -> Callable[..., training.Run]:
    """`training.sweep` as a function of (hparams, keys, data).

    Args:
        make_task: the task of one model.
        work: gives epochs and batch size.

    Returns:
        The function.
    """
    return functools.partial(training.sweep, make_task, epochs=work.epochs, batch_size=work.batch_size)


def task_maker(
    work: Work, data: training.Data, dot: layers.Dot = layers.dot_general
) -> Callable[[Hparams], training.Task]:
    """The function from hyper-parameters to the task.

    Args:
        work: what is trained.
        data: only shapes and labels are used.
        dot: `layers.dot_as_sum` where one network is trained alone.

    Returns:
        `make_task(hparams)`, with the names of `hyperparameters`.
    """
    inputs, outputs = data.inputs.shape[1], int(np.asarray(data.labels).max()) + 1
    images = data.statistics is not None
    init = initializers.he if work.activation == "relu" else initializers.xavier

    def make_task(h: Hparams) -> training.Task:
        width: dict[str, Any] = {"width": (h["width"],)} if "width" in h else {}
        return training.Task(
            model=models.mlp(
                inputs,
                work.hidden,
                outputs,
                activation=models.ACTIVATIONS[work.activation],
                init=init if work.hidden else initializers.normal(0.01),
                dropout=h.get("dropout", 0.0),
                dot=dot,
                **width,
            ),
            loss=losses.svm if work.loss == "svm" else losses.softmax,
            penalty=lambda params: h["l2"] * losses.l2(params),
            optimizer=optax.sgd(h["learning_rate"], momentum=h["momentum"]),
            transform=preprocess.standardize if images else lambda statistics, x: x,
        )

    return make_task


def hyperparameters(work: Work, **changes: float) -> dict[str, float]:
    """The traced numbers of a work.

    Args:
        work: what is trained.
        **changes: other values than its own.

    Returns:
        A value for each name.
    """
    h = {"learning_rate": work.learning_rate, "momentum": work.momentum, "l2": work.l2}
    return h | ({"dropout": work.dropout} if work.dropout else {}) | changes


def hparams_of_sweep(work: Work) -> dict[str, Array]:
    """The hyper-parameters of a sweep.

    Args:
        work: a sweep.

    Returns:
        An array [H] for each name, in the order of `settings`.
    """
    every = settings(work._replace(seeds=1))
    h = {
        "learning_rate": jnp.array([one.learning_rate for one in every], jnp.float32),
        "momentum": jnp.full(len(every), work.momentum, jnp.float32),
        "l2": jnp.array([one.l2 for one in every], jnp.float32),
    }
    return h | ({"width": jnp.array(work.widths, jnp.int32)} if work.widths else {})


def statistics(work: Work, examples: Examples) -> preprocess.Moments | None:
    """What standardizes images; None for points, which are taken as they are.

    Args:
        work: says which data.
        examples: the training examples.

    Returns:
        The moments.
    """
    return None if work.data == "circle" else preprocess.Moments(jnp.asarray(examples.mean), jnp.asarray(examples.std))


def on_device(work: Work, examples: Examples) -> training.Data:
    """The data of a training, as arrays of JAX.

    Args:
        work: what is trained.
        examples: the training examples.

    Returns:
        The data.
    """
    return training.Data(jnp.asarray(examples.inputs), jnp.asarray(examples.labels), statistics(work, examples))


def accuracy(make_task: Callable[[Hparams], training.Task], h: Hparams, params: Any, data: training.Data) -> float:
    """The accuracy on all training examples, in evaluation mode.

    Args:
        make_task, h: the task.
        params: what was learned.
        data: the training data.

    Returns:
        A share.
    """
    return float(_accuracy(make_task, jax.tree.map(jnp.float32, h), params, jax.tree.map(jnp.asarray, data)))


@functools.partial(jax.jit, static_argnums=0)
def _accuracy(make_task: Callable[[Hparams], training.Task], h: Hparams, params: Any, data: training.Data) -> Array:
    scores = training.predict_scores(make_task(h), params, data.inputs, data.statistics)
    return metrics.accuracy(scores, jnp.asarray(data.labels))
