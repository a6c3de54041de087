"""Reading tables: CSV and Parquet files, and tables in memory, all through Apache Arrow."""

from __future__ import annotations

import collections
import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.data._own._columns import advice_to_drop, decode, encode, is_images, values_of
from jaxnn.data._own._labels import ReadResult, as_float32, classes_of, text_of
from jaxnn.data._split import Split

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
PROTOCOLS = ("__arrow_c_stream__", "__dataframe__", "with_format")
"""One of these names makes an object a table."""


def read_csv(file: Path, label: str | None, drop: Sequence[str] = ()) -> ReadResult:
    """Read a table with a column of classes; the other columns hold numbers, or text with few different values.

    Commas, semicolons, tabs or bars separate the columns; numbers may have decimal commas and thousands separators. A
    column of text becomes one input of 0 or 1 for each of its values, one of dates (2024-12-31, also with a time) the
    seconds since 1970; signs of a unit ($, €, £, ¥, %) are left out. Numbers so far from zero that float32 would lose
    their differences are shifted.

    Args:
        file: UTF-8, also compressed by gzip, with a header line, before which there may be comments (#).
        label: the name of the column of the classes.
        drop: columns to leave out.

    Returns:
        The examples f32[N, inputs], in the order of the file; rows with a missing value (empty, NA, nan, null), without
        a class or of the wrong length are skipped. Classes are sorted, as numbers if all are numbers, else as text.

    Raises:
        OSError: there is no such file.
        ValueError: the label is not a column, a column has too many different texts or too few values, names repeat, or
            no row is left.
    """
    import pyarrow as pa
    import pyarrow.csv

    content = file.read_bytes()
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is damaged ({error})") from error
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not a CSV table in UTF-8 ({error}): save it as one") from error
    notes, first = [], 0
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if re.match(r'"?sep=.', text):  # a hint that Excel writes
        text, first = text.partition("\n")[2], 1
    while text.startswith("#") and label not in re.split(
        r"[,;\t|]", text.partition("\n")[0]
    ):  # comments before the header
        text, first = text.partition("\n")[2], first + 1
    names, separator, used = _header(file, text, label)
    if separator != ",":
        notes.append(f"{file.name} is separated by {SEPARATORS[separator]}")
    wrong: list[tuple[int, str, str]] = []

    def note(row: Any) -> str:
        wrong.append((row.number, f"{row.actual_columns} values for {row.expected_columns} columns", row.text))
        return "skip"

    body = "".join(text.split("\n", used)[used:])
    table = pa.table({name: pa.array([], pa.string()) for name in names})
    try:
        if body.strip("\n"):
            table = pyarrow.csv.read_csv(
                io.BytesIO(body.encode()),
                read_options=pyarrow.csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=max(2**20, len(body))
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=separator, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=note
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            )
    except pa.ArrowException as error:
        raise ValueError(f"{file} is not a CSV table ({error})") from error
    columns = {name: np.asarray(table[name].to_pylist(), dtype=object) for name in names}
    numbers = np.setdiff1d(np.arange(1, table.num_rows + len(wrong) + 1), [number for number, _, _ in wrong])
    breaks = np.zeros(table.num_rows + len(wrong) + 2, int)  # line breaks within the values of a row
    breaks[numbers] = sum(np.array([value.count("\n") for value in column], int) for column in columns.values())
    for number, _, row in wrong:
        breaks[number] = row.count("\n")
    lines = first + used + np.arange(len(breaks)) + np.concatenate([[0], np.cumsum(breaks)[:-1]])
    blank = np.array([not "".join(row).strip() for row in zip(*columns.values(), strict=True)], bool)
    for name in [name for name in names if name.startswith("column ") and not "".join(columns[name]).strip()]:
        del columns[name]  # a separator at the end of every line
    columns = {name: column[~blank] for name, column in columns.items()}
    skipped = [(int(lines[number]), f"row {lines[number]} ({why})") for number, why, _ in wrong]
    return _to_examples(str(file), columns, label, drop, lines[numbers][~blank], skipped, notes)


def read_parquet(file: Path, label: str | None, drop: Sequence[str] = ()) -> ReadResult:
    """Read a Parquet file, or a folder of these, as `read_csv` reads a table; images as files (bytes) are images."""
    import pyarrow as pa
    import pyarrow.parquet

    if not file.exists():
        raise FileNotFoundError(f"{file}: there is no such file")
    try:
        table = pyarrow.parquet.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file} is damaged or not a Parquet file ({error})") from error
    return read_table(table, label, drop, str(file))


def read_table(table: Any, label: str | None, drop: Sequence[str] = (), name: str = "the table") -> ReadResult:
    """Read a table in memory, of pandas, Polars, Arrow, Hugging Face Datasets, ..., or a mapping, as `read_parquet`."""
    import pyarrow as pa

    parts = table.values() if issubclass(type(table), dict) else ()
    if any(hasattr(part, "column_names") for part in parts):
        raise TypeError(f"{name} consists of the tables {', '.join(map(str, table))}: hand over one of them")
    named: dict[str, Sequence[str]] = {}
    if hasattr(table, "with_format") and hasattr(table, "num_rows"):  # Hugging Face Datasets
        named = {key: kind.names for key, kind in table.features.items() if hasattr(kind, "names")}
        table = table.with_format("arrow")[:]
    elif hasattr(table, "reset_index"):  # pandas, whose index is no input
        table = table.reset_index(drop=True)
    label, drop, table = None if label is None else str(label), [str(each) for each in drop], _to_arrow(table)
    columns = {str(key): values_of(name, str(key), table[key], named.get(key)) for key in table.column_names}
    if label in columns and (pa.types.is_boolean(table[label].type) or pa.types.is_temporal(table[label].type)):
        columns[label] = np.array(table[label].to_pylist(), dtype=object)  # as text, such as True
    return _to_examples(name, columns, label, drop, np.arange(table.num_rows), [], [])


