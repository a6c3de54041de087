"""What every command does with errors: one line on standard error, and an exit status that tells what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable

from jaxnn.training import NonFiniteError


def run(work: Callable[..., object], *arguments: object) -> int:
    """Do the work of a command.

    Args:
        work: a function; it returns False when a claim that it checked does not hold.
        arguments: what it is called with.

    Returns:
        The exit status: 0; 1 when a claim does not hold or training diverged; 2 when something that was given is wrong
        or a file cannot be read or written. An error is told in one line.
    """
    try:
        return 1 if work(*arguments) is False else 0
    except NonFiniteError as error:
        return _tell(error, 1)
    except (ValueError, OSError, ImportError) as error:
        return _tell(error, 2)


def _tell(error: Exception, status: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return status
