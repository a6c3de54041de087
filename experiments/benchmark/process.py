"""A peer in a process of its own, where its threads and its memory disturb nobody else's turn."""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import importlib
import multiprocessing
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmark.peers import Peer
from experiments.benchmark.works import Work
from experiments.cli import environment

SPAWN = multiprocessing.get_context("spawn")


class PeerError(RuntimeError):
    """A peer failed in its process; the message ends with its traceback."""


class Remote:
    """A process that makes one peer (or one after the other) and does what it is asked, one thing at a time."""

    def __init__(self) -> None:
        """Start the process."""
        self._connection, other = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(other,))  # no daemon: joblib would refuse to be parallel
        self._process.start()
        other.close()

    def make(self, make: str, work: Work, folder: Path) -> tuple[float, tuple[int, ...], float]:
        """Make a peer; the one before is gone.

        Args:
            make: "module:function" under `experiments.benchmark.peers`.
            work: what is trained.
            folder: where the examples are.

        Returns:
            The seconds it took, imports not counted; the peer's `models` and `scale`.

        Raises:
            PeerError: it failed there.
        """
        return self._ask("make", make, work, folder)

    def warm(self) -> tuple[float, float | None]:
        """Do what comes before the first turn: its seconds, and those of compiling if the peer knows them."""
        return self._ask("warm")

    def train(self, units: int) -> float:
        """Train so many units; the mean seconds of one, scaled to the whole work."""
        return self._ask("train", units)

    def accuracies(self) -> list[float]:
        """The training accuracy of each of the peer's models."""
        return self._ask("accuracies")

    def peak_mib(self) -> float:
        """The largest amount of memory that the process has held."""
        return self._ask("peak_mib")

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):  # it may have ended already
            self._connection.send(None)
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    def _ask(self, *request: Any) -> Any:
        try:
            self._connection.send(request)
            right, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise PeerError(f"the process ended ({error!r}), out of memory perhaps") from error
        if not right:
            raise PeerError(answer)
        return answer


def run_alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process.

    Args:
        function: of a module.
        *arguments: picklable.

    Returns:
        What it returns.
    """
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        return pool.submit(function, *arguments).result()


def peak_mib() -> float:
    """The largest amount of memory that this process has held, in MiB.

    `artifacts.peak_memory_mib` counts on Linux what the parent held when it started the process.
    """
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
            atexit._run_exitfuncs()  # Python 3.11 leaves them out here; that of joblib removes its files
            return
        try:
            if request[0] == "make":
                peer = None  # the memory of the one before is free
                peer, answer = _make(*request[1:])
            else:
                answer = _answer(peer, *request)
            connection.send((True, answer))
        except Exception:
            connection.send((False, traceback.format_exc()))


def _make(make: str, work: Work, folder: Path) -> tuple[Peer, Any]:
    module, function = make.split(":")
    maker = getattr(importlib.import_module(f"experiments.benchmark.peers.{module}"), function)
    clock = time.perf_counter()
    peer: Peer = maker(work, folder)
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
