"""Compiling for the length of a training: a short one would wait longer for a fast program than it then trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

_SHORT = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11, 1) else None
"""Compiles in about half the time; what is not a matrix product then takes about a quarter longer. Later versions of
JAX have no such option."""
_SHORT_SECONDS = 2.0
_STEP_SECONDS, _FLOPS = 5e-5, 1e10
"""Of one core: what a step costs besides its products, and operations in these per second."""


def is_short(weights: int, examples: int, steps: int) -> bool:
    """Whether a training of so many weights with so many examples in all its steps takes a CPU about two seconds."""
    seconds = steps * _STEP_SECONDS + 6.0 * weights * examples / _FLOPS
    return jax.default_backend() == "cpu" and seconds < _SHORT_SECONDS


def compiler_options(short: bool) -> dict[str, Any] | None:
    """The options of XLA for a short training, or for any other."""
    return _SHORT if short else None


def jit_for_length(function: Callable[..., Any], *static: str) -> dict[bool, jax.stages.Wrapped]:
    """The compiled function for a training that is not short, and for one that is."""
    return {
        short: jax.jit(function, static_argnames=static, compiler_options=compiler_options(short))
        for short in (False, True)
    }
