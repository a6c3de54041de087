"""scikit-learn's searches, training all their models side by side."""

from __future__ import annotations

import contextlib
import time
import warnings
from typing import Any, Self

import joblib
from sklearn.base import clone, is_classifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, check_cv
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils.validation import _check_method_params

from jaxnn.interop.sklearn._base import BaseNetwork
from jaxnn.interop.sklearn._jobs import Executor


class _Splits:
    """A splitter that gives the same splits whenever it is asked."""

    def __init__(self, splits: list[Any]) -> None:
        self.splits = splits

    def split(self, *args: Any, **kwargs: Any) -> list[Any]:
        return self.splits


class _SideBySide:
    """A search that trains its models before scikit-learn's own loop fits them, which then finds them trained."""

    estimator: Any
    cv: Any
    cv_results_: Any
    n_splits_: int

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Train and score every setting on every fold, and train the best setting on all examples.

        `params` go to `fit` of the estimator, split into folds if they have N values; `groups` goes to the splitter.
        """
        X, y = indexable(X, y)
        given, executor = (self.estimator, self.cv), Executor()
        self.cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.estimator = _with_executor(clone(self.estimator), executor)
        self._given, self._seconds = (X, y, params, executor), 0.0
        search: Any = super()
        try:
            search.fit(X, y, **params)
            self.cv_results_["mean_fit_time"] += self._seconds / (self.n_splits_ * len(self.cv_results_["params"]))
        finally:
            executor.runs.clear()  # the best estimator keeps its executor
            self.estimator, self.cv = given
            del self._given
        return self

    def _search_trained(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
        X, y, params, executor = self._given
        groups = {"groups": params["groups"]} if "groups" in params else {}
        of_fit = {name: value for name, value in params.items() if name != "groups"}

        def evaluate(candidates: Any, cv: Any = None, **more: Any) -> Any:
            candidates = [
                {name: _with_executor(clone(value, safe=False), executor) for name, value in setting.items()}
                for setting in candidates
            ]
            splits = list((cv or self.cv).split(X, y, **groups))
            clock = time.perf_counter()
            executor.collecting = []
            _fit_every(self.estimator, candidates, X, y, splits, of_fit)
            in_threads = bool(executor.collecting)  # other processes would not have what was trained here
            executor.run_collected()
            self._seconds += time.perf_counter() - clock
            with joblib.parallel_config("threading") if in_threads else contextlib.nullcontext():
                return evaluate_candidates(candidates, _Splits(splits), **more)

        search: Any = super()
        search._run_search(evaluate, **({} if callback_ctx is None else {"callback_ctx": callback_ctx}))

    _run_search: Any = _search_trained


def _with_executor(found: Any, executor: Executor) -> Any:
    """What was given, in which every estimator of this package has the executor."""
    for part in _own(found):
        part._executor = executor
    return found


def _own(found: Any) -> list[Any]:
    """The estimators of this package in an estimator, or in any other value of a grid."""
    has_params = hasattr(found, "get_params") and not isinstance(found, type)
    parts = [found, *(found.get_params().values() if has_params else ())]
    return [part for part in parts if isinstance(part, BaseNetwork)]


def _fit_every(estimator: Any, candidates: Any, X: Any, y: Any, splits: list[tuple[Any, Any]], params: Any) -> None:
    """Fits every setting with an estimator of this package on every fold; the search raises errors again."""
    random = check_random_state(None)  # the search will draw the same seeds again
    before = random.get_state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the search gives the same warnings
        for setting in candidates:
            for rows, _ in splits:
                with contextlib.suppress(Exception):
                    of_fold: Any = clone(estimator)
                    changes: Any = clone(setting, safe=False)
                    of_fold.set_params(**changes)
                    if not _own(of_fold):
                        break
                    of_fold.fit(
                        _safe_indexing(X, rows),
                        _safe_indexing(y, rows),
                        **_check_method_params(X, params, indices=rows),
                    )
    random.set_state(before)


class VmapRandomizedSearchCV(_SideBySide, RandomizedSearchCV):
    """`RandomizedSearchCV` with all its models trained side by side; see `VmapSearchCV`."""


class VmapHalvingGridSearchCV(_SideBySide, HalvingGridSearchCV):
    """`HalvingGridSearchCV` with the models of each round trained side by side; see `VmapSearchCV`."""


class VmapSearchCV(_SideBySide, GridSearchCV):
    """`GridSearchCV` for the estimators of this package, alone or at the end of a pipeline: the same search with the
    same results, but all settings and folds are trained at once, in as few programs as possible.

    `VmapSearchCV.Randomized` and `VmapSearchCV.HalvingGrid` are `RandomizedSearchCV` and `HalvingGridSearchCV` in the
    same way, with their arguments.

    Numeric settings (`l2`, `learning_rate_init`, `momentum`, `dropout`, ...) and `random_state` share a program;
    settings that change the computation (`hidden_layer_sizes`, `batch_size`, `solver`, ...) need one each. Without a
    `random_state` every run draws its own seed, as in `GridSearchCV`; with one, all settings of a fold use the same
    batches, which is faster. With the solver lbfgs the runs share a program, one after the other.

    Everything else is scikit-learn's own: it loops over settings and folds as usual, and each `fit` finds its model
    already trained. `cv_results_` divides the training time equally among all fits.

    Args:
        estimator: one of this package, or a meta-estimator such as a pipeline around one.
        param_grid, scoring, refit, cv, error_score, return_train_score, verbose, pre_dispatch: as `GridSearchCV`.
        n_jobs: as `GridSearchCV`, for everything but the training of these estimators; in threads where they occur.

    Attributes:
        cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_,
            multimetric_, classes_, n_features_in_, feature_names_in_: as `GridSearchCV`.

    Example:
        >>> from scipy.stats import loguniform
        >>> from jaxnn.interop.sklearn import LinearClassifier, VmapSearchCV
        >>> x, y = data.toy.gauss(60)
        >>> search = VmapSearchCV(LinearClassifier(), {"l2": [1e-3, 1e-2]}, cv=2, refit=False).fit(x, y)
        >>> print(search.cv_results_["mean_test_score"])
        [1. 1.]
        >>> space = {"l2": loguniform(1e-4, 1e-1)}
        >>> print(VmapSearchCV.Randomized(LinearClassifier(), space, n_iter=3, cv=2).fit(x, y).best_score_)
        1.0
    """

    Randomized = VmapRandomizedSearchCV
    HalvingGrid = VmapHalvingGridSearchCV
