"""Strict settings for every test, made before JAX is imported.

Eight simulated CPU devices; no silent promotion of types or ranks; warnings are errors (see pyproject.toml); figures
are drawn without a screen; hypothesis draws the same examples every time.
"""

import ctypes
import gc
import importlib.metadata
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# most of the suite's time is the compiler's: what one run has compiled, the next one reads
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(ROOT / ".pytest_cache" / "compiled")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# and a test runs its programs only once: they are hardly optimized, which the compiler does four times as fast
COMPILER = ["--xla_backend_optimization_level=0"]
if tuple(map(int, importlib.metadata.version("jax").split(".")[:3])) < (0, 11, 1):  # a later one has no such flags
    # and in one piece: to split a small program for several threads takes longer than it saves
    COMPILER += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
DEVICES = "--xla_force_host_platform_device_count=8"
# a worker of pytest-xdist is started with what its controller has set here, the shell was not
of_the_shell = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if flag not in (*COMPILER, DEVICES)]
ENVIRONMENT_OF_PROCESSES = {**os.environ, "XLA_FLAGS": " ".join([*of_the_shell, *COMPILER])}
os.environ["XLA_FLAGS"] = " ".join([*of_the_shell, *COMPILER, DEVICES])
os.environ["MPLBACKEND"] = "Agg"

import hypothesis  # noqa: E402
import jax  # noqa: E402
import processes  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

pytest_plugins = ["browser"]

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=20)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """`run_python(code)`: what a fresh interpreter prints, started in the repository, with one device."""

    def run(code: str, timeout: float = 120.0) -> str:
        environment = {**ENVIRONMENT_OF_PROCESSES, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Skips what XLA itself cannot compile when it is kept from every instruction set after SSE4_2: float16."""
    try:
        return (yield)
    except Exception as error:
        said = "".join(traceback.format_exception(error))
        if "xla_cpu_max_isa=SSE4_2" in os.environ["XLA_FLAGS"] and "Failed to materialize symbols" in said:
            pytest.skip("XLA compiles no float16 for SSE4_2")
        raise


def pytest_collection_finish() -> None:
    """What is imported by now stays: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


MOST_MAPS = 1_500
"""A compiled program keeps 1.5 MB and four places in the memory map of its process; Linux allows 65,530 places."""


@pytest.fixture(scope="module", autouse=True)
def forgotten_programs() -> Iterator[None]:
    """Programs are dropped, and their memory given back, when a process holds some hundreds of them."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()
        if hasattr(ctypes.CDLL(None), "malloc_trim"):
            ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture
def standard_promotion() -> Iterator[None]:
    """For tests with optimizers of optax that mix i32 and f32 themselves, such as Adam and reduce_on_plateau."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def cifar10_cache(tmp_path_factory) -> Path:
    """A cache with the real CIFAR-10, decoded once."""
    data_dir = os.environ.get("TFDS_DATA_DIR")
    if not data_dir or not (Path(data_dir) / "cifar10").exists():
        pytest.skip("the real CIFAR-10 is not prepared in TFDS_DATA_DIR")
    cache_dir = tmp_path_factory.mktemp("cache")
    from jaxnn.data import load

    load("cifar10", cache_dir=cache_dir)
    return cache_dir


@pytest.fixture
def compiled(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """`compiled()`: the names of the programs that XLA compiled in this test since the last call."""
    seen = 0

    def names() -> list[str]:
        nonlocal seen
        opening = "Finished XLA compilation of "
        messages = [record.getMessage() for record in caplog.records]
        found = [m.removeprefix(opening).split(" in ")[0] for m in messages if m.startswith(opening)]
        new, seen = found[seen:], len(found)
        return new

    return names


@pytest.fixture(scope="module")
def undrawn() -> Iterator[dict[Path, Any]]:
    """Figures are saved as an empty picture, those of a run are not even made; yields the others by the PNG's path."""
    import matplotlib.image
    import numpy as np
    from matplotlib.figure import Figure

    from experiments.classifier import results
    from jaxnn import plots

    figures, of_run = {}, results.figures

    def save(figure, path, *, svg=True):
        png = Path(path).with_suffix(".png")
        png.parent.mkdir(parents=True, exist_ok=True)
        matplotlib.image.imsave(png, np.zeros((1, 1)))
        figures[png] = figure
        if not svg:
            return (png,)
        png.with_suffix(".svg").touch()
        return png, png.with_suffix(".svg")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save", save)
        patch.setattr(results, "figures", lambda job, found: dict.fromkeys(of_run(job, found), Figure))
        yield figures


# ---------------------------------------------------------------- commands as processes


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """For commands as processes."""
    own = {"JAXNN_CACHE_DIR": str(tmp_path_factory.mktemp("cache")), "MPLBACKEND": "Agg", "COLUMNS": "200"}
    return {**ENVIRONMENT_OF_PROCESSES, "PYTHONPATH": str(ROOT), **own}


@pytest.fixture(scope="session")
def start(environment):
    """`start(options, command="train")`: the process of a command."""

    def start(*options, command="train", cwd=None):
        arguments = [sys.executable, "-m", f"experiments.{command}", *map(str, options)]
        return subprocess.Popen(
            arguments, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


@pytest.fixture(scope="session")
def complete(start):
    """`complete(options)`: status, standard output and standard error of a command that ends by itself."""

    def complete(*options, command="train"):
        process = start(*options, command=command)
        out, err = process.communicate(timeout=900)
        return process.returncode, out, err

    return complete


@pytest.fixture(scope="session")
def undisturbed(complete, tmp_path_factory):
    """A run that was never stopped and wrote no checkpoint."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    status, _, err = complete(*processes.RUN[:-2], "--out", out)
    assert status == 0, err
    assert not (out / "checkpoints").exists()
    return out
