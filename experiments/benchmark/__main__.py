"""Time jaxnn beside what a user would pick instead: each in a process of its own, in turns, on the CPU.

    python -m experiments.benchmark

Needs the extra `bench` and CIFAR-10; peers whose library is not installed are left out. Everyone trains the same model
on the same examples with the same batch size, rate, momentum, penalty and number of epochs, after a first unit that is
not counted; training accuracies, ours and the peer's, are compared. Where a peer's mathematics differ, its row says so.

Writes a JSON file, and beside it a chart of the best form of each family and one of how our time grows. Everything
takes about 25 minutes on 2 cores; `--only` puts its rows into the file of an earlier run of the same machine, versions
and flags, and refuses any other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import tyro
from rich.console import Console

from experiments.benchmark import growth, limits, report, startup
from experiments.benchmark.measure import Host, measure
from experiments.benchmark.process import run_alone
from experiments.benchmark.works import WORKS, Work, read, shortened, write
from experiments.cli import command, files
from jaxnn import plots

NAMES = (*WORKS, "growth")
QUICK_EXAMPLES = 2560


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure."""

    only: tuple[str, ...] = NAMES
    """Which works, or growth; all of them by default."""
    quick: bool = False
    """A trial: everything, but little of it; one process for several works."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""
    out: Path | None = None
    """The file for the results; experiments/results/benchmark.json by default, runs/benchmark.json for a trial."""
    repetitions: int = 5
    """Turns of everyone; slow peers have fewer."""


def run(options: Options, console: Console) -> dict[str, Any]:
    """Measure and write.

    Args:
        options: what to measure.
        console: where progress goes.

    Returns:
        The results, as written.

    Raises:
        ValueError: an option is wrong, or the file holds results that cannot stand beside new ones.
        OSError, ImportError: data cannot be loaded, or the file not written.
    """
    if unknown := [name for name in options.only if name not in NAMES]:
        raise ValueError(f"--only {' '.join(unknown)}: choose from {', '.join(NAMES)}")
    if options.repetitions < 1:
        raise ValueError(f"--repetitions {options.repetitions} must be at least 1")
    out = options.out or Path("runs" if options.quick else "experiments/results", "benchmark.json")
    now = report.conditions(options.quick)
    everything = set(options.only) == set(NAMES)
    earlier = None if everything else report.read_earlier(out, now)
    out.parent.mkdir(parents=True, exist_ok=True)
    repetitions = 1 if options.quick else options.repetitions

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    rows: list[dict[str, Any]] = []
    grown: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for data in sorted(_data_of(options.only)):
            most = QUICK_EXAMPLES if options.quick else None
            run_alone(functools.partial(write, data, folder, data_dir=options.data_dir, most=most))
        say("limits of the machine")
        machine = run_alone(limits.measure, options.quick)
        with contextlib.closing(Host(reuse=options.quick)) as host:
            for name in (name for name in WORKS if name in options.only):
                say(WORKS[name].name)
                work = shortened(WORKS[name]) if options.quick else WORKS[name]
                if name == "process":
                    found = startup.measure(1 if options.quick else min(repetitions, 3), options.quick, say)
                else:
                    found = measure(name, work, folder, repetitions, host, machine, say)
                rows += found
                for shown in dict.fromkeys(row["work"] for row in found):
                    console.print(report.table([row for row in found if row["work"] == shown]))
        if "growth" in options.only:
            say("growth")
            grown = run_alone(growth.measure, folder, options.quick)
        step_us = _step_us(rows, shortened(WORKS["toy"]) if options.quick else WORKS["toy"], folder)
    new = {**now, "limits": report.plain_limits(machine, step_us), "growth": grown, "rows": rows}
    results = report.merge(earlier, new, list(WORKS))
    files.write_json(out, results)
    if results["rows"]:
        plots.save(report.chart(results["rows"]), out.with_suffix(".png"))
    if results["growth"]:
        plots.save(growth.plot(results["growth"]), out.with_name(f"{out.stem}_growth.png"))
    say(f"{out}")
    return results


def _data_of(names: tuple[str, ...]) -> set[str]:
    return {WORKS[name].data if name in WORKS else "cifar10" for name in names if name != "process"}


def _step_us(rows: list[dict[str, Any]], toy: Work, folder: Path) -> float | None:
    seconds = [row["ours_s"] for row in rows if row["key"] == "toy"]
    if not seconds:
        return None
    return 1e6 * seconds[0] / (toy.epochs * (len(read(toy, folder).labels) // toy.batch_size))


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status 0, or 2 when something that was given is wrong."""
    options = tyro.cli(Options, prog="python -m experiments.benchmark", description=__doc__, args=arguments)
    os.environ["JAX_PLATFORMS"] = "cpu"  # for the processes; all peers are measured on the CPU
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    jax.config.update("jax_platforms", "cpu")
    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
