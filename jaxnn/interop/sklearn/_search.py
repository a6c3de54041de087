"""scikit-learn's searches, training all their models side by side."""

from __future__ import annotations

import contextlib
import time
import warnings
from typing import Any, Self

import joblib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    check_cv,
)
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
        epochs = getattr(self, "resource", "").rpartition("__")[2] == "max_iter"
        given, executor = (self.estimator, self.cv), Executor(pause=epochs)
        self.cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.estimator = _with_executor(clone(self.estimator), executor)
        self._given, self._seconds = (X, y, params, executor), 0.0
        search: Any = super()
        try:
            search.fit(X, y, **params)
            self.cv_results_["mean_fit_time"] += self._seconds / (self.n_splits_ * len(self.cv_results_["params"]))
        finally:
            executor.clear()  # the best estimator keeps its executor
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


class _OverEpochs:
    """A successive halving whose resource is epochs, by default as many as the estimator would train."""

    estimator: Any
    resource: str
    max_resources: Any

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """As `HalvingGridSearchCV.fit`; `params` go to `fit` of the estimator."""
        given = self.max_resources
        if given == "auto" and self.resource in self.estimator.get_params():
            self.max_resources = self.estimator.get_params()[self.resource]
            if self.max_resources is None:
                raise ValueError(
                    f"max_resources='auto' is the {self.resource} of the estimator, got None: set one of them"
                )
        search: Any = super()
        try:
            return search.fit(X, y, **params)
        finally:
            self.max_resources = given


class VmapHalvingRandomSearchCV(_OverEpochs, _SideBySide, HalvingRandomSearchCV):
    """`HalvingRandomSearchCV` over epochs, whose runs continue; see `VmapHalvingSearchCV`."""

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_candidates: Any = "exhaust",
        factor: float = 3,
        resource: str = "max_iter",
        max_resources: Any = "auto",
        min_resources: Any = "smallest",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(**given)


class VmapHalvingSearchCV(_OverEpochs, VmapHalvingGridSearchCV):
    """`HalvingGridSearchCV` over epochs: all settings train side by side for a few epochs, the best of them for more.

    Each round's models train in one program, the later rounds' in smaller ones, and continue where the round before
    left them instead of beginning again, which needs a `random_state` of the estimator: without one every fit draws
    its own seed, as in scikit-learn. So a search of 4 rounds with factor 3 takes an eighth of the steps of the whole
    grid. Scores and choices are those of `HalvingGridSearchCV` with the same resource.

    `VmapHalvingSearchCV.Randomized` is `HalvingRandomSearchCV` in the same way.

    Args:
        estimator: as `VmapSearchCV`, with the solver adam or sgd (lbfgs begins again in every round).
        resource: the estimator's number of epochs, in a pipeline such as "mlpclassifier__max_iter". With "n_samples"
            or another parameter the search is `VmapSearchCV.HalvingGrid`.
        max_resources: of a setting; "auto" is the estimator's own.
        param_grid, factor, min_resources, aggressive_elimination, cv, scoring, refit, error_score, return_train_score,
            random_state, n_jobs, verbose: as `HalvingGridSearchCV`.

    Attributes:
        n_resources_, n_candidates_: epochs and number of settings of each round.
        cv_results_: with the columns `iter` and `n_resources`.
        n_remaining_candidates_, n_required_iterations_, n_possible_iterations_, n_iterations_, min_resources_,
            max_resources_, and all of `VmapSearchCV`: as `HalvingGridSearchCV`.

    Source: https://scikit-learn.org/stable/modules/grid_search.html#successive-halving-user-guide

    Example:
        >>> from jaxnn.interop.sklearn import LinearClassifier, VmapHalvingSearchCV
        >>> x, y = data.toy.gauss(60)
        >>> model = LinearClassifier(solver="sgd", max_iter=8, random_state=0)
        >>> search = VmapHalvingSearchCV(model, {"l2": [1e-4, 1e-3, 1e-2, 1.0]}, factor=2, cv=2).fit(x, y)
        >>> search.n_candidates_, search.n_resources_
        ([4, 2, 1], [2, 4, 8])
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        factor: float = 3,
        resource: str = "max_iter",
        max_resources: Any = "auto",
        min_resources: Any = "exhaust",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(**given)

    Randomized = VmapHalvingRandomSearchCV


class VmapSearchCV(_SideBySide, GridSearchCV):
    """`GridSearchCV` for the estimators of this package, alone or at the end of a pipeline: the same search with the
    same results, but all settings and folds are trained at once, in as few programs as possible.

    `VmapSearchCV.Randomized` and `VmapSearchCV.HalvingGrid` are `RandomizedSearchCV` and `HalvingGridSearchCV` in the
    same way, with their arguments; `VmapSearchCV.Halving` is `VmapHalvingSearchCV`, over epochs, whose runs continue.

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
    Halving = VmapHalvingSearchCV
