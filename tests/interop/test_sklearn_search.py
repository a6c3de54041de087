"""The search that trains all its models side by side, beside scikit-learn's own over the same classifiers."""

from typing import Any

import jax
import numpy as np
import pytest
from joblib import parallel_config
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    RepeatedStratifiedKFold,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from jaxnn.interop.sklearn import (
    LinearClassifier,
    MLPClassifier,
    MLPRegressor,
    VmapHalvingSearchCV,
    VmapSearchCV,
    _jobs,
)

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # few epochs
]

X, Y = load_iris(return_X_y=True)
X, Y = X[::3], np.array(["setosa", "versicolor", "virginica"])[Y[::3]]
LINEAR = LinearClassifier(solver="sgd", max_iter=20, random_state=0)
MLP = MLPClassifier((4,), learning_rate_init=0.05, max_iter=10, random_state=0)
RATES = {"learning_rate_init": [1e-4, 0.02], "l2": [1e-3, 0.1]}


def both(estimator, grid, fit=None, **options):
    fit = fit or {}
    ours = VmapSearchCV(estimator, grid, **options).fit(X, Y, **fit)
    theirs = GridSearchCV(estimator, grid, **options).fit(X, Y, **fit)
    return ours, theirs


def same(ours, theirs):
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, values in theirs.cv_results_.items():
        if name == "params":
            assert ours.cv_results_[name] == values
        elif "time" not in name:
            assert ours.cv_results_[name].dtype == values.dtype
            np.testing.assert_array_equal(ours.cv_results_[name], values, err_msg=name)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == theirs.best_score_
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.fixture
def alone(monkeypatch):
    """How many trainings the search has made one by one."""
    made, train = [], _jobs.train
    monkeypatch.setattr(_jobs, "train", lambda job: made.append(job) or train(job))
    return made


@pytest.mark.portable
def test_the_results_are_those_of_grid_search(alone):
    ours, theirs = both(LINEAR, RATES, cv=3, return_train_score=True)
    same(ours, theirs)
    assert len(set(ours.cv_results_["mean_test_score"])) > 1
    assert (ours.cv_results_["mean_fit_time"] > 0).all()
    assert len(alone) == 1  # the best setting on all examples


@pytest.mark.portable
@pytest.mark.slow
def test_a_pipeline_is_prepared_on_each_fold_and_shapes_have_programs_of_their_own(alone):
    grid = [
        {"mlpclassifier__hidden_layer_sizes": [(4,), (3, 3)], "mlpclassifier__random_state": [0, 1]},
        {"standardscaler": ["passthrough"], "mlpclassifier__activation": ["tanh"]},
    ]
    same(*both(make_pipeline(StandardScaler(), MLP), grid, cv=2))
    assert len(alone) == 1


@pytest.mark.portable
@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.slow), None])
def test_early_stopping_and_weights_are_searched_the_same(alone, seed):
    model = MLPClassifier(
        (4,), learning_rate_init=0.05, max_iter=30, early_stopping=True, n_iter_no_change=3, random_state=seed
    )
    weights = np.linspace(0.0, 2.0, len(X))
    found = []
    for kind in (VmapSearchCV, GridSearchCV):
        check_random_state(None).seed(0)
        found.append(kind(model, {"l2": [1e-3, 0.1]}, cv=2).fit(X, Y, sample_weight=weights))
    np.testing.assert_array_equal(found[0].cv_results_["mean_test_score"], found[1].cv_results_["mean_test_score"])
    assert len(alone) == 1


@pytest.mark.portable
def test_several_measures_and_a_splitter_that_draws():
    scoring = {"right": "accuracy", "log": "neg_log_loss"}
    cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0)
    ours, theirs = both(LINEAR, RATES, scoring=scoring, refit="log", cv=cv)
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    np.testing.assert_allclose(ours.cv_results_["mean_test_log"], theirs.cv_results_["mean_test_log"], rtol=1e-4)
    assert ours.best_params_ == theirs.best_params_
    assert ours.n_splits_ == 4
    assert ours.multimetric_


@pytest.mark.portable
@pytest.mark.parametrize("kind", ["randomized", "halving"])
def test_other_spaces_are_searched_the_same(kind, alone):
    if kind == "randomized":
        kinds, space = (VmapSearchCV.Randomized, RandomizedSearchCV), {"learning_rate_init": loguniform(1e-4, 0.1)}
        options: Any = {"n_iter": 4, "random_state": 0}
    else:
        kinds, space = (VmapSearchCV.HalvingGrid, HalvingGridSearchCV), RATES
        options: Any = {"factor": 2, "random_state": 0, "min_resources": 12}
    ours, theirs = (kind(LINEAR, space, cv=2, **options).fit(X, Y) for kind in kinds)
    same(ours, theirs)
    assert len(alone) == 1


@pytest.fixture
def programs(monkeypatch):
    """The number of settings of each program that was run, and whether they continue earlier runs."""
    made, train = [], _jobs._train_set
    monkeypatch.setattr(
        _jobs, "_train_set", lambda jobs, on, *rest: made.append((len(jobs), on)) or train(jobs, on, *rest)
    )
    return made


HALVED: dict[str, Any] = {"factor": 2, "cv": 2, "max_resources": 6, "min_resources": 3}


