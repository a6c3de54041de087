"""Shared by all lessons: options, claims that a run checks itself, figures and a summary in a folder; exercises."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import numbers
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from experiments.cli import command, environment, files, parser
from experiments.lessons.framework import exercises
from experiments.lessons.framework.live_figure import Live, encode
from experiments.lessons.teaching import Teaching, Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of every lesson."""

    out: Path | None = None
    """The folder for figures and summary, replaced there; by default runs/lessons/NAME."""
    seed: int = 0
    """Seed of everything random."""
    quick: bool = False
    """A short form: fewer models, fewer steps, the same claims."""
    exercise: int | None = None
    """Write the file of this exercise to the current folder (or to --out) instead of running the lesson."""
    check: Path | None = None
    """Check the completed file of an exercise instead of running the lesson."""


class Claim(NamedTuple):
    """A statement of the course in both languages, and the numbers that this run measured for it."""

    en: str
    zh: str
    measured: Mapping[str, Any]
    """By a readable label, which is also the key in the summary."""
    held: bool
    """Whether the numbers support the statement."""


class ResultTable(NamedTuple):
    """A short table to print and to show in the report."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Findings(NamedTuple):
    """The results of a lesson."""

    claims: Sequence[Claim]
    figures: Mapping[str, Figure]
    """By file name, in reading order."""
    tables: Sequence[ResultTable] = ()
    live: Sequence[Live] = ()
    """Figures with sliders."""
    models: int = 0
    """How many models were trained (or gradient descents run)."""
    training_seconds: float = 0.0
    """Compilation included."""


def join(parts: Iterable[Findings]) -> Findings:
    """The parts of a lesson as one: lists and figures concatenated, models and seconds added up."""
    parts = list(parts)
    return Findings(
        [claim for part in parts for claim in part.claims],
        {name: figure for part in parts for name, figure in part.figures.items()},
        [table for part in parts for table in part.tables],
        [live for part in parts for live in part.live],
        sum(part.models for part in parts),
        sum(part.training_seconds for part in parts),
    )


Result = TypeVar("Result")


def timed(train: Callable[..., Result], *arguments: Any, **options: Any) -> tuple[Result, float]:
    """The result of `train(*arguments, **options)`, and the seconds until it was ready, compilation included."""
    import jax

    started = time.perf_counter()
    result = jax.block_until_ready(train(*arguments, **options))
    return result, time.perf_counter() - started


def in_background(train: Callable[..., Result], *arguments: Any, **options: Any) -> Callable[[], tuple[Result, float]]:
    """Run `timed(...)` in another thread, so that programs compile side by side; the returned function waits for it."""
    thread = ThreadPoolExecutor(1)
    waiting = thread.submit(timed, train, *arguments, **options)
    thread.shutdown(wait=False)
    return waiting.result


class Lesson(NamedTuple):
    """One section of the course, ready to run."""

    name: str
    """The module, `experiments.lessons.NAME`."""
    title: Text
    question: Text
    study: Callable[[Any], Findings]
    """From the options to the findings; raises ValueError, OSError or ImportError when it cannot run."""
    teaching: Teaching
    options: type[Options] = Options
    short: Text | None = None
    """The title where there is little room."""


def start(name: str, doc: str | None, options: type[Options] = Options) -> int:
    """Run a lesson as a command: its options are read first, then its module is imported, which takes a while."""
    chosen = parser.parse(options, prog=f"jaxnn {name}", description=doc)  # --help and a wrong option end here
    if chosen.quick:
        environment.set_quick_flags()
    return main(importlib.import_module(f"experiments.lessons.{name}").LESSON, doc)


def main(lesson: Lesson, doc: str | None, arguments: list[str] | None = None) -> int:
    """The command of a lesson.

    Exit status 0 when every claim held or the exercise is right, 1 when not, 2 for wrong input.
    """
    options = parser.parse(lesson.options, prog=f"jaxnn {lesson.name}", description=doc, args=arguments)
    if options.exercise is not None:
        return command.run(_write_exercise, lesson, options)
    if options.check is not None:
        return command.run(_check_exercise, lesson, options.check)
    from rich.console import Console

    from jaxnn import training

    training.enable_compilation_cache()
    return command.run(_show, lesson, options, Console())


def _write_exercise(lesson: Lesson, options: Options) -> None:
    """Write the file, and print what to do with it."""
    number = options.exercise or 0
    path = exercises.write(lesson.name, lesson.teaching.exercises, number, options.out or Path())
    print(f"{lesson.teaching.exercises[number - 1].task.en}\n\nComplete the function in {path}, then run")
    print(f"jaxnn {lesson.name} --check {path}")


def _check_exercise(lesson: Lesson, path: Path) -> bool:
    """Print what is wrong with a completed file; whether it is right."""
    wrong = exercises.check(lesson.teaching.exercises, path)
    print("\n".join(wrong), file=sys.stderr) if wrong else print(f"{path}: right")
    return not wrong


def _show(lesson: Lesson, options: Options, console: Console) -> bool:
    """Run the lesson and print its findings; whether every claim held."""
    from rich.table import Table

    out = options.out or Path("runs", "lessons", lesson.name)
    findings, summary = run(lesson, options, out)
    console.print(f"{lesson.question.en}\n\n{lesson.teaching.idea.en}\n", highlight=False, markup=False)
    for rows in findings.tables:
        table = Table(*map(str, rows.columns), title=rows.title)
        for row in rows.rows:
            table.add_row(*map(str, row))
        console.print(table)
    for claim in findings.claims:
        measured = ", ".join(f"{name} {short(value)}" for name, value in claim.measured.items())
        console.print(f"{'held' if claim.held else 'NOT HELD'}: {claim.en} ({measured})", highlight=False)
    if findings.models:
        console.print(f"{findings.models:,} models in {findings.training_seconds:.1f} s", highlight=False)
    console.print(f"{summary['seconds_total']:.1f} s; figures and summary in {out}", highlight=False)
    return all(claim.held for claim in findings.claims)


def run(lesson: Lesson, options: Options, out: Path) -> tuple[Findings, dict[str, Any]]:
    """Run a lesson and write its figures, frames and `summary.json` into `out`; the findings and the summary."""
    from jaxnn import plots

    files.check_folder(out)
    started = time.perf_counter()
    findings = lesson.study(options)
    for name, figure in findings.figures.items():
        plots.save(figure, out / name)
    live = [encode(one) for one in findings.live]
    files.write(out / "live.json", json.dumps(live, separators=(",", ":"), ensure_ascii=False))
    summary: dict[str, Any] = {
        "lesson": lesson.name,
        "title": lesson.title._asdict(),
        "question": lesson.question._asdict(),
        "command": f"jaxnn {lesson.name}{' --quick' if options.quick else ''}",
        "seed": options.seed,
        "claims": [
            {"text": {"en": claim.en, "zh": claim.zh}, "measured": _finite(claim.measured), "held": bool(claim.held)}
            for claim in findings.claims
        ],
        "tables": [rows._asdict() for rows in findings.tables],
        "figures": list(findings.figures),
        "models": findings.models,
        "training_seconds": findings.training_seconds,
        "seconds_total": time.perf_counter() - started,
    } | environment.environment()
    files.write_json(out / "summary.json", summary)
    return findings, summary


def _finite(measured: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no infinity and no NaN: such a number becomes a word."""
    return {
        name: str(float(value)) if isinstance(value, numbers.Real) and not math.isfinite(value) else value
        for name, value in measured.items()
    }


def short(value: Any) -> str:
    """A measured value as it is printed: floats with four digits, whole numbers with commas."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


def fill(words: str, claims: Iterable[Mapping[str, Any]]) -> str:
    """A text with the numbers measured for the claims of a summary in place of their labels between braces."""
    measured = {name: value for claim in claims for name, value in claim["measured"].items()}

    def number(label: re.Match[str]) -> str:
        if label[1] not in measured:
            raise ValueError(f"the lesson's results hold no number {label[0]}: run it again")
        return short(measured[label[1]])

    return re.sub(r"\{([^{}]+)\}", number, words)
