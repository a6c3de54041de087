"""The base of all classifiers."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from jaxnn.interop.sklearn._base import BaseNetwork, by_steps, unchanged_by_failure


def _with_probabilities(classifier: Any) -> bool:
    loss = classifier._spec.loss if hasattr(classifier, "_spec") else classifier.loss
    if loss == "svm":
        raise AttributeError(f"probabilities need loss='softmax', got loss={loss!r}")
    return True


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class BaseClassifier(ClassifierMixin, BaseNetwork):
    """A classifier by the highest score."""

    loss: Any = "softmax"
    class_weight: Any = None

    def __sklearn_tags__(self) -> Any:
        """Several labels are taken."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.loss == "softmax"
        return tags

    @available_if(by_steps)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on these examples, continuing from the last call; arguments as `fit`.

        The first call needs `classes`, all classes that will ever occur; `y` need not contain every one of them. The
        weights keep their scale: the objective of a call counts as much as the mean weight of its examples, so that a
        call with weights of 2 is, to first order, the same call twice. (Adam's very first step is the same at any
        scale.) `class_weight="balanced"` is refused.
        """
        with unchanged_by_failure(self):
            return self._partial_fit(X, y, classes, sample_weight)

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores [N, classes]; for two classes [N], the score of the second minus that of the first."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if self._binary() else scores

    def predict(self, X: Any) -> np.ndarray:
        """The class with the highest score, [N]; of several labels [N, labels], whether its score is positive."""
        scores = self._scores(X)
        return (scores > 0.0).astype(int) if self._spec.loss == "logistic" else self.classes_[scores.argmax(1)]

    @available_if(_with_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """The softmax of the scores [N, classes], in the order of `classes_`; of several labels, each by itself."""
        return np.exp(self.predict_log_proba(X))

    @available_if(_with_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithms of `predict_proba`."""
        scores = self._scores(X)
        if self._spec.loss == "logistic":
            found = -np.logaddexp(0.0, -scores)
            return np.where(found > -0.5, np.log(np.exp(found)), found)  # as many digits as the probability has
        scores = scores - scores.max(1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(1, keepdims=True))

    def _binary(self) -> bool:
        return self._outputs() == 2 and self._spec.loss != "logistic"

    def _outputs(self) -> int:
        return len(self.classes_)

    def _encode(self, y: np.ndarray, classes: Any, known: bool, partial: bool = False) -> np.ndarray:
        check_classification_targets(y)
        several = type_of_target(y) == "multilabel-indicator"
        if y.ndim == 2 and not several:
            raise ValueError(f"y must be labels [N], or 0 and 1 [N, labels]; got {type_of_target(y)}")
        if several and self.loss != "softmax":
            raise ValueError(f"several labels need loss='softmax', got loss={self.loss!r}")
        if several and self._parameters["class_weight"] is not None:
            raise ValueError("class_weight is for one label an example: give several labels a sample_weight")
        found = np.arange(y.shape[1]) if several else np.unique(y)
        if partial:
            if classes is None and not known:
                raise ValueError("the first call of partial_fit needs classes, all classes that will ever occur")
            given = self.classes_ if classes is None else np.unique(classes)
            if known and not np.array_equal(given, self.classes_):
                raise ValueError(
                    f"classes must be those of the first call, {self.classes_.tolist()}, got {given.tolist()}"
                )
            if unknown := sorted(set(found.tolist()) - set(given.tolist())):
                raise ValueError(f"y has classes that the first call did not name: {unknown}")
            found = given
        elif known and not np.array_equal(found, self.classes_):
            raise ValueError(
                f"warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {found}"
            )
        if len(found) < 2 and not several:
            raise ValueError(f"y must have at least 2 classes, got 1 class: {found.tolist()[0]!r}")
        self.classes_, self.n_outputs_ = found, len(found)
        return y.astype(np.float64) if several else np.searchsorted(found, y).astype(np.int32)

    def _class_weights(self, class_weight: Any, labels: np.ndarray, y: np.ndarray, partial: bool) -> np.ndarray:
        present = self.classes_ if partial else np.unique(y)
        of_class = compute_class_weight(class_weight, classes=present, y=present if partial else y)
        return of_class[np.searchsorted(present, y)]
