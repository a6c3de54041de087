"""Commands as processes, for the tests of what becomes of them when they are disturbed."""

import csv
import functools
import importlib
import json
import re
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = 60
CONVEX = ["--model", "linear", "--l2", "0.01", "--learning-rate", "0.02"]
"""Training pulls two of them together that rounding has moved apart, so that other programs end where one does."""
RUN = ["--epochs", str(EPOCHS), "--hidden", "64", "--early-stopping", "1000", "--checkpoint-every", "1"]


def wait_for(condition, process, seconds=600.0):
    """Wait until something is so, or the process has ended."""
    end = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)
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
    from experiments.lessons import lesson

    module = importlib.import_module(f"experiments.{name}")
    return module.main if hasattr(module, "main") else functools.partial(lesson.main, module.LESSON, module.__doc__)
