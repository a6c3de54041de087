"""Kill runs at random moments, again and again, and compare their ends with those of runs that were left alone.

    python -m experiments.benchmark.chaos
    python -m experiments.benchmark.chaos --kills 20 --jobs train sweep

Training, sweeps, a training that streams its images, and trainings and sweeps of two processes are killed at a random
moment of their time (of two processes, one of them), resumed, killed again, and in the end let go. Then, in the same
way: a disk that fills and empties, a folder that vanishes and returns, files whose times are in 1980, and four
processes in one folder at once. Histories (without seconds), parameters and figures must be the same bytes. Linux; the
disk needs the right to mount one. `stream` reads a small image set, which is prepared first.

Each process is forked from one that has imported the modules of the commands, so a kill strikes no imports, which write
nothing. A process that has ended before its moment counts as no kill. The figures are written after each run, so calls
that are interrupted keep theirs, and several calls with different --jobs may write to one file.

Expected on 2 CPU cores: five to seven seconds a kill of one process, its resuming and its share of the ends included.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.benchmark import forked
from experiments.cli import command, environment, files, parser

if TYPE_CHECKING:
    from rich.console import Console

SMALL = ("--hidden", "64", "--early-stopping", "1000", "--checkpoint-every", "1")
MOONS = ("--dataset", "moons", "--epochs", "100", "--seeds", "2", "--chunk", "2", "1", "--learning-rates")
STREAM = ("--memory-share", "0", "--epochs", "20", "--batch-size", "16", "--checkpoint-minutes", "0.001")
JOBS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "train": (6, 1, ("train", "--epochs", "60", *SMALL)),
    "sweep": (6, 1, ("sweep", *MOONS, "0.01", "0.03", "0.1", "--widths", "1", "4", "8")),
    "stream": (4, 1, ("train", "--dataset", "specks", "--data-dir", "{sets}", *STREAM, "--hidden", "16")),
    "train of two": (2, 2, ("train", "--epochs", "20", *SMALL)),
    "sweep of two": (2, 2, ("sweep", *MOONS, "0.03", "0.1", "--widths", "4", "8")),
}
"""Of each kind of run: its part of the kills, its processes, and its command; {sets} is the folder of the image set."""
KILLS_OF_A_RUN = 10
"""At most; then it is let go."""
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

    def __init__(self, job: str, out: Path, sets: Path = Path()) -> None:
        _, self.processes, (self.name, *options) = JOBS[job]
        self.out, self.options = out, [option.format(sets=sets) for option in options]

    def start(self) -> list[forked.Process]:
        """Begin the run, or resume it."""
        began = (self.out / ("config.json" if self.name == "train" else "sweep.json")).exists()
        how = ["--resume", str(self.out)] if began else [*self.options, "--out", str(self.out)]
        return forked.start(self.name, how, self.processes)

    def complete(self) -> None:
        """Let it end; ValueError if it fails."""
        for process in self.start():
            process.succeed(PATIENCE)

    @property
    def finished(self) -> bool:
        """Whether its summary is written."""
        return (self.out / "summary.json").exists()

    def kill(self, wait: float, which: int) -> bool:
        """Start it, kill one of its processes after some seconds, wait for the others; whether it was still there."""
        processes = self.start()
        processes[which].join(wait)
        processes[which].kill()
        for process in processes:
            process.join(PATIENCE)
        return processes[which].exitcode == -signal.SIGKILL


def make_specks(folder: Path) -> None:
    """Prepare a TFDS set of 300 small images for training and 40 for testing, of two classes: dark and bright."""
    import numpy as np
    import tensorflow_datasets as tfds
    from PIL import Image

    def png(label: int, chance: np.random.Generator) -> bytes:
        file = io.BytesIO()
        Image.fromarray((chance.integers(0, 128, (6, 5, 3)) + 100 * label).astype(np.uint8)).save(file, "PNG")
        return file.getvalue()

    class Specks(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {"image": tfds.features.Image(shape=(6, 5, 3)), "label": tfds.features.ClassLabel(num_classes=2)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager: Any) -> Any:
            return {split: self._generate_examples(split) for split in ("train", "test")}

        def _generate_examples(self, split: str) -> Any:
            chance = np.random.default_rng(len(split))
            for i in range({"train": 300, "test": 40}[split]):
                yield i, {"image": png(i % 2, chance), "label": i % 2}

    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):
        Specks(data_dir=folder, file_format="array_record").download_and_prepare()


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
    job: str, kills: int, sets: Path, folder: Path, chance: random.Random, end: float
) -> Iterator[dict[str, Any]]:
    """Kill runs of a kind until the count is reached, let each end and compare it; yields the figures after each."""
    whole = Run(job, folder / "whole", sets)
    whole.complete()  # and fill the cache of compiled programs
    shutil.rmtree(whole.out)
    clock = time.perf_counter()
    whole.complete()
    seconds = time.perf_counter() - clock
    done, runs, within, wrong, largest = 0, 0, 0, [], 0
    while done < kills and time.monotonic() < end:
        run, of_run = Run(job, folder / f"{runs}", sets), 0
        while of_run < KILLS_OF_A_RUN and done < kills and not run.finished and time.monotonic() < end:
            if not run.kill(chance.uniform(0, seconds), chance.randrange(run.processes)):
                break  # it has ended; if by a failure, it fails again and is named
            within += bool(list(run.out.rglob(".*.tmp")))
            done, of_run = done + 1, of_run + 1
        run.complete()
        wrong += [f"{run.out}: {name}" for name in differences(run.out, whole.out)]
        runs, largest = runs + 1, max(largest, of_run)
        shutil.rmtree(run.out)
        yield {
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
        while away.exists():
            try:
                away.rename(run.out)
            except OSError:  # the run has made it anew
                run.out.rename(folder / f"made at {time.monotonic_ns()}")
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
        while sum(process.is_alive() for process in processes) > 1:
            time.sleep(0.05)
        said = [process.said() for process in processes if not process.is_alive()]
        wrong += [f"not refused: {text[-200:]}" for text in said if "in use by another run" not in text]
        for process in processes:
            process.kill()
            process.join()
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
            if not process.is_alive():
                raise ValueError(f"{run.out} ended too early: {process.said()}")
            time.sleep(0.002)
        disturb()
        yield
        process.succeed(PATIENCE)
    finally:
        process.kill()
        process.join()


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def disturb(options: Options, console: Console) -> bool:
    """Disturb all kinds of runs; write the figures; whether every end was equal."""
    if unknown := sorted(set(options.jobs) - set(JOBS)):
        raise ValueError(f"--jobs {unknown[0]}: none of {', '.join(JOBS)}")
    end, chance = time.monotonic() + 60 * options.minutes, random.Random(options.seed)
    equal, parts, given = True, [JOBS[job][0] for job in options.jobs], 0
    with tempfile.TemporaryDirectory() as temporary:
        sets = Path(temporary, "sets")
        make_specks(sets)
        for number, job in enumerate(options.jobs):
            kills = options.kills * (given + parts[number]) // sum(parts) - options.kills * given // sum(parts)
            given += parts[number]
            share = time.monotonic() + (end - time.monotonic()) * parts[number] / sum(parts[number:])
            found: dict[str, Any] = {}
            for found in kill_often(job, kills, sets, Path(temporary, f"{number}"), chance, share):
                _write(options.out, "jobs", job, found | {"seed": options.seed})
            command.say(console, f"{job}: {found}")
            equal &= not found.get("different")
        if options.scenes:
            whole = Run("train", Path(temporary, "whole"))
            whole.complete()
            for name, scene in SCENES.items():
                folder = Path(temporary, name)
                folder.mkdir()
                wrong = scene(whole.out, folder)
                command.say(console, f"{name}: {wrong or 'the same end'}")
                _write(options.out, "scenes", name, wrong)
                equal &= not wrong
    return equal


def _write(out: Path, part: str, name: str, content: Any) -> None:
    """Replace one entry of the file."""
    before = json.loads(out.read_text("utf-8")) if out.exists() else {}
    found: dict[str, Any] = {each: before.get(each, {}) for each in ("jobs", "scenes")}
    found[part][name] = content
    out.parent.mkdir(parents=True, exist_ok=True)
    total = sum(job["kills"] for job in found["jobs"].values())
    files.write_json(out, {"kills": total} | found | environment.environment())


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, 1 if an end was another one, 2 for bad input or a run that failed."""
    options = parser.parse(Options, prog="jaxnn benchmark.chaos", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(disturb, options, Console())


if __name__ == "__main__":
    sys.exit(main())
