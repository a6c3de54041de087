"""Bytes that a data-parallel training step sends over the network, and the seconds that takes on more and more hosts.

    python -m experiments.benchmark.communication
    python -m experiments.benchmark.communication --hidden 4096 4096 --gigabits 10 100 --latency-us 20

The bytes are counted, not estimated: the training step is compiled for several (simulated) devices, and the collective
operations are read from the compiled program. The seconds are simulated, for a ring all-reduce in which each of n hosts
sends 2 (n - 1) / n of the bytes in 2 (n - 1) messages:

    seconds = 2 (n - 1) / n * bytes / bandwidth + 2 (n - 1) * latency

Writes a JSON file and a figure next to it, in a few seconds.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.table import Table

from experiments.cli import command, environment, files, parser
from jaxnn import losses, models, plots, sharding, training

DEVICES = 4
"""Simulated; their number does not change the traffic."""
KINDS = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute", "collective-broadcast")
BITS = {"pred": 8, "bf16": 16, **{f"{kind}{bits}": bits for kind in "fsu" for bits in (8, 16, 32, 64)}}


@dataclasses.dataclass(frozen=True)
class Options:
    """The model, the network, and where to write the results."""

    inputs: int = 3072
    """Values per example."""
    hidden: tuple[int, ...] = (512,)
    """Neurons of each hidden layer; none for the linear classifier."""
    classes: int = 10
    """Scores per example."""
    batch_size: int = 256
    """Examples per step, on all hosts together."""
    hosts: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128)
    """Numbers of hosts."""
    gigabits: tuple[float, ...] = (1.0, 10.0, 100.0, 400.0)
    """Network bandwidths of a host, in 10**9 bits per second."""
    latency_us: float = 20.0
    """Time of an empty message, in microseconds."""
    out: Path = Path("experiments/results/communication.json")
    """The result file; the figure is written next to it."""


class Collective(NamedTuple):
    """A collective operation of several devices."""

    kind: str
    bytes: int
    """Size of its results on one device."""


def collectives(program: str) -> list[Collective]:
    """The collective operations in the text of a compiled program; those in the body of a loop are listed once."""
    found = []
    for shapes, kind in re.findall(rf"= (\(.*?\)|\S+) ({'|'.join(KINDS)})(?:-start)?\(", program):
        sizes = [
            math.prod(int(size) for size in dimensions.split(",") if size) * BITS[dtype] // 8
            for dtype, dimensions in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shapes)
        ]
        found.append(Collective(kind, sum(sizes)))
    return found


def ring_seconds(size: float, hosts: int, bandwidth: float, latency: float) -> float:
    """Simulated seconds of a ring all-reduce; `bandwidth` in bytes per second. Source: Patarasuk & Yuan 2009."""
    return 2 * (hosts - 1) / hosts * size / bandwidth + 2 * (hosts - 1) * latency


def step_program(options: Options) -> str:
    """The text of the training step compiled for several devices."""
    task = training.Task(
        model=models.mlp(options.inputs, options.hidden, options.classes),
        loss=losses.softmax,
        penalty=lambda params: 1e-4 * losses.l2(params),
        optimizer=optax.sgd(0.1, momentum=0.9),
    )

    def step(state: training.State, inputs: jax.Array, labels: jax.Array) -> tuple[training.State, list[jax.Array]]:
        state, metrics = training.make_train_step(task)(state, sharding.shard((inputs, labels)))
        return state, [metrics.loss, metrics.penalty, metrics.accuracy]

    state = jax.eval_shape(lambda: training.init_state(task, jax.random.key(0)))
    inputs = jax.ShapeDtypeStruct((options.batch_size, options.inputs), jnp.float32)
    labels = jax.ShapeDtypeStruct((options.batch_size,), jnp.int32)
    with sharding.data_parallel(jax.devices()[:DEVICES]):
        sharding.check_batch_size(options.batch_size)
        return jax.jit(step).lower(state, inputs, labels).compile().as_text() or ""


def run(options: Options, console: Console) -> dict[str, Any]:
    """Count the bytes, simulate the seconds, write and show both."""
    _check(options)
    found = collectives(step_program(options))
    size = sum(collective.bytes for collective in found)
    sizes = [options.inputs, *options.hidden, options.classes]
    parameters = sum((into + 1) * out for into, out in itertools.pairwise(sizes))
    seconds = {
        f"{gigabits:g}": [ring_seconds(size, n, gigabits * 1e9 / 8, options.latency_us * 1e-6) for n in options.hosts]
        for gigabits in options.gigabits
    }
    name = "-".join(map(str, sizes))
    table = Table(
        "hosts",
        *(f"{gigabits} Gbit/s" for gigabits in seconds),
        title=f"milliseconds of communication per step, MLP {name}: {size:,} bytes for {parameters:,} parameters",
    )
    for i, hosts in enumerate(options.hosts):
        table.add_row(str(hosts), *(f"{1e3 * times[i]:.3f}" for times in seconds.values()))
    console.print(table)
    results = dataclasses.asdict(options) | environment.environment()
    results |= {"parameters": parameters, "bytes_per_step": size, "seconds": seconds}
    results |= {"collectives": [collective._asdict() for collective in found]}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(options.out, results)
    milliseconds = {f"{gigabits} Gbit/s": 1e3 * np.array(times) for gigabits, times in seconds.items()}
    figure = plots.study(
        options.hosts,
        [plots.Panel(milliseconds, "", "milliseconds per step", log=True)],
        f"Communication per step, MLP {name} (simulated, {size / 1e6:.3g} MB, {options.latency_us:g} us per message)",
        "hosts",
        log=True,
    )
    plots.save(figure, options.out.with_suffix(".png"))
    return results


def _check(options: Options) -> None:
    positive: dict[str, Sequence[float]] = {
        "inputs": [options.inputs],
        "hidden": options.hidden,
        "classes": [options.classes],
        "batch-size": [options.batch_size],
        "gigabits": options.gigabits,
    }
    for name, values in positive.items():
        for value in values:
            if not 0 < value < math.inf:
                raise ValueError(f"--{name} {value:g} must be above 0 and finite")
    if not 0 <= options.latency_us < math.inf:
        raise ValueError(f"--latency-us {options.latency_us:g} must be at least 0 and finite")
    if not options.hosts or min(options.hosts) < 2 or list(options.hosts) != sorted(set(options.hosts)):
        raise ValueError(f"--hosts {' '.join(map(str, options.hosts))} must be increasing numbers of at least 2")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for a wrong option."""
    options = parser.parse(Options, prog="jaxnn benchmark.communication", description=__doc__, args=arguments)
    if arguments is None:  # run as a command: JAX has not started yet
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", DEVICES)
    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
