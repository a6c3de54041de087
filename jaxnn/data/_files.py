"""Read your own data: a folder of images per class, a CSV table, an `.npz` file."""

from __future__ import annotations

import collections
import csv
import io
import math
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from jaxnn.data._split import Split

SIZE = 32
"""Pixels of each side of images that do not have one size in common."""
LISTED = 50
"""The most skipped files or rows that are listed."""
NAMES = (("inputs", "labels"), ("x", "y"), ("x_train", "y_train"))
TEST_NAMES = ("x_test", "y_test")


class ReadResult(NamedTuple):
    """Data that was read, and a list of what was skipped.

    Attributes:
        classes: names of the classes.
        examples: all examples, or the training examples if the file has a test split.
        test: the test split, if the file has one.
        skipped: the files or rows that were skipped, each with the reason.
        total: number of files or rows, skipped ones included.
    """

    classes: tuple[str, ...]
    examples: Split
    test: Split | None
    skipped: tuple[str, ...]
    total: int

    def describe_skipped(self, verb: str = "were skipped") -> str:
        """A sentence that counts and lists what was skipped."""
        more = len(self.skipped) - LISTED
        rest = f"; and {more:,} more" if more > 0 else ""
        return f"{len(self.skipped):,} of {self.total:,} {verb}: {'; '.join(self.skipped[:LISTED])}{rest}"


def read_folder(folder: Path, size: int | None = None) -> ReadResult:
    """Read a folder that holds one folder of images per class.

    Images may have any format that Pillow reads; they are rotated upright (EXIF) and transparency becomes white. If
    their sizes differ, they are cropped to the central square and resized. They are gray if all are gray, else RGB.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    visible = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    class_folders = [path for path in visible if path.is_dir()]
    if len(class_folders) < 2:
        raise ValueError(f"{folder} must hold a folder for each class, at least two; it has {len(class_folders)}")
    skipped = [f"{path} (in no class's folder)" for path in visible if path.is_file()]
    images: list[Image.Image] = []
    labels: list[int] = []
    for label, class_folder in enumerate(class_folders):
        for path in sorted(class_folder.rglob("*")):
            if not path.is_file() or path.name.startswith("."):
                continue
            try:
                images.append(read_image(path))
                labels.append(label)
            except (OSError, ValueError) as error:
                skipped.append(str(error) if str(path) in str(error) else f"{path} ({error})")
        if label not in labels:
            raise ValueError(f"{class_folder} has no image that Pillow can read: remove it, or add some")
    sizes = {image.size for image in images}
    if size is None and len(sizes) > 1:
        size = SIZE
    if size is not None:
        images = [ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS) for image in images]
    pixels = np.stack([np.asarray(image) for image in images])
    if (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    names = tuple(path.name for path in class_folders)
    split = Split(np.ascontiguousarray(pixels), np.array(labels, np.int32))
    return ReadResult(names, split, None, tuple(skipped), len(images) + len(skipped))


def read_csv(file: Path, label: str | None) -> ReadResult:
    """Read a table with a column of classes and otherwise numeric columns."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        first, *lines = [row for row in csv.reader(io.StringIO(text), strict=True) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} is not a CSV table in UTF-8 ({error})") from error
    names = [name.strip() for name in first]
    if label is None or label not in names:
        raise ValueError(f"{file}: the label must be one of its columns, {', '.join(names)}; got {label}")
    if len(set(names)) < len(names) or len(names) < 2:
        raise ValueError(f"{file} needs at least two columns, each with a unique name; got {', '.join(names)}")
    column = names.index(label)
    kept: list[list[float]] = []
    found: list[str] = []
    skipped: list[str] = []
    not_numbers = collections.Counter[str]()
    for number, row in enumerate(lines, start=2):
        if len(row) != len(names):
            skipped.append(f"row {number} ({len(row)} values for {len(names)} columns)")
            continue
        values = [_number(value) for i, value in enumerate(row) if i != column]
        others = [name for i, name in enumerate(names) if i != column]
        odd = [name for name, value in zip(others, values, strict=True) if not math.isfinite(value)]
        not_numbers.update(odd)
        if odd or not row[column].strip():
            skipped.append(f"row {number} (no number in {', '.join(odd)})" if odd else f"row {number} (no {label})")
            continue
        kept.append(values)
        found.append(row[column].strip())
    for name, count in not_numbers.items():
        if count > len(lines) / 2:
            raise ValueError(
                f"{file}: column {name} must hold numbers; {count:,} of its {len(lines):,} values are not numbers"
            )
    if not kept:
        raise ValueError(f"{file} has no row of numbers with a {label}")
    classes, labels = _classes(np.array(found))
    return ReadResult(classes, Split(np.array(kept, np.float32), labels), None, tuple(skipped), len(lines))


