"""What is told of an epoch, from what is known of its steps."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from jaxnn.training._task import Metrics


def step_metrics(metrics: Metrics) -> Array:
    """What every step of an epoch has to tell; the norms, which cost a pass over all parameters, are not in it.

    Args:
        metrics: of a step.

    Returns:
        f32[3]: loss, penalty, accuracy; f32[4] with `skipped` where the optimizer may skip steps.

    Example:
        >>> from jaxnn.training._history import step_metrics
        >>> update = training.make_train_step(task(h))
        >>> _, metrics = update(training.init_state(task(h), key), (data.inputs, data.labels))
        >>> step_metrics(metrics).shape
        (3,)
    """
    values = [metrics.loss, metrics.penalty, metrics.accuracy]
    return jnp.stack(values if metrics.skipped is None else [*values, metrics.skipped.astype(jnp.float32)])


def epoch_metrics(per_step: Array, last: Metrics) -> tuple[dict[str, Array], Array]:
    """The measures of an epoch.

    Args:
        per_step: f32[steps, 3 or 4], of each step what `step_metrics` makes of it.
        last: all that is known of the last step.

    Returns:
        The measures f32[] by name, as `Run.history` has them, and the first bad step of the epoch, i32[], counted from
        0; -1 where there is none.

    Example:
        >>> from jaxnn.training._history import epoch_metrics, step_metrics
        >>> update = training.make_train_step(task(h))
        >>> _, metrics = update(training.init_state(task(h), key), (data.inputs, data.labels))
        >>> measures, bad = epoch_metrics(jnp.stack([step_metrics(metrics), step_metrics(metrics)]), metrics)
        >>> bool(measures["loss"] == metrics.loss), int(bad)
        (True, -1)
    """
    finite = jnp.isfinite(per_step[:, 0] + per_step[:, 1])
    taken = None
    if last.skipped is not None:
        taken = per_step[:, 3:] == 0
        finite |= ~taken[:, 0]
    finite = finite.at[-1].set(finite[-1] & jnp.isfinite(last.update_norm))
    loss, penalty, share_right = per_step[:, :3].mean(0, where=taken)
    measures = last._replace(loss=loss, penalty=penalty, accuracy=share_right)._asdict()
    if last.learning_rate is None:
        del measures["learning_rate"]
    if taken is None:
        del measures["skipped"]
    else:
        measures["skipped"] = per_step[:, 3].sum()
    return measures, jnp.where(finite.all(), -1, jnp.argmin(finite).astype(jnp.int32))


def lower_is_better(measure: str) -> bool:
    """Whether a measure of the history is better when it is lower; else it is better when it is higher.

    Args:
        measure: its name.

    Returns:
        A Python bool.

    Example:
        >>> from jaxnn.training._history import lower_is_better
        >>> lower_is_better("validation_loss"), lower_is_better("validation_accuracy")
        (True, False)
    """
    return measure.endswith(("loss", "norm", "penalty"))
