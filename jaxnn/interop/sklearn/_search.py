"""scikit-learn's grid search, with all its models trained side by side."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils.validation import _check_method_params

from jaxnn import training
from jaxnn.interop.sklearn._jobs import TrainingJob, raise_if_diverged, train, train_many, use_executor


class VmapSearchCV(GridSearchCV):
    """`GridSearchCV` for the classifiers of this package, alone or at the end of a pipeline: the same search with the
    same results, but all settings and all folds are trained at once, side by side in as few programs as possible.

    Settings that are numbers (`l2`, `learning_rate_init`, `momentum`, `dropout`) and `random_state` share a program;
    those that decide the shape of the computation (`hidden_layer_sizes`, `batch_size`, `solver`, ...) have one each.
    Without a `random_state` every training draws a seed of its own, as in `GridSearchCV`; with one, all settings of a
    fold go through the same batches, which is faster.

    Everything else is scikit-learn's own: it goes over the settings and the folds as ever, and each `fit` finds its
    model trained already. In `cv_results_` the time of the training is shared equally by all fits.

    Args:
        estimator: a `LinearClassifier`, an `MLPClassifier`, or a pipeline or the like around one.
        param_grid, scoring, refit, cv, error_score, return_train_score: as `GridSearchCV`.

    Attributes:
        cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_,
            multimetric_, classes_, n_features_in_, feature_names_in_: as `GridSearchCV`.

    Example:
        >>> from jaxnn.interop.sklearn import LinearClassifier, VmapSearchCV
        >>> x, y = data.toy.gauss(60)
        >>> model = LinearClassifier(solver="sgd", max_iter=10, random_state=0)
        >>> search = VmapSearchCV(model, {"l2": [1e-3, 1e-2]}, cv=2, refit=False).fit(x, y)
        >>> print(search.cv_results_["mean_test_score"])
        [1. 1.]
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]],
        *,
        scoring: Any = None,
        refit: Any = True,
        cv: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            refit=refit,
            cv=cv,
            error_score=error_score,
            return_train_score=return_train_score,
        )

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Train every setting on every fold, score them, and train the best setting on all examples.

        Args:
            X: [N, D].
            y: [N], labels.
            **params: for `fit` of the estimator, those with N values cut into folds; `groups` is for the splitter.

        Returns:
            The search itself.

        Raises:
            TypeError, ValueError: as `GridSearchCV.fit`.
        """
        X, y = indexable(X, y)
        groups = params.get("groups")
        folds: Any = self.cv
        splitter: Any = check_cv(folds, y, classifier=True)
        splits = list(splitter.split(X, y, groups))
        clock = time.perf_counter()
        trained = train_many(self._plans(X, y, splits, {k: v for k, v in params.items() if k != "groups"}))
        seconds = time.perf_counter() - clock

        def recall(plan: TrainingJob) -> training.Run:
            run = trained.get(plan.digest())
            return train(plan) if run is None else raise_if_diverged(plan, run)

        names = ("scoring", "refit", "error_score", "return_train_score")
        search = GridSearchCV(
            self.estimator, self.param_grid, cv=splits, **{name: getattr(self, name) for name in names}
        )
        with use_executor(recall):
            search.fit(X, y, **params)
        search.cv_results_["mean_fit_time"] += seconds / (len(splits) * len(search.cv_results_["params"]))
        for name, value in vars(search).items():
            if name.endswith("_"):
                setattr(self, name, value)
        return self

    def _plans(self, X: Any, y: Any, splits: list[tuple[Any, Any]], params: dict[str, Any]) -> list[TrainingJob]:
        """What each setting would have trained on each fold; what cannot be fitted the search will tell."""
        plans: list[TrainingJob] = []
        random = check_random_state(None)  # the search will draw the same seeds again
        before = random.get_state()

        def note(plan: TrainingJob) -> training.Run:
            plans.append(plan)
            raise _NotedError

        with use_executor(note), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the search will give them again
            for setting in ParameterGrid(self.param_grid):
                for rows, _ in splits:
                    of_fold: Any = clone(self.estimator)
                    changes: Any = clone(setting, safe=False)
                    try:
                        of_fold.set_params(**changes).fit(
                            _safe_indexing(X, rows),
                            _safe_indexing(y, rows),
                            **_check_method_params(X, params, indices=rows),
                        )
                    except Exception:
                        continue
        random.set_state(before)
        return plans


class _NotedError(Exception):
    """The plan was noted, there is no model."""