def read_npz(file: Path) -> ReadResult:
    """Read arrays: `inputs` and `labels`, or `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`."""
    content = file.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception as error:
        raise ValueError(f"{file} is damaged or not an .npz file of arrays ({error})") from error
    names = next((pair for pair in NAMES if set(pair) <= set(arrays)), None)
    if names is None:
        raise ValueError(
            f"{file} must have the arrays inputs and labels, x and y, or x_train and y_train; it has {sorted(arrays)}"
        )
    pairs = [names, *([TEST_NAMES] if names[0] == "x_train" and set(TEST_NAMES) <= set(arrays) else [])]
    parts, skipped, total = [], [], 0
    for inputs_name, labels_name in pairs:
        inputs, labels = _inputs(file, inputs_name, arrays[inputs_name]), arrays[labels_name]
        if labels.shape != inputs.shape[:1] or labels.dtype.kind not in "iuUS":
            raise ValueError(
                f"{file}: {labels_name} must be whole numbers or text, one for each of the {len(inputs)} "
                f"{inputs_name}; got {labels.dtype}{list(labels.shape)}"
            )
        finite = np.isfinite(inputs.reshape(len(inputs), -1)).all(1)
        skipped += [f"{inputs_name}[{row}] (not finite)" for row in np.flatnonzero(~finite)]
        total += len(inputs)
        parts.append((inputs[finite], labels[finite]))
    classes, labels = _classes(np.concatenate([labels for _, labels in parts]))
    split = Split(parts[0][0], labels[: len(parts[0][1])])
    test = Split(parts[1][0], labels[len(parts[0][1]) :]) if len(parts) > 1 else None
    if len(split.labels) == 0 or (test is not None and split.inputs.shape[1:] != test.inputs.shape[1:]):
        raise ValueError(f"{file} has no examples, or its test examples have another shape")
    return ReadResult(classes, split, test, tuple(skipped), total)


def read_image(path: Path) -> Image.Image:
    """Read an image of any format as 8-bit RGB, rotated upright (EXIF), with transparency as white."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                file.load()
                image = ImageOps.exif_transpose(file)
                if image.mode in ("I", "F") or image.mode.startswith("I;16"):
                    image = Image.fromarray(_eight_bits(np.asarray(image)))
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image).convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{path} has too many pixels to be opened safely: make it smaller ({error})") from error
    except Exception as error:  # for a damaged file, Pillow's readers raise errors of many types
        raise ValueError(f"{path} is not an image that Pillow can read, or is damaged ({error})") from error
    return image


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Gray values of 16 or 32 bits or floats as uint8; white is the smallest usual maximum that fits them all."""
    numbers = np.nan_to_num(values.astype(np.float64))
    usual = (1.0, 255.0, 65535.0) if np.issubdtype(values.dtype, np.floating) else (255.0, 65535.0)
    white = next((top for top in usual if numbers.max() <= top), numbers.max())
    if values.dtype.itemsize == 2:
        white = 65535.0
    return np.round(255 * (numbers / white).clip(0, 1)).astype(np.uint8)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if abs(value) <= float(np.finfo(np.float32).max) else math.inf


def _classes(found: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The sorted names of the classes, and the index of each example's class."""
    values, labels = np.unique(found, return_inverse=True)
    texts = [str(value) for value in values.tolist()]
    if all(text.lstrip("-").isdecimal() for text in texts):
        order = sorted(range(len(texts)), key=lambda i: int(texts[i]))
        texts, labels = [texts[i] for i in order], np.argsort(order)[labels]
    return tuple(texts), labels.astype(np.int32)


def _inputs(file: Path, name: str, inputs: np.ndarray) -> np.ndarray:
    if inputs.dtype == np.uint8 and inputs.ndim in (3, 4):
        return inputs if inputs.ndim == 4 else inputs[..., None]
    if inputs.ndim == 2 and inputs.dtype.kind in "fiub":
        with np.errstate(over="ignore"):  # infinite values are skipped later
            return inputs.astype(np.float32)
    raise ValueError(
        f"{file}: {name} must be numbers [N, D], or bytes (uint8) [N, H, W] or [N, H, W, C]; "
        f"got {inputs.dtype}{list(inputs.shape)}"
    )
