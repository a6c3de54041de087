"""The types of a training: the task, its data, the state between steps, and the run that comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import optax
from jax import Array
from jax.typing import ArrayLike

from jaxnn.metrics import accuracy
from jaxnn.models import Model, StatefulModel

Params = Any
Statistics = Any
Hparams = Any
Batch = tuple[Array | np.ndarray, Array | np.ndarray]
"""Inputs [B, ...] and labels int[B]."""
Weighted = tuple[Array | np.ndarray, Array | np.ndarray, Array | np.ndarray | None]
"""A batch with the factor of each example's loss, f32[B]; None means ones."""
PaddedBatch = tuple[Array | np.ndarray, Array | np.ndarray, int]
"""A batch, and how many of its first examples count."""


class Task(NamedTuple):
    """What to learn, as functions. A task is made inside the compiled program, by a function of the hyper-parameters,
    so that these may be traced: a new value compiles nothing, and `vmap` trains many at once.

        def task(h):
            return Task(
                model=models.mlp(64, (128,), 10, dropout=h["dropout"]),
                loss=losses.softmax,
                penalty=lambda params: h["l2"] * losses.l2(params),
                optimizer=optax.sgd(h["learning_rate"], momentum=0.9),
            )

    Attributes:
        model: `init(key) -> params` and `apply(params, x, *, key=None) -> scores[B, C]`; or, with a state,
            `init(key) -> params`, `init_state(key) -> state` and
            `apply(params, state, x, *, key=None) -> (scores[B, C], state)`.
        loss: `(scores[B, C], labels[B]) -> f32[B]`, per example.
        optimizer: any optax transformation. Built with `optax.inject_hyperparams`, its `learning_rate` (a number or a
            schedule) is recorded in the metrics.
        penalty: `params -> f32[]`, its factor included.
        transform: `(statistics, x) -> x`, applied in training and evaluation: cast, standardize, project.
        augment: `(key, images) -> images`, in training only, before `transform`.
        mixup: `(key, images) -> jaxnn.data.augment.Mixed`, in training only, after `augment`.
        mirror: average the scores of each image and its mirror image in evaluation.
        accuracy: `(scores, labels) -> f32[]`, the metric of this name; such as the explained variance.
        converged: `Run -> bool[]`: whether a run has converged, asked before each epoch; then it ends.
        shuffle: whether each epoch has an order of its own; else the order is that of the data.

    `converged` and `shuffle` are of data in memory.
    """

    model: Model | StatefulModel
    loss: Callable[[Array, Array], Array]
    optimizer: optax.GradientTransformation
    penalty: Callable[[Params], ArrayLike] = lambda params: 0.0
    transform: Callable[[Statistics, Array], Array] = lambda statistics, x: x
    augment: Callable[[Array, Array], Array] | None = None
    mixup: Callable[[Array, Array], Any] | None = None
    mirror: bool = False
    accuracy: Callable[[Array, Array], Array] = accuracy
    converged: Callable[[Run], Array] | None = None
    shuffle: bool = True


MakeTask = Callable[[Hparams], Task]


class State(NamedTuple):
    """What the next step needs. The randomness of a step is `fold_in(key, step)`: nothing else random is stored."""

    params: Params
    opt_state: Any
    step: Array
    key: Array
    model_state: Any = None
    """Of a model with a state; else None."""


class StepKeys(NamedTuple):
    """The randomness of one step."""

    augment: Array
    mixup: Array
    model: Array


class Metrics(NamedTuple):
    """Metrics of one step, each f32[]; under `jit`, those that are not used are not computed."""

    loss: Array
    """Mean data loss of the batch, in training mode, before the step."""
    penalty: Array
    accuracy: Array
    """Fraction of the batch classified correctly, in training mode, before the step."""
    learning_rate: Array | None
    """None where the optimizer does not expose it (see `Task.optimizer`)."""
    gradient_norm: Array
    """L2 norm of the gradient of the objective, loss + penalty."""
    update_norm: Array
    """L2 norm of the change of the parameters."""
    parameter_norm: Array
    """L2 norm of the parameters after the step."""
    skipped: Array | None = None
    """bool[]: the gradient was not finite and the update was left out; None unless the optimizer is
    `optax.apply_if_finite`."""


