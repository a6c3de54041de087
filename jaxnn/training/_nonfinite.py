"""What happened when a loss or an update became NaN or infinite: the step, the layers' norms, the likely cause."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn.random import epoch_rows
from jaxnn.training._run import init_run, train_until
from jaxnn.training._step import make_train_step
from jaxnn.training._task import Data, Hparams, MakeTask, Run, State

GROWN = 100.0
"""So many times as large as at the start, parameters are said to have grown."""


class NonFiniteError(FloatingPointError):
    """A loss or an update became NaN or infinite.

    Attributes:
        run: the run so far, to the end of the epoch in which it happened.
        step: the first bad step, counted from 0 over the whole run.
        epoch: its epoch, counted from 0.
        state: the `State` that this step began with.
        norms: the L2 norm of each of its parameters by name, such as "0/w".
        cause: what most likely went wrong, and what to do.
    """

    def __init__(self, run: Run, step: int, epoch: int, state: State, norms: dict[str, float], cause: str) -> None:
        """Make the error; see the attributes."""
        told = ", ".join(f"{name} {norm:.3g}" for name, norm in norms.items())
        super().__init__(
            f"the objective or the update became non-finite at step {step} (epoch {epoch}); norms of the parameters "
            f"before that step: {told}; {cause}"
        )
        self.run, self.step, self.epoch = run, step, epoch
        self.state, self.norms, self.cause = state, norms, cause


def replay_to_bad_step(
    make_task: MakeTask, hparams: Hparams, key: Array, data: Data, before: Run, after: Run, batch_size: int
) -> NonFiniteError:
    """Go again from an earlier point of the run to the bad step, and look around there.

    Args:
        make_task, hparams, key, data, batch_size: as `run`.
        before: the run at a point at which all was finite.
        after: the run that went on from there and met a bad step.

    Returns:
        The error to raise.

    Example:
        >>> training.fit(task, {"rate": np.inf}, key, data, epochs=3, batch_size=10)  # its error is made by `replay_to_bad_step`
        Traceback (most recent call last):
            ...
        jaxnn.training._nonfinite.NonFiniteError: the objective or the update became non-finite at step 1 ...
    """
    step = int(after.bad_step)
    epoch = step // (data.inputs.shape[0] // batch_size)
    state, first = _approach(make_task, hparams, key, data, before, jnp.int32(epoch), after.bad_step, batch_size)
    finite = all(is_finite(leaf) for leaf in jax.tree.leaves((data.inputs, data.statistics)))
    return likely_cause(after, epoch, state, first.params, finite)


def likely_cause(after: Run, epoch: int, state: State, first_params: Any, finite: bool) -> NonFiniteError:
    """What most likely went wrong, from the state that the bad step began with.

    Args:
        after: the run that met the bad step.
        epoch: the epoch of that step.
        state: before that step.
        first_params: the parameters that the run began with.
        finite: whether the inputs and their statistics are.

    Returns:
        The error to raise.

    Example:
        >>> from jaxnn.training._nonfinite import likely_cause
        >>> run = training.init_run(task, h, key, data, 5, 10, None)
        >>> likely_cause(run._replace(bad_step=jnp.int32(3)), 0, run.state, run.state.params, False).cause
        'the inputs or their statistics hold NaN or infinite values: look for them in the data'
    """
    norms = _norms(state.params)
    grown = math.hypot(*norms.values()) / max(math.hypot(*_norms(first_params).values()), 1e-6)
    if not finite:
        cause = "the inputs or their statistics hold NaN or infinite values: look for them in the data"
    elif not grown <= GROWN:
        cause = (
            f"the parameters had grown {grown:.2g}-fold since the start: the learning rate is most likely too high for "
            f"this task; lower it, or standardize the inputs"
        )
    else:
        cause = (
            "the parameters were of ordinary size: most likely the loss, the penalty or the gradient itself is not "
            "finite for this batch (an overflow, log(0), 0/0), or the learning rate is too high; look at the loss "
            "there, or lower the learning rate"
        )
    return NonFiniteError(after, int(after.bad_step), epoch, state, norms, cause)


@functools.partial(jax.jit, static_argnames=("make_task", "batch_size"))
def _approach(
    make_task: MakeTask,
    hparams: Hparams,
    key: Array,
    data: Data,
    before: Run,
    epoch: Array,
    bad_step: Array,
    batch_size: int,
) -> tuple[State, State]:
    """The state that the bad step begins with, and the state that the run began with."""
    plain = data._replace(evaluate=None)
    of_splits = {f"{name}_{measure}" for name in data.evaluate or {} for measure in ("loss", "accuracy")}
    history = {name: values for name, values in before.history.items() if name not in of_splits}
    progress = before._replace(history=history, best=None)
    at_epoch = train_until(make_task, hparams, key, plain, progress, epoch, batch_size, None, None)
    update = make_train_step(make_task(hparams), data.statistics)
    n = data.inputs.shape[0]
    rows = epoch_rows(key, epoch, n, batch_size)

    def step(state: State) -> State:
        examples = (data.inputs, data.labels, data.weights)
        return update(state, jax.tree.map(lambda a: jnp.asarray(a)[rows[state.step % len(rows)]], examples))[0]

    state = jax.lax.while_loop(lambda state: state.step < bad_step, step, at_epoch.state)
    return state, init_run(make_task, hparams, key, plain, 1, batch_size, None).state


def _norms(params: Any) -> dict[str, float]:
    """In float64: what has grown beyond 1e19 has squares that float32 cannot hold."""
    places = jax.tree_util.tree_leaves_with_path(params)
    wide = {jax.tree_util.keystr(at, simple=True, separator="/"): np.asarray(p, np.float64) for at, p in places}
    return {name: float(np.linalg.norm(p.ravel())) for name, p in wide.items()}


def is_finite(values: Any) -> bool:
    """Whether all of some values are finite.

    Args:
        values: of any type.

    Returns:
        A bool.

    Example:
        >>> from jaxnn.training._nonfinite import is_finite
        >>> is_finite(jnp.array([1.0, jnp.inf])), is_finite(jnp.array([1, 2]))
        (False, True)
    """
    values = jnp.asarray(values)
    return not jnp.issubdtype(values.dtype, jnp.inexact) or bool(jnp.isfinite(values).all())
