"""Fill the tables of all READMEs from the files in `experiments/results/`, from the lessons and from the package.

    python -m experiments.results
    python -m experiments.results --check

A table stands between `<!-- NAME -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmark.workloads import BARE
from experiments.cli import command, files, parser
from experiments.lessons import NAMES
from experiments.results import accuracy
from experiments.results.table import read, table

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "jaxnn"
RUNS = {
    "digits_mlp": "(no options)",
    "cifar10": "`--dataset cifar10`",
    "cifar10_linear": "`--dataset cifar10 --model linear`",
    "cifar10_mlp": "`--dataset cifar10 --model mlp --hidden 512 --dropout 0.5`",
    "cifar10_cnn": "`--dataset cifar10 --model cnn --augment flip crop --schedule one-cycle --epochs 8`",
}
"""Run folders in the results, with the options of `experiments.train` that made them."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the command."""

    check: bool = False
    """Change nothing; exit with status 1 if a table differs from the results."""


def runs() -> str:
    """The runs of `experiments.train`."""
    rows = []
    for name, options in RUNS.items():
        run = read(f"{name}/summary.json")
        training = f"{sum(run['seconds_per_epoch']):.1f} s, {run['epochs']} epochs"
        memory = f"{run['peak_memory_mib']:.0f} MiB"
        link = f"[{name}](results/{name})"
        compiling = f"{run['seconds_compile']:.1f} s"
        rows.append([options, f"{100 * run['test_accuracy']:.2f} %", training, compiling, memory, link])
    head = ["options of `experiments.train`", "test accuracy", "training", "compile", "peak memory"]
    return table([*head, "results"], rows)


def lessons() -> str:
    """The lessons and their questions."""
    every = [(name, importlib.import_module(f"experiments.lessons.{name}").LESSON) for name in NAMES]
    return table(["lesson", "question"], [[f"`{name}`", lesson.question.en] for name, lesson in every])


def speed() -> str:
    """All speed ratios, each library in its best form."""
    measured = [row for row in read("benchmark.json")["rows"] if row["best_form"]]
    rows = [
        [_work(row), row["peer"], *_times(row), f"{row['spread'][0]:.1f}-{row['spread'][1]:.1f}"] for row in measured
    ]
    return table(["work", "peer", "jaxnn", "peer's time", "ratio", "goal", "range"], rows) + _elsewhere(measured)


def _work(row: dict[str, Any]) -> str:
    """The work of a speed row, marked if it was measured under other conditions than the rest of the file."""
    return row["work"] + (" \\*" if "measured" in row else "")


def _elsewhere(rows: list[dict[str, Any]]) -> str:
    """The line that names those conditions."""
    found = [row["measured"] for row in rows if "measured" in row]
    named = dict.fromkeys(_conditions(one) for one in found)
    return f"\n\\* measured later on {' and '.join(named)}\n" if named else ""


def _conditions(found: dict[str, Any]) -> str:
    return f"{found['machine']}, with JAX {found['versions']['jax']}"


def startup() -> str:
    """What has no peer: seconds to a first result, beside the goal."""
    found = read("benchmark.json").get("startup")
    if found is None:
        return "Not measured yet.\n"
    rows = [
        [row["work"], _seconds(row["seconds"]), f"{row['goal_s']:g} s", "yes" if row["met"] else "no"]
        for row in found["rows"]
    ]
    return table(["work", "seconds", "goal", "met"], rows) + f"\nMeasured on {_conditions(found)}.\n"


def streaming() -> str:
    """Reading of images that do not fit in memory, by reader."""
    found = read("streaming.json")
    rows = []
    for row in found["rows"]:
        first, most = row["memory_mib"][0], max(row["memory_mib"])
        rate, waiting = row["examples_per_second"], row["waiting_share"]
        cells = [f"{rate:,.0f}", f"{waiting:.0%}", f"{first:,.0f} MiB", f"{most:,.0f} MiB"]
        rows.append([row["reader"], f"{found['options']['limit_mib']} MiB" if row["limited"] else "none", *cells])
    return table(["reader", "memory limit", "images/s", "time waited", "memory, first tenth", "at most"], rows)


