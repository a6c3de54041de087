"""The best measured recipe for a given time of training on CIFAR-10."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "results" / "in_time.json"
"""Written by `experiments.leaderboards.in_time`."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(budget: str) -> float:
    """The seconds of a time such as "90s", "10m" or "1.5h"."""
    try:
        seconds = float(budget[:-1]) * UNITS[budget[-1:]]
    except (KeyError, ValueError):
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise ValueError(f"--budget {budget!r}: give a time in seconds, minutes or hours, such as 90s, 10m or 1.5h")
    return seconds


def choose(budget: str) -> tuple[dict[str, Any], str]:
    """The settings of the most accurate recipe that took no longer than the budget, and what to expect, in words."""
    seconds, rows = seconds_of(budget), json.loads(FILE.read_text())["rows"]
    if not (short := [row for row in rows if row["seconds"] <= seconds]):
        fastest = min(rows, key=lambda row: row["seconds"])
        raise ValueError(
            f"--budget {budget}: the fastest recipe measured takes {fastest['seconds']:.0f} s; give at least that"
        )
    best = max(short, key=lambda row: row["accuracy"])
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in best["settings"].items()}
    expected = f"expected {best['accuracy']:.1f} % {best['of']} accuracy, measured in {best['seconds']:.0f} s"
    return settings, f"{expected} on {best['machine']}"
