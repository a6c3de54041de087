"""Workloads measured in alternating rounds, so that a slowdown of the machine affects jaxnn and all peers alike."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmark import limits
from experiments.benchmark.peers import OURS, PEERS, Entry, missing
from experiments.benchmark.process import PeerError, Worker
from experiments.benchmark.workloads import BARE, GOALS, Workload, read

_JAXNN = "jaxnn"
_TOLERANCE = 0.03
"""Training accuracies further apart than this are flagged."""
_PEER_SECONDS = 25.0
"""Training time after which a peer takes part in no further round."""
_PAUSE_SECONDS = 0.5
"""Pause before each measurement: idle threads of the previous process keep spinning for a while."""


class WorkerPool:
    """Hands out workers: a fresh one for each peer, or, with `reuse`, one that has already imported the library."""

    def __init__(self, reuse: bool) -> None:
        self.reuse = reuse
        self._idle: dict[str, list[Worker]] = {}
        self._all: list[Worker] = []

    def take(self, make: str) -> Worker:
        """A worker for a peer."""
        idle = self._idle.get(make.split(":")[0], [])
        if not idle:
            idle.append(Worker())
            self._all.append(idle[-1])
        return idle.pop()

    def give(self, make: str, worker: Worker, *, failed: bool) -> None:
        """Take back a worker whose peer is done or has failed."""
        if self.reuse and not failed:
            self._idle.setdefault(make.split(":")[0], []).append(worker)
        else:
            self._all.remove(worker)
            worker.close()

    def close(self) -> None:
        """Close all workers."""
        while self._all:
            self._all.pop().close()


class Rounds(NamedTuple):
    """Results of one participant: per round, the seconds of a unit and the accuracies of its models."""

    seconds: list[float]
    accuracies: list[list[float]]
    models: tuple[int, ...]
    scale: float
    compile_s: float | None
    peak_mib: float


def measure(
    key: str,
    workload: Workload,
    folder: Path,
    repetitions: int,
    pool: WorkerPool,
    machine: limits.Limits,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure jaxnn and all peers on one workload: a row for each peer."""
    ours = Entry(_JAXNN, "", OURS.get(key, "ours:training_run"))
    peers = [entry for entry in PEERS[key] if not missing(entry.family)]
    if pool.reuse and key != "linear":  # torch.compile is slow: once in a trial is enough
        peers = [entry for entry in peers if not entry.make.startswith("pytorch:compiled")]
    for family in dict.fromkeys(entry.family for entry in PEERS[key] if missing(entry.family)):
        say(f"{workload.name}: {family} is left out, {missing(family)} is not installed: pip install -e '.[bench]'")
    if not peers:
        return []
    if key == "digits-whole":
        done = _whole_calls([ours, *peers], workload, folder, repetitions, say)
    else:
        done = _alternate([ours, *peers], workload, folder, repetitions, pool, say)
    if ours not in done:
        return []
    limit = limits.limit(workload, read(workload, folder), machine) if key != "grid-digits" else None
    return mark_best(
        [make_row(key, workload.name, entry, done[ours], done[entry], limit) for entry in peers if entry in done]
    )


def make_row(
    key: str, name: str, entry: Entry, ours: Rounds, theirs: Rounds, limit: limits.Limit | None = None
) -> dict[str, Any]:
    """Compare one peer, which may have fewer rounds, with jaxnn.

    `ratio` divides the medians, `spread` has the extremes over the rounds. Accuracies are means over the models that
    both trained, after the peer's last round.
    """
    rounds = len(theirs.seconds)
    ratios = np.divide(theirs.seconds, ours.seconds[:rounds])
    ours_s, peer_s = float(np.median(ours.seconds)), float(np.median(theirs.seconds))
    ratio, goal = peer_s / ours_s, GOALS.get(key, {}).get(entry.family)
    both = [ours.models.index(model) for model in theirs.models if model in ours.models]
    ours_accuracy = float(np.mean([ours.accuracies[rounds - 1][i] for i in both]))
    accuracy = float(np.mean(theirs.accuracies[-1]))
    row = {
        "key": key,
        "work": name,
        "peer": entry.name,
        "family": entry.family,
        "ratio": ratio,
        "goal": goal,
        "met": None if goal is None else ratio >= goal,
        "ours_s": ours_s,
        "peer_s": peer_s,
        "spread": [float(ratios.min()), float(ratios.max())],
        "note": entry.note,
        "limit_share": limit.seconds / ours_s if limit else None,
        "binding": limit.binding if limit else None,
        "ours_compile_s": ours.compile_s,
        "peer_compile_s": theirs.compile_s,
        "ours_peak_mib": ours.peak_mib,
        "peer_peak_mib": theirs.peak_mib,
        "ours_train_accuracy": ours_accuracy,
        "peer_train_accuracy": accuracy,
        "accuracy_differs": entry.family != BARE and abs(accuracy - ours_accuracy) > _TOLERANCE,
        "repetitions": rounds,
    }
    if theirs.scale != 1:
        row |= {"peer_models_timed": len(theirs.models), "scaled_to": round(len(theirs.models) * theirs.scale)}
    return row


