"""Runs that are killed or stopped, as real processes, and go on."""

import random
import re
import signal
import time

import pytest
from processes import EPOCHS, ROOT, RUN, assert_same_results, unfinished, wait_for

from experiments import train
from jaxnn import checkpoint


def kill(start, run, out, kills, seed):
    """Kill the run at random moments, every other time while it writes, going on in between; how often in a save."""
    chance, during_a_save, first = random.Random(seed), 0, True
    checkpoints = out / "checkpoints"
    for i in range(kills):
        assert not (out / "summary.json").exists()  # so that every kill has something to kill
        process = start(*run, "--out", out) if first else start("--resume", out)
        before = {path.name for path in checkpoint.list_checkpoints(checkpoints)}

        def has_begun(before=before):
            return {path.name for path in checkpoint.list_checkpoints(checkpoints)} - before

        if i % 2 == 0:  # after some new checkpoints, in the middle of writing another
            wait_for(has_begun, process)
            time.sleep(chance.uniform(0, 0.3))
            wait_for(lambda: any(path.suffix == ".tmp" for path in checkpoints.iterdir()), process, pause=0.0)
        else:  # at any moment from the first file on
            wait_for((out / "config.json").exists, process)
            time.sleep(chance.uniform(0, 4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        during_a_save += bool(list(checkpoints.glob(".*.tmp")))
        first = not (out / "config.json").exists()
        for path in checkpoint.list_checkpoints(checkpoints):
            checkpoint.load(path)  # whatever has a checkpoint's name is whole
    return during_a_save


def stop(process, signum, out):
    """Send a signal after the next checkpoint, and check the one line that it leaves; the command that it names."""
    before = checkpoint.list_checkpoints(out / "checkpoints")
    assert wait_for(lambda: set(checkpoint.list_checkpoints(out / "checkpoints")) - set(before), process)
    process.send_signal(signum)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 128 + signum, err
    assert len(err.splitlines()) == 1
    told = re.match(rf"stopped: {signum.name} after epoch (\d+) of {EPOCHS}; saved in (\S+); resume with: (.*)", err)
    assert told, err
    newest = checkpoint.latest(out / "checkpoints")
    assert newest is not None
    assert newest.about["epoch"] == int(told[1])
    assert (ROOT / told[2]).resolve() == out / "checkpoints" / f"{int(told[1]):06d}"
    assert told[3] == f"jaxnn train --resume {out}"
    return told[3].split()[2:]


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(start, complete, undisturbed, tmp_path, capsys):
    out = tmp_path / "run"
    assert kill(start, RUN, out, kills=1, seed=0) == 1
    status, _, err = complete("--resume", out)
    assert status == 0, err
    assert_same_results(out, undisturbed)
    assert unfinished(out) == []
    assert len(checkpoint.list_checkpoints(out / "checkpoints")) <= 3
    assert train.main(["--resume", str(out)]) == 0
    assert "is finished" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_as_if_it_had_not_been(start, complete, tmp_path):
    out, plain = tmp_path / "run", tmp_path / "plain"
    run = [*RUN, "--epochs", "400"]
    assert kill(start, run, out, kills=20, seed=1) >= 3
    assert complete("--resume", out)[0] == 0
    assert complete(*run, "--checkpoint-every", "1000", "--out", plain)[0] == 0
    assert_same_results(out, plain)
    assert unfinished(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(signum, start, complete, undisturbed, tmp_path):
    out = tmp_path / "run"
    assert complete(*stop(start(*RUN, "--out", out), signum, out))[0] == 0
    assert_same_results(out, undisturbed)