def _to_arrow(table: Any) -> Any:
    """The table as a `pyarrow.Table`; columns of types that Arrow lacks, and of several types, as text."""
    import pyarrow as pa
    import pyarrow.interchange

    if hasattr(table, "__dataframe__") and not hasattr(table, "__arrow_c_stream__"):
        return pyarrow.interchange.from_dataframe(table)
    if not issubclass(type(table), dict) and not hasattr(table, "__arrow_c_stream__"):
        raise TypeError(f"{type(table).__name__} is no table in memory: collect its rows first")
    try:
        return pa.table(table)
    except (pa.ArrowException, TypeError) as error:
        if not hasattr(table, "columns"):
            raise TypeError(f"{type(table).__name__} is no table with columns ({error})") from error
    columns = {str(name): np.asarray(table[name]) for name in table.columns}
    texts = {name: [text_of(value) for value in values.tolist()] for name, values in columns.items()}
    return pa.table({name: each if each.dtype.kind in "fiubM" else texts[name] for name, each in columns.items()})


def _header(file: Path, text: str, label: str | None) -> tuple[list[str], str, int]:
    """The names of the columns, the separator, and the number of lines that the header takes."""
    found = []
    for separator in SEPARATORS:
        reader = csv.reader(io.StringIO(text), delimiter=separator)
        try:
            names = [name.strip() for name in next((row for row in reader if row), [])]
            used = reader.line_num
            widths = [len(row) for _, row in zip(range(20), reader, strict=False) if row]
        except csv.Error as error:
            raise ValueError(f"{file} is not a CSV table ({error})") from error
        fitting = sum(width == len(names) for width in widths) / max(1, len(widths))
        found.append((label in names, len(names) > 1, fitting > 0.5, len(names), separator, names, used))
    *_, separator, names, used = max(found, key=lambda one: one[:4])
    names = [name or f"column {at}" for at, name in enumerate(names, start=1)]
    repeated = [name for name, count in collections.Counter(names).items() if count > 1]
    if len(names) < 2 or repeated:
        raise ValueError(f"{file} needs at least two columns, each with a unique name; got {', '.join(names)}")
    return names, separator, used


def _to_examples(
    table: str,
    columns: dict[str, np.ndarray],
    label: str | None,
    drop: Sequence[str],
    rows: np.ndarray,
    skipped: list[tuple[int, str]],
    notes: list[str],
) -> ReadResult:
    """Inputs and classes from columns; `rows` are the numbers of the rows in messages."""
    if label is None or label not in columns:
        names = ", ".join(columns)
        raise ValueError(f"{table}: the label must be one of its columns, {names}; got {label} (label=, --label NAME)")
    if unknown := [name for name in drop if name not in columns or name == label]:
        raise ValueError(f"{table}: drop={unknown[0]} must be a column other than the label, {', '.join(columns)}")
    labels = np.array([text_of(value) for value in columns[label].tolist()], dtype=object)
    if not len(labels):
        raise ValueError(f"{table} has no rows")
    images, inputs, names = None, [], []
    missing: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        if name == label or name in drop:
            continue
        if is_images(column):
            images, missing[name] = column, np.array([value is None for value in column], bool)
            continue
        values, titles, lost = encode(table, name, column, notes)
        inputs.append(values)
        names += titles
        missing[name] = lost
    wrong = np.zeros(len(labels), bool)
    for name, lost in missing.items():
        if lost.mean() > 0.5:
            raise ValueError(
                f"{table}: column {name} must hold numbers; {lost.sum():,} of its {len(lost):,} values are missing or "
                f"no numbers; {advice_to_drop(name)}, or fill them in"
            )
        wrong |= lost
    unlabeled = labels == ""
    for at in np.flatnonzero(wrong | unlabeled):
        lacking = [name for name, lost in missing.items() if lost[at]]
        what = "value" if any(f"{name}=" in title for name in lacking for title in names) else "number"
        why = f"no {what} in {', '.join(lacking)}" if lacking else f"no {label}"
        skipped.append((int(rows[at]), f"row {rows[at]} ({why})"))
    kept = ~(wrong | unlabeled)
    if not kept.any():
        raise ValueError(f"{table} has no row of numbers with a {label}")
    classes, numbers = classes_of(labels[kept])
    vanished = sorted(set(classes_of(labels[~unlabeled])[0]) - set(classes))
    if vanished:
        notes.append(f"no row is left of the classes {', '.join(vanished)}")
    if len(classes) > max(20, len(numbers) // 2):
        raise ValueError(
            f"{table}: {label} has {len(classes):,} different values in {len(numbers):,} rows: these are no classes; "
            f"choose another label, or group them"
        )
    total = len(labels) + sum(1 for at, _ in skipped if at not in set(rows.tolist()))
    left_out = tuple(text for _, text in sorted(skipped))
    if images is not None:
        return decode(table, images[kept], classes, numbers, left_out, total, notes)
    if not inputs:
        raise ValueError(f"{table} needs at least one column besides {label}")
    found, offsets, more = as_float32(np.concatenate(inputs, axis=1)[kept], names)
    about: dict[str, Any] = {"columns": names} | ({"offsets": offsets} if offsets else {})
    return ReadResult(classes, Split(found, numbers), None, left_out, total, (*notes, *more), about)
