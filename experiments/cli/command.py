"""Exit statuses, one-line errors and graceful stops for every command."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


Warn = Callable[[str], None]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A signal stopped the command after its work was saved."""

    def __init__(self, signum: int, message: str) -> None:
        """Keep the signal number, which decides the exit status."""
        super().__init__(message)
        self.signum = signum


@contextlib.contextmanager
def catch_signals() -> Iterator[Callable[[], int | None]]:
    """Record the first SIGINT or SIGTERM, so that the work can be saved; a second one ends the process.

    Yields a function that returns the signal number, or None. Does nothing outside the main thread, where Python
    delivers no signals.
    """
    seen: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        seen.append(signum)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {each: signal.signal(each, note) for each in SIGNALS}
    try:
        yield lambda: seen[0] if seen else None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Output:
    """Standard output; what is printed after its reader has gone, as of `| head`, is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._unless_closed(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._unless_closed(self._stream.flush)

    def _unless_closed(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """Within, a reader of standard output that goes away stops neither the work nor the end of the process."""
    output: Any = _Output(sys.stdout)
    with contextlib.redirect_stdout(output):
        try:
            yield
        finally:
            output.flush()


def say(console: Console, message: str) -> None:
    """Print a line literally, whatever characters it holds."""
    console.print(literal(message), highlight=False, soft_wrap=True)


def literal(text: object) -> Text:
    """Text for a console or a table that is printed as it is: brackets are no markup, and every character prints."""
    from rich.text import Text

    shown = str(text).encode("utf-8", "replace").decode()  # a file name may hold bytes that are no text
    return Text("".join(c if c.isprintable() or c == "\n" else " " for c in shown))


def warn(console: Console, message: str) -> None:
    """Print a warning."""
    say(console, f"warning: {message}")


def run(work: Callable[..., object], *arguments: object) -> int:
    """Run a command and return its exit status.

    0: success; 1: `work` returned False (a claim does not hold) or training diverged; 2: bad input, or a file that
    cannot be read or written; 128 + N: stopped by signal N. Every failure prints one line on standard error.
    """
    try:
        with printing():
            return 1 if work(*arguments) is False else 0
    except FloatingPointError as error:
        return _report(error, 1)
    except (ValueError, OSError, ImportError) as error:
        return _report(error, 2)
    except Interrupted as stopped:
        return _report(stopped, 128 + stopped.signum, "stopped")
    except KeyboardInterrupt:
        return _report("there was nothing to save yet", 128 + signal.SIGINT, "stopped")


def _report(message: object, status: int, kind: str = "error") -> int:
    plain = str(message).encode("utf-8", "replace").decode()
    print(f"{kind}: {' '.join(plain.split())}", file=sys.stderr)
    return status
