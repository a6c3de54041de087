"""The records of a prepared data set: decoded all at once, or when they are asked for; without TensorFlow.

The folder `prepared` of the examples holds a small set, called "tiny".
"""

import io
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxnn.data._memory import memory
from jaxnn.data._split import Dataset, Split, take
from jaxnn.data.tfds.source import INFO, Source, how_to_repair

__all__ = ["Records", "check_labelled", "decode", "decoded_bytes", "test_split"]

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name


def decode(source: Source) -> Dataset:
    """Reads all records of a prepared image-classification set into memory.

    One thread does it: decoding images as small as 32 x 32 in two threads takes twice as long, since Pillow gives the
    interpreter lock away and back for every one of them.

    Args:
        source: The prepared set.

    Returns:
        The data set with `train` as prepared, an empty `validation`, and as `test` the test split, or where there is
        none the validation split.

    Raises:
        ValueError: It is not a set of labelled uint8 images of one size, lacks a split, or has another file format.
        OSError: A file is missing or damaged; the message names it.

    Example:
        >>> from jaxnn.data.tfds import records, source
        >>> dataset = records.decode(source.find("tiny", Path("prepared")))
        >>> dataset.classes, dataset.train.inputs.shape, dataset.test.inputs.shape
        (('even', 'odd'), (20, 5, 4, 3), (6, 5, 4, 3))
    """
    builder = _open(source)
    image_key, label_key = _keys(source.name, builder.info)
    of_test = test_split(source)
    features: Any = builder.info.features
    classes = features[label_key].names
    train = _decode(source, builder, "train", image_key, label_key)
    test = _decode(source, builder, of_test, image_key, label_key)
    return Dataset(source.name, tuple(classes), train, take(train, slice(0)), test)


def test_split(source: Source) -> str:
    """Which split of a prepared set is taken to test on: "test", or where there is none "validation".

    Args:
        source: The prepared set.

    Returns:
        Its name.

    Raises:
        ValueError: There is neither, or no split "train".
        OSError: The description is damaged.

    Example:
        >>> from jaxnn.data.tfds import records, source
        >>> records.test_split(source.find("tiny", Path("prepared")))
        'test'
    """
    splits = _open(source).info.splits
    if "train" not in splits or not {"test", "validation"} & set(splits):
        raise ValueError(f"{source.name} needs a split train, and a split test or validation; it has {list(splits)}")
    return "test" if "test" in splits else "validation"


def decoded_bytes(source: Source) -> int:
    """How much memory all images of a prepared set would take, as its description says; TFDS is not loaded for it.

    Args:
        source: The prepared set.

    Returns:
        Bytes: of all records of all splits, each with its largest image; 0 where no image has a fixed size.

    Raises:
        OSError: The description is missing or damaged; the message names it.

    Example:
        >>> from jaxnn.data.tfds import records, source
        >>> records.decoded_bytes(source.find("tiny", Path("prepared"))) == (20 + 6) * 5 * 4 * 3
        True
    """
    path = source.folder / INFO
    try:
        splits = json.loads(path.read_text(encoding="utf-8")).get("splits", [])
        examples = sum(int(length) for split in splits for length in split.get("shardLengths", []))
        path = source.folder / "features.json"
        features = json.loads(path.read_text(encoding="utf-8"))["featuresDict"]["features"].values()
        shapes = [feature["image"]["shape"].get("dimensions", []) for feature in features if "image" in feature]
        sizes = [math.prod(max(0, int(size)) for size in shape) for shape in shapes if shape]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise OSError(f"{path} is missing or damaged ({problem}); {how_to_repair(source)}") from None
    return examples * max(sizes, default=0)


