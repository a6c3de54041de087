"""The accuracy on CIFAR-10 that each measured recipe reached, against its seconds: what `train --budget` chooses from.

    python -m experiments.leaderboards.in_time

Trains nothing: reads the leaderboard, its shortened recipes (`--budget`) and the runs in experiments/results, and
writes the curve and its figure there.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.classifier import budget
from experiments.classifier.config import Config
from experiments.classifier.presets import BESIDE_A_BUDGET
from experiments.cli import command, files, parser

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

RUNS = ("cifar10", "cifar10_linear", "cifar10_mlp", "cifar10_cnn")


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the command."""

    results: Path = budget.FILE.parent
    """Folder of the measured results."""
    out: Path = budget.FILE
    """Where the curve is written; its figure lies beside it."""


def collect(results: Path) -> list[dict[str, Any]]:
    """All measured recipes for CIFAR-10, the fastest first; `best`: none that is as fast is as accurate."""
    rows = sorted((*_averaged(results), *_single(results)), key=lambda row: (row["seconds"], -row["accuracy"]))
    most = 0.0
    for row in rows:
        row["best"] = row["accuracy"] > most
        most = max(most, row["accuracy"])
    return rows


def _averaged(results: Path) -> Iterator[dict[str, Any]]:
    """The rows of the leaderboard, and its recipes with fewer epochs."""
    for name, of in (("leaderboard", "test"), ("budget", "validation")):
        for row in json.loads((results / f"{name}.json").read_text())["rows"]:
            if row["config"].get("dataset", "cifar10") == "cifar10":
                part = f", {row['part']}" if row["part"] else ""
                found = {"title": row["title"] + part, "accuracy": row["mean"], "of": of, "seconds": row["seconds"]}
                found |= {"seeds": len(row["seeds"]), "machine": row["environment"]["machine"]}
                yield found | {"settings": row["config"]}


def _single(results: Path) -> Iterator[dict[str, Any]]:
    """The runs of `experiments.train`, one seed each, with the settings that differ from a run without options."""
    usual = vars(Config())
    for name in RUNS:
        run, config = (json.loads((results / name / f"{file}.json").read_text()) for file in ("summary", "config"))
        settings = {
            key: value
            for key, value in config.items()
            if key in usual and key not in BESIDE_A_BUDGET - {"epochs", "batch_size"} and value != usual[key]
        }
        settings = {key: value for key, value in settings.items() if value != []}
        row = {"title": f"the run {name}", "accuracy": 100 * run["test_accuracy"], "of": "test", "seeds": 1}
        yield row | {"seconds": run["seconds_total"], "machine": run["machine"], "settings": settings}


def figure(rows: list[dict[str, Any]]) -> Figure:
    """The accuracy of all recipes against their seconds, and the best for each time."""
    import numpy as np

    from jaxnn import plots

    seconds, accuracies = (np.array([row[name] for row in rows]) for name in ("seconds", "accuracy"))
    kinds = {
        f"{of} accuracy": np.where([row["of"] == of for row in rows], accuracies, np.nan)
        for of in ("test", "validation")
    }
    best = {"best for this time": np.maximum.accumulate(accuracies)}
    labels = "seconds of a run, data and compiling included", "accuracy, %"
    title = "CIFAR-10: what a recipe reaches in its time"
    drawn = plots.curves(seconds, best, title, labels, log=(True, False), points=kinds)
    drawn.axes[0].lines[0].set_drawstyle("steps-post")  # a recipe cannot be had in less than its time
    return drawn


def write(options: Options, console: Console) -> dict[str, Any]:
    """Write the curve and its figure; returns the content of the file."""
    from jaxnn import plots

    if not (options.results / "leaderboard.json").exists():
        raise ValueError(f"--results {options.results}: it must have the measured results, such as leaderboard.json")
    found = {"rows": collect(options.results)}
    files.write_json(options.out, found)
    plots.save(figure(found["rows"]), options.out.with_suffix(""))
    for row in found["rows"]:
        if row["best"]:
            command.say(console, f"{row['seconds']:.0f} s: {row['accuracy']:.2f} % ({row['of']}), {row['title']}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    options = parser.parse(Options, prog="jaxnn leaderboards.in_time", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(write, options, Console())


if __name__ == "__main__":
    sys.exit(main())
