"""Compiling for the length of a training: a short one would wait longer for a fast program than it then trains."""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxnn import _files as files

_SHORT = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11, 1) else None
"""Compiles in about half the time; what is not a matrix product then takes about a quarter longer. Later versions of
JAX have no such option."""
_CACHE_BYTES = 2**31
_SHORT_SECONDS = 2.0
_STEP_SECONDS, _FLOPS = 5e-5, 1e10
"""Of one core: what a step costs besides its products, and operations in these per second."""


def enable_compilation_cache(folder: str | os.PathLike[str] | None = None) -> None:
    """Keep compiled programs on disk, so that the next process reads them instead of compiling them again.

    This switches on JAX's own cache, for all programs of this process from now on that take 0.05 s to compile; nothing
    in this package does so by itself. Programs are found again if they, their options, the folder, the processor's
    instructions and the versions are the same, also where the functions were defined anew, as in a notebook cell that
    is run again. A program that cannot be read, such as one that was not written to its end, is removed and compiled
    again; a warning names the first. `JAX_ENABLE_COMPILATION_CACHE=0` switches the cache off.

    The folder holds at most 2 GiB (or `jax_compilation_cache_max_size`): programs that were not used for the longest
    time are removed. Any number of processes share it, one at a time by a lock that a killed process does not leave
    behind. Both need the package `filelock`, without which the folder grows.

    Args:
        folder: by default that which JAX already has, such as from `JAX_COMPILATION_CACHE_DIR`; else `compiled` in
            $JAXNN_CACHE_DIR, else in $XDG_CACHE_HOME/jaxnn, else in ~/.cache/jaxnn.

    Source: https://docs.jax.dev/en/latest/persistent_compilation_cache.html

    Example:
        >>> training.enable_compilation_cache()  # once, at the start of a script or notebook
    """
    _replace_unreadable()
    config: Any = jax.config  # its type does not know its values
    if folder is None and config.jax_compilation_cache_dir is not None:
        return
    folder = files.cache_dir() / "compiled" if folder is None else folder
    options: dict[str, Any] = {"jax_persistent_cache_min_compile_time_secs": 0.05}
    if config.jax_compilation_cache_max_size == -1 and importlib.util.find_spec("filelock") is not None:
        options["jax_compilation_cache_max_size"] = _CACHE_BYTES
        for entry in Path(folder).glob("*-cache"):  # written without a bound: JAX needs a time of use of every entry
            entry.with_name(f"{entry.name.removesuffix('-cache')}-atime").touch()
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder))
    for name, value in options.items():
        jax.config.update(name, value)


@functools.cache
def _replace_unreadable() -> None:
    """From now on, remove each entry that cannot be read, which JAX would keep, and warn of the first alone."""
    config: Any = jax.config  # its type does not know its values
    cache: Any = importlib.import_module("jax._src.compilation_cache")  # no public name reaches a single entry
    read, replaced = cache.get_executable_and_time, []

    def read_or_remove(key: str, *others: Any) -> Any:
        try:
            return read(key, *others)
        except OSError:  # of the folder or its lock, not of the entry: JAX warns of it
            raise
        except Exception as error:
            entry = Path(config.jax_compilation_cache_dir, f"{key}-cache")
            entry.unlink(missing_ok=True)
            if not replaced:
                warnings.warn(
                    f"{entry} cannot be read ({error}): this and other such programs are compiled again and replaced",
                    stacklevel=2,
                )
            replaced.append(key)
            return None, None

    cache.get_executable_and_time = read_or_remove


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
