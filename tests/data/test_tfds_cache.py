"""The cache of decoded sets: every damage is found, no half is accepted, the right source is used.

A prepared set is stood in for by a folder with a description, and decoding by a function that counts its calls.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from jaxnn import _files
from jaxnn.data import Dataset, Split, load
from jaxnn.data._tfds import _cache, _records, _source

FILES = ["manifest.json", "train_inputs.npy", "train_labels.npy", "test_inputs.npy", "test_labels.npy"]


def example(seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    labels = (np.arange(60) % 3).astype(np.int32)
    train, test = Split(inputs[:45], labels[:45]), Split(inputs[45:], labels[45:])
    return Dataset("made_up", ("dog", "cat", "ünï"), train, Split(inputs[:0], labels[:0]), test)


def equal(first: Dataset, second: Dataset) -> bool:
    arrays = zip(
        first.train + first.validation + first.test, second.train + second.validation + second.test, strict=True
    )
    return first[:2] == second[:2] and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays)


class World:
    """Folders, and the set that decoding gives."""

    def __init__(self, folder: Path):
        self.data_dir, self.cache_dir, self.decoded = folder / "tfds", folder / "cache", []
        self.prepare("shard 1")

    def prepare(self, content: str) -> None:
        (self.data_dir / "made_up" / "1.0.0").mkdir(parents=True, exist_ok=True)
        (self.data_dir / "made_up" / "1.0.0" / "dataset_info.json").write_text(content)

    def decode(self, found: _source.Source) -> Dataset:
        self.decoded.append(found)
        return example()

    def load(self, **options) -> Dataset:
        return load("made_up", data_dir=self.data_dir, cache_dir=self.cache_dir, **{"validation_share": 0, **options})

    def entry(self) -> Path:
        (entry,) = _cache.cache_entries(self.cache_dir, "made_up")
        return entry


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(_records, "decode", made.decode)
    return made


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"}"),
    "first bit": lambda path: flip(path, 0),
    "middle bit": lambda path: flip(path, 0.51),
    "last bit": lambda path: flip(path, 1),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_and_the_entry_made_again(world, name, damage):
    world.load()
    DAMAGES[damage](world.entry() / name)
    with pytest.warns(RuntimeWarning, match=rf"{world.entry() / name} is (damaged|missing).*decoding"):
        again = world.load()
    assert equal(again, example())
    assert len(world.decoded) == 2
    assert equal(world.load(), example())
    assert len(world.decoded) == 2


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_without_a_source_is_an_error_that_names_the_file(world, name, damage):
    world.load()
    shutil.rmtree(world.data_dir)
    DAMAGES[damage](world.entry() / name)
    with pytest.raises(OSError, match=rf"{world.entry() / name} is (damaged|missing).*delete {world.entry()}"):
        world.load()


def test_every_bit_of_every_array_file_counts(world):
    world.load()
    for name in FILES[1:]:
        path = world.entry() / name
        content = path.read_bytes()
        for place in np.random.default_rng(0).integers(0, len(content), 40):
            path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
            with pytest.raises(OSError, match="checksum"):
                _cache.read(world.entry())
        path.write_bytes(content)
    assert equal(_cache.read(world.entry()), example())


def test_damage_in_a_later_block_is_found(world, monkeypatch):
    monkeypatch.setattr(_cache, "BLOCK", 100)
    world.load()
    flip(world.entry() / "train_inputs.npy", 0.9)
    with pytest.raises(OSError, match="checksum"):
        _cache.read(world.entry())


def test_a_manifest_that_lies_consistently_about_classes_is_found(world):
    world.load()
    path = world.entry() / "manifest.json"
    path.write_text(path.read_text().replace('"cat"', '"cut"'))
    with pytest.raises(OSError, match=r"manifest\.json is damaged"):
        _cache.read(world.entry())


def test_another_format_is_not_read(world, monkeypatch):
    monkeypatch.setattr(_cache, "FORMAT", 2)
    world.load()
    monkeypatch.undo()
    with pytest.raises(OSError, match=r"format 2, .* reads format 1"):
        _cache.read(world.entry())


def test_second_load_decodes_nothing_and_maps_memory(world):
    first, second = world.load(), world.load()
    assert len(world.decoded) == 1
    assert equal(first, second)
    assert equal(first, example())
    assert isinstance(second.train.inputs, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        second.train.inputs[0] = 0
    manifest = json.loads((world.entry() / "manifest.json").read_text())["content"]
    assert manifest["files"]["train_inputs.npy"]["shape"] == [45, 4, 4, 3]
    assert manifest["files"]["test_labels.npy"]["dtype"] == "int32"


def test_a_changed_source_is_decoded_anew(world):
    world.load()
    world.prepare("shard 2")
    world.load()
    assert len(world.decoded) == 2
    assert len(_cache.cache_entries(world.cache_dir, "made_up")) == 2
    world.prepare("shard 1")
    world.load()
    assert len(world.decoded) == 2


def test_a_shard_of_another_size_is_another_source(world):
    shard = world.data_dir / "made_up" / "1.0.0" / "made_up-train.array_record-00000-of-00001"
    shard.write_bytes(b"1")
    before = _source.find("made_up", world.data_dir)
    shard.write_bytes(b"12")
    after = _source.find("made_up", world.data_dir)
    assert before is not None
    assert after is not None
    assert before.fingerprint != after.fingerprint


def test_the_newest_version_is_used(world):
    shutil.copytree(world.data_dir / "made_up" / "1.0.0", world.data_dir / "made_up" / "1.10.0")
    shutil.copytree(world.data_dir / "made_up" / "1.0.0", world.data_dir / "made_up" / "1.9.0")
    world.load()
    assert world.decoded[0].folder.name == "1.10.0"
    assert world.entry().parent.name == "1.10.0"


def test_two_sources_without_either_are_not_guessed_between(world):
    world.load()
    world.prepare("shard 2")
    world.load()
    shutil.rmtree(world.data_dir)
    with pytest.raises(ValueError, match=r"from 2 sources.*remove all but one"):
        world.load()


def test_a_carried_cache_needs_no_source_no_tfds_no_jax(world, tmp_path):
    whole = world.load(validation_share=0.2, seed=3)
    carried = tmp_path / "elsewhere"
    shutil.move(world.cache_dir, carried)
    shutil.rmtree(world.data_dir)
    code = f"""