def drop_in() -> str:
    """Test accuracies compared with scikit-learn's own classifiers."""
    found = read("drop_in_accuracy.json")
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


def conformance() -> str:
    """scikit-learn's own test files, run with the estimators of this package."""
    rows = [
        [f"`{row['file']}`", _names(row["replaced"]), str(row["tests"]), str(row["used"]), str(row["passed"])]
        for row in read("drop_in_conformance.json")["rows"]
    ]
    return table(["test file", "in place of", "tests", "fit the class", "of these pass"], rows)


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def conformance_failures() -> str:
    """The borrowed tests that fail, by file and reason."""
    rows = []
    for row in read("drop_in_conformance.json")["rows"]:
        reasons: dict[str, list[str]] = {}
        for test, reason in row["failed"].items():
            short = re.sub(r"(<[^<>]*| at 0x).*", "...", reason).replace("|", "/")[:100]
            reasons.setdefault(short, []).append(test.partition("[")[0])
        for reason, tests in reasons.items():
            named = [f"`{test}`" + (f" ({n})" if n > 1 else "") for test, n in Counter(tests).items()]
            more = [f"{len(named) - 4} more"] if len(named) > 4 else []
            rows.append([row["name"], ", ".join(named[:4] + more), str(len(tests)), reason])
    return table(["file", "tests", "failures", "reason"], rows)


def accelerators() -> str:
    """Programs compiled for TPUs and GPUs: memory, kernels, communication, estimated time and what limits it."""
    rows = []
    for row in read("accelerators.json")["rows"]:
        if "error" in row:
            rows.append([row["program"], f"`{row['topology']}`", f"does not fit: {row['error']}", *[""] * 6])
            continue
        sent = sum(one["bytes"] for one in row["collectives"])
        kinds = sorted({one["kind"] for one in row["collectives"]})
        rows.append(
            [
                row["program"],
                f"`{row['topology']}`",
                f"{row['peak'] / 2**20:,.0f} MiB",
                str(row["kernels"]),
                f"{len(row['collectives'])} {'/'.join(kinds)}, {sent / 2**20:.3g} MiB" if kinds else "",
                f"{1e6 * row['step_seconds']:,.3g} us",
                row["bound"],
                f"{1e3 * row['epoch_seconds']:,.3g} ms",
                f"{100 * row['efficiency']:.0f} %" if row["chips"] > 1 else "",
            ]
        )
    head = ["program", "chips", "memory", "kernels", "sent in a step", "step", "limit", "epoch", "computing"]
    return table(head, rows)


SUMMARY = {
    "linear softmax": ("PyTorch", "scikit-learn"),
    "MLP 512": ("PyTorch", "Keras"),
    "digits MLP 128": ("PyTorch", "scikit-learn"),
    "digits, whole call": ("PyTorch", "Keras", "scikit-learn"),
    "1,024 toy nets": ("PyTorch",),
    "process, digits, warm": ("Keras",),
}
"""The speed rows of the short table, by workload and library."""


def speed_summary() -> str:
    """The speed table in short: one row per workload and library, misses and bounds included."""
    every = read("benchmark.json")["rows"]
    bare = {row["work"]: row["peer_s"] for row in every if row["family"] == BARE}
    measured = [row for row in every if row["best_form"] and row["family"] in SUMMARY.get(row["work"], ())]
    rows = [[_work(row), row["family"], *_times(row), _bound(row, bare)] for row in measured]
    return table(["work", "compared with", "jaxnn", "peer", "ratio", "goal", "bound"], rows) + _elsewhere(measured)


def _bound(row: dict[str, Any], bare: dict[str, float]) -> str:
    """The ratio that a loop of nothing but gradient and step reaches, where it was measured."""
    return f"{row['peer_s'] / bare[row['work']]:.1f}x" if row["work"] in bare else ""


