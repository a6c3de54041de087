"""The base of all estimators: scikit-learn's interface around one training run."""

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
import scipy.sparse
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from jaxnn import models, training
from jaxnn.interop.sklearn._jobs import TrainingJob, padded_batch_size, train
from jaxnn.interop.sklearn._lbfgs import Coordinates
from jaxnn.interop.sklearn._parameters import Parameters
from jaxnn.interop.sklearn._program import ACTIVATIONS, HPARAMS, ProgramSpec, packed

BATCH = 200
"""Batch size for "auto", as in scikit-learn's MLPClassifier."""
ROWS = 4096
"""The most examples that are scored at once."""


def by_steps(estimator: Any) -> bool:
    if estimator._method == "lbfgs":
        raise AttributeError(
            f"partial_fit needs solver='adam' or 'sgd': {estimator.solver!r} needs all examples at once"
        )
    return True


@contextlib.contextmanager
def unchanged_by_failure(estimator: Any) -> Iterator[None]:
    """Restore the attributes of the estimator if anything is raised inside."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class BaseNetwork(Parameters):
    """An estimator made from the scores of one training run.

    A parameter that is changed after a fit takes effect with the next `fit` or `partial_fit`; only `hidden_layer_sizes`
    must stay if earlier weights are kept. Another `solver` or `learning_rate` starts with a fresh optimizer.
    """

    _executor = None

    def __sklearn_clone__(self) -> Self:
        """As any estimator, with the same executor: a search sets one on the estimator that it clones."""
        made: Any = super().__sklearn_clone__()
        if self._executor is not None:
            made._executor = self._executor
        return made

    def __sklearn_tags__(self) -> Any:
        """Sparse input is taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _execute(self, job: TrainingJob) -> training.Run:
        executor: Any = self._executor or train
        return executor(job)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train until converged, for at most `max_iter` epochs; FloatingPointError if training diverges.

        A fit that fails leaves the estimator as it was; one that has not converged warns with a
        `sklearn.exceptions.ConvergenceWarning`, and so does one with `early_stopping` that diverges after it has found
        its best parameters.

        X is [N, D], dense or sparse. For a classifier y [N] has labels of at least two classes (whole numbers, strings,
        ...), or is [N, labels] of 0 and 1; for a regressor it is [N] or [N, outputs]. `sample_weight` [N] is at least
        0: a weight of 2 is the same as the example twice. None means all ones.
        """
        with unchanged_by_failure(self):
            return self._fit(X, y, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        warm = self.warm_start and hasattr(self, "_params")
        X, y = self._examples(X, y, reset=not warm)
        targets = self._encode(y, None, warm)
        state = self._state(None) if warm else None
        job = self._job(X, targets, y, sample_weight, self._draw_seed(), self._epochs())._replace(state=state)
        run = self._execute(job)
        self._adopt(run, job, X)
        if not run.history["converged"]:
            limit = f"max_iter={job.epochs}" if self.n_iter_ >= job.epochs else f"max_fun={self.max_fun}"
            wrong = f"{self.solver} failed to converge to tol={self.tol} in {self.n_iter_} iterations: "
            wrong += f"raise {limit}, or scale the inputs"
            if run.bad_step >= 0:
                wrong = f"{self.solver} diverged after {self.n_iter_} iterations, and the best parameters were kept: "
                wrong += f"lower learning_rate_init={self.learning_rate_init}, or scale the inputs"
            warnings.warn(wrong, ConvergenceWarning, stacklevel=3)
        return self

    def _partial_fit(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> Self:
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it trains for one epoch")
        p = self._parameters
        if isinstance(p["class_weight"], str) and p["class_weight"] == "balanced":
            raise ValueError("class_weight='balanced' needs all examples at once: give partial_fit a dict of weights")
        if p["C"] is not None:
            raise ValueError(f"C={p['C']} needs all examples at once: give partial_fit l2, and C=None")
        first = not hasattr(self, "_params")
        X, y = self._examples(X, y, reset=first)
        targets = self._encode(y, classes, not first, partial=True)
        same = not first and self.random_state == self._random_state
        seed = self._seed if same else self._draw_seed()
        job = self._job(X, targets, y, sample_weight, seed, 1, keep_scale=True)
        kinds = [
            (spec.solver, spec.schedule, spec.average) for spec in (job.spec, self._spec if not first else job.spec)
        ]
        state = None if first else self._state(self._opt_state if kinds[0] == kinds[1] else None)
        job = job._replace(state=state, call=0 if first else self._calls)
        self._adopt(self._execute(job), job, X, 0 if first else self.n_iter_)
        return self

    def _state(self, opt_state: Any) -> tuple[Any, Any, Any]:
        """The state from which training goes on."""
        sizes = _sizes(self._parameters["hidden_layer_sizes"])
        if sizes != self._spec.hidden:
            raise ValueError(
                f"hidden_layer_sizes was {self._spec.hidden} when the weights were made, and is now {sizes}: training "
                f"cannot continue from these weights; set it back, or fit with warm_start=False"
            )
        params = self._reached
        if self._method != "lbfgs":
            params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
        return params, opt_state, self._step

    def _examples(self, X: Any, y: Any, reset: bool) -> tuple[Any, np.ndarray]:
        options: dict[str, Any] = {"accept_sparse": "csr", "multi_output": True, "y_numeric": not is_classifier(self)}
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=reset, **options)
        values = X.data if scipy.sparse.issparse(X) else X
        if np.abs(values).max(initial=0.0) > np.finfo(np.float32).max:
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed: X has values that float32 cannot hold"
            )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _encode(self, y: np.ndarray, classes: Any, known: bool, partial: bool = False) -> np.ndarray:
        """The labels i32[N], or the targets f64[N, outputs]; sets what belongs to the classes."""
        targets = y.astype(np.float64).reshape(len(y), -1)
        if known and targets.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} outputs, as in the last call, got {targets.shape[1]}")
        self.n_outputs_ = targets.shape[1]
        return targets

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _job(
        self, X: Any, y: np.ndarray, raw: np.ndarray, weight: Any, seed: int, epochs: int, keep_scale: bool = False
    ) -> TrainingJob:
        """The job for examples X with labels or targets y; `raw` are the labels as given."""
        self._check()
        p, features = self._parameters, X.shape[1]
        hidden, bias, full = _sizes(p["hidden_layer_sizes"]), bool(p["fit_intercept"]), self._method == "lbfgs"
        weights = _check_sample_weight(weight, X, dtype=np.float64, ensure_non_negative=True)
        if p["class_weight"] is not None:
            weights = weights * self._class_weights(p["class_weight"], y, raw, keep_scale)
        if scipy.sparse.issparse(X):
            X = X.toarray() if full else packed(X)
        held = None
        if self.early_stopping:
            stratify = raw if is_classifier(self) and y.ndim == 1 else None
            options: dict[str, Any] = {"test_size": self.validation_fraction, "random_state": seed}
            rows, held = train_test_split(np.arange(len(y)), stratify=stratify, **options)
            if len(held) < 2:
                raise ValueError(
                    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
                )
            held = (X[held], y[held])
            X, y, weights = X[rows], y[rows], weights[rows]
        if not weights.sum() > 0.0:
            raise ValueError("sample_weight and class_weight together leave no example with positive weight")
        scale = weights.sum() / np.count_nonzero(weights) if keep_scale else 1.0
        at_most = len(X) if full else BATCH if self.batch_size == "auto" else int(self.batch_size)
        l1 = 0.0
        if self.l2 is not None and p["C"] is None:
            l1, l2 = 2.0 * float(self.l2), float(self.l2)
        elif p["C"] is not None:  # of two classes scikit-learn penalizes the difference of our two rows
            l1 = 1.0 / (float(p["C"]) * weights.sum())
            l2 = l1 if self._outputs() == 2 else l1 / 2.0
        else:
            share = min(1.0, at_most / len(X))  # a weight of 2 counts as two examples of the batch
            l2 = float(p["alpha"]) / (2.0 * share * weights.sum() / scale)
        ratio = p["l1_ratio"] if p["penalty"] == "elasticnet" else float(p["penalty"] == "l1")
        l1, l2 = (0.0, 0.0) if p["penalty"] is None else (l1 * ratio, l2 * (1.0 - ratio))
        if len(X) <= at_most:
            X, y, weights = _merge_equal(X, y, weights)
        coordinates = None
        if full and not hidden:
            coordinates = Coordinates.fitted(X, weights, l2, bias, rotated=not l1)
            X = coordinates.inputs(X)
            held = held and (coordinates.inputs(held[0]), held[1])
        kind = np.float64 if full else np.float32
        X = X.astype(kind, copy=False)
        batch_size, rows = padded_batch_size(len(X), at_most)
        fill = [(0, rows - len(X))]
        weights = np.pad(weights * (scale * rows / weights.sum()), fill).astype(kind)
        targets = None
        if y.ndim == 2:  # labels are rows of the targets
            targets = (y if held is None else np.concatenate([y, held[1]])).astype(kind)
            held = held and (held[0], np.arange(len(y), len(targets), dtype=np.int32))
            y = np.arange(len(y), dtype=np.int32)
        schedule = self.learning_rate if self._method == "sgd" else "constant"
        spec = ProgramSpec(
            loss=self.loss if (y.ndim == 1 and targets is None) or not is_classifier(self) else "logistic",
            solver=self._method,
            features=features,
            hidden=hidden,
            outputs=self._outputs(),
            activation=p["activation"],
            dropout=bool(p["dropout"]),
            bias=bias,
            schedule=schedule,
            nesterov=bool(self.nesterovs_momentum),
            shuffle=bool(self.shuffle) and rows > batch_size,  # all at once have no order
            wait=int(self.n_iter_no_change) if np.isfinite(self.n_iter_no_change) else None,
            monitor="validation_accuracy" if held else "objective",
            plateau=(rows // batch_size, float(self.tol)) if schedule == "adaptive" else None,
            average=int(p["average"]),
        )
        select = "validation_accuracy" if held and not full else None
        return TrainingJob(
            training.Options(spec, batch_size, select),
            epochs,
            hparams={**{name: p[name] for name in HPARAMS}, "l2": l2 * scale, "l1": l1, "batch_size": batch_size},
            seed=seed,
            data=training.Data(
                np.pad(X, [*fill, (0, 0)]), np.pad(y, fill), targets, held and {"validation": held}, weights
            ),
            coordinates=coordinates,
            scale=scale,
            max_fun=self.max_fun,
        )

    def _outputs(self) -> int:
        return self.n_outputs_

    def _class_weights(self, class_weight: Any, labels: np.ndarray, y: np.ndarray, partial: bool) -> np.ndarray:
        raise NotImplementedError

    def _adopt(self, run: training.Run, job: TrainingJob, X: Any, epochs_before: int = 0) -> None:
        epochs = int(run.epoch)
        best = training.eval_params(run.state) if run.best is None else run.best.params
        self._params = jax.tree.map(lambda leaf: np.asarray(leaf, X.dtype), best)
        self._reached = run.state.params if job.spec.average else self._params
        self._opt_state, self._step = run.state.opt_state, run.state.step
        self._spec, self._seed, self._calls, self._random_state = job.spec, job.seed, job.call + 1, self.random_state
        curve = ((run.history["loss"] + run.history["penalty"])[:epochs] / job.scale).tolist()
        self.loss_curve_ = (self.loss_curve_ if epochs_before else []) + curve
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ = epochs_before + epochs
        self.t_ = (self.t_ if epochs_before else 0) + epochs * X.shape[0]
        self._no_improvement_count = int(run.history.get("waited", 0))
        self.n_layers_ = len(job.spec.hidden) + 2
        kinds = {"softmax": "softmax", "logistic": "logistic", "poisson": "exp"}
        self.out_activation_ = kinds.get(job.spec.loss, "identity")
        scores = run.history["validation_accuracy"][:epochs].tolist() if self.early_stopping else None
        self.validation_scores_: Any = scores
        self.best_validation_score_: Any = scores and float(np.nanmax(scores))
        self.best_loss_: Any = None if self.early_stopping else min(self.loss_curve_)
        if self.verbose:
            for i, loss in enumerate(curve, start=epochs_before + 1):
                print(f"Iteration {i}, loss = {loss:.8f}")

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], accept_sparse="csr", reset=False)
        kind = self._params[0]["w"].dtype
        model = (X.shape[1], self._spec.hidden, self._outputs(), self._spec.activation)
        parts = []
        for start in range(0, X.shape[0], ROWS):
            part = X[start : start + ROWS]
            part = part.toarray() if scipy.sparse.issparse(part) else part
            rows = min(ROWS, max(32, 1 << (len(part) - 1).bit_length()))  # few sizes, so few compiled programs
            padded = np.pad(part, [(0, rows - len(part)), (0, 0)]).astype(kind)
            with jax.enable_x64(kind == np.float64):
                parts.append(np.asarray(_apply(*model, self._params, padded))[: len(part)])
        return np.concatenate(parts)


def _merge_equal(X: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merges equal examples, adding their weights: in one batch, a weight of 2 is bit for bit the example twice."""
    X, y, weights = X[weights > 0.0], y[weights > 0.0], weights[weights > 0.0]
    bytes_of = np.column_stack([X.astype(np.float64) + 0.0, y.astype(np.float64)])  # -0.0 becomes 0.0
    size = bytes_of.itemsize * bytes_of.shape[1]
    _, rows, one = np.unique(bytes_of.view(f"V{size}")[:, 0], return_index=True, return_inverse=True)
    return X[rows], y[rows], np.bincount(one, weights)


def _sizes(hidden: Any) -> tuple[int, ...]:
    sizes: tuple[Any, ...] = (hidden,) if isinstance(hidden, numbers.Integral) else tuple(hidden)
    return tuple(int(size) if isinstance(size, np.integer) else size for size in sizes)


@functools.partial(jax.jit, static_argnames=("features", "hidden", "outputs", "activation"))
def _apply(features: int, hidden: tuple[int, ...], outputs: int, activation: str, params: Any, x: Any) -> jax.Array:
    model = models.mlp(features, hidden, outputs, activation=ACTIVATIONS[activation])
    return model.apply(params, jnp.asarray(x))
