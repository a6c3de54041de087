"""The results of a run: the classifier, its figures and its table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from jaxnn import metrics, plots, training
from jaxnn.data import Dataset, preprocess


class Classifier(NamedTuple):
    """A trained classifier: statistics of the preprocessing, parameters, and the model's state if it has one."""

    statistics: Any
    params: Any
    model_state: Any = None


def figures(
    dataset: Dataset,
    history: dict[str, np.ndarray],
    classifier: Classifier,
    tested: training.Evaluation,
    summary: dict[str, Any],
) -> dict[str, Figure]:
    """The figures of a run by file name; `tested` holds its predictions on the test examples."""
    labels, predictions, confidences = dataset.test.labels, tested.predictions, tested.confidences
    counts = jax.jit(metrics.confusion, static_argnums=2)(
        labels, predictions.astype(labels.dtype), len(dataset.classes)
    )
    figures = {
        "learning_curves": plots.learning_curves(history, summary.get("best_epoch")),
        "confusion": plots.confusion(np.asarray(counts), dataset.classes),
    }
    if dataset.train.inputs.ndim == 4:
        figures["templates"] = plots.templates(*_templates(dataset, classifier))
        wrong = np.flatnonzero(predictions != labels)
        wrong = wrong[np.argsort(-confidences[wrong])][:25]
        figures["mistakes"] = plots.mistakes(
            np.asarray(dataset.test.inputs[wrong]),
            labels[wrong],
            predictions[wrong],
            confidences[wrong],
            dataset.classes,
        )
    return figures


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
    table = Table(title=f"{summary['dataset']}, {summary['model']}, seed {summary['seed']}", show_header=False)
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
