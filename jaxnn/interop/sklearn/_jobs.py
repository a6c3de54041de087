"""Training jobs as values, and running them: one by one, or many side by side."""

from __future__ import annotations

import concurrent.futures
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

    def lineage(self) -> tuple[Any, ...]:
        """The same for jobs that differ in nothing but their epochs, so that one can continue the other."""
        return self._replace(epochs=0).digest()


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


class Trained(NamedTuple):
    """Runs of `train_many`."""

    runs: dict[tuple[Any, ...], training.Run]
    """By digest, without optimizer state."""
    paused: dict[tuple[Any, ...], training.Run]
    """By lineage, to be continued; empty unless asked for."""


def train_many(
    jobs: Sequence[TrainingJob], before: Mapping[tuple[Any, ...], training.Run] | None = None, *, pause: bool = False
) -> Trained:
    """The runs of jobs, from scratch or continued from those before that they share their lineage with.

    Jobs on the same examples and seed run in one program through the same batches; several such sets run in parallel
    threads, and sets of the same shapes share a compiled program.
    """
    sets: dict[tuple[Any, ...], dict[tuple[Any, ...], TrainingJob]] = {}
    before = before or {}
    for job in jobs:
        digest = program, _, examples = job.digest()
        alone = digest if job.spec.solver == "lbfgs" else None
        sets.setdefault((program, examples, alone, job.lineage() in before), {})[digest] = job
    work = [(list(of_set.values()), bool(at[-1])) for at, of_set in sets.items()]
    for of_set, continued in work:
        if of_set[0].spec.solver != "lbfgs":  # each is compiled once
            _program(of_set[0].program(), len(of_set), of_set[0].is_short(len(of_set)), continued, pause)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        found = list(threads.map(lambda each: _train_set(each[0], each[1], pause, before), work))
    runs, paused = ({key: run for each in found for key, run in each[i].items()} for i in range(2))
    return Trained(runs, paused)


@functools.lru_cache(maxsize=64)
def _program(
    program: tuple[Any, ...], settings: int, short: bool, continued: bool, pause: bool
) -> Callable[..., tuple[training.Run, training.Run | None]]:
    """The compiled program for this number of settings on one set of examples: the runs as results, and to continue."""
    options, epochs, structure, shapes = program

    def grid(hparams: dict[str, Array], seed: Array, data: training.Data, before: training.Run | None) -> training.Run:
        key = jax.random.fold_in(jax.random.key(seed), 0)
        make_task = functools.partial(options.make_task, targets=data.statistics)
        runs = training.run_grid(options._replace(make_task=make_task), hparams, key[None], data, epochs, before)
        return runs._replace(state=runs.state._replace(key=None))

    def run(
        hparams: dict[str, Array], seed: Array, data: training.Data, before: training.Run | None
    ) -> tuple[training.Run, training.Run | None]:
        paused = grid(hparams, seed, data, before)
        runs = jax.vmap(options.make_task.judged)(hparams, jax.tree.map(lambda a: a[:, 0], paused))
        state = runs.state._replace(params=training.eval_params(runs.state), opt_state=None)
        return runs._replace(state=state), paused if pause else None  # the optimizer's state is large

    hparams = dict.fromkeys(HPARAMS, jax.ShapeDtypeStruct((settings,), np.float32))
    data = structure.unflatten(
        [jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(kind)) for shape, kind in shapes]
    )
    arguments: list[Any] = [hparams, jax.ShapeDtypeStruct((), np.uint32), data, None]
    if continued:
        arguments[-1] = jax.eval_shape(grid, *arguments)
    return jax.jit(run).lower(*arguments).compile(compiler_options=compiler_options(short))


def _train_set(
    jobs: list[TrainingJob], continued: bool, pause: bool, before: Mapping[tuple[Any, ...], training.Run]
) -> tuple[dict[tuple[Any, ...], training.Run], dict[tuple[Any, ...], training.Run]]:
    first = jobs[0]
    if first.spec.solver == "lbfgs":
        return {job.digest(): _lbfgs.minimize(job) for job in jobs}, {}
    hparams = {name: np.array([job.hparams[name] for job in jobs], np.float32) for name in HPARAMS}
    start = None
    if continued:
        start = jax.tree.map(lambda *leaves: np.stack(leaves), *(before[job.lineage()] for job in jobs))
        room = ((0, 0), (0, 0), (0, first.epochs - next(iter(start.history.values())).shape[-1]))
        longer = {name: np.pad(values, room, constant_values=np.nan) for name, values in start.history.items()}
        start = start._replace(history=longer)
    program = _program(first.program(), len(jobs), first.is_short(len(jobs)), continued, pause)
    runs, paused = jax.tree.map(np.asarray, program(hparams, np.uint32(first.seed), first.data, start))
    nth = lambda tree, i: jax.tree.map(lambda a: a[i], tree)
    results = {job.digest(): nth(runs, i) for i, job in enumerate(jobs)}
    return results, {job.lineage(): nth(paused, i) for i, job in enumerate(jobs)} if pause else {}


class Executor:
    """Runs the jobs of all clones of an estimator; while it collects, it notes them, to run them all at once.

    With `pause`, jobs of more epochs continue the runs of the same jobs that were collected last.
    """

    def __init__(self, *, pause: bool = False) -> None:
        self.collecting: list[TrainingJob] | None = None
        self.pause = pause
        self.clear()

    def clear(self) -> None:
        """Forget all runs."""
        self.runs: dict[tuple[Any, ...], training.Run] = {}
        self.paused: dict[tuple[Any, ...], training.Run] = {}

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
        self.runs, self.paused = train_many(jobs, self.paused, pause=self.pause) if jobs else Trained({}, {})

    def __deepcopy__(self, memo: Any) -> Executor:
        """Itself: scikit-learn copies the estimators in a grid."""
        return self


class _CollectedError(Exception):
    """The job was collected and not run."""
