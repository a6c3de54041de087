"""Training as pure functions: `update` is one step, `run` a whole training, `fit` the same in chunks of epochs, and
`fit_stream` the same of examples that need not fit in memory.

Examples start from:
    >>> from jaxnn.data import toy
    >>> from jaxnn import sharding
    >>> data = training.Data(*map(jnp.asarray, toy.gauss(40)))
    >>> def task(h):
    ...     return training.Task(models.linear(2, 2), losses.softmax, optax.sgd(h["rate"]))
    >>> key, h = jax.random.key(0), {"rate": 0.5}
"""

from jaxnn.random import permutation
from jaxnn.training._evaluate import Examined, examine
from jaxnn.training._fit import OnChunk, Timing, fit, per_epoch
from jaxnn.training._nonfinite import NonFiniteError
from jaxnn.training._run import advance, run, start
from jaxnn.training._step import compute_scores, evaluated_params, init_state, make_update, step_keys
from jaxnn.training._stream import Stream, fit_stream, start_stream, steps_under_way
from jaxnn.training._sweep import Group, choose_group, run_many, sweep
from jaxnn.training._task import Best, Data, Metrics, Run, State, StepKeys, Task

__all__ = [
    "Best",
    "Data",
    "Examined",
    "Group",
    "Metrics",
    "NonFiniteError",
    "OnChunk",
    "Run",
    "State",
    "StepKeys",
    "Stream",
    "Task",
    "Timing",
    "advance",
    "choose_group",
    "compute_scores",
    "evaluated_params",
    "examine",
    "fit",
    "fit_stream",
    "init_state",
    "make_update",
    "per_epoch",
    "permutation",
    "run",
    "run_many",
    "start",
    "start_stream",
    "step_keys",
    "steps_under_way",
    "sweep",
]
