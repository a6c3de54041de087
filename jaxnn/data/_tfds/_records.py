"""The records of a prepared data set: decoded all at once, or on demand; without TensorFlow."""

from __future__ import annotations

import copy
import functools
import io
import json
import math
import sys
import time
from typing import Any

import numpy as np

from jaxnn.data._memory import memory
from jaxnn.data._split import Dataset, Split
from jaxnn.data._tfds._source import INFO, Source, how_to_repair

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name
AT_ONCE = 1000  # records read at once


class OnDisk:
    """Examples of a prepared data set, each decoded on demand. Can be pickled and sent to other processes.

    `load` opens a set with `memory_share=0`, or one that is too large for its `memory_share`; its splits have them as
    `inputs.examples`.

    Example:
        >>> images = load("tiny", data_dir="prepared", memory_share=0, validation_share=0.5).train.inputs
        >>> inputs, labels = images.examples.take(np.array([3, 1]))
        >>> type(images.examples).__name__, len(images.examples), inputs.shape, labels.dtype.name
        ('OnDisk', 10, (2, 5, 4, 3), 'int32')
    """

    def __init__(self, source: Source, split: str) -> None:
        """Open a split, or a part of it as TFDS writes it ("train[:90%]"); ValueError or OSError if that fails."""
        self.source, self.split = source, split
        self.shape, self.classes = self._reader.shape, self._reader.classes
        self.rows = np.arange(len(self._records))

    @functools.cached_property
    def _reader(self) -> Reader:
        return Reader(self.source)

    @functools.cached_property
    def _records(self) -> Any:
        reader = self._reader
        try:
            return reader.records(self.split)
        except (ValueError, KeyError) as problem:
            raise ValueError(f"{self.source.name} has no split {self.split!r}: {problem}") from None
        except Exception as problem:
            raise self._damaged(problem) from None

    def _damaged(self, problem: Exception) -> OSError:
        folder = self.source.folder
        return OSError(f"a file of {folder} is missing or damaged ({problem}); {how_to_repair(self.source)}")

    def __getstate__(self) -> dict[str, Any]:
        """All but the open files, which another process opens itself."""
        return {name: value for name, value in vars(self).items() if name not in ("_reader", "_records")}

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.rows)

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs uint8[B, H, W, C] and labels int32[B] of some examples; OSError if a file is missing or damaged."""
        inputs, labels = np.empty((len(rows), *self.shape), np.uint8), np.empty(len(rows), np.int32)
        numbers, records, reader = self.rows[rows], self._records, self._reader
        try:
            for start in range(0, len(numbers), AT_ONCE):
                some = numbers[start : start + AT_ONCE].tolist()
                for i, record in enumerate(records.__getitems__(some), start=start):
                    inputs[i], labels[i] = reader.example(record)
        except Exception as problem:  # array_record reports damage as RuntimeError, Pillow and TFDS in many ways
            raise self._damaged(problem) from None
        return inputs, labels

    def part(self, rows: np.ndarray | slice) -> OnDisk:
        """Some of the examples, still on disk."""
        part = copy.copy(self)
        part.rows = self.rows[rows]
        return part

    def labels(self) -> np.ndarray:
        """The labels int32[N] of all examples, read without decoding any image."""
        labels = np.empty(len(self._records), np.int32)
        for start in range(0, len(labels), AT_ONCE):
            rows = range(start, min(start + AT_ONCE, len(labels)))
            try:
                for row, record in zip(rows, self._records.__getitems__(rows), strict=True):
                    labels[row] = self._reader.label(record)
            except Exception as problem:
                raise self._damaged(problem) from None
        return labels[self.rows]

    @property
    def decoded_bytes(self) -> int:
        """The memory that all inputs would take."""
        return len(self) * math.prod(self.shape)


class Reader:
    """An opened prepared set: its description, and its records decoded one at a time."""

    def __init__(self, source: Source) -> None:
        import tensorflow_datasets as tfds

        self.source = source
        _check_format(source)
        try:
            self.builder: Any = tfds.builder_from_directory(source.folder)
        except Exception as problem:
            raise OSError(f"{source.folder} has a damaged description ({problem}); {how_to_repair(source)}") from None
        features = self.builder.info.features
        self.image_key, self.label_key = _keys(source.name, self.builder.info)
        self.shape: tuple[int, int, int] = features[self.image_key].shape
        self.classes = tuple(features[self.label_key].names)
        keys = (self.image_key, self.label_key)
        self._features: Any = tfds.features.FeaturesDict({key: features[key] for key in keys})
        self._only_label: Any = tfds.features.FeaturesDict({self.label_key: features[self.label_key]})
        self._decoders: Any = {self.image_key: tfds.decode.SkipDecoding()}
        self._raw = tfds.decode.DeserializeMethod.RAW_BYTES

    @property
    def test_split(self) -> str:
        """The split to test on: "test", or "validation" if there is none."""
        splits, name = self.builder.info.splits, self.source.name
        if "train" not in splits or not {"test", "validation"} & set(splits):
            raise ValueError(f"{name} needs a split train, and a split test or validation; it has {list(splits)}")
        return "test" if "test" in splits else "validation"

    def records(self, split: str) -> Any:
        """The raw records of a split, with random access."""
        return self.builder.as_data_source(split, deserialize_method=self._raw)

    def label(self, record: bytes) -> int:
        """The label in a record, without decoding the image."""
        return self._only_label.deserialize_example_np(record)[self.label_key]

    def example(self, record: bytes) -> tuple[np.ndarray, int]:
        """The image and the label in a record."""
        from PIL import Image

        example: Any = self._features.deserialize_example_np(record, decoders=self._decoders)
        image = Image.open(io.BytesIO(example[self.image_key]))
        height, width, channels = self.shape
        if image.size != (width, height):
            raise ValueError(f"an image of {image.size} pixels instead of {(width, height)}")
        return np.asarray(image.convert(MODES[channels])).reshape(self.shape), example[self.label_key]


def decode(source: Source) -> Dataset:
    """All records in memory; the test split is the validation split if there is no other.

    One thread: Pillow releases and retakes the interpreter lock for every image, so two take twice as long for 32 x 32.
    """
    reader = Reader(source)
    train, test = (_decode(reader, split) for split in ("train", reader.test_split))
    return Dataset(source.name, reader.classes, train, train.take(slice(0)), test)


def decoded_bytes(source: Source) -> int:
    """The memory that all images would take, by the description alone (TFDS is not loaded); 0 if sizes vary."""
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


def check_labels(labels: np.ndarray, source: Source, split: str) -> None:
    """Refuses a split without examples, or with examples that have no label."""
    if len(labels) == 0 or labels.min() < 0:
        what = "no examples" if len(labels) == 0 else "unlabelled examples"
        raise ValueError(f"the {split} split of {source.name} has {what}")


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


def _keys(name: str, info: Any) -> tuple[str, str]:
    """The names of the image and the label among the features; refuses what does not fit in one uint8 array."""
    import tensorflow_datasets as tfds

    features, keys = dict(info.features.items()), info.supervised_keys or ("image", "label")
    kinds = [tfds.features.Image, tfds.features.ClassLabel]
    if [type(features.get(key)) for key in keys] != kinds:
        found = ", ".join(f"{key}: {type(feature).__name__}" for key, feature in features.items())
        raise ValueError(f"{name} is not for image classification: it needs an image with a label and has {found}")
    image = features[keys[0]]
    if None in image.shape:
        raise ValueError(
            f"the images of {name} vary in size, {image.shape}; only sets with images of one size can be loaded"
        )
    if image.np_dtype != np.uint8 or image.shape[-1] not in MODES:
        raise ValueError(
            f"the images of {name} are {image.np_dtype}{image.shape}; uint8 with 1, 3 or 4 channels is needed"
        )
    return keys[0], keys[1]


def _decode(reader: Reader, split: str) -> Split:
    source, info = reader.source, reader.builder.info.splits[split]
    if (size := info.num_examples * math.prod(reader.shape)) > (room := memory()):
        raise ValueError(
            f"the {split} images of {source.name} take {size / 2**30:,.1f} GiB when decoded, and this process may use "
            f"{room / 2**30:,.1f} GiB: stream them during training, with jaxnn.data.loader"
        )
    inputs = np.empty((info.num_examples, *reader.shape), np.uint8)
    labels = np.empty(info.num_examples, np.int32)
    row, reported = 0, time.monotonic()
    for path, length in zip(info.filepaths, info.shard_lengths, strict=True):
        end = row + length
        try:
            records = reader.records(f"{split}[{row}:{end}]")
            for start in range(0, length, AT_ONCE):
                for record in records.__getitems__(range(start, min(start + AT_ONCE, length))):
                    inputs[row], labels[row] = reader.example(record)
                    row += 1
                if time.monotonic() - reported > 2:
                    reported = time.monotonic()
                    print(f"{source.name}: decoded {row:,} of {len(labels):,} {split} images", file=sys.stderr)
        except Exception as problem:  # array_record reports damage as RuntimeError, Pillow and TFDS in many ways
            raise OSError(
                f"{path} is missing or damaged (at record {row}: {problem}); {how_to_repair(source)}"
            ) from None
    check_labels(labels, source, split)
    return Split(inputs, labels)
