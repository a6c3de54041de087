"""Checkpoints: a run on disk, written whole or not at all, every byte verified before it is used again.

Examples start from:
    >>> from jaxnn import checkpoint
    >>> from jaxnn.checkpoint import Checkpointer
    >>> from jaxnn.data import toy
    >>> data = training.Data(*map(jnp.asarray, toy.gauss(40)))
    >>> def task(h):
    ...     return training.Task(models.linear(2, 2), losses.softmax, optax.sgd(h["rate"]))
    >>> key, h = jax.random.key(0), {"rate": 0.5}
"""

from jaxnn._files import DamagedError
from jaxnn.checkpoint._checkpointer import Checkpointer
from jaxnn.checkpoint._store import Checkpoint, latest, list_checkpoints, load, restore, save

__all__ = ["Checkpointer", "latest", "load", "restore", "save"]
