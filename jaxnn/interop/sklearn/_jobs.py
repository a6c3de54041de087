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

from jaxnn import initializers, losses, models, training
from jaxnn.interop.sklearn import _lbfgs
from jaxnn.training._compile import compiler_options, is_short, jit_for_length

SOLVERS = ("lbfgs", "adam", "sgd")
HPARAMS = ("l2", "learning_rate", "momentum", "dropout", "tol")
"""Hyper-parameters that do not change the compiled program."""


@dataclasses.dataclass(frozen=True)
class ProgramSpec:
    """The settings that decide the compiled program; called with the hyper-parameters, it makes the task."""

    loss: str
    solver: str
    features: int
    hidden: tuple[int, ...]
    classes: int
    activation: str
    dropout: bool

    def model(self, dropout: Any = 0.0) -> models.Model:
        """The model, with this dropout rate in training."""
        init = initializers.xavier if self.hidden else initializers.zeros
        activation = models.ACTIVATIONS[self.activation]
        return models.mlp(self.features, self.hidden, self.classes, activation=activation, init=init, dropout=dropout)

    def __call__(self, h: Mapping[str, Any]) -> training.Task:
        """The task of `training.run`."""
        loss, transform, penalty = losses.LOSSES[self.loss], None, losses.l2
        match self.solver:
            case "lbfgs":
                optimizer = optax.lbfgs(memory_size=10 if self.hidden else 30)
                if self.loss == "svm":
                    loss = functools.partial(_lbfgs.rounded_hinge, width=h["width"])
                if not self.hidden:
                    scale = functools.partial(_lbfgs.scale, l2=h["l2"])
                    transform = lambda deviation, x: x * (deviation * scale(deviation))[None]
                    penalty = lambda params: losses.l2([{"w": params[0]["w"] * scale(h["deviation"])[None]}])
            case "adam":
                optimizer = optax.adam(h["learning_rate"])
            case _:
                optimizer = optax.sgd(h["learning_rate"], momentum=h["momentum"])
        task = training.Task(
            model=self.model(h["dropout"] if self.dropout else 0.0),
            loss=loss,
            penalty=lambda params: h["l2"] * penalty(params),
            optimizer=optimizer,
        )
        return task if transform is None else task._replace(transform=transform)


class TrainingJob(NamedTuple):
    """One training run to be made.

    Attributes:
        options, epochs: decide the program; see `training.run`.
        wait: of lbfgs; see `_lbfgs.minimize`.
        hparams: the values of `HPARAMS`.
        seed: of the run's key.
        data: NumPy arrays, weights included; `statistics` is the deviation of the coordinates.
        coordinates: of the data; None if these are as given.
        scale: the factor of the objective that is in the weights and in `l2`.
        call: number of earlier calls of `partial_fit`; part of the key.
        state: parameters, optimizer state and step to start from, or (parameters, None, None); None starts afresh.
    """

    options: training.Options
    epochs: int
    wait: int
    hparams: dict[str, np.float32]
    seed: int
    data: training.Data
    coordinates: _lbfgs.Coordinates | None = None
    scale: float = 1.0
    call: int = 0
    state: tuple[Any, Any, Any] | None = None

    @property
    def spec(self) -> Any:
        """The `ProgramSpec`."""
        return self.options.make_task

    def program(self) -> tuple[Any, ...]:
        """Equal for jobs that one compiled program can run side by side."""
        shapes = tuple((np.shape(a), np.result_type(a)) for a in jax.tree.leaves(self.data))
        structure = jax.tree.structure(self.data)
        return self.options, self.epochs, self.wait, structure, shapes

    def is_short(self, settings: int = 1) -> bool:
        """Whether so many such jobs train for a moment; of lbfgs, if they converge within the usual number of steps."""
        spec: Any = self.options.make_task
        weights = sum(map(math.prod, itertools.pairwise((spec.features, *spec.hidden, spec.classes))))
        epochs = min(self.epochs, 200) if spec.solver == "lbfgs" else self.epochs
        steps = epochs * (len(self.data.inputs) // self.options.batch_size)
        return is_short(settings * weights, steps * self.options.batch_size, steps)

    def examples(self) -> bytes:
        """A digest of the data and the seed."""
        digest = hashlib.blake2b(str((self.seed, self.call)).encode())
        for leaf in jax.tree.leaves(self.data):
            digest.update(np.asarray(leaf).tobytes())
        return digest.digest()

    def digest(self) -> tuple[Any, ...]:
        """A key that identifies the job."""
        return self.program(), tuple(self.hparams.items()), self.examples()


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
    wait: int,
) -> training.Run:
    spec: Any = options.make_task
    key = jax.random.fold_in(jax.random.key(seed), call)
    hparams = {**hparams, "deviation": data.statistics, "width": jnp.float32(1.0)}
    progress = training.init_run(spec, hparams, key, data, epochs=epochs, select=options.select)
    if state is not None:
        params, opt_state, step = state
        first = progress.state
        if opt_state is None:
            opt_state, step = spec(hparams).optimizer.init(params), first.step
        progress = progress._replace(state=training.State(params, opt_state, step, first.key))
    if spec.solver == "lbfgs":
        run = _lbfgs.minimize(options, hparams, key, data, progress, epochs=epochs, wait=wait)
    else:
        run = training.train_until(options, hparams, key, data, progress, jnp.int32(epochs))
    return run._replace(state=run.state._replace(key=None))


