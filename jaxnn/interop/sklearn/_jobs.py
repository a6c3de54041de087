"""Training jobs as values, and running them: one by one, or many side by side."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import itertools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn import training
from jaxnn.interop.sklearn import _lbfgs
from jaxnn.interop.sklearn._program import HPARAMS
from jaxnn.training._compile import compiler_options, is_short, jit_for_length


class TrainingJob(NamedTuple):
    """One training run to be made.

    Attributes:
        options, epochs: decide the program; see `training.run`.
        hparams: the values of `HPARAMS`; of lbfgs also `l1`, the factor of the sum of the absolute weights.
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
    hparams = {name: np.float32(job.hparams[name]) for name in HPARAMS}
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
        state = runs.state._replace(params=training.eval_params(runs.state), opt_state=None)
        return runs._replace(state=state)  # the optimizer's state is large, and not needed any more

    hparams = dict.fromkeys(HPARAMS, jax.ShapeDtypeStruct((settings,), np.float32))
    data = structure.unflatten(
        [jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(kind)) for shape, kind in shapes]
    )
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
