"""What all lessons share: options, claims that a run checks itself, figures and a summary in a folder."""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from experiments.cli import command, environment, files
from jaxnn import plots
from jaxnn.plots import style


@dataclasses.dataclass(frozen=True)
class Options:
    """The options that every lesson takes."""

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
    """A statement of the notes, and what this run measured for it."""

    text: Text
    measured: Mapping[str, Any]
    """Numbers by name, as they are stored in the summary."""
    held: bool
    """Whether the statement follows from the numbers."""


class ResultTable(NamedTuple):
    """A short table to print and to show in the report."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Findings(NamedTuple):
    """What a lesson found."""

    claims: Sequence[Claim]
    figures: Mapping[str, Figure]
    """By file name, in the order in which they are to be read."""
    tables: Sequence[ResultTable] = ()
    frames: Mapping[str, Sequence[Figure]] = {}
    """Motion: pictures of one size in their order, by name; the report gives them a slider."""
    models: int = 0
    """How many models were trained (or points let down a slope)."""
    training_seconds: float = 0.0
    """In how many seconds, compilation included."""


def join(parts: Iterable[Findings]) -> Findings:
    """The parts of a lesson as one outcome.

    Args:
        parts: in the order in which they are to be read; figures and frames have names of their own.

    Returns:
        Their claims, figures, tables and frames one after the other, their models and seconds added up.
    """
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
    """Call a function that trains, and wait for what it computes.

    Args:
        train: such as `training.sweep`.
        arguments, options: what it is called with.

    Returns:
        Its result, and the seconds until it was there, compilation included.
    """
    started = time.perf_counter()
    result = jax.block_until_ready(train(*arguments, **options))
    return result, time.perf_counter() - started


_threads = ThreadPoolExecutor(2)


def in_background(train: Callable[..., Result], *arguments: Any, **options: Any) -> Callable[[], tuple[Result, float]]:
    """Call a function that trains in another thread, so that its program is compiled while this thread goes on.

    Args:
        train, arguments, options: as `timed`.

    Returns:
        A function that waits for what `timed` gives.
    """
    promotion = jax.numpy_dtype_promotion.value  # JAX's contexts end at the border of a thread

    def work() -> tuple[Result, float]:
        with jax.numpy_dtype_promotion(promotion):
            return timed(train, *arguments, **options)

    return _threads.submit(work).result


class Lesson(NamedTuple):
    """One section of the notes as something to run."""

    name: str
    """The module, `experiments.lessons.NAME`."""
    title: Text
    question: Text
    study: Callable[[Any], Findings]
    """From the options to what was found; raises ValueError, OSError or ImportError when it cannot run."""
    options: type[Options] = Options


def main(lesson: Lesson, doc: str | None, arguments: list[str] | None = None) -> int:
    """The command of a lesson: run it, print its tables and claims, write figures and summary.

    Args:
        lesson: what to run.
        doc: the text above the options in `--help`.
        arguments: of the command line; by default those of the process.

    Returns:
        The exit status: 0 when every claim held, 1 when one did not, 2 when something that was given is wrong.
    """
    options = tyro.cli(
        lesson.options, prog=f"python -m experiments.lessons.{lesson.name}", description=doc, args=arguments
    )
    environment.enable_compilation_cache()
    if options.quick:
        compile_in_haste()
    return command.run(_show, lesson, options, Console())


def compile_in_haste() -> None:
    """Let XLA compile with less care, which takes two thirds of the time; for programs that run for a second or two.

    XLA reads this once, when the first array is made: later it changes nothing.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_backend_optimization_level" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_optimization_level=1".strip()


def _show(lesson: Lesson, options: Options, console: Console) -> bool:
    """Run the lesson, print and write what it found; whether every claim held."""
    started = time.perf_counter()
    out = options.out or Path("runs", "lessons", lesson.name)
    files.check_folder(out)
    outcome = lesson.study(options)
    summary = write(lesson, options, outcome, out, time.perf_counter() - started)
    for rows in outcome.tables:
        table = Table(*map(str, rows.columns), title=rows.title)
        for row in rows.rows:
            table.add_row(*map(str, row))
        console.print(table)
    for claim in outcome.claims:
        measured = ", ".join(f"{name} {_short(value)}" for name, value in claim.measured.items())
        console.print(f"{'held' if claim.held else 'NOT HELD'}: {claim.text.en} ({measured})", highlight=False)
    if outcome.models:
        console.print(f"{outcome.models:,} models in {outcome.training_seconds:.1f} s", highlight=False)
    console.print(f"{summary['seconds_total']:.1f} s; figures and summary in {out}", highlight=False)
    return all(claim.held for claim in outcome.claims)


def write(lesson: Lesson, options: Options, outcome: Findings, out: Path, seconds: float) -> dict[str, Any]:
    """Write the figures, the frames and `summary.json` of a lesson.

    Args:
        lesson: what was run.
        options: with which options.
        outcome: what it found.
        out: the folder, made if needed.
        seconds: that the study took.

    Returns:
        The summary.

    Raises:
        OSError: the folder cannot be written.
    """
    started = time.perf_counter()
    for name, figure in outcome.figures.items():
        style.add_chinese(figure, lesson.title.zh)
        plots.save(figure, out / name)
    for name, frames in outcome.frames.items():
        for i, figure in enumerate(frames):
            plots.save(figure, out / name / f"{i:03d}")
    summary: dict[str, Any] = {
        "lesson": lesson.name,
        "title": lesson.title._asdict(),
        "question": lesson.question._asdict(),
        "command": f"python -m experiments.lessons.{lesson.name}{' --quick' if options.quick else ''}",
        "seed": options.seed,
        "claims": [
            {"text": claim.text._asdict(), "measured": _finite(claim.measured), "held": bool(claim.held)}
            for claim in outcome.claims
        ],
        "tables": [rows._asdict() for rows in outcome.tables],
        "figures": list(outcome.figures),
        "frames": {name: len(frames) for name, frames in outcome.frames.items()},
        "models": outcome.models,
        "training_seconds": outcome.training_seconds,
        "seconds_total": seconds + time.perf_counter() - started,
    } | environment.environment()
    files.write_json(out / "summary.json", summary)
    return summary


def _finite(measured: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured as JSON can hold it: a number that is not finite becomes the word for it."""
    return {
        name: str(float(value)) if isinstance(value, numbers.Real) and not math.isfinite(value) else value
        for name, value in measured.items()
    }


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
