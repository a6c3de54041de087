"""The error for a loss or an update that became NaN or infinite: the step, the norms of the parameters, the cause."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn._random import epoch_rows
from jaxnn.training._run import train_until
from jaxnn.training._step import make_train_step
from jaxnn.training._task import Data, Hparams, Options, Run, State

GROWN = 100.0
"""Parameters this many times as large as at the start have grown too large."""


class NonFiniteError(FloatingPointError):
    """A loss or an update became NaN or infinite.

    Attributes:
        run: the run so far, to the end of the epoch in which it happened.
        step: the first bad step, counted from 0 over the whole run.
        epoch: its epoch, counted from 0.
        state: the `State` before this step.
        norms: the L2 norm of each of its parameters by name, such as "0/w".
        cause: the likely cause, and what to do.
    """

    def __init__(self, run: Run, step: int, epoch: int, state: State, norms: dict[str, float], cause: str) -> None:
        """Make the error; see the attributes."""
        listed = ", ".join(f"{name} {norm:.3g}" for name, norm in norms.items())
        super().__init__(
            f"the objective or the update became non-finite at step {step} (epoch {epoch}); norms of the parameters "
            f"before that step: {listed}; {cause}"
        )
        self.run, self.step, self.epoch = run, step, epoch
        self.state, self.norms, self.cause = state, norms, cause


def diagnose(run: Run, steps: int, state: State, first_params: Any, checked: Any) -> NonFiniteError:
    """The error to raise, from the state before the bad step, the first parameters, and the arrays of the data."""
    norms, epoch = _norms(state.params), int(run.bad_step) // steps
    grown = math.hypot(*norms.values()) / max(math.hypot(*_norms(first_params).values()), 1e-6)
    if not all(_is_finite(leaf) for leaf in jax.tree.leaves(checked)):
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
    return NonFiniteError(run, int(run.bad_step), epoch, state, norms, cause)


def replay(options: Options, hparams: Hparams, key: Array, data: Data, before: Run, bad_step: Array) -> State:
    """The state before the bad step, trained again from an earlier run."""
    plain = data._replace(evaluate=None)
    of_splits = {f"{name}_{metric}" for name in data.evaluate or {} for metric in ("loss", "accuracy")}
    history = {name: values for name, values in before.history.items() if name not in of_splits}
    run, options = before._replace(history=history, best=None), options._replace(select=None, patience=None)
    n, batch_size = data.labels.shape[0], options.batch_size
    epoch = bad_step // (n // batch_size)
    state = train_until(options, hparams, key, plain, run, epoch).state
    update = make_train_step(options.make_task(hparams), data.statistics)
    rows = epoch_rows(key, epoch, n, batch_size)

    def step(state: State) -> State:
        examples = (data.inputs, data.labels, data.weights)
        return update(state, jax.tree.map(lambda a: jnp.asarray(a)[rows[state.step % len(rows)]], examples))[0]

    return jax.lax.while_loop(lambda state: state.step < bad_step, step, state)


def _norms(params: Any) -> dict[str, float]:
    """In float64: what has grown beyond 1e19 has squares that float32 cannot hold."""
    places = jax.tree_util.tree_leaves_with_path(params)
    wide = {jax.tree_util.keystr(at, simple=True, separator="/"): np.asarray(p, np.float64) for at, p in places}
    return {name: float(np.linalg.norm(p.ravel())) for name, p in wide.items()}


def _is_finite(values: Any) -> bool:
    values = jnp.asarray(values)
    return not jnp.issubdtype(values.dtype, jnp.inexact) or bool(jnp.isfinite(values).all())
