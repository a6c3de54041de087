"""CIFAR-10 and CIFAR-100 prepared for TFDS from the original archive, without TensorFlow.

The builders are TFDS's own, except for the two steps that need TensorFlow: `tarfile` reads the archive, and Pillow
encodes the images as PNG. They write the standard layout (`cifar10/3.0.2/`, array_record), so
`tfds.data_source("cifar10")` reads it too.

In the archive a binary file is a row of records: one label byte (for CIFAR-100 two, coarse and fine), then 3,072
bytes, the red, green and blue planes of a 32 x 32 image in turn, each row by row.

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html
"""

import contextlib
import hashlib
import http.client
import io
import sys
import tarfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tensorflow_datasets.image_classification import cifar as stock

TIMEOUT = 30  # seconds without a byte


class Archive(NamedTuple):
    """The address of an archive, and the size and checksum of an intact copy."""

    url: str
    size: int
    sha256: str


class Cifar10(stock.Cifar10, skip_registration=True):
    """TFDS's builder, reading the archive at `archive_path` with plain Python."""

    name = "cifar10"

    def __init__(self, *, archive_path: Path, **options: Any):
        super().__init__(**options)
        self._archive_path = archive_path

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # it waits long without a network; `_fetch` does not
        about = self._cifar_info
        with tarfile.open(self._archive_path) as archive:
            files = {Path(member.name).name: _content(archive, member) for member in archive if member.isfile()}
        missing = {*about.train_files, *about.test_files, *about.label_files} - set(files)
        if missing:
            raise OSError(f"{self._archive_path} does not contain {', '.join(sorted(missing))}")
        features: Any = self.info.features
        for key, file in zip(about.label_keys, about.label_files, strict=True):
            features[key].names = [line for line in files[file].decode().splitlines() if line]
        return {
            split: self._examples(f"{split}_", b"".join(files[name] for name in chosen))
            for split, chosen in (("train", about.train_files), ("test", about.test_files))
        }

    def _examples(self, prefix: str, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
        keys = self._cifar_info.label_keys
        records = np.frombuffer(content, np.uint8).reshape(-1, len(keys) + 3072)
        for index, record in enumerate(records):
            image = record[len(keys) :].reshape(3, 32, 32).transpose(1, 2, 0)
            png = io.BytesIO()
            Image.fromarray(np.ascontiguousarray(image)).save(png, "PNG")
            labels = dict(zip(keys, record[: len(keys)].tolist(), strict=True))
            yield index, {**labels, "id": f"{prefix}{index:05d}", "image": png.getvalue()}


class Cifar100(Cifar10, stock.Cifar100, skip_registration=True):
    """As `Cifar10`, with the files and features of TFDS's Cifar100."""

    name = "cifar100"


def registered(name: str) -> Archive:
    """The original archive of "cifar10" or "cifar100", with the size and checksum that TFDS has registered."""
    builder = {"cifar10": stock.Cifar10, "cifar100": stock.Cifar100}[name]
    ((url, known),) = builder.url_infos.items()
    return Archive(url, int(known.size), known.checksum)


def prepare(name: str, data_dir: Path, archive: Archive | None = None) -> None:
    """Downloads and prepares "cifar10" or "cifar100", from the registered archive by default; keeps what exists.

    The archive stays in `<data_dir>/downloads`, where a copy placed by hand is used like a downloaded one.
    """
    path = _fetch(archive or registered(name), data_dir / "downloads")
    builder = {"cifar10": Cifar10, "cifar100": Cifar100}[name](
        archive_path=path, data_dir=data_dir, file_format="array_record"
    )
    with contextlib.redirect_stdout(sys.stderr):
        builder.download_and_prepare(download_dir=data_dir / "downloads")


def _fetch(archive: Archive, folder: Path) -> Path:
    """The path of the intact archive in `folder`, downloaded unless it is there already."""
    path = folder / archive.url.rpartition("/")[2]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{path.name}.{uuid.uuid4().hex}.part"
        try:
            _download(archive, part, path)
            _check(archive, part, f"{archive.url} gave a damaged file")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    _check(archive, path, f"{path} is damaged: delete it to download it again, or replace it")
    return path


def _download(archive: Archive, part: Path, path: Path) -> None:
    print(f"downloading {archive.url} ({archive.size / 1e6:.0f} MB)", file=sys.stderr)
    try:
        with urllib.request.urlopen(archive.url, timeout=TIMEOUT) as response, part.open("wb") as file:
            got, reported = 0, time.monotonic()
            while block := response.read(1 << 20):
                file.write(block)
                got += len(block)
                if time.monotonic() - reported > 2:
                    reported = time.monotonic()
                    print(f"{got / 1e6:.0f} of {archive.size / 1e6:.0f} MB", file=sys.stderr)
    except (OSError, http.client.HTTPException) as problem:
        raise ConnectionError(
            f"cannot download {archive.url} ({problem}); without a network, put that file at {path} by hand"
        ) from None


def _check(archive: Archive, path: Path, complaint: str) -> None:
    size = path.stat().st_size
    if size != archive.size:
        raise OSError(f"{complaint} ({size:,} bytes instead of {archive.size:,})")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != archive.sha256:
        raise OSError(f"{complaint} (SHA-256 {digest} instead of {archive.sha256})")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""
