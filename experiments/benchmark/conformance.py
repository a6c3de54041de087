"""scikit-learn's own installed test files, run with the estimators of `jaxnn.interop.sklearn` in place of its own."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import sklearn
from sklearn import linear_model, model_selection, neural_network, svm
from sklearn.utils.metaestimators import available_if

from jaxnn.interop import sklearn as ours
from jaxnn.interop.sklearn._parameters import SAME_MINIMUM


class Borrowed(NamedTuple):
    """A test file, and what stands in it for which name of scikit-learn."""

    file: str
    package: Any
    replaced: dict[str, type]


def _with_their_parameters(theirs: type, arguments: Callable[[Any], dict[str, Any]]) -> type:
    """Their class, whose parameters are checked by scikit-learn, fitted by `LinearClassifier`."""

    class Fitted(theirs):  # type: ignore[valid-type,misc]
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            self._validate_params()
            model = ours.LinearClassifier(**arguments(self))
            if getattr(self, "warm_start", False) and hasattr(self, "_model"):
                model = self._model.set_params(**arguments(self))
            return self._adopt(model.fit(X, y, sample_weight))

        def _adopt(self, model: Any) -> Any:
            self._model = model
            for name in ("coef_", "intercept_", "classes_", "n_features_in_", "feature_names_in_", "t_"):
                with contextlib.suppress(AttributeError):
                    setattr(self, name, getattr(model, name))
            self.n_iter_ = np.array([model.n_iter_])
            return self

    class Stepping(Fitted):
        def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
            self._validate_params()
            self._more_validate_params(for_partial_fit=True)
            model = getattr(self, "_model", None) or ours.LinearClassifier()
            return self._adopt(model.set_params(**arguments(self)).partial_fit(X, y, classes, sample_weight))

    found = Stepping if hasattr(theirs, "partial_fit") else Fitted
    found.__name__ = found.__qualname__ = theirs.__name__
    return found


def _refuse(**options: Any) -> None:
    for name, (value, allowed) in options.items():
        if value not in allowed:
            raise NotImplementedError(f"{name}={value!r} has no counterpart in LinearClassifier")


def _logistic(theirs: Any) -> dict[str, Any]:
    _refuse(solver=(theirs.solver, ("lbfgs", *SAME_MINIMUM)), dual=(theirs.dual, (False,)))
    ratio = theirs.l1_ratio or 0.0
    if theirs.penalty != "deprecated":
        ratio = {"l1": 1.0, "elasticnet": ratio}.get(theirs.penalty, 0.0)
    names = ("C", "tol", "fit_intercept", "class_weight", "random_state", "max_iter", "verbose", "warm_start", "n_jobs")
    penalty = None if theirs.penalty is None else "elasticnet" if ratio else "l2"
    options = {name: getattr(theirs, name) for name in (*names, "solver")}
    return options | {"penalty": penalty, "l1_ratio": ratio if penalty == "elasticnet" else None}


def _svc(theirs: Any) -> dict[str, Any]:
    names = ("C", "tol", "fit_intercept", "class_weight", "random_state", "max_iter", "verbose", "penalty")
    return {"loss": "svm"} | {name: getattr(theirs, name) for name in names}


def _sgd(theirs: Any) -> dict[str, Any]:
    _refuse(loss=(theirs.loss, ("hinge", "log_loss")), penalty=(theirs.penalty, ("l2", None)))
    _refuse(learning_rate=(theirs.learning_rate, ("constant", "optimal", "invscaling", "adaptive")))
    names = ("fit_intercept", "class_weight", "random_state", "max_iter", "verbose", "warm_start", "shuffle", "penalty")
    names += ("early_stopping", "validation_fraction", "n_iter_no_change", "power_t", "n_jobs")
    rate = theirs.learning_rate if theirs.learning_rate in ("invscaling", "adaptive") else "constant"
    return {name: getattr(theirs, name) for name in names} | {
        "loss": "svm" if theirs.loss == "hinge" else "softmax",
        "l2": theirs.alpha / 2,
        "average": bool(theirs.average) and theirs.average,
        "solver": "sgd",
        "batch_size": 8,
        "momentum": 0.0,
        "learning_rate": rate,
        "learning_rate_init": theirs.eta0,
        "tol": 0.0 if theirs.tol is None else theirs.tol,
        "n_iter_no_change": np.inf if theirs.tol is None else theirs.n_iter_no_change,
    }


FILES = {
    "test_mlp": Borrowed(
        "neural_network/tests/test_mlp.py",
        neural_network,
        {"MLPClassifier": ours.MLPClassifier, "MLPRegressor": ours.MLPRegressor},
    ),
    "test_search": Borrowed(
        "model_selection/tests/test_search.py",
        model_selection,
        {
            "GridSearchCV": ours.VmapSearchCV,
            "RandomizedSearchCV": ours.VmapSearchCV.Randomized,
            "HalvingGridSearchCV": ours.VmapSearchCV.HalvingGrid,
        },
    ),
    "test_logistic": Borrowed(
        "linear_model/tests/test_logistic.py",
        linear_model,
        {"LogisticRegression": _with_their_parameters(linear_model.LogisticRegression, _logistic)},
    ),
    "test_svm": Borrowed("svm/tests/test_svm.py", svm, {"LinearSVC": _with_their_parameters(svm.LinearSVC, _svc)}),
    "test_sgd": Borrowed(
        "linear_model/tests/test_sgd.py",
        linear_model,
        {"SGDClassifier": _with_their_parameters(linear_model.SGDClassifier, _sgd)},
    ),
}


class _Recorder:
    """A pytest plugin: the outcome of each test, and whether a replaced class was fitted in it."""

    def __init__(self) -> None:
        self.fits = 0
        self.outcomes: dict[str, dict[str, Any]] = {}

    def counting(self, kind: Any) -> type:
        """The class, counting its fits."""
        recorder = self

        class Counted(kind):
            def fit(self, *args: Any, **kwargs: Any) -> Any:
                recorder.fits += 1
                return super().fit(*args, **kwargs)

            @available_if(lambda self: hasattr(super(Counted, self), "partial_fit"))
            def partial_fit(self, *args: Any, **kwargs: Any) -> Any:
                recorder.fits += 1
                return super().partial_fit(*args, **kwargs)

        Counted.__name__ = Counted.__qualname__ = kind.__name__
        globals()[kind.__name__] = Counted  # where pickle looks for it
        return Counted

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Iterator[None]:
        """Records what became of a test."""
        report = (yield).get_result()  # type: ignore[misc]
        if call.when == "call" or report.outcome != "passed":
            error = "" if call.excinfo is None else " ".join(call.excinfo.exconly().split())[:200]
            found = {"outcome": report.outcome, "fitted": self.fits > 0, "reason": error}
            self.outcomes.setdefault(item.nodeid.rpartition("::")[2], found)
        self.fits = 0 if call.when != "setup" else self.fits


def run(name: str) -> dict[str, dict[str, Any]]:
    """The outcomes of a borrowed file, by test; in a process of its own, since classes of scikit-learn are replaced."""
    borrowed, recorder = FILES[name], _Recorder()
    for of_theirs, kind in borrowed.replaced.items():
        setattr(borrowed.package, of_theirs, recorder.counting(kind))
    root = Path(sklearn.__file__).parent
    options = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={root}", "-W", "ignore", "--tb=no"]
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([str(root / borrowed.file), *options], plugins=[recorder])
    return recorder.outcomes
