"""The speed of the machine, and a lower bound on the time of a workload."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark.workloads import Examples, Workload, settings


class Limits(NamedTuple):
    """The measured speed of one process on all cores."""

    flops: float
    """Per second, of a large float32 matrix product."""
    bandwidth: float
    """Bytes per second from and to main memory."""
    call_us: float
    """Microseconds of a call of a compiled function that does almost nothing."""
    details: dict[str, float]
    """The rates of which the best were taken."""


class Limit(NamedTuple):
    """A lower bound on the time, and the bounding resource."""

    seconds: float
    binding: Literal["sgemm", "memory"]


def flops(sizes: Sequence[int], batch_size: int, steps: int) -> float:
    """Operations of training a fully connected network: three products per layer, two of the first."""
    products = [into * out for into, out in itertools.pairwise(sizes)]
    return 2.0 * batch_size * steps * (2 * products[0] + 3 * sum(products[1:]))


def moved_bytes(sizes: Sequence[int], batch_size: int, steps: int, *, models: int, itemsize: int) -> float:
    """Bytes moved per step: the inputs once; parameters and momentum of each model, float32, read and written."""
    parameters = sum((into + 1) * out for into, out in itertools.pairwise(sizes))
    return float(steps) * (batch_size * sizes[0] * itemsize + models * 16 * parameters)


def limit(workload: Workload, examples: Examples, machine: Limits) -> Limit:
    """The lower bound for one unit of a workload: the longer of computing and moving bytes."""
    n, inputs = examples.inputs.shape
    steps, outputs = n // workload.batch_size * workload.epochs, int(examples.labels.max()) + 1
    models = settings(workload)
    operations = sum(flops((inputs, *one.hidden, outputs), workload.batch_size, steps) for one in models)
    sizes = (inputs, *(max(layer) for layer in zip(*(one.hidden for one in models), strict=True)), outputs)
    amount = moved_bytes(sizes, workload.batch_size, steps, models=len(models), itemsize=examples.inputs.itemsize)
    computing, moving = operations / machine.flops, amount / machine.bandwidth
    return Limit(max(computing, moving), "sgemm" if computing >= moving else "memory")


def measure(quick: bool = False) -> Limits:
    """Measure the machine in this process, in a second or two."""
    n, length = (512, 2**20) if quick else (3072, 2**27)
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((n, n), np.float32) for _ in range(2))
    x, y = jnp.asarray(a), jnp.asarray(b)
    product = jax.jit(jnp.matmul)
    stream = np.ones(length, np.float32)
    u, v = jnp.asarray(stream), jnp.asarray(stream)
    read, triad = jax.jit(jnp.sum), jax.jit(lambda u, v: u + 2 * v)
    target = np.empty_like(stream)
    operations, traffic = 2.0 * n**3, 4.0 * length
    rates = {
        "sgemm_jax_gflops": operations / _best(lambda: product(x, y)) / 1e9,
        "sgemm_numpy_gflops": operations / _best(lambda: a @ b) / 1e9,
        "read_jax_gb_per_s": traffic / _best(lambda: read(u)) / 1e9,
        "triad_jax_gb_per_s": 3 * traffic / _best(lambda: triad(u, v)) / 1e9,
        "copy_numpy_gb_per_s": 2 * traffic / _best(lambda: np.copyto(target, stream)) / 1e9,
    }
    small, add = jnp.zeros(()), jax.jit(lambda x: x + 1)
    calls = 1000

    def many() -> Any:
        value = small
        for _ in range(calls):
            value = add(value)
        return value

    return Limits(
        flops=1e9 * max(rate for name, rate in rates.items() if name.endswith("gflops")),
        bandwidth=1e9 * max(rate for name, rate in rates.items() if name.endswith("gb_per_s")),
        call_us=1e6 * _best(many) / calls,
        details=rates,
    )


def _best(run: Callable[[], Any], repetitions: int = 7) -> float:
    """Seconds of the fastest of several runs, after one that does not count."""
    fastest = math.inf
    for repetition in range(repetitions + 1):
        clock = time.perf_counter()
        jax.block_until_ready(run())
        if repetition:
            fastest = min(fastest, time.perf_counter() - clock)
    return fastest
