"""The environment of a result (versions, machine, memory), and the cache of compiled programs."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

import jaxnn
from jaxnn.data import _tfds as tfds

PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy", "tensorflow-datasets", "scikit-learn")


def enable_compilation_cache() -> None:
    """Store compiled programs in `compiled` below the cache folder, so that the next start is faster.

    The cache folder is `JAXNN_CACHE_DIR`, by default `~/.cache/jaxnn`. `JAX_COMPILATION_CACHE_DIR` takes precedence;
    `JAX_ENABLE_COMPILATION_CACHE=0` switches the cache off.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(tfds.cache_dir() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


@contextlib.contextmanager
def fast_compilation() -> Iterator[None]:
    """Within, XLA skips its expensive optimizations: for programs that run for a second or two."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


def environment() -> dict[str, Any]:
    """Versions, processor, cores and device, as stored with every result."""
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        "versions": {"jaxnn": jaxnn.__version__} | {name: _version(name) for name in PACKAGES},
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "device": f"{device.platform}: {device.device_kind} x {jax.device_count()}",
    }


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
