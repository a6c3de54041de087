"""The parameters of all estimators, and their checks."""

from __future__ import annotations

import dataclasses
import numbers
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, is_classifier

from jaxnn import losses
from jaxnn.interop.sklearn._program import ACTIVATIONS, SCHEDULES, SOLVERS


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class Parameters(BaseEstimator):
    """The parameters that all estimators have."""

    loss: Any
    l2: float | None = None
    solver: Literal["lbfgs", "adam", "sgd"] = "adam"
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

    @property
    def _parameters(self) -> dict[str, Any]:
        """The parameters, with a default for each that this estimator lacks."""
        absent = {"hidden_layer_sizes": (), "activation": "relu", "dropout": 0.0, "alpha": 0.0, "C": None}
        absent |= {"fit_intercept": True, "class_weight": None}
        return absent | self.get_params(deep=False)

    def _epochs(self) -> int:
        return 200 if self.max_iter is None else self.max_iter

    def _check(self) -> None:
        """Checks the parameters."""
        p = self._parameters
        of_kind = tuple(losses.LOSSES) if is_classifier(self) else ("squared_error", "poisson")
        choices = {"loss": of_kind, "solver": SOLVERS, "activation": tuple(ACTIVATIONS), "learning_rate": SCHEDULES}
        for name, allowed in choices.items():
            if p[name] not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {p[name]!r}")
        below = {"dropout": 1.0, "validation_fraction": 1.0, "beta_1": 1.0, "beta_2": 1.0}
        for name in ("learning_rate_init", "power_t", "momentum", "epsilon", "tol", "alpha", "l2", "C", *below):
            value, most = p[name], below.get(name, np.inf)
            if value is None and name in ("l2", "C"):
                continue
            if not isinstance(value, numbers.Real) or isinstance(value, bool):
                raise TypeError(f"{name} must be a number, got {value!r}")
            if not 0.0 <= float(value) < most:
                raise ValueError(f"{name} must be at least 0 and below {most}, got {value}")
        if p["C"] == 0:
            raise ValueError("C must be above 0, got 0")
        if self.solver == "lbfgs" and p["dropout"]:
            raise ValueError(
                f"dropout={p['dropout']} needs solver='adam' or 'sgd': lbfgs needs an objective without chance"
            )
        counts = {"max_iter": self._epochs(), "max_fun": self.max_fun, "n_iter_no_change": self.n_iter_no_change}
        if self.batch_size != "auto":
            counts["batch_size"] = self.batch_size
        for name, value in counts.items():
            if name == "n_iter_no_change" and value == np.inf:
                continue
            if not isinstance(value, numbers.Integral) or isinstance(value, bool):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
