"""What decides a compiled program: losses, activations, the optimizer and when training ends."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jaxnn import initializers, losses, metrics, models, optimizers, training

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
    average: int
    """The parameters are averaged over the steps once so many examples have been seen; 0: not."""

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
        steps = self._steps(h)
        return _averaging(steps, jnp.ceil(self.average / h["batch_size"])) if self.average else steps

    def _steps(self, h: Mapping[str, Any]) -> optax.GradientTransformation:
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


def _averaging(optimizer: optax.GradientTransformation, first: Any) -> optax.GradientTransformationExtraArgs:
    """The optimizer, with the mean of the parameters after step `first` and each later one."""
    inner = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> optimizers.EmaState:
        return optimizers.EmaState(inner.init(params), params, jnp.int32(0))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, optimizers.EmaState]:
        updates, of_inner = inner.update(updates, state.inner, params, **extra)
        share = 1.0 / jnp.maximum(2.0 + state.steps.astype(jnp.float32) - first, 1.0)
        after = optax.apply_updates(params, updates)
        mean = jax.tree.map(lambda old, new: old + share * (new - old), state.averaged_params, after)
        return updates, optimizers.EmaState(of_inner, mean, state.steps + 1)

    return optax.GradientTransformationExtraArgs(init, update)


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
