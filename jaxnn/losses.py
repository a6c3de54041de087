"""Losses per example, and penalties on the weights: pure functions, never reduced over the batch."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

__all__ = ["l1", "l2", "softmax", "svm"]


def svm(scores: Array, labels: Array, *, margin: float = 1.0) -> Array:
    """The multiclass SVM (hinge) loss, summed over the wrong classes.

    Formula: `L = sum over j != y of max(0, s_j - s_y + margin)`.

    It is zero if the right score exceeds every other one by the margin; with equal scores it is `(C - 1) * margin`.
    `optax.losses.multiclass_hinge_loss` counts only the worst of the wrong classes (Crammer & Singer).

    Args:
        scores: f32[..., C], any leading axes.
        labels: int[...], the right class of each example, in [0, C).
        margin: how much higher the right score must be.

    Returns:
        f32[...], one loss per example.

    Raises:
        TypeError: `scores` is not floating point or `labels` is not integer.
        ValueError: the shapes do not fit, or a label is out of range (checked only outside `jit`).

    Source: Weston & Watkins 1999, "Support vector machines for multi-class pattern recognition"; CS231n.

    Example:
        >>> scores = jnp.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
        >>> print(losses.svm(scores, jnp.array([0, 1, 2])))
        [ 2.9  0.  12.9]
        >>> print(losses.svm(jnp.zeros(10), 3))  # nothing learned: C - 1
        9.0
    """
    scores, right = _checked("svm", scores, labels)
    correct = jnp.where(right, scores, 0).sum(-1, keepdims=True)
    margins = jax.nn.relu(scores - jnp.broadcast_to(correct, scores.shape) + margin)  # gradient 0 at exactly 0
    return jnp.where(right, 0, margins).sum(-1)


def softmax(scores: Array, labels: Array, *, smoothing: float = 0.0) -> Array:
    """Softmax cross-entropy: minus the log of the probability that the scores assign to the right class.

    Formula: `L = -log(exp(s_y) / sum_j exp(s_j)) = logsumexp(s) - s_y`, computed in the second form: exact at scores of
    1e4 and beyond. A wrong class may have the score -inf (probability zero). With equal scores it is `log C`.
    With smoothing e the target is `1 - e` on the right class plus `e / C` on every class.

    Args:
        scores: f32[..., C], any leading axes.
        labels: int[...], the right class of each example, in [0, C).
        smoothing: label smoothing e in [0, 1).

    Returns:
        f32[...], one loss per example, in nats.

    Raises:
        TypeError: `scores` is not floating point or `labels` is not integer.
        ValueError: the shapes do not fit, `smoothing` is outside [0, 1), or a label is out of range (checked only
            outside `jit`).

    Source: Bishop 2006, section 4.3.4; smoothing: Szegedy et al. 2016, "Rethinking the inception architecture".

    Example:
        >>> print(f"{losses.softmax(jnp.array([3.2, 5.1, -1.7]), 0):.3f}")
        2.040
        >>> print(f"{losses.softmax(jnp.zeros(10), 3):.3f}")  # nothing learned: log C
        2.303
    """
    if not isinstance(smoothing, Tracer) and not 0.0 <= smoothing < 1.0:
        raise ValueError(f"softmax: smoothing must be in [0, 1), got {smoothing}")
    scores, right = _checked("softmax", scores, labels)
    # The largest score is subtracted first: logsumexp(s) - s_y of scores near 1e4 would round away the small loss.
    highest = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
    scores = scores - jnp.broadcast_to(highest, scores.shape)
    target = jnp.where(right, scores, 0).sum(-1)
    if isinstance(smoothing, Tracer) or smoothing > 0.0:
        target = (1.0 - smoothing) * target + smoothing * scores.mean(-1)
    return jnp.log(jnp.exp(scores).sum(-1)) - target


def l2(params: object) -> Array:
    """The L2 penalty without its factor: the sum of the squared weights.

    Formula: `R(W) = sum of W**2`. The objective is `mean data loss + l2 * R(W)`.

    Biases (leaves named "b" or "bias") do not count, and neither do the scales and offsets of normalization layers
    (leaves named "scale" or "offset", as in Flax and Haiku): they set the units of a layer's outputs and do not add to
    what it can express.

    Args:
        params: a pytree of floating-point arrays, such as the params of a model, or one array.

    Returns:
        f32[], zero for a tree without weights.

    Raises:
        TypeError: a leaf is not floating point.

    Source: CS231n, "Regularization"; Tikhonov 1943.

    Example:
        >>> print(losses.l2({"w": jnp.array([1.0, 0.0, 0.0, 0.0]), "b": jnp.array([5.0])}))
        1.0
        >>> print(losses.l2({"w": jnp.full(4, 0.25), "b": jnp.array([5.0])}))
        0.25
    """
    return jnp.asarray(sum((jnp.sum(jnp.square(w)) for w in _weights(params)), start=0.0))


def l1(params: object) -> Array:
    """The L1 penalty without its factor: the sum of the absolute weights; of the same leaves as `l2`.

    Formula: `R(W) = sum of |W|`; its gradient at a weight of exactly 0 is 0.

    Args, Raises: as `l2`.

    Returns:
        f32[], zero for a tree without weights.

    Source: Tibshirani 1996, "Regression shrinkage and selection via the lasso".

    Example:
        >>> print(losses.l1({"w": jnp.array([1.0, -2.0, 0.0]), "b": jnp.array([5.0])}))
        3.0
    """
    signs = [(w, jax.lax.stop_gradient(jnp.sign(w))) for w in _weights(params)]  # the gradient of jnp.abs at 0 is 1
    return jnp.asarray(sum((jnp.sum(w * sign) for w, sign in signs), start=0.0))


_NOT_COUNTED = frozenset({"b", "bias", "scale", "offset"})
"""Names of biases, and of the scales and offsets of normalization layers."""


def _weights(params: object) -> list[Array]:
    """The leaves that penalties count: all but those named in `_NOT_COUNTED`."""
    found = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        kind = leaf.dtype if isinstance(leaf, jax.Array) else np.asarray(leaf).dtype
        if not jnp.issubdtype(kind, jnp.floating):
            raise TypeError(f"penalty: params{jax.tree_util.keystr(path)} must be floating point, got {kind}")
        name = getattr(path[-1], "key", getattr(path[-1], "name", None)) if path else None
        if name not in _NOT_COUNTED:
            found.append(jnp.asarray(leaf))
    return found


def _checked(loss: str, scores: Array, labels: Array) -> tuple[Array, Array]:
    """The scores, and a mask of the right class: bool[..., C]."""
    scores, labels = jnp.asarray(scores), jnp.asarray(labels)
    if not jnp.issubdtype(scores.dtype, jnp.floating):
        raise TypeError(f"{loss}: scores must be floating point, got {scores.dtype}")
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{loss}: labels must be integer class numbers, got {labels.dtype}")
    if scores.ndim == 0 or scores.shape[-1] == 0 or scores.shape[:-1] != labels.shape:
        raise ValueError(
            f"{loss}: expected scores[..., C] and labels[...] with the same leading axes, "
            f"got scores{list(scores.shape)} and labels{list(labels.shape)}"
        )
    classes = scores.shape[-1]
    if not isinstance(labels, Tracer) and labels.size:
        values = np.asarray(labels)  # NumPy: inside `jit`, JAX would trace even the minimum of a constant
        if not 0 <= values.min() <= values.max() < classes:
            raise ValueError(
                f"{loss}: labels must be in [0, {classes}) for scores{list(scores.shape)}, "
                f"got values from {values.min()} to {values.max()}"
            )
    numbers = jax.lax.broadcasted_iota(jnp.int32, scores.shape, scores.ndim - 1)  # uint8 would wrap at 256 classes
    return scores, numbers == jnp.broadcast_to(labels.astype(jnp.int32)[..., None], scores.shape)


LOSSES = {"softmax": softmax, "svm": svm}
"""By name, for settings."""
