"""The accuracy of linear classifiers and networks when trained well: several seeds on all training examples.

    python -m experiments.leaderboard
    python -m experiments.leaderboard --row linear-softmax
    python -m experiments.leaderboard --row linear-softmax --ablation
    python -m experiments.leaderboard --row linear-softmax --budget
    python -m experiments.leaderboard --row deep-gpu beta-lasso-gpu

Every recipe was chosen on 45,000 training and 5,000 validation examples; each seed then trains on all 50,000 and reads
the test set once. `--ablation` removes the parts of a recipe one by one and adds what is not in it, on the 45,000 and
5,000 examples alone; `--budget` also trains for 1/8, 1/4 and 1/2 of the epochs, on the same examples. Finished runs in
`runs/leaderboard` are reused, and interrupted ones are resumed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.classifier.config import Config
from experiments.cli import command, environment, files, parser
from experiments.leaderboards.recipes import RECIPES, epochs_of, spread
from experiments.train import train

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.table import Table

RESULTS = Path("experiments", "results")
FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of a recipe's epochs, for `--budget`."""
ON_A_CPU = tuple(name for name, row in RECIPES.items() if not row.gpu)


@dataclasses.dataclass(frozen=True)
class Options:
    """The models to train, and how many times."""

    row: tuple[str, ...] = ON_A_CPU
    """Rows to measure; by default all that need no GPU."""
    seeds: int = 5
    """Runs of each recipe."""
    ablation: bool = False
    """Remove the parts of each recipe one by one, add what is not in it, and measure on validation examples; never on
    the test set."""
    budget: bool = False
    """Also train for a fraction of the epochs and measure on validation examples; never on the test set."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""
    runs: Path = Path("runs", "leaderboard")
    """Folder of the runs."""
    out: Path | None = None
    """Result file; by default leaderboard.json, ablation.json or budget.json in experiments/results. --budget writes
    its figure next to it."""
    quick: bool = False
    """Trial run with few epochs and examples; results go to runs/leaderboard."""


def run(options: Options, console: Console) -> dict[str, Any]:
    """Train, write the result file, print a table, and return the content of the file."""
    if unknown := [name for name in options.row if name not in RECIPES]:
        raise ValueError(f"--row {' '.join(unknown)}: choose from {', '.join(RECIPES)}")
    if (large := [name for name in options.row if RECIPES[name].gpu]) and not options.quick and not _has_gpu():
        raise ValueError(f"--row {' '.join(large)} needs a GPU, and JAX finds none here: try it with --quick")
    if options.seeds < 1:
        raise ValueError(f"--seeds {options.seeds} must be at least 1")
    if options.ablation and options.budget:
        raise ValueError("--ablation and --budget are separate measurements: give one of them")
    kind, of_row = "leaderboard", _trained
    if options.ablation or options.budget:
        kind, of_row = ("ablation", _ablated) if options.ablation else ("budget", _budgeted)
    out = options.out or (options.runs if options.quick else RESULTS) / f"{kind}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.row:
        for row in of_row(name, options, console):
            write(out, row)
    found = json.loads(out.read_text())
    if options.budget:
        from jaxnn import plots

        plots.save(budget_figure(found["rows"]), out.with_suffix(""))
    console.print(_table(found["rows"], options))
    return found


def write(out: Path, row: Mapping[str, Any]) -> None:
    """Put a row into the result file, replacing an earlier one of the same row and part."""
    rows = json.loads(out.read_text())["rows"] if out.exists() else []
    rows = [other for other in rows if (other["row"], other["part"]) != (row["row"], row["part"])] + [dict(row)]
    order = list(RECIPES)
    files.write_json(out, {"rows": sorted(rows, key=lambda row: order.index(row["row"]))})


def _trained(name: str, options: Options, console: Console) -> Iterator[dict[str, Any]]:
    """The leaderboard's row: trained on all training examples; each seed reads the test set once."""
    row = RECIPES[name]
    runs = [_run_of(name, "all", row.recipe, seed, 0.0, options, console) for seed in range(options.seeds)]
    accuracies = [100 * run["test_accuracy"] for run in runs]
    peers = row.peers(options.seeds) if row.peers and not options.quick else []
    goal = row.goal or max((peer["mean"] for peer in peers), default=None)
    yield _row(name, "", accuracies, runs, row.recipe) | {"goal": goal, "peers": peers}


def _ablated(name: str, options: Options, console: Console) -> Iterator[dict[str, Any]]:
    """The recipe, the recipe without each of its parts, and with additions, measured on validation examples."""
    row = RECIPES[name]
    recipe = _shortened(name, row.ablated)
    whole = np.array([])
    for part, changes in {"": {}, **row.parts, **row.others}.items():
        runs = _validated(name, part, row.ablated, {**recipe, **changes}, options, console)
        accuracies = [100 * run["validation_accuracy"] for run in runs]
        result = _row(name, part, accuracies, runs, {**recipe, **changes})
        if not part:
            whole = np.array(accuracies)
            yield result
        else:  # paired by seed, since each seed has its own validation examples
            brings = whole - accuracies if part in row.parts else accuracies - whole
            yield result | {"brings": float(brings.mean()), "brings_std": spread(brings)}


