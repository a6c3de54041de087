"""How good the models of the notes get when they are trained well: several seeds on all training examples.

    python -m experiments.leaderboard
    python -m experiments.leaderboard --row linear-softmax
    python -m experiments.leaderboard --row linear-softmax --ablation
    python -m experiments.leaderboard --row deep-gpu beta-lasso-gpu

Everything in a recipe was chosen on 45,000 training and 5,000 validation examples of the training set; the test set is
read once by each seed, after training on all 50,000. `--ablation` leaves out one part of the recipe after the other, on
the 45,000 and 5,000 examples alone. Finished runs under `runs/leaderboard` are used again, and stopped ones go on.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from experiments import artifacts, command, resume
from experiments.config import Config
from experiments.defaults import RECIPES
from experiments.train import train
from jaxnn.data import load

RESULTS = Path("experiments", "results")


class Row(NamedTuple):
    """One model of the notes, trained well."""

    title: str
    reference: str
    """What is published or well known, in percent."""
    goal: float | None
    """Mean test accuracy to reach, in percent; None for that of the best peer."""
    recipe: Mapping[str, Any]
    """The options of `experiments.train`."""
    parts: Mapping[str, Mapping[str, Any]]
    """What each part of the recipe is replaced by when it is left out."""
    peers: Callable[[int], list[dict[str, Any]]] | None = None
    """From the number of seeds to what others reach, each with a "name" and a "mean"."""
    gpu: bool = False
    """Whether it takes a GPU; its recipe is then one to begin with, which nobody has searched for yet."""


def peers_on_digits(seeds: int) -> list[dict[str, Any]]:
    """What scikit-learn's classifiers reach on the digits, settings chosen by cross-validation on training examples.

    Args:
        seeds: how many networks are trained.

    Returns:
        Of each classifier its name, the mean and the standard deviation of its test accuracies in percent, the
        accuracies, the seconds of the search, and the settings.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    digits = load("digits", validation_share=0)
    train, test = (
        split.inputs.reshape(len(split.labels), -1) / np.float32(16) for split in (digits.train, digits.test)
    )
    grids: dict[str, tuple[Any, dict[str, list[Any]], int]] = {
        "RBF-SVM": (SVC(), {"C": [1, 3, 10, 30], "gamma": [0.02, 0.05, 0.1, 0.2, 0.4]}, 1),
        "MLPClassifier": (
            MLPClassifier(max_iter=300, random_state=0),
            {"hidden_layer_sizes": [(256,), (1024,)], "alpha": [1e-4, 1e-2, 1e-1]},
            seeds,
        ),
    }
    found = []
    for name, (classifier, grid, count) in grids.items():
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            folds = StratifiedKFold(5, shuffle=True, random_state=0)
            search = GridSearchCV(classifier, grid, cv=folds, n_jobs=-1).fit(train, digits.train.labels)
            best = search.best_estimator_
            accuracies = [100 * float(best.score(test, digits.test.labels))]
            for seed in range(1, count):
                best = best.set_params(random_state=seed).fit(train, digits.train.labels)
                accuracies.append(100 * float(best.score(test, digits.test.labels)))
        numbers = {"mean": float(np.mean(accuracies)), "std": _spread(accuracies), "accuracies": accuracies}
        seconds = time.perf_counter() - started
        found.append({"name": name, **numbers, "seconds": seconds, "config": search.best_params_})
    return found


