"""The parameters of all estimators, and their checks."""

from __future__ import annotations

import dataclasses
import numbers
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, is_classifier

from jaxnn import losses
from jaxnn.interop.sklearn._program import ACTIVATIONS, SCHEDULES, SOLVERS

SAME_MINIMUM = ("newton-cg", "newton-cholesky", "sag", "saga")
"""scikit-learn's other solvers of the objective of a linear classifier, for which lbfgs is taken."""
PENALTIES = ("l2", "l1", "elasticnet", None)
REFUSED = {
    "alpha": "SGDClassifier's alpha is 2 * l2 here",
    "class_weight": "give fit a sample_weight",
    "dual": "the primal problem is solved, which has the same minimum",
    "eta0": "its name is learning_rate_init here",
    "intercept_scaling": "the bias has no penalty here, whatever its scale",
    "multi_class": "all classes are trained together here, in one objective",
}
"""Parameters of scikit-learn's estimators that ours lack, and what to do."""


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class Parameters(BaseEstimator):
    """The parameters that all estimators have."""

    loss: Any
    l2: float | None = None
    solver: Any = "adam"
    learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    batch_size: int | Literal["auto"] = "auto"
    max_iter: int | None = 200
    max_fun: int = 15_000
    shuffle: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: float = 10
    tol: float = 1e-4
    warm_start: bool = False
    random_state: Any = None
    verbose: Any = False

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Names what to do about a parameter that scikit-learn has and this estimator has not."""
        for name in options.keys() & REFUSED.keys() - set(cls._get_param_names()):
            raise TypeError(f"{cls.__name__} has no parameter {name}: {REFUSED[name]}")
        return super().__new__(cls)

    @property
    def _method(self) -> str:
        """The solver that is run."""
        return "lbfgs" if self.solver in SAME_MINIMUM else self.solver

    @property
    def _parameters(self) -> dict[str, Any]:
        """The parameters, with a default for each that this estimator lacks."""
        absent = {"hidden_layer_sizes": (), "activation": "relu", "dropout": 0.0, "alpha": 0.0, "C": None}
        absent |= {"fit_intercept": True, "class_weight": None, "penalty": "l2", "l1_ratio": None, "average": False}
        absent |= {"n_jobs": None}
        return absent | self.get_params(deep=False)

    def _epochs(self) -> int:
        return 200 if self.max_iter is None else self.max_iter

    def _check(self) -> None:
        """Checks the parameters."""
        p = self._parameters
        of_kind = tuple(losses.LOSSES) if is_classifier(self) else ("squared_error", "poisson")
        choices = {"loss": of_kind, "activation": tuple(ACTIVATIONS), "learning_rate": SCHEDULES, "penalty": PENALTIES}
        choices["solver"] = SOLVERS + SAME_MINIMUM * ("penalty" in self.get_params(deep=False))
        for name, allowed in choices.items():
            if p[name] not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {p[name]!r}")
        below = {"dropout": 1.0, "validation_fraction": 1.0, "beta_1": 1.0, "beta_2": 1.0}
        for name in ("learning_rate_init", "power_t", "momentum", "epsilon", "tol", "alpha", "l2", "C", *below):
            value, most = p[name], below.get(name, np.inf)
            if (value is None and name in ("l2", "C")) or (value == np.inf and name == "C"):
                continue
            if not isinstance(value, numbers.Real) or isinstance(value, bool):
                raise TypeError(f"{name} must be a number, got {value!r}")
            if not 0.0 <= float(value) < most:
                raise ValueError(f"{name} must be at least 0 and below {most}, got {value}")
        if p["C"] == 0:
            raise ValueError("C must be above 0, got 0")
        if self._method == "lbfgs" and p["dropout"]:
            raise ValueError(
                f"dropout={p['dropout']} needs solver='adam' or 'sgd': lbfgs needs an objective without chance"
            )
        if self._method == "lbfgs" and p["average"]:
            raise ValueError(f"average={p['average']} needs solver='adam' or 'sgd': lbfgs ends at the minimum itself")
        if self._method != "lbfgs" and p["penalty"] in ("l1", "elasticnet"):
            raise ValueError(f"penalty={p['penalty']!r} needs solver='lbfgs': {self.solver} does not find exact zeros")
        if p["penalty"] == "elasticnet" and p["l1_ratio"] is None:
            raise ValueError("penalty='elasticnet' needs l1_ratio, the fraction of l1 in the penalty, from 0 to 1")
        if p["penalty"] != "elasticnet" and p["l1_ratio"] not in (None, float(p["penalty"] == "l1")):
            raise ValueError(f"l1_ratio={p['l1_ratio']} needs penalty='elasticnet', got penalty={p['penalty']!r}")
        if p["l1_ratio"] is not None and not 0.0 <= p["l1_ratio"] <= 1.0:
            raise ValueError(f"l1_ratio must be from 0 to 1, got {p['l1_ratio']}")
        counts = {"max_iter": self._epochs(), "max_fun": self.max_fun, "n_iter_no_change": self.n_iter_no_change}
        if self.batch_size != "auto":
            counts["batch_size"] = self.batch_size
        if p["average"] is not False:
            counts["average"] = int(p["average"]) if p["average"] is True else p["average"]
        if not isinstance(p["n_jobs"], numbers.Integral | None):
            raise TypeError(f"n_jobs must be a whole number or None, got {p['n_jobs']!r}")
        for name, value in counts.items():
            if name == "n_iter_no_change" and value == np.inf:
                continue
            if not isinstance(value, numbers.Integral) or isinstance(value, bool):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
