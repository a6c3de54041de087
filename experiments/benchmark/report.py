"""The results of the benchmark as a JSON file, tables and a bar chart."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from rich.table import Table

from experiments.benchmark.limits import Limits
from experiments.benchmark.process import usable_cores
from experiments.benchmark.workloads import BARE, ONE_BY_ONE
from experiments.cli import environment
from jaxnn.plots._style import BLUE, GRAY, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, new_figure

_PACKAGES = ("torch", "keras", "flax", "joblib")
_FLAGS = ("XLA_FLAGS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR")
_SAME = ("machine", "versions", "flags", "threads")
"""Conditions; rows measured under others than those of the file carry their own."""
_COLORS = {
    "PyTorch": VERMILION,
    "scikit-learn": ORANGE,
    "Keras": PURPLE,
    "Flax": GREEN,
    ONE_BY_ONE: SKY,
    BARE: GRAY,
}


def conditions(quick: bool) -> dict[str, Any]:
    """Machine, versions, flags and threads: the head of the result file."""
    found = environment.environment()
    for package in _PACKAGES:
        try:
            found["versions"][package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found["versions"][package] = "not installed"
    return {
        "machine": found.pop("machine"),
        **found,
        "flags": {name: os.environ[name] for name in _FLAGS if name in os.environ},
        "threads": usable_cores(),
        "seed": 0,
        "quick": quick,
    }


def read_earlier(path: Path, now: dict[str, Any]) -> dict[str, Any] | None:
    """The file into which rows will be merged, if there is one; refuses that of a trial, and one in another form."""
    if not path.exists():
        return None
    try:
        earlier = json.loads(path.read_text())
        rows, trial = earlier["rows"], earlier["quick"]
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not a result of this command ({error}): choose another file with --out") from error
    if trial != now["quick"] or not all("key" in row for row in rows):
        raise ValueError(
            f"{path} was measured with other {'rows' if trial == now['quick'] else 'quick'}: --only would mix the two; "
            "measure everything, or choose another file with --out"
        )
    return earlier


def merge(earlier: dict[str, Any] | None, new: dict[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """Replace the earlier rows of the same workloads; limits that were not measured and growth are kept.

    Rows measured under other conditions than those at the head of the file have their own, as `measured`.
    """
    if earlier is None:
        return new
    replaced, here = {row["key"] for row in new["rows"]}, {name: new[name] for name in _SAME}
    kept = [row for row in earlier["rows"] if row["key"] not in replaced]
    alone = new.get("startup") or earlier.get("startup")
    if any(earlier.get(name) != value for name, value in here.items()):
        if new.get("growth"):
            raise ValueError("growth belongs to the machine at the head of the file: choose another file with --out")
        new = earlier | {"rows": [row | {"measured": here} for row in new["rows"]], "limits": {}}
    rows = sorted(kept + new["rows"], key=lambda row: order.index(row["key"]) if row["key"] in order else len(order))
    limits = earlier.get("limits", {}) | {k: v for k, v in new["limits"].items() if v is not None}
    growth = new.get("growth") or earlier.get("growth", {})
    return new | {"rows": rows, "limits": limits, "growth": growth, "startup": alone}


def plain_limits(machine: Limits, step_us: float | None) -> dict[str, Any]:
    """The limits as written to the file; `step_us` is the time of a step of the toy network: pure overhead."""
    return {
        "sgemm_gflops": machine.flops / 1e9,
        "memory_gb_per_s": machine.bandwidth / 1e9,
        "overhead_per_call_us": machine.call_us,
        "overhead_per_step_us": step_us,
        **machine.details,
    }


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """A table of one workload, the best form of each family marked with a star."""
    fraction = f": {rows[0]['limit_share']:.0%} of {rows[0]['binding']}" if rows[0]["limit_share"] is not None else ""
    title = f"{rows[0]['work']}, jaxnn {rows[0]['ours_s']:.3g} s{fraction}"
    shown = Table("peer", "seconds", "ratio", "spread", "goal", "accuracy", title=title)
    for row in rows:
        goal = f"{row['goal']:g}x {'met' if row['met'] else 'missed'}" if row["goal"] and row["best_form"] else ""
        accuracy = f"{row['ours_train_accuracy']:.1%} {row['peer_train_accuracy']:.1%}"
        shown.add_row(
            row["peer"] + (" *" if row["best_form"] else ""),
            f"{row['peer_s']:.3g}",
            f"{row['ratio']:.2f}x",
            f"{row['spread'][0]:.2f}-{row['spread'][1]:.2f}",
            goal,
            f"{accuracy} DIFFER" if row["accuracy_differs"] else accuracy,
        )
    return shown


def table_alone(rows: Sequence[dict[str, Any]]) -> Table:
    """A table of what has no peer."""
    shown = Table("work", "seconds", "spread", "goal", title="time to a first result")
    for row in rows:
        goal = f"{row['goal_s']:g} s {'met' if row['met'] else 'missed'}"
        shown.add_row(row["work"], f"{row['seconds']:.3g}", "-".join(f"{end:.3g}" for end in row["spread"]), goal)
    return shown


def chart(rows: Sequence[dict[str, Any]]) -> Figure:
    """A bar chart of the speed-up over the best form of each family, with the goals."""
    best = [row for row in rows if row["best_form"]]
    workloads = list(dict.fromkeys(row["work"] for row in best))
    with matplotlib.rc_context(STYLE):
        figure = new_figure(
            "Times as fast as the best form of each peer\n\n", 1.6 + 0.24 * len(best) + 0.12 * len(workloads)
        )
        axes = figure.subplots()
        place, ticks, seen = 0.0, [], set()
        for workload in workloads:
            bars = [row for row in best if row["work"] == workload]
            ticks.append(place + (len(bars) - 1) / 2)
            for row in bars:
                family = row["family"]
                label = None if family in seen else family
                seen.add(family)
                axes.barh(place, row["ratio"] - 1, left=1, height=0.85, color=_COLORS.get(family, BLUE), label=label)
                flag = ", accuracies differ" if row["accuracy_differs"] else ""
                end = max(row["ratio"], 1, row["goal"] or 0)
                ratio = row["ratio"]
                text = f"{ratio:.1f}x{flag}" if ratio >= 1 else f"{ratio:.2g}x{flag}"
                axes.annotate(text, (end, place), (6, 0), textcoords="offset points", va="center", fontsize=8)
                if row["goal"]:
                    label = None if "goal" in seen else "goal"
                    seen.add("goal")
                    axes.plot([row["goal"]] * 2, [place - 0.5, place + 0.5], color="black", linewidth=1.8, label=label)
                place += 1
            place += 0.5
        axes.set_xscale("log")
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_yticks(ticks, workloads)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.invert_yaxis()
        low, high = axes.get_xlim()
        axes.set_xlim(low, high * 1.8)
        marks = [digit * 10.0**power for power in range(-3, 5) for digit in (1, 2, 5)]
        marks = [mark for mark in marks if low <= mark <= high * 1.8]
        axes.set_xticks(marks, [f"{mark:g}x" for mark in marks])
        axes.minorticks_off()
        axes.margins(y=0.01)
        figure.legend(loc="outside upper left", ncols=7, bbox_to_anchor=(0.0, 0.97), fontsize=9)
    return figure
