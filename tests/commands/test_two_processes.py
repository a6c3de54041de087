"""A run of several processes goes on over several processes, and what they tell each other for that."""

import shutil
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from processes import CONVEX, assert_same_results, free_port
from processes import start_python as start
from rich.console import Console

from experiments import train
from experiments.classifier import multihost, resume
from experiments.classifier.config import Config
from jaxnn import checkpoint


def start_two(arguments):
    """The two processes of a command, one device each."""
    several = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2", "--process-id"]
    return [start([*arguments, *several, str(i)], 1) for i in range(2)]


def assert_close(found, whole):
    assert len(found) == len(whole) == 40
    for name in ("loss", "penalty", "validation_loss"):
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(found["accuracy"], whole["accuracy"], atol=1e-3)  # an example on the border


@pytest.mark.portable
@pytest.mark.slow
def test_after_a_kill_the_checkpoint_of_two_processes_goes_on_with_one_two_and_four_devices(tmp_path):
    train = ["-m", "experiments.train", *CONVEX, "--epochs", "40", "--early-stopping", "1000"]
    runs = {name: tmp_path / name for name in ("whole", "together", "two", "one", "four", "again")}
    program = [*train, "--checkpoint-every", "1", "--out"]
    processes = start_two([*program, str(runs["two"])])
    while (
        len(checkpoint.list_checkpoints(runs["two"] / "checkpoints")) < 2
    ):  # so that their chunks have been of several epochs
        assert processes[1].poll() is None
        time.sleep(0.02)
    processes[1].kill()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode != 0
    assert not (runs["two"] / "summary.json").exists()
    for name in ("one", "four", "again"):
        shutil.copytree(runs["two"], runs[name])
    going = [
        *start_two([*program, str(runs["together"])]),
        *start_two(["-m", "experiments.train", "--resume", str(runs["again"])]),
        start([*train, "--out", str(runs["whole"])], 1),
        start(["-m", "experiments.train", "--resume", str(runs["one"])], 1),
        start(["-m", "experiments.train", "--resume", str(runs["four"])], 4),
    ]
    for process in going:
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said
    assert_same_results(runs["again"], runs["together"])  # bit for bit: two processes, before the kill and after
    whole, *others = (
        np.genfromtxt(runs[name] / "history.csv", delimiter=",", names=True)
        for name in ("whole", "one", "four", "again")
    )
    for found in others:
        assert_close(found, whole)


@pytest.mark.portable
@pytest.mark.slow
def test_the_checkpoint_of_one_process_goes_on_with_two_of_which_one_sees_no_folder(tmp_path):
    train = ["-m", "experiments.train", *CONVEX, "--epochs", "40", "--checkpoint-every", "5", "--out"]
    alone = start([*train, str(tmp_path / "run")], 1)
    while not checkpoint.list_checkpoints(tmp_path / "run" / "checkpoints"):
        assert alone.poll() is None
        time.sleep(0.02)
    alone.kill()
    alone.communicate()
    several = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2", "--process-id"]
    folders = [tmp_path / "run", tmp_path / "of another host"]
    going = [start([*train[:2], "--resume", str(folder), *several, str(i)], 1) for i, folder in enumerate(folders)]
    going.append(start([*train, str(tmp_path / "whole")], 1))
    for process in going:
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said
    found, whole = (np.genfromtxt(tmp_path / f"{n}/history.csv", delimiter=",", names=True) for n in ("run", "whole"))
    assert_close(found, whole)
    assert not folders[1].exists()


def test_every_process_ends_its_chunks_where_the_first_writes_checkpoints(tmp_path, monkeypatch):
    """Else they would train another number of epochs at a time, and their all-reduces would not fit together."""
    given = {}
    for process in range(2):
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        keep = lambda device, config, *_, process=process: given.update({process: config})
        monkeypatch.setattr(train, "train_here", keep)
        train.train(Config(checkpoint_every=3, out=tmp_path / "run"), Console(quiet=True))
    assert given[0].checkpoint_every == given[1].checkpoint_every == 3
    assert given[0].out != given[1].out


def test_what_one_process_has_found_of_a_run_is_the_same_in_the_others():
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.int32(7).reshape(()),
        "c": np.zeros((0, 2), "u1"),
    }
    one = resume.SavedRun(Path("run"), {"seed": 1}, checkpoint.Checkpoint(Path("run/000003"), arrays, {"epoch": 3}))
    other = multihost.from_bytes(multihost.to_bytes(one))
    assert (other.folder, other.settings, other.summary) == (one.folder, one.settings, None)
    assert other.checkpoint is not None
    assert (other.checkpoint.path, other.checkpoint.about) == (Path("run/000003"), {"epoch": 3})
    assert list(other.checkpoint.arrays) == list(arrays)
    for name, array in arrays.items():
        assert other.checkpoint.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(other.checkpoint.arrays[name], array)
    bare = resume.SavedRun(Path("run"), {}, None, {"test_accuracy": 0.5})
    assert multihost.from_bytes(multihost.to_bytes(bare)) == bare
    assert multihost.broadcast_run(one) is one
