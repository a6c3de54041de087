"""What a classifier wants to have trained, as a value; and the trainings themselves, alone or many side by side.

Examples start from:
    >>> from jaxnn.interop.sklearn import _jobs
    >>> recipe = plans.Recipe("softmax", "sgd", features=2, hidden=(), classes=2, activation="relu", dropout=False)
    >>> hparams = dict.fromkeys(plans.HPARAMS, np.float32(0.1))
    >>> plan = plans.Plan(recipe, 5, 10, None, None, hparams, seed=0, data=training.Data(*data.toy.gauss(40)))
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import contextvars
import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jaxnn import initializers, losses, models, training

LOSSES = {"softmax": losses.softmax, "svm": losses.svm}
SOLVERS = ("lbfgs", "adam", "sgd")
HPARAMS = ("l2", "learning_rate", "momentum", "dropout")
"""The numbers of a training that do not decide its program."""


@dataclasses.dataclass(frozen=True)
class ProgramSpec:
    """What of a training decides the compiled program: called with the numbers that do not, it makes the task.

    Attributes:
        loss: a name in `LOSSES`.
        solver: a name in `SOLVERS`.
        features, hidden, classes: the sizes of the layers.
        activation: a name in `models.ACTIVATIONS`.
        dropout: whether hidden values are dropped, with the share `h["dropout"]`.
    """

    loss: str
    solver: str
    features: int
    hidden: tuple[int, ...]
    classes: int
    activation: str
    dropout: bool

    def model(self, dropout: Any = 0.0) -> models.Model:
        """The model, with a share of hidden values that is dropped in training."""
        init = initializers.xavier if self.hidden else initializers.zeros
        activation = models.ACTIVATIONS[self.activation]
        return models.mlp(self.features, self.hidden, self.classes, activation=activation, init=init, dropout=dropout)

    def __call__(self, h: Mapping[str, Any]) -> training.Task:
        """The task of `training.run`."""
        match self.solver:
            case "lbfgs":
                optimizer = optax.lbfgs()
            case "adam":
                optimizer = optax.adam(h["learning_rate"])
            case _:
                optimizer = optax.sgd(h["learning_rate"], momentum=h["momentum"])
        return training.Task(
            model=self.model(h["dropout"] if self.dropout else 0.0),
            loss=LOSSES[self.loss],
            penalty=lambda params: h["l2"] * losses.l2(params),
            optimizer=optimizer,
        )


class TrainingJob(NamedTuple):
    """One training before it is made.

    Attributes:
        recipe, epochs, batch_size, select, patience: what decides the program; see `training.run`.
        hparams: the numbers that do not.
        seed: of the run's key.
        data: NumPy arrays, weights included.
        call: how many calls of `partial_fit` went before; part of the key.
        state: parameters, optimizer's state and step to start from, or parameters alone; None starts anew.
    """

    recipe: ProgramSpec
    epochs: int
    batch_size: int
    select: str | None
    patience: int | None
    hparams: dict[str, np.float32]
    seed: int
    data: training.Data
    call: int = 0
    state: tuple[Any, Any, Any] | None = None

    def program(self) -> tuple[Any, ...]:
        """What plans must share to be trained side by side."""
        shapes = tuple((np.shape(a), np.result_type(a)) for a in jax.tree.leaves(self.data))
        structure = jax.tree.structure(self.data)
        return self.recipe, self.epochs, self.batch_size, self.select, self.patience, structure, shapes

    def examples(self) -> bytes:
        """A digest of the data and the seed."""
        digest = hashlib.blake2b(str((self.seed, self.call)).encode())
        for leaf in jax.tree.leaves(self.data):
            digest.update(np.asarray(leaf).tobytes())
        return digest.digest()

    def digest(self) -> tuple[Any, ...]:
        """What tells the plan from every other."""
        return self.program(), tuple(self.hparams.items()), self.examples()


def padded_batch_size(examples: int, at_most: int) -> tuple[int, int]:
    """Batches of one size, at most `at_most` rounded up to a multiple of 8, and as few as that allows.

    Args:
        examples: how many there are.
        at_most: how many a batch may have.

    Returns:
        The size of a batch, a multiple of 8, and the number of rows that fill whole batches: to these the examples are
        padded with rows of weight zero, so that every epoch sees every example, and sets of nearly the same size share
        one compiled program.

    Example:
        >>> plans.padded_batch_size(1437, at_most=200)  # 8 batches of 184: 35 rows of weight zero are added
        (184, 1472)
    """
    steps = -(-examples // at_most)
    size = 8 * -(-examples // (8 * steps))
    return size, steps * size


@functools.partial(jax.jit, static_argnames=("recipe", "epochs", "batch_size", "select", "patience"))
def _run(
    recipe: ProgramSpec,
    hparams: dict[str, Array],
    seed: Array,
    call: Array,
    data: training.Data,
    state: tuple[Any, Any, Any] | None,
    *,
    epochs: int,
    batch_size: int,
    select: str | None,
    patience: int | None,
) -> training.Run:
    key = jax.random.fold_in(jax.random.key(seed), call)
    progress = training.init_run(recipe, hparams, key, data, epochs=epochs, select=select)
    if state is not None:
        params, opt_state, step = state
        first = progress.state
        if opt_state is None:
            opt_state, step = recipe(hparams).optimizer.init(params), first.step
        progress = progress._replace(state=training.State(params, opt_state, step, first.key))
    options = {"batch_size": batch_size, "select": select, "patience": patience}
    run = training.train_until(recipe, hparams, key, data, progress, jnp.int32(epochs), **options)
    return run._replace(state=run.state._replace(key=None))


def train(plan: TrainingJob) -> training.Run:
    """Make one training.

    Args:
        plan: what is wanted.

    Returns:
        The run, its leaves as NumPy arrays, without `state.key`.

    Raises:
        FloatingPointError: it diverged.

    Example:
        >>> plans.train(plan).history["loss"].shape
        (5,)
    """
    run = _run(
        plan.recipe,
        plan.hparams,
        np.uint32(plan.seed),
        np.uint32(plan.call),
        plan.data,
        plan.state,
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        select=plan.select,
        patience=plan.patience,
    )
    return raise_if_diverged(plan, jax.tree.map(np.asarray, run))


def raise_if_diverged(plan: TrainingJob, run: training.Run) -> training.Run:
    """The run, if it stayed finite.

    Args:
        plan: what was wanted.
        run: what came of it.

    Returns:
        The run.

    Raises:
        FloatingPointError: it diverged.

    Example:
        >>> run = plans.train(plan)
        >>> plans.checked(plan, run) is run
        True
        >>> plans.checked(plan, run._replace(bad_step=np.int32(7)))
        Traceback (most recent call last):
            ...
        FloatingPointError: the objective or the update became non-finite at step 7 (epoch 1): the learning ...
    """
    step = int(run.bad_step)
    if step >= 0:
        epoch = step // (len(plan.data.inputs) // plan.batch_size)
        raise FloatingPointError(
            f"the objective or the update became non-finite at step {step} (epoch {epoch}): the learning rate is most "
            f"likely too high; lower learning_rate_init, or scale the inputs"
        )
    return run


def train_many(plans: Sequence[TrainingJob]) -> dict[tuple[Any, ...], training.Run]:
    """Make many trainings: all settings of one set of examples side by side, through the same batches; sets of examples
    one beside the other, on as many threads as there are cores. Sets that are shaped alike share a program.

    Args:
        plans: what is wanted, each starting anew.

    Returns:
        The run of every plan by its digest, without the state of its optimizer.

    Example:
        >>> many = [plan._replace(hparams=hparams | {"l2": np.float32(l2)}) for l2 in (0.0, 0.1, 1.0)]
        >>> len(plans.train_many(many))
        3
    """
    sets: dict[tuple[Any, ...], dict[tuple[Any, ...], TrainingJob]] = {}
    for plan in plans:
        digest = program, _, examples = plan.digest()
        sets.setdefault((program, examples), {})[digest] = plan
    work = [list(of_set.values()) for of_set in sets.values()]
    programs = [_program(of_set[0].program(), len(of_set)) for of_set in work]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(_train_set, programs, work)
        return {digest: run for runs in found for digest, run in runs.items()}


@functools.lru_cache(maxsize=64)
def _program(program: tuple[Any, ...], settings: int) -> Callable[..., training.Run]:
    """The compiled program for so many settings of one set of examples."""
    recipe, epochs, batch_size, select, patience, structure, shapes = program

    def run(hparams: dict[str, Array], seed: Array, data: training.Data) -> training.Run:
        keys = jax.random.fold_in(jax.random.key(seed), 0)[None]
        options = {"epochs": epochs, "batch_size": batch_size, "select": select, "patience": patience}
        runs = training.run_grid(recipe, hparams, keys, data, **options)
        # what a finished model does not need would fill the memory
        runs = runs._replace(state=runs.state._replace(key=None, opt_state=None))
        return jax.tree.map(lambda a: a[:, 0], runs)

    hparams = dict.fromkeys(HPARAMS, jax.ShapeDtypeStruct((settings,), np.float32))
    data = structure.unflatten([jax.ShapeDtypeStruct(*shape) for shape in shapes])
    return jax.jit(run).lower(hparams, jax.ShapeDtypeStruct((), np.uint32), data).compile()


def _train_set(program: Callable[..., training.Run], plans: list[TrainingJob]) -> dict[tuple[Any, ...], training.Run]:
    hparams = {name: np.stack([plan.hparams[name] for plan in plans]) for name in HPARAMS}
    runs = jax.tree.map(np.asarray, program(hparams, np.uint32(plans[0].seed), plans[0].data))
    return {plan.digest(): jax.tree.map(lambda a, i=i: a[i], runs) for i, plan in enumerate(plans)}


# Who answers a plan: `train`, unless a search has asked to be told the plans, or has made the trainings already.
_answer: contextvars.ContextVar[Callable[[TrainingJob], training.Run]] = contextvars.ContextVar("answer", default=train)


def execute(plan: TrainingJob) -> training.Run:
    """The run of a plan: trained now, or taken from those that `use_executor` brought.

    Args:
        plan: what is wanted.

    Returns:
        The run, as `train`.

    Raises:
        FloatingPointError: it diverged.

    Example:
        >>> plans.answer(plan).history["loss"].shape
        (5,)
    """
    return _answer.get()(plan)


@contextlib.contextmanager
def use_executor(by: Callable[[TrainingJob], training.Run]) -> Iterator[None]:
    """Have plans answered by another function for a while.

    Args:
        by: from a plan to its run.

    Yields:
        Nothing.

    Example:
        >>> asked = []
        >>> with plans.answering(lambda plan: asked.append(plan) or plans.train(plan)):
        ...     run = plans.answer(plan)
        >>> len(asked), run.history["loss"].shape
        (1, (5,))
    """
    token = _answer.set(by)
    try:
        yield
    finally:
        _answer.reset(token)
