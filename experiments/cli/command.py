"""What every command does with errors and signals: a line on standard error, a status that tells what happened."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from jaxnn.training import NonFiniteError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The user, or the system, has stopped the work, which has been saved."""

    def __init__(self, signum: int, message: str) -> None:
        """Make it of the signal's number and of what the user is to know."""
        super().__init__(message)
        self.signum = signum


@contextlib.contextmanager
def catch_signals() -> Iterator[Callable[[], int | None]]:
    """Within, the first SIGINT or SIGTERM is only noted, so that the work can be saved; the second ends the process.

    Outside of the main thread, which alone is told of signals, nothing is changed.

    Yields:
        A function that gives the number of the signal, None while there was none.
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


def run(work: Callable[..., object], *arguments: object) -> int:
    """Do the work of a command.

    Args:
        work: a function; it returns False when a claim that it checked does not hold.
        arguments: what it is called with.

    Returns:
        The exit status: 0; 1 when a claim does not hold or training diverged; 2 when something that was given is wrong
        or a file cannot be read or written; 128 and the signal's number when it was stopped. Each is told in one line.
    """
    try:
        return 1 if work(*arguments) is False else 0
    except NonFiniteError as error:
        return _tell(error, 1)
    except (ValueError, OSError, ImportError) as error:
        return _tell(error, 2)
    except Interrupted as stopped:
        return _tell(stopped, 128 + stopped.signum, "stopped")
    except KeyboardInterrupt:
        return _tell("nothing was under way that could be saved", 128 + signal.SIGINT, "stopped")


def _tell(what: object, status: int, kind: str = "error") -> int:
    print(f"{kind}: {' '.join(str(what).split())}", file=sys.stderr)
    return status