import sys
for name in ("tensorflow_datasets", "array_record", "sklearn", "PIL", "tensorflow", "jax"):
    sys.modules[name] = None  # importing it raises
import numpy as np
from jaxnn.data import load
dataset = load("made_up", data_dir="/nowhere", cache_dir={str(carried)!r}, validation_share=0.2, seed=3)
np.savez({str(tmp_path / "read.npz")!r}, *dataset.train, *dataset.validation, *dataset.test)
print(ascii(dataset.classes))
"""
    root = Path(_cache.__file__).parents[3]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ascii(whole.classes)
    with np.load(tmp_path / "read.npz") as read:
        for array, other in zip(whole.train + whole.validation + whole.test, read.values(), strict=True):
            np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_an_interrupted_writer_leaves_nothing(world, monkeypatch, stop):
    save = np.save

    def interrupted(path, array):
        if Path(path).name == "test_inputs.npy":
            raise stop("stopped here")
        save(path, array)

    monkeypatch.setattr(np, "save", interrupted)
    entry = world.cache_dir / "made_up" / "1.0.0" / "0123456789abcdef"
    with pytest.raises(stop, match="stopped here"):
        _cache.write(entry, example())
    assert list(entry.parent.iterdir()) == []


def test_what_a_killed_writer_left_is_ignored_and_later_removed(world):
    whole = world.load()
    left = world.entry().with_name(f".{world.entry().name}.0123.tmp")
    world.entry().rename(left)
    assert _cache.cache_entries(world.cache_dir, "made_up") == []
    assert equal(world.load(), whole)
    assert len(world.decoded) == 2
    assert left.exists()  # it might still be written
    old = time.time() - 2 * 24 * 3600
    os.utime(left, (old, old))
    _cache.write(world.entry().with_name("f" * 16), example())
    assert not left.exists()


def test_many_writers_of_one_entry(tmp_path):
    entry = tmp_path / "made_up" / "1.0.0" / ("a" * 16)
    for damaged in (False, True):
        if damaged:
            flip(entry / "train_inputs.npy", 0.5)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: _cache.write(entry, example()), range(24)))
        assert equal(_cache.read(entry), example())
        assert list(entry.parent.iterdir()) == [entry]


def test_an_entry_that_another_process_puts_and_moves_meanwhile_is_written_again(tmp_path, monkeypatch):
    entry = tmp_path / "made_up" / "1.0.0" / ("a" * 16)
    rename, refused = Path.rename, []

    def busy(path, target):
        if target == entry and not refused:  # there was one, and it is gone again
            refused.append(OSError(errno.ENOTEMPTY, "Directory not empty"))
            raise refused[0]
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", busy)
    _cache.write(entry, example())
    assert refused
    assert equal(_cache.read(entry), example())


def test_a_cache_that_cannot_be_written_is_done_without(world):
    world.cache_dir.write_text("a file where the folder should be")
    with pytest.warns(RuntimeWarning, match=f"cannot be kept in {world.cache_dir}.*JAXNN_CACHE_DIR"):
        dataset = world.load()
    assert equal(dataset, example())
    assert world.cache_dir.read_text() == "a file where the folder should be"


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("JAXNN_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert _files.cache_dir(None) == tmp_path / ".cache" / "jaxnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert _files.cache_dir(None) == Path("/xdg/jaxnn")
    monkeypatch.setenv("JAXNN_CACHE_DIR", "/own")
    assert _files.cache_dir(None) == Path("/own")
    assert _files.cache_dir("~/argument") == tmp_path / "argument"
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert _source.data_dir(None) == tmp_path / "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "/prepared")
    assert _source.data_dir(None) == Path("/prepared")
    assert _source.data_dir("/argument") == Path("/argument")
