"""From the start of a process to a trained classifier of digits: a script and the main job beside a Keras script."""

from __future__ import annotations

import collections
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmark.measure import TOLERANCE, mark_best, timing_row
from experiments.benchmark.peers import Entry, missing
from experiments.classifier.config import Config
from experiments.classifier.presets import DEFAULTS


class Finished(NamedTuple):
    """A process that has ended: its seconds, its peak memory and what it printed."""

    seconds: float
    peak_mib: float
    output: str


def run_process(command: list[str], environment: dict[str, str]) -> Finished:
    """Run a command and measure the whole process; on Linux its peak memory is at least what this process holds.

    Args:
        command: program and arguments.
        environment: its environment.

    Returns:
        What was measured.

    Raises:
        RuntimeError: it failed; the message holds what it printed.
    """
    clock = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - clock
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{text}")
    return Finished(seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), text)


def measure(repetitions: int, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run the same script of jaxnn and of Keras, and our training command, without compiled programs and with them.

    Args:
        repetitions: how often.
        quick: three epochs: a trial.
        say: told what is left out.

    Returns:
        Four rows: the script and the command, each from an empty compilation cache and from a full one. Keras runs on
        JAX and has the same cache.
    """
    if module := missing("Keras"):
        say(f"process: Keras is left out, {module} is not installed: pip install -e '.[bench]'")
        return []
    settings = json.dumps(script_settings(quick))
    done: dict[tuple[str, str], list[Finished]] = collections.defaultdict(list)
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            for who, state in itertools.product(("jaxnn", "command", "keras"), ("cold", "warm")):
                command = [sys.executable, "-m", f"experiments.benchmark.{who}_digits", settings]
                if who == "command":
                    command = [sys.executable, "-m", "experiments.train", "--out", str(Path(folder, state))]
                    command += ["--epochs", "3"] if quick else []
                finished = run_process(command, os.environ | cache_in(Path(folder, who)))
                if who == "command":
                    finished = finished._replace(output=Path(folder, state, "summary.json").read_text())
                done[who, state].append(finished)
    return [
        row
        for who, work, note in (
            ("jaxnn", "process, digits", "the same script in both libraries"),
            ("command", "command, digits", "ours is experiments.train, with its figures and files"),
        )
        for state in ("cold", "warm")
        for row in mark_best([_row(f"{work}, {state}", note, done[who, state], done["keras", state])])
    ]


def cache_in(folder: Path) -> dict[str, str]:
    """Environment variables that keep compiled programs in a folder, as `artifacts.enable_compilation_cache` does.

    Args:
        folder: where.

    Returns:
        The variables, for any program that uses JAX.
    """
    return {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05"}


def _row(work: str, note: str, ours: list[Finished], keras: list[Finished]) -> dict[str, Any]:
    seconds, theirs = ([one.seconds for one in finished] for finished in (ours, keras))
    ratios = np.divide(theirs, seconds)
    row = timing_row(
        "process",
        work,
        Entry("Keras", "script", "", f"from process start, {note}; Keras on JAX, with the same compilation cache"),
        seconds,
        theirs,
        [float(ratios.min()), float(ratios.max())],
    )
    if work.startswith("command"):  # not the same job: Keras draws nothing
        row |= {"goal": None, "met": None}
    mine, peer = (json.loads(finished[-1].output[finished[-1].output.index("{") :]) for finished in (ours, keras))
    return row | {
        "limit_share": None,
        "binding": None,
        "ours_compile_s": None,
        "peer_compile_s": None,
        "ours_peak_mib": max(one.peak_mib for one in ours),
        "peer_peak_mib": max(one.peak_mib for one in keras),
        "ours_train_accuracy": mine["train_accuracy"],
        "peer_train_accuracy": peer["train_accuracy"],
        "accuracy_differs": abs(mine["train_accuracy"] - peer["train_accuracy"]) > TOLERANCE,
        "repetitions": len(ours),
    }


def script_settings(quick: bool) -> dict[str, Any]:
    """The main job's settings for digits, for the scripts.

    Args:
        quick: three epochs.

    Returns:
        The settings by name.
    """
    settings = {"batch_size": 64, "dropout": 0.0, "momentum": Config().momentum} | DEFAULTS["digits", "mlp"]
    names = ("hidden", "dropout", "learning_rate", "momentum", "l2", "batch_size", "epochs")
    return {name: settings[name] for name in names} | ({"epochs": 3} if quick else {})
