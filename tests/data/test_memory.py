"""Memory that is limited: an error that says so, before the system ends the process; reading takes little more than
what is read.
"""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from experiments import train
from experiments.benchmark import streaming
from jaxnn.data import _memory, load
from jaxnn.data._own import _arrays

MIB = 2**20


@pytest.fixture
def arrays(tmp_path):
    """`arrays(mib)`: a file with so many MiB of images, 256 in each."""

    def write(mib):
        images = np.frombuffer(np.random.default_rng(0).bytes(mib * MIB), np.uint8).reshape(-1, 32, 32, 4)
        np.savez(tmp_path / "arrays.npz", x=images, y=np.arange(len(images)) % 2)
        return f"npz:{tmp_path / 'arrays.npz'}"

    return write


@pytest.fixture
def room(monkeypatch):
    """`room(mib)`: this process may take so many MiB more."""

    def limit(mib):
        monkeypatch.setattr(_memory, "used", lambda: 0)
        monkeypatch.setattr(_memory, "memory", lambda: mib * MIB)

    return limit


def test_reading_arrays_takes_no_more_memory_than_the_array(arrays):
    name = arrays(20)
    tracemalloc.start()
    _arrays.read_npz(Path(name.removeprefix("npz:")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 20 * MIB < peak < 23 * MIB


def test_arrays_larger_than_the_room_are_refused_before_they_are_read(arrays, room):
    name = arrays(20)
    room(39)
    said = r"x, uint8\[5120, 32, 32, 4\], and its copy in splits need 40 MiB of memory, and .* take 39 MiB more"
    with pytest.raises(ValueError, match=said):
        load(name)
    room(40)
    assert len(load(name).train.labels) > 0


@pytest.mark.usefixtures("standard_promotion")
def test_a_training_that_would_not_fit_is_refused(arrays, room, capsys):
    name = arrays(10)
    room(109)
    assert train.main(["--dataset", name, "--model", "linear"]) == 2
    assert "a training and its copy of 2,560 examples need 110 MiB of memory" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of a process of Linux")
def test_the_memory_in_use_is_that_of_the_arrays_held():
    before = _memory.used()
    held = np.ones(64 * MIB, np.uint8)
    assert 60 < (_memory.used() - before) / MIB < 68
    del held
    assert (_memory.used() - before) / MIB < 4


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "status"), [(300, 2), (500, 2), (1000, 0)])
def test_in_a_control_group_training_succeeds_or_says_what_is_missing(arrays, tmp_path, limit, status):
    name = arrays(160)
    one_device = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    own = "import os, sys; open(sys.argv.pop(1), 'w').write(str(os.getpid()))"
    code = f"{own}; from experiments import train; sys.exit(train.main(sys.argv[1:]))"
    given = ["--dataset", name, "--model", "linear", "--epochs", "1", "--out", str(tmp_path / "run")]
    try:
        with streaming.memory_limit(limit * MIB) as group:
            command = [sys.executable, "-c", code, str(group), *given]
            done = subprocess.run(command, capture_output=True, text=True, env=one_device)
    except OSError as error:
        pytest.skip(str(error))
    assert done.returncode == status, done.stderr
    assert ("MiB of memory, and this process may take" in done.stderr) == (status == 2)