class Data(NamedTuple):
    """Training data in memory, placed on the device; arguments of the compiled program, never constants in it.

    Attributes:
        inputs: training inputs [N, ...], images as uint8.
        labels: int[N].
        statistics: what `Task.transform` needs, fitted on the training split.
        evaluate: splits evaluated after every epoch, by name: `{"validation": (inputs, labels)}` adds
            `validation_loss` and `validation_accuracy` to the history.
        weights: f32[N], factors of the training examples' losses, with the mean 1 unless the balance with the penalty
            is to change; None means ones. The metric `accuracy` and those of `evaluate` ignore them.
    """

    inputs: Array | np.ndarray
    labels: Array | np.ndarray
    statistics: Statistics = None
    evaluate: Mapping[str, Batch] | None = None
    weights: Array | np.ndarray | None = None


class Stream(NamedTuple):
    """Training data that need not fit in memory; `jaxnn.data.loader` makes such batches, on the devices.

    Attributes:
        batches: called with the number of a step, counted over the whole training: the batches of this and all later
            steps, all of one shape.
        steps: of an epoch.
        evaluate: splits evaluated after every epoch, by name: each a function that goes through all of its examples
            once, in batches of the shape of the training batches.
        statistics: what `Task.transform` needs, fitted on training examples.
    """

    batches: Callable[[int], Iterable[Batch]]
    steps: int
    evaluate: Mapping[str, Callable[[], Iterable[PaddedBatch]]] | None = None
    statistics: Statistics = None


class Best(NamedTuple):
    """The parameters after the epoch in which the selected metric was best."""

    params: Params
    value: Array
    epoch: Array
    """i32[], counted from 0; -1 before the first epoch."""
    model_state: Any = None
    """Of a model with a state; else None."""


class Run(NamedTuple):
    """A training run, finished or not.

    Attributes:
        state: the state after the last step.
        history: f32[epochs] for each metric; NaN for epochs not reached. `loss`, `penalty`, `accuracy`: means over the
            epoch's steps, in training mode (with dropout and augmentation); `learning_rate` (if the optimizer exposes
            it), `gradient_norm`, `update_norm`, `parameter_norm`: at the epoch's last step; `NAME_loss`,
            `NAME_accuracy`: in evaluation mode after the epoch, for each split of `Data.evaluate`; `skipped` (where the
            optimizer is `optax.apply_if_finite`): how many steps were left out, which the means leave out too.
        best: see `Best`; None unless `select` was given.
        epoch: i32[], the number of epochs done.
        bad_step: i32[], the first step whose objective (or, at the end of an epoch, whose update) is not finite,
            counted from 0 over the whole run; -1 while all is finite. Training stops after the epoch in which it
            happened. A step that `optax.apply_if_finite` left out is not bad.
        partial: of a training from a `Stream`, which may stop in the middle of an epoch: f32[steps, metrics], the
            `Metrics` of each step of the epoch so far (first loss, penalty, accuracy), NaN for steps not reached; else
            None.
    """

    state: State
    history: dict[str, Array]
    best: Best | None
    epoch: Array
    bad_step: Array
    partial: Array | None = None

    @property
    def steps_into_epoch(self) -> int:
        """The number of steps done of an epoch that is not finished; 0 unless trained from a `Stream`."""
        return 0 if self.partial is None else int(self.state.step) % self.partial.shape[0]


class Timing(NamedTuple):
    """Where the time of a `fit` went, in seconds."""

    compile: float
    """Tracing and compiling; near zero when the same program was compiled before."""
    epochs: list[float]
    """Each epoch; the time of a chunk is divided evenly among its epochs."""
    partial_epoch: float = 0.0
    """The epoch that a training from a `Stream` is in the middle of."""
    short: bool = False
    """Whether it was compiled as a short training, with less optimization, which decides its last digits."""


OnChunk = Callable[[Run, Timing], None]
"""Called by `fit` after each chunk, with the run so far and its timing."""


class Evaluation(NamedTuple):
    """Losses and predictions of a classifier, in evaluation mode.

    Attributes:
        losses: f32[N].
        predictions: i32[N], the classes with the highest scores.
        confidences: f32[N], their probabilities.
        right: bool[N].
    """

    losses: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray
    right: np.ndarray


class Options(NamedTuple):
    """The static arguments of a compiled training; hashable."""

    make_task: MakeTask
    batch_size: int
    select: str | None = None
    patience: int | None = None


class Trainer(NamedTuple):
    """How `fit` trains on one kind of data. It counts in units: epochs of `Data`, steps of a `Stream`."""

    units: int
    """Per epoch."""
    steps: int
    """Per epoch."""
    compile: Callable[[Run], Run]
    """Compile for such a run, and return it."""
    advance: Callable[[Run, int], Run]
    """Train until this many units are done."""
    replay: Callable[[Run, Run], State]
    """The state before the bad step of the second run, which continued the first."""
    checked: Any
    """The arrays to be searched for non-finite values after a bad step."""
