"""Training jobs as values, and running them: one by one, or many side by side."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jaxnn import initializers, losses, metrics, models, training
from jaxnn.interop.sklearn import _lbfgs
from jaxnn.training._compile import compiler_options, is_short, jit_for_length

TARGETS = {
    "logistic": lambda scores, targets: (jax.nn.softplus(scores) - targets * scores).sum(-1),
    "squared_error": lambda scores, targets: jnp.square(scores - targets).sum(-1) / 2.0,
    "poisson": lambda scores, targets: (jnp.exp(scores) - targets * scores).sum(-1),
}
"""Losses of scores [B, K] and targets [B, K]."""
ACTIVATIONS = {**models.ACTIVATIONS, "logistic": jax.nn.sigmoid, "identity": lambda x: x}
SOLVERS = ("lbfgs", "adam", "sgd")
SCHEDULES = ("constant", "invscaling", "adaptive")
HPARAMS = (
    *("l2", "learning_rate_init", "power_t", "momentum", "beta_1", "beta_2", "epsilon", "dropout", "tol"),
    "batch_size",
)
"""Hyper-parameters that do not change the compiled program."""
LOWEST_RATE = 1e-6
"""Of the schedule "adaptive", which ends the training."""


@dataclasses.dataclass(frozen=True)
class ProgramSpec:
    """The settings that decide the compiled program; called with the hyper-parameters, it makes the task."""

    loss: str
    solver: str
    features: int
    hidden: tuple[int, ...]
    outputs: int
    activation: str
    dropout: bool
    bias: bool
    schedule: str
    nesterov: bool
    shuffle: bool
    wait: int | None
    """So many epochs without an improvement by `tol` do not end the training, one more does; None: nothing does."""
    monitor: str
    """What is to improve: "objective", or a metric of the history that is better when it is higher."""
    plateau: tuple[int, float] | None
    """Of the schedule "adaptive", steps of an epoch and `tol`."""

    def model(self, dropout: Any = 0.0) -> models.Model:
        """The model, with this dropout rate in training."""
        init = initializers.xavier if self.hidden else initializers.zeros
        activation = ACTIVATIONS[self.activation]
        model = models.mlp(self.features, self.hidden, self.outputs, activation=activation, init=init, dropout=dropout)
        if self.bias:
            return model
        fixed = lambda params: [{**layer, "b": jax.lax.stop_gradient(layer["b"])} for layer in params]
        return model._replace(apply=lambda params, x, **options: model.apply(fixed(params), x, **options))

    def __call__(self, h: Mapping[str, Any], targets: Array | None = None) -> training.Task:
        """The task of `training.run`; where there are targets f32[N, K], labels are rows of them."""
        return training.Task(
            model=self.model(h["dropout"] if self.dropout else 0.0),
            loss=lambda scores, labels: self.losses(scores, labels, targets),
            penalty=lambda params: h["l2"] * losses.l2(params),
            optimizer=self._optimizer(h),
            transform=lambda _, x: x if x.shape[-1] == self.features else unpacked(x, self.features),
            converged=functools.partial(self._converged, h),
            shuffle=self.shuffle,
            accuracy=lambda scores, labels: self.score(scores, labels, targets),
        )

    def losses(self, scores: Array, labels: Array, targets: Array | None) -> Array:
        """The loss of each example."""
        return (
            losses.LOSSES[self.loss](scores, labels) if targets is None else TARGETS[self.loss](scores, targets[labels])
        )

    def score(self, scores: Array, labels: Array, targets: Array | None) -> Array:
        """The fraction of examples that are right in all labels, or the explained variance, averaged over targets."""
        if targets is None:
            return metrics.accuracy(scores, labels)
        targets = targets[labels]
        if self.loss == "logistic":
            return ((scores > 0.0) == (targets > 0.5)).all(-1).mean()
        left = jnp.square(targets - (jnp.exp(scores) if self.loss == "poisson" else scores)).sum(0)
        return (1.0 - left / jnp.square(targets - targets.mean(0, keepdims=True)).sum(0)).mean()

    def _optimizer(self, h: Mapping[str, Any]) -> optax.GradientTransformation:
        if self.solver == "adam":
            return optax.adam(h["learning_rate_init"], b1=h["beta_1"], b2=h["beta_2"], eps=h["epsilon"])
        rate: Any = h["learning_rate_init"]
        if self.schedule == "invscaling":
            seen = lambda step: 1.0 + step.astype(jnp.float32) * h["batch_size"]
            rate = lambda step: h["learning_rate_init"] / seen(step) ** h["power_t"]
        sgd = optax.sgd(rate, momentum=h["momentum"], nesterov=self.nesterov)
        if self.plateau is None:
            return sgd
        steps, tol = self.plateau
        patience = 1_000_000_000 if self.wait is None else self.wait + 1
        slower = optax.contrib.reduce_on_plateau(
            factor=0.2, patience=patience, rtol=0.0, atol=max(tol, 1e-12), accumulation_size=steps
        )
        return optax.chain(sgd, slower)

    def _converged(self, h: Mapping[str, Any], run: training.Run) -> Array:
        if self.plateau is not None:
            return h["learning_rate_init"] * optax.tree.get(run.state.opt_state, "scale") <= LOWEST_RATE
        return jnp.bool_(False) if self.wait is None else self.waited(h, run) > self.wait

    def waited(self, h: Mapping[str, Any], run: training.Run) -> Array:
        """scikit-learn's rule: so many epochs in a row have not improved by `tol` what was best before."""
        of_run = run.history
        value = -(of_run["loss"] + of_run["penalty"]) if self.monitor == "objective" else of_run[self.monitor]
        before = jnp.concatenate([jnp.full(1, -jnp.inf), jax.lax.cummax(value)[:-1]])
        improved = value >= before + h["tol"]  # False for epochs to come, which are NaN
        return run.epoch - 1 - jnp.where(improved, jnp.arange(len(value)), -1).max()

    def judged(self, h: Mapping[str, Any], run: training.Run) -> training.Run:
        """The run with `converged` and `waited` in its history."""
        found = {"converged": self._converged(h, run), "waited": self.waited(h, run)}
        return run._replace(history=run.history | {name: value.astype(jnp.float32) for name, value in found.items()})


