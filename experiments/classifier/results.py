"""The results of a run: the classifier and its evaluation, written first; then figures, each on its own; a table."""

from __future__ import annotations

import dataclasses
import datetime
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from experiments.classifier import data, monitoring
from experiments.classifier.job import Job
from experiments.cli import environment, files
from experiments.cli.command import Warn
from jaxnn import training
from jaxnn.data import Dataset, Split, preprocess

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


class Classifier(NamedTuple):
    """A trained classifier: statistics of the preprocessing, parameters, and the model's state if it has one."""

    statistics: Any
    params: Any
    model_state: Any = None


class Found(NamedTuple):
    """A trained and evaluated classifier."""

    classifier: Classifier
    history: dict[str, np.ndarray]
    seconds: list[float]
    """Of each epoch."""
    evaluation: training.Evaluation
    """Of the examples in `data.held_out`: the test set, or for a choice the validation set."""
    summary: dict[str, Any]


def new_folder(job: Job) -> Path:
    """The folder for the results, created before training so that an unwritable one is known early."""
    name = f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}-{job.dataset.name}-{job.settings.model}"
    out = job.settings.out or Path("runs", name)
    if out.exists() and (not out.is_dir() or any(path.suffix != ".tmp" for path in out.iterdir())):
        raise ValueError(f"--out {out} exists and is not an empty folder: choose another or remove it")
    out.mkdir(parents=True, exist_ok=True)
    files.remove_unfinished(out)
    return out


def write_config(folder: Path, job: Job) -> None:
    """Write the settings, the class names and the shape of an example."""
    about = {"classes": job.dataset.classes, "input_shape": job.dataset.train.inputs.shape[1:]}
    files.write_sealed(folder / "config.json", dataclasses.asdict(job.settings) | about)


def evaluate(job: Job, run: training.Run, timing: training.Timing) -> Found:
    """Take the classifier out of a run and evaluate it on the training examples and those held out."""
    dataset, settings = job.dataset, job.settings
    seconds = job.start.seconds + timing.epochs
    history = {name: np.asarray(values) for name, values in run.history.items()}
    reached = run.best or run.state._replace(params=training.eval_params(run.state))
    classifier = Classifier(job.start.statistics, reached.params, reached.model_state)
    splits = data.held_out(dataset, settings.choosing), data.evaluated_training_examples(dataset)
    if data.is_streamed(dataset):
        evaluation, trained = (
            training.evaluate(job.make_task, job.hparams, *classifier, data.examples_of(split, settings))
            for split in splits
        )
    else:  # together, by one program
        together = Split(*map(np.concatenate, zip(*splits, strict=True)))
        both, count = training.evaluate(job.make_task, job.hparams, *classifier, together), len(splits[0].labels)
        evaluation, trained = (
            training.Evaluation(*(a[part] for a in both)) for part in (slice(count), slice(count, None))
        )
    summary: dict[str, Any] = {"dataset": dataset.name, "model": settings.model}
    if not settings.choosing:
        summary["test_accuracy"] = float(evaluation.right.mean())
        summary["test_loss"] = float(evaluation.losses.mean(dtype=np.float64))
    summary |= {
        "train_accuracy": float(trained.right.mean()),
        "train_loss": float(trained.losses.mean(dtype=np.float64)),
        "epochs": len(seconds),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(classifier.params)),
        "examples_per_second": job.examples_per_epoch * len(seconds) / sum(seconds),
        "seconds_compile": timing.compile,
        "seconds_per_epoch": seconds,
        "seed": settings.seed,
    }
    if len(dataset.validation.labels):
        summary["validation_accuracy"] = float(history["validation_accuracy"][int(run.best.epoch) if run.best else -1])
    if run.best:
        summary["best_epoch"] = int(run.best.epoch) + 1
    return Found(classifier, history, seconds, evaluation, summary)


