"""Accelerators that programs can be compiled for without having one: their data sheets, and JAX's devices for them."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import math
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies


class Device(NamedTuple):
    """The data sheet of one chip; rates and bandwidths are peaks, per second."""

    name: str
    memory: float
    """Bytes."""
    flops: dict[str, float]
    """Products with inputs of a type, summed in f32; f32 at JAX's default precision (bf16 on a TPU, TF32 on a GPU)."""
    bandwidth: float
    """Bytes between the chip and its memory."""
    link: float
    """Bytes that the chip sends to the others of its domain."""
    domain: int
    """Chips that are joined by these links; more are joined by the network."""
    network: float
    """Bytes that the chip sends over the network."""
    launch: float
    """Seconds to start a kernel: an assumption, not in the data sheet."""
    hop: float
    """Seconds of an empty message to a neighbour: an assumption, not in the data sheet."""
    source: str


_TPU: dict[str, Any] = {"launch": 5e-7, "hop": 1e-6}
_GPU: dict[str, Any] = {"launch": 3e-6, "hop": 2e-6, "domain": 8}
_CLOUD = "https://docs.cloud.google.com/tpu/docs/"
# TPUs: half of the "bidirectional" bandwidth between chips, which older pages give in Gbit/s; the network of v5e and of
# v6e is that of a host of eight chips (2 x 100, 4 x 200 Gbit/s). GPUs: rates without sparsity, one direction of NVLink,
# and of the network one adapter for each GPU (400 and 200 Gbit/s; docs.nvidia.com/dgx-basepod).
DEVICES = {
    "v5e": Device(
        "TPU v5e",
        16 * 2.0**30,
        {"f32": 197e12, "bf16": 197e12},
        819e9,
        200e9,
        256,
        network=25e9 / 8,
        source="https://cloud.google.com/tpu/docs/v6e (compares the two)",
        **_TPU,
    ),
    "v5p": Device(
        "TPU v5p",
        95 * 2.0**30,
        {"f32": 459e12, "bf16": 459e12},
        2765e9,
        600e9,
        8960,
        network=50e9 / 8,
        source=f"{_CLOUD}v5p",
        **_TPU,
    ),
    "v6e": Device(
        "TPU v6e",
        32 * 2.0**30,
        {"f32": 918e12, "bf16": 918e12},
        1600e9,
        400e9,
        256,
        network=100e9 / 8,
        source=f"{_CLOUD}v6e",
        **_TPU,
    ),
    "h100": Device(
        "H100 SXM 80 GB",
        84_978_434_048,
        {"f32": 494.7e12, "bf16": 989.4e12},
        3350e9,
        450e9,
        network=50e9,
        source="https://glennklockwood.com/garden/processors/h100 (after NVIDIA's H100 architecture paper)",
        **_GPU,
    ),
    "a100": Device(
        "A100 SXM 80 GB",
        84_987_740_160,
        {"f32": 156e12, "bf16": 312e12},
        2039e9,
        300e9,
        network=25e9,
        source="https://glennklockwood.com/garden/processors/A100 (after NVIDIA's A100 data sheet)",
        **_GPU,
    ),
}
_2D = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_3D = ("1x1x1", "2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8")
SHAPES = {"v5e": _2D, "v5p": _3D, "v6e": _2D}
"""The arrangements of chips that can be rented."""

# what the compiler asks about a GPU, as tensorflow/compiler/xla/tools/hlo_opt/gpu_specs has it
_TARGET = """
gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {shared}
  threads_per_core_limit: 2048
  core_count: {cores}
  fpus_per_core: {units}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: {bandwidth}
  l2_cache_size: {cache}
  clock_rate_ghz: {clock}
  device_memory_size: {memory}
  shared_memory_per_block_optin: {block}
  cuda_compute_capability {{ major: {major} }}
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 8 }}
device_description_str: "{name}"
"""
_H100 = {"shared": 233472, "block": 232448, "cores": 132, "units": 128, "cache": 52428800, "clock": 1.98, "major": 9}
_A100 = {"shared": 167936, "block": 166912, "cores": 108, "units": 64, "cache": 41943040, "clock": 1.41, "major": 8}
TARGETS = {
    "h100": _TARGET.format(name="NVIDIA H100 80GB HBM3", memory=84978434048, bandwidth=3352320000000, **_H100),
    "a100": _TARGET.format(name="NVIDIA A100-SXM4-80GB", memory=84987740160, bandwidth=2039000000000, **_A100),
}


class Topology(NamedTuple):
    """Chips of one kind, and how they are arranged.

    Attributes:
        name: as `topology` takes it.
        device: the data sheet of a chip; None for the machine's own processor, which has none here.
        shape: chips along each axis of their network.
    """

    name: str
    device: Device | None
    shape: tuple[int, ...]

    @property
    def chips(self) -> int:
        """How many."""
        return math.prod(self.shape)

    def all_reduce_seconds(self, size: float) -> float:
        """Estimated seconds to sum so many bytes of all chips, in rings along each axis of their network.

        Formula: `2 (n - 1) / n * size / bandwidth + 2 * sum(k - 1) * hop`, of n chips, k along each axis.

        Source: Patarasuk & Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations".
        """
        n, device = self.chips, self.device
        if n == 1 or device is None:
            return 0.0
        bandwidth = device.link if n <= device.domain else device.network
        return 2 * (n - 1) / n * size / bandwidth + 2 * sum(k - 1 for k in self.shape) * device.hop


