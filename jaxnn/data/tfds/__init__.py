"""Image data sets of tensorflow-datasets: prepared, read and cached without TensorFlow."""

__all__ = []
