"""The base of all classifiers: scikit-learn's interface around one training run."""

from __future__ import annotations

import contextlib
import functools
import numbers
import warnings
from collections.abc import Iterator
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import assert_all_finite, check_random_state, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from jaxnn import losses, models, training
from jaxnn.interop.sklearn._jobs import SOLVERS, ProgramSpec, TrainingJob, padded_batch_size, train
from jaxnn.interop.sklearn._lbfgs import Coordinates

BATCH = 200
"""Batch size for "auto", as in scikit-learn's MLPClassifier."""
ROWS = 4096
"""The most examples that are scored at once."""


def _by_steps(classifier: Any) -> bool:
    if classifier.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd': 'lbfgs' needs all examples at once")
    return True


def _with_probabilities(classifier: Any) -> bool:
    loss = classifier._spec.loss if hasattr(classifier, "_spec") else classifier.loss
    if loss != "softmax":
        raise AttributeError(f"probabilities need loss='softmax', got loss={loss!r}")
    return True


@contextlib.contextmanager
def _unchanged_by_failure(estimator: Any) -> Iterator[None]:
    """Restore the attributes of the estimator if anything is raised inside."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class BaseClassifier(ClassifierMixin, BaseEstimator):
    """A classifier by the highest score; subclasses add the constructor and the names of the weights.

    The arguments that a subclass lacks have the defaults below. A parameter that is changed after a fit takes effect
    with the next `fit` or `partial_fit`; only `hidden_layer_sizes` must stay if earlier weights are kept.
    """

    loss: Any
    solver: Any
    l2: Any
    learning_rate_init: Any
    momentum: Any
    batch_size: Any
    max_iter: Any
    early_stopping: Any
    validation_fraction: Any
    n_iter_no_change: Any
    tol: Any
    class_weight: Any
    warm_start: Any
    random_state: Any
    hidden_layer_sizes: Any = ()
    activation: Any = "relu"
    dropout: Any = 0.0
    _executor: Any = None

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Keep the arguments of a constructor under their names, as scikit-learn expects."""
        vars(self).update({name: value for name, value in arguments.items() if name != "self"})

    def __sklearn_clone__(self) -> Self:
        """As any estimator, with the same executor: `VmapSearchCV` sets one on the estimator that it clones."""
        made: Any = super().__sklearn_clone__()
        if self._executor is not None:
            made._executor = self._executor
        return made

    def _execute(self, job: TrainingJob) -> training.Run:
        return (self._executor or train)(job)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for `max_iter` epochs, or until `early_stopping` ends training; FloatingPointError if it diverges.

        A fit that fails leaves the classifier as it was.

        X is [N, D] and dense, y [N] has labels of at least two classes (whole numbers, strings, ...). `sample_weight`
        [N] is at least 0: a weight of 2 is the same as the example twice. None means all ones.
        """
        with _unchanged_by_failure(self):
            return self._fit(X, y, sample_weight)

    @available_if(_by_steps)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on these examples, continuing from the last call; arguments as `fit`.

        The first call needs `classes`, all classes that will ever occur; `y` need not contain every one of them. The
        weights keep their scale: the objective of a call counts as much as the mean weight of its examples, so that a
        call with weights of 2 is, to first order, the same call twice. (Adam's very first step is the same at any
        scale.) `class_weight="balanced"` is refused.
        """
        with _unchanged_by_failure(self):
            return self._partial_fit(X, y, classes, sample_weight)

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores f32[N, classes]; for two classes f32[N], the score of the second minus that of the first."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The class with the highest score, [N]."""
        scores = self._scores(X)
        return self.classes_[scores.argmax(1)]

    @available_if(_with_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """The softmax of the scores, f32[N, classes], in the order of `classes_`."""
        return np.exp(self.predict_log_proba(X))

    @available_if(_with_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithms of `predict_proba`."""
        scores = self._scores(X)
        scores = scores - scores.max(1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(1, keepdims=True))

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        warm = self.warm_start and hasattr(self, "_params")
        X, y = self._examples(X, y, reset=not warm)
        classes = np.unique(y)
        if warm and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"with warm_start=True the classes must be those of the last fit, {self.classes_.tolist()}, "
                f"got {classes.tolist()}"
            )
        if len(classes) < 2:
            raise ValueError(f"y must have at least 2 classes, got 1 class: {classes.tolist()[0]!r}")
        self.classes_ = classes
        seed = self._draw_seed()
        state = self._state(None) if warm else None
        job = self._job(X, y, sample_weight, seed, self._epochs())._replace(state=state)
        return self._adopt(self._execute(job), job)

    def _partial_fit(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> Self:
        if self.early_stopping:
            raise ValueError("partial_fit trains for one epoch: it does not work with early_stopping=True")
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all examples at once: give partial_fit a dict of weights")
        first = not hasattr(self, "_params")
        X, y = self._examples(X, y, reset=first)
        if first:
            if classes is None:
                raise ValueError("the first call of partial_fit needs classes, all classes that will ever occur")
            self.classes_ = np.unique(classes)
            if len(self.classes_) < 2:
                raise ValueError(f"classes must contain at least 2 classes, got 1 class: {self.classes_.tolist()[0]!r}")
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes must be those of the first call, {self.classes_.tolist()}, got {list(classes)}")
        same = not first and self.random_state == self._random_state
        seed = self._seed if same else self._draw_seed()
        state = None if first else self._state(self._opt_state)
        job = self._job(X, y, sample_weight, seed, 1, keep_scale=True)
        job = job._replace(state=state, call=0 if first else self._calls)
        return self._adopt(self._execute(job), job, 0 if first else self.n_iter_)

    def _state(self, opt_state: Any) -> tuple[Any, Any, Any]:
        """The state to continue training from; the optimizer of another solver starts from scratch."""
        sizes = _sizes(self.hidden_layer_sizes)
        if sizes != self._spec.hidden:
            raise ValueError(
                f"hidden_layer_sizes was {self._spec.hidden} when the weights were made, and is now {sizes}: training "
                f"cannot continue from these weights; set it back, or fit with warm_start=False"
            )
        return self._params, opt_state if self.solver == self._spec.solver else None, self._step

    def _examples(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        exact = [np.float64, np.float32] if self.solver == "lbfgs" else np.float32  # it centres before it rounds
        X, y = validate_data(self, X, y, dtype=exact, reset=reset)
        with np.errstate(over="ignore"):
            assert_all_finite(X.astype(np.float32, copy=False), input_name="X")
        check_classification_targets(y)
        return X, y

    def _epochs(self) -> int:
        return (3000 if self.solver == "lbfgs" else 200) if self.max_iter is None else self.max_iter

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _job(
        self, X: np.ndarray, y: np.ndarray, sample_weight: Any, seed: int, epochs: int, keep_scale: bool = False
    ) -> TrainingJob:
        self._check()
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        labels = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        if (unknown := self.classes_[labels] != y).any():
            raise ValueError(f"y has classes that the first call did not name: {np.unique(y[unknown]).tolist()}")
        if self.class_weight is not None:
            present = self.classes_ if keep_scale else np.unique(y)
            of_class = compute_class_weight(self.class_weight, classes=present, y=present if keep_scale else y)
            weights = weights * of_class[np.searchsorted(present, y)]
        labels, held, coordinates = labels.astype(np.int32), None, None
        if self.early_stopping:
            rows, held = train_test_split(
                np.arange(len(y)), test_size=self.validation_fraction, random_state=seed, stratify=y
            )
            held = {"validation": (X[held], labels[held])}
            X, labels, weights = X[rows], labels[rows], weights[rows]
        if not weights.sum() > 0.0:
            raise ValueError("sample_weight and class_weight together leave no example with positive weight")
        scale = weights.sum() / np.count_nonzero(weights) if keep_scale else 1.0
        full = self.solver == "lbfgs"
        at_most = len(X) if full else BATCH if self.batch_size == "auto" else self.batch_size
        if len(X) <= at_most:
            X, labels, weights = _merge_equal(X, labels, weights)
        if full and not _sizes(self.hidden_layer_sizes):
            coordinates = Coordinates.fitted(X, weights)
            X = coordinates.standardized(X)
            held = held and {name: (coordinates.standardized(x), labels) for name, (x, labels) in held.items()}
        X = X.astype(np.float32, copy=False)
        batch_size, rows = padded_batch_size(len(X), at_most)
        fill = [(0, rows - len(X))]
        weights = np.pad(weights * (scale * rows / weights.sum()), fill).astype(np.float32)
        hparams = {"l2": self.l2 * scale, "learning_rate": self.learning_rate_init, "momentum": self.momentum}
        hparams |= {"dropout": self.dropout, "tol": self.tol}
        deviation = None if coordinates is None else coordinates.deviation.astype(np.float32)
        sizes, classes = _sizes(self.hidden_layer_sizes), len(self.classes_)
        spec = ProgramSpec(self.loss, self.solver, X.shape[1], sizes, classes, self.activation, bool(self.dropout))
        select, patience = ("validation_accuracy", self.n_iter_no_change) if held else (None, None)
        return TrainingJob(
            training.Options(spec, batch_size, select, patience),
            epochs,
            wait=self.n_iter_no_change if full else 0,
            hparams={name: np.float32(value) for name, value in hparams.items()},
            seed=seed,
            data=training.Data(np.pad(X, [*fill, (0, 0)]), np.pad(labels, fill), deviation, held, weights),
            coordinates=coordinates,
            scale=scale,
        )

    def _adopt(self, run: training.Run, job: TrainingJob, epochs_before: int = 0) -> Self:
        epochs = int(run.epoch)
        self._params = run.best.params if run.best is not None and self.early_stopping else run.state.params
        self._opt_state, self._step = run.state.opt_state, run.state.step
        self._spec, self._seed, self._calls, self._random_state = job.spec, job.seed, job.call + 1, self.random_state
        curve = ((run.history["loss"] + run.history["penalty"])[:epochs] / job.scale).tolist()
        self.loss_curve_ = (self.loss_curve_ if epochs_before else []) + curve
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ = epochs_before + epochs
        self.validation_scores_: Any = None
        self.best_validation_score_: Any = None
        if self.early_stopping and run.best is not None:
            self.validation_scores_ = run.history["validation_accuracy"][:epochs].tolist()
            self.best_validation_score_ = float(run.best.value)
        if not run.history.get("converged", True) and epochs == self._epochs():
            warnings.warn(
                f"lbfgs ended after max_iter={epochs} steps before it had converged to tol={self.tol}: raise max_iter",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        model = (X.shape[1], self._spec.hidden, len(self.classes_), self._spec.activation)
        parts = []
        for start in range(0, len(X), ROWS):
            part = X[start : start + ROWS]
            rows = min(ROWS, max(32, 1 << (len(part) - 1).bit_length()))  # few sizes, so few compiled programs
            padded = np.pad(part, [(0, rows - len(part)), (0, 0)])
            parts.append(np.asarray(_apply(*model, self._params, padded))[: len(part)])
        return np.concatenate(parts)

    def _check(self) -> None:
        """Checks the arguments of the classifier."""
        choices = {"loss": tuple(losses.LOSSES), "solver": SOLVERS, "activation": tuple(models.ACTIVATIONS)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        for name in ("l2", "learning_rate_init", "momentum", "dropout", "validation_fraction", "tol"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or isinstance(value, bool):
                raise TypeError(f"{name} must be a number, got {value!r}")
            below = 1.0 if name in ("dropout", "validation_fraction") else np.inf
            if not 0.0 <= float(value) < below:
                raise ValueError(f"{name} must be at least 0 and below {below}, got {value}")
        counts = {"max_iter": self._epochs(), "n_iter_no_change": self.n_iter_no_change}
        if self.batch_size != "auto":
            counts["batch_size"] = self.batch_size
        for name, value in counts.items():
            if not isinstance(value, numbers.Integral) or isinstance(value, bool):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


def _merge_equal(X: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merges equal examples, adding their weights: in one batch, a weight of 2 is bit for bit the example twice."""
    X, labels, weights = X[weights > 0.0], labels[weights > 0.0], weights[weights > 0.0]
    bytes_of = np.column_stack([X + X.dtype.type(0.0), labels.astype(X.dtype)])  # -0.0 becomes 0.0
    size = bytes_of.itemsize * bytes_of.shape[1]
    _, rows, one = np.unique(bytes_of.view(f"V{size}")[:, 0], return_index=True, return_inverse=True)
    return X[rows], labels[rows], np.bincount(one, weights)


def _sizes(hidden: Any) -> tuple[int, ...]:
    sizes: tuple[Any, ...] = (hidden,) if isinstance(hidden, numbers.Integral) else tuple(hidden)
    return tuple(int(size) if isinstance(size, np.integer) else size for size in sizes)


@functools.partial(jax.jit, static_argnames=("features", "hidden", "classes", "activation"))
def _apply(features: int, hidden: tuple[int, ...], classes: int, activation: str, params: Any, x: Any) -> jax.Array:
    model = models.mlp(features, hidden, classes, activation=models.ACTIVATIONS[activation])
    return model.apply(params, jnp.asarray(x))