@pytest.mark.portable
def test_halving_over_epochs_continues_the_runs_and_chooses_as_scikit_learn(alone, programs):
    """scikit-learn's own begins again in each round; early stopping has ended some of the runs before a round."""
    model = LinearClassifier(
        solver="sgd", max_iter=6, random_state=0, early_stopping=True, n_iter_no_change=2, tol=1e-3
    )
    ours = VmapHalvingSearchCV(model, RATES, **{**HALVED, "max_resources": "auto"}).fit(X, Y)
    assert sorted(programs) == [(2, True), (2, True), (4, False), (4, False)]
    assert len(alone) == 1
    theirs = HalvingGridSearchCV(model, RATES, resource="max_iter", **HALVED).fit(X, Y)
    same(ours, theirs)
    for name in ("n_resources_", "n_candidates_", "n_remaining_candidates_", "n_iterations_", "max_resources_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.cv_results_["n_resources"].tolist() == [3] * 4 + [6] * 2
    assert ours.max_resources == "auto"


@pytest.mark.slow
@pytest.mark.portable
@pytest.mark.parametrize("aggressive", [False, True])
def test_random_settings_and_pipelines_are_halved_as_by_scikit_learn(alone, programs, aggressive):
    model = make_pipeline(
        StandardScaler(), MLPClassifier((4,), learning_rate_init=0.05, max_iter=10, random_state=0, tol=0.0)
    )
    space = {"mlpclassifier__learning_rate_init": loguniform(1e-3, 0.3), "mlpclassifier__l2": loguniform(1e-4, 0.1)}
    options = {**HALVED, "n_candidates": 6, "random_state": 0, "aggressive_elimination": aggressive}
    options["resource"] = "mlpclassifier__max_iter"
    same(
        *(kind(model, space, **options).fit(X, Y) for kind in (VmapSearchCV.Halving.Randomized, HalvingRandomSearchCV))
    )
    assert len(alone) == 1
    assert sorted({size for size, continued in programs if continued}) == ([2, 3] if aggressive else [3])


def test_epochs_to_halve_over_must_be_known():
    with pytest.raises(ValueError, match="max_resources='auto' is the max_iter of the estimator, got None"):
        VmapHalvingSearchCV(LinearClassifier(solver="sgd"), RATES).fit(X, Y)
    with pytest.raises(ValueError, match="not supported by estimator Pipeline"):
        VmapHalvingSearchCV(make_pipeline(LINEAR), RATES, max_resources=9).fit(X, Y)


def test_regressors_are_searched_the_same(alone):
    targets = X[:, 3] - X[:, 0]
    model = MLPRegressor(hidden_layer_sizes=(3,), max_iter=5, random_state=0)
    kinds = (VmapSearchCV, GridSearchCV)
    ours, theirs = (kind(model, {"alpha": [0.1, 1.0], "beta_1": [0.5, 0.9]}, cv=2).fit(X, targets) for kind in kinds)
    np.testing.assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-4)
    assert len(alone) == 1


def test_settings_that_cannot_be_trained_give_the_warnings_of_scikit_learn():
    grid = {"learning_rate_init": [0.02, 1e30], "l2": [1e3, -1.0]}
    with (
        pytest.warns(UserWarning, match="test scores are non-finite"),
        pytest.warns(FitFailedWarning, match="became non-finite") as warned,
    ):
        ours = VmapSearchCV(LINEAR, {**grid, "l2": [1e-3, -1.0]}, cv=2).fit(X, Y)
    [failed] = [str(each.message) for each in warned if each.category is FitFailedWarning]
    assert "l2 must be at least 0" in failed
    assert np.isfinite(ours.cv_results_["mean_test_score"]).tolist() == [True, False, False, False]
    with pytest.raises(ValueError, match="l2 must be at least 0"):
        VmapSearchCV(LINEAR, {"l2": [-1.0]}, cv=2).set_params(error_score="raise").fit(X, Y)


def test_all_settings_and_folds_are_one_program(compiled):
    with jax.log_compiles():
        VmapSearchCV(LinearClassifier(solver="sgd", max_iter=3, random_state=3), RATES, cv=4, refit=False).fit(X, Y)
        names = [name for name in compiled() if "run" in name]
    assert names == ["jit(run)"]


class Counted(LogisticRegression):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


def test_other_estimators_are_fitted_once():
    for estimator in (Counted(), make_pipeline(StandardScaler(), Counted())):
        name = "C" if isinstance(estimator, Counted) else "counted__C"
        Counted.fits = 0
        VmapSearchCV(estimator, {name: [0.001, 0.003, 0.01, 0.03]}, cv=3).fit(X, Y)
        assert Counted.fits == 4 * 3 + 1
    Counted.fits = 0
    grid = {"model": [Counted(C=0.01), LINEAR, Counted(C=0.1)]}
    ours = VmapSearchCV(Pipeline([("model", LINEAR)]), grid, cv=2, refit=False).fit(X, Y)
    assert Counted.fits == 2 * 2
    theirs = GridSearchCV(Pipeline([("model", LINEAR)]), grid, cv=2, refit=False).fit(X, Y)
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


@pytest.mark.portable
def test_fits_in_parallel_and_reports_as_grid_search(alone, capsys):
    with parallel_config("threading"):  # processes would each import JAX
        same(*both(LINEAR, RATES, cv=3, n_jobs=2, pre_dispatch="n_jobs"))
    assert len(alone) == 1
    capsys.readouterr()
    VmapSearchCV(LINEAR, RATES, cv=3, refit=False, verbose=1).fit(X, Y)
    assert "Fitting 3 folds for each of 4 candidates, totalling 12 fits" in capsys.readouterr().out
    with parallel_config("threading"):
        VmapSearchCV(Counted(), {"C": [0.01, 0.1]}, cv=2, n_jobs=2, verbose=0).fit(X, Y)


def test_a_wrong_measure_is_refused_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(_jobs, "train_many", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ValueError, match="precise"):
        VmapSearchCV(LINEAR, RATES, cv=2, scoring="precise").fit(X, Y)
    with pytest.raises(ValueError, match="refit"):
        VmapSearchCV(LINEAR, RATES, cv=2, scoring=["accuracy", "neg_log_loss"]).fit(X, Y)
