"""The environment of a result (versions, machine, memory), and flags of the compiler."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import experiments
import jaxnn

PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy", "tensorflow-datasets", "scikit-learn", "matplotlib", "pillow")
INSTRUCTIONS = {"amx_tile": "AMX", "avx512f": "AVX512", "avx2": "AVX2", "avx": "AVX", "sse4_2": "SSE4_2"}
"""Flags of processors, from the most able, by what XLA calls them."""
QUICK_FLAGS = (
    "--xla_backend_optimization_level=1",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
"""XLA optimizes less, uses a simpler generator, and compiles in one piece: to split a small program takes longer than
it saves."""
OPTIONS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_disable_most_optimizations")
"""Options of JAX that change results."""


def set_quick_flags() -> None:
    """Set flags for a process whose programs run for a second or two; to be called before JAX is used."""
    if tuple(map(int, importlib.metadata.version("jax").split(".")[:3])) < (0, 11, 1):  # later ones have no such flags
        of_the_shell = os.getenv("XLA_FLAGS", "").split()
        os.environ["XLA_FLAGS"] = " ".join([*QUICK_FLAGS, *of_the_shell])  # of two, the last counts


def environment() -> dict[str, Any]:
    """Versions, code, processor, cores, device and compiler options, as stored with every result."""
    import jax

    device, mesh = jax.devices()[0], jax.sharding.get_abstract_mesh()
    return {
        "python": platform.python_version(),
        "versions": {"jaxnn": jaxnn.__version__} | {name: _version(name) for name in PACKAGES},
        "code": _digest_of_code(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "instructions": _instructions(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": f"{device.platform}: {device.device_kind} x {jax.device_count() if mesh.empty else mesh.size}",
        "options": {"XLA_FLAGS": os.getenv("XLA_FLAGS", "")} | {name: jax.config.values[name] for name in OPTIONS},
    }


def changes(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """The entries of two environments that differ and can change results: "jax 0.10.2 there, 0.11.0 here"."""
    for name in ("versions", "options", "code", "instructions", "machine", "device", "system"):
        if name not in there:
            continue
        of = [each[name] if isinstance(each[name], dict) else {name: each[name]} for each in (there, here)]
        for key in of[0] | of[1]:
            if of[0].get(key) != of[1].get(key):
                yield f"{key} {of[0].get(key)!r} there, {of[1].get(key)!r} here"


def peak_memory_mib() -> float:
    """Peak resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _instructions() -> str:
    """The widest vector instructions of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return next((name for flag, name in INSTRUCTIONS.items() if flag in flags), platform.machine())


def _digest_of_code() -> str:
    """The start of the SHA-256 of all Python files of the library and of the commands."""
    found = hashlib.sha256()
    for package in (jaxnn, experiments):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]
