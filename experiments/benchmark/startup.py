"""Time to a first result: digits from process start beside a Keras script; and what has no peer, beside its goal."""

from __future__ import annotations

import collections
import itertools
import json
import os
import site
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from experiments.benchmark.measure import Rounds, make_row, mark_best
from experiments.benchmark.peers import Entry, missing
from experiments.classifier.config import Config
from experiments.classifier.presets import DEFAULTS
from experiments.lessons import NAMES
from experiments.playground.measure import page_to_pictures

_IMPORT = "import time, jax; clock = time.perf_counter(); import jaxnn; print(time.perf_counter() - clock)"
_COMMAND_GOALS = {"cold": (1.6, 6.0), "warm": (1.8, 3.0)}
"""Of the training command: times as fast as the Keras script, and seconds."""
_LESSON_SECONDS, _PICTURE_SECONDS, _IMPORT_SECONDS = 5.0, 1.5, 0.003


class Finished(NamedTuple):
    """A process that has ended: its seconds, those of all cores, its peak memory and what it printed."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: str
    stages: dict[str, float] | None = None
    """Seconds of each part, where they are known."""


def run_process(command: list[str], environment: dict[str, str]) -> Finished:
    """Run and measure a command; on Linux its peak memory is at least that of this process."""
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
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Finished(seconds, cpu_seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), text)


def measure(repetitions: int, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Time the jaxnn script, the training command and the Keras script with an empty and a filled compilation cache."""
    if module := missing("Keras"):
        say(f"process: Keras is left out, {module} is not installed: pip install -e '.[bench]'")
        return []
    settings = json.dumps(script_settings(quick))
    _compile_modules()
    done: dict[tuple[str, str], list[Finished]] = collections.defaultdict(list)
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            for who, state in itertools.product(("jaxnn", "command", "keras"), ("cold", "warm")):
                command = [sys.executable, "-m", f"experiments.benchmark.{who}_digits", settings]
                if who == "command":
                    command = [sys.executable, "-m", "experiments.train", "--out", str(Path(folder, state))]
                    command += ["--epochs", "3"] if quick else []
                started = time.time()
                finished = run_process(command, _environment(Path(folder, who)))
                if who == "command":
                    file = Path(folder, state, "summary.json")
                    output = file.read_text()
                    stages = stages_of(json.loads(output), file.stat().st_mtime - started, finished.seconds)
                    finished = finished._replace(output=output, stages=stages)
                done[who, state].append(finished)
    return [
        row
        for who, workload, note in (
            ("jaxnn", "process, digits", "the same script in both libraries"),
            ("command", "command, digits", "ours is experiments.train, with its figures and files"),
        )
        for state in ("cold", "warm")
        for row in mark_best([_row(workload, state, note, done[who, state], done["keras", state])])
    ]


def measure_alone(repetitions: int, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Time what has no peer: `import jaxnn`, every lesson with `--quick` and an empty cache, the playground's page."""
    rows = []
    _compile_modules()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        imports = [run_process([sys.executable, "-c", _IMPORT], dict(os.environ)) for _ in range(repetitions)]
        rows.append(_alone("import jaxnn, after jax", [float(done.output) for done in imports], _IMPORT_SECONDS))
        for name in NAMES[: 1 if quick else None]:
            command = [sys.executable, "-m", f"experiments.lessons.{name}", "--quick", "--out", str(folder / name)]
            try:
                done = run_process(command, _environment(folder / "compiled" / name))
            except RuntimeError as error:
                say(f"{name} is left out because it failed: {error}")
                continue
            row = _alone(f"lesson {name} --quick, cold", [done.seconds], _LESSON_SECONDS)
            rows.append(row | {"cpu_s": done.cpu_seconds})
        try:
            done = page_to_pictures(_environment(folder / "playground"), repetitions)
            rows += [
                _alone(f"playground, page to {which} picture, warm", seconds, _PICTURE_SECONDS)
                for which, seconds in done.items()
            ]
        except (ImportError, FileNotFoundError) as error:
            say(f"the playground is left out: {error}")
    return rows


def _alone(work: str, seconds: list[float], goal: float) -> dict[str, Any]:
    median = statistics.median(seconds)
    spread = [min(seconds), max(seconds)]
    return {"work": work, "seconds": median, "spread": spread, "goal_s": goal, "met": median <= goal}


def stages_of(summary: dict[str, Any], written: float, seconds: float) -> dict[str, float]:
    """The parts of a run of the training command, from the seconds after its start at which its summary was written."""
    compiling, training = summary["seconds_compile"], sum(summary["seconds_per_epoch"])
    return {
        "import": written - summary["seconds_total"],
        "data and evaluation": summary["seconds_total"] - compiling - training,
        "trace and compile": compiling,
        "train": training,
        "figures": seconds - written,
    }


def _environment(cache: Path) -> dict[str, str]:
    """That of a process which caches compiled programs in a folder, as `training.enable_compilation_cache`.

    It also keeps its compiled modules, as on a user's computer; images of containers often forbid that.
    """
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return ours | {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05"}


def _compile_modules() -> None:
    """Compile the modules of this repository and of the libraries that it imports, as an installation does."""
    folders = [str(Path(__file__).parents[2] / name) for name in ("jaxnn", "experiments")]
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", *folders, *site.getsitepackages()], stdout=subprocess.DEVNULL
    )


def _row(workload: str, state: str, note: str, ours: list[Finished], keras: list[Finished]) -> dict[str, Any]:
    note = f"from process start, {note}; Keras on JAX, with the same compilation cache"
    entry = Entry("Keras", "script", "", note)
    row = make_row("process", f"{workload}, {state}", entry, _as_rounds(ours), _as_rounds(keras))
    row |= {"ours_cpu_s": _cpu_seconds(ours), "peer_cpu_s": _cpu_seconds(keras)}
    if workload.startswith("command"):
        goal, most = _COMMAND_GOALS[state]
        row |= {"goal": goal, "met": row["ratio"] >= goal, "goal_s": most, "met_s": row["ours_s"] <= most}
        measured = [one.stages for one in ours if one.stages]
        row["stages"] = {name: statistics.median(one[name] for one in measured) for name in measured[0]}
    return row


def _cpu_seconds(finished: list[Finished]) -> float:
    return statistics.median(one.cpu_seconds for one in finished)


def _as_rounds(finished: list[Finished]) -> Rounds:
    printed = [json.loads(one.output[one.output.index("{") :]) for one in finished]
    return Rounds(
        seconds=[one.seconds for one in finished],
        accuracies=[[values["train_accuracy"]] for values in printed],
        models=(0,),
        scale=1.0,
        compile_s=None,
        peak_mib=max(one.peak_mib for one in finished),
    )


def script_settings(quick: bool) -> dict[str, Any]:
    """The settings of `experiments.train` for digits, for the scripts."""
    settings = {"batch_size": 64, "dropout": 0.0, "momentum": Config().momentum} | DEFAULTS["digits", "mlp"]
    names = ("hidden", "dropout", "learning_rate", "momentum", "l2", "batch_size", "epochs")
    return {name: settings[name] for name in names} | ({"epochs": 3} if quick else {})
