"""Find and prepare the data sets of TensorFlow Datasets (TFDS), without TensorFlow.

A prepared set is a folder `<data_dir>/<name>/<version>/` (or `<data_dir>/<name>/<config>/<version>/`) with
`dataset_info.json`, `features.json`, class names, and shards of records. `find` does not import TFDS, so that cached
sets load at once; the other functions import it when called.
"""

import contextlib
import difflib
import hashlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

INFO = "dataset_info.json"
PUBLISHED_AS_IDX = ("mnist", "fashion_mnist", "kmnist")


class Source(NamedTuple):
    """A prepared data set.

    Attributes:
        name: "name" or "name/config".
        folder: The folder of its newest version; the folder's name is the version.
        fingerprint: 16 hex digits that change with the descriptions and with the names and sizes of the shards.
    """

    name: str
    folder: Path
    fingerprint: str


def data_dir(chosen: str | os.PathLike[str] | None = None) -> Path:
    """The folder of prepared sets."""
    return Path(chosen or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def find(name: str, data_dir: Path) -> Source | None:
    """The newest prepared version of a data set."""
    versions = [path.parent for path in (data_dir / name).glob(f"*/{INFO}") if _is_version(path.parent.name)]
    if versions:
        folder = max(versions, key=lambda path: [int(part) for part in path.name.split(".")])
        return Source(name, folder, _fingerprint(folder))
    deeper = [path.parent for path in (data_dir / name).glob(f"*/*/{INFO}")]
    configurations = {path.parent.name for path in deeper if _is_version(path.name)}
    if configurations and "/" not in name:
        raise ValueError(
            f"{name!r} is prepared in {data_dir} as {', '.join(sorted(configurations))}: "
            f"say which, for example {f'{name}/{min(configurations)}'!r}"
        )
    return None


def names() -> list[str]:
    """The names of all data sets that TFDS knows, of any kind."""
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def prepare(name: str, data_dir: Path) -> Source:
    """Download a data set and prepare it as array_record files: CIFAR-10 and CIFAR-100 without TensorFlow."""
    import tensorflow_datasets as tfds

    base, _, configuration = name.partition("/")
    configurations = tfds.builder_cls(base).builder_configs
    if configuration not in (configurations or {"": None}):
        close = difflib.get_close_matches(configuration, configurations, n=1) or list(configurations)[:1]
        raise ValueError(
            f"{base!r} has {len(configurations)} configurations, and {configuration!r} is none of them"
            + "".join(f"; ask for one, for example {f'{base}/{example}'!r}" for example in close)
        )
    try:
        if base in ("cifar10", "cifar100"):
            from jaxnn.data._tfds import _cifar

            _cifar.prepare(base, data_dir)
        else:
            if importlib.util.find_spec("tensorflow") is None:
                raise ImportError(
                    f"{name} is not prepared in {data_dir}, and TFDS needs TensorFlow to prepare it. "
                    + ("A folder with its published files is 'idx:FOLDER'. " if base in PUBLISHED_AS_IDX else "")
                    + f"Run once, here or on another machine: {_command(name, data_dir)}"
                )
            with contextlib.redirect_stdout(sys.stderr):
                tfds.builder(name, data_dir=data_dir, file_format="array_record").download_and_prepare()
    except Exception:
        if find(name, data_dir) is None:  # else another process was faster
            raise
    source = find(name, data_dir)
    if source is None:
        raise OSError(f"{data_dir / name} holds a version without {INFO}: delete that folder and load {name!r} again")
    return source


def how_to_repair(source: Source) -> str:
    """The remedy for an unusable prepared set, as the end of an error message."""
    if source.name in ("cifar10", "cifar100"):
        return f"delete {source.folder} and load {source.name!r} again to prepare it anew"
    data_dir = source.folder.parents[len(Path(source.name).parts)]
    return f"delete {source.folder} and prepare it anew: {_command(source.name, data_dir)}"


def _is_version(text: str) -> bool:
    return re.fullmatch(r"\d+\.\d+\.\d+", text) is not None


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        if path.suffix in (".json", ".txt"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _command(name: str, data_dir: Path) -> str:
    builder = f"tfds.builder({name!r}, data_dir={os.fspath(data_dir)!r}, file_format='array_record')"
    code = f"import tensorflow_datasets as tfds; {builder}.download_and_prepare()"
    return f'pip install tensorflow && python -c "{code}"'
