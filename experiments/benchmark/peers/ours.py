"""jaxnn itself, as its users call it."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold

from experiments.benchmark.peers import Peer
from experiments.benchmark.workloads import Examples, Workload, read, read_standardized, settings, spread
from jaxnn import initializers, layers, losses, metrics, models, training
from jaxnn.data import preprocess
from jaxnn.interop.sklearn import MLPClassifier

Hparams = Mapping[str, Any]
MAX_UNITS = 64
"""Units for which a run has room in its history."""


def training_run(workload: Workload, folder: Path) -> Peer:
    """One run, continued by calling the compiled program with the epoch at which to stop."""
    data = on_device(workload, read(workload, folder))
    make_task, h = task_maker(workload, data, layers.dot_as_sum), hyperparameters(workload)
    arguments = jax.tree.map(jnp.float32, h), jax.random.key(0), data
    start = jax.jit(functools.partial(training.init_run, make_task, epochs=MAX_UNITS * workload.epochs))
    one = functools.partial(training.train_until, training.Options(make_task, workload.batch_size))
    advance = jax.jit(one, donate_argnums=3)
    progress = start(*arguments)
    done = 0

    def train(units: int) -> None:
        nonlocal progress, done
        done += units * workload.epochs
        progress = advance(*arguments, progress, jnp.int32(done))
        jax.block_until_ready(progress)

    def warm() -> float:
        clock = time.perf_counter()
        train(0)
        seconds = time.perf_counter() - clock
        train(1)
        return seconds

    return Peer(train, lambda: [float(accuracy(make_task, h, progress.state.params, data))], warm)


def bare_loop(workload: Workload, folder: Path) -> Peer:
    """The bound of a training loop: gradient and step on float32 batches that lie ready, and nothing else."""
    examples = read(workload, folder)
    data = on_device(workload, examples)
    make_task, h = task_maker(workload, data, layers.dot_as_sum), hyperparameters(workload)
    task, size = make_task(h), workload.batch_size
    steps = len(examples.labels) // size
    x = jax.jit(task.transform)(data.statistics, data.inputs[: steps * size]).reshape(steps, size, -1)
    y = jnp.asarray(data.labels)[: steps * size].reshape(steps, size)
    params = training.init_state(task, jax.random.fold_in(jax.random.key(0), 0)).params  # those of `training_run`

    @functools.partial(jax.jit, donate_argnums=0)
    def advance(params: Any, epochs: Array) -> Any:
        def step(params: Any, batch: tuple[Array, Array]) -> tuple[Any, None]:
            gradient = jax.grad(lambda p: task.loss(task.model.apply(p, batch[0]), batch[1]).mean())(params)
            return jax.tree.map(lambda p, g: p - workload.learning_rate * g, params, gradient), None

        return jax.lax.fori_loop(0, epochs, lambda _, p: jax.lax.scan(step, p, (x, y))[0], params)

    def train(units: int) -> None:
        nonlocal params
        params = jax.block_until_ready(advance(params, jnp.int32(units * workload.epochs)))

    return Peer(train, lambda: [float(accuracy(make_task, h, params, data))])


def whole_call(workload: Workload, folder: Path) -> Peer:
    """One call of `training.fit`, compilation included."""
    examples = read(workload, folder)
    data = training.Data(examples.inputs, examples.labels, _moments(workload, examples))
    make_task, h = task_maker(workload, data, layers.dot_as_sum), hyperparameters(workload)
    reached: list[Any] = []

    def train(units: int) -> None:
        epochs = units * workload.epochs
        run, _ = training.fit(make_task, h, jax.random.key(0), data, epochs=epochs, batch_size=workload.batch_size)
        reached[:] = [run.state.params]

    return Peer(train, lambda: [float(accuracy(make_task, h, reached[0], data))])


def fit_again(workload: Workload, folder: Path) -> Peer:
    """A new `MLPClassifier` fits, in a process in which another has fitted the same shapes."""
    x, y = read_standardized(workload, folder)
    fitted: list[MLPClassifier] = []

    def train(units: int) -> None:
        model = MLPClassifier(
            workload.hidden,
            solver="sgd",
            l2=workload.l2,
            batch_size=workload.batch_size,
            learning_rate_init=workload.learning_rate,
            momentum=workload.momentum,
            nesterovs_momentum=False,
            max_iter=units * workload.epochs,
            n_iter_no_change=np.inf,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is given
            fitted[:] = [model.fit(x, y)]

    return Peer(train, lambda: [float(fitted[0].score(x, y))])


def one_by_one(workload: Workload, folder: Path) -> Peer:
    """The models of a sweep one by one with one compiled program; eight models are timed and scaled to all."""
    data = on_device(workload, read(workload, folder))
    make_task = task_maker(workload, data)
    train_one = jax.jit(
        functools.partial(training.run, make_task, epochs=workload.epochs, batch_size=workload.batch_size)
    )
    every = settings(workload)
    chosen = spread(len(every), 8)
    trained: list[Any] = []

    def train(units: int) -> None:
        for _ in range(units):
            trained.clear()
            for one in (every[index] for index in chosen):
                h = hyperparameters(workload, learning_rate=one.learning_rate, l2=one.l2)
                run = train_one(jax.tree.map(jnp.float32, h), jax.random.key(one.seed), data)
                trained.append((h, jax.block_until_ready(run.state.params)))

    def accuracies() -> list[float]:
        return [float(accuracy(make_task, h, params, data)) for h, params in trained]

    return Peer(train, accuracies, models=tuple(chosen), scale=len(every) / len(chosen))


def sweep(workload: Workload, folder: Path) -> Peer:
    """All models of a sweep at once with `training.sweep`."""
    data = on_device(workload, read(workload, folder))
    make_task, h = task_maker(workload, data), hparams_of_sweep(workload)
    keys = jax.random.split(jax.random.key(0), workload.seeds)
    train_all = sweep_function(make_task, workload)
    reached: list[Any] = []

    def train(units: int) -> None:
        for _ in range(units):
            reached[:] = [jax.block_until_ready(train_all(h, keys, data)).state.params]

    def accuracies() -> list[float]:
        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), reached[0])
        each = jax.tree.map(lambda a: jnp.repeat(a, workload.seeds), h)
        found = jax.lax.map(lambda a: accuracy(make_task, a[0], a[1], data), (each, flat))
        return np.asarray(found, np.float64).tolist()

    return Peer(train, accuracies, models=tuple(range(len(settings(workload)))))


def grid_search(workload: Workload, folder: Path) -> Peer:
    """`training.sweep` over the grid for each of five folds of equal size, so that one program fits all of them."""
    examples = read(workload, folder)
    folds = list(StratifiedKFold(5).split(examples.inputs, examples.labels))
    kept, held = (min(len(fold[i]) for fold in folds) for i in range(2))
    everything = on_device(workload, examples)
    x, y = everything.inputs, everything.labels
    parts = [
        everything._replace(
            inputs=x[train[:kept]], labels=y[train[:kept]], evaluate={"validation": (x[test[:held]], y[test[:held]])}
        )
        for train, test in folds
    ]
    h, keys = hparams_of_sweep(workload), jax.random.split(jax.random.key(0), 1)
    train_all = sweep_function(task_maker(workload, everything), workload)
    means: list[float] = []

    def train(units: int) -> None:
        for _ in range(units):
            histories = [train_all(h, keys, data).history["validation_accuracy"] for data in parts]
            means[:] = np.mean([np.asarray(history)[:, 0, -1] for history in histories], axis=0).tolist()

    return Peer(train, lambda: means, models=tuple(range(len(settings(workload)))))


def sweep_function(make_task: Callable[[Hparams], training.Task], workload: Workload) -> Callable[..., training.Run]:
    """`training.sweep` as a function of (hparams, keys, data)."""
    return functools.partial(training.sweep, make_task, epochs=workload.epochs, batch_size=workload.batch_size)


def task_maker(
    workload: Workload, data: training.Data, dot: layers.Dot = layers.dot_general
) -> Callable[[Hparams], training.Task]:
    """`make_task(hparams)`, with the names of `hyperparameters`; `dot_as_sum` where one network is trained alone."""
    inputs, outputs = data.inputs.shape[1], int(np.asarray(data.labels).max()) + 1
    images = data.statistics is not None
    init = initializers.he if workload.activation == "relu" else initializers.xavier

    def make_task(h: Hparams) -> training.Task:
        width: dict[str, Any] = {"width": (h["width"],)} if "width" in h else {}
        return training.Task(
            model=models.mlp(
                inputs,
                workload.hidden,
                outputs,
                activation=models.ACTIVATIONS[workload.activation],
                init=init if workload.hidden else initializers.normal(0.01),
                dropout=h.get("dropout", 0.0),
                dot=dot,
                **width,
            ),
            loss=losses.svm if workload.loss == "svm" else losses.softmax,
            penalty=lambda params: h["l2"] * losses.l2(params),
            optimizer=optax.sgd(h["learning_rate"], momentum=h["momentum"]),
            transform=preprocess.standardize if images else lambda statistics, x: x,
        )

    return make_task


def hyperparameters(workload: Workload, **changes: float) -> dict[str, float]:
    """The traced numbers of a workload."""
    h = {"learning_rate": workload.learning_rate, "momentum": workload.momentum, "l2": workload.l2}
    return h | ({"dropout": workload.dropout} if workload.dropout else {}) | changes


def hparams_of_sweep(workload: Workload) -> dict[str, Array]:
    """The hyper-parameters of a sweep, [models], in the order of `settings`."""
    every = settings(workload._replace(seeds=1))
    h = {
        "learning_rate": jnp.array([one.learning_rate for one in every], jnp.float32),
        "momentum": jnp.full(len(every), workload.momentum, jnp.float32),
        "l2": jnp.array([one.l2 for one in every], jnp.float32),
    }
    return h | ({"width": jnp.array(workload.widths, jnp.int32)} if workload.widths else {})


def _moments(workload: Workload, examples: Examples) -> preprocess.Moments | None:
    """The moments that standardize images; None for points of the plane."""
    return (
        None if workload.data == "circle" else preprocess.Moments(jnp.asarray(examples.mean), jnp.asarray(examples.std))
    )


def on_device(workload: Workload, examples: Examples) -> training.Data:
    """The training data as JAX arrays."""
    return training.Data(jnp.asarray(examples.inputs), jnp.asarray(examples.labels), _moments(workload, examples))


@functools.partial(jax.jit, static_argnums=0)
def accuracy(make_task: Callable[[Hparams], training.Task], h: Hparams, params: Any, data: training.Data) -> Array:
    """The accuracy on all training examples, in evaluation mode."""
    scores = training.predict_scores(make_task(h), params, data.inputs, data.statistics)
    return metrics.accuracy(scores, jnp.asarray(data.labels))
