"""Tables in Markdown, and the files in `experiments/results/` that they are made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in [head, ["---"] * len(head), *rows])


def read(name: str) -> Any:
    """The content of a result file."""
    return json.loads((RESULTS / name).read_text())
