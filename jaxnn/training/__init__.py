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
from jaxnn.training._evaluate import Evaluation, evaluate
from jaxnn.training._fit import OnChunk, Timing, fit, per_epoch
from jaxnn.training._nonfinite import NonFiniteError
from jaxnn.training._run import init_run, run, train_until
from jaxnn.training._step import eval_params, init_state, make_train_step, predict_scores, step_keys
from jaxnn.training._stream import Stream, fit_stream, start_stream, steps_into_epoch
from jaxnn.training._sweep import Chunk, choose_chunk, run_grid, sweep
from jaxnn.training._task import Best, Data, Metrics, Run, State, StepKeys, Task

__all__ = [
    "Best",
    "Chunk",
    "Data",
    "Evaluation",
    "Metrics",
    "NonFiniteError",
    "OnChunk",
    "Run",
    "State",
    "StepKeys",
    "Stream",
    "Task",
    "Timing",
    "choose_chunk",
    "eval_params",
    "evaluate",
    "fit",
    "fit_stream",
    "init_run",
    "init_state",
    "make_train_step",
    "per_epoch",
    "permutation",
    "predict_scores",
    "run",
    "run_grid",
    "start_stream",
    "step_keys",
    "steps_into_epoch",
    "sweep",
    "train_until",
]
