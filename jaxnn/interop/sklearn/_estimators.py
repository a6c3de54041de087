"""The linear classifier and the fully connected networks with scikit-learn's interface."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from jaxnn.interop.sklearn._base import BaseNetwork, by_steps, unchanged_by_failure
from jaxnn.interop.sklearn._classifier import BaseClassifier


@dataclasses.dataclass(eq=False, repr=False)
class LinearClassifier(BaseClassifier):
    """The linear classifier f(x) = Wx + b with scikit-learn's interface.

    Formula: the objective is `mean loss + l2 * sum(W**2)`, the mean weighted by the sample weights. `C` in place of
    `l2` gives the objective of `LogisticRegression(C=C)`: `l2 = 1 / (2 C N)` for N examples (or weights that add up to
    N), and `1 / (C N)` with two classes, where scikit-learn has one weight vector: the difference of the two here.

    Args:
        loss: "softmax" (cross-entropy), or "svm" (hinge, summed over the wrong classes), which has no `predict_proba`.
        l2: factor of the sum of the squared weights.
        C: if given, decides the penalty in place of `l2`; not in `partial_fit`.
        penalty: "l2"; "elasticnet", which is `l2 * sum((1 - r) * W**2 + 2 * r * |W|)` with `l1_ratio` r, and with `C`
            the penalty of `LogisticRegression(C=C, l1_ratio=r)`; "l1", which is r = 1; or None. Those with |W| need
            lbfgs, which finds exact zeros.
        l1_ratio: of "elasticnet", from 0 to 1.
        fit_intercept: whether there is a bias b.
        solver: "lbfgs" (all examples at once, in float64; the svm with at most 2,000 parameters and without |W| takes
            Newton's steps), or "adam" or "sgd" (batches), which have `partial_fit`.
            scikit-learn's "newton-cg", "newton-cholesky", "sag" and "saga" seek the same minimum: lbfgs is run.
        average: of adam and sgd: the mean of the parameters after each step is kept, from the first step on, or for a
            whole number n from the step on that has seen n examples.
        max_iter: number of epochs at most; None is 10,000 for lbfgs and 200 for adam and sgd. lbfgs takes one step in
            each. If training has not converged by then, `fit` gives a `sklearn.exceptions.ConvergenceWarning`.
        max_fun: of lbfgs: evaluations of the objective at most.
        tol: lbfgs has converged when no entry of the gradient exceeds `tol`, or `tol` times the objective where that is
            below 1; adam and sgd when `n_iter_no_change` epochs in a row have not improved by `tol` what was best
            before: the objective, with `early_stopping` the accuracy on the held-out examples.
        n_iter_no_change: so many epochs; `np.inf` trains for `max_iter` epochs.
        learning_rate: of sgd: "constant", "invscaling" (`learning_rate_init / t**power_t` after t examples) or
            "adaptive" (a fifth whenever `n_iter_no_change` epochs have not improved the objective, to the end at 1e-6).
        learning_rate_init, power_t: see there; the step size of adam and sgd.
        momentum, nesterovs_momentum: of sgd.
        beta_1, beta_2, epsilon: of adam.
        batch_size: at most this many examples per step of adam and sgd; "auto" is 200; rounded up to a multiple of 8.
        shuffle: whether each epoch of adam and sgd has a new order.
        early_stopping: hold out a fraction of the examples, and keep the parameters that are best on them.
        validation_fraction: that fraction.
        class_weight: {class: weight}, or "balanced" (inversely proportional to the class frequencies).
        warm_start: start `fit` from the parameters of the last one.
        random_state: a number makes the training repeatable.
        n_jobs: taken, without effect: all classes are trained together, on all cores.
        verbose: whether the objective of each epoch is printed after the training.

    Attributes:
        classes_: the classes, sorted.
        coef_, intercept_: [classes, D] and [classes]; for two classes [1, D] and [1], the second minus the first.
        loss_curve_: the objective of each epoch.
        loss_, best_loss_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_,
            validation_scores_, best_validation_score_: as in scikit-learn's MLPClassifier.

    Example:
        >>> from jaxnn.interop.sklearn import LinearClassifier
        >>> x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
        >>> model = LinearClassifier("svm").fit(x, ["low", "low", "high", "high"])
        >>> model.predict([[-3.0], [3.0]]).tolist(), model.coef_.shape
        (['low', 'high'], (1, 1))
    """

    loss: Literal["softmax", "svm"] = "softmax"
    _: dataclasses.KW_ONLY
    l2: float | None = 1e-3
    C: float | None = None
    penalty: Literal["l2", "l1", "elasticnet"] | None = "l2"
    l1_ratio: float | None = None
    fit_intercept: bool = True
    solver: Literal["lbfgs", "adam", "sgd", "newton-cg", "newton-cholesky", "sag", "saga"] = "lbfgs"
    average: bool | int = False
    learning_rate_init: float = 0.01
    max_iter: int | None = None
    tol: float = 1e-6
    n_jobs: int | None = None

    def _epochs(self) -> int:
        default = 10_000 if self._method == "lbfgs" else 200
        return default if self.max_iter is None else self.max_iter

    @property
    def coef_(self) -> np.ndarray:
        """The weights, as described with the class."""
        return self._of_classes("w")

    @property
    def intercept_(self) -> np.ndarray:
        """The biases, as described with the class."""
        return self._of_classes("b")

    def _of_classes(self, name: str) -> np.ndarray:
        check_is_fitted(self)
        values = self._params[0][name]
        return values[1:] - values[:1] if self._binary() else values


class _Network:
    """The layers of a network, as scikit-learn names and shapes them."""

    _params: Any

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer, [in, out]."""
        check_is_fitted(self, "_params")
        return [layer["w"].T for layer in self._params]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer, [out]."""
        check_is_fitted(self, "_params")
        return [layer["b"] for layer in self._params]


@dataclasses.dataclass(eq=False, repr=False)
class MLPClassifier(_Network, BaseClassifier):
    """The fully connected network with scikit-learn's interface.

    Formula: the objective is `mean loss + l2 * sum(W**2)`, the mean weighted by the sample weights. `alpha` is
    scikit-learn's: `l2 = alpha / (2 B)` for batches of B examples. Two classes have two scores here, not one.

    Args:
        hidden_layer_sizes: neurons of each hidden layer; a whole number stands for one layer.
        activation: a name in `models.ACTIVATIONS`, "logistic" (which is "sigmoid") or "identity".
        loss: "softmax", or "svm"; where y has several labels an example, "softmax" is the logistic loss of each.
        alpha: the penalty.
        l2: if given, decides the penalty in place of `alpha`.
        dropout: the fraction of hidden values that is dropped in training; of adam and sgd.
        solver, learning_rate, learning_rate_init, power_t, momentum, nesterovs_momentum, beta_1, beta_2, epsilon,
            batch_size, max_iter, max_fun, shuffle, early_stopping, validation_fraction, n_iter_no_change, tol,
            class_weight, warm_start, random_state, verbose: as `LinearClassifier`.

    Attributes:
        classes_: the classes, sorted.
        coefs_, intercepts_: of each layer [in, out] and [out], as in scikit-learn's MLPClassifier.
        loss_curve_, loss_, best_loss_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_,
            feature_names_in_, validation_scores_, best_validation_score_: as `LinearClassifier`.

    Example:
        >>> from jaxnn.interop.sklearn import MLPClassifier
        >>> x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
        >>> model = MLPClassifier((16,), solver="lbfgs", random_state=0).fit(x, y)
        >>> model.predict(x).tolist(), model.predict_proba(x).shape
        ([0, 1, 1, 0], (4, 2))
    """

    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str = "relu"
    _: dataclasses.KW_ONLY
    loss: Literal["softmax", "svm"] = "softmax"
    alpha: float = 1e-4
    dropout: float = 0.0


@dataclasses.dataclass(eq=False, repr=False)
class MLPRegressor(_Network, RegressorMixin, BaseNetwork):
    """The fully connected network for regression with scikit-learn's interface; `score` is the explained variance.

    Formula: the objective is `mean loss + l2 * sum(W**2)`; the loss of an example is summed over its outputs.

    Args:
        loss: "squared_error" (half the square), or "poisson", whose prediction is the exponential of the output.
        hidden_layer_sizes, activation, alpha, l2, dropout, solver, learning_rate, learning_rate_init, power_t,
            momentum, nesterovs_momentum, beta_1, beta_2, epsilon, batch_size, max_iter, max_fun, shuffle,
            early_stopping, validation_fraction, n_iter_no_change, tol, warm_start, random_state, verbose: as
            `MLPClassifier`.

    Attributes:
        coefs_, intercepts_, loss_curve_, loss_, best_loss_, n_iter_, t_, n_layers_, n_outputs_, out_activation_,
            n_features_in_, feature_names_in_, validation_scores_, best_validation_score_: as `MLPClassifier`.

    Example:
        >>> from jaxnn.interop.sklearn import MLPRegressor
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> model = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0).fit(x, x[:, 0] ** 2)
        >>> model.predict(x).shape, bool(model.score(x, x[:, 0] ** 2) > 0.99)
        ((50,), True)
    """

    loss: Literal["squared_error", "poisson"] = "squared_error"
    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str = "relu"
    _: dataclasses.KW_ONLY
    alpha: float = 1e-4
    dropout: float = 0.0

    def __sklearn_tags__(self) -> Any:
        """Several outputs are taken."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @available_if(by_steps)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on these examples, continuing from the last call; as `MLPClassifier.partial_fit`."""
        with unchanged_by_failure(self):
            return self._partial_fit(X, y, None, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """The outputs, [N] or [N, outputs]."""
        scores = self._scores(X)
        scores = np.exp(scores) if self._spec.loss == "poisson" else scores
        return scores[:, 0] if self.n_outputs_ == 1 else scores
