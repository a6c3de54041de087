"""Data sets as plain NumPy arrays: `load(name)` gives a training, a validation and a test split.

Examples start from:
    >>> from jaxnn.data import augment, load, preprocess, toy
"""

from jaxnn.data.datasets import load
from jaxnn.data.split import Dataset, Split

__all__ = ["Dataset", "Split", "load"]
