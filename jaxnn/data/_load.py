"""`load`: every data set by its name."""

import difflib
import hashlib
import importlib.util
import inspect
import numbers
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn import _files as files
from jaxnn.data import toy
from jaxnn.data._memory import memory
from jaxnn.data._own._labels import ReadResult
from jaxnn.data._split import Dataset, Split, stratified_split
from jaxnn.data._tfds import _cache, _lazy, _records, _source

TOY = {function.__name__: function for function in (toy.circle, toy.spiral, toy.moons, toy.xor, toy.gauss)}
OWN = ("folder", "csv", "parquet", "npz", "npy", "idx")  # kinds of the user's own data, as "folder:PATH"
TEST_FRACTION = 0.2  # of the sets that come without a test split
TEST_SEED, VALIDATION_SEED = 1, 2  # make the two draws independent


def load(
    name: Any,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    validation_share: float = 0.1,
    seed: int = 0,
    label: str | None = None,
    image_size: int | None = None,
    drop: Sequence[str] = (),
    strict: bool = False,
    memory_share: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    **toy_options: Any,
) -> Dataset:
    """Load a data set as NumPy arrays in three disjoint splits.

    - "digits": the 1,797 real 8 x 8 digits of scikit-learn, raw values 0 to 16. A fixed 20 % of each class is the test
      split, the same for every `seed`.
    - "circle", "spiral", "moons", "xor", "gauss": points in the plane, see `jaxnn.data.toy`; `seed` draws the points,
      20 % of each class are the test split.
    - "folder:PATH" (one folder of images per class), "csv:FILE" or "parquet:FILE" (a table; `label` names the column
      of the classes), "npz:FILE", "FILE.npz" or "npy:FOLDER" (arrays), "idx:FOLDER" (the files in which
      MNIST and its successors are published): your own data. A fixed 20 % of each class is the test split, unless there
      is one. Whatever cannot be read is skipped, and a warning lists it; others say what was recognized or changed.
    - a table in memory (of pandas, Polars, Arrow, Hugging Face Datasets, ...) with `label`, or a pair of arrays
      (inputs, labels): likewise.
    - any other name: an image-classification set of TensorFlow Datasets with images of one size ("cifar10",
      "cifar100", "mnist", "cifar10_corrupted/fog_5", ...), in its newest version in `data_dir`, with its own test split
      (its validation split if it has none). CIFAR-10 and CIFAR-100 are downloaded and prepared if needed; other sets
      too if TensorFlow is installed. Decoded arrays are kept in `cache_dir`, and every byte is checked before reuse.

    The validation split is drawn from the training split with `seed`: `round(validation_share * n)` of the n examples
    of each class.

    Args:
        name: One of the above.
        data_dir: Folder of prepared TFDS sets; else $TFDS_DATA_DIR, else ~/tensorflow_datasets.
        cache_dir: Folder for decoded sets; else $JAXNN_CACHE_DIR, else $XDG_CACHE_HOME/jaxnn, else ~/.cache/jaxnn.
        validation_share: Fraction of the training examples to validate on, in [0, 1). With 0 the training inputs of a
            TFDS set stay a read-only memory map.
        seed: Whole number, at least 0; the same seed gives the same splits.
        label: Of a table: the name of the column of the classes.
        image_size: Of "folder:PATH": pixels of each side; by default the images' own size, else 32.
        drop: Of a table: the names of columns to leave out.
        strict: Of your own data: raise an error instead of skipping.
        memory_share: Of a TFDS set: if all its images, decoded, take more than this fraction of the memory, they stay
            on disk as `DiskImages` and are decoded on demand; 0 leaves any such set on disk. By default
            everything is decoded, and a set larger than the memory is an error.
        progress: Of "folder:PATH": called with the number of images read so far, and that of all.
        **toy_options: Of the toy sets: `size` (points in all three splits together), `noise`, `classes`.

    Returns:
        The data set: uint8[N, H, W, C] images or float32[N, D] points, with int32[N] labels.

    Raises:
        TypeError: An argument has the wrong type, or this data set has no such option.
        ValueError: An argument is out of range, the name is unknown, or the set does not consist of labelled images of
            one size in array_record files, or is larger than the memory when decoded.
        ImportError: Preparing the set needs TensorFlow; the message says how.
        OSError: A file is missing or damaged, or a download failed; the message says which and what to do.

    Example:
        >>> digits = load("digits")
        >>> digits.train.inputs.shape, digits.validation.inputs.shape, digits.test.inputs.shape
        ((1295, 8, 8, 1), (143, 8, 8, 1), (359, 8, 8, 1))
        >>> load("spiral", size=300, classes=5).classes
        ('0', '1', '2', '3', '4')
    """
    _check_draw(validation_share, seed)
    own: Any = None
    if isinstance(name, str):
        _check_options(name, toy_options)
    if memory_share is not None and not 0 <= memory_share <= 1:
        raise ValueError(f"memory_share must be from 0 to 1, got {memory_share}")
    options = {"label": label, "image_size": image_size, "drop": tuple(drop), "strict": strict}
    if not isinstance(name, str):
        own, name = _in_memory(name, options), type(name).__name__
    elif name not in TOY:
        own = _own_data(name, options, progress)
    if memory_share == 0 and (own is not None or name in TOY or name == "digits"):
        raise ValueError(
            f"memory_share=0 is for image sets that TFDS has prepared, which can stay on disk; {name!r} cannot"
        )
    if of_user := own is not None:
        dataset = _as_dataset(name, own, strict)
        del own  # its memory, before the next copy
    elif name in TOY:
        points = Split(*TOY[name](seed=seed, **toy_options))
        dataset = _with_test(name, tuple(str(label) for label in range(points.labels.max() + 1)), points)
    elif name == "digits":
        dataset = _digits()
    else:
        dataset = _tfds(name, _source.data_dir(data_dir), files.cache_dir(cache_dir), memory_share)
    if validation_share:
        dataset = _with_validation(dataset, validation_share, seed)
    if of_user:
        _warn_of_leaks(str(name), dataset)
    return dataset


