"""A program compiled for an accelerator that need not be there: memory, kernels, collectives, and a roofline."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxnn import sharding
from jaxnn.inspect._devices import Device, compile_only_devices, compiler_options, topology
from jaxnn.inspect._hlo import Collective, Program


class Compiled(NamedTuple):
    """A program compiled for a topology; every number is of one chip.

    Attributes:
        topology: as it was named.
        chips: how many.
        device: the data sheet of a chip (rates and bandwidths, with their source); None for the machine's processor.
        compile_seconds: how long compiling took.
        arguments, outputs, temporaries: bytes of device memory.
        aliased: bytes of outputs that take the place of arguments (donated).
        peak: bytes of device memory at most.
        kernels: in one step; on a TPU, operations of the compiled program that are not of its scalar unit.
        collectives: in one step, each with the bytes of its results.
        flops: of the matrix products and convolutions in one step, by the type of their inputs.
        bytes: between chip and memory in one step, as if nothing stayed in a cache; what the compiler itself keeps in
            a faster memory is left out.
        seconds: of one step, an estimate from the data sheet: {"compute", "memory", "launches", "network"}, each as
            if it were the only limit; empty for the machine's processor.
        text: the compiled program (HLO).
    """

    topology: str
    chips: int
    device: Device | None
    compile_seconds: float
    arguments: int
    outputs: int
    temporaries: int
    aliased: int
    peak: int
    kernels: int
    collectives: tuple[Collective, ...]
    flops: dict[str, float]
    bytes: float
    seconds: dict[str, float]
    text: str

    @property
    def step_seconds(self) -> float:
        """The roofline of a step, an estimate: the longest of compute, memory and launches, and then the network."""
        if not self.seconds:
            return float("nan")
        return max(self.seconds[name] for name in ("compute", "memory", "launches")) + self.seconds["network"]

    @property
    def bound(self) -> str:
        """What takes longest: "compute", "memory", "launches" or "network"; "" for the machine's processor."""
        return max(self.seconds, key=self.seconds.__getitem__, default="")


def describe(
    function: Callable[..., Any], *arguments: Any, topology: str = "cpu", axis: str = sharding.DATA, **options: Any
) -> Compiled:
    """Compile a function for an accelerator, which need not be there, and read the compiled program.

    A step is the body of the innermost loop that computes a gradient; of a function without one, the body of the loop
    that does most of the work, or else the whole function.

    Args:
        function: jitted, or to be jitted.
        arguments: its arguments; arrays may be `jax.ShapeDtypeStruct`. They are whole on each chip unless their
            sharding names `axis`.
        topology: such as "v5e:4x4", "4xh100" or "cpu", see `topology`. TPUs need the extra `tpu-compiler`, GPUs
            `gpu-compiler`; the two cannot live in one environment.
        axis: the name of the mesh axis over all chips, as the function uses it; `jaxnn.training` splits batches over
            `sharding.DATA` and the models of a sweep over `sharding.MODELS`.
        options: keyword arguments of the function.

    Returns:
        A `Compiled`.

    Raises:
        ValueError: the topology is unknown, or its compiler is not installed.
        MemoryError: the program does not fit into the memory of a chip; it says by how much, and its second and third
            argument are the bytes that it needs and that there are.

    Source: Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model".

    Example:
        >>> x = jax.ShapeDtypeStruct((64, 32), jnp.float32)
        >>> found = inspect.describe(lambda x: x @ x.T, x)
        >>> found.flops, found.arguments, found.outputs
        ({'f32': 262144.0}, 8192, 16384)
    """
    where = _topology(topology)
    mesh = Mesh(np.array(compile_only_devices(where)), (axis,), axis_types=(AxisType.Auto,))

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, Array | np.ndarray | np.generic | jax.ShapeDtypeStruct):
            return leaf
        given: Any = getattr(leaf, "sharding", None)
        spec = given.spec if isinstance(given, NamedSharding) else PartitionSpec()
        kind = jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True)
        return jax.ShapeDtypeStruct(leaf.shape, kind, sharding=NamedSharding(mesh, spec))

    jitted: Any = function if hasattr(function, "lower") else jax.jit(function)
    with jax.set_mesh(mesh), warnings.catch_warnings():
        # a program for another machine is compiled again each time
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
        lowered = jitted.lower(*jax.tree.map(placed, arguments), **jax.tree.map(placed, options))
        begin = time.perf_counter()
        try:
            compiled = lowered.compile(compiler_options=compiler_options(where))
        except jax.errors.JaxRuntimeError as error:
            size = r"([\d.]+)([KMGT])"
            kinds = rf"Used {size} of {size} hbm|\({size}\) exceeds available HBM \({size}\)"
            found = re.search(kinds, str(error))
            if found is None:
                raise
            used, unit, there, other_unit = (part for part in found.groups() if part is not None)
            used, there = (float(n) * 2.0 ** (10 * "_KMGT".index(u)) for n, u in ((used, unit), (there, other_unit)))
            raise _too_large(topology, used, there) from None
        seconds = time.perf_counter() - begin
    memory: Any = compiled.memory_analysis()
    given, made, aside, aliased = (
        getattr(memory, f"{name}_size_in_bytes") for name in ("argument", "output", "temp", "alias")
    )
    peak = max(memory.peak_memory_in_bytes, given + made + aside - aliased)
    if where.device is not None and peak > where.device.memory:
        raise _too_large(topology, peak, where.device.memory)
    text = compiled.as_text() or ""
    program = Program(text)
    work = program.work(program.step())
    limits = {}
    if (device := where.device) is not None:
        limits = {
            "compute": sum(count / device.flops.get(kind, device.flops["f32"]) for kind, count in work.flops.items()),
            "memory": work.bytes / device.bandwidth,
            "launches": work.kernels * device.launch,
            "network": sum(
                where.all_reduce_seconds(one.bytes) / (1 if one.kind == "all-reduce" else 2) for one in work.collectives
            ),
        }
    return Compiled(
        topology=topology,
        chips=where.chips,
        device=where.device,
        compile_seconds=seconds,
        arguments=given,
        outputs=made,
        temporaries=aside,
        aliased=aliased,
        peak=peak,
        kernels=work.kernels,
        collectives=work.collectives,
        flops=work.flops,
        bytes=work.bytes,
        seconds=limits,
        text=text,
    )


_topology = topology  # `describe` has an argument of this name


def _too_large(topology: str, used: float, there: float) -> MemoryError:
    gib = [f"{size / 2**30:.2f} GiB" for size in (used, there, used - there)]
    message = f"the program needs {gib[0]} on each chip of {topology}, which has {gib[1]}: {gib[2]} too much"
    return _TooLarge(message, used, there)


class _TooLarge(MemoryError):
    """Has the bytes that are needed and those that there are as its second and third argument."""

    def __str__(self) -> str:
        return str(self.args[0])
