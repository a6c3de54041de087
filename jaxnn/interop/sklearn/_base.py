"""What every classifier of this room does: scikit-learn's contract around one training."""

from __future__ import annotations

import functools
import numbers
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from jaxnn import models, training
from jaxnn.interop.sklearn._jobs import LOSSES, SOLVERS, ProgramSpec, TrainingJob, execute, padded_batch_size

BATCH = 200
"""The most examples of a batch when `batch_size` is "auto", as in scikit-learn's MLPClassifier."""
ROWS = 4096
"""The most examples that are scored at once."""


def _by_steps(classifier: Any) -> bool:
    if classifier.solver == "lbfgs":
        raise AttributeError("partial_fit is there with solver='adam' or 'sgd': 'lbfgs' needs all examples at once")
    return True


def _with_probabilities(classifier: Any) -> bool:
    if classifier.loss != "softmax":
        raise AttributeError(f"probabilities are there with loss='softmax' alone, not with loss={classifier.loss!r}")
    return True


class BaseClassifier(ClassifierMixin, BaseEstimator):
    """A classifier by the highest score: everything but its arguments and the names of its weights.

    Those of the arguments that a classifier does not have are as below.
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
    class_weight: Any
    warm_start: Any
    random_state: Any
    hidden_layer_sizes: Any = ()
    activation: Any = "relu"
    dropout: Any = 0.0

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on all examples, `max_iter` times through, or until `early_stopping` ends it.

        Args:
            X: [N, D], numbers; dense.
            y: [N], labels of at least two classes: whole numbers, strings, ...
            sample_weight: [N], at least 0: a weight of 2 counts as the example twice. None stands for ones.

        Returns:
            The classifier itself.

        Raises:
            TypeError, ValueError: the data or an argument of the classifier are not as described.
            FloatingPointError: training diverged.
        """
        go_on = self.warm_start and hasattr(self, "_params")
        X, y = self._examples(X, y, reset=not go_on)
        classes = np.unique(y)
        if go_on and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"with warm_start=True the classes must be those of before, {self.classes_.tolist()}, "
                f"got {classes.tolist()}"
            )
        if len(classes) < 2:
            raise ValueError(f"y must have at least 2 classes, got 1 class: {classes.tolist()[0]!r}")
        self.classes_ = classes
        seed = self._draw_seed()
        state = (self._params, None, None) if go_on else None
        return self._adopt(execute(self._plan(X, y, sample_weight, seed, self.max_iter)._replace(state=state)), seed)

    @available_if(_by_steps)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train on once through these examples, from where the last call left off.

        Args:
            X, y, sample_weight: as `fit`; not every class needs to be among `y`.
            classes: all classes there will be; needed in the first call.

        Returns:
            The classifier itself.

        Raises:
            TypeError, ValueError, FloatingPointError: as `fit`; also a ValueError for early_stopping=True.
        """
        if self.early_stopping:
            raise ValueError("partial_fit goes through the examples once: it does not work with early_stopping=True")
        first = not hasattr(self, "_params")
        X, y = self._examples(X, y, reset=first)
        if first:
            if classes is None:
                raise ValueError("the first call of partial_fit needs classes, all classes there will be")
            self.classes_ = np.unique(classes)
            if len(self.classes_) < 2:
                raise ValueError(f"classes must be at least 2 classes, got 1 class: {self.classes_.tolist()[0]!r}")
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes must be those of before, {self.classes_.tolist()}, got {list(classes)}")
        seed = self._draw_seed() if first else self._seed
        state = None if first else (self._params, self._opt_state, self._step)
        plan = self._plan(X, y, sample_weight, seed, 1)._replace(state=state, call=0 if first else self._calls)
        return self._adopt(execute(plan), seed, plan.call + 1, self.n_iter_ if not first else 0)

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores of the classes.

        Args:
            X: [N, D].

        Returns:
            f32[N, classes]; of two classes f32[N], the score of the second less that of the first.

        Raises:
            NotFittedError: nothing was trained.
            TypeError, ValueError: X is not as in `fit`.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The class of the highest score.

        Args:
            X: [N, D].

        Returns:
            [N], labels as in `classes_`.

        Raises:
            NotFittedError, TypeError, ValueError: as `decision_function`.
        """
        scores = self._scores(X)
        return self.classes_[scores.argmax(1)]

    @available_if(_with_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities that the softmax of the scores gives to the classes.

        Args:
            X: [N, D].

        Returns:
            f32[N, classes], in the order of `classes_`.

        Raises:
            NotFittedError, TypeError, ValueError: as `decision_function`.
        """
        return np.exp(self.predict_log_proba(X))

    @available_if(_with_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithms of `predict_proba`.

        Args:
            X: [N, D].

        Returns:
            f32[N, classes].

        Raises:
            NotFittedError, TypeError, ValueError: as `decision_function`.
        """
        scores = self._scores(X)
        scores = scores - scores.max(1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(1, keepdims=True))

    def _examples(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float32, reset=reset)
        check_classification_targets(y)
        return X, y

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _plan(self, X: np.ndarray, y: np.ndarray, sample_weight: Any, seed: int, epochs: int) -> TrainingJob:
        self._check()
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        labels = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        if (unknown := self.classes_[labels] != y).any():
            raise ValueError(f"y has classes that were not there before: {np.unique(y[unknown]).tolist()}")
        labels, held = labels.astype(np.int32), None
        if self.early_stopping:
            rows, held = train_test_split(
                np.arange(len(y)), test_size=self.validation_fraction, random_state=seed, stratify=y
            )
            held = {"validation": (X[held], labels[held])}
            X, labels, weights = X[rows], labels[rows], weights[rows]
        if not weights.sum() > 0.0:
            raise ValueError("sample_weight and class_weight together leave no example with a weight above 0")
        full = self.solver == "lbfgs"
        at_most = len(X) if full else BATCH if self.batch_size == "auto" else self.batch_size
        if len(X) <= at_most:
            X, labels, weights = _together(X, labels, weights)
        batch_size, rows = padded_batch_size(len(X), at_most)
        fill = [(0, rows - len(X))]
        weights = np.pad(weights * (rows / weights.sum()), fill).astype(np.float32)
        hparams = {"l2": self.l2, "learning_rate": self.learning_rate_init, "momentum": self.momentum}
        return TrainingJob(
            recipe=ProgramSpec(
                self.loss,
                self.solver,
                X.shape[1],
                _sizes(self.hidden_layer_sizes),
                len(self.classes_),
                self.activation,
                bool(self.dropout),
            ),
            epochs=epochs,
            batch_size=batch_size,
            select="validation_accuracy" if held else "gradient_norm" if full else None,
            patience=self.n_iter_no_change if held or full else None,
            hparams={name: np.float32(value) for name, value in (hparams | {"dropout": self.dropout}).items()},
            seed=seed,
            data=training.Data(np.pad(X, [*fill, (0, 0)]), np.pad(labels, fill), evaluate=held, weights=weights),
        )

    def _adopt(self, run: training.Run, seed: int, calls: int = 1, epochs_before: int = 0) -> Self:
        epochs = int(run.epoch)
        self._params = run.best.params if run.best is not None and self.early_stopping else run.state.params
        self._opt_state, self._step, self._seed, self._calls = run.state.opt_state, run.state.step, seed, calls
        curve = (run.history["loss"] + run.history["penalty"])[:epochs].tolist()
        self.loss_curve_ = (self.loss_curve_ if epochs_before else []) + curve
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ = epochs_before + epochs
        if self.early_stopping and run.best is not None:
            self.validation_scores_ = run.history["validation_accuracy"][:epochs].tolist()
            self.best_validation_score_ = float(run.best.value)
        return self

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        model = (X.shape[1], _sizes(self.hidden_layer_sizes), len(self.classes_), self.activation)
        parts = []
        for start in range(0, len(X), ROWS):
            part = X[start : start + ROWS]
            rows = min(ROWS, max(32, 1 << (len(part) - 1).bit_length()))  # few sizes: few compiled programs
            padded = np.pad(part, [(0, rows - len(part)), (0, 0)])
            parts.append(np.asarray(_apply(*model, self._params, padded))[: len(part)])
        return np.concatenate(parts)

    def _check(self) -> None:
        """Check the arguments of the classifier."""
        choices = {"loss": tuple(LOSSES), "solver": SOLVERS, "activation": tuple(models.ACTIVATIONS)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        for name in ("l2", "learning_rate_init", "momentum", "dropout", "validation_fraction"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or isinstance(value, bool):
                raise TypeError(f"{name} must be a number, got {value!r}")
            below = 1.0 if name in ("dropout", "validation_fraction") else np.inf
            if not 0.0 <= float(value) < below:
                raise ValueError(f"{name} must be at least 0 and below {below}, got {value}")
        counts = {name: getattr(self, name) for name in ("max_iter", "n_iter_no_change")}
        if self.batch_size != "auto":
            counts["batch_size"] = self.batch_size
        for name, value in counts.items():
            if not isinstance(value, numbers.Integral) or isinstance(value, bool):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


def _together(X: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equal examples as one with the sum of their weights, in an order of their own: in one batch this is the same
    objective, and a weight of 2 is the example twice to the last bit.
    """
    X, labels, weights = X[weights > 0.0], labels[weights > 0.0], weights[weights > 0.0]
    bytes_of = np.column_stack([X + np.float32(0.0), labels.astype(np.float32)])  # -0.0 becomes 0.0
    _, rows, one = np.unique(bytes_of.view(f"V{4 * bytes_of.shape[1]}")[:, 0], return_index=True, return_inverse=True)
    return X[rows], labels[rows], np.bincount(one, weights)


def _sizes(hidden: Any) -> tuple[int, ...]:
    sizes: tuple[Any, ...] = (hidden,) if isinstance(hidden, numbers.Integral) else tuple(hidden)
    return tuple(int(size) if isinstance(size, np.integer) else size for size in sizes)


@functools.partial(jax.jit, static_argnames=("features", "hidden", "classes", "activation"))
def _apply(features: int, hidden: tuple[int, ...], classes: int, activation: str, params: Any, x: Any) -> jax.Array:
    model = models.mlp(features, hidden, classes, activation=models.ACTIVATIONS[activation])
    return model.apply(params, jnp.asarray(x))
