"""Deep-learning fundamentals in JAX: pure functions, and training as one compiled program.

Modules: `layers`, `losses`, `initializers`, `metrics`, `models`, `optimizers` (pure functions on arrays and pytrees),
`data` (datasets, preprocessing, augmentation), `training` (step, run, fit), `checkpoint`, `sharding` and `distributed`
(devices and processes), `inspect` and `plots` (numbers and figures), `interop` (Flax, scikit-learn, export):

    from jaxnn import losses, models, training

Examples start from:
    >>> import jax, jax.numpy as jnp, numpy as np, optax
    >>> from pathlib import Path
    >>> from jaxnn import data, initializers, layers, losses, metrics, models, training
    >>> np.set_printoptions(precision=3, suppress=True)
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
