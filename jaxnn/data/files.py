"""Data that the user has: a folder of images for each class, a CSV table, an `.npz` file."""

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

__all__ = ["ReadResult", "read_csv", "read_folder", "read_image", "read_npz"]

SIZE = 32
"""Pixels of each side of images that do not come in one size."""
TOLD = 50
"""The most odd files or rows that are named."""
NAMES = (("inputs", "labels"), ("x", "y"), ("x_train", "y_train"))
TEST_NAMES = ("x_test", "y_test")


class ReadResult(NamedTuple):
    """What was read.

    Attributes:
        classes: their names.
        examples: all of them, or those to learn from.
        test: those to report on, where they come apart.
        skipped: what was left out, each with the reason.
        of: how many files or rows there were.
    """

    classes: tuple[str, ...]
    examples: Split
    test: Split | None
    skipped: tuple[str, ...]
    of: int

    def told(self) -> str:
        """What was skipped, as a sentence."""
        more = len(self.skipped) - TOLD
        rest = f"; and {more:,} more" if more > 0 else ""
        return f"{len(self.skipped):,} of {self.of:,} were skipped: {'; '.join(self.skipped[:TOLD])}{rest}"


def read_folder(folder: Path, size: int | None = None) -> ReadResult:
    """Read the images of a folder that has one folder for each class.

    Every kind of image that Pillow reads; turned upright, laid on white. Images of more than one size are cut to their
    middle square and resized. They are gray where all are gray, else RGB.

    Args:
        folder: holds a folder for each class, named as it; files may lie in folders of these. What begins with a dot
            does not count.
        size: pixels of each side; by default the images' own size if they have one in common, else `SIZE`.

    Returns:
        The images uint8[N, H, W, C], classes sorted by name; files that are no image are skipped.

    Raises:
        OSError: there is no such folder.
        ValueError: there are fewer than two classes, or one without images.

    Example:
        >>> from PIL import Image
        >>> from jaxnn.data import files
        >>> for name in ("cat", "dog"):
        ...     Path("photos", name).mkdir(parents=True)
        ...     Image.new("RGB", (8, 8), "teal").save(Path("photos", name, "0.png"))
        >>> found = files.read_folder(Path("photos"))
        >>> found.classes, found.examples.inputs.shape, found.examples.labels.tolist()
        (('cat', 'dog'), (2, 8, 8, 3), [0, 1])
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    places = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    if len(places) < 2:
        raise ValueError(f"{folder} must hold a folder for each class, at least two; it has {len(places)}")
    lie_about = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    skipped = [f"{path} (in no class's folder)" for path in lie_about]
    images: list[Image.Image] = []
    labels: list[int] = []
    for label, place in enumerate(places):
        for path in sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith(".")):
            try:
                images.append(read_image(path))
                labels.append(label)
            except (OSError, ValueError) as error:
                skipped.append(str(error) if str(path) in str(error) else f"{path} ({error})")
        if label not in labels:
            raise ValueError(f"{place} has no image that Pillow can read: remove it, or add some")
    sizes = {image.size for image in images}
    if size is None and len(sizes) > 1:
        size = SIZE
    if size is not None:
        images = [ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS) for image in images]
    pixels = np.stack([np.asarray(image) for image in images])
    if (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    names = tuple(place.name for place in places)
    split = Split(np.ascontiguousarray(pixels), np.array(labels, np.int32))
    return ReadResult(names, split, None, tuple(skipped), len(images) + len(skipped))


def read_csv(file: Path, label: str | None) -> ReadResult:
    """Read a table: a column with the classes, every other column a number.

    Args:
        file: with a line of names first; UTF-8.
        label: the name of the column with the classes.

    Returns:
        The examples f32[N, columns], in the order of the file; rows with something else than numbers, without a class
        or of another length are skipped. Classes that are all whole numbers are in their order, others in that of text.

    Raises:
        OSError: there is no such file.
        ValueError: the label is no column, a column holds no numbers, the names repeat, or no row is left.

    Example:
        >>> from jaxnn.data import files
        >>> rows = ("a,b,species", "1,2,cat", "3,4,dog", "5,?,dog")
        >>> np.savetxt("table.csv", rows, "%s")
        >>> found = files.read_csv(Path("table.csv"), "species")
        >>> found.classes, found.examples.inputs.tolist()
        (('cat', 'dog'), [[1.0, 2.0], [3.0, 4.0]])
        >>> found.told()
        '1 of 3 were skipped: row 4 (no number in b)'
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        first, *lines = [row for row in csv.reader(io.StringIO(text), strict=True) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} is no CSV table in UTF-8 ({error})") from error
    names = [name.strip() for name in first]
    if label is None or label not in names:
        raise ValueError(f"{file}: the label must be one of its columns, {', '.join(names)}; got {label}")
    if len(set(names)) < len(names) or len(names) < 2:
        raise ValueError(f"{file} needs two columns or more, each with a name of its own; got {', '.join(names)}")
    place = names.index(label)
    kept: list[list[float]] = []
    found: list[str] = []
    skipped: list[str] = []
    not_numbers = collections.Counter[str]()
    for number, row in enumerate(lines, start=2):
        if len(row) != len(names):
            skipped.append(f"row {number} ({len(row)} values for {len(names)} columns)")
            continue
        values = [_number(value) for i, value in enumerate(row) if i != place]
        others = [name for i, name in enumerate(names) if i != place]
        odd = [name for name, value in zip(others, values, strict=True) if not math.isfinite(value)]
        not_numbers.update(odd)
        if odd or not row[place].strip():
            skipped.append(f"row {number} (no number in {', '.join(odd)})" if odd else f"row {number} (no {label})")
            continue
        kept.append(values)
        found.append(row[place].strip())
    for name, count in not_numbers.items():
        if count > len(lines) / 2:
            raise ValueError(
                f"{file}: column {name} must hold numbers; {count:,} of its {len(lines):,} values are none"
            )
    if not kept:
        raise ValueError(f"{file} has no row of numbers with a {label}")
    classes, labels = _classes(np.array(found))
    return ReadResult(classes, Split(np.array(kept, np.float32), labels), None, tuple(skipped), len(lines))