def topology(name: str) -> Topology:
    """The chips that a name stands for.

    Args:
        name: "v5e", "v5e:4x4", "v5p:2x2x1", "v6e:16x16", ...: chips of a TPU; "h100", "4xh100", "8xa100", ...: GPUs;
            "cpu", "8xcpu": the machine's own processor.

    Returns:
        A `Topology`.

    Raises:
        ValueError: there is no such topology; the message names those that there are.

    Example:
        >>> inspect.topology("v5e:4x4").chips, inspect.topology("4xh100").device.name
        (16, 'H100 SXM 80 GB')
    """
    given = name.strip().lower()
    if found := re.fullmatch(r"(?:([1-9]\d{0,3})x)?(cpu|h100|a100)", given):
        chips, device = int(found[1] or 1), DEVICES.get(found[2])
        if device is None or chips <= device.domain:
            return Topology(given, device, (chips,))
        if chips % device.domain == 0:
            return Topology(given, device, (chips // device.domain, device.domain))
    kind, _, shape = given.partition(":")
    if kind in SHAPES and (shape or SHAPES[kind][0]) in SHAPES[kind]:
        return Topology(given, DEVICES[kind], tuple(map(int, (shape or SHAPES[kind][0]).split("x"))))
    known = ["cpu", "8xcpu", *(f"{n}{gpu}" for gpu in TARGETS for n in ("", "4x", "8x"))]
    known += [name for kind, shapes in SHAPES.items() for name in (kind, *(f"{kind}:{one}" for one in shapes[1:]))]
    close = difflib.get_close_matches(given, known, 3, 0.4)
    hint = f"; did you mean {' or '.join(close)}?" if close else ";"
    raise ValueError(f"topology {name!r} is unknown{hint} There are {', '.join(known)}")


def compile_only_devices(topology: Topology) -> list[Any]:
    """JAX's devices for a topology, for which programs can be compiled but not run."""
    kind = topology.name.partition(":")[0].rpartition("x")[2]
    if topology.device is None:
        there = jax.devices("cpu")
        if len(there) < topology.chips:
            raise ValueError(
                f"topology {topology.name!r}: this process has {len(there)} CPU devices; simulate more of them: "
                f"JAX_NUM_CPU_DEVICES={topology.chips}"
            )
        return there[: topology.chips]
    if kind in TARGETS:
        _require("jax_cuda12_plugin", "gpu-compiler", topology)
        _initialize_gpu_compiler()
        shape = "x".join(map(str, (1, 1, *topology.shape)[-3:]))
        options: dict[str, Any] = {"target_config": TARGETS[kind], "topology": shape}
        return topologies.get_topology_desc(platform="cuda", topology_name=shape, **options).devices
    _require("libtpu", "tpu-compiler", topology)
    options = {"chips_per_host_bounds": (1,) * 3} if topology.chips == 1 else {}
    name = f"{kind}:{'x'.join(map(str, topology.shape))}"
    with _not_in_a_cloud():
        return topologies.get_topology_desc(platform="tpu", topology_name=name, **options).devices


def compiler_options(topology: Topology) -> dict[str, Any]:
    """Options without which a program cannot be compiled for devices that are not there."""
    gpu = topology.name.rpartition("x")[2] in TARGETS
    return {"xla_gpu_autotune_level": 0} if gpu else {}  # it would run kernels


def _require(module: str, extra: str, topology: Topology) -> None:
    if importlib.util.find_spec(module) is None:
        raise ValueError(
            f"topology {topology.name!r} needs its compiler: pip install 'jaxnn[{extra}]', in an environment of its "
            f"own, since those of TPUs and of GPUs cannot live in one"
        )


def _initialize_gpu_compiler() -> None:
    """Make the CUDA plugin ready without a GPU: the one call for which JAX has no public name."""
    xla_client: Any = importlib.import_module("jax._src.lib").xla_client
    jax.devices("cpu")  # JAX finds its plugins
    try:
        if not xla_client.pjrt_plugin_initialized("cuda"):
            xla_client.initialize_pjrt_plugin("cuda")
    except jax.errors.JaxRuntimeError as error:
        raise ValueError("JAX looked for a GPU and gave up its compiler: start with JAX_PLATFORMS=cpu") from error


@contextlib.contextmanager
def _not_in_a_cloud() -> Iterator[None]:
    """While the TPU compiler starts, it neither looks for the machine that a TPU would be in nor misses it."""
    given = {"TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v5litepod-4"}
    given |= {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}
    before = {name: os.environ[name] for name in given if name in os.environ}
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            os.environ.pop(name)
        os.environ.update(before)
