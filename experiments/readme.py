"""Fill the README's tables from the files of `experiments/results/` and from the lessons.

    python -m experiments.readme
    python -m experiments.readme --check

Each table stands between `<!-- NAME -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from experiments import artifacts, command, report

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"
RUNS = {
    "digits_mlp": "(no options)",
    "cifar10_linear": "`--dataset cifar10 --model linear`",
    "cifar10_mlp": "`--dataset cifar10 --model mlp --hidden 512 --dropout 0.5`",
    "cifar10_cnn": "`--dataset cifar10 --model cnn --augment flip crop --schedule one-cycle`",
}
"""Folders of runs and the options of `experiments.train` that made them."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is done with the README."""

    check: bool = False
    """Change nothing: end with status 1 if a table is not what the results say."""


def runs() -> str:
    """The runs of the main job.

    Returns:
        A table in Markdown.
    """
    rows = []
    for name, options in RUNS.items():
        run = _read(f"{name}/summary.json")
        training = f"{sum(run['seconds_per_epoch']):.1f} s, {run['epochs']} epochs"
        memory = f"{run['peak_memory_mib']:.0f} MiB"
        link = f"[{name}](experiments/results/{name})"
        compiling = f"{run['seconds_compile']:.1f} s"
        rows.append([options, f"{100 * run['test_accuracy']:.2f} %", training, compiling, memory, link])
    head = ["command (`python -m experiments.train ...`)", "test accuracy", "training", "compile", "peak memory"]
    return table([*head, "results"], rows)


def lessons() -> str:
    """The lessons and their questions.

    Returns:
        A table in Markdown.
    """
    every = [(name, importlib.import_module(f"experiments.{name}").LESSON) for name in report.NAMES]
    return table(
        ["`python -m experiments.`", "question"], [[f"`{name}`", lesson.question.en] for name, lesson in every]
    )


def speed() -> str:
    """The best form of each library beside jaxnn.

    Returns:
        A table in Markdown.
    """
    rows = [
        [
            row["work"],
            row["peer"],
            _seconds(row["ours_s"]),
            _seconds(row["peer_s"]),
            f"{row['ratio']:.1f}x",
            f"{row['goal']:g}x" if row["goal"] else "",
            f"{row['spread'][0]:.1f}-{row['spread'][1]:.1f}",
        ]
        for row in _read("benchmark.json")["rows"]
        if row["best_form"]
    ]
    return table(["work", "peer", "jaxnn", "peer's time", "ratio", "goal", "range"], rows)


TABLES: dict[str, Callable[[], str]] = {"runs": runs, "lessons": lessons, "speed": speed}


def fill(text: str) -> str:
    """The README with every table as the results say.

    Args:
        text: the README.

    Returns:
        The text; everything outside the marked places is as it was.

    Raises:
        ValueError: a place is not marked.
    """
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the README must hold {begin.strip()} and {end} once each, with the table between them")
        before, rest = text.split(begin)
        text = before + begin + make() + end + rest.split(end)[1]
    return text


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown.

    Args:
        head: what is in each column.
        rows: a text for each column.

    Returns:
        Its lines.
    """
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in [head, ["---"] * len(head), *rows])


def _read(name: str) -> Any:
    return json.loads((RESULTS / name).read_text())


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def update(options: Options) -> bool:
    """Fill the tables of the README, or see whether they are filled.

    Args:
        options: whether to change anything.

    Returns:
        Whether every table is as the results say.

    Raises:
        OSError, ValueError: the README or a result cannot be read, or a place is not marked.
    """
    path = ROOT / "README.md"
    old = path.read_text()
    new = fill(old)
    if options.check and new != old:
        print("README.md differs from the results: run python -m experiments.readme", file=sys.stderr)
        return False
    if new != old:
        artifacts.write_text(path, new)
    return True


def main(arguments: list[str] | None = None) -> int:
    """The command: exit status 0, 1 when a table differs with `--check`, 2 when something cannot be read."""
    return command.run(
        update, tyro.cli(Options, prog="python -m experiments.readme", description=__doc__, args=arguments)
    )


if __name__ == "__main__":
    sys.exit(main())