def read_npz(file: Path) -> ReadResult:
    """Read arrays: `inputs` and `labels`, or `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`.

    Args:
        file: as `numpy.savez` writes it. Inputs are numbers [N, D], or bytes [N, H, W] or [N, H, W, C]; labels are
            whole numbers or text [N].

    Returns:
        The examples, images as uint8[N, H, W, C], else f32[N, D]; rows with NaN or infinity are skipped.

    Raises:
        OSError: there is no such file.
        ValueError: it is damaged, an array is missing, or the shapes or types are others.

    Example:
        >>> from jaxnn.data import files
        >>> np.savez("arrays.npz", inputs=np.zeros((4, 3)), labels=np.array([5, 5, 6, 6]))
        >>> found = files.read_npz(Path("arrays.npz"))
        >>> found.classes, found.examples.labels.tolist()
        (('5', '6'), [0, 0, 1, 1])
    """
    content = file.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception as error:
        raise ValueError(f"{file} is damaged or no .npz file of arrays ({error})") from error
    names = next((pair for pair in NAMES if set(pair) <= set(arrays)), None)
    if names is None:
        raise ValueError(
            f"{file} must have the arrays inputs and labels, x and y, or x_train and y_train; it has {sorted(arrays)}"
        )
    pairs = [names, *([TEST_NAMES] if names[0] == "x_train" and set(TEST_NAMES) <= set(arrays) else [])]
    parts, skipped, of = [], [], 0
    for of_inputs, of_labels in pairs:
        inputs, labels = _inputs(file, of_inputs, arrays[of_inputs]), arrays[of_labels]
        if labels.shape != inputs.shape[:1] or labels.dtype.kind not in "iuUS":
            raise ValueError(
                f"{file}: {of_labels} must be whole numbers or text, one for each of the {len(inputs)} {of_inputs}; "
                f"got {labels.dtype}{list(labels.shape)}"
            )
        fine = np.isfinite(inputs.reshape(len(inputs), -1)).all(1)
        skipped += [f"{of_inputs}[{row}] (not finite)" for row in np.flatnonzero(~fine)]
        of += len(inputs)
        parts.append((inputs[fine], labels[fine]))
    classes, labels = _classes(np.concatenate([labels for _, labels in parts]))
    split = Split(parts[0][0], labels[: len(parts[0][1])])
    test = Split(parts[1][0], labels[len(parts[0][1]) :]) if len(parts) > 1 else None
    if len(split.labels) == 0 or (test is not None and split.inputs.shape[1:] != test.inputs.shape[1:]):
        raise ValueError(f"{file} has no examples, or those of the test have another shape")
    return ReadResult(classes, split, test, tuple(skipped), of)


def read_image(path: Path) -> Image.Image:
    """Read an image of any kind as 8-bit RGB, turned upright and laid on white.

    Args:
        path: the file.

    Returns:
        An image of mode RGB.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is no image, damaged, or too large.

    Example:
        >>> from PIL import Image
        >>> from jaxnn.data import files
        >>> Image.new("L", (4, 2), 100).save("gray.png")
        >>> image = files.read_image(Path("gray.png"))
        >>> image.mode, image.size, image.getpixel((0, 0))
        ('RGB', (4, 2), (100, 100, 100))
    """
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
    except Exception as error:  # readers of the many formats raise whatever they like for a damaged file
        raise ValueError(f"{path} is no image that Pillow can read, or is damaged ({error})") from error
    return image


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Gray values of 16 or 32 bits or floats as uint8; the unit is the smallest usual one that holds them all."""
    numbers = np.nan_to_num(values.astype(np.float64))
    floats = np.issubdtype(values.dtype, np.floating)
    high = (
        65535.0
        if values.dtype.itemsize == 2
        else next(
            (top for top in ((1.0, 255.0, 65535.0) if floats else (255.0, 65535.0)) if numbers.max() <= top),
            numbers.max(),
        )
    )
    return np.round(255 * (numbers / high).clip(0, 1)).astype(np.uint8)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if abs(value) <= float(np.finfo(np.float32).max) else math.inf


def _classes(found: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the classes in order, and the number of each example's class."""
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
        with np.errstate(over="ignore"):  # infinity is skipped like any other
            return inputs.astype(np.float32)
    raise ValueError(
        f"{file}: {name} must be numbers [N, D], or bytes (uint8) [N, H, W] or [N, H, W, C]; "
        f"got {inputs.dtype}{list(inputs.shape)}"
    )