def _with_validation(dataset: Dataset, share: float, seed: int) -> Dataset:
    """Splits the validation split off the training split."""
    kept, held = stratified_split(
        dataset.train.labels,
        share,
        seed=[VALIDATION_SEED, seed],
        classes=dataset.classes,
        setting=f"validation_share={share}",
        advice="choose another share, or load more examples",
    )
    return dataset._replace(train=dataset.train.take(kept), validation=dataset.train.take(held))


def _own_data(
    name: str, options: dict[str, Any], progress: Callable[[int, int], None] | None
) -> tuple[str, ReadResult] | None:
    """The title and content of the user's own data, or None; refuses options that the kind does not have."""
    kind, colon, path = name.partition(":")
    if not (colon and kind in OWN):
        kind, path = ("npz", name) if name.endswith(".npz") else ("", "")
    tables = OWN[1:3]
    for option, kinds in {"label": tables, "image_size": OWN[:1], "drop": tables, "strict": OWN}.items():
        if options[option] and kind not in kinds:
            places = ", ".join(f"{one}:PATH" for one in kinds)
            raise ValueError(f"{option}={options[option]} is for {places}; {name!r} has no such option")
    if (size := options["image_size"]) is not None and size < 1:
        raise ValueError(f"image_size must be at least 1, got {size}")
    if not kind:
        return None
    from jaxnn.data._own import _arrays, _images, _tables

    place = Path(path).expanduser()
    match kind:
        case "folder":
            found = _images.read_folder(place, size, progress)
        case "csv" | "parquet":
            read = _tables.read_csv if kind == "csv" else _tables.read_parquet
            found = read(place, options["label"], options["drop"])
        case _:
            found = {"npz": _arrays.read_npz, "npy": _arrays.read_npy, "idx": _arrays.read_idx}[kind](place)
    return f"{kind}-{place.resolve().stem}", found


def _in_memory(given: Any, options: dict[str, Any]) -> tuple[str, ReadResult]:
    """A table, or a pair or mapping of arrays, as read."""
    from jaxnn.data._own import _arrays, _tables

    if isinstance(given, tuple | list) and len(given) == 2:
        given = dict(zip(("inputs", "labels"), given, strict=True))
    if isinstance(given, dict) and options["label"] is None:
        return "arrays", _arrays.read_arrays(given)
    if not isinstance(given, dict) and not any(hasattr(given, protocol) for protocol in _tables.PROTOCOLS):
        raise TypeError(
            f"name must be a string such as 'cifar10', a table in memory, or a pair of arrays (inputs, labels), got "
            f"{given!r}" + (": collect() it first" if hasattr(given, "collect") else "")
        )
    return "table", _tables.read_table(given, options["label"], options["drop"])


def _as_dataset(name: str, own: tuple[str, ReadResult], strict: bool) -> Dataset:
    title, found = own
    if found.skipped and strict:
        raise ValueError(f"{name}: {found.describe_skipped('cannot be read')}")
    if found.skipped:
        warnings.warn(f"{name}: {found.describe_skipped()}", RuntimeWarning, stacklevel=3)
    for note in found.notes:
        warnings.warn(f"{name}: {note}", UserWarning, stacklevel=3)
    if len(found.classes) < 2:
        raise ValueError(f"{name} must have at least two classes, got {', '.join(found.classes)}")
    if found.test is None:
        dataset = _with_test(title, found.classes, found.examples)
    else:
        dataset = Dataset(title, found.classes, found.examples, found.examples.take(slice(0)), found.test)
    return dataset._replace(about=found.about)


def _warn_of_leaks(name: str, dataset: Dataset) -> None:
    """Warn of images in the test or validation split that are in the training split as well."""
    if dataset.train.inputs.ndim != 4:
        return
    digest = lambda image: hashlib.blake2b(image.tobytes(), digest_size=16).digest()
    seen = set(map(digest, dataset.train.inputs))
    held = {"test": dataset.test, "validation": dataset.validation}
    counts = {part: sum(digest(image) in seen for image in split.inputs) for part, split in held.items()}
    if found := " and ".join(f"{count:,} of the {part} split" for part, count in counts.items() if count):
        warnings.warn(
            f"{name}: images are identical to training images, {found}: accuracies on these say little; remove copies",
            UserWarning,
            stacklevel=3,
        )


