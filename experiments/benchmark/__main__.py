"""Time jaxnn against its alternatives on the CPU: each in its own process, in alternating rounds.

    python -m experiments.benchmark

Needs the extra `bench` and CIFAR-10; peers whose library is not installed are left out. All train the same model on the
same examples with the same batch size, rate, momentum, penalty and number of epochs, after a first unit that does not
count, and the training accuracies are compared. Where the mathematics of a peer differ, its row says so.

Writes a JSON file, a chart of the best form of each family and a chart of how the time of jaxnn grows. Everything takes
about 25 minutes on 2 cores; `--only` merges its rows into the file of an earlier run. Rows measured on another machine
or with other versions or flags than the file's carry their own, and the tables say so. Only the time to a first result:

    python -m experiments.benchmark --only process digits-whole digits-again startup --repetitions 3
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.benchmark.process import run_alone
from experiments.benchmark.workloads import STARTUP, WORKLOADS, Workload, read, shortened, write
from experiments.cli import command, files, parser

if TYPE_CHECKING:
    from rich.console import Console

_NAMES = (*WORKLOADS, STARTUP, "growth")
_QUICK_EXAMPLES = 2560


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure, and where to write it."""

    only: tuple[str, ...] = _NAMES
    """Workloads, or growth; all of them by default."""
    quick: bool = False
    """A trial: a little of everything; one process for several workloads."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""
    out: Path | None = None
    """The result file; experiments/results/benchmark.json by default, runs/benchmark.json for a trial."""
    repetitions: int = 5
    """Rounds of each participant; slow peers have fewer."""


def run(options: Options, console: Console) -> dict[str, Any]:
    """Measure the workloads, write the results and show them."""
    from experiments.benchmark import growth, limits, report, startup
    from experiments.benchmark.measure import WorkerPool, measure
    from jaxnn import plots

    if unknown := [name for name in options.only if name not in _NAMES]:
        raise ValueError(f"--only {' '.join(unknown)}: choose from {', '.join(_NAMES)}")
    if options.repetitions < 1:
        raise ValueError(f"--repetitions {options.repetitions} must be at least 1")
    out = options.out or Path("runs" if options.quick else "experiments/results", "benchmark.json")
    now = report.conditions(options.quick)
    everything = set(options.only) == set(_NAMES)
    earlier = None if everything else report.read_earlier(out, now)
    out.parent.mkdir(parents=True, exist_ok=True)
    repetitions = 1 if options.quick else options.repetitions
    workloads = {name: shortened(one) if options.quick else one for name, one in WORKLOADS.items()}

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    rows: list[dict[str, Any]] = []
    grown: dict[str, Any] = {}
    alone: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data_names = {
            WORKLOADS[name].data if name in WORKLOADS else "cifar10"
            for name in options.only
            if name not in ("process", STARTUP)
        }
        for data in sorted(data_names):
            most = _QUICK_EXAMPLES if options.quick else None
            run_alone(functools.partial(write, data, folder, data_dir=options.data_dir, most=most))
        say("limits of the machine")
        machine = run_alone(limits.measure, options.quick)

        def save() -> dict[str, Any]:
            """Write what has been measured so far, with what stood in the file."""
            limit = report.plain_limits(machine, _step_us(rows, workloads["toy"], folder))
            of_machine = {"limits": limit, "growth": grown, "rows": rows}
            new = {**now, **of_machine, STARTUP: {**now, "rows": alone} if alone else None}
            merged = report.merge(earlier, new, list(WORKLOADS))
            files.write_json(out, merged)
            return merged

        with contextlib.closing(WorkerPool(reuse=options.quick)) as pool:
            for name, workload in ((name, workloads[name]) for name in WORKLOADS if name in options.only):
                say(workload.name)
                if name == "process":
                    found = startup.measure(min(repetitions, 3), options.quick, say)
                else:
                    found = measure(name, workload, folder, repetitions, pool, machine, say)
                rows += found
                save()
                for shown in dict.fromkeys(row["work"] for row in found):
                    console.print(report.table([row for row in found if row["work"] == shown]))
        if STARTUP in options.only:
            say("time to a first result")
            alone = startup.measure_alone(min(repetitions, 3), options.quick, say)
            console.print(report.table_alone(alone))
        if "growth" in options.only:
            say("growth")
            grown = run_alone(growth.measure, folder, options.quick)
        results = save()
    if results["rows"]:
        plots.save(report.chart(results["rows"]), out.with_suffix(".png"))
    if results["growth"]:
        plots.save(growth.plot(results["growth"]), out.with_name(f"{out.stem}_growth.png"))
    say(f"{out}")
    return results


def _step_us(rows: list[dict[str, Any]], toy: Workload, folder: Path) -> float | None:
    seconds = [row["ours_s"] for row in rows if row["key"] == "toy"]
    if not seconds:
        return None
    return 1e6 * seconds[0] / (toy.epochs * (len(read(toy, folder).labels) // toy.batch_size))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for a wrong option."""
    options = parser.parse(Options, prog="jaxnn benchmark", description=__doc__, args=arguments)
    import jax
    from rich.console import Console

    os.environ["JAX_PLATFORMS"] = "cpu"  # inherited by the workers; all peers are measured on the CPU
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    jax.config.update("jax_platforms", "cpu")
    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
