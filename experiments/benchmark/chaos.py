"""Kill runs at random moments, again and again, and compare their ends with those of runs that were left alone.

    python -m experiments.benchmark.chaos
    python -m experiments.benchmark.chaos --kills 20 --jobs train sweep

Training, sweeps, a training that streams its images, and trainings and sweeps of two processes are killed at a random
moment of their time (of two processes, one of them), resumed, killed again, and in the end let go. Then, in the same
way: a disk that fills and empties, a folder that vanishes and returns, files whose times are in 1980, and four
processes in one folder at once. Histories (without seconds), parameters and figures must be the same bytes. Linux; the
disk needs the right to mount one. `stream` reads the prepared CIFAR-10.

Expected on 2 CPU cores: about six seconds a kill.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import command, environment, files, parser

if TYPE_CHECKING:
    from rich.console import Console

SMALL = ("--epochs", "60", "--hidden", "64", "--early-stopping", "1000", "--checkpoint-every", "1")
GRID = ("--dataset", "moons", "--epochs", "100", "--learning-rates", "0.01", "0.03", "0.1", "--widths", "1", "4", "8")
STREAM = ("--dataset", "cifar10", "--quick", "--memory-share", "0", "--checkpoint-minutes", "0.001")
JOBS: dict[str, tuple[int, tuple[str, ...]]] = {
    "train": (1, ("train", *SMALL)),
    "sweep": (1, ("sweep", *GRID, "--seeds", "2", "--chunk", "2", "1")),
    "stream": (1, ("train", *STREAM)),
    "train of two": (2, ("train", *SMALL)),
    "sweep of two": (2, ("sweep", *GRID, "--seeds", "2", "--chunk", "2", "1")),
}
"""The processes of each kind of run, and its command."""
PATIENCE = 600.0


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the disturbance."""

    kills: int = 200
    """Kills in all."""
    jobs: tuple[str, ...] = tuple(JOBS)
    """The kinds of runs."""
    minutes: float = 60.0
    """No kill begins later than this."""
    seed: int = 0
    """Of the moments."""
    scenes: bool = True
    """Also disturb disk, folder, clock and lock."""
    out: Path = Path(__file__).resolve().parents[1] / "results" / "chaos.json"
    """Where the figures are written; those of kinds of runs that are left out stay as they are there."""


class Run:
    """A run in a folder: one process or two, of a command with its options."""

    def __init__(self, job: str, out: Path) -> None:
        self.processes, (self.name, *self.options) = JOBS[job]
        self.out = out

    def start(self) -> list[subprocess.Popen[str]]:
        """Begin the run, or resume it."""
        began = (self.out / ("config.json" if self.name == "train" else "sweep.json")).exists()
        how = ["--resume", str(self.out)] if began else [*self.options, "--out", str(self.out)]
        return start(self.name, how, self.processes)

    def complete(self) -> None:
        """Let it end; ValueError if it fails."""
        for process in self.start():
            said = process.communicate(timeout=PATIENCE)[1]
            if process.returncode:
                raise ValueError(f"{self.out}: {self.name} ended with status {process.returncode}: {said[-2000:]}")

    @property
    def finished(self) -> bool:
        """Whether its summary is written."""
        return (self.out / "summary.json").exists()

    def kill(self, wait: float, which: int) -> None:
        """Start it, kill one of its processes after some seconds, and wait for the others."""
        processes = self.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            processes[which].wait(wait)
        processes[which].kill()
        for process in processes:
            process.communicate(timeout=PATIENCE)


def start(name: str, options: list[str], processes: int = 1) -> list[subprocess.Popen[str]]:
    """The processes of a command, with one CPU device each."""
    variables = {**os.environ, "JAX_PLATFORMS": "cpu", "MPLBACKEND": "Agg"}
    arguments = [[sys.executable, "-m", f"experiments.{name}", *options] for _ in range(processes)]
    if processes > 1:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{server.getsockname()[1]}"
        for i, each in enumerate(arguments):
            each += ["--coordinator", address, "--num-processes", str(processes), "--process-id", str(i)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(each, env=variables, **pipes) for each in arguments]


def differences(found: Path, whole: Path) -> list[str]:
    """The results of a run that are missing, left over or other bytes; histories without their seconds."""
    names = {path.relative_to(whole) for path in whole.rglob("*") if path.suffix in (".npz", ".csv", ".png")}
    names = {name for name in names if not {"checkpoints", "chunks", "tensorboard"} & set(name.parts)}

    def content(path: Path) -> Any:
        if not path.exists():
            return None
        if path.suffix != ".csv":
            return path.read_bytes()
        return [{**row, "seconds": ""} for row in csv.DictReader(path.read_text("utf-8").splitlines())]

    wrong = [str(name) for name in sorted(names) if content(found / name) != content(whole / name)]
    return wrong + [str(path) for path in found.rglob(".*.tmp")] + [name for name, _ in files.damage(found)]


def kill_often(
    job: str, whole: Path, seconds: float, kills: int, folder: Path, chance: random.Random, end: float
) -> dict[str, Any]:
    """Kill runs of a kind until the count is reached, each at most five times, then let it end and compare it."""
    done, runs, within, wrong, largest = 0, 0, 0, [], 0
    while done < kills and time.monotonic() < end:
        run, of_run = Run(job, folder / f"{runs}"), 0
        while of_run < 5 and done < kills and not run.finished and time.monotonic() < end:
            run.kill(chance.uniform(0, seconds), chance.randrange(run.processes))
            within += bool(list(run.out.rglob(".*.tmp")))
            done, of_run = done + 1, of_run + 1
        run.complete()
        wrong += [f"{run.out}: {name}" for name in differences(run.out, whole)]
        runs, largest = runs + 1, max(largest, of_run)
        shutil.rmtree(run.out)
    return {
        "kills": done,
        "runs": runs,
        "most_kills_of_a_run": largest,
        "kills_that_left_a_file_half_written": within,
        "undisturbed_seconds": seconds,
        "different": wrong,
    }


