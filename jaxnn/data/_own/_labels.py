"""What reading the user's own data gives, and classes from labels of any kind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnn.data._split import Split

LISTED = 50
"""At most so many skipped files or rows are listed."""
MISSING = ("", "na", "n/a", "nan", "null", "<na>")
"""Texts, in small letters, that stand for a missing value."""


COMPARED = 10_000
"""So many values of a column are compared with what float32 makes of them."""


class ReadResult(NamedTuple):
    """Data that was read, and a list of what was skipped.

    Attributes:
        classes: names of the classes.
        examples: all examples, or the training examples if the file has a test split.
        test: the test split, if the file has one.
        skipped: the files or rows that were skipped, each with the reason.
        total: number of files or rows, skipped ones included.
        notes: what was recognized or changed, a sentence each.
        about: what a reader of more examples must know, as in `Dataset`.
    """

    classes: tuple[str, ...]
    examples: Split
    test: Split | None
    skipped: tuple[str, ...]
    total: int
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = {}

    def describe_skipped(self, verb: str = "were skipped") -> str:
        """A sentence that counts and lists what was skipped."""
        more = len(self.skipped) - LISTED
        rest = f"; and {more:,} more" if more > 0 else ""
        return f"{len(self.skipped):,} of {self.total:,} {verb}: {'; '.join(self.skipped[:LISTED])}{rest}"


def classes_of(values: Sequence[Any] | np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The sorted names of the classes and the index of each example's class; numbers count as numbers."""
    texts, labels = np.unique(
        np.array([text_of(value) for value in values], dtype=object).astype(str), return_inverse=True
    )
    numbers = [number_of(text) for text in texts.tolist()]
    if not all(map(math.isfinite, numbers)):
        return tuple(texts.tolist()), labels.astype(np.int32)
    values, of_text = np.unique(np.array(numbers), return_inverse=True)
    whole = {number: text for number, text in zip(numbers, texts.tolist(), strict=True) if text.lstrip("-").isdecimal()}
    names = tuple(whole.get(value, f"{value:.0f}" if value.is_integer() else repr(value)) for value in values.tolist())
    return names, of_text[labels].astype(np.int32)


def text_of(value: Any) -> str:
    """A label as text; "" if it is missing."""
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "" if text.strip().lower() in MISSING else text.strip()


def number_of(text: str) -> float:
    """The number that a text stands for, NaN if for none, infinity beyond the range of float32."""
    try:
        value = math.nan if "_" in text else float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return math.nan
    return value if abs(value) <= float(np.finfo(np.float32).max) or math.isnan(value) else math.inf


def as_float32(values: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, dict[str, float], list[str]]:
    """Columns f64[N, D] as f32, with the constants subtracted where float32 is too coarse, and notes about these."""
    offsets, notes = {}, []
    for at, name in enumerate(names):
        column, offset = values[:, at], 0.0
        exact, kept = (len(np.unique(column[:COMPARED].astype(dtype))) for dtype in (np.float64, np.float32))
        if kept >= 0.95 * exact:
            continue
        offset = float(np.round(column.mean()))
        shifted = len(np.unique((column[:COMPARED] - offset).astype(np.float32)))
        if shifted > kept:
            values[:, at], offsets[name], kept = column - offset, offset, shifted
            notes.append(f"{offset:.17g} is subtracted from {name}, whose differences float32 would lose")
        if kept < 0.95 * exact:
            notes.append(f"{name} has {exact:,} different values, of which float32 can tell {kept:,} apart")
    return values.astype(np.float32), offsets, notes
