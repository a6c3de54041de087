"""How much memory there is for data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path


def memory() -> int:
    """The bytes of memory that this process may use: what the machine has, or less where a limit is set.

    Returns:
        The smallest of the machine's memory, the limits of the process's control group and of those around it (as in a
        container), and the limits of the process itself.

    Example:
        >>> from jaxnn.data._memory import memory
        >>> memory() > 2**20
        True
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _limits_of_the_group():
        if file.is_file() and (text := file.read_text().strip()).isdecimal():
            limits.append(int(text))
    if sys.platform != "win32":
        import resource

        for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            if (limit := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY:
                limits.append(limit)
    return min(limits)


def _limits_of_the_group() -> Iterator[Path]:
    """The files that may limit the memory of this process's control group, in both versions of Linux's interface."""
    groups, own = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
    for line in own.read_text().splitlines() if own.is_file() else []:
        number, controllers, place = line.split(":", 2)
        if number != "0" and "memory" not in controllers.split(","):
            continue
        top, name = (groups, "memory.max") if number == "0" else (groups / "memory", "memory.limit_in_bytes")
        group = top / place.strip("/")
        yield from (folder / name for folder in (group, *group.parents) if folder.is_relative_to(top))
