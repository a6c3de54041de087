"""All lessons on one page: what each asks, shows and claims, in the order of the notes, as one HTML file.

    python -m experiments.report --quick
    python -m experiments.report --reuse
    python -m experiments.report --lessons capacity dropout --out page.html

Runs every lesson (about 10 minutes on 2 cores, 2 with --quick), or takes the finished ones from their folders
runs/lessons/NAME with --reuse. The page needs no network: pictures, style and script are inside of it.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from experiments.cli import command, environment, files
from experiments.lessons import NAMES, lesson
from experiments.lessons.lesson import Lesson
from experiments.lessons.page import page


@dataclasses.dataclass(frozen=True)
class Config:
    """What goes into the page, and where it is written."""

    out: Path = Path("runs", "report.html")
    """The page."""
    folder: Path = Path("runs", "lessons")
    """Where each lesson has a folder of its name."""
    lessons: tuple[str, ...] = NAMES
    """Which lessons; by default all."""
    quick: bool = False
    """Run each lesson in its short form."""
    reuse: bool = False
    """Take what is in the folder of a lesson; run only those that have none."""
    seed: int = 0
    """Seed of everything random."""


def report(config: Config, console: Console) -> list[dict[str, Any]]:
    """Run or read the lessons and write the page.

    Args:
        config: what was asked for.
        console: where progress goes.

    Returns:
        The summaries of the lessons, in the order of the notes.

    Raises:
        ValueError: a lesson is unknown, or a stored one is damaged.
        OSError: a file cannot be read or written.
        ImportError: a lesson needs a package that is not there.
    """
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
            run_lesson(importlib.import_module(f"experiments.lessons.{name}").LESSON, config, folder)
        found.append((read_summary(folder), folder))
    files.write(config.out, page(found))
    return [summary for summary, _ in found]


def run_lesson(chosen: Lesson, config: Config, folder: Path) -> None:
    """Run one lesson and write its folder."""
    options = chosen.options(out=folder, seed=config.seed, quick=config.quick)
    started = time.perf_counter()
    outcome = chosen.study(options)
    lesson.write(chosen, options, outcome, folder, time.perf_counter() - started)


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a lesson that has run.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not the summary of a lesson.
    """
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
    """The command: exit status 0 when every claim held, 1 when one did not, 2 when something given is wrong."""
    config = tyro.cli(Config, prog="python -m experiments.report", description=__doc__, args=arguments)
    environment.enable_compilation_cache()
    return command.run(build, config)


def build(config: Config) -> bool:
    """Make the report and say what became of the claims.

    Args:
        config: the settings.

    Returns:
        Whether every claim of every lesson held.

    Raises:
        ValueError, OSError, ImportError: as `report`.
    """
    summaries = report(config, Console())
    failed = [summary["lesson"] for summary in summaries if not all(claim["held"] for claim in summary["claims"])]
    for name in failed:
        print(f"a claim was not held: {name}", file=sys.stderr)
    print(f"{len(summaries)} lessons; {config.out}, {config.out.stat().st_size / 2**20:.1f} MiB")
    return not failed


if __name__ == "__main__":
    sys.exit(main())
