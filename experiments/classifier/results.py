"""The results of a run: the classifier and its evaluation, written first; then figures, each on its own; a table."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import math
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from experiments.classifier import data, monitoring, resume
from experiments.classifier.job import Job
from experiments.cli import environment, files
from experiments.cli.command import Warn
from jaxnn import training
from jaxnn.data import Dataset, Split, preprocess

GAP = 0.2
"""A difference of the accuracies on training and test examples that is warned of."""
UNITS = 40
"""Hidden units drawn."""

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


def new_folder(job: Job, held: contextlib.ExitStack) -> Path:
    """The folder for the results, created and locked before training so that an unwritable one is known early."""
    name = f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}-{files.short_name(job.dataset.name)}-{job.settings.model}"
    out = job.settings.out or Path("runs", name)
    if not out.exists():
        out.mkdir(parents=True, exist_ok=True)
    if out.is_dir():
        held.enter_context(files.locked(out))
    if not out.is_dir() or any(path.suffix != ".tmp" for path in out.iterdir()):
        raise ValueError(f"--out {out} exists and is not an empty folder: choose another or remove it")
    files.remove_unfinished(out)
    return out


def write_config(folder: Path, job: Job) -> None:
    """Write the settings, the class names and the shape of an example."""
    about = {"classes": job.dataset.classes, "input_shape": job.dataset.train.inputs.shape[1:]}
    about |= {"about": dict(job.dataset.about)} if job.dataset.about else {}
    files.write_sealed(folder / "config.json", dataclasses.asdict(job.settings) | about)


def evaluate(job: Job, run: training.Run, timing: training.Timing) -> Found:
    """Take the classifier out of a run, write it, and evaluate it on the training examples and those held out."""
    dataset, settings = job.dataset, job.settings
    seconds = job.start.seconds + timing.epochs
    history = {name: np.asarray(values) for name, values in run.history.items()}
    reached = run.best or run.state._replace(params=training.eval_params(run.state))
    classifier = Classifier(job.start.statistics, reached.params, reached.model_state)
    if settings.out is not None:
        with contextlib.suppress(OSError):  # `write` tries again, and reports it
            files.write_arrays(settings.out / "classifier.npz", classifier)
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
        "short_training": timing.short,
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
    if not (folder / "classifier.npz").exists():  # `evaluate` has written it, if it could
        files.write_arrays(folder / "classifier.npz", found.classifier)
    if job.dataset.train.inputs.ndim == 4:
        from experiments.classifier import picture_form

        picture_form.write(folder, picture_form.measure(job.dataset.train.inputs))
    monitoring.write_history(folder / "history.csv", found.history, found.seconds)
    found.summary["seconds_total"] = time.perf_counter() - started
    found.summary["peak_memory_mib"] = environment.peak_memory_mib()
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in found.summary.items()}
    if folder == job.settings.out:
        (folder / resume.DRAWING).touch()
    files.write_json(folder / "summary.json", finite | environment.environment())


def draw(folder: Path, makers: Mapping[str, Callable[[], Figure]], warn: Warn, *, svg: bool = False) -> None:
    """Draw every figure, and write the checksums of all files; a figure that fails is a warning with its name."""
    from jaxnn import plots

    for name, make in makers.items():
        try:
            plots.save(make(), folder / name, svg=svg)
        except Exception as error:
            warn(f"the figure {name} was not drawn ({error}); the other results are complete")
    with contextlib.suppress(OSError):
        files.write_sums(folder, but=resume.DRAWING)
    with contextlib.suppress(OSError):
        (folder / resume.DRAWING).unlink(missing_ok=True)


def figures(job: Job, found: Found) -> dict[str, Callable[[], Figure]]:
    """By file name, the functions that draw the figures of a run."""
    from jaxnn import plots

    dataset, held_out = job.dataset, data.held_out(job.dataset, job.settings.choosing)
    labels, (_, predictions, confidences, _) = held_out.labels, found.evaluation

    def confusion() -> Figure:
        classes = len(dataset.classes)
        counts = np.bincount(labels.astype(np.int64) * classes + predictions, minlength=classes**2)
        return plots.confusion(counts.reshape(classes, classes), dataset.classes)

    def mistakes() -> Figure:
        wrong, right = np.flatnonzero(predictions != labels), np.flatnonzero(predictions == labels)
        order = np.concatenate([wrong[np.argsort(-confidences[wrong])], right[np.argsort(confidences[right])]])
        shown = order[: min(25, 5 * max(2, -(-len(wrong) // 5)))]  # whole rows
        images = np.asarray(held_out.inputs[shown])
        return plots.mistakes(images, labels[shown], predictions[shown], confidences[shown], dataset.classes)

    makers = {
        "learning_curves": lambda: plots.learning_curves(found.history, found.summary.get("best_epoch")),
        "confusion": confusion,
    }
    if dataset.train.inputs.ndim == 4:
        makers["templates"] = lambda: _templates(dataset, found.classifier)
        makers["mistakes"] = mistakes
    elif dataset.train.inputs.shape[1] == 2:
        makers["decision_regions"] = lambda: _decision_regions(job, found.classifier)
    return makers


def _decision_regions(job: Job, classifier: Classifier) -> Figure:
    """The regions of the classes in the plane, with the training and the test examples; ticks in the inputs' units."""
    from jaxnn import plots

    shown = {"training": job.dataset.train, "test": data.held_out(job.dataset, job.settings.choosing)}
    every = {name: split.take(slice(None, None, -(-len(split.labels) // 1000) or 1)) for name, split in shown.items()}
    low, high = (
        getattr(np.concatenate([split.inputs for split in shown.values()]), edge)(0) for edge in ("min", "max")
    )
    middle, half = (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)
    devices = jax.device_count()
    places = (middle + half * plots.plane(1.2, -(-200 // devices) * devices)).astype(np.float32)
    task = job.make_task(job.hparams)
    scores = training.predict_scores(
        task, classifier.params, places.reshape(-1, 2), classifier.statistics, batch_size=places.size
    )
    scores = np.asarray(scores).reshape(*places.shape[:2], -1)
    panels = [
        plots.Regions(scores, (split.inputs - middle) / half, split.labels, f"{name} examples")
        for name, split in every.items()
    ]
    figure = plots.decision_regions(panels, "Decision regions: paler where less certain", names=job.dataset.classes)
    for axes in figure.axes:
        for axis, c, h in zip((axes.xaxis, axes.yaxis), middle.tolist(), half.tolist(), strict=True):
            axis.set_ticks(*round_ticks(c, h))
    return figure


def round_ticks(middle: float, half: float) -> tuple[np.ndarray, list[str]]:
    """Round values from `middle - 1.2 * half` to `middle + 1.2 * half`: where they lie from -1.2 to 1.2, as texts."""
    from matplotlib.ticker import MaxNLocator

    values = np.asarray(MaxNLocator(4).tick_values(middle - 1.2 * half, middle + 1.2 * half))
    places = (values - middle) / half
    inside = np.abs(places) <= 1.2
    return places[inside], [f"{value:.6g}" for value in values[inside]]


def _templates(dataset: Dataset, classifier: Classifier) -> Figure:
    """The first layer's weights as images: of each class, or of the hidden units of most weight with their classes."""
    from jaxnn import plots

    if isinstance(classifier.params, dict):  # convolutional: the first layer sees squares of pixels as channels
        kernel = np.asarray(classifier.params["Block_0"]["Conv_0"]["kernel"])
        side = math.isqrt(kernel.shape[2] // dataset.train.inputs.shape[-1])
        pixels = kernel.reshape(*kernel.shape[:2], side, side, -1, kernel.shape[3]).transpose(5, 0, 2, 1, 3, 4)
        return plots.templates(pixels.reshape(kernel.shape[3], kernel.shape[0] * side, kernel.shape[1] * side, -1))
    weights = np.asarray(classifier.params[0]["w"])
    if isinstance(classifier.statistics, preprocess.PCAStatistics):
        weights = weights @ np.asarray(classifier.statistics.components)
    images = weights.reshape(-1, *dataset.train.inputs.shape[1:])
    if len(classifier.params) == 1:
        return plots.templates(images, dataset.classes)
    to_classes = functools.reduce(
        lambda below, layer: np.asarray(layer["w"]) @ below, classifier.params[1:], np.eye(len(weights))
    )
    most = np.argsort(-np.linalg.norm(weights, axis=1) * np.linalg.norm(to_classes, axis=0), kind="stable")[:UNITS]
    pairs = zip(to_classes[:, most].argmax(0), to_classes[:, most].argmin(0), strict=True)
    captions = [f"+ {dataset.classes[high]}  − {dataset.classes[low]}" for high, low in pairs]
    title = f"Weights of {len(most)} of {len(weights)} hidden units; the class that each raises (+) and lowers (−) most"
    return plots.templates(images[most], captions, title=title)


def advice(job: Job, found: Found) -> list[str]:
    """Lines after the table: a large gap between training and test, and the command that classifies more images."""
    lines, test = [], found.summary.get("test_accuracy", math.nan)
    if found.summary["train_accuracy"] - test > GAP:
        lines.append(
            f"warning: {found.summary['train_accuracy']:.0%} of the training examples are right, but {test:.0%} of the "
            f"test examples: it has memorized; more examples help, or --augment, --model cnn for images, --dropout"
        )
    if job.dataset.train.inputs.ndim == 4 and not job.settings.choosing:
        run = shlex.quote(str(job.settings.out))
        lines.append(f"classify your own images: jaxnn predict --run {run} photo.png")
    return lines


def table(summary: dict[str, Any], out: Path) -> Table:
    """The summary of a run as a table."""
    from rich.table import Table

    from experiments.cli.command import literal

    table = Table(title=literal(f"{summary['dataset']}, {summary['model']}, seed {summary['seed']}"), show_header=False)
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
    table.add_row("results", literal(out))
    return table
