"""Reading arrays: `.npz`, `.npy` and IDX files, and arrays in memory."""

from __future__ import annotations

import contextlib
import gzip
import math
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxnn.data._memory import check_room
from jaxnn.data._own._labels import ReadResult, as_float32, classes_of, text_of
from jaxnn.data._split import Split

INPUTS = {"inputs", "input", "x", "data", "images", "features"}
LABELS = {"labels", "label", "y", "target", "targets", "classes"}
PARTS = {"train": "train", "val": "train", "valid": "train", "validation": "train", "test": "test", "t10k": "test"}
ROWS = 4096
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""The types of numbers by the third byte of an IDX file."""


def read_npz(file: Path) -> ReadResult:
    """Read arrays: `inputs` and `labels`, or `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`.

    Args:
        file: as `numpy.savez` writes it. Inputs are numbers [N, D] or images [N, H, W], [N, H, W, C] or [N, C, H, W];
            labels are whole numbers or text [N] or [N, 1], or one column of 0 and 1 for each class.

    Returns:
        The examples, images of bytes as uint8[N, H, W, C], others f32; rows with NaN or infinity are skipped.

    Raises:
        OSError: there is no such file.
        ValueError: it is damaged, an array is missing, or has the wrong shape or type.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: there is no such file")
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            return _read(str(file), names, lambda name: _load(archive.open(f"{name}.npy"), f"{file}: {name}"))
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, NotImplementedError) as error:
        raise ValueError(f"{file} is damaged or not an .npz file of arrays ({error})") from error


def read_npy(path: Path) -> ReadResult:
    """Read arrays as `read_npz` does, each from a file `NAME.npy` of one folder.

    Args:
        path: the folder, or one of the files.

    Returns, Raises: as `read_npz`.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    folder = path if path.is_dir() else path.parent
    found = {file.stem: file for file in sorted(folder.glob("*.[nN][pP][yY]"))}
    return _read(str(folder), list(found), lambda name: _load(found[name].open("rb"), str(found[name])))


def read_idx(folder: Path) -> ReadResult:
    """Read the IDX files in which MNIST and its successors are published, as they are or compressed by gzip.

    Args:
        folder: with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
            `t10k-labels-idx1-ubyte`, or the same names with `.idx3-ubyte`, and with or without `.gz`.

    Returns, Raises: as `read_npz`.

    Source: http://yann.lecun.com/exdb/mnist (the end of the page describes the format).
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    found = {}
    for file in sorted(folder.iterdir()):
        if match := re.fullmatch(r"(.+)[-.]idx\d-\w+(\.gz)?", file.name):
            found[match[1]] = file
    if not found:
        raise ValueError(
            f"{folder} has no IDX files, such as train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz"
        )
    return _read(str(folder), list(found), lambda name: _load_idx(found[name]))


def read_arrays(arrays: Mapping[str, Any], name: str = "the arrays") -> ReadResult:
    """Read arrays in memory, named as in `read_npz`.

    Args:
        arrays: anything that NumPy takes as arrays, such as those of PyTorch and JAX.
        name: for messages.

    Returns, Raises: as `read_npz`.
    """
    return _read(name, list(arrays), lambda key: np.asarray(arrays[key]))


