"""Commands in processes that are forked from one that has imported their modules."""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import multiprocessing.util
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PRELOADED = ("classifier.monitoring", "classifier.results", "classifier.resume", "sweeps.running", "sweep", "train")
"""What is imported before a process is forked."""


class Process(multiprocessing.get_context("forkserver").Process):
    """A command with its options, on one CPU device."""

    def __init__(self, command: str, options: Sequence[str]) -> None:
        os.environ.update(JAX_PLATFORMS="cpu", MPLBACKEND="Agg")
        multiprocessing.set_forkserver_preload([f"experiments.{name}" for name in PRELOADED])
        handle, log = tempfile.mkstemp(".log", dir=multiprocessing.util.get_temp_dir())
        os.close(handle)
        self.log = Path(log)
        super().__init__(target=_run, args=(command, list(options), self.log), name=command, daemon=True)

    def said(self) -> str:
        """What it printed."""
        return self.log.read_text("utf-8", "replace")

    def succeed(self, seconds: float) -> None:
        """Wait for its end; ValueError if it fails or does not come."""
        self.join(seconds)
        if self.exitcode != 0:
            raise ValueError(f"{self.name} ended with status {self.exitcode}: {self.said()[-2000:]}")


def _run(command: str, options: list[str], log: Path) -> None:
    with log.open("wb", buffering=0) as file:
        for output in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), output.fileno())
    status = importlib.import_module(f"experiments.{command}").main(options)
    atexit._run_exitfuncs()  # as the interpreter does at its end, other than the module multiprocessing
    sys.exit(status)


def start(command: str, options: Sequence[str], processes: int = 1) -> list[Process]:
    """Start a command, in one process or in several that find each other."""
    arguments = [list(options) for _ in range(processes)]
    if processes > 1:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{server.getsockname()[1]}"
        for i, each in enumerate(arguments):
            each += ["--coordinator", address, "--num-processes", str(processes), "--process-id", str(i)]
    found = [Process(command, each) for each in arguments]
    for process in found:
        process.start()
    return found
