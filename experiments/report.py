"""The lessons as a book: an index with a map, a page for each lesson, a glossary, search; or all of it in one file.

    python -m experiments.report --quick
    python -m experiments.report --reuse
    python -m experiments.report --single --lessons capacity dropout --out runs/two.html

Runs every lesson (with --quick in six minutes on 2 busy cores; without it takes several times as long) and writes the
folder `runs/lessons/book`, to be opened at index.html; with --single, the file `runs/lessons/book.html`. With --reuse,
only lessons without results in runs/lessons/NAME run. The pages need no network and no server.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import command, environment, files, parser
from experiments.lessons import NAMES
from experiments.lessons.framework import lesson

if TYPE_CHECKING:
    from rich.console import Console


@dataclasses.dataclass(frozen=True)
class Config:
    """The options of the report."""

    out: Path | None = None
    """Where the book is written: a name with .html is one file, any other a folder; by default runs/lessons/book."""
    single: bool = False
    """Write one file instead of a folder of pages; by default runs/lessons/book.html."""
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


def report(config: Config, out: Path, console: Console) -> list[dict[str, Any]]:
    """Run or read the lessons and write the book; their summaries in the order of the course."""
    from experiments.lessons.page import Ran, single_page, write_folder

    single = out.suffix == ".html"
    if config.single and not single:
        raise ValueError(f"--out {out} names a folder: with --single, name a file that ends in .html")
    unknown = [name for name in config.lessons if name not in NAMES]
    if unknown or not config.lessons:
        raise ValueError(f"--lessons {' '.join(unknown)}: choose from {', '.join(NAMES)}")
    files.check_folder(config.folder)
    files.check_folder(out.parent if single else out)
    ran = []
    for name in (name for name in NAMES if name in config.lessons):
        folder, chosen = config.folder / name, importlib.import_module(f"experiments.lessons.{name}").LESSON
        if not (config.reuse and (folder / "summary.json").exists()):
            console.print(f"{name} ...", highlight=False)
            lesson.run(chosen, chosen.options(out=folder, seed=config.seed, quick=config.quick), folder)
        ran.append(Ran(chosen, read_summary(folder), folder))
    if single:
        out.parent.mkdir(parents=True, exist_ok=True)
        files.write(out, single_page(ran, out))
    else:
        write_folder(ran, out)
    return [dict(one.summary) for one in ran]


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a lesson that has run; OSError or ValueError when it cannot be read or is damaged."""
    path = folder / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        missing = {"lesson", "title", "question", "command", "claims", "tables", "figures", "models"} - set(summary)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove {folder} and run the lesson again") from error
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}: remove {folder} and run the lesson again")
    return summary


def main(arguments: list[str] | None = None) -> int:
    """The command: exit status 0 when every claim held, 1 when one did not, 2 for wrong input."""
    config = parser.parse(Config, prog="jaxnn report", description=__doc__, args=arguments)
    if config.quick:
        environment.set_quick_flags()
    # What follows takes a while to load: not for --help.
    from jaxnn import training

    training.enable_compilation_cache()
    return command.run(build, config)


def build(config: Config) -> bool:
    """Make the book; whether every claim of every lesson held."""
    from rich.console import Console

    out = config.out or config.folder / ("book.html" if config.single else "book")
    summaries = report(config, out, Console())
    failed = [summary["lesson"] for summary in summaries if not all(claim["held"] for claim in summary["claims"])]
    for name in failed:
        print(f"a claim of {name} did not hold", file=sys.stderr)
    print(f"{len(summaries)} lessons; open {out if out.suffix == '.html' else out / 'index.html'}")
    return not failed


if __name__ == "__main__":
    sys.exit(main())