def _check_options(name: str, options: dict[str, Any]) -> None:
    possible = [option for option in inspect.signature(TOY[name]).parameters if option != "seed"] if name in TOY else []
    for option in options:
        if option not in possible:
            others = [parameter for parameter in inspect.signature(load).parameters if parameter != "toy_options"]
            close = difflib.get_close_matches(option, possible + others, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"toy sets have some: {', '.join(TOY)}"
            if possible and not close:
                hint = f"it has {', '.join(possible)}"
            raise TypeError(f"{name!r} has no option {option!r}; {hint}")


def _check_draw(validation_share: float, seed: int) -> None:
    if not isinstance(validation_share, numbers.Real) or isinstance(validation_share, bool):
        raise TypeError(f"validation_share must be a number, got {validation_share!r}")
    if not 0 <= validation_share < 1:
        raise ValueError(f"validation_share must be at least 0 and below 1, got {validation_share}")
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool):
        raise TypeError(f"seed must be a whole number, got {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")


def _with_test(name: str, classes: tuple[str, ...], everything: Split) -> Dataset:
    """Splits off the fixed test split of a set that comes in one piece."""
    kept, held = stratified_split(
        everything.labels,
        TEST_FRACTION,
        seed=[TEST_SEED],
        classes=classes,
        setting=f"{TEST_FRACTION} (held out for testing)",
        advice="add examples of it, or leave the class out",
    )
    train = everything.take(kept)
    return Dataset(name, classes, train, train.take(slice(0)), everything.take(held))


def _digits() -> Dataset:
    """The digits, read from scikit-learn's file: importing scikit-learn takes longer than training."""
    sklearn = importlib.util.find_spec("sklearn")
    if sklearn is None or sklearn.origin is None:
        raise ImportError("the digits come with scikit-learn, which is not installed: pip install scikit-learn")
    table = np.loadtxt(Path(sklearn.origin).with_name("datasets") / "data" / "digits.csv.gz", np.uint8, delimiter=",")
    everything = Split(table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1].astype(np.int32))
    return _with_test("digits", tuple("0123456789"), everything)


def _tfds(name: str, data_dir: Path, cache_dir: Path, memory_share: float | None) -> Dataset:
    """The prepared splits: from the cache, else decoded and then cached; left on disk if they take too much memory."""
    if not re.fullmatch(r"[a-z0-9_]+(/[\w.\-]+)?", name):
        raise _unknown(name)
    found = _source.find(name, data_dir)
    if found is None:
        entries = _cache.cache_entries(cache_dir, name)
        if len(entries) > 1:
            raise ValueError(
                f"{name} is not prepared in {data_dir}, and {cache_dir} holds it from {len(entries)} sources: "
                f"{', '.join(str(entry) for entry in entries)}; remove all but one"
            )
        if entries:
            return _read_alone(name, entries[0], data_dir)
        if name.partition("/")[0] not in _source.names():
            raise _unknown(name)
        found = _source.prepare(name, data_dir)
    if memory_share is not None and _records.decoded_bytes(found) > memory_share * memory():
        return _lazy.open_set(found)
    entry = cache_dir / name / found.folder.name / found.fingerprint
    if entry.exists():
        try:
            return _cache.read(entry)
        except OSError as problem:
            warnings.warn(f"{problem}; decoding {found.folder} again", RuntimeWarning, stacklevel=3)
    dataset = _records.decode(found)
    try:
        _cache.write(entry, dataset)
        return _cache.read(entry)
    except OSError as problem:
        warnings.warn(
            f"the decoded {name} cannot be kept in {cache_dir} ({problem}), so it is decoded again on every start; "
            "set cache_dir or JAXNN_CACHE_DIR to a writable folder",
            RuntimeWarning,
            stacklevel=3,
        )
        return dataset


def _read_alone(name: str, entry: Path, data_dir: Path) -> Dataset:
    try:
        return _cache.read(entry)
    except OSError as problem:
        raise OSError(
            f"{problem}, and {name} is not prepared in {data_dir}, so it cannot be decoded again: "
            f"delete {entry} to download {name} again, or copy an intact one to its path"
        ) from None


def _unknown(name: str) -> ValueError:
    suffix = Path(name).suffix.lower()
    kind = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".npz": "npz", ".npy": "npy", ".parquet": "parquet"}.get(
        suffix
    )
    if not kind and name and Path(name).is_dir():
        kind = "idx" if any(Path(name).glob("*idx[0-9]-*")) else "folder"
    if kind:
        return ValueError(f"unknown data set {name!r}; for your own data: '{kind}:{name}'")
    known = ["digits", *TOY, *_source.names()]
    close = difflib.get_close_matches(name.lower(), known, n=3)
    hint = f"did you mean {' or '.join(repr(other) for other in close)}?" if close else f"known are {', '.join(known)}"
    return ValueError(f"unknown data set {name!r}; {hint}")
