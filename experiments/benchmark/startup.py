"""From the start of a process to a trained classifier of digits and its files: the main job beside a Keras script."""

from __future__ import annotations

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
from experiments.config import DEFAULTS, Config


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
    """Run ours without any compiled program kept, ours again with them, and Keras, in turns.

    Args:
        repetitions: how often.
        quick: three epochs: a trial.
        say: told what is left out.

    Returns:
        Two rows: ours from an empty compilation cache, and from a full one.
    """
    if module := missing("Keras"):
        say(f"process: Keras is left out, {module} is not installed: pip install -e '.[bench]'")
        return []
    settings = keras_settings(quick)
    ours: dict[str, list[Finished]] = {"cold": [], "warm": []}
    summaries: dict[str, list[dict[str, Any]]] = {"cold": [], "warm": []}
    keras: list[Finished] = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(Path(folder, "cache"))}
            for state in ("cold", "warm"):
                out = Path(folder, state)
                command = [sys.executable, "-m", "experiments.train", "--out", str(out)]
                ours[state].append(run_process(command + (["--epochs", "3"] if quick else []), environment))
                summaries[state].append(json.loads((out / "summary.json").read_text()))
        command = [sys.executable, "-m", "experiments.benchmark.keras_digits", json.dumps(settings)]
        keras.append(run_process(command, dict(os.environ)))
    rows = []
    peer_accuracy = float(json.loads(keras[-1].output.splitlines()[-1])["train_accuracy"])
    for state, finished in ours.items():
        seconds, theirs = [one.seconds for one in finished], [one.seconds for one in keras]
        ratios = np.divide(theirs, seconds)
        note = f"from process start; ours with {'no' if state == 'cold' else 'all'} compiled programs kept, and figures"
        row = timing_row(
            "process",
            f"process, digits, {state}",
            Entry("Keras", "script", "", f"{note}; Keras on JAX, without figures"),
            seconds,
            theirs,
            [float(ratios.min()), float(ratios.max())],
        )
        accuracy = float(summaries[state][-1]["train_accuracy"])
        rows += mark_best(
            [
                row
                | {
                    "limit_share": None,
                    "binding": None,
                    "ours_compile_s": float(np.median([one["seconds_compile"] for one in summaries[state]])),
                    "peer_compile_s": None,
                    "ours_peak_mib": max(one.peak_mib for one in finished),
                    "peer_peak_mib": max(one.peak_mib for one in keras),
                    "ours_train_accuracy": accuracy,
                    "peer_train_accuracy": peer_accuracy,
                    "accuracy_differs": abs(accuracy - peer_accuracy) > TOLERANCE,
                    "repetitions": repetitions,
                }
            ]
        )
    return rows


def keras_settings(quick: bool) -> dict[str, Any]:
    """The main job's settings for digits, for the Keras script.

    Args:
        quick: three epochs.

    Returns:
        The settings by name.
    """
    settings = {"batch_size": 64, "dropout": 0.0, "momentum": Config().momentum} | DEFAULTS["digits", "mlp"]
    names = ("hidden", "dropout", "learning_rate", "momentum", "l2", "batch_size", "epochs")
    return {name: settings[name] for name in names} | ({"epochs": 3} if quick else {})
