"""Deep-learning fundamentals in JAX: pure functions, and training as one compiled program.

Rooms: `layers`, `losses`, `initializers`, `metrics`, `models` (pure functions on arrays and pytrees), `data` (datasets,
preprocessing, augmentation), `training` (update, run, fit), `plots` (figures). Import the room you need:

    from jaxnn import losses, models, training

Examples start from:
    >>> import jax, jax.numpy as jnp, numpy as np, optax
    >>> from pathlib import Path
    >>> from jaxnn import data, initializers, layers, losses, metrics, models, training
    >>> np.set_printoptions(precision=3, suppress=True)
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