class TrainingJob(NamedTuple):
    """One training run to be made.

    Attributes:
        options, epochs: decide the program; see `training.run`.
        hparams: the values of `HPARAMS`.
        seed: of the run's key.
        data: NumPy arrays, weights included; `statistics` are the targets, where labels are their rows.
        coordinates: of the data; None if these are as given.
        scale: the factor of the objective that is in the weights and in `l2`.
        call: number of earlier calls of `partial_fit`; part of the key.
        max_fun: of lbfgs.
        state: parameters, optimizer state and step to start from, or (parameters, None, None); None starts anew.
    """

    options: training.Options
    epochs: int
    hparams: dict[str, float]
    seed: int
    data: training.Data
    coordinates: _lbfgs.Coordinates | None = None
    scale: float = 1.0
    call: int = 0
    max_fun: int = 15_000
    state: tuple[Any, Any, Any] | None = None

    @property
    def spec(self) -> Any:
        """The `ProgramSpec`."""
        return self.options.make_task

    def program(self) -> tuple[Any, ...]:
        """Equal for jobs that one compiled program can run side by side."""
        shapes = tuple((np.shape(a), np.result_type(a)) for a in jax.tree.leaves(self.data))
        return self.options, self.epochs, jax.tree.structure(self.data), shapes

    def is_short(self, settings: int = 1) -> bool:
        """Whether so many such jobs train for a moment."""
        weights = sum(map(math.prod, itertools.pairwise((self.spec.features, *self.spec.hidden, self.spec.outputs))))
        steps = self.epochs * (len(self.data.inputs) // self.options.batch_size)
        return is_short(settings * weights, steps * self.options.batch_size, steps)

    def examples(self) -> bytes:
        """A digest of the data and the seed."""
        digest = hashlib.blake2b(str((self.seed, self.call, self.max_fun)).encode())
        for leaf in jax.tree.leaves(self.data):
            digest.update(np.asarray(leaf).tobytes())
        return digest.digest()

    def digest(self) -> tuple[Any, ...]:
        """A key that identifies the job."""
        return self.program(), tuple(self.hparams.items()), self.examples()


def packed(x: Any) -> np.ndarray:
    """A sparse matrix [N, D] as f32[N, 2 M], the columns and the values of at most M entries a row, if that is less."""
    x = x.tocsr().astype(np.float32)
    x.sum_duplicates()
    x.eliminate_zeros()
    entries = np.diff(x.indptr)
    most = int(entries.max(initial=0))
    if not 0 < 2 * most < x.shape[1] < 2**24:
        return x.toarray()
    used = np.arange(most) < entries[:, None]
    columns, values = np.full(used.shape, x.shape[1], np.float32), np.zeros(used.shape, np.float32)
    columns[used], values[used] = x.indices, x.data
    return np.concatenate([columns, values], 1)


def unpacked(x: Array, features: int) -> Array:
    """The dense f32[B, D] of a batch that was `packed`."""
    columns, values = jnp.split(x, 2, axis=-1)
    rows = jnp.arange(len(x))[:, None]
    return jnp.zeros((len(x), features), x.dtype).at[rows, columns.astype(jnp.int32)].add(values, mode="drop")


def padded_batch_size(examples: int, at_most: int) -> tuple[int, int]:
    """The batch size (at most `at_most`, rounded up to a multiple of 8) and the number of rows in whole batches.

    Padding with rows of weight zero lets every epoch see every example, and sets of similar size share a program.
    """
    steps = -(-examples // at_most)
    size = 8 * -(-examples // (8 * steps))
    return size, steps * size


def _run(
    options: training.Options,
    hparams: dict[str, Array],
    seed: Array,
    call: Array,
    data: training.Data,
    state: tuple[Any, Any, Any] | None,
    *,
    epochs: int,
) -> training.Run:
    key = jax.random.fold_in(jax.random.key(seed), call)
    spec: Any = options.make_task
    make_task = functools.partial(spec, targets=data.statistics)
    progress = training.init_run(make_task, hparams, key, data, epochs=epochs, select=options.select)
    if state is not None:
        params, opt_state, step = state
        first = progress.state
        if opt_state is None:
            opt_state, step = make_task(hparams).optimizer.init(params), first.step
        progress = progress._replace(state=training.State(params, opt_state, step, first.key))
    options = options._replace(make_task=make_task)
    run = spec.judged(hparams, training.train_until(options, hparams, key, data, progress, jnp.int32(epochs)))
    return run._replace(state=run.state._replace(key=None))


_compiled_run = jit_for_length(_run, "options", "epochs")


def train(job: TrainingJob) -> training.Run:
    """The run of one job, as NumPy arrays and without `state.key`; FloatingPointError if it diverged."""
    if job.spec.solver == "lbfgs":
        return finished(job, _lbfgs.minimize(job))
    hparams = {name: np.float32(value) for name, value in job.hparams.items()}
    start = job.options, hparams, np.uint32(job.seed), np.uint32(job.call), job.data, job.state
    return finished(job, jax.tree.map(np.asarray, _compiled_run[job.is_short()](*start, epochs=job.epochs)))


def finished(job: TrainingJob, run: training.Run) -> training.Run:
    """The run with parameters for the data as given; FloatingPointError if it diverged before a best epoch."""
    step = int(run.bad_step)
    if step >= 0 and (run.best is None or run.best.epoch < 0):
        epoch = step // (len(job.data.inputs) // job.options.batch_size)
        raise FloatingPointError(
            f"the objective or the update became non-finite at step {step} (epoch {epoch}): the learning rate is most "
            f"likely too high; lower learning_rate_init, or scale the inputs"
        )
    if job.coordinates is None:
        return run
    outer = job.coordinates.outer
    best = run.best and run.best._replace(params=outer(run.best.params))
    return run._replace(state=run.state._replace(params=outer(run.state.params)), best=best)


def train_many(jobs: Sequence[TrainingJob]) -> dict[tuple[Any, ...], training.Run]:
    """The runs of jobs that start from scratch, by digest and without optimizer state.

    Jobs on the same examples and seed run in one program through the same batches; several such sets run in parallel
    threads, and sets of the same shapes share a compiled program.
    """
    sets: dict[tuple[Any, ...], dict[tuple[Any, ...], TrainingJob]] = {}
    for job in jobs:
        digest = program, _, examples = job.digest()
        alone = digest if job.spec.solver == "lbfgs" else None
        sets.setdefault((program, examples, alone), {})[digest] = job
    work = [list(of_set.values()) for of_set in sets.values()]
    for of_set in work:
        if of_set[0].spec.solver != "lbfgs":
            _program(of_set[0].program(), len(of_set), of_set[0].is_short(len(of_set)))  # each is compiled once
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(_train_set, work)
        return {digest: run for runs in found for digest, run in runs.items()}


@functools.lru_cache(maxsize=64)
def _program(program: tuple[Any, ...], settings: int, short: bool) -> Callable[..., training.Run]:
    """The compiled program for this number of settings on one set of examples."""
    options, epochs, structure, shapes = program

    def run(hparams: dict[str, Array], seed: Array, data: training.Data) -> training.Run:
        key = jax.random.fold_in(jax.random.key(seed), 0)
        make_task = functools.partial(options.make_task, targets=data.statistics)
        runs = training.run_grid(options._replace(make_task=make_task), hparams, key[None], data, epochs)
        runs = jax.tree.map(lambda a: a[:, 0], runs._replace(state=runs.state._replace(key=None)))
        runs = jax.vmap(options.make_task.judged)(hparams, runs)
        return runs._replace(state=runs.state._replace(opt_state=None))  # large, and not needed any more

    hparams = dict.fromkeys(HPARAMS, jax.ShapeDtypeStruct((settings,), np.float32))
    data = structure.unflatten([jax.ShapeDtypeStruct(*shape) for shape in shapes])
    lowered = jax.jit(run).lower(hparams, jax.ShapeDtypeStruct((), np.uint32), data)
    return lowered.compile(compiler_options=compiler_options(short))


def _train_set(jobs: list[TrainingJob]) -> dict[tuple[Any, ...], training.Run]:
    if jobs[0].spec.solver == "lbfgs":
        return {job.digest(): _lbfgs.minimize(job) for job in jobs}
    hparams = {name: np.array([job.hparams[name] for job in jobs], np.float32) for name in HPARAMS}
    program = _program(jobs[0].program(), len(jobs), jobs[0].is_short(len(jobs)))
    runs = jax.tree.map(np.asarray, program(hparams, np.uint32(jobs[0].seed), jobs[0].data))
    return {job.digest(): jax.tree.map(lambda a, i=i: a[i], runs) for i, job in enumerate(jobs)}


class Executor:
    """Runs the jobs of all clones of an estimator; while it collects, it notes them, to run them all at once."""

    def __init__(self) -> None:
        self.collecting: list[TrainingJob] | None = None
        self.runs: dict[tuple[Any, ...], training.Run] = {}

    def __call__(self, job: TrainingJob) -> training.Run:
        """The run of a job; while collecting, an error in its place."""
        if self.collecting is not None:
            self.collecting.append(job)
            raise _CollectedError
        run = self.runs.get(job.digest())
        return train(job) if run is None else finished(job, run)

    def run_collected(self) -> None:
        """Runs all collected jobs side by side."""
        jobs, self.collecting = self.collecting, None
        self.runs = train_many(jobs or [])

    def __deepcopy__(self, memo: Any) -> Executor:
        """Itself: scikit-learn copies the estimators in a grid."""
        return self


class _CollectedError(Exception):
    """The job was collected and not run."""
