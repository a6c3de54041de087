"""Fill the README's tables from the files of `experiments/results/`, from the lessons and from the package.

    python -m experiments.results
    python -m experiments.results --check

Each table stands between `<!-- NAME -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from experiments.cli import command, files
from experiments.leaderboard import with_spread
from experiments.leaderboards.recipes import RECIPES, epochs_of
from experiments.lessons import NAMES

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "experiments" / "results"
PACKAGE = ROOT / "jaxnn"
RUNS = {
    "digits_mlp": "(no options)",
    "cifar10": "`--dataset cifar10`",
    "cifar10_linear": "`--dataset cifar10 --model linear`",
    "cifar10_mlp": "`--dataset cifar10 --model mlp --hidden 512 --dropout 0.5`",
    "cifar10_cnn": "`--dataset cifar10 --model cnn --augment flip crop --schedule one-cycle --epochs 8`",
}
"""Folders of runs and the options of `experiments.train` that made them."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is done with the README."""

    check: bool = False
    """Change nothing: end with status 1 if a table is not what the results say."""


def runs() -> str:
    """The runs of the main job."""
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
    """The lessons and their questions."""
    every = [(name, importlib.import_module(f"experiments.lessons.{name}").LESSON) for name in NAMES]
    return table(
        ["`python -m experiments.`", "question"], [[f"`{name}`", lesson.question.en] for name, lesson in every]
    )


def speed() -> str:
    """The best form of each library beside jaxnn."""
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


def leaderboard() -> str:
    """How good the models of the notes get."""
    rows = []
    for row in _read("leaderboard.json")["rows"]:
        took, reached = f"{row['seconds']:.0f} s", f"{with_spread(row)} %"
        peers = ", ".join(f"{peer['name']} {with_spread(peer)}" for peer in row["peers"])
        known = peers or row["reference"]
        rows.append([row["title"], reached, f"{row['goal']:.4g} %", known, str(len(row["seeds"])), took])
    return table(["model", "test accuracy", "goal", "known", "seeds", "seconds a run"], rows)


def ablation() -> str:
    """What each part of the recipes brings, and what was left out of them."""
    rows = []
    for row in _read("ablation.json")["rows"]:
        if row["part"]:
            kept = "yes" if row["part"] in RECIPES[row["row"]].parts else "no"
            brings = f"{with_spread(row, 'brings')} points"
            rows.append(
                [row["title"], row["part"], kept, brings, str(epochs_of(row["config"])), str(len(row["seeds"]))]
            )
    return table(["model", "part", "in the recipe", "brings", "epochs", "seeds"], rows)


def budget() -> str:
    """Accuracy against the length of the training."""
    rows = _read("budget.json")["rows"]
    told: dict[str, list[str]] = {}
    for row in rows:
        reached = f"{with_spread(row)} %, {row['seconds']:.0f} s"
        told.setdefault(row["title"], [row["title"], str(len(row["seeds"]))]).append(reached)
    head = list(dict.fromkeys(row["part"] for row in rows))
    return table(["model", "seeds", *head], list(told.values()))


def streaming() -> str:
    """Images that do not fit in memory, by reader."""
    found = _read("streaming.json")
    rows = []
    for row in found["rows"]:
        first, most = row["memory_mib"][0], max(row["memory_mib"])
        rate, waiting = row["examples_per_second"], row["waiting_share"]
        told = [f"{rate:,.0f}", f"{waiting:.0%}", f"{first:,.0f} MiB", f"{most:,.0f} MiB"]
        rows.append([row["reader"], f"{found['options']['limit_mib']} MiB" if row["limited"] else "none", *told])
    return table(["reader", "memory limit", "images/s", "time waited", "memory, first tenth", "at most"], rows)


def drop_in() -> str:
    """The classifiers beside scikit-learn's own."""
    found = _read("drop_in_accuracy.json")
    rows = [
        [
            row["dataset"],
            f"{row['classifier']}, `{row['scikit_learn']}`",
            f"{row['ours']:.2f} ± {row['ours_std']:.2f} %",
            f"{row['theirs']:.2f} ± {row['theirs_std']:.2f} %",
            f"{round(row['difference'], 2) + 0.0:+.2f}",
            "yes" if row["held"] else "no",
        ]
        for row in found["rows"]
    ]
    held = f"within {found['points']:g} point{'s' if found['points'] != 1 else ''}"
    return table(["dataset", "classifier, scikit-learn's", "jaxnn", "scikit-learn", "difference", held], rows)


def api() -> str:
    """Where everything is that the package offers: what each room is for, and the line that imports it."""
    rows, handed_on = [], set[str]()
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if path.name == "__init__.py" else parts)
        names = [name for name in _public(tree) if f"{module}.{name}" not in handed_on]
        if path.name == "__init__.py":
            imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
            handed_on |= {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
        if names:
            what = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
            what = what.split(". ")[0].split(": `")[0].rstrip(".:")
            rows.append([what, f"`from {module} import {', '.join(sorted(names))}`"])
    return table(["what you want", "where it is"], rows)


def _public(tree: ast.Module) -> list[str]:
    """The names that a module offers: those of `__all__`, else its functions and classes."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    made = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [name for name in made if not name.startswith("_")]


TABLES: dict[str, Callable[[], str]] = {
    "runs": runs,
    "lessons": lessons,
    "drop_in": drop_in,
    "speed": speed,
    "streaming": streaming,
    "leaderboard": leaderboard,
    "ablation": ablation,
    "budget": budget,
    "api": api,
}


def fill(text: str) -> str:
    """The README with every table as the results say."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the README must hold {begin.strip()} and {end} once each, with the table between them")
        before, rest = text.split(begin)
        text = before + begin + make() + end + rest.split(end)[1]
    return text


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in [head, ["---"] * len(head), *rows])


def _read(name: str) -> Any:
    return json.loads((RESULTS / name).read_text())


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def update(options: Options) -> bool:
    """Fill the tables of the README, or see whether they are filled."""
    path = ROOT / "README.md"
    old = path.read_text()
    new = fill(old)
    if options.check and new != old:
        print("README.md differs from the results: run python -m experiments.results", file=sys.stderr)
        return False
    if new != old:
        files.write(path, new)
    return True


def main(arguments: list[str] | None = None) -> int:
    """The command: exit status 0, 1 when a table differs with `--check`, 2 when something cannot be read."""
    return command.run(
        update, tyro.cli(Options, prog="python -m experiments.results", description=__doc__, args=arguments)
    )


if __name__ == "__main__":
    sys.exit(main())
