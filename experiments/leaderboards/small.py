"""CIFAR-10 with few training images: two networks beside scikit-learn's classifiers on the same images.

    python -m experiments.leaderboards.small

For each size and seed so many training images are drawn, equally many of each class. The settings of scikit-learn's
classifiers are chosen with the images of seed 0, by accuracy on 2,000 validation images that no classifier trains on;
the networks have the same settings at every size, but for the epochs, and these were not searched. Then each
classifier is trained on the images of every seed and reads the test images once. All learn from mirror images too; the
networks also crop. About 36 CPU minutes.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.classifier.config import Config
from experiments.cli import command, environment, files, parser
from experiments.leaderboards.recipes import spread

if TYPE_CHECKING:
    from rich.console import Console

    from jaxnn.data import Dataset

Setting = dict[str, Any]
Predict = Callable[[np.ndarray], np.ndarray]
VALIDATION = 2000
SIZES = (100, 1000, 5000)
EPOCHS = {"MLP": {100: 100, 1000: 40, 5000: 20}, "cnn": {100: 60, 1000: 20, 5000: 8}}
"""Of the networks, by number of images (10 for any other number)."""
_MLP: Setting = {"preprocess": "whiten", "whiten_epsilon": 5000.0, "hidden": (1024, 256), "normalize": True}
_MLP |= {"learning_rate": 0.04, "l2": 0.002, "dropout": 0.3, "augment": ("flip", "crop")}
SETTINGS: dict[str, list[Setting]] = {
    "MLP": [_MLP],
    "cnn": [{"model": "cnn", "schedule": "one-cycle", "augment": ("flip", "crop")}],
    "RBF-SVM": [{"C": c, "gamma": gamma} for c in (1.0, 3.0, 10.0) for gamma in (0.003, 0.006, 0.012)],
    "random forest": [{"n_estimators": 200}],
    "k-NN": [{"n_neighbors": k, "metric": metric} for k in (1, 5, 10, 20) for metric in ("euclidean", "cosine")],
}
"""What each classifier is chosen from; pixels from 0 to 1 for scikit-learn's."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the measurement."""

    out: Path = Path(__file__).resolve().parents[1] / "results" / "small.json"
    """Where the numbers are written."""
    sizes: tuple[int, ...] = SIZES
    """Numbers of training images."""
    seeds: int = 3
    """Draws of the images, each with initial weights of its own."""
    row: tuple[str, ...] = tuple(SETTINGS)
    """Classifiers to measure; of others the rows that are there are kept."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""


def draw(dataset: Dataset, size: int, seed: int) -> Dataset:
    """The data set with so many of its training examples, equally many of each class."""
    from sklearn.model_selection import train_test_split

    rows, labels = np.arange(len(dataset.train.labels)), dataset.train.labels
    drawn, _ = train_test_split(rows, train_size=size, stratify=labels, random_state=seed)
    return dataset._replace(train=dataset.train.take(np.asarray(drawn)))


def trained(name: str, setting: Setting, dataset: Dataset, seed: int) -> Predict:
    """Predictions of a classifier that was trained on the training images of the data set."""
    return (_network if name in EPOCHS else _peer)(name, setting, dataset, seed)


def _network(name: str, setting: Setting, dataset: Dataset, seed: int) -> Predict:
    import jax

    from experiments.classifier.preprocessing import fit_statistics
    from experiments.classifier.presets import resolve
    from experiments.classifier.task import hyperparameters, task_maker
    from jaxnn import training

    train = dataset.train
    size = len(train.labels)
    if setting.get("preprocess") == "whiten":
        setting = setting | {"components": min(400, size // 2)}
    config = Config(dataset="cifar10", mirror=True, epochs=EPOCHS[name].get(size, 10), **setting)
    settings = resolve(config, dataset)
    statistics = fit_statistics(settings, train.inputs)
    task, hparams = task_maker(settings, statistics, train.inputs, len(dataset.classes)), hyperparameters(settings)
    data = training.Data(*train, statistics)
    key, epochs, batch_size = jax.random.key(seed), settings.epochs, settings.batch_size
    state = training.fit(task, hparams, key, data, epochs=epochs, batch_size=batch_size)[0].state

    def predict(images: np.ndarray) -> np.ndarray:
        examples = images, np.zeros(len(images), np.int32)
        params = training.eval_params(state)
        return training.evaluate(task, hparams, statistics, params, state.model_state, examples).predictions

    return predict


def _peer(name: str, setting: Setting, dataset: Dataset, seed: int) -> Predict:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics.pairwise import rbf_kernel
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    images, labels = dataset.train
    train, labels = _pixels(np.concatenate([images, images[:, :, ::-1]])), np.concatenate([labels, labels])
    if name == "RBF-SVM":  # the kernel as one product of matrices
        gamma = setting["gamma"]
        machine = SVC(C=setting["C"], kernel="precomputed").fit(rbf_kernel(train, gamma=gamma), labels)
        return lambda images: machine.predict(rbf_kernel(_pixels(images), train, gamma=gamma))
    if name == "k-NN":
        model: Any = KNeighborsClassifier(weights="distance", algorithm="brute", **setting)
    else:
        model = RandomForestClassifier(random_state=seed, **setting)
    model.fit(train, labels)
    return lambda images: model.predict(_pixels(images))


def _pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / np.float32(255)


def compare(name: str, drawn: list[Dataset]) -> dict[str, Any]:
    """Choose the setting of a classifier with the first of the drawn data sets, and test it with all of them."""
    first = drawn[0]
    tried = [trained(name, setting, first, 0) for setting in SETTINGS[name]]
    validation = [_accuracy(predict, first.validation) for predict in tried]
    best = int(np.argmax(validation))
    setting = SETTINGS[name][best]
    every = [tried[best], *(trained(name, setting, drawn[seed], seed) for seed in range(1, len(drawn)))]
    accuracies = [_accuracy(predict, first.test) for predict in every]
    row = {"size": len(first.train.labels), "name": name, "mean": float(np.mean(accuracies))}
    return row | {"std": spread(accuracies), "accuracies": accuracies, "setting": setting, "validation": validation}


def _accuracy(predict: Predict, split: Any) -> float:
    return 100 * float((predict(split.inputs) == split.labels).mean())


def measure(options: Options, console: Console) -> dict[str, Any]:
    """Measure all classifiers, size by size; write and print after each, and return the content of the file."""
    from jaxnn.data import load

    if unknown := [name for name in options.row if name not in SETTINGS]:
        raise ValueError(f"--row {' '.join(unknown)}: choose from {', '.join(SETTINGS)}")
    if options.seeds < 1:
        raise ValueError(f"--seeds {options.seeds} must be at least 1")
    if wrong := [size for size in options.sizes if not 20 <= size <= 20000]:
        raise ValueError(f"--sizes {' '.join(map(str, wrong))}: give numbers from 20 to 20000")
    whole = load("cifar10", data_dir=options.data_dir)
    whole = whole._replace(validation=whole.validation.take(slice(VALIDATION)))
    rows, found = _stored(options), {}
    for size in options.sizes:
        drawn = [draw(whole, size, seed) for seed in range(options.seeds)]
        for name in options.row:
            started = time.process_time()
            row = compare(name, drawn)
            if name in EPOCHS:
                row["epochs"] = EPOCHS[name].get(size, 10)
            row |= {"cpu_seconds": time.process_time() - started, "environment": environment.environment()}
            rows[size, name] = row
            order = sorted(rows, key=lambda at: (at[0], list(SETTINGS).index(at[1])))
            found = {"seeds": options.seeds, "validation_images": VALIDATION, "rows": [rows[at] for at in order]}
            options.out.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(options.out, found)
            command.say(console, f"{size} images, {name}: {row['mean']:.2f} %, {row['cpu_seconds']:.0f} CPU seconds")
    return found


def _stored(options: Options) -> dict[tuple[int, str], dict[str, Any]]:
    """The rows of an earlier measurement with as many seeds, by size and name."""
    if not options.out.exists():
        return {}
    found = json.loads(options.out.read_text())
    return {(row["size"], row["name"]): row for row in found["rows"]} if found["seeds"] == options.seeds else {}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    options = parser.parse(Options, prog="jaxnn leaderboards.small", description=__doc__, args=arguments)
    from rich.console import Console

    from jaxnn import training

    training.enable_compilation_cache()
    return command.run(measure, options, Console())


if __name__ == "__main__":
    sys.exit(main())
