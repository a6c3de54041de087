"""The results of a sweep: a table of all models as CSV, figures over the hyper-parameters, and the table on screen."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from experiments.cli import command, files
from experiments.sweeps.grid import NAMES, SweepConfig
from jaxnn import plots


def write_csv(
    path: Path,
    hparams: Mapping[str, np.ndarray],
    values: Mapping[str, Any],
    found: Mapping[str, np.ndarray],
    scores: np.ndarray,
    config: SweepConfig,
) -> None:
    """One row per model: setting, seed and results."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    names = [NAMES[axis] for axis in values]
    measures = [*(["rung"] if "rung" in found else []), "epochs", "validation_loss", "training_accuracy"]
    rows.writerow([*names, "seed", "validation_accuracy", *measures, "diverged"])
    for i, j in np.ndindex(scores.shape):
        setting = [f"{hparams[name][i].item():.6g}" for name in names]
        numbers = [found[name][i, j].item() for name in measures]
        rows.writerow([*setting, config.seed + j, scores[i, j], *numbers, int(found["bad_step"][i, j] >= 0)])
    files.write(path, table.getvalue())


def figures(
    values: Mapping[str, tuple[float, ...]],
    hparams: Mapping[str, np.ndarray],
    scores: np.ndarray,
    mean: np.ndarray,
    best: int,
    random: bool,
    halved: bool,
) -> dict[str, Callable[[], Figure]]:
    """Functions that draw a heat map over the two widest hyper-parameters (best over the rest), or a curve of each."""
    measure = "mean validation accuracy, %" + (", when training ended" if halved else "")
    if random or len(values) == 1:
        return {
            f"by_{NAMES[axis]}": functools.partial(
                plots.spread_line,
                100 * scores[(order := np.argsort(hparams[NAMES[axis]]))],
                (NAMES[axis], hparams[NAMES[axis]][order].tolist()),
                "validation accuracy, %",
                best=int(np.flatnonzero(order == best)[0]),
                log=axis != "dropouts" and bool(hparams[NAMES[axis]].min() > 0),
            )
            for axis in values
        }
    grid = mean.reshape([len(tried) for tried in values.values()])
    first, second = sorted(range(len(values)), key=lambda i: -len(list(values.values())[i]))[:2]
    first, second = min(first, second), max(first, second)
    others = tuple(i for i in range(len(values)) if i not in (first, second))
    shown = np.where(np.isfinite(grid), grid, -np.inf).max(axis=others)
    place = np.unravel_index(best, grid.shape)
    names = list(values)
    return {
        "heat_map": functools.partial(
            plots.heat_map,
            np.where(np.isfinite(shown), 100 * shown, np.nan),
            (NAMES[names[first]], values[names[first]]),
            (NAMES[names[second]], values[names[second]]),
            measure,
            best=(int(place[first]), int(place[second])),
        )
    }


def table(summary: Mapping[str, Any], out: Path) -> Table:
    """The summary of a sweep."""
    table = Table(title=command.literal(f"{summary['dataset']}, {summary['model']}: sweep"), show_header=False)
    table.add_row("models", f"{summary['settings']} settings x {summary['seeds']} seeds")
    if "halving" in summary:
        part = summary["epochs_trained"] / summary["halving"]["epochs_of_all"]
        table.add_row("epochs trained", f"{100 * part:.0f} % of those of all models")
    table.add_row("time", f"{summary['seconds']:.1f} s")
    for name, value in summary["best"].items():
        table.add_row(f"best {name}", f"{value:.3g}")
    std = summary["validation_accuracy_std"]
    spread = f" (std {100 * std:.2f})" if std is not None else ""
    table.add_row("validation accuracy", f"{100 * summary['validation_accuracy_mean']:.2f} %{spread}")
    table.add_row("diverged", f"{summary['diverged']}")
    if "final" in summary:
        table.add_row("test accuracy, trained on all", f"{summary['final']['test_accuracy']:.2%}")
    table.add_row("results", command.literal(out))
    return table