_MIRROR: dict[str, Any] = {"augment": ("flip",), "mirror": True}
_PARTS_OF_MIRROR = {"mirror images in training": {"augment": ()}, "mirror images in evaluation": {"mirror": False}}
_SVM: dict[str, Any] = {"model": "linear", "loss": "svm", "learning_rate": 0.00025, "l2": 0.1}
_WHITENED: dict[str, Any] = {"preprocess": "whiten", "components": 400, "whiten_epsilon": 5000.0}
ROWS = {
    "linear-softmax": Row(
        "linear softmax, raw pixels",
        "40.7 best found in print, courses 38-39",
        42.0,
        {"model": "linear"},
        {"the penalty": {"l2": 0.0}},
    ),
    "linear-softmax-mirror": Row(
        "linear softmax, mirror images", "-", 42.5, {"model": "linear", **_MIRROR}, _PARTS_OF_MIRROR
    ),
    "linear-svm": Row("linear SVM, raw pixels", "courses 39", 40.5, _SVM, {"the penalty": {"l2": 0.0}}),
    "linear-svm-mirror": Row("linear SVM, mirror images", "courses 39", 41.5, {**_SVM, **_MIRROR}, _PARTS_OF_MIRROR),
    "one-hidden": Row(
        "one hidden layer, no augmentation",
        "54.8 best found (ensemble), courses 52",
        58.5,
        {**_WHITENED, "hidden": (3072,), "dropout": 0.6, "learning_rate": 0.04, "l2": 0.001, "epochs": 40},
        {
            "whitening": {
                **{"preprocess": "standardize", "components": None, "whiten_epsilon": None},
                **{"learning_rate": 0.01, "l2": 0.002},
            },
            "damping of the whitening": {"whiten_epsilon": None},
            "dropout": {"dropout": 0.0},
            "the penalty": {"l2": 0.0},
        },
    ),
    "one-hidden-augmented": Row(
        "one hidden layer, flips and crops",
        "57 found",
        65.0,
        {**RECIPES["cifar10"], "epochs": 100},
        {
            "crops": {"augment": ("flip",)},
            "mirror images in evaluation": {"mirror": False},
            "dropout": {"dropout": 0.0},
        },
    ),
    "digits": Row(
        "digits, one hidden layer",
        "scikit-learn on the same split",
        None,
        {"dataset": "digits", "hidden": (1024,), "dropout": 0.5, "input_dropout": 0.2, "epochs": 200},
        {"dropout": {"dropout": 0.0}, "dropout of the inputs": {"input_dropout": 0.0}},
        peers_on_digits,
    ),
    "deep-gpu": Row(
        "deep, all augmentation, on a GPU",
        "78.6 with pre-training and deformations",
        78.7,
        {
            **_WHITENED,
            **{"components": 1000, "hidden": (4096, 4096, 4096), "normalize": True, "dropout": 0.2, "l2": 1e-4},
            **{"augment": ("flip", "crop", "cutout", "mixup"), "mirror": True, "average": 0.999},
            **{"learning_rate": 0.1, "batch_size": 512, "epochs": 300, "precision": "bfloat16"},
        },
        {"mixup": {"augment": ("flip", "crop", "cutout")}, "averaged weights": {"average": 0.0}},
        gpu=True,
    ),
    "beta-lasso-gpu": Row(
        "wide, beta-LASSO, on a GPU",
        "85.2 after 4,000 epochs",
        85.2,
        {
            **{"preprocess": "standardize-channel", "hidden": (16384, 3072), "dropout": 0.0, "l2": 0.0},
            **{"augment": ("flip", "crop", "cutout"), "mirror": True, "beta_lasso": 1e-6},
            **{"learning_rate": 0.1, "batch_size": 512, "epochs": 1000, "precision": "bfloat16"},
        },
        {"beta-LASSO": {"beta_lasso": 0.0}},
        gpu=True,
    ),
}
ON_A_CPU = tuple(name for name, row in ROWS.items() if not row.gpu)


