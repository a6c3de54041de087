"""The types of a training: the task, its data, the state between steps, and the run that comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import optax
from jax import Array
from jax.typing import ArrayLike

if TYPE_CHECKING:
    from jaxnn.data.augment import Mixed
    from jaxnn.models import Model, StatefulModel

from collections.abc import Mapping

Params = Any


Statistics = Any


Batch = tuple[Array | np.ndarray, Array | np.ndarray]
"""Inputs [B, ...] and labels int[B]."""


Weighted = tuple[Array | np.ndarray, Array | np.ndarray, Array | np.ndarray | None]
"""A batch with the factor of each example's loss, f32[B]; None stands for ones."""


class Task(NamedTuple):
    """What is to be learned, as functions. A task is made inside the compiled program, by a function of the
    hyper-parameters, so that these may be traced: a new value compiles nothing, and `vmap` trains many at once.

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
        mixup: `(key, images) -> Mixed`, in training only, after `augment`.
        mirror: in evaluation the scores are the mean of those of the image and of its mirror image.
    """

    model: Model | StatefulModel
    loss: Callable[[Array, Array], Array]
    optimizer: optax.GradientTransformation
    penalty: Callable[[Params], ArrayLike] = lambda params: 0.0
    transform: Callable[[Statistics, Array], Array] = lambda statistics, x: x
    augment: Callable[[Array, Array], Array] | None = None
    mixup: Callable[[Array, Array], Mixed] | None = None
    mirror: bool = False


class State(NamedTuple):
    """What the next step needs. The randomness of a step is `fold_in(key, step)`: nothing else random is stored."""

    params: Params
    opt_state: Any
    step: Array
    key: Array
    model_state: Any = None
    """Of a model with a state; else None."""


class Metrics(NamedTuple):
    """What a person wants to know of a step, each f32[]; what is not read is not computed under `jit`."""

    loss: Array
    """Mean data loss of the batch, in training mode, before the step."""
    penalty: Array
    accuracy: Array
    """Share of the batch that was right, in training mode, before the step."""
    learning_rate: Array | None
    """None where the optimizer does not tell it (see `Task.optimizer`)."""
    gradient_norm: Array
    """L2 norm of the gradient of the objective, loss + penalty."""
    update_norm: Array
    """L2 norm of what was added to the parameters."""
    parameter_norm: Array
    """L2 norm of the parameters after the step."""
    skipped: Array | None = None
    """bool[]: the gradient was not finite and the update was left out; None unless the optimizer is
    `optax.apply_if_finite`."""


class StepKeys(NamedTuple):
    """The randomness of one step."""

    augment: Array
    mixup: Array
    model: Array


Hparams = Any


MakeTask = Callable[[Hparams], Task]


class Data(NamedTuple):
    """The data of a run, all on the device; arguments of the compiled program, never constants in it.

    Attributes:
        inputs: training inputs [N, ...], images as uint8.
        labels: int[N].
        statistics: what `Task.transform` needs, fitted on the training split.
        evaluate: splits measured in evaluation mode after every epoch, by name: `{"validation": (inputs, labels)}` adds
            `validation_loss` and `validation_accuracy` to the history.
        weights: f32[N], factors of the training examples' losses, with the mean 1 unless the balance with the penalty
            is to change; None stands for ones. The measures `accuracy` and those of `evaluate` do not count them.
    """

    inputs: Array | np.ndarray
    labels: Array | np.ndarray
    statistics: Statistics = None
    evaluate: Mapping[str, Batch] | None = None
    weights: Array | np.ndarray | None = None


class Best(NamedTuple):
    """The parameters after the epoch in which the selected measure was best."""

    params: Params
    value: Array
    epoch: Array
    """i32[], counted from 0; -1 before the first epoch."""
    model_state: Any = None
    """Of a model with a state; else None."""


class Run(NamedTuple):
    """A training run, finished or under way.

    Attributes:
        state: the state after the last step.
        history: f32[epochs] for each measure; NaN for epochs not reached. `loss`, `penalty`, `accuracy`: means over the
            epoch's steps, in training mode (with dropout and augmentation); `learning_rate` (if the optimizer tells
            it), `gradient_norm`, `update_norm`, `parameter_norm`: at the epoch's last step; `NAME_loss`,
            `NAME_accuracy`: in evaluation mode after the epoch, for each split of `Data.evaluate`; `skipped` (where the
            optimizer is `optax.apply_if_finite`): how many steps were left out, which the means leave out too.
        best: see `Best`; None unless `select` was given.
        epoch: i32[], the number of epochs done.
        bad_step: i32[], the first step whose objective (or, at the end of an epoch, whose update) is not finite,
            counted from 0 over the whole run; -1 while all is finite. Training stops after the epoch in which it
            happened. A step that `optax.apply_if_finite` left out is not bad.
        partial: of a training from a stream, which may be in the middle of an epoch: f32[steps, measures], of each step
            of the epoch so far what `Metrics` holds (first loss, penalty, accuracy), NaN for steps not reached; else
            None.
    """

    state: State
    history: dict[str, Array]
    best: Best | None
    epoch: Array
    bad_step: Array
    partial: Array | None = None
