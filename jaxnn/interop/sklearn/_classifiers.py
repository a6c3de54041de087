"""The linear classifier and the fully connected network with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from jaxnn.interop.sklearn._base import BaseClassifier


class LinearClassifier(BaseClassifier):
    """The linear classifier f(x) = Wx + b with scikit-learn's interface.

    Formula: the objective is `mean loss + l2 * sum(W**2)`, the mean weighted by the sample weights. With
    `l2 = 1 / (2 C N)` for N examples it is that of `LogisticRegression(C=C)` with three or more classes. With two
    classes `l2 = 1 / (C N)` is, since scikit-learn then has one weight vector: the difference of the two here.

    Args:
        loss: "softmax" (cross-entropy), or "svm" (hinge, summed over the wrong classes), which has no `predict_proba`.
        l2: factor of the sum of the squared weights.
        solver: "lbfgs" (all examples at once), or "adam" or "sgd" (batches), which have `partial_fit`.
        learning_rate_init: step size of adam and sgd.
        momentum: of sgd.
        batch_size: at most this many examples per step of adam and sgd; "auto" is 200; rounded up to a multiple of 8.
        max_iter: number of epochs; None is 3000 for lbfgs and 200 for adam and sgd. lbfgs takes one step in each and
            ends when it has converged; if it has not by then, `fit` gives a `sklearn.exceptions.ConvergenceWarning`.
        early_stopping: hold out a fraction of the examples, stop after `n_iter_no_change` epochs without a better
            accuracy on them, and keep the best parameters.
        validation_fraction: that fraction.
        n_iter_no_change: epochs to wait.
        tol: of lbfgs, which has converged when the norm of the gradient is at most `tol`, or when `n_iter_no_change`
            steps together lower the objective by at most `tol` times the objective.
        class_weight: {class: weight}, or "balanced" (inversely proportional to the class frequencies).
        warm_start: start `fit` from the parameters of the last one.
        random_state: a number makes the training repeatable.

    Attributes:
        classes_: the classes, sorted.
        coef_, intercept_: f32[classes, D] and f32[classes]; for two classes f32[1, D] and f32[1], the second minus
            the first.
        loss_curve_: the objective of each epoch.
        loss_, n_iter_, n_features_in_, feature_names_in_, validation_scores_, best_validation_score_: as in
            scikit-learn's MLPClassifier.

    Example:
        >>> from jaxnn.interop.sklearn import LinearClassifier
        >>> x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
        >>> model = LinearClassifier("svm", solver="sgd", max_iter=20).fit(x, ["low", "low", "high", "high"])
        >>> model.predict([[-3.0], [3.0]]).tolist(), model.coef_.shape
        (['low', 'high'], (1, 1))
    """

    def __init__(
        self,
        loss: Literal["softmax", "svm"] = "softmax",
        *,
        l2: float = 1e-3,
        solver: Literal["lbfgs", "adam", "sgd"] = "lbfgs",
        learning_rate_init: float = 0.01,
        momentum: float = 0.9,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-6,
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self._keep(locals())

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
        return values[1:] - values[:1] if len(self.classes_) == 2 else values


class MLPClassifier(BaseClassifier):
    """The fully connected network with scikit-learn's interface.

    Formula: the objective is `mean loss + l2 * sum(W**2)`, the mean weighted by the sample weights. With
    `l2 = alpha / (2 B)` for batches of B examples it is that of scikit-learn's `MLPClassifier(alpha=alpha)`.

    Args:
        hidden_layer_sizes: neurons of each hidden layer; a whole number means one layer.
        activation: a name in `models.ACTIVATIONS`; scikit-learn's "logistic" is "sigmoid".
        loss, l2, solver, learning_rate_init, momentum, batch_size, max_iter, early_stopping, validation_fraction,
            n_iter_no_change, tol, class_weight, warm_start, random_state: as `LinearClassifier`.
        dropout: the fraction of hidden values that is dropped in training.

    Attributes:
        classes_: the classes, sorted.
        coefs_, intercepts_: of each layer f32[in, out] and f32[out], as in scikit-learn's MLPClassifier.
        loss_curve_, loss_, n_iter_, n_features_in_, feature_names_in_, validation_scores_, best_validation_score_: as
            `LinearClassifier`.

    Example:
        >>> from jaxnn.interop.sklearn import MLPClassifier
        >>> x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
        >>> model = MLPClassifier((16,), solver="sgd", learning_rate_init=0.1, random_state=0).fit(x, y)
        >>> model.predict(x).tolist(), model.predict_proba(x).shape
        ([0, 1, 1, 0], (4, 2))
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: Literal["sigmoid", "tanh", "relu", "leaky_relu", "gelu"] = "relu",
        *,
        loss: Literal["softmax", "svm"] = "softmax",
        l2: float = 1e-4,
        dropout: float = 0.0,
        solver: Literal["lbfgs", "adam", "sgd"] = "adam",
        learning_rate_init: float = 0.001,
        momentum: float = 0.9,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 200,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-6,
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self._keep(locals())

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights, as described with the class."""
        check_is_fitted(self)
        return [layer["w"].T for layer in self._params]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases, as described with the class."""
        check_is_fitted(self)
        return [layer["b"] for layer in self._params]
