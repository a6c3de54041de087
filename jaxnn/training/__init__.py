"""Training as pure functions: `update` is one step, `run` a whole training, `fit` the same in chunks of epochs."""

from jaxnn.training.order import permutation
from jaxnn.training.run import Best, Data, NonFiniteError, Run, Timing, fit, run
from jaxnn.training.update import Metrics, State, Task, compute_scores, init_state, make_update

__all__ = [
    "Best",
    "Data",
    "Metrics",
    "NonFiniteError",
    "Run",
    "State",
    "Task",
    "Timing",
    "compute_scores",
    "fit",
    "init_state",
    "make_update",
    "permutation",
    "run",
]