def drawings() -> str:
    """Drawn digits that the networks recognize, with all steps of `predict` and without each."""
    rows, seeds = [], []
    for trained_on, file in (("digits", "drawings.json"), ("MNIST", "drawings_mnist.json")):
        found = read(file)
        seeds = found["seeds"]
        for steps, right in found["right"].items():
            rows.append([trained_on, steps, *(f"{100 * fraction:.1f} %" for fraction in right)])
    return table(["trained on", "steps", *(f"drawing seed {seed}" for seed in seeds)], rows)


def api() -> str:
    """Every public name: one row per public module, with its purpose and the line that imports it."""
    rows, exported = [], set[str]()
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if path.name == "__init__.py" else parts)
        if any(part.startswith("_") for part in module.split(".")):
            continue
        names = [name for name in _public(tree) if f"{module}.{name}" not in exported and not name.startswith("_")]
        if path.name == "__init__.py":
            imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
            exported |= {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
        if names:
            purpose = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
            purpose = purpose.split(". ")[0].split(": `")[0].rstrip(".:")
            rows.append([purpose, f"`from {module} import {', '.join(sorted(names))}`"])
    return table(["purpose", "import"], rows)


def _public(tree: ast.Module) -> list[str]:
    """The names in a module's `__all__`."""
    lists = (n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__")
    return next((ast.literal_eval(value) for value in lists), [])


TABLES: dict[str, Callable[[], str]] = {
    "runs": runs,
    "accuracy": accuracy.accuracy,
    "speed-summary": speed_summary,
    "lessons": lessons,
    "drop_in": drop_in,
    "speed": speed,
    "startup": startup,
    "streaming": streaming,
    "accelerators": accelerators,
    "conformance": conformance,
    "conformance-failures": conformance_failures,
    "leaderboard": accuracy.leaderboard,
    "ablation": accuracy.ablation,
    "budget": accuracy.budget,
    "in-time": accuracy.in_time,
    "linear-bounds": accuracy.linear_bounds,
    "digits-splits": accuracy.digits_splits,
    "small": accuracy.small,
    "drawings": drawings,
    "api": api,
}


def readmes() -> list[Path]:
    """The READMEs of the repository and of its rooms."""
    rooms = [path for folder in ("experiments", "jaxnn") for path in sorted((ROOT / folder).rglob("README.md"))]
    return [ROOT / "README.md", *rooms]


def fill(texts: dict[Path, str]) -> dict[Path, str]:
    """The READMEs with every table filled in; ValueError unless each table stands in exactly one of them."""
    filled = dict(texts)
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        holders = [path for path, text in filled.items() if begin in text or end in text]
        if len(holders) != 1 or (filled[holders[0]].count(begin), filled[holders[0]].count(end)) != (1, 1):
            raise ValueError(f"one README must hold {begin.strip()} and {end} once each, with the table between them")
        before, rest = filled[holders[0]].split(begin)
        filled[holders[0]] = before + begin + make() + end + rest.split(end)[1]
    return filled


def _times(row: dict[str, Any]) -> list[str]:
    """The times of jaxnn and of the peer, their ratio and the goal."""
    goal = f"{row['goal']:g}x" if row["goal"] else ""
    return [_seconds(row["ours_s"]), _seconds(row["peer_s"]), f"{row['ratio']:.1f}x", goal]


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def update(options: Options) -> bool:
    """Fill the tables, or with `--check` report the READMEs that differ."""
    before = {path: path.read_text(encoding="utf-8") for path in readmes()}
    after = fill(before)
    changed = [path for path in after if after[path] != before[path]]
    for path in changed:
        if options.check:
            name = path.relative_to(ROOT)
            print(f"{name} differs from the results: run python -m experiments.results", file=sys.stderr)
        else:
            files.write(path, after[path])
    return not (options.check and changed)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, 1 if a table differs with `--check`, 2 if a file cannot be read."""
    return command.run(update, parser.parse(Options, prog="jaxnn results", description=__doc__, args=arguments))


if __name__ == "__main__":
    sys.exit(main())
