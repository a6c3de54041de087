"""What data-parallel training sends over the network in a step, and how long that takes with more and more hosts.

    python -m experiments.benchmark.communication
    python -m experiments.benchmark.communication --hidden 4096 4096 --gigabits 10 100 --latency-us 20

The bytes are counted, not estimated: the training step is compiled for several (simulated) devices, and every
collective operation of the compiled program is read. The seconds are a simulation, a ring all-reduce in which each of n
hosts sends 2 (n - 1) / n of the bytes in 2 (n - 1) messages:

    seconds = 2 (n - 1) / n * bytes / bandwidth + 2 (n - 1) * latency

Writes a JSON file and beside it a figure. Takes a few seconds.
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
import tyro
from rich.console import Console
from rich.table import Table

from experiments.cli import command, environment, files
from jaxnn import losses, models, plots, sharding, training
from jaxnn.plots import studies

DEVICES = 4
"""Simulated; how many there are does not change what is sent."""
KINDS = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute", "collective-broadcast")
BITS = {"pred": 8, "bf16": 16, **{f"{kind}{bits}": bits for kind in "fsu" for bits in (8, 16, 32, 64)}}


@dataclasses.dataclass(frozen=True)
class Options:
    """The model, the network, and where the results go."""

    inputs: int = 3072
    """Values of one example."""
    hidden: tuple[int, ...] = (512,)
    """Neurons of each hidden layer; none is the linear classifier."""
    classes: int = 10
    """Scores of the model."""
    batch_size: int = 256
    """Examples a step, on all hosts together."""
    hosts: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128)
    """Numbers of hosts."""
    gigabits: tuple[float, ...] = (1.0, 10.0, 100.0, 400.0)
    """Bandwidths of each host's network, in 10**9 bits a second."""
    latency_us: float = 20.0
    """Time of a message without content, in microseconds."""
    out: Path = Path("experiments/results/communication.json")
    """The file of the results; the figure lies beside it."""


class Collective(NamedTuple):
    """An operation in which devices take part together."""

    kind: str
    bytes: int
    """Of its results on one device."""


def collectives(program: str) -> list[Collective]:
    """The collective operations of a compiled program.

    Args:
        program: as from `jax.jit(f).lower(...).compile().as_text()`.

    Returns:
        One for each place in the program: those in a loop's body are listed once.
    """
    found = []
    for shapes, kind in re.findall(rf"= (\(.*?\)|\S+) ({'|'.join(KINDS)})(?:-start)?\(", program):
        sizes = [
            math.prod(int(size) for size in dimensions.split(",") if size) * BITS[dtype] // 8
            for dtype, dimensions in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shapes)
        ]
        found.append(Collective(kind, sum(sizes)))
    return found


def ring_seconds(size: float, hosts: int, bandwidth: float, latency: float) -> float:
    """How long an all-reduce in a ring takes: a simulation.

    Args:
        size: bytes.
        hosts: how many.
        bandwidth: bytes a second that a host can send.
        latency: seconds of a message without content.

    Returns:
        Seconds.

    Source: Patarasuk & Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations".
    """
    return 2 * (hosts - 1) / hosts * size / bandwidth + 2 * (hosts - 1) * latency


def step_program(options: Options) -> str:
    """The training step, compiled for several devices.

    Args:
        options: the model and the batch size.

    Returns:
        The compiled program as text.
    """
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
    """Count the bytes, simulate the seconds, write and show both.

    Args:
        options: see `Options`.
        console: where the table goes.

    Returns:
        What was written.

    Raises:
        ValueError: an option is out of range; nothing was written.
    """
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
        table.add_row(str(hosts), *(f"{1e3 * of_one[i]:.3f}" for of_one in seconds.values()))
    console.print(table)
    results = dataclasses.asdict(options) | environment.environment()
    results |= {"parameters": parameters, "bytes_per_step": size, "seconds": seconds}
    results |= {"collectives": [collective._asdict() for collective in found]}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(options.out, results)
    milliseconds = {f"{gigabits} Gbit/s": 1e3 * np.array(of_one) for gigabits, of_one in seconds.items()}
    figure = studies.study(
        options.hosts,
        [studies.Panel(milliseconds, "", "milliseconds per step", log=True)],
        f"Communication per step, MLP {name} (simulated, {size / 1e6:.3g} MB, {options.latency_us:g} us a message)",
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
        raise ValueError(f"--hosts {' '.join(map(str, options.hosts))} must be rising numbers, from 2 on")


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status 0, or 2 when something that was given is wrong."""
    options = tyro.cli(
        Options, prog="python -m experiments.benchmark.communication", description=__doc__, args=arguments
    )
    if arguments is None:  # a process of its own, in which JAX has not started yet
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", DEVICES)
    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
