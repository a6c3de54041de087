"""Columns of tables as inputs: numbers in every notation, text as one input for each value, images."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.data._own._labels import ReadResult, number_of, text_of
from jaxnn.data._split import Split

MOST_VALUES = 20
"""A column of text with at most so many different values is encoded as one input for each."""
_EUROPEAN = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
_WITH_UNIT = re.compile(r"[+-]?[$€£¥] ?[\d.,]+|[+-]?[\d.,]+ ?[%€£]")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


def values_of(table: str, name: str, column: Any, names: Sequence[str] | None) -> np.ndarray:
    """A column of Arrow as float64 [N] or [N, K] with NaN for missing values, or as objects: text, images as bytes."""
    import pyarrow as pa

    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        column = pa.chunked_array([pa.array(column.to_pylist())])
    elif isinstance(kind, pa.BaseExtensionType):  # such as the arrays of Hugging Face Datasets
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
    kind = column.type
    if names is not None:
        return np.array([None if at in (None, -1) else names[at] for at in column.to_pylist()], dtype=object)
    if types.is_boolean(kind) or types.is_null(kind):
        column = column.cast(pa.float64())
    elif types.is_temporal(kind):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        column = column.cast(whole).cast(pa.float64())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    if types.is_floating(column.type):
        return np.asarray(column.to_numpy(), np.float64)
    values = column.to_pylist()
    if types.is_struct(kind) and "bytes" in [field.name for field in kind]:
        return np.array([None if value is None else _file(**value) for value in values], dtype=object)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        try:
            return np.array([np.ravel(np.array(value, np.float64)) for value in values], np.float64)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{table}: the lists of column {name} are no numbers of one length; {advice_to_drop(name)}"
            ) from error
    if types.is_struct(kind) or types.is_map(kind):
        raise ValueError(f"{table}: column {name} holds {kind}, no numbers or text; {advice_to_drop(name)}")
    return np.array(values, dtype=object)


def _file(bytes: bytes | None = None, path: str | None = None, **_: Any) -> bytes | None:
    """The content of an image in a table, which is there or in a file."""
    return Path(path).read_bytes() if bytes is None and path and Path(path).is_file() else bytes


def encode(table: str, name: str, column: np.ndarray, notes: list[str]) -> tuple[np.ndarray, list[str], np.ndarray]:
    """A column as inputs f64[N, K], their names, and which rows lack a value."""
    if column.dtype == np.float64:
        values = column if column.ndim == 2 else column[:, None]
        titles = [name] if values.shape[1] == 1 else [f"{name}[{k}]" for k in range(values.shape[1])]
        with np.errstate(over="ignore"):
            return values, titles, np.any(~np.isfinite(values.astype(np.float32)), axis=1)
    texts, places = np.unique(
        np.array([text_of(value) for value in column.tolist()], dtype=object).astype(str), return_inverse=True
    )
    numbers, how = _numbers(texts.tolist())
    count = np.bincount(places, minlength=len(texts))
    given = texts != ""
    if count[given & np.isnan(numbers)].sum() <= 0.5 * count[given].sum():
        if how:
            notes.append(f"the numbers of column {name} have {how}")
        return numbers[places][:, None], [name], ~np.isfinite(numbers)[places]
    kinds = texts[given]
    if len(kinds) > MOST_VALUES or len(kinds) > 0.5 * len(column) + 1:
        shown = ", ".join(kinds[:3].tolist())
        raise ValueError(
            f"{table}: column {name} must hold numbers, or text with at most {MOST_VALUES} different values for one "
            f"input each; it has {len(kinds):,}, such as {shown}; {advice_to_drop(name)}"
        )
    notes.append(f"column {name} holds text: one input for each of {', '.join(kinds.tolist())}")
    values = (texts[places][:, None] == kinds).astype(np.float64)
    return values, [f"{name}={kind}" for kind in kinds.tolist()], texts[places] == ""


def _numbers(texts: list[str]) -> tuple[np.ndarray, str]:
    """The numbers that texts stand for, NaN for none, and what is unusual about how they are written."""
    european = [text for text in texts if _EUROPEAN.fullmatch(text)]
    thousands = [text for text in texts if _THOUSANDS.fullmatch(text)]
    points = [text for text in texts if "." in text and "," not in text and np.isfinite(number_of(text))]
    how = ""
    if len(thousands) > len(european) or (thousands and points):
        how, texts = "thousands separators", [t.replace(",", "") if _THOUSANDS.fullmatch(t) else t for t in texts]
    elif european and all(re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", text) for text in points):
        how = "decimal commas"
        texts = [text.replace(".", "").replace(",", ".") if text in {*european, *points} else text for text in texts]
    numbers = np.array([number_of(text) for text in texts])
    given = [text for text in texts if text]
    if not given or not np.isnan(numbers).all():
        return numbers, how
    if all(_WITH_UNIT.fullmatch(text) for text in given):
        found, more = _numbers([re.sub("[$€£¥% ]", "", text) for text in texts])
        return found, " and ".join(filter(None, ["signs of a unit", more]))
    if all(_DATE.fullmatch(text) for text in given):
        with contextlib.suppress(ValueError):  # no such day
            seconds = [np.datetime64(text, "us").astype(np.int64) / 1e6 if text else np.nan for text in texts]
            return np.array(seconds), "the form of dates: seconds since 1970"
    return numbers, how


def is_images(column: np.ndarray) -> bool:
    """Whether the first value that is not missing is bytes, but no text."""
    first = next((value for value in column.tolist() if value is not None), None) if column.dtype == object else None
    return isinstance(first, bytes) and not first.isascii()


def decode(
    table: str,
    images: np.ndarray,
    classes: tuple[str, ...],
    labels: np.ndarray,
    skipped: tuple[str, ...],
    total: int,
    notes: list[str],
) -> ReadResult:
    """The examples of a column of images, all of one size; labels and what was skipped are those of the table."""
    from jaxnn.data._own._images import SIZE, read_image

    read = [read_image(io.BytesIO(content)) for content in images.tolist()]
    sizes = {image.size for image in read}
    if len(sizes) > 1:
        read = [read_image(io.BytesIO(content), (SIZE, SIZE)) for content in images.tolist()]
    pixels = np.stack([np.asarray(image) for image in read])
    if (pixels == pixels[..., :1]).all():
        pixels = np.ascontiguousarray(pixels[..., :1])
    return ReadResult(classes, Split(pixels, labels), None, skipped, total, tuple(notes))


def advice_to_drop(name: str) -> str:
    """The end of an error message: how to do without a column."""
    return f"leave it out with drop={name!r} (--drop {name!r})"
