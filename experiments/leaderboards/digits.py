"""The digits on 20 random splits: the default network beside scikit-learn's classifiers on the same splits.

    python -m experiments.leaderboards.digits

Each split holds out 20 % of the examples of every class as test examples. Every learner is trained on the rest, and
reads the test examples of a split once. The settings of scikit-learn's classifiers are chosen anew in each split,
inside its training examples: by cross-validation, those of MLPClassifier on one held-out third. Those of the network
are the preset of `experiments.train --dataset digits`, the same for all splits. That preset was chosen on validation
examples of one split, a part of which are test examples of others. All networks are trained at once, as one compiled
program. Eight CPU minutes, six of them for MLPClassifier.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.classifier.config import Config
from experiments.classifier.presets import apply_preset, resolve
from experiments.cli import command, environment, files, parser
from experiments.leaderboards import peers
from experiments.leaderboards.recipes import spread

if TYPE_CHECKING:
    from rich.console import Console

    from jaxnn.data import Dataset

TEST_SHARE, FOLDS = 0.2, 3
GRIDS: dict[str, peers.Grid] = {
    "RBF-SVM": {"C": [3, 10], "gamma": [0.05, 0.1, 0.2, 0.4]},
    "k-NN": peers.DIGITS["k-NN"],
    "MLPClassifier": {"hidden_layer_sizes": [(256,)], "alpha": [1e-4, 1e-1]},
}
"""For pixels from 0 to 1: what the search on one split found best and its neighbours."""
GOAL = 99.4
OURS = "jaxnn"


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the measurement."""

    out: Path = Path(__file__).resolve().parents[1] / "results" / "digits_splits.json"
    """Where the numbers are written."""
    splits: int = 20
    """How many, with the seeds 0, 1, ..."""
    row: tuple[str, ...] = (OURS, *GRIDS)
    """Classifiers to measure; of others the rows that are there are kept."""


def random_splits(dataset: Dataset, count: int) -> Iterator[Dataset]:
    """The examples of all splits, divided again and again into training and test examples, stratified."""
    from sklearn.model_selection import train_test_split

    from jaxnn.data import Split

    every = Split(*(np.concatenate(parts) for parts in zip(dataset.train, dataset.test, strict=True)))
    for seed in range(count):
        rows = np.arange(len(every.labels))
        train, test = train_test_split(rows, test_size=TEST_SHARE, stratify=every.labels, random_state=seed)
        yield dataset._replace(train=every.take(np.sort(train)), test=every.take(np.sort(test)))


def train_all(splits: list[Dataset], config: Config) -> list[float]:
    """Test accuracies of the network, trained on all splits at once; the seed of a split is its number."""
    import jax

    from experiments.classifier.preprocessing import fit_statistics
    from experiments.classifier.task import hyperparameters, task_maker
    from jaxnn import training

    settings = resolve(apply_preset(config)[0], splits[0])
    statistics = [fit_statistics(settings, each.train.inputs) for each in splits]
    task = task_maker(settings, statistics[0], splits[0].train.inputs, len(splits[0].classes))
    each = [
        training.Data(*split.train, of_split, {"test": split.test})
        for split, of_split in zip(splits, statistics, strict=True)
    ]
    data = jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *each)

    train = functools.partial(training.run, epochs=settings.epochs, batch_size=settings.batch_size)

    def run(key: Any, data: Any) -> Any:
        return train(task, hyperparameters(settings), key, data).history["test_accuracy"][-1]

    keys = jax.vmap(jax.random.key)(np.arange(len(splits)))
    return (100 * np.asarray(jax.jit(jax.vmap(run))(keys, data), np.float64)).tolist()


def peer(name: str, splits: list[Dataset]) -> tuple[list[float], list[dict[str, Any]]]:
    """Test accuracies of a classifier of scikit-learn, and the settings that were chosen in each split."""
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    accuracies, settings = [], []
    for seed, split in enumerate(splits):
        train, test = (part.inputs.reshape(len(part.labels), -1) / np.float32(16) for part in (split.train, split.test))
        folds: Any = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        if name == "MLPClassifier":
            folds = StratifiedShuffleSplit(1, test_size=1 / FOLDS, random_state=seed)
        found = peers.choose(name, GRIDS[name], train, split.train.labels, folds)
        accuracies.append(100 * float((found.predict(test) == split.test.labels).mean()))
        settings.append(found.best_params_)
    return accuracies, settings


def measure(options: Options, console: Console) -> dict[str, Any]:
    """Measure the network and the peers; write and print after each, and return the content of the file."""
    from jaxnn.data import load

    if options.splits < 1:
        raise ValueError(f"--splits {options.splits} must be at least 1")
    if unknown := [name for name in options.row if name not in (OURS, *GRIDS)]:
        raise ValueError(f"--row {' '.join(unknown)}: choose from {', '.join((OURS, *GRIDS))}")
    splits = list(random_splits(load("digits", validation_share=0), options.splits))
    rows, found = _stored(options), {}
    for name in options.row:
        started = time.process_time()
        accuracies, settings = (
            (train_all(splits, Config(dataset="digits")), None) if name == OURS else peer(name, splits)
        )
        rows[name] = {
            "name": name,
            "mean": float(np.mean(accuracies)),
            "std": spread(accuracies),
            "accuracies": accuracies,
            "settings": settings,
            "cpu_seconds": time.process_time() - started,
            "environment": environment.environment(),
        }
        for row in rows.values() if OURS in rows else ():  # paired by split
            differences = np.subtract(rows[OURS]["accuracies"], row["accuracies"])
            row |= {"behind": float(differences.mean()), "behind_std": spread(differences)}
        found = {
            "splits": options.splits,
            "test_share": TEST_SHARE,
            "goal": GOAL,
            "rows": [rows[one] for one in (OURS, *GRIDS) if one in rows],
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(options.out, found)
        command.say(console, f"{name}: {rows[name]['mean']:.2f} %, {rows[name]['cpu_seconds']:.0f} CPU seconds")
    return found


def _stored(options: Options) -> dict[str, Any]:
    """The rows of an earlier measurement on the same splits, by name."""
    import json

    if not options.out.exists():
        return {}
    found = json.loads(options.out.read_text())
    return {row["name"]: row for row in found["rows"]} if found["splits"] == options.splits else {}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    options = parser.parse(Options, prog="jaxnn leaderboards.digits", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(measure, options, Console())


if __name__ == "__main__":
    sys.exit(main())
