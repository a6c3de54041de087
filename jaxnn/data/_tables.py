"""Reading tables: CSV and Parquet files, and tables in memory, all through Apache Arrow."""

from __future__ import annotations

import collections
import contextlib
import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.data._read import ReadResult, as_float32, classes_of, number_of, text_of
from jaxnn.data._split import Split

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
PROTOCOLS = ("__arrow_c_stream__", "__dataframe__", "with_format")
"""One of these names makes an object a table."""
MOST_VALUES = 20
"""A column of text with at most so many different values is encoded as one input for each."""
_EUROPEAN = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
_WITH_UNIT = re.compile(r"[+-]?[$€£¥] ?[\d.,]+|[+-]?[\d.,]+ ?[%€£]")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


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
    columns = {str(key): _values(name, str(key), table[key], named.get(key)) for key in table.column_names}
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


def _values(table: str, name: str, column: Any, names: Sequence[str] | None) -> np.ndarray:
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
                f"{table}: the lists of column {name} are no numbers of one length; {_drop(name)}"
            ) from error
    if types.is_struct(kind) or types.is_map(kind):
        raise ValueError(f"{table}: column {name} holds {kind}, no numbers or text; {_drop(name)}")
    return np.array(values, dtype=object)


def _file(bytes: bytes | None = None, path: str | None = None, **_: Any) -> bytes | None:
    """The content of an image in a table, which is there or in a file."""
    return Path(path).read_bytes() if bytes is None and path and Path(path).is_file() else bytes


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
        raise ValueError(f"{table}: the label must be one of its columns, {', '.join(columns)}; got {label}")
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
        if _is_images(column):
            images, missing[name] = column, np.array([value is None for value in column], bool)
            continue
        values, titles, lost = _encode(table, name, column, notes)
        inputs.append(values)
        names += titles
        missing[name] = lost
    wrong = np.zeros(len(labels), bool)
    for name, lost in missing.items():
        if lost.mean() > 0.5:
            raise ValueError(
                f"{table}: column {name} must hold numbers; {lost.sum():,} of its {len(lost):,} values are missing or "
                f"no numbers; {_drop(name)}, or fill them in"
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
        return _decode(table, images[kept], classes, numbers, left_out, total, notes)
    if not inputs:
        raise ValueError(f"{table} needs at least one column besides {label}")
    found, offsets, more = as_float32(np.concatenate(inputs, axis=1)[kept], names)
    about: dict[str, Any] = {"columns": names} | ({"offsets": offsets} if offsets else {})
    return ReadResult(classes, Split(found, numbers), None, left_out, total, (*notes, *more), about)


def _encode(table: str, name: str, column: np.ndarray, notes: list[str]) -> tuple[np.ndarray, list[str], np.ndarray]:
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
            f"input each; it has {len(kinds):,}, such as {shown}; {_drop(name)}"
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


def _is_images(column: np.ndarray) -> bool:
    first = next((value for value in column.tolist() if value is not None), None) if column.dtype == object else None
    return isinstance(first, bytes) and not first.isascii()


def _decode(
    table: str,
    images: np.ndarray,
    classes: tuple[str, ...],
    labels: np.ndarray,
    skipped: tuple[str, ...],
    total: int,
    notes: list[str],
) -> ReadResult:
    from jaxnn.data._images import SIZE, read_image

    read = [read_image(io.BytesIO(content)) for content in images.tolist()]
    sizes = {image.size for image in read}
    if len(sizes) > 1:
        read = [read_image(io.BytesIO(content), (SIZE, SIZE)) for content in images.tolist()]
    pixels = np.stack([np.asarray(image) for image in read])
    if (pixels == pixels[..., :1]).all():
        pixels = np.ascontiguousarray(pixels[..., :1])
    return ReadResult(classes, Split(pixels, labels), None, skipped, total, tuple(notes))


def _drop(name: str) -> str:
    return f"leave it out with drop={name!r} (--drop {name!r})"
