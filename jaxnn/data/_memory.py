"""The memory available for data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path


def memory() -> int:
    """The bytes this process may use: the machine's memory, or a lower limit of the process or its control group."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _control_group_limits():
        if file.is_file() and (text := file.read_text().strip()).isdecimal():
            limits.append(int(text))
    if sys.platform != "win32":
        import resource

        for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            if (limit := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY:
                limits.append(limit)
    return min(limits)


def check_room(what: str, size: int, advice: str = "") -> None:
    """ValueError if `what` needs `size` more bytes of memory than this process may still take."""
    room = memory() - used()
    if size > room:
        raise ValueError(
            f"{what} need {size / 2**20:,.0f} MiB of memory, and this process may take {max(room, 0) / 2**20:,.0f} MiB "
            f"more: give it more memory, or fewer or smaller examples{advice}"
        )


def used() -> int:
    """The bytes of memory that this process holds, without those of files; 0 where the system does not tell."""
    file = Path("/proc/self/statm")
    if not file.is_file():
        return 0
    _, resident, shared, *_ = map(int, file.read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _control_group_limits() -> Iterator[Path]:
    """The files that may hold a limit of this process's control group or of its parents, for cgroup v1 and v2."""
    groups, own = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
    for line in own.read_text().splitlines() if own.is_file() else []:
        number, controllers, place = line.split(":", 2)
        if number != "0" and "memory" not in controllers.split(","):
            continue
        top, name = (groups, "memory.max") if number == "0" else (groups / "memory", "memory.limit_in_bytes")
        group = top / place.strip("/")
        yield from (folder / name for folder in (group, *group.parents) if folder.is_relative_to(top))
