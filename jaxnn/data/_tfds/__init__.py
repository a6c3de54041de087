"""Image data sets of TensorFlow Datasets (TFDS): prepared, read and cached without TensorFlow.

`jaxnn.data.load` does all of this by name. The names here are for looking before loading: is a set prepared, or cached?
"""

from jaxnn._files import cache_dir
from jaxnn.data._tfds._cache import cache_entries
from jaxnn.data._tfds._lazy import DiskImages
from jaxnn.data._tfds._source import Source, data_dir, find, names, prepare