def mark_best(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add `best_form`: whether the row has the lowest ratio of its family, to which the goal refers."""
    best: dict[str, float] = {}
    for row in rows:
        best[row["family"]] = min(row["ratio"], best.get(row["family"], row["ratio"]))
    return [row | {"best_form": row["ratio"] == best[row["family"]]} for row in rows]


def _alternate(
    entries: list[Entry],
    workload: Workload,
    folder: Path,
    repetitions: int,
    pool: WorkerPool,
    say: Callable[[str], None],
) -> dict[Entry, Rounds]:
    workers: dict[Entry, Worker] = {}
    done: dict[Entry, Rounds] = {}
    first: dict[Entry, tuple[float, float | None]] = {}
    for entry in entries:
        with _skip_on_failure(entry, workload, done, say):
            workers[entry] = worker = pool.take(entry.make)
            _, models, scale = worker.make(entry.make, workload, folder)
            first[entry] = worker.warm()
            done[entry] = Rounds([], [], models, scale, 0.0, 0.0)
    for _ in range(repetitions):
        for entry in list(done):
            rounds, worker = done[entry], workers[entry]
            if entry.family == _JAXNN or not _exceeds_time(rounds, workload):
                with _skip_on_failure(entry, workload, done, say):
                    time.sleep(_PAUSE_SECONDS)
                    rounds.seconds.append(worker.train(workload.units_per_round))
                    rounds.accuracies.append(worker.accuracies())
    for entry in list(done):
        with _skip_on_failure(entry, workload, done, say):
            seconds, compile_s = first[entry]
            if compile_s is None:
                compile_s = max(0.0, seconds - float(np.median(done[entry].seconds)) / done[entry].scale)
            done[entry] = done[entry]._replace(compile_s=compile_s, peak_mib=workers[entry].peak_mib())
    for entry, worker in workers.items():
        pool.give(entry.make, worker, failed=entry not in done)
    return done


def _exceeds_time(rounds: Rounds, workload: Workload) -> bool:
    """Whether another round would take a peer beyond its time."""
    spent = [seconds / rounds.scale * workload.units_per_round for seconds in rounds.seconds]
    return bool(spent) and sum(spent) + spent[-1] > _PEER_SECONDS


def _whole_calls(
    entries: list[Entry], workload: Workload, folder: Path, repetitions: int, say: Callable[[str], None]
) -> dict[Entry, Rounds]:
    """A fresh process each time: making the model, compilation and training are counted, imports are not."""
    done: dict[Entry, Rounds] = {}
    for repetition in range(min(repetitions, 3)):
        for entry in entries if repetition == 0 else list(done):
            with _skip_on_failure(entry, workload, done, say), contextlib.closing(Worker()) as worker:
                made, models, scale = worker.make(entry.make, workload, folder)
                rounds = done.setdefault(entry, Rounds([], [], models, scale, 0.0, 0.0))
                time.sleep(_PAUSE_SECONDS)
                rounds.seconds.append(made + worker.train(1))
                rounds.accuracies.append(worker.accuracies())
                again = worker.train(1)
                done[entry] = rounds._replace(
                    compile_s=max(0.0, rounds.seconds[-1] - again), peak_mib=worker.peak_mib()
                )
    return done


@contextlib.contextmanager
def _skip_on_failure(
    entry: Entry, workload: Workload, done: dict[Entry, Rounds], say: Callable[[str], None]
) -> Iterator[None]:
    try:
        yield
    except PeerError as error:
        done.pop(entry, None)
        say(f"{workload.name}: {entry.name} is left out because it failed: {error}")
