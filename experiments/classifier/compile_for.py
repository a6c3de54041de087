"""`--compile-for`: what a compiled training needs and what limits it, as a table; and what would make it fit."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import jax
from jax.sharding import AbstractMesh, AxisType
from rich.console import Console
from rich.table import Table

from experiments.classifier import multihost
from experiments.classifier.config import Config
from experiments.classifier.job import prepare
from jaxnn import inspect, sharding, training
from jaxnn.inspect._devices import Topology


class Levers(NamedTuple):
    """What a training that does not fit could do with less of."""

    option: str
    """The option whose value the memory grows with, besides the images."""
    value: int
    images: int
    """Bytes of training images on each chip."""


def compile_training(config: Config, topology: str, console: Console) -> None:
    """Compile the training that the settings describe, and train nothing."""
    if config.resume is not None:
        raise ValueError("--compile-for compiles a new training: leave out --resume, and repeat the options of the run")
    multihost.choose_device("cpu")
    where = inspect.topology(topology)
    job = prepare(config, None, console)
    with as_if_on(where, sharding.DATA):
        sharding.check_batch_size(job.settings.batch_size)
    streamed = isinstance(job.examples, training.Stream)
    show(
        f"{job.dataset.name}, {job.settings.model}, batch size {job.settings.batch_size}",
        functools.partial(inspect.describe, *job.program(), topology=topology),
        Levers("--batch-size", job.settings.batch_size, 0 if streamed else job.dataset.train.inputs.nbytes),
        job.examples_per_epoch // job.settings.batch_size,
        console,
    )


def as_if_on(topology: Topology, axis: str) -> contextlib.AbstractContextManager[object]:
    """A context with a mesh of so many chips, none of which need be there."""
    return jax.sharding.use_abstract_mesh(AbstractMesh((topology.chips,), (axis,), axis_types=(AxisType.Auto,)))


def show(
    title: str, describe: Callable[[], inspect.Compiled], levers: Levers, steps: int, console: Console
) -> inspect.Compiled:
    """Compile and print the table; a ValueError if the program does not fit, with what would make it fit."""
    try:
        found = describe()
    except MemoryError as error:
        raise ValueError(f"{error}; {_advice(levers, *error.args[1:])}") from None
    console.print(table(title, found, steps))
    return found


def table(title: str, found: inspect.Compiled, steps: int) -> Table:
    """The numbers of one chip."""
    device = found.device
    rows = Table(title=f"{title}, for {found.topology}: nothing is trained", show_header=False)
    rows.add_row("chips", f"{found.chips} x {device.name if device else 'the processor of this machine'}")
    rows.add_row("compiled in", f"{found.compile_seconds:.1f} s")
    there = "" if device is None else f" of {mib(device.memory)} ({found.peak / device.memory:.1%})"
    rows.add_row("memory of a chip", f"{mib(found.peak)}{there}")
    parts = {"arguments": found.arguments, "temporaries": found.temporaries, "results": found.outputs - found.aliased}
    rows.add_row("", ", ".join(f"{name} {mib(size)}" for name, size in parts.items()))
    rows.add_row("a step: kernels", str(found.kernels))
    rows.add_row("products", " + ".join(f"{n / 1e9:.4g} GFLOP in {kind}" for kind, n in found.flops.items()) or "none")
    rows.add_row("memory traffic", f"{found.bytes / 1e6:.4g} MB")
    rows.add_row("communication", communication(found))
    if device is not None:
        limits = ", ".join(f"{name} {1e6 * seconds:.3g}" for name, seconds in found.seconds.items())
        rows.add_row("a step, estimated", f"{1e6 * found.step_seconds:.3g} us, limited by {found.bound}")
        rows.add_row("", f"us: {limits}")
        rows.add_row("an epoch, estimated", f"{1e3 * steps * found.step_seconds:.3g} ms, {steps} steps")
        rows.add_row("rates", device.source)
    return rows


def communication(found: inspect.Compiled) -> str:
    """The collective operations of a step, such as "1 all-reduce, 6.02 MiB"."""
    counts = Counter(one.kind for one in found.collectives)
    size = sum(one.bytes for one in found.collectives)
    return ", ".join([*(f"{n} {kind}" for kind, n in counts.items()), mib(size)]) if counts else "none"


def mib(size: float) -> str:
    """Bytes, in MiB."""
    return f"{size / 2**20:,.3g} MiB" if size < 2**30 else f"{size / 2**20:,.0f} MiB"


def _advice(levers: Levers, used: float, there: float) -> str:
    """What would make a program fit, from the memory that does not depend on the examples of a step."""
    rest = used - levers.images
    room = there - levers.images
    found = []
    if levers.images > 0.1 * used:
        found.append(f"--memory-share 0 (a prepared image set stays on the disk: {mib(levers.images)} less)")
    if room > 0:
        most, times = int(0.9 * levers.value * room / rest), rest / (0.9 * room)
        found += [f"{levers.option} {most} instead of {levers.value}"] if most else []
        found.append(f"{times:.1f} times as many chips")
    found.append("--precision bfloat16 (about half of the activations)")
    return f"it would fit, by an estimate, with {', or '.join(found)}"
