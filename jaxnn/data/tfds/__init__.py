"""Image data sets of TensorFlow Datasets (TFDS): prepared, read and cached without TensorFlow.

`jaxnn.data.load` does all of this by name. The names here are for looking before loading: is a set prepared, or cached?

The folder `prepared` of the examples holds a small set, called "tiny".

Examples start from:
    >>> from jaxnn.data import tfds
"""

from jaxnn.data.tfds._cache import cache_dir, cache_entries
from jaxnn.data.tfds._lazy import DiskImages
from jaxnn.data.tfds._source import Source, data_dir, find, names, prepare

__all__ = ["DiskImages", "Source", "cache_dir", "cache_entries", "data_dir", "find", "names", "prepare"]
