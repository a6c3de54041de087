"""Worker processes: each peer has its own, so that its threads and memory do not disturb the others."""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import importlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmark.peers import Peer
from experiments.benchmark.workloads import Workload
from experiments.cli import environment

_SPAWN = multiprocessing.get_context("spawn")


class PeerError(RuntimeError):
    """A peer failed in its process; the message ends with its traceback."""


class Worker:
    """A process that holds one peer at a time and answers one request after the other."""

    def __init__(self) -> None:
        self._connection, other = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(other,))  # not a daemon: joblib would not run in parallel
        self._process.start()
        other.close()

    def make(self, make: str, workload: Workload, folder: Path) -> tuple[float, tuple[int, ...], float]:
        """Replace the peer; its seconds (imports excluded), `models` and `scale`. Raises PeerError, as all requests."""
        return self._ask("make", make, workload, folder)

    def warm(self) -> tuple[float, float | None]:
        """Run the uncounted first unit: its seconds, and those of compilation if the peer knows them."""
        return self._ask("warm")

    def train(self, units: int) -> float:
        """Train `units` units; the mean seconds of one, scaled to the whole workload."""
        return self._ask("train", units)

    def accuracies(self) -> list[float]:
        """The training accuracy of each model of the peer."""
        return self._ask("accuracies")

    def peak_mib(self) -> float:
        """The peak memory of the process."""
        return self._ask("peak_mib")

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):  # it may have died
            self._connection.send(None)
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    def _ask(self, *request: Any) -> Any:
        try:
            self._connection.send(request)
            succeeded, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise PeerError(f"the process died ({error!r}), perhaps out of memory") from error
        if not succeeded:
            raise PeerError(answer)
        return answer


def run_alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a module-level function in a fresh process."""
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        return pool.submit(function, *arguments).result()


def usable_cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_mib() -> float:
    """Peak memory of this process; on Linux not `environment.peak_memory_mib`, which counts that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    return environment.peak_memory_mib()


def _serve(connection: Any) -> None:
    peer: Any = None
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        if request is None:
            atexit._run_exitfuncs()  # Python 3.11 skips them here; that of joblib removes its files
            return
        try:
            if request[0] == "make":
                peer = None  # frees the memory of the previous one
                peer, answer = _make(*request[1:])
            else:
                answer = _answer(peer, *request)
            connection.send((True, answer))
        except Exception:
            connection.send((False, traceback.format_exc()))


def _make(make: str, workload: Workload, folder: Path) -> tuple[Peer, Any]:
    module, function = make.split(":")
    maker = getattr(importlib.import_module(f"experiments.benchmark.peers.{module}"), function)
    clock = time.perf_counter()
    peer: Peer = maker(workload, folder)
    return peer, (time.perf_counter() - clock, peer.models, peer.scale)


def _answer(peer: Peer, name: str, *arguments: int) -> Any:
    clock = time.perf_counter()
    match name:
        case "train":
            peer.train(*arguments)
            return (time.perf_counter() - clock) / arguments[0] * peer.scale
        case "warm":
            known = peer.warm() if peer.warm is not None else peer.train(1)
            return time.perf_counter() - clock, known
        case "accuracies":
            return peer.accuracies()
        case "peak_mib":
            return peak_mib()
        case _:
            raise ValueError(f"no such request: {name}")
