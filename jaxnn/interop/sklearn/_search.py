"""scikit-learn's grid search, training all its models side by side."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils.validation import _check_method_params

from jaxnn.interop.sklearn._base import BaseClassifier
from jaxnn.interop.sklearn._jobs import Executor


class VmapSearchCV(GridSearchCV):
    """`GridSearchCV` for the classifiers of this package, alone or at the end of a pipeline: the same search with the
    same results, but all settings and folds are trained at once, in as few programs as possible.

    Numeric settings (`l2`, `learning_rate_init`, `momentum`, `dropout`) and `random_state` share a program; settings
    that change the computation (`hidden_layer_sizes`, `batch_size`, `solver`, ...) need one each. Without a
    `random_state` every run draws its own seed, as in `GridSearchCV`; with one, all settings of a fold use the same
    batches, which is faster.

    Everything else is scikit-learn's own: it loops over settings and folds as usual, and each `fit` finds its model
    already trained. `cv_results_` divides the training time equally among all fits.

    Args:
        estimator: a `LinearClassifier`, an `MLPClassifier`, or a meta-estimator such as a pipeline around one.
        param_grid, scoring, refit, cv, error_score, return_train_score, verbose, pre_dispatch: as `GridSearchCV`.
        n_jobs: as `GridSearchCV`, for everything but the training of these classifiers; in threads where they occur.

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
        n_jobs: int | None = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            refit=refit,
            cv=cv,
            error_score=error_score,
            return_train_score=return_train_score,
            n_jobs=n_jobs,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
        )

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Train and score every setting on every fold, and train the best setting on all examples.

        `params` go to `fit` of the estimator, split into folds if they have N values; `groups` goes to the splitter.
        """
        X, y = indexable(X, y)
        self._get_scorers()  # a wrong one is refused before anything is trained
        folds: Any = self.cv
        splitter: Any = check_cv(folds, y, classifier=True)
        splits = list(splitter.split(X, y, params.get("groups")))
        executor = Executor()
        estimator, grid = self._with_executor(executor)
        clock = time.perf_counter()
        _fit_every(estimator, grid, X, y, splits, {k: v for k, v in params.items() if k != "groups"})
        threads = bool(executor.collecting)  # other processes would not have what was trained here
        executor.run_collected()
        seconds = time.perf_counter() - clock
        names = ("scoring", "refit", "error_score", "return_train_score", "n_jobs", "verbose", "pre_dispatch")
        search = GridSearchCV(estimator, grid, cv=splits, **{name: getattr(self, name) for name in names})
        try:
            with joblib.parallel_config("threading") if threads else contextlib.nullcontext():
                search.fit(X, y, **params)
        finally:
            executor.runs.clear()  # the best estimator keeps its executor
        search.cv_results_["mean_fit_time"] += seconds / (len(splits) * len(search.cv_results_["params"]))
        for name, value in vars(search).items():
            if name.endswith("_"):
                setattr(self, name, value)
        return self

    def _with_executor(self, executor: Executor) -> tuple[Any, Any]:
        """Clones of the estimator and the grid in which every classifier of this package has the executor."""
        estimator: Any = clone(self.estimator)
        grid: Any = clone(self.param_grid, safe=False)
        choices = [choice for part in ParameterGrid(grid).param_grid for values in part.values() for choice in values]
        for found in [estimator, *choices]:
            for part in _own(found):
                part._executor = executor
        return estimator, grid


def _own(found: Any) -> list[BaseClassifier]:
    """The classifiers of this package in an estimator, or in any other value of a grid."""
    has_params = hasattr(found, "get_params") and not isinstance(found, type)
    parts = [found, *(found.get_params().values() if has_params else ())]
    return [part for part in parts if isinstance(part, BaseClassifier)]


def _fit_every(estimator: Any, grid: Any, X: Any, y: Any, splits: list[tuple[Any, Any]], params: Any) -> None:
    """Fits every setting with a classifier of this package on every fold; the search raises errors again."""
    random = check_random_state(None)  # the search will draw the same seeds again
    before = random.get_state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the search gives the same warnings
        for setting in ParameterGrid(grid):
            for rows, _ in splits:
                of_fold: Any = clone(estimator)
                changes: Any = clone(setting, safe=False)
                with contextlib.suppress(Exception):
                    of_fold.set_params(**changes)
                    if not _own(of_fold):
                        continue
                    of_fold.fit(
                        _safe_indexing(X, rows),
                        _safe_indexing(y, rows),
                        **_check_method_params(X, params, indices=rows),
                    )
    random.set_state(before)
