"""Replay a finished run of train or sweep from its folder, and certify that it is what this program computes.

    python -m experiments.verify runs/FOLDER
    python -m experiments.verify runs/FOLDER --fast

First every file is compared with the checksum it was written with. Then the run is trained again from its settings, in
a temporary folder, and compared bit for bit: history, parameters, figures, results. What differs is named, at its first
epoch, with its distance, and with what explains it: another version, compiler option, processor or number of devices.
The run itself is only read.

--fast replays from the last checkpoint before the end: the time of some epochs instead of all.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.classifier.config import Config
from experiments.classifier.presets import NO_SETTINGS
from experiments.cli import command, environment, files, parser
from experiments.sweeps.grid import SweepConfig
from experiments.train import train

if TYPE_CHECKING:
    from rich.console import Console

NOT_COMPARED = ("checkpoints", "tensorboard")
"""Folders of a run with files of their own checksums, or that hold times."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The run."""

    run: Path = dataclasses.field(metadata={"positional": True})
    """The folder of a finished run of train or sweep."""
    fast: bool = False
    """Replay from the last checkpoint before the end, not from the beginning."""


class Difference(NamedTuple):
    """A file of a run that its replay does not equal."""

    file: str
    what: str
    """What differs first."""
    distance: float
    """The largest difference of numbers, as a part of the largest number of their array or column; infinite where it
    is not one of numbers.
    """


def verify(options: Options, console: Console) -> bool:
    """Check the files of a run, replay it, and say how it compares; whether all is equal."""
    folder = options.run
    about = _finished(folder)
    damaged = dict(files.damage(folder))
    for name, what in damaged.items():
        command.say(console, f"{folder / name} {what}")
    _as_many_devices(about)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary, console.status("training again ..."):
        again = Path(temporary, "run")
        try:
            _replay(folder, again, options.fast)
        except command.Interrupted as stopped:
            raise command.Interrupted(stopped.signum, f"the replay of {folder}, which is untouched") from None
        compared = sorted(set(_results(folder)) - damaged.keys())
        found = [difference for name in compared for difference in _differences(folder, again, name)]
        now = json.loads((again / "summary.json").read_text(encoding="utf-8"))
    for file, what, _ in found:
        command.say(console, f"{folder / file} {what}")
    replayed = f"{len(compared)} files replayed in {time.perf_counter() - started:.1f} s"
    if not found:
        verdict = "certified, bit for bit" if not damaged else f"equal, but {len(damaged)} others are not as written"
        command.say(console, f"{folder}: {replayed}; {verdict}")
        return not damaged
    of_numbers = [distance for _, _, distance in found if np.isfinite(distance)]
    at_most = f", by at most {max(of_numbers):.1e} of the largest value" if of_numbers else ""
    reasons = "; ".join(environment.changes(about, now)) or "nothing in versions, code, machine or options"
    command.say(console, f"{folder}: {replayed}; {len(found)} differ{at_most}; explained by: {reasons}")
    return False


def _finished(folder: Path) -> dict[str, Any]:
    """The summary of a finished run; ValueError if there is none."""
    from experiments.classifier import resume

    file = folder / "summary.json"
    if not file.is_file() or (folder / resume.DRAWING).exists() or not _settings_file(folder).is_file():
        raise ValueError(f"{folder} holds no finished run: give the --out of train or sweep after it has ended")
    if not (folder / files.SUMS).is_file():
        raise ValueError(f"{folder} has no {files.SUMS}: it is damaged, or was trained by an earlier version")
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error})") from error


def _settings_file(folder: Path) -> Path:
    return folder / ("sweep.json" if (folder / "sweep.json").exists() else "config.json")


def _as_many_devices(about: Mapping[str, Any]) -> None:
    """Let JAX start with as many CPU devices as the run had, of one or several processes."""
    kind, _, count = str(about.get("device", "")).rpartition(" x ")
    if (
        kind.startswith("cpu")
        and count.isdigit()
        and int(count) > 1
        and "device_count" not in os.getenv("XLA_FLAGS", "")
    ):
        import jax

        jax.config.update("jax_num_cpu_devices", int(count))


def _replay(folder: Path, again: Path, fast: bool) -> None:
    """Train the run again, into another folder."""
    from rich.console import Console

    from experiments.classifier import resume
    from experiments.sweeps.running import sweep
    from jaxnn import checkpoint

    console, file = Console(quiet=True), _settings_file(folder)
    settings = files.read_sealed(file)
    if file.name == "sweep.json":
        if fast:
            raise ValueError(f"--fast: {folder} is a sweep, which has no checkpoints; verify it whole")
        sweep(dataclasses.replace(resume.config_from_json(SweepConfig, settings, file), out=again), console)
        return
    stored = None
    config = dataclasses.replace(resume.config_from_json(Config, settings, file), out=again)
    if fast:
        ends = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["epochs"]
        kept = checkpoint.list_checkpoints(folder / resume.FOLDER)
        before = next((path for path in kept if int(path.name[:6]) < ends), None)
        if before is None:
            raise ValueError(f"--fast: {folder} keeps no checkpoint from before its end; verify it whole")
        shutil.copytree(before, again / resume.FOLDER / before.name)
        shutil.copy(file, again)
        stored = resume.find(again, lambda line: None)
    train(config, console, stored)