def _read(file: str, names: Iterable[str], load: Callable[[str], np.ndarray]) -> ReadResult:
    """The examples among arrays by name; only those that are needed are loaded."""
    found: dict[str, list[dict[str, str]]] = {"train": [], "test": []}
    roles: dict[str, dict[str, str]] = {}
    names = list(names)
    if sorted(names) == ["arr_0", "arr_1"]:  # of numpy.savez without names
        roles[""] = {"inputs": "arr_0", "labels": "arr_1"}
    for name in names:
        words = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower().replace("-", "_").split("_")
        part = next((word for word in words if word in PARTS), "")
        rest = [word for word in words if word not in PARTS]
        if len(rest) == 1 and rest[0] in INPUTS | LABELS:
            roles.setdefault(part, {}).setdefault("inputs" if rest[0] in INPUTS else "labels", name)
    for part, pair in roles.items():
        if len(pair) == 2:
            found[PARTS.get(part, "train")].append(pair)
    if not found["train"]:
        raise ValueError(
            f"{file} must have the arrays inputs and labels, x and y, or x_train and y_train; it has {sorted(names)}"
        )
    notes, skipped, total = [], [], 0
    if "arr_0" in roles.get("", {}).values():
        notes.append("arr_0 is taken as the inputs and arr_1 as the labels")
    if joined := [pair["inputs"] for pair in found["train"]][1:]:
        notes.append(f"{', '.join(joined)} are taken as more training examples; validation examples are drawn from all")
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"train": [], "test": []}
    for part, pairs in found.items():
        for pair in pairs:
            inputs = _inputs(file, pair["inputs"], load(pair["inputs"]), notes)
            labels = _labels(file, pair, load(pair["labels"]), len(inputs), notes)
            total += len(inputs)
            finite = _finite(inputs)
            skipped += [f"{pair['inputs']}[{row}] (not finite)" for row in np.flatnonzero(~finite)]
            given = labels != ""
            skipped += [f"{pair['labels']}[{row}] (no label)" for row in np.flatnonzero(finite & ~given)]
            if len(inputs) == 0 and part == "test":
                notes.append(f"{pair['inputs']} has no examples: test examples are drawn from the others")
                continue
            if not finite.any():
                what = (
                    "has no examples"
                    if len(inputs) == 0
                    else f"has no finite example: each of its {len(inputs):,} holds NaN or infinity"
                )
                raise ValueError(f"{file}: {pair['inputs']} {what}")
            if not (finite & given).any():
                raise ValueError(f"{file}: {pair['labels']} has no label")
            kept = finite & given
            parts[part].append((inputs, labels) if kept.all() else (inputs[kept], labels[kept]))
    shapes = {inputs.shape[1:] for pairs in parts.values() for inputs, _ in pairs}
    if len(shapes) > 1:
        raise ValueError(f"{file}: the examples have the shapes {sorted(map(list, shapes))}, expected one")
    every = [pair for pairs in parts.values() for pair in pairs]
    classes, numbers = classes_of(np.concatenate([labels for _, labels in every]))
    inputs, about = np.concatenate([inputs for inputs, _ in every]) if len(every) > 1 else every[0][0], {}
    if inputs.ndim == 2 and inputs.dtype.itemsize >= 4 and inputs.dtype != np.float32:
        title = found["train"][0]["inputs"]
        columns = [f"{title}[:, {at}]" for at in range(inputs.shape[1])]
        inputs, offsets, more = as_float32(inputs.astype(np.float64), columns)
        notes += more
        about = {"offsets": offsets} if offsets else {}
    elif inputs.ndim == 2:
        inputs = inputs.astype(np.float32, copy=False)
    count = sum(len(labels) for _, labels in parts["train"])
    examples = Split(inputs[:count], numbers[:count])
    test = Split(inputs[count:], numbers[count:]) if parts["test"] else None
    return ReadResult(classes, examples, test, tuple(skipped), total, tuple(dict.fromkeys(notes)), about)


def _finite(inputs: np.ndarray) -> np.ndarray:
    """bool[N], whether all numbers of a row are finite in float32; without a copy of the whole."""
    found = np.ones(len(inputs), bool)
    if inputs.dtype.kind == "f":
        for start in range(0, len(inputs), ROWS):
            with np.errstate(over="ignore"):
                rows = inputs[start : start + ROWS].astype(np.float32, copy=False)
            found[start : start + ROWS] = np.isfinite(rows).all(axis=tuple(range(1, inputs.ndim)))
    return found