_compiled_run = jit_for_length(_run, "options", "epochs", "wait")


def train(job: TrainingJob) -> training.Run:
    """The run of one job, as NumPy arrays and without `state.key`; FloatingPointError if it diverged."""
    state = job.state
    if state is not None and job.coordinates is not None:
        state = (job.coordinates.inner(state[0], job.hparams["l2"]), *state[1:])
    start = job.options, job.hparams, np.uint32(job.seed), np.uint32(job.call), job.data, state
    run = _compiled_run[job.is_short()](*start, epochs=job.epochs, wait=job.wait)
    return finished(job, jax.tree.map(np.asarray, run))


def finished(job: TrainingJob, run: training.Run) -> training.Run:
    """The run with parameters for the data as given; FloatingPointError if it diverged."""
    step = int(run.bad_step)
    if step >= 0:
        epoch = step // (len(job.data.inputs) // job.options.batch_size)
        raise FloatingPointError(
            f"the objective or the update became non-finite at step {step} (epoch {epoch}): the learning rate is most "
            f"likely too high; lower learning_rate_init, or scale the inputs"
        )
    if job.coordinates is None:
        return run
    outer = functools.partial(job.coordinates.outer, l2=job.hparams["l2"])
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
        sets.setdefault((program, examples), {})[digest] = job
    work = [list(of_set.values()) for of_set in sets.values()]
    programs = [_program(jobs[0].program(), len(jobs), jobs[0].is_short(len(jobs))) for jobs in work]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(_train_set, programs, work)
        return {digest: run for runs in found for digest, run in runs.items()}


@functools.lru_cache(maxsize=64)
def _program(program: tuple[Any, ...], settings: int, short: bool) -> Callable[..., training.Run]:
    """The compiled program for this number of settings on one set of examples."""
    options, epochs, wait, structure, shapes = program

    def run(hparams: dict[str, Array], seed: Array, data: training.Data) -> training.Run:
        if options.make_task.solver == "lbfgs":
            one = lambda hparams: _run(options, hparams, seed, jnp.uint32(0), data, None, epochs=epochs, wait=wait)
            runs = jax.vmap(one)(hparams)
            return runs._replace(state=runs.state._replace(opt_state=None))
        key = jax.random.fold_in(jax.random.key(seed), 0)
        runs = training.run_grid(options, hparams, key[None], data, epochs)
        runs = runs._replace(state=runs.state._replace(key=None, opt_state=None))  # large, and no longer needed
        return jax.tree.map(lambda a: a[:, 0], runs)

    hparams = dict.fromkeys(HPARAMS, jax.ShapeDtypeStruct((settings,), np.float32))
    data = structure.unflatten([jax.ShapeDtypeStruct(*shape) for shape in shapes])
    lowered = jax.jit(run).lower(hparams, jax.ShapeDtypeStruct((), np.uint32), data)
    return lowered.compile(compiler_options=compiler_options(short))


def _train_set(program: Callable[..., training.Run], jobs: list[TrainingJob]) -> dict[tuple[Any, ...], training.Run]:
    hparams = {name: np.stack([job.hparams[name] for job in jobs]) for name in HPARAMS}
    runs = jax.tree.map(np.asarray, program(hparams, np.uint32(jobs[0].seed), jobs[0].data))
    return {job.digest(): jax.tree.map(lambda a, i=i: a[i], runs) for i, job in enumerate(jobs)}


class Executor:
    """Runs the jobs of all clones of an estimator: first only collects them, later returns the runs made meanwhile."""

    def __init__(self) -> None:
        self.collecting: list[TrainingJob] | None = []
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