def write(folder: Path, job: Job, found: Found, started: float) -> None:
    """Write all but the figures; adds the time since `started` and the peak memory to the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, job)
    files.write_arrays(folder / "classifier.npz", found.classifier)
    monitoring.write_history(folder / "history.csv", found.history, found.seconds)
    found.summary["seconds_total"] = time.perf_counter() - started
    found.summary["peak_memory_mib"] = environment.peak_memory_mib()
    files.write_json(folder / "summary.json", found.summary | environment.environment())


def draw(folder: Path, job: Job, found: Found, warn: Warn) -> None:
    """Draw every figure; one that cannot be drawn or written becomes a warning that names it."""
    from jaxnn import plots

    for name, make in figures(job.dataset, found, data.held_out(job.dataset, job.settings.choosing)).items():
        try:
            plots.save(make(), folder / name, svg=job.settings.svg)
        except Exception as error:
            warn(f"the figure {name} was not drawn ({error}); the classifier and the summary are complete")


def figures(dataset: Dataset, found: Found, held_out: Split) -> dict[str, Callable[[], Figure]]:
    """By file name, the functions that draw the figures of a run, evaluated on `held_out`."""
    from jaxnn import plots

    labels, (_, predictions, confidences, _) = held_out.labels, found.evaluation

    def confusion() -> Figure:
        classes = len(dataset.classes)
        counts = np.bincount(labels.astype(np.int64) * classes + predictions, minlength=classes**2)
        return plots.confusion(counts.reshape(classes, classes), dataset.classes)

    def mistakes() -> Figure:
        wrong = np.flatnonzero(predictions != labels)
        wrong = wrong[np.argsort(-confidences[wrong])][:25]
        images = np.asarray(held_out.inputs[wrong])
        return plots.mistakes(images, labels[wrong], predictions[wrong], confidences[wrong], dataset.classes)

    makers = {
        "learning_curves": lambda: plots.learning_curves(found.history, found.summary.get("best_epoch")),
        "confusion": confusion,
    }
    if dataset.train.inputs.ndim == 4:
        makers["templates"] = lambda: plots.templates(*_templates(dataset, found.classifier))
        makers["mistakes"] = mistakes
    return makers


def _templates(dataset: Dataset, classifier: Classifier) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """The first layer's weights as images, and the class names if there is one image per class."""
    if isinstance(classifier.params, dict):  # convolutional: the first layer sees squares of pixels as channels
        kernel = np.asarray(classifier.params["Block_0"]["Conv_0"]["kernel"])
        side = math.isqrt(kernel.shape[2] // dataset.train.inputs.shape[-1])
        pixels = kernel.reshape(*kernel.shape[:2], side, side, -1, kernel.shape[3]).transpose(5, 0, 2, 1, 3, 4)
        return pixels.reshape(kernel.shape[3], kernel.shape[0] * side, kernel.shape[1] * side, -1), None
    weights = np.asarray(classifier.params[0]["w"])
    if isinstance(classifier.statistics, preprocess.PCAStatistics):
        weights = weights @ np.asarray(classifier.statistics.components)
    names = dataset.classes if len(classifier.params) == 1 else None
    return weights.reshape(-1, *dataset.train.inputs.shape[1:]), names


def table(summary: dict[str, Any], out: Path) -> Table:
    """The summary of a run as a table."""
    from rich.table import Table

    table = Table(title=f"{summary['dataset']}, {summary['model']}, seed {summary['seed']}", show_header=False)
    if "test_accuracy" in summary:
        table.add_row("test accuracy", f"{summary['test_accuracy']:.2%}")
        table.add_row("test loss", f"{summary['test_loss']:.4f}")
    table.add_row("train accuracy", f"{summary['train_accuracy']:.2%}")
    if "validation_accuracy" in summary:
        table.add_row("validation accuracy", f"{summary['validation_accuracy']:.2%}")
    if "best_epoch" in summary:
        table.add_row("best epoch", f"{summary['best_epoch']} of {summary['epochs']}")
    table.add_row("parameters", f"{summary['parameters']:,}")
    table.add_row("compile time", f"{summary['seconds_compile']:.2f} s")
    table.add_row("training time", f"{sum(summary['seconds_per_epoch']):.2f} s for {summary['epochs']} epochs")
    table.add_row("speed", f"{summary['examples_per_second']:,.0f} examples/s")
    table.add_row("peak memory", f"{summary['peak_memory_mib']:.0f} MiB")
    table.add_row("results", str(out))
    return table
