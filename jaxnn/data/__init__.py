"""Data sets as plain NumPy arrays: `load(name)` gives a training, a validation and a test split.

Examples start from:
    >>> from jaxnn.data import augment, load, preprocess, toy
"""

from jaxnn.data._load import load
from jaxnn.data._split import Dataset, Split
from jaxnn.data._tfds import DiskImages

__all__ = ["Dataset", "Split", "load"]