def _inputs(file: str, name: str, inputs: np.ndarray, notes: list[str]) -> np.ndarray:
    """Numbers [N, D] as they are, or images with channels last: bytes if their values are, otherwise f32."""
    if inputs.dtype == object:
        try:
            inputs = np.array([np.asarray(row, np.float64) for row in inputs])
        except (ValueError, TypeError):
            inputs = np.empty(0, object)
    if inputs.ndim == 1 and inputs.dtype.kind in "fiub":
        inputs = inputs[:, None]
        notes.append(f"{name} is taken as one number for each example")
    if inputs.dtype.kind not in "fiub" or inputs.ndim not in (2, 3, 4) or 0 in inputs.shape[1:]:
        raise ValueError(
            f"{file}: {name} must be numbers [N, D], or images [N, H, W], [N, H, W, C] or [N, C, H, W]; "
            f"got {inputs.dtype}{list(inputs.shape)}"
        )
    if inputs.ndim == 2:
        return inputs
    if inputs.ndim == 3:
        inputs = inputs[..., None]
    _, first, second, last = inputs.shape
    if (first <= 4 < last) or (second == last != first):
        inputs = np.ascontiguousarray(np.moveaxis(inputs, 1, -1))
        notes.append(f"{name} has its channels first: it is taken as {list(inputs.shape[1:])}, channels last")
    if inputs.dtype.kind in "iu" and inputs.size and inputs.min() >= 0 and inputs.max() <= 255:
        return inputs.astype(np.uint8, copy=False)
    with np.errstate(over="ignore"):  # infinite values are skipped later
        return inputs.astype(np.float32)


def _labels(file: str, pair: Mapping[str, str], labels: np.ndarray, count: int, notes: list[str]) -> np.ndarray:
    """Labels as text [N], "" for a missing one."""
    name = pair["labels"]
    if labels.ndim == 2 and labels.shape[1] == 1:
        notes.append(f"{name} of shape {list(labels.shape)} is taken as {list(labels.shape[:1])}")
        labels = labels[:, 0]
    numeric = labels.ndim == 2 and labels.dtype.kind in "fiub" and len(labels) > 0
    if numeric and ((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all():
        notes.append(f"{name} of shape {list(labels.shape)} is one-hot: the column of the 1 is taken as the class")
        labels = labels.argmax(1)
    whole = labels.dtype.kind == "f" and bool((np.isnan(labels) | (labels == np.round(labels))).all())
    if labels.shape != (count,) or not (labels.dtype.kind in "iubUSO" or whole):
        raise ValueError(
            f"{file}: {name} must be whole numbers or text, one for each of the {count} {pair['inputs']}; "
            f"got {labels.dtype}{list(labels.shape)}"
        )
    return np.array([text_of(value) for value in labels.tolist()], dtype=object)


class _Texts(pickle.Unpickler):
    """Reads arrays of objects that are text, bytes and numbers; refuses everything else that a pickle may do."""

    def find_class(self, module: str, name: str) -> Any:
        """Only what NumPy needs to make an array."""
        allowed = {"_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer", "encode"}
        if (module.split(".")[0] == "numpy" or module == "_codecs") and name in allowed:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds {module}.{name}")


def _load(stream: IO[bytes], name: str) -> np.ndarray:
    """An array from an `.npy` file; arrays of objects may hold text, bytes and numbers."""
    with stream:
        with _intact(name):
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
            if dtype.hasobject:
                return np.asarray(_Texts(stream).load())
        check_room(f"{name}, {dtype}{list(shape)}, and its copy in splits", 2 * math.prod(shape) * dtype.itemsize)
        with _intact(name):
            stream.seek(0)
            return np.lib.format.read_array(stream, allow_pickle=False)


@contextlib.contextmanager
def _intact(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ValueError(f"{name} is damaged, or holds more than numbers and text ({error})") from error


def _load_idx(file: Path) -> np.ndarray:
    """An array from an IDX file: 0, 0, type, number of axes, the length of each as a big-endian u32, the numbers."""
    content = file.read_bytes()
    try:
        if file.suffix == ".gz":
            content = gzip.decompress(content)
        dtype, axes = np.dtype(IDX_TYPES[content[2]]), content[3]
        shape = tuple(np.frombuffer(content, ">u4", axes, 4).tolist())
        if content[:2] != bytes(2) or len(content) != 4 + 4 * axes + math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{len(content):,} bytes are not {dtype.name}{list(shape)} and its header")
    except (ValueError, KeyError, IndexError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{file} is damaged or not an IDX file ({error})") from error
    return np.frombuffer(content, dtype, offset=4 + 4 * axes).reshape(shape).astype(dtype.newbyteorder("="))
