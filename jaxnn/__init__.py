"""Deep-learning fundamentals in JAX: pure functions, and training as one compiled program.

Rooms: `layers`, `losses`, `initializers`, `metrics`, `models` (pure functions on arrays and pytrees), `data` (datasets,
preprocessing, augmentation), `training` (update, run, fit), `plots` (figures). Import the room you need:

    from jaxnn import losses, models, training
"""

__version__ = "0.1.0"