class Records:
    """The records of a split with random access, decoded when they are asked for.

    Example:
        >>> from jaxnn.data.tfds import source
        >>> from jaxnn.data.tfds.records import Records
        >>> records = Records(source.find("tiny", Path("prepared")), "train[:50%]")
        >>> inputs, labels = records.decode(np.array([7, 0]))
        >>> len(records), inputs.shape, labels.dtype.name
        (10, (2, 5, 4, 3), 'int32')
    """

    def __init__(self, source: Source, split: str) -> None:
        """Opens a split, or a part of it as TFDS writes it ("train[:90%]"); errors as those of `decode`."""
        import tensorflow_datasets as tfds

        self._source = source
        builder = _open(source)
        self._keys = _keys(source.name, builder.info)
        self.shape: tuple[int, int, int] = builder.info.features[self._keys[0]].shape
        self._classes = tuple(builder.info.features[self._keys[1]].names)
        self._read = _reader(builder, *self._keys)
        only_label = tfds.features.FeaturesDict({self._keys[1]: builder.info.features[self._keys[1]]})
        self._only_label: Any = only_label
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        try:
            self._records: Any = builder.as_data_source(split, deserialize_method=raw)
        except (ValueError, KeyError) as problem:
            raise ValueError(f"{source.name} has no split {split!r}: {problem}") from None
        except Exception as problem:
            raise self._damaged(problem) from None

    def _damaged(self, problem: Exception) -> OSError:
        folder = self._source.folder
        return OSError(f"a file of {folder} is missing or damaged ({problem}); {how_to_repair(self._source)}")

    def __len__(self) -> int:
        """Counts the records."""
        return len(self._records)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self._classes

    def labels(self) -> np.ndarray:
        """Reads the labels of all records, and decodes no image.

        Returns:
            int32[N].

        Raises:
            OSError: A file is missing or damaged.
        """
        labels = np.empty(len(self), np.int32)
        for start in range(0, len(labels), 1000):
            rows = range(start, min(start + 1000, len(labels)))
            try:
                for row, record in zip(rows, self._records.__getitems__(rows), strict=True):
                    labels[row] = self._only_label.deserialize_example_np(record)[self._keys[1]]
            except Exception as problem:
                raise self._damaged(problem) from None
        return labels

    def decode(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reads and decodes some records.

        Args:
            rows: int[B], their numbers.

        Returns:
            uint8[B, H, W, C] and int32[B].

        Raises:
            OSError: A file is missing or damaged.
        """
        inputs, labels = np.empty((len(rows), *self.shape), np.uint8), np.empty(len(rows), np.int32)
        try:
            for start in range(0, len(rows), 1000):
                some = [int(row) for row in rows[start : start + 1000]]
                for i, record in enumerate(self._records.__getitems__(some), start=start):
                    inputs[i], labels[i] = self._read(record)
        except Exception as problem:  # array_record reports damage as RuntimeError, Pillow and TFDS in many ways
            raise self._damaged(problem) from None
        return inputs, labels


def _check_format(source: Source) -> None:
    path = source.folder / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        form = info.get("fileFormat", "tfrecord")
    except (ValueError, AttributeError):
        raise OSError(f"{path} is damaged; {how_to_repair(source)}") from None
    if form != "array_record":
        raise ValueError(
            f"{source.folder} holds {form} files, which cannot be read without TensorFlow; array_record files "
            f"can: {how_to_repair(source)}"
        )


def _open(source: Source) -> Any:
    """The TFDS builder of a prepared set."""
    import tensorflow_datasets as tfds

    _check_format(source)
    try:
        return tfds.builder_from_directory(source.folder)
    except Exception as problem:
        raise OSError(f"{source.folder} has a damaged description ({problem}); {how_to_repair(source)}") from None


def _reader(builder: Any, image_key: str, label_key: str) -> Callable[[bytes], tuple[np.ndarray, int]]:
    """A function from a record to the image and the label in it."""
    import tensorflow_datasets as tfds
    from PIL import Image

    wanted = tfds.features.FeaturesDict({key: builder.info.features[key] for key in (image_key, label_key)})
    packed: Any = {image_key: tfds.decode.SkipDecoding()}
    height, width, channels = builder.info.features[image_key].shape

    def read(record: bytes) -> tuple[np.ndarray, int]:
        example: Any = wanted.deserialize_example_np(record, decoders=packed)
        image = Image.open(io.BytesIO(example[image_key]))
        if image.size != (width, height):
            raise ValueError(f"an image of {image.size} pixels instead of {(width, height)}")
        return np.asarray(image.convert(MODES[channels])).reshape(height, width, channels), example[label_key]

    return read


def _keys(name: str, info: Any) -> tuple[str, str]:
    """Finds the image and the label among the features; refuses what does not fit in one uint8 array."""
    import tensorflow_datasets as tfds

    features, keys = dict(info.features.items()), info.supervised_keys or ("image", "label")
    kinds = [tfds.features.Image, tfds.features.ClassLabel]
    if [type(features.get(key)) for key in keys] != kinds:
        found = ", ".join(f"{key}: {type(feature).__name__}" for key, feature in features.items())
        raise ValueError(f"{name} is not for image classification: it needs an image with a label and has {found}")
    image = features[keys[0]]
    if None in image.shape:
        raise ValueError(
            f"the images of {name} vary in size, {image.shape}; sets with images of one size can be loaded"
        )
    if image.np_dtype != np.uint8 or image.shape[-1] not in MODES:
        raise ValueError(
            f"the images of {name} are {image.np_dtype}{image.shape}; uint8 with 1, 3 or 4 channels is needed"
        )
    return keys[0], keys[1]


def _decode(source: Source, builder: Any, split: str, image_key: str, label_key: str) -> Split:
    import tensorflow_datasets as tfds

    info, read = builder.info.splits[split], _reader(builder, image_key, label_key)
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    height, width, channels = builder.info.features[image_key].shape
    if (size := info.num_examples * height * width * channels) > (room := memory()):
        raise ValueError(
            f"the {split} images of {source.name} take {size / 2**30:,.1f} GiB when decoded, and this process may use "
            f"{room / 2**30:,.1f} GiB: read them while training goes on, with jaxnn.data.loader"
        )
    inputs = np.empty((info.num_examples, height, width, channels), np.uint8)
    labels = np.empty(info.num_examples, np.int32)
    row, told = 0, time.monotonic()
    for path, length in zip(info.filepaths, info.shard_lengths, strict=True):
        end = row + length
        try:
            records = builder.as_data_source(f"{split}[{row}:{end}]", deserialize_method=raw)
            for start in range(0, length, 1000):
                for record in records.__getitems__(range(start, min(start + 1000, length))):
                    inputs[row], labels[row] = read(record)
                    row += 1
                if time.monotonic() - told > 2:
                    told = time.monotonic()
                    print(f"{source.name}: decoded {row:,} of {len(labels):,} {split} images", file=sys.stderr)
        except Exception as problem:  # array_record reports damage as RuntimeError, Pillow and TFDS in many ways
            raise OSError(
                f"{path} is missing or damaged (at record {row}: {problem}); {how_to_repair(source)}"
            ) from None
    check_labelled(labels, source, split)
    return Split(inputs, labels)


def check_labelled(labels: np.ndarray, source: Source, split: str) -> None:
    """Checks that there are examples, all of a class.

    Args:
        labels: int32[N].
        source, split: Where they are from.

    Raises:
        ValueError: There are none, or one has no class.

    Example:
        >>> from jaxnn.data.tfds import records, source
        >>> records.check_labelled(np.array([1, -1]), source.find("tiny", Path("prepared")), "test")
        Traceback (most recent call last):
            ...
        ValueError: the test split of tiny has unlabelled examples
    """
    if len(labels) == 0 or labels.min() < 0:
        what = "no examples" if len(labels) == 0 else "unlabelled examples"
        raise ValueError(f"the {split} split of {source.name} has {what}")
