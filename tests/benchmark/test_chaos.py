"""The command that kills runs notices ends that are not the same; a folder is held by one run."""

import json
import shutil
import subprocess
import sys

import pytest

from experiments import sweep, train
from experiments.benchmark import chaos
from experiments.cli import files


@pytest.fixture
def whole(tmp_path):
    folder = tmp_path / "whole"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "arrays.npz").write_bytes(b"left out")
    (folder / "classifier.npz").write_bytes(b"weights")
    (folder / "history.csv").write_text("epoch,loss,seconds\n1,0.5,0.1\n")
    (folder / "SHA256SUMS").write_text("")
    return folder


def test_ends_are_compared_byte_for_byte_but_for_their_seconds(whole, tmp_path):
    found = shutil.copytree(whole, tmp_path / "found")
    (found / "history.csv").write_text("epoch,loss,seconds\n1,0.5,0.2\n")
    (found / "checkpoints" / "arrays.npz").write_bytes(b"others")
    assert chaos.differences(found, whole) == []
    (found / "history.csv").write_text("epoch,loss,seconds\n1,0.6,0.1\n")
    (found / "classifier.npz").unlink()
    (found / ".half.tmp").touch()
    assert chaos.differences(found, whole) == ["classifier.npz", "history.csv", str(found / ".half.tmp")]


@pytest.mark.slow
def test_runs_are_killed_and_end_the_same(tmp_path):
    out = tmp_path / "chaos.json"
    assert chaos.main(["--kills", "4", "--jobs", "train", "sweep", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["kills"] == sum(found["jobs"][job]["kills"] for job in ("train", "sweep")) == 4
    assert [found["jobs"][job]["different"] for job in ("train", "sweep")] == [[], []]


@pytest.mark.slow
def test_a_run_that_fails_or_has_ended_is_no_kill(tmp_path, monkeypatch):
    monkeypatch.setitem(chaos.JOBS, "bad", (1, 1, ("train", "--epochs", "none")))
    run = chaos.Run("bad", tmp_path / "run")
    assert not run.kill(100.0, 0)
    with pytest.raises(ValueError, match=r"train ended with status 2: .*--epochs"):
        run.complete()


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("main", [train.main, sweep.main])
def test_a_folder_in_use_is_refused_and_untouched(main, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    with files.locked(out):
        assert main(["--dataset", "moons", "--quick", "--out", str(out)]) == 2
        assert f"{out} is in use by another run" in capsys.readouterr().err
        (out / "config.json").write_text("{}")
        if main is train.main:
            assert main(["--resume", str(out)]) == 2
            assert f"{out} is in use by another run" in capsys.readouterr().err
    with files.locked(out):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = f"""
import time
from pathlib import Path
from experiments.cli import files
with files.locked(Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            with pytest.raises(ValueError, match="in use"), files.locked(tmp_path):
                pass
        finally:
            process.kill()
    with files.locked(tmp_path):
        assert list(tmp_path.iterdir()) == []
