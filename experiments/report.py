"""All lessons on one HTML page, in the order of the course: questions, claims, figures and tables.

    python -m experiments.report --quick
    python -m experiments.report --reuse
    python -m experiments.report --lessons capacity dropout --out page.html

Runs every lesson (about 10 minutes on 2 cores, 2 with --quick); with --reuse, only those without results in
runs/lessons/NAME. The page needs no network and no other file: it contains its pictures, style and script.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.cli import command, environment, files, parser
from experiments.lessons import NAMES, lesson
from experiments.lessons.page import page


@dataclasses.dataclass(frozen=True)
class Config:
    """The options of the report."""

    out: Path = Path("runs", "report.html")
    """Where the page is written."""
    folder: Path = Path("runs", "lessons")
    """Where each lesson has a folder named after it."""
    lessons: tuple[str, ...] = NAMES
    """Which lessons; by default all."""
    quick: bool = False
    """Run each lesson in its short form."""
    reuse: bool = False
    """Take the results in a lesson's folder; run only the lessons without results."""
    seed: int = 0
    """Seed of everything random."""


def report(config: Config, console: Console) -> list[dict[str, Any]]:
    """Run or read the lessons and write the page; their summaries in the order of the course."""
    unknown = [name for name in config.lessons if name not in NAMES]
    if unknown or not config.lessons:
        raise ValueError(f"--lessons {' '.join(unknown)}: choose from {', '.join(NAMES)}")
    files.check_folder(config.folder)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    found = []
    for name in (name for name in NAMES if name in config.lessons):
        folder = config.folder / name
        if not (config.reuse and (folder / "summary.json").exists()):
            console.print(f"{name} ...", highlight=False)
            chosen = importlib.import_module(f"experiments.lessons.{name}").LESSON
            lesson.run(chosen, chosen.options(out=folder, seed=config.seed, quick=config.quick), folder)
        found.append((read_summary(folder), folder))
    files.write(config.out, page(found))
    return [summary for summary, _ in found]


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a lesson that has run; OSError or ValueError when it cannot be read or is damaged."""
    path = folder / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        missing = {"lesson", "title", "question", "command", "claims", "tables", "figures", "frames"} - set(summary)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove {folder} and run the lesson again") from error
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}: remove {folder} and run the lesson again")
    return summary


def main(arguments: list[str] | None = None) -> int:
    """The command: exit status 0 when every claim held, 1 when one did not, 2 for wrong input."""
    config = parser.parse(Config, prog="jaxnn report", description=__doc__, args=arguments)
    environment.enable_compilation_cache()
    return command.run(build, config)


def build(config: Config) -> bool:
    """Make the report; whether every claim of every lesson held."""
    summaries = report(config, Console())
    failed = [summary["lesson"] for summary in summaries if not all(claim["held"] for claim in summary["claims"])]
    for name in failed:
        print(f"a claim of {name} did not hold", file=sys.stderr)
    print(f"{len(summaries)} lessons; {config.out}, {config.out.stat().st_size / 2**20:.1f} MiB")
    return not failed


if __name__ == "__main__":
    sys.exit(main())
