"""CIFAR from an archive in the original binary format, made here by hand, read back pixel for pixel."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jaxnn.data import load
from jaxnn.data._tfds import _cifar

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
COARSE = [f"coarse_{i}" for i in range(20)]
FINE = [f"fine_{i}" for i in range(100)]


class Made(NamedTuple):
    """What was put into an archive; per split: images [N, 32, 32, 3] and labels [N, labels per image]."""

    archive: _cifar.Archive
    path: Path
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def records(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The format as its author describes it: labels, then 1,024 red, 1,024 green and 1,024 blue bytes, row by row."""
    return b"".join(
        bytes(label.tolist()) + b"".join(bytes(image[:, :, colour].ravel().tolist()) for colour in range(3))
        for image, label in zip(images, labels, strict=True)
    )


def pack(path: Path, folder: str, files: dict[str, bytes]) -> _cifar.Archive:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    content = path.read_bytes()
    return _cifar.Archive(path.as_uri(), len(content), hashlib.sha256(content).hexdigest())


def cifar10_files(rng: np.random.Generator) -> tuple[dict[str, bytes], tuple, tuple]:
    images = rng.integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(70, dtype=np.uint8) % 10)[:, None]
    files = {f"data_batch_{i + 1}.bin": records(images[10 * i :][:10], labels[10 * i :][:10]) for i in range(5)}
    files["test_batch.bin"] = records(images[50:], labels[50:])
    files["batches.meta.txt"] = ("\n".join(CLASSES) + "\n\n").encode()
    files["readme.html"] = b"<html>"
    return files, (images[:50], labels[:50]), (images[50:], labels[50:])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    path = tmp_path_factory.mktemp("original") / "cifar-10-binary.tar.gz"
    files, train, test = cifar10_files(np.random.default_rng(0))
    return Made(pack(path, "cifar-10-batches-bin", files), path, train, test)


