"""Commands as processes, for the tests of what becomes of them when they are disturbed."""

import csv
import functools
import importlib
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 30
CONVEX = ["--model", "linear", "--l2", "0.01", "--learning-rate", "0.02"]
"""Training pulls two of them together that rounding has moved apart, so that other programs end where one does."""
RUN = ["--epochs", str(EPOCHS), "--hidden", "64", "--early-stopping", "1000", "--checkpoint-every", "1"]


def wait_for(condition, process, seconds=600.0, pause=0.005):
    """Wait until a condition holds, looked at after each pause, or the process has ended."""
    end = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < end, "it took too long"
        time.sleep(pause)
    return True


def unfinished(folder):
    return [path for path in folder.rglob("*") if re.search(r"tmp|\.old", path.name)]


def history_without_seconds(folder):
    rows = list(csv.reader((folder / "history.csv").read_text().splitlines()))
    assert rows[0][-1] == "seconds"
    return [row[:-1] for row in rows]


def assert_same_results(folder, expected):
    assert (folder / "classifier.npz").read_bytes() == (expected / "classifier.npz").read_bytes()
    assert history_without_seconds(folder) == history_without_seconds(expected)
    timed = {"seconds_compile", "seconds_per_epoch", "seconds_total", "examples_per_second", "peak_memory_mib"}
    summaries = [json.loads((place / "summary.json").read_text()) for place in (folder, expected)]
    for name in set(summaries[1]) - timed:
        assert summaries[0][name] == summaries[1][name], name
    assert len(summaries[0]["seconds_per_epoch"]) == len(summaries[1]["seconds_per_epoch"])
    for path in expected.glob("*.png"):
        assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
    assert {path.name for path in expected.iterdir()} <= {path.name for path in folder.iterdir()}


def main_of(name):
    """The function `main(arguments)` of a command or a lesson."""
    from experiments.lessons.framework import lesson

    module = importlib.import_module(f"experiments.{name}")
    return module.main if hasattr(module, "main") else functools.partial(lesson.main, module.LESSON, module.__doc__)


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def start_python(arguments, devices, variables=None, **options):
    """A Python process with so many simulated devices."""
    from conftest import ENVIRONMENT_OF_PROCESSES

    environment = {**ENVIRONMENT_OF_PROCESSES, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **(variables or {})}
    environment["XLA_FLAGS"] += f" --xla_force_host_platform_device_count={devices}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, **pipes | options)