def _budgeted(name: str, options: Options, console: Console) -> Iterator[dict[str, Any]]:
    """The recipe with fractions of its epochs, measured on validation examples."""
    for fraction in FRACTIONS:
        recipe = _shortened(name, fraction)
        runs = _validated(name, "", fraction, recipe, options, console)
        accuracies = [100 * run["validation_accuracy"] for run in runs]
        part = "all epochs" if fraction == 1 else f"{Fraction(fraction)} of the epochs"
        yield _row(name, part, accuracies, runs, recipe) | {"share": fraction}


def _shortened(name: str, fraction: float) -> dict[str, Any]:
    """The recipe with a fraction of its epochs."""
    recipe = RECIPES[name].recipe
    return {**recipe, "epochs": max(1, round(fraction * epochs_of(recipe)))} if fraction != 1 else dict(recipe)


def _validated(
    name: str, part: str, fraction: float, recipe: Mapping[str, Any], options: Options, console: Console
) -> list[dict[str, Any]]:
    """The summaries of the runs of all seeds, with validation examples held out."""
    length = [f"{recipe['epochs']}-epochs"] if fraction != 1 else [] if part else ["whole"]
    folder = "-".join([*part.split(), *length])
    return [_run_of(name, folder, recipe, seed, 0.1, options, console) for seed in range(options.seeds)]


def budget_figure(rows: list[dict[str, Any]]) -> Figure:
    """Validation accuracy against the fraction of the epochs, relative to the whole recipe; a line per model."""
    from jaxnn import plots

    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["title"], []).append(row["mean"])
    lines = {title: np.subtract(means, means[-1]) for title, means in found.items()}
    labels = "fraction of the recipe's epochs", "percentage points"
    figure = plots.curves(
        FRACTIONS, lines, "Validation accuracy relative to the whole recipe", labels, log=(True, False)
    )
    figure.axes[0].set_xticks(FRACTIONS, [str(Fraction(fraction)) for fraction in FRACTIONS])
    figure.axes[0].minorticks_off()
    return figure


def _run_of(
    name: str,
    part: str,
    recipe: Mapping[str, Any],
    seed: int,
    validation_share: float,
    options: Options,
    console: Console,
) -> dict[str, Any]:
    """The summary of one run; a finished one is read, an interrupted one resumed."""
    from experiments.classifier import resume

    out = options.runs / name / part / str(seed)
    given = {"dataset": "cifar10", "data_dir": options.data_dir, "quick": options.quick, **recipe}
    choosing = validation_share > 0  # the test set is read only after training on all examples
    config = Config(**given, validation_share=validation_share, seed=seed, choosing=choosing, out=out)
    stored = None
    if (out / "config.json").exists():
        stored = resume.find(out, functools.partial(command.warn, console))
        there = {name: stored.settings.get(name) for name in recipe}
        if changed := resume.changed_settings(there, json.loads(files.as_json(dict(recipe)))):
            raise ValueError(f"{out} holds a run of another recipe ({changed}): remove it")
    console.print(f"[bold]{name}[/bold] {part}, seed {seed}", highlight=False)
    return train(config, console, stored)


def _row(
    name: str, part: str, accuracies: list[float], runs: list[dict[str, Any]], recipe: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "row": name,
        "part": part,
        "title": RECIPES[name].title,
        "mean": float(np.mean(accuracies)),
        "std": spread(accuracies),
        "accuracies": accuracies,
        "seeds": [run["seed"] for run in runs],
        "seconds": float(np.mean([run["seconds_total"] for run in runs])),
        "seconds_compile": float(np.mean([run["seconds_compile"] for run in runs])),
        "config": dict(recipe),
        "environment": environment.environment(),
    }


def _has_gpu() -> bool:
    import jax

    return jax.default_backend() == "gpu"


def _table(rows: list[dict[str, Any]], options: Options) -> Table:
    from rich.table import Table

    measured = "validation" if options.ablation or options.budget else "test"
    parts = ("part", "gain") if options.ablation else ("trained for",) if options.budget else ()
    columns = ("model", *parts, "accuracy", "seeds", "seconds a run")
    table = Table(*columns, title=f"{measured} accuracy, %")
    for row in rows:
        brings = with_spread(row, "brings") if "brings" in row else ""
        part = (row["part"], brings)[: len(parts)]
        goal = f" (goal {row['goal']:.4g})" if row.get("goal") else ""
        table.add_row(row["title"], *part, with_spread(row) + goal, str(len(row["seeds"])), f"{row['seconds']:.0f}")
    return table


def with_spread(row: Mapping[str, Any], name: str = "mean") -> str:
    """The mean of a row ("mean": accuracy, "brings": gain) ± the standard deviation over seeds."""
    sign, spread = ("", row["std"]) if name == "mean" else ("+", row["brings_std"])
    return f"{row[name]:{sign}.2f}" + ("" if spread is None else f" ± {spread:.2f}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, 1 if a training diverged, 2 for bad input, 130 or 143 after Control-C or SIGTERM;
    the same command then resumes.
    """
    options = parser.parse(Options, prog="jaxnn leaderboard", description=__doc__, args=arguments)
    # What follows takes a while to load: not for --help.
    from rich.console import Console

    from jaxnn import training

    training.enable_compilation_cache()
    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
