"""Programs of this package compiled for TPUs and GPUs that need not be there: memory, kernels, communication, limits.

    python -m experiments.benchmark.accelerators
    python -m experiments.benchmark.accelerators --topologies v5e v5e:16x16 --programs mlp

The compilers are those of the extras `tpu-compiler` and `gpu-compiler`, which cannot live in one environment: run the
command once in each. Rows of other topologies stay in the file. Memory, kernels, bytes and operations are read from the
compiled programs; seconds are estimates from data sheets (`jaxnn.inspect.describe`). The figure shows the fraction of
the time in which chips compute, not communicate, with the same number of examples on each: an estimate, too.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import command, environment, files, parser

if TYPE_CHECKING:
    from rich.console import Console

TPUS = ("v5e", "v5e:2x2", "v5e:4x4", "v5e:16x16", "v5p", "v6e")
GPUS = ("h100", "4xh100", "8xh100", "a100")
KEPT = ("compile_seconds", "arguments", "outputs", "temporaries", "aliased", "peak", "kernels", "flops", "bytes")


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compile."""

    topologies: tuple[str, ...] = ()
    """Chips, such as v5e:4x4 or 4xh100; by default all of the table whose compiler is installed."""
    programs: tuple[str, ...] = ()
    """Programs, by their names in the table; by default all."""
    out: Path = Path("experiments/results/accelerators.json")
    """The result file; the figure is written beside it."""


def measure(name: str, topology: str) -> dict[str, Any]:
    """A row of the results."""
    from experiments.benchmark.programs import PROGRAMS
    from jaxnn import inspect

    where = inspect.topology(topology)
    program = PROGRAMS[name](where.chips)
    row = {"program": name, "topology": topology, "chips": where.chips}
    row |= {"batch_size": program.batch_size, "steps": program.steps}
    compiler = "jax-cuda12-plugin" if where.device and where.device.domain == 8 else "libtpu"
    row |= {"compiler": f"{compiler} {_version(compiler)}"}
    try:
        found = inspect.describe(*program.call, topology=topology, axis=program.axis)
    except MemoryError as error:
        return row | {"error": str(error)}
    assert found.device is not None
    row |= {kept: getattr(found, kept) for kept in KEPT} | {"memory": found.device.memory}
    row |= {"collectives": [one._asdict() for one in found.collectives], "seconds": found.seconds}
    local = found.step_seconds - found.seconds["network"]
    row |= {"step_seconds": found.step_seconds, "bound": found.bound}
    return row | {"epoch_seconds": program.steps * found.step_seconds, "efficiency": local / found.step_seconds}


def run(options: Options, console: Console) -> dict[str, Any]:
    """Compile everything, write the results and the figure, and show a table."""
    from experiments.benchmark.programs import PROGRAMS
    from jaxnn import inspect

    for name in options.programs:
        if name not in PROGRAMS:
            raise ValueError(f"--programs {name!r} is unknown: there are {', '.join(PROGRAMS)}")
    there = [*(TPUS if _version("libtpu") else ()), *(GPUS if _version("jax-cuda12-plugin") else ())]
    topologies = [inspect.topology(name).name for name in options.topologies or there]
    if not topologies:
        raise ValueError(
            "no compiler for accelerators is installed: pip install -e '.[commands,tpu-compiler]', or gpu-compiler, "
            "each in an environment of its own"
        )
    rows = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    order = {key: i for i, key in enumerate((name, topology) for name in PROGRAMS for topology in (*TPUS, *GPUS))}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    results = environment.environment()
    for topology in topologies:
        for name in options.programs or PROGRAMS:
            row = measure(name, topology)
            console.print(f"{name}, {topology}: {row.get('error') or summary(row)}", highlight=False)
            rows = [one for one in rows if (one["program"], one["topology"]) != (name, topology)] + [row]
            rows.sort(key=lambda row: order.get((row["program"], row["topology"]), len(order)))
            results |= {"rows": rows}
            files.write_json(options.out, results)
    draw(rows, options.out.with_suffix(".png"))
    return results


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """The fraction of the time in which chips compute, against their number."""
    from experiments.benchmark.programs import PER_CHIP
    from jaxnn import inspect, plots

    sizes = (1, 4, 8, 16, 32, 64, 128, 256)
    tori = ("v5e", "v5e:2x2", "v5e:2x4", "v5e:4x4", "v5e:4x8", "v5e:8x8", "v5e:8x16", "v5e:16x16")
    panels = []
    for one, several, title, names in (
        ("v5e", "v5e:2x2", "TPU v5e, its torus", tori),
        ("h100", "4xh100", "H100, NVLink up to 8, then the network", [f"{n}xh100" for n in sizes]),
    ):
        alone = {row["program"]: row for row in rows if row["topology"] == one and "error" not in row}
        series = {}
        for row in rows:
            sums = [each["bytes"] for each in row.get("collectives", []) if each["kind"] == "all-reduce"]
            if row["topology"] == several and sums and row["program"] in alone:
                local = alone[row["program"]]["step_seconds"]
                times = [inspect.topology(name).all_reduce_seconds(sum(sums)) for name in names]
                series[row["program"]] = [local / (local + seconds) for seconds in times]
        if series:
            panels.append(plots.Panel(series, title, "fraction of the time spent computing"))
    if panels:
        title = f"Data-parallel training, {PER_CHIP} examples on each chip (estimated from compiled programs)"
        plots.save(plots.study(sizes, panels, title, "chips", log=True), out)


def summary(row: dict[str, Any]) -> str:
    """A row in a line."""
    from experiments.classifier import compile_for

    return (
        f"{compile_for.mib(row['peak'])}, {row['kernels']} kernels, {len(row['collectives'])} collectives, "
        f"{1e6 * row['step_seconds']:.3g} us ({row['bound']}); compiled in {row['compile_seconds']:.1f} s"
    )


def _version(package: str) -> str:
    """The installed version, or ""."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for a wrong option or a compiler that is not installed."""
    options = parser.parse(Options, prog="jaxnn benchmark.accelerators", description=__doc__, args=arguments)
    import jax
    from rich.console import Console

    if arguments is None:  # run as a command: JAX has not started yet
        jax.config.update("jax_platforms", "cpu")
    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
