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
import functools
import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from experiments.classifier import compiling
from experiments.classifier.config import Config
from experiments.classifier.preprocessing import fit_statistics
from experiments.classifier.presets import resolve
from experiments.classifier.task import hyperparameters, task_maker
from experiments.cli import command, environment, files, parser
from experiments.sweeps.grid import SweepConfig, hparams_of, tried_values
from jaxnn import inspect, layers, plots, sharding, training
from jaxnn.data import Dataset, Split, toy

TPUS = ("v5e", "v5e:2x2", "v5e:4x4", "v5e:16x16", "v5p", "v6e")
GPUS = ("h100", "4xh100", "8xh100", "a100")
PER_CHIP, MOST = 256, 4096
"""Examples of a step on each chip, and on all of them."""
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


class Program(NamedTuple):
    """A function to be compiled, with its arguments."""

    call: tuple[Any, ...]
    """The function, and its arguments."""
    axis: str
    batch_size: int
    steps: int
    """Of an epoch."""


def images(count: int) -> Split:
    """Arrays of the shape of CIFAR-10."""
    return Split(np.zeros((count, 32, 32, 3), np.uint8), np.zeros(count, np.int32))


@functools.cache
def cifar10() -> Dataset:
    """The shapes of CIFAR-10, without its pixels."""
    return Dataset("cifar10", tuple("0123456789"), images(45_000), images(5_000), images(10_000))


def single(config: Config, chips: int, *, stream: bool = False) -> Program:
    """The training that the settings describe, over all chips."""
    dataset = cifar10()
    settings = resolve(dataclasses.replace(config, batch_size=min(PER_CHIP * chips, MOST)), dataset)
    size, train = settings.batch_size, dataset.train
    statistics = fit_statistics(settings, train.inputs[:100])
    make_task = task_maker(settings, statistics, train.inputs, len(dataset.classes), layers.dot_as_sum)
    evaluate = {"train": images(5_000), "validation": dataset.validation}
    data: training.Data | training.Stream = training.Data(*train, statistics, evaluate=evaluate)
    steps = len(train.labels) // size
    if stream:
        data = training.Stream(
            lambda first: iter([(train.inputs[:size], train.labels[:size])]), steps, None, statistics
        )
    key = jax.random.key(0)
    program = training.program(make_task, hyperparameters(settings), key, data, epochs=settings.epochs, batch_size=size)
    return Program(program, sharding.DATA, size, steps)


def grid(config: SweepConfig, dataset: Dataset) -> Program:
    """A sweep, all of its models at once and spread over all chips."""
    settings = resolve(Config(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Config)}), dataset)
    train = dataset.train
    statistics = fit_statistics(settings, train.inputs[:100])
    make_task = task_maker(settings, statistics, train.inputs, len(dataset.classes))
    hparams = hparams_of(config, settings, tried_values(config, settings))
    keys = jax.vmap(jax.random.key)(jnp.arange(config.seeds))
    data = training.Data(*train, statistics, evaluate={"validation": dataset.validation})
    size, select = settings.batch_size, "validation_accuracy"
    program = training.program(make_task, hparams, keys, data, epochs=settings.epochs, batch_size=size, select=select)
    return Program(program, sharding.MODELS, size, len(train.labels) // size)


def points() -> Dataset:
    """The data of the toy nets."""
    train = Split(*toy.circle(200))
    return Dataset("circle", ("0", "1"), train, Split(*toy.circle(40)), Split(*toy.circle(40)))


_MLP = Config("cifar10", hidden=(512,), dropout=0.5)
_RATES, _PENALTIES = tuple(0.002 * 2.0**k for k in range(-4, 4)), tuple(0.01 * 2.0**k for k in range(-4, 4))
PROGRAMS: dict[str, Callable[[int], Program]] = {
    "linear": lambda chips: single(Config("cifar10", "linear"), chips),
    "mlp": lambda chips: single(_MLP, chips),
    "mlp, bfloat16": lambda chips: single(dataclasses.replace(_MLP, precision="bfloat16"), chips),
    "mlp, streamed": lambda chips: single(_MLP, chips, stream=True),
    "cnn-large, bfloat16": lambda chips: single(Config("cifar10", "cnn-large", precision="bfloat16"), chips),
    "64 linear models": lambda chips: grid(
        SweepConfig("cifar10", "linear", learning_rates=_RATES, l2s=_PENALTIES, seeds=1), cifar10()
    ),
    "1,024 toy nets": lambda chips: grid(
        SweepConfig("circle", hidden=(16,), activation="tanh", batch_size=10, widths=tuple(range(1, 17)), seeds=64),
        points(),
    ),
}
"""Settings of `experiments.train` and `experiments.sweep` by name, for so many chips."""


def measure(name: str, topology: str) -> dict[str, Any]:
    """A row of the results."""
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
    return (
        f"{compiling.mib(row['peak'])}, {row['kernels']} kernels, {len(row['collectives'])} collectives, "
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
    if arguments is None:  # run as a command: JAX has not started yet
        jax.config.update("jax_platforms", "cpu")
    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
