"""L-BFGS on all examples at once, in coordinates in which a linear classifier is easy to fit, until it converges."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn import training

ROTATED = 1024
"""Up to this many inputs, the coordinates are rotated to the principal axes, which takes an eigendecomposition."""
NARROWER = 0.1
"""The factor from one width of the rounded hinge to the next; the first is 1, the margin."""
WIDTH, OF_OBJECTIVE = 1e-4, 0.01
"""The last width is at most the first, which float32 still resolves, or at most the second times the objective."""
ROUGH = 1e-3
"""The tolerance for all widths but the last."""
REMAINING = 0.1
"""A linear classifier has not converged where gradient times parameters exceed this fraction of the objective."""


class Coordinates(NamedTuple):
    """Coordinates in which a linear classifier is fitted: centred, rotated, and scaled.

    The objective stays the same function of the classifier: the penalty does not count the bias, which takes up the
    centre, and does not change under a rotation; the scales are put into it as factors. In the principal axes the
    curvature of the loss along axis i is of the size of `deviation[i]**2`, that of the penalty is `2 * l2`: with both
    in the scale, all directions have a similar curvature.
    """

    center: np.ndarray
    """f64[D], the weighted mean."""
    axes: np.ndarray | None
    """f64[D, D], orthogonal, one axis per column; None means no rotation."""
    deviation: np.ndarray
    """f64[D], the standard deviation along each axis."""

    @classmethod
    def fitted(cls, x: np.ndarray, weights: np.ndarray) -> Coordinates:
        """The coordinates for examples x[N, D] with these weights [N], in float64."""
        share = weights / weights.sum()
        center = share @ x.astype(np.float64)
        centred = x - center
        axes = np.linalg.eigh((centred.T * share) @ centred)[1] if 1 < x.shape[1] <= ROTATED else None
        turned = centred if axes is None else centred @ axes
        deviation = np.sqrt(share @ turned**2)
        rounding = 1e-12 * np.sqrt(share @ x.astype(np.float64) ** 2).max()
        most = 1e15  # a direction in which there is nothing but rounding is left out: all but 0
        return cls(center, axes, np.where(deviation > rounding, deviation.clip(1e-15, most), most))

    def standardized(self, x: np.ndarray) -> np.ndarray:
        """The examples with a standard deviation of 1 along each axis, f32[N, D]."""
        centred = x - self.center
        return ((centred if self.axes is None else centred @ self.axes) / self.deviation).astype(np.float32)

    def outer(self, params: Any, l2: Any) -> list[dict[str, np.ndarray]]:
        """The parameters for the examples as given, from those for these coordinates."""
        [layer] = params
        w = layer["w"] * scale(self.deviation, np.float64(l2))
        w = w if self.axes is None else w @ self.axes.T
        return [{"w": w.astype(np.float32), "b": (layer["b"] - w @ self.center).astype(np.float32)}]

    def inner(self, params: Any, l2: Any) -> list[dict[str, np.ndarray]]:
        """The parameters for these coordinates, from those for the examples as given."""
        [layer] = params
        w = np.asarray(layer["w"], np.float64)
        b = (layer["b"] + w @ self.center).astype(np.float32)
        w = w if self.axes is None else w @ self.axes
        return [{"w": (w / scale(self.deviation, np.float64(l2))).astype(np.float32), "b": b}]


def scale(deviation: Any, l2: Any) -> Any:
    """The factor of each axis: one over the square root of its curvature."""
    return (deviation**2 + 2.0 * l2) ** -0.5


def rounded_hinge(scores: Array, labels: Array, width: Any) -> Array:
    """`losses.svm` with the corner of each hinge replaced by a parabola of this width, so that it has a gradient."""
    right = jax.nn.one_hot(labels, scores.shape[-1], dtype=bool)
    margins = scores - jnp.where(right, scores, 0.0).sum(-1, keepdims=True) + 1.0
    inside = margins.clip(0.0, width)
    return jnp.where(right, 0.0, inside**2 / (2.0 * width) + jax.nn.relu(margins - width)).sum(-1)


class _Progress(NamedTuple):
    run: training.Run
    width: Array
    since: Array
    """The epoch in which this width began."""
    converged: Array
    on: Array


def minimize(
    options: training.Options,
    hparams: dict[str, Any],
    key: Array,
    data: training.Data,
    run: training.Run,
    *,
    epochs: int,
    wait: int,
) -> training.Run:
    """The run trained until it has converged, `select` no longer gets better, or all epochs are done.

    It has converged when the gradient is at most `tol`, or when `wait` steps together lower the objective by at most
    `tol` times the objective and, of a linear classifier, the gradient does not promise more. The hinge is rounded,
    less and less: each width starts from the parameters of the last. The history gets `converged`, 1 or 0.
    """
    steps = jnp.arange(epochs)
    spec: Any = options.make_task

    def step(progress: _Progress) -> _Progress:
        settings = {**hparams, "width": progress.width}
        run = training.train_until(options, settings, key, data, progress.run, progress.run.epoch + 1)
        objective = run.history["loss"] + run.history["penalty"]
        before = jnp.where((steps >= progress.since) & (steps < run.epoch - wait), objective, jnp.inf).min()
        now = jnp.where((steps >= progress.since) & (steps < run.epoch), objective, jnp.inf).min()
        last = jnp.bool_(spec.loss != "svm") | (progress.width < 1.1 * WIDTH) | (progress.width <= OF_OBJECTIVE * now)
        tol = jnp.where(last, hparams["tol"], jnp.maximum(hparams["tol"], ROUGH))
        gradient, size = (run.history[name][run.epoch - 1] for name in ("gradient_norm", "parameter_norm"))
        level = jnp.isfinite(before) & (before - now <= tol * now)
        if not spec.hidden:
            level &= ~last | (gradient * jnp.maximum(size, 1.0) <= REMAINING * now)
        level |= gradient <= hparams["tol"]
        converged, narrower = level & last, level & ~last
        on = ~converged & (run.bad_step < 0) & (run.epoch < epochs)
        if options.patience is not None and run.best is not None:
            on &= run.epoch - 1 - run.best.epoch < options.patience
        if spec.loss == "svm":  # the curvature is another one
            new = spec(settings).optimizer.init(run.state.params)
            opt_state = jax.tree.map(lambda a, b: jnp.where(narrower, a, b), new, run.state.opt_state)
            run = run._replace(state=run.state._replace(opt_state=opt_state))
        width = jnp.where(narrower, progress.width * NARROWER, progress.width)
        return _Progress(run, width, jnp.where(narrower, run.epoch, progress.since), converged, on)

    progress = _Progress(run, jnp.float32(1.0), run.epoch, jnp.bool_(False), jnp.bool_(True))
    progress = jax.lax.while_loop(lambda progress: progress.on, step, progress)
    run = progress.run
    return run._replace(history={**run.history, "converged": progress.converged.astype(jnp.float32)})
