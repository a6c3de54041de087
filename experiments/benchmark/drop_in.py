"""Compare the estimators of jaxnn.interop.sklearn with scikit-learn's own at equal settings.

    python -m experiments.benchmark.drop_in accuracy
    python -m experiments.benchmark.drop_in conformance
    python -m experiments.benchmark.drop_in search

`accuracy`: test accuracies on digits, breast cancer, wine and iris, 20 splits each; expect means within a point of each
other, in some minutes on 2 CPU cores. `conformance`: scikit-learn's own installed test files with these estimators in
place of its own; needs pytest; prints what passes and why the rest does not; expect 50 tests of the networks and 118 of
the search to pass. `search`: a grid search over 36 settings of a network on digits, five folds,
compilation included; expect at least 10 times the speed of GridSearchCV over scikit-learn's MLPClassifier, in some
minutes. Each writes a file under experiments/results/; the exit status is 1 if the expectation does not hold.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.benchmark.process import run_alone
from experiments.cli import command, environment, files, parser

if TYPE_CHECKING:
    from rich.console import Console

DATASETS = {"digits": "load_digits", "breast cancer": "load_breast_cancer", "wine": "load_wine", "iris": "load_iris"}
"""By name, the function of `sklearn.datasets`."""
C, ALPHA, EPOCHS = 1.0, 1e-4, 200
POINTS, TIMES = 1.0, 10.0
RATES, PENALTIES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1), (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4)
HIDDEN, SMALL_BATCH = 32, 32


@dataclasses.dataclass(frozen=True)
class Config:
    """What to compare, and where to write it."""

    part: Literal["accuracy", "conformance", "search"] = dataclasses.field(metadata={"positional": True})
    """Test accuracies, scikit-learn's own tests, or the seconds of a grid search."""
    seeds: int = 20
    """Of accuracy: splits of each dataset, each with its own initial weights."""
    every: int = 1
    """Of search: scikit-learn tries every n-th setting only, and its seconds are multiplied by n."""
    only: tuple[str, ...] = ()
    """Of conformance: run these files, such as test_mlp, and keep the rows of the others."""
    out: Path | None = None
    """The result file; experiments/results/drop_in_PART.json by default."""
    quick: bool = False
    """A trial: 2 splits, or 4 epochs."""


RAW = ("breast cancer", "wine", "iris")
"""Datasets that are also compared as they are, the linear classifiers only: networks need scaled inputs."""
EXPECTED = {"test_mlp": 50, "test_search": 118}
"""Of the borrowed test files, how many tests are to pass."""


