"""How fast the machine is, and the least time that it could take for a work."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark.works import Examples, Work, settings


class Limits(NamedTuple):
    """What one process reaches on all cores.

    Attributes:
        flops: floating point operations a second of a large float32 matrix product.
        bandwidth: bytes a second from and to main memory.
        call_us: microseconds of calling a compiled function that does almost nothing.
        details: the rates that the best were taken from, by name.
    """

    flops: float
    bandwidth: float
    call_us: float
    details: dict[str, float]


class Limit(NamedTuple):
    """The least time for a work, and what it is bound by."""

    seconds: float
    binding: Literal["sgemm", "memory"]


def flops(sizes: Sequence[int], batch_size: int, steps: int) -> float:
    """Floating point operations of training a fully connected network, forward and backward.

    Formula: a product of f32[B, in] and f32[in, out] takes `2 B in out`. A layer needs three of them, for its outputs,
    the gradient of its weights and the gradient of its inputs; the first layer needs no gradient of its inputs:
    `2 B (2 n_0 n_1 + 3 (n_1 n_2 + n_2 n_3 + ...))` a step. Everything elementwise is left out.

    Args:
        sizes: of the input, of the hidden layers, of the output: n_0, n_1, ...
        batch_size: B.
        steps: how many.

    Returns:
        The number of operations.
    """
    products = [into * out for into, out in itertools.pairwise(sizes)]
    return 2.0 * batch_size * steps * (2 * products[0] + 3 * sum(products[1:]))


def moved_bytes(sizes: Sequence[int], batch_size: int, steps: int, *, models: int, itemsize: int) -> float:
    """Bytes that have to be moved: the inputs once, and parameters and momentum in every step.

    Formula: `steps B n_0 itemsize` for the inputs, which all models share, and `16 P` for each step of each model:
    parameters and momentum, float32, read and written. Caches hold small networks, so this is much for them.

    Args:
        sizes: as in `flops`.
        batch_size: B.
        steps: how many.
        models: how many such networks are trained side by side.
        itemsize: bytes of a stored input value.

    Returns:
        The number of bytes.
    """
    parameters = sum((into + 1) * out for into, out in itertools.pairwise(sizes))
    return float(steps) * (batch_size * sizes[0] * itemsize + models * 16 * parameters)


def limit(work: Work, examples: Examples, machine: Limits) -> Limit:
    """The least time for one unit of a work: the longer of computing and of moving bytes.

    Args:
        work: what is trained.
        examples: its examples.
        machine: how fast the machine is.

    Returns:
        Seconds, and which of the two is longer.
    """
    n, inputs = examples.inputs.shape
    steps, outputs = n // work.batch_size * work.epochs, int(examples.labels.max()) + 1
    models = settings(work)
    operations = sum(flops((inputs, *one.hidden, outputs), work.batch_size, steps) for one in models)
    sizes = (inputs, *(max(layer) for layer in zip(*(one.hidden for one in models), strict=True)), outputs)
    amount = moved_bytes(sizes, work.batch_size, steps, models=len(models), itemsize=examples.inputs.itemsize)
    computing, moving = operations / machine.flops, amount / machine.bandwidth
    return Limit(max(computing, moving), "sgemm" if computing >= moving else "memory")


def measure(quick: bool = False) -> Limits:
    """Measure the machine in this process; a second or two.

    Args:
        quick: small arrays: a trial.

    Returns:
        The best of several runs of each kind.
    """
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
    """Seconds of the fastest of several runs after a first one."""
    fastest = math.inf
    for repetition in range(repetitions + 1):
        clock = time.perf_counter()
        jax.block_until_ready(run())
        if repetition:
            fastest = min(fastest, time.perf_counter() - clock)
    return fastest