@dataclasses.dataclass(frozen=True)
class Options:
    """Which models to train, and how often."""

    row: tuple[str, ...] = ON_A_CPU
    """Which rows; by default all that need no GPU."""
    seeds: int = 5
    """Runs of each recipe."""
    ablation: bool = False
    """Leave out one part of each recipe after the other and measure on validation examples; never the test set."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""
    runs: Path = Path("runs", "leaderboard")
    """The folder of the runs."""
    out: Path | None = None
    """The file for the results; leaderboard.json or ablation.json in experiments/results by default."""
    quick: bool = False
    """A trial: few epochs, few examples; the results go to runs/leaderboard."""


def run(options: Options, console: Console) -> dict[str, Any]:
    """Train and write.

    Args:
        options: see `Options`.
        console: where progress and the closing table go.

    Returns:
        What was written: `{"rows": [...]}`.

    Raises:
        ValueError: an option is wrong, or a folder holds another run.
        OSError, ImportError: as `experiments.train`.
    """
    if unknown := [name for name in options.row if name not in ROWS]:
        raise ValueError(f"--row {' '.join(unknown)}: choose from {', '.join(ROWS)}")
    if (large := [name for name in options.row if ROWS[name].gpu]) and not options.quick and not _has_gpu():
        raise ValueError(f"--row {' '.join(large)} needs a GPU, and JAX finds none here: try it with --quick")
    if options.seeds < 1:
        raise ValueError(f"--seeds {options.seeds} must be at least 1")
    kind = "ablation" if options.ablation else "leaderboard"
    out = options.out or (options.runs if options.quick else RESULTS) / f"{kind}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.row:
        for row in _ablated(name, options, console) if options.ablation else _trained(name, options, console):
            write(out, row)
    found = json.loads(out.read_text())
    console.print(_table(found["rows"], options))
    return found


def write(out: Path, row: Mapping[str, Any]) -> None:
    """Put a row into the file of the results, in place of an earlier one of the same name.

    Args:
        out: the file.
        row: with "row" and "part" to tell it from the others.

    Raises:
        OSError, ValueError: the file cannot be read or written.
    """
    rows = json.loads(out.read_text())["rows"] if out.exists() else []
    rows = [other for other in rows if (other["row"], other["part"]) != (row["row"], row["part"])] + [dict(row)]
    order = list(ROWS)
    artifacts.write_json(out, {"rows": sorted(rows, key=lambda row: order.index(row["row"]))})


def _trained(name: str, options: Options, console: Console) -> Iterator[dict[str, Any]]:
    """The row of the leaderboard: trained on all training examples, the test set read once by each seed."""
    row = ROWS[name]
    runs = [_run_of(name, "all", row.recipe, seed, 0.0, options, console) for seed in range(options.seeds)]
    accuracies = [100 * run["test_accuracy"] for run in runs]
    peers = row.peers(options.seeds) if row.peers and not options.quick else []
    goal = row.goal or max((peer["mean"] for peer in peers), default=None)
    yield _told(name, "", accuracies, runs, row.recipe) | {"reference": row.reference, "goal": goal, "peers": peers}


def _ablated(name: str, options: Options, console: Console) -> Iterator[dict[str, Any]]:
    """The recipe and the recipe without each of its parts, measured on validation examples."""
    row, whole = ROWS[name], np.empty(0)
    for part, instead in {"": {}, **row.parts}.items():
        recipe = {**row.recipe, **instead}
        folder = part.replace(" ", "-") or "whole"
        runs = [_run_of(name, folder, recipe, seed, 0.1, options, console) for seed in range(options.seeds)]
        accuracies = [100 * run["validation_accuracy"] for run in runs]
        told = _told(name, part, accuracies, runs, recipe)
        if not part:
            whole = np.array(accuracies)
            yield told
        else:  # seed by seed, since each seed has validation examples of its own
            brings = whole - accuracies
            yield told | {"brings": float(brings.mean()), "brings_std": _spread(brings)}


def _run_of(
    name: str,
    part: str,
    recipe: Mapping[str, Any],
    seed: int,
    validation_share: float,
    options: Options,
    console: Console,
) -> dict[str, Any]:
    """The summary of one run; one that was finished earlier is read, one that was stopped goes on."""
    out = options.runs / name / part / str(seed)
    given = {"dataset": "cifar10", "data_dir": options.data_dir, "quick": options.quick, **recipe}
    config = Config(**given, validation_share=validation_share, seed=seed, out=out)
    stored = None
    if (out / "config.json").exists():
        stored = resume.find(out, lambda message: console.print(f"warning: {message}", soft_wrap=True))
        there = {name: stored.settings.get(name) for name in recipe}
        if changed := resume.differences(there, json.loads(artifacts.as_json(dict(recipe)))):
            raise ValueError(f"{out} holds a run of another recipe ({changed}): remove it")
    console.print(f"[bold]{name}[/bold] {part}, seed {seed}", highlight=False)
    return train(config, console, stored)


def _told(
    name: str, part: str, accuracies: list[float], runs: list[dict[str, Any]], recipe: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "row": name,
        "part": part,
        "title": ROWS[name].title,
        "mean": float(np.mean(accuracies)),
        "std": _spread(accuracies),
        "accuracies": accuracies,
        "seeds": [run["seed"] for run in runs],
        "seconds": float(np.mean([run["seconds_total"] for run in runs])),
        "seconds_compile": float(np.mean([run["seconds_compile"] for run in runs])),
        "config": dict(recipe),
        "environment": artifacts.environment(),
    }


def _has_gpu() -> bool:
    return jax.default_backend() == "gpu"


def _spread(values: Sequence[float] | np.ndarray) -> float | None:
    """The standard deviation; None of one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _table(rows: list[dict[str, Any]], options: Options) -> Table:
    measured = "validation" if options.ablation else "test"
    columns = ("model", *(("without", "it brings") if options.ablation else ()), "accuracy", "seeds", "seconds a run")
    table = Table(*columns, title=f"{measured} accuracy, %")
    for row in rows:
        part = (row["part"], with_spread(row, "brings") if row["part"] else "") if options.ablation else ()
        goal = f" (goal {row['goal']:.4g})" if row.get("goal") else ""
        table.add_row(row["title"], *part, with_spread(row) + goal, str(len(row["seeds"])), f"{row['seconds']:.0f}")
    return table


def with_spread(row: Mapping[str, Any], name: str = "mean") -> str:
    """A mean of a row with the standard deviation over the seeds.

    Args:
        row: of the results.
        name: "mean", the accuracy; or "brings", what a part adds to it.

    Returns:
        Such as "41.64 ± 0.03".
    """
    sign, spread = ("", row["std"]) if name == "mean" else ("+", row["brings_std"])
    return f"{row[name]:{sign}.2f}" + ("" if spread is None else f" ± {spread:.2f}")


def main(arguments: list[str] | None = None) -> int:
    """The command: exit status 0, 1 when a training diverged, 2 when something that was given is wrong, 130 or 143
    when it was stopped by Control-C or SIGTERM; started again it goes on.
    """
    options = tyro.cli(Options, prog="python -m experiments.leaderboard", description=__doc__, args=arguments)
    artifacts.keep_compiled()
    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
