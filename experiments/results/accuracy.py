"""The tables of the accuracy results: the leaderboard and what stands beside it."""

from __future__ import annotations

from typing import Any

from experiments.leaderboard import with_spread
from experiments.leaderboards.recipes import RECIPES, epochs_of
from experiments.results.table import read, table


def leaderboard() -> str:
    """Test accuracies of all rows, with goals and published results."""
    rows, limits = [], _limits()
    for row in read("leaderboard.json")["rows"]:
        took, reached = f"{row['seconds']:.0f} s", f"{with_spread(row)} %"
        peers = ", ".join(f"{peer['name']} {with_spread(peer)}" for peer in row["peers"])
        known = peers or RECIPES[row["row"]].reference
        rows.append([row["title"], reached, _goal(row, limits), known, str(len(row["seeds"])), took])
    return table(["model", "test accuracy", "goal", "known", "seeds", "seconds a run"], rows)


def ablation() -> str:
    """The gain of each part of the recipes, and of parts not in them."""
    rows = []
    for row in read("ablation.json")["rows"]:
        if row["part"]:
            kept = "yes" if row["part"] in RECIPES[row["row"]].parts else "no"
            brings = f"{with_spread(row, 'brings')} points"
            rows.append(
                [row["title"], row["part"], kept, brings, str(epochs_of(row["config"])), str(len(row["seeds"]))]
            )
    return table(["model", "part", "in the recipe", "brings", "epochs", "seeds"], rows)


def budget() -> str:
    """Validation accuracy for fractions of the epochs."""
    rows = read("budget.json")["rows"]
    lines: dict[str, list[str]] = {}
    for row in rows:
        reached = f"{with_spread(row)} %, {row['seconds']:.0f} s"
        lines.setdefault(row["title"], [row["title"], str(len(row["seeds"]))]).append(reached)
    head = list(dict.fromkeys(row["part"] for row in rows))
    return table(["model", "seeds", *head], list(lines.values()))


def in_time() -> str:
    """The recipes that are best for their time."""
    rows = [
        [f"{row['seconds']:.0f} s", f"{row['accuracy']:.2f} % ({row['of']})", row["title"], str(row["seeds"])]
        for row in read("in_time.json")["rows"]
        if row["best"]
    ]
    return table(["seconds", "accuracy", "recipe", "seeds"], rows)


def accuracy() -> str:
    """The leaderboard in short: accuracy, goal, time."""
    limits = _limits()
    rows = [
        [row["title"], f"{with_spread(row)} %", _goal(row, limits), f"{row['seconds']:.0f} s"]
        for row in read("leaderboard.json")["rows"]
    ]
    return table(["model", "test accuracy", "goal", "seconds a run"], rows)


def _goal(row: dict[str, Any], limits: dict[str, float]) -> str:
    """The goal of a row, and of a linear one its bound: the test images were among those that it was fitted to."""
    bound = f", bound {limits[row['row']]:.2f} %" if row["row"] in limits else ""
    return f"{row['goal']:.4g} %{bound}"


def _limits() -> dict[str, float]:
    """By name of a linear row: accuracy on the test images when it is fitted to them and the training images."""
    return {
        bound["row"]: fit["accuracy"]["test"]
        for bound in read("linear.json")["rows"]
        for fit in bound["fits"]
        if fit["fitted_to"] == "train and test"
    }


def linear_bounds() -> str:
    """Linear functions fitted to the test images, the training images, and both."""
    rows = [
        [
            bound["title"],
            fit["fitted_to"],
            f"{fit['l2']:g}" if fit["l2"] else "none",
            *(f"{fit['accuracy'][split]:.2f} %" if split in fit["accuracy"] else "" for split in ("train", "test")),
            str(fit["iterations"]) + ("" if fit["converged"] else ", not converged"),
        ]
        for bound in read("linear.json")["rows"]
        for fit in bound["fits"]
    ]
    return table(["model", "fitted to", "penalty", "right of train", "right of test", "iterations"], rows)


def digits_splits() -> str:
    """The digits on random splits: the network beside scikit-learn's classifiers, paired by split."""
    found = read("digits_splits.json")
    rows = [
        [
            row["name"],
            f"{with_spread(row)} %",
            f"{min(row['accuracies']):.2f}-{max(row['accuracies']):.2f} %",
            f"{row['behind']:+.2f} ± {row['behind_std']:.2f} points" if row["settings"] else "",
            f"{row['cpu_seconds']:.0f} s",
        ]
        for row in found["rows"]
    ]
    head = ["classifier", f"test accuracy, {found['splits']} splits", "range", "behind jaxnn", "CPU time"]
    return table(head, rows)


def small() -> str:
    """CIFAR-10 with few training images: a row for each classifier, a column for each number of images."""
    rows = read("small.json")["rows"]
    sizes = sorted({row["size"] for row in rows})
    reached = {(row["name"], row["size"]): f"{with_spread(row)} %" for row in rows}
    names = dict.fromkeys(row["name"] for row in rows)
    return table(
        ["classifier", *(f"{size:,} images" for size in sizes)],
        [[name, *(reached[name, size] for size in sizes)] for name in names],
    )
