"""Training as pure functions: `make_train_step` makes one step, `run` a whole training, `fit` the same in chunks, of
examples in memory or from a stream, and `sweep` many trainings at once.

Examples start from:
    >>> from jaxnn.data import toy
    >>> from jaxnn._random import epoch_rows
    >>> data = training.Data(*map(jnp.asarray, toy.gauss(40)))
    >>> def task(h):
    ...     return training.Task(models.linear(2, 2), losses.softmax, optax.sgd(h["rate"]))
    >>> key, h = jax.random.key(0), {"rate": 0.5}
"""

from jaxnn.training._compile import enable_compilation_cache
from jaxnn.training._evaluate import evaluate
from jaxnn.training._fit import fit
from jaxnn.training._history import per_epoch
from jaxnn.training._nonfinite import NonFiniteError
from jaxnn.training._program import program
from jaxnn.training._run import init_run, run, train_until
from jaxnn.training._step import eval_params, init_state, make_train_step, predict_scores, step_keys
from jaxnn.training._sweep import Chunk, choose_chunk, run_grid, sweep
from jaxnn.training._task import (
    Data,
    Evaluation,
    MakeTask,
    Metrics,
    Options,
    Run,
    State,
    StepKeys,
    Stream,
    Task,
    Timing,
)

__all__ = [
    "Data",
    "NonFiniteError",
    "Run",
    "Stream",
    "Task",
    "enable_compilation_cache",
    "evaluate",
    "fit",
    "init_state",
    "make_train_step",
    "per_epoch",
    "predict_scores",
    "run",
    "sweep",
]