def _results(folder: Path) -> Iterator[str]:
    """The files of a run that a replay must equal."""
    for name in files.read_sums(folder):
        if Path(name).name != files.SUMS and not set(NOT_COMPARED) & set(Path(name).parts):
            yield name


def _differences(there: Path, here: Path, name: str) -> Iterator[Difference]:
    """How a file of the run differs from that of the replay: nothing, or one line."""
    first, second = there / name, here / name
    if not second.is_file():
        yield Difference(name, "is not written by the replay", np.inf)
    elif first.suffix == ".npz":
        yield from _of_arrays(name, files.read_flat(first), files.read_flat(second))
    elif first.suffix == ".csv":
        yield from _of_tables(name, first.read_text(encoding="utf-8"), second.read_text(encoding="utf-8"))
    elif first.suffix == ".json":
        values = [_decided(json.loads(path.read_text(encoding="utf-8"))) for path in (first, second)]
        if changed := [key for key in values[0] | values[1] if values[0].get(key) != values[1].get(key)]:
            key = changed[0]
            yield Difference(name, f"differs: {key} is {values[0].get(key)} there, {values[1].get(key)} here", np.inf)
    elif first.read_bytes() != second.read_bytes():
        yield Difference(name, "is another figure", np.inf)


def _of_arrays(name: str, there: Mapping[str, np.ndarray], here: Mapping[str, np.ndarray]) -> Iterator[Difference]:
    if set(there) != set(here):
        yield Difference(name, f"holds {sorted(there)}, the replay {sorted(here)}", np.inf)
        return
    found = {key: _distance(there[key], here[key]) for key in there if there[key].tobytes() != here[key].tobytes()}
    if found:
        worst = max(found, key=lambda key: found[key])
        which = (
            f"differs in {len(found)} of {len(there)} arrays, {worst} most: by {found[worst]:.1e} of its largest value"
        )
        yield Difference(name, which, found[worst])


def _of_tables(name: str, there: str, here: str) -> Iterator[Difference]:
    """Rows are epochs or models; the column of seconds is left out."""
    tables = [list(csv.DictReader(text.splitlines())) for text in (there, here)]
    lengths = [len(rows) for rows in tables]
    if lengths[0] != lengths[1] or (lengths[0] and set(tables[0][0]) != set(tables[1][0])):
        yield Difference(name, f"has {lengths[0]} rows, the replay {lengths[1]}, or other columns", np.inf)
        return
    first, largest = "", 0.0
    for column in (column for column in (tables[0] or [{}])[0] if column != "seconds"):
        values = [[row[column] for row in rows] for rows in tables]
        for row, (one, other) in enumerate(zip(*values, strict=True), start=1):
            if one != other:
                if not first or row < int(first.partition(":")[0]):
                    first = f"{row}: {column} {one} there, {other} here"
                largest = max(
                    largest, _distance(*(np.array([value or "nan" for value in each], float) for each in values))
                )
                break
    if first:
        what = "epoch" if "epoch" in tables[0][0] else "row"
        yield Difference(name, f"differs from {what} {first}", largest)


def _distance(there: np.ndarray, here: np.ndarray) -> float:
    """The largest difference as a part of the largest value; infinite for other shapes, types or NaN."""
    if there.shape != here.shape or there.dtype != here.dtype or not there.size:
        return np.inf
    a, b = (np.asarray(each, np.float64) for each in (there, here))
    apart = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b)).max()
    return float(apart / (np.nanmax(np.abs(a)) or 1.0)) if np.isfinite(apart) else np.inf


def _decided(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a JSON file that settings and data decide, not time or machine."""
    free = {"checksum", "examples_per_second", "peak_memory_mib", *environment.environment(), *NO_SETTINGS}
    return {key: value for key, value in values.items() if key not in free and not key.startswith("seconds")}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0 if certified, 1 if something differs, 2 for bad input."""
    options = parser.parse(Options, prog="jaxnn verify", description=__doc__, args=arguments)
    # What follows takes a while to load: not for --help.
    from rich.console import Console

    from jaxnn import training

    training.enable_compilation_cache()
    return command.run(verify, options, Console())


if __name__ == "__main__":
    sys.exit(main())
