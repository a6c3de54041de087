"""Shared by all lessons: options, claims that a run checks itself, figures and a summary in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import numbers
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from experiments.cli import command, environment, files, parser
from jaxnn import plots
from jaxnn.plots import _style as style


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of every lesson."""

    out: Path | None = None
    """The folder for figures and summary, replaced there; by default runs/lessons/NAME."""
    seed: int = 0
    """Seed of everything random."""
    quick: bool = False
    """A short form, in under ten seconds: fewer models, fewer steps, the same claims."""


class Text(NamedTuple):
    """A text in the two languages of the report."""

    en: str
    zh: str


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
    frames: Mapping[str, Sequence[Figure]] = {}
    """Animations by name: figures of one size, which the report gives a slider."""
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
        {name: frames for part in parts for name, frames in part.frames.items()},
        sum(part.models for part in parts),
        sum(part.training_seconds for part in parts),
    )


Result = TypeVar("Result")


def timed(train: Callable[..., Result], *arguments: Any, **options: Any) -> tuple[Result, float]:
    """The result of `train(*arguments, **options)`, and the seconds until it was ready, compilation included."""
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
    options: type[Options] = Options


def main(lesson: Lesson, doc: str | None, arguments: list[str] | None = None) -> int:
    """The command of a lesson: exit status 0 when every claim held, 1 when one did not, 2 for wrong input."""
    name = f"jaxnn {lesson.name}"
    options = parser.parse(lesson.options, prog=name, description=doc, args=arguments)
    environment.enable_compilation_cache()
    return command.run(_show, lesson, options, Console())


def _show(lesson: Lesson, options: Options, console: Console) -> bool:
    """Run the lesson and print its findings; whether every claim held."""
    out = options.out or Path("runs", "lessons", lesson.name)
    findings, summary = run(lesson, options, out)
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
    files.check_folder(out)
    started = time.perf_counter()
    with environment.fast_compilation() if options.quick else contextlib.nullcontext():
        findings = lesson.study(options)
    for name, figure in findings.figures.items():
        style.add_chinese(figure, lesson.title.zh)
        plots.save(figure, out / name)
    for name, frames in findings.frames.items():
        for i, figure in enumerate(frames):
            plots.save(figure, out / name / f"{i:03d}")
    summary: dict[str, Any] = {
        "lesson": lesson.name,
        "title": lesson.title._asdict(),
        "question": lesson.question._asdict(),
        "command": f"python -m experiments.lessons.{lesson.name}{' --quick' if options.quick else ''}",
        "seed": options.seed,
        "claims": [
            {"text": {"en": claim.en, "zh": claim.zh}, "measured": _finite(claim.measured), "held": bool(claim.held)}
            for claim in findings.claims
        ],
        "tables": [rows._asdict() for rows in findings.tables],
        "figures": list(findings.figures),
        "frames": {name: len(frames) for name, frames in findings.frames.items()},
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
    """A measured value as it is printed."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