def scene_disk(whole: Path, folder: Path) -> list[str]:
    """A disk that is full while a run trains, and empties again before its end."""
    disk, fill = folder / "disk", folder / "disk" / "filler"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    try:
        run = Run("train", disk / "run")
        with disturbed(run, lambda: _fill(fill)):
            time.sleep(0.2)
            fill.unlink()
        return differences(run.out, whole)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def scene_folder(whole: Path, folder: Path) -> list[str]:
    """A folder that vanishes while a run trains, and returns."""
    run, away = Run("train", folder / "run"), folder / "away"
    with disturbed(run, lambda: run.out.rename(away)):
        time.sleep(0.2)
        if run.out.exists():  # the run has made it anew
            shutil.copytree(run.out, away, dirs_exist_ok=True)
            shutil.rmtree(run.out)
        away.rename(run.out)
    return differences(run.out, whole)


def scene_clock(whole: Path, folder: Path) -> list[str]:
    """A clock that was set back: a run is killed, and all of its files are from 1980, the newest the oldest."""
    run = Run("train", folder / "run")
    with contextlib.suppress(_Killed), disturbed(run, _kill):
        pass
    for age, path in enumerate(sorted(run.out.rglob("*"), reverse=True)):
        os.utime(path, (315532800 + age, 315532800 + age))
    run.complete()
    return differences(run.out, whole)


def scene_four(whole: Path, folder: Path) -> list[str]:
    """Four processes in one folder at once, twice: one trains and the others are refused; killed, it can be resumed."""
    wrong, run = [], Run("train", folder / "run")
    for _ in range(2):
        processes = [one for _ in range(4) for one in run.start()]
        while sum(process.poll() is None for process in processes) > 1:
            time.sleep(0.05)
        said = [process.communicate()[1] for process in processes if process.poll() is not None]
        wrong += [f"not refused: {text[-200:]}" for text in said if "in use by another run" not in text]
        for process in processes:
            process.kill()
            process.communicate()
    run.complete()
    return wrong + differences(run.out, whole)


SCENES: dict[str, Callable[[Path, Path], list[str]]] = {
    "a disk that fills and empties": scene_disk,
    "a folder that vanishes and returns": scene_folder,
    "a clock set back": scene_clock,
    "four runs in one folder": scene_four,
}


class _Killed(Exception):
    """A disturbance that ends the process."""


def _kill() -> None:
    raise _Killed


@contextlib.contextmanager
def disturbed(run: Run, disturb: Callable[[], object]) -> Iterator[None]:
    """Start a run, disturb it after its first checkpoint, and afterwards let it end."""
    [process] = run.start()
    try:
        while not (run.out / "checkpoints").exists():
            if process.poll() is not None:
                raise ValueError(f"{run.out} ended too early: {process.communicate()[1]}")
            time.sleep(0.002)
        disturb()
        yield
        said = process.communicate(timeout=PATIENCE)[1]
        if process.returncode:
            raise ValueError(f"{run.out}: status {process.returncode}: {said[-2000:]}")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def disturb(options: Options, console: Console) -> bool:
    """Disturb all kinds of runs; write the figures; whether every end was equal."""
    if unknown := sorted(set(options.jobs) - set(JOBS)):
        raise ValueError(f"--jobs {unknown[0]}: none of {', '.join(JOBS)}")
    end, chance = time.monotonic() + 60 * options.minutes, random.Random(options.seed)
    before = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    found: dict[str, Any] = {name: before.get(name, {}) for name in ("jobs", "scenes")}
    with tempfile.TemporaryDirectory() as temporary:
        for number, job in enumerate(options.jobs):
            folder = Path(temporary, f"{number}")
            whole = Run(job, folder / "whole")
            whole.complete()  # and fill the cache of compiled programs
            shutil.rmtree(whole.out)
            clock = time.perf_counter()
            whole.complete()
            kills = options.kills * (number + 1) // len(options.jobs) - options.kills * number // len(options.jobs)
            share = time.monotonic() + (end - time.monotonic()) / (len(options.jobs) - number)
            seconds = time.perf_counter() - clock
            found["jobs"][job] = kill_often(job, whole.out, seconds, kills, folder, chance, share)
            found["jobs"][job]["seed"] = options.seed
            command.say(console, f"{job}: {found['jobs'][job]}")
            _write(options, found)
        if options.scenes:
            whole = Run("train", Path(temporary, "whole"))
            whole.complete()
            for name, scene in SCENES.items():
                folder = Path(temporary, name)
                folder.mkdir()
                found["scenes"][name] = scene(whole.out, folder)
                command.say(console, f"{name}: {found['scenes'][name] or 'the same end'}")
                _write(options, found)
    return not any(job["different"] for job in found["jobs"].values()) and not any(found["scenes"].values())


def _write(options: Options, found: dict[str, Any]) -> None:
    options.out.parent.mkdir(parents=True, exist_ok=True)
    total = sum(job["kills"] for job in found["jobs"].values())
    files.write_json(options.out, {"kills": total} | found | environment.environment())


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, 1 if an end was another one, 2 for bad input or a run that failed."""
    options = parser.parse(Options, prog="jaxnn benchmark.chaos", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(disturb, options, Console())


if __name__ == "__main__":
    sys.exit(main())