def pairs(seed: int) -> dict[str, tuple[Any, Any]]:
    """By name, a classifier of jaxnn and the one of scikit-learn with the same objective."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier as TheirMLP
    from sklearn.svm import LinearSVC

    from jaxnn.interop.sklearn import LinearClassifier, MLPClassifier

    network: dict[str, Any] = {
        "hidden_layer_sizes": (100,),
        "learning_rate_init": 1e-3,
        "max_iter": EPOCHS,
        "random_state": seed,
    }
    network |= {"alpha": ALPHA, "tol": 0.0, "n_iter_no_change": EPOCHS}
    return {
        "softmax": (LinearClassifier(C=C), LogisticRegression(C=C, max_iter=10_000)),
        "svm": (
            LinearClassifier("svm", C=C),
            LinearSVC(C=C, loss="hinge", multi_class="crammer_singer", max_iter=10_000),
        ),
        "mlp": (MLPClassifier(**network), TheirMLP(**network)),
    }


def _compare_accuracy(config: Config, console: Console) -> dict[str, Any]:
    """Compare the test accuracies: a row for each dataset and classifier."""
    from rich.table import Table
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    rows = []
    for name, scaled in [(name, scaled) for name in DATASETS for scaled in (True, False) if scaled or name in RAW]:
        found: dict[str, list[tuple[float, float]]] = {}
        inputs, labels = getattr(datasets, DATASETS[name])(return_X_y=True)
        for seed in range(2 if config.quick else config.seeds):
            x, x_test, y, y_test = train_test_split(inputs, labels, test_size=0.25, stratify=labels, random_state=seed)
            if scaled:
                scaler = StandardScaler().fit(x)
                x, x_test = scaler.transform(x), scaler.transform(x_test)
            for pair, both in pairs(seed).items():
                if pair == "mlp" and not scaled:
                    continue
                found.setdefault(pair, []).append(tuple(model.fit(x, y).score(x_test, y_test) for model in both))
        for pair, scores in found.items():
            ours, theirs = 100 * np.array(scores).T
            row = {"dataset": name if scaled else f"{name}, raw", "classifier": pair}
            row |= {"ours": ours.mean(), "theirs": theirs.mean(), "ours_std": ours.std(), "theirs_std": theirs.std()}
            row |= {"difference": (ours - theirs).mean(), "held": bool(abs((ours - theirs).mean()) <= POINTS)}
            row["scikit_learn"] = type(pairs(0)[pair][1]).__name__
            rows.append(row)
            console.print(f"{row['dataset']}, {pair}: {ours.mean():.2f} % and {theirs.mean():.2f} %", highlight=False)
    table = Table("dataset", "classifier", "ours", "scikit-learn", "difference", "held")
    for row in rows:
        numbers = [f"{row['ours']:.2f} %", f"{row['theirs']:.2f} %", f"{row['difference']:+.2f}"]
        table.add_row(row["dataset"], row["classifier"], *numbers, "yes" if row["held"] else "no")
    console.print(table)
    return {"rows": rows, "seeds": config.seeds, "points": POINTS, "held": all(row["held"] for row in rows)}


def _compare_search(config: Config, console: Console) -> dict[str, Any]:
    """Compare the seconds of a grid search and the scores it finds."""
    from rich.table import Table
    from sklearn import datasets
    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier as TheirMLP

    from jaxnn.interop.sklearn import MLPClassifier, VmapSearchCV

    inputs, labels = datasets.load_digits(return_X_y=True)
    inputs = inputs / 16
    epochs = 4 if config.quick else EPOCHS
    network: dict[str, Any] = {"hidden_layer_sizes": (HIDDEN,), "solver": "sgd", "batch_size": SMALL_BATCH}
    network |= {"max_iter": epochs, "tol": 0.0, "n_iter_no_change": epochs, "random_state": 0}
    grid = {"learning_rate_init": list(RATES), "l2": list(PENALTIES)}

    def ours() -> GridSearchCV:
        return VmapSearchCV(MLPClassifier(**network), grid, refit=False).fit(inputs, labels)

    seconds_ours, found = _timed(ours)
    # scikit-learn divides its penalty by twice the batch size
    theirs = TheirMLP(**network)
    settings = [(rate, 2 * SMALL_BATCH * l2) for rate in RATES for l2 in PENALTIES]
    part = [{"learning_rate_init": [rate], "alpha": [alpha]} for rate, alpha in settings[:: config.every]]
    row: dict[str, Any] = {"settings": len(settings), "folds": 5, "epochs": epochs, "of_theirs": len(part)}
    seconds, search = _timed(lambda: GridSearchCV(theirs, part, refit=False).fit(inputs, labels))
    row |= {"ours": seconds_ours, "theirs": seconds * len(settings) / len(part)}
    row["scores_theirs"] = search.cv_results_["mean_test_score"]
    table = found.cv_results_
    scores = {
        (setting["learning_rate_init"], setting["l2"]): score
        for setting, score in zip(table["params"], table["mean_test_score"], strict=True)
    }
    row["scores_ours"] = [scores[rate, l2] for rate in RATES for l2 in PENALTIES][:: config.every]
    row["difference"] = 100 * float(np.mean(np.subtract(row["scores_ours"], row["scores_theirs"])))
    row["ratio"] = row["theirs"] / row["ours"]
    row["held"] = bool(row["ratio"] >= TIMES)
    shown = Table("search", "seconds")
    shown.add_row("VmapSearchCV, compilation included", f"{row['ours']:.1f}")
    shown.add_row("GridSearchCV, one process", f"{row['theirs']:.1f}")
    shown.add_row("times as fast", f"{row['ratio']:.1f}")
    shown.add_row("mean score, ours minus theirs", f"{row['difference']:+.2f} points")
    console.print(shown)
    return row


def _run_their_tests(config: Config, console: Console) -> dict[str, Any]:
    """Run the borrowed test files, each in a process of its own."""
    import sklearn
    from rich.table import Table

    from experiments.benchmark import conformance  # needs pytest

    if unknown := set(config.only) - set(conformance.FILES):
        raise ValueError(f"--only {' '.join(sorted(unknown))}: choose from {', '.join(conformance.FILES)}")
    rows = json.loads(_out(config).read_text())["rows"] if config.only and _out(config).exists() else []
    for name in config.only or conformance.FILES:
        borrowed = conformance.FILES[name]
        outcomes = run_alone(conformance.run, name)
        used = {test: each for test, each in outcomes.items() if each["fitted"] or each["outcome"] == "failed"}
        failed = {test: each["reason"] for test, each in used.items() if each["outcome"] == "failed"}
        row: dict[str, Any] = {"name": name, "file": borrowed.file, "replaced": list(borrowed.replaced)}
        row |= {"tests": len(outcomes), "used": len(used), "failed": failed}
        row |= {"passed": sum(each["outcome"] == "passed" for each in used.values())}
        row["held"] = sum(each["outcome"] == "passed" for each in outcomes.values()) >= EXPECTED.get(name, 0)
        rows = [*(other for other in rows if other["name"] != name), row]
        for test, reason in failed.items():
            console.print(f"{test}: {reason}", highlight=False, markup=False)
    rows.sort(key=lambda row: list(conformance.FILES).index(row["name"]))
    table = Table("scikit-learn's test file", "tests", "fit a class of ours", "passed", "failed")
    for row in rows:
        numbers = [str(row[name]) for name in ("tests", "used", "passed")]
        table.add_row(row["file"], *numbers, str(len(row["failed"])))
    console.print(table)
    return {"rows": rows, "scikit_learn": sklearn.__version__, "held": all(row["held"] for row in rows)}


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    clock = time.perf_counter()
    found = function()
    return time.perf_counter() - clock, found


def _out(config: Config) -> Path:
    return config.out or Path(__file__).resolve().parents[1] / "results" / f"drop_in_{config.part}.json"


def compare(config: Config, console: Console) -> bool:
    """Make one comparison and write its file; returns whether the expectation holds."""
    from sklearn.exceptions import ConvergenceWarning

    for name, value in (("seeds", config.seeds), ("every", config.every)):
        if value < 1:
            raise ValueError(f"--{name} must be at least 1; got {value}")
    out = _out(config)
    if not out.parent.is_dir():
        raise ValueError(f"--out {out}: there is no folder {out.parent}; make it first")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is given
        warnings.simplefilter("ignore", FutureWarning)
        parts = {"accuracy": _compare_accuracy, "conformance": _run_their_tests, "search": _compare_search}
        found = parts[config.part](config, console)
    files.write_json(out, found | environment.environment())
    console.print(str(out), highlight=False)
    return found["held"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, 1 if the expectation does not hold, 2 for a wrong option."""
    config = parser.parse(Config, prog="jaxnn benchmark.drop_in", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(compare, config, Console())


if __name__ == "__main__":
    sys.exit(main())
