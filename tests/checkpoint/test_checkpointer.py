"""A `Checkpointer`: when a checkpoint is due, which ones are kept, and what becomes of a write that fails."""

import shutil

import jax
import numpy as np

from jaxnn import checkpoint
from jaxnn.checkpoint import Checkpointer

TREE = {"x": np.float32(1)}


def test_the_newest_and_the_best_are_kept(tmp_path):
    keeper = Checkpointer(tmp_path, epochs=2, keep=2)
    for epoch, quality in enumerate([0.1, 0.2, 0.9, 0.9, 0.3, float("nan"), 0.4, 0.5], start=1):
        assert keeper.due(epoch) == (epoch % 2 == 0)
        keeper.save(epoch, {"x": np.float32(epoch)}, {}, quality)
    assert keeper.wait() == tmp_path / "000008"
    keeper.close()
    assert [int(path.name) for path in checkpoint.list_checkpoints(tmp_path)] == [8, 7, 3]  # of equal ones the first
    assert all(checkpoint.load(path).arrays["x"] == int(path.name) for path in checkpoint.list_checkpoints(tmp_path))


def test_a_checkpoint_is_due_by_the_clock(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr("jaxnn.checkpoint._checkpointer.time.monotonic", lambda: now)
    keeper = Checkpointer(tmp_path, minutes=2)
    assert not keeper.due(1)
    now = 119.0
    assert not keeper.due(1)
    now = 121.0
    assert keeper.due(1)
    keeper.save(1, {"x": np.float32(0)}, {}, 0.0)
    assert not keeper.due(2)
    now = 242.0
    assert keeper.due(3)
    keeper.close()


def test_a_failed_save_is_a_warning_and_the_next_one_works(tmp_path):
    told, folder = [], tmp_path / "out" / "checkpoints"
    folder.parent.write_text("a file where the folder should be")
    keeper = Checkpointer(folder, epochs=1, warn=told.append)
    keeper.save(1, TREE, {}, 0.0)
    assert keeper.wait() is None
    assert len(told) == 1
    assert told[0].startswith(f"no checkpoint after epoch 1: {folder} cannot be written (")
    folder.parent.unlink()
    keeper.save(2, TREE, {}, 0.0)
    assert keeper.wait() == folder / "000002"
    shutil.rmtree(folder.parent)  # removed while the run goes on
    keeper.save(3, TREE, {}, 0.0)
    assert keeper.wait() == folder / "000003"
    keeper.close()
    assert len(told) == 1


def test_of_several_processes_the_first_alone_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    keeper = Checkpointer(tmp_path, epochs=1)
    keeper.save(1, TREE, {}, 0.0)
    assert keeper.wait() is None
    keeper.close()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_at_the_start(tmp_path):
    written = checkpoint.save(tmp_path, 12, TREE, {})
    half = written.parent / ".000013.99.tmp"
    shutil.copytree(written, half)
    (half / "SHA256SUMS").unlink()
    assert [path.name for path in checkpoint.list_checkpoints(written.parent)] == ["000012"]
    Checkpointer(written.parent)
    assert [path.name for path in written.parent.iterdir()] == ["000012"]


def test_what_a_folder_that_was_away_brings_back_is_removed_at_the_end(tmp_path):
    keeper = Checkpointer(tmp_path, epochs=1)
    keeper.save(1, TREE, {}, 0.0)
    (tmp_path / ".000002.0.tmp").mkdir()
    keeper.close()
    assert [path.name for path in tmp_path.iterdir()] == ["000001"]