@pytest.fixture(scope="module")
def made100(tmp_path_factory) -> Made:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (150, 32, 32, 3), dtype=np.uint8)
    fine = np.arange(150, dtype=np.uint8) % 100
    labels = np.stack([fine // 5, fine], axis=1)
    files = {
        "train.bin": records(images[:100], labels[:100]),
        "test.bin": records(images[100:], labels[100:]),
        "coarse_label_names.txt": "\n".join(COARSE).encode(),
        "fine_label_names.txt": "\n".join(FINE).encode(),
    }
    path = tmp_path_factory.mktemp("original100") / "cifar-100-binary.tar.gz"
    archive = pack(path, "cifar-100-binary", files)
    return Made(archive, path, (images[:100], labels[:100]), (images[100:], labels[100:]))


def pairs(images, labels) -> list[tuple[bytes, int]]:
    """Sorted, since TFDS shuffles what it prepares."""
    return sorted(
        (np.ascontiguousarray(image).tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


def nothing_prepared(data_dir: Path) -> bool:
    """No version, whole or half, and no part of a download."""
    left = [path for path in data_dir.rglob("*") if path.is_file() and path.name != "cifar-10-binary.tar.gz"]
    return not left and not list(data_dir.glob("cifar10/*"))


def test_cifar10_is_read_back_pixel_for_pixel(made, tmp_path):
    _cifar.prepare("cifar10", tmp_path / "tfds", made.archive)
    dataset = load("cifar10", data_dir=tmp_path / "tfds", cache_dir=tmp_path / "cache", validation_share=0)
    assert list(dataset.classes) == CLASSES
    assert dataset.train.inputs.dtype == np.uint8
    assert dataset.train.labels.dtype == np.int32
    assert pairs(*dataset.train) == pairs(made.train[0], made.train[1][:, 0])
    assert pairs(*dataset.test) == pairs(made.test[0], made.test[1][:, 0])


def test_cifar100_has_fine_labels(made100, tmp_path):
    _cifar.prepare("cifar100", tmp_path / "tfds", made100.archive)
    dataset = load("cifar100", data_dir=tmp_path / "tfds", cache_dir=tmp_path / "cache", validation_share=0)
    assert list(dataset.classes) == FINE
    assert pairs(*dataset.train) == pairs(made100.train[0], made100.train[1][:, 1])
    assert pairs(*dataset.test) == pairs(made100.test[0], made100.test[1][:, 1])
    features: Any = tfds.builder("cifar100", data_dir=tmp_path / "tfds").info.features
    assert features["coarse_label"].names == COARSE


@pytest.mark.parametrize(("name", "pixels"), [("cifar10", "made"), ("cifar100", "made100")])
def test_tfds_reads_what_we_prepared(name, pixels, tmp_path, request):
    original: Made = request.getfixturevalue(pixels)
    _cifar.prepare(name, tmp_path, original.archive)
    assert (tmp_path / name / "3.0.2" / "dataset_info.json").exists()
    for split, (images, labels) in (("train", original.train), ("test", original.test)):
        examples = list(tfds.data_source(name, split=split, data_dir=tmp_path))
        read = pairs([e["image"] for e in examples], [e["label"] for e in examples])
        assert read == pairs(images, labels[:, -1])
        for example in examples:  # the id tells the place in the archive
            place = int(example["id"].decode().removeprefix(f"{split}_"))
            np.testing.assert_array_equal(example["image"], images[place])


@pytest.mark.parametrize(("name", "size"), [("cifar10", 170_052_171), ("cifar100", 168_513_733)])
def test_the_registered_archive_is_the_binary_version(name, size):
    archive = _cifar.registered(name)
    assert archive.url == f"https://www.cs.toronto.edu/~kriz/cifar-{name.removeprefix('cifar')}-binary.tar.gz"
    assert archive.size == size
    assert len(archive.sha256) == 64


def test_an_archive_put_there_by_hand_is_used(made, tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / made.path.name).write_bytes(made.path.read_bytes())
    _cifar.prepare("cifar10", tmp_path, made.archive._replace(url="http://127.0.0.1:9/cifar-10-binary.tar.gz"))
    assert len(tfds.data_source("cifar10", split="test", data_dir=tmp_path)) == 20


DAMAGES = {
    "truncated": lambda content: content[:-100],
    "emptied": lambda content: b"",
    "longer": lambda content: content + b"\0",
    "one bit flipped": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_damaged_archive_is_named_and_refused(made, damage, by_hand, tmp_path):
    where = tmp_path / "tfds" / "downloads" if by_hand else tmp_path / "server"
    where.mkdir(parents=True)
    path = where / made.path.name
    path.write_bytes(DAMAGES[damage](made.path.read_bytes()))
    told = "SHA-256 .* instead of" if damage == "one bit flipped" else "bytes instead of"
    with pytest.raises(OSError, match=f"{path}.*{told}"):
        _cifar.prepare("cifar10", tmp_path / "tfds", made.archive._replace(url=path.as_uri()))
    assert nothing_prepared(tmp_path / "tfds")


def test_without_a_network_the_error_is_one_line_with_url_and_place(made, tmp_path):
    url = "http://127.0.0.1:9/cifar-10-binary.tar.gz"
    with pytest.raises(ConnectionError) as caught:
        _cifar.prepare("cifar10", tmp_path, made.archive._replace(url=url))
    assert url in str(caught.value)
    assert str(tmp_path / "downloads" / "cifar-10-binary.tar.gz") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert nothing_prepared(tmp_path)


def test_load_downloads_what_is_not_prepared(made, tmp_path, monkeypatch):
    monkeypatch.setattr(_cifar, "registered", lambda name: {"cifar10": made.archive}[name])
    dataset = load("cifar10", data_dir=tmp_path / "tfds", cache_dir=tmp_path / "cache", validation_share=0.2)
    np.testing.assert_array_equal(np.bincount(dataset.validation.labels), [1] * 10)
    assert len(dataset.train.labels) == 40


@pytest.mark.parametrize("lost", ["data_batch_3.bin", "test_batch.bin", "batches.meta.txt"])
def test_an_archive_without_a_file_leaves_nothing_prepared(lost, tmp_path):
    files, *_ = cifar10_files(np.random.default_rng(0))
    del files[lost]
    archive = pack(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", files)
    with pytest.raises(OSError, match=f"does not contain {lost}"):
        _cifar.prepare("cifar10", tmp_path / "tfds", archive)
    assert nothing_prepared(tmp_path / "tfds")


def test_an_archive_of_broken_records_leaves_nothing_prepared(tmp_path):
    files, *_ = cifar10_files(np.random.default_rng(0))
    files["test_batch.bin"] = files["test_batch.bin"][:-1]
    archive = pack(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", files)
    with pytest.raises(Exception, match="reshape"):
        _cifar.prepare("cifar10", tmp_path / "tfds", archive)
    assert nothing_prepared(tmp_path / "tfds")
