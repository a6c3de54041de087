"""The works in turns: everyone trains a little, again and again, so that what slows the machine slows everyone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmark import limits
from experiments.benchmark.peers import OURS, PEERS, Entry, missing
from experiments.benchmark.process import PeerError, Remote
from experiments.benchmark.works import GOALS, Work, read

OURS_FAMILY = "jaxnn"
TOLERANCE = 0.03
"""Training accuracies further apart than this are flagged."""
SECONDS_OF_A_PEER = 25.0
"""A peer has no further turns once it has trained for so long."""
SECONDS_OF_QUIET = 0.5
"""Before each turn: the threads of the one before spin on for a while when their work is done."""


class Host:
    """Gives the processes: a new one for each peer, or, in a trial, one that has imported the library already."""

    def __init__(self, reuse: bool) -> None:
        """Start with none."""
        self.reuse = reuse
        self._idle: dict[str, list[Remote]] = {}
        self._all: list[Remote] = []

    def take(self, make: str) -> Remote:
        """A process for a peer."""
        idle = self._idle.get(make.split(":")[0], [])
        if not idle:
            idle.append(Remote())
            self._all.append(idle[-1])
        return idle.pop()

    def give(self, make: str, remote: Remote, *, failed: bool) -> None:
        """Take back a process whose peer is done or has failed."""
        if self.reuse and not failed:
            self._idle.setdefault(make.split(":")[0], []).append(remote)
        else:
            self._all.remove(remote)
            remote.close()

    def close(self) -> None:
        """End all processes."""
        while self._all:
            self._all.pop().close()


class Turns(NamedTuple):
    """What one participant did beside the others: seconds of a unit and accuracies after each turn."""

    seconds: list[float]
    accuracies: list[list[float]]
    models: tuple[int, ...]
    scale: float
    compile_s: float
    peak_mib: float


def measure(
    key: str, work: Work, folder: Path, repetitions: int, host: Host, machine: limits.Limits, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure one work beside all its peers.

    Args:
        key: of `WORKS`.
        work: what is trained.
        folder: where the examples are.
        repetitions: how many turns.
        host: gives the processes.
        machine: how fast the machine is.
        say: told of every peer that is left out.

    Returns:
        A row for each peer.
    """
    ours = Entry(OURS_FAMILY, "", OURS.get(key, "ours:training_run"))
    peers = [entry for entry in PEERS[key] if not missing(entry.family)]
    if host.reuse and key != "linear":  # torch.compile takes long: a trial has it once
        peers = [entry for entry in peers if not entry.make.startswith("pytorch:compiled")]
    for family in dict.fromkeys(entry.family for entry in PEERS[key] if missing(entry.family)):
        say(f"{work.name}: {family} is left out, {missing(family)} is not installed: pip install -e '.[bench]'")
    if not peers:
        return []
    if key == "digits-whole":
        done = _whole_calls([ours, *peers], work, folder, repetitions, say)
    else:
        done = _turns([ours, *peers], work, folder, repetitions, host, say)
    if ours not in done:
        return []
    limit = limits.limit(work, read(work, folder), machine) if key != "grid-digits" else None
    return mark_best([make_row(key, work, entry, done[ours], done[entry], limit) for entry in peers if entry in done])


def make_row(
    key: str, work: Work, entry: Entry, ours: Turns, theirs: Turns, limit: limits.Limit | None
) -> dict[str, Any]:
    """What is written of one peer beside ours.

    Args:
        key: of the work.
        work: what was trained.
        entry: who the peer is.
        ours, theirs: the turns; theirs may be fewer.
        limit: the least time that the machine could take.

    Returns:
        The row. `ratio` is the median of the peer's seconds by the median of ours, `spread` the lowest and the highest
        ratio of one turn. The accuracies are means over the models that the peer trained, after its last turn and
        after our turn of the same number.
    """
    turns = len(theirs.seconds)
    ratios = np.divide(theirs.seconds, ours.seconds[:turns])
    row = timing_row(key, work.name, entry, ours.seconds, theirs.seconds, [float(ratios.min()), float(ratios.max())])
    at = [ours.models.index(model) for model in theirs.models if model in ours.models]
    ours_accuracy = float(np.mean([ours.accuracies[turns - 1][i] for i in at]))
    accuracy = float(np.mean(theirs.accuracies[-1]))
    row |= {
        "limit_share": limit.seconds / row["ours_s"] if limit else None,
        "binding": limit.binding if limit else None,
        "ours_compile_s": ours.compile_s,
        "peer_compile_s": theirs.compile_s,
        "ours_peak_mib": ours.peak_mib,
        "peer_peak_mib": theirs.peak_mib,
        "ours_train_accuracy": ours_accuracy,
        "peer_train_accuracy": accuracy,
        "accuracy_differs": abs(accuracy - ours_accuracy) > TOLERANCE,
        "repetitions": turns,
    }
    if theirs.scale != 1:
        row |= {"peer_models_timed": len(theirs.models), "scaled_to": round(len(theirs.models) * theirs.scale)}
    return row


def timing_row(
    key: str, name: str, entry: Entry, ours: list[float], theirs: list[float], spread: list[float]
) -> dict[str, Any]:
    """The part of a row that is about time.

    Args:
        key: of the work.
        name: of the work, as shown.
        entry: who the peer is.
        ours, theirs: seconds.
        spread: the lowest and the highest ratio.

    Returns:
        The beginning of a row.
    """
    ratio, goal = float(np.median(theirs) / np.median(ours)), GOALS.get(key, {}).get(entry.family)
    return {
        "key": key,
        "work": name,
        "peer": entry.name,
        "family": entry.family,
        "ratio": ratio,
        "goal": goal,
        "met": None if goal is None else ratio >= goal,
        "ours_s": float(np.median(ours)),
        "peer_s": float(np.median(theirs)),
        "spread": spread,
        "note": entry.note,
    }


def mark_best(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark the row with the lowest ratio of each family: the form that the goal is about.

    Args:
        rows: of one work.

    Returns:
        The rows with `best_form`.
    """
    best: dict[str, float] = {}
    for row in rows:
        best[row["family"]] = min(row["ratio"], best.get(row["family"], row["ratio"]))
    return [row | {"best_form": row["ratio"] == best[row["family"]]} for row in rows]


def _turns(
    entries: list[Entry], work: Work, folder: Path, repetitions: int, host: Host, say: Callable[[str], None]
) -> dict[Entry, Turns]:
    remotes: dict[Entry, Remote] = {}
    done: dict[Entry, Turns] = {}
    first: dict[Entry, tuple[float, float | None]] = {}
    for entry in entries:
        with _left_out_if_it_fails(entry, work, done, say):
            remotes[entry] = remote = host.take(entry.make)
            _, models, scale = remote.make(entry.make, work, folder)
            first[entry] = remote.warm()
            done[entry] = Turns([], [], models, scale, 0.0, 0.0)
    for _ in range(repetitions):
        for entry in list(done):
            turns, remote = done[entry], remotes[entry]
            if entry.family == OURS_FAMILY or not _has_had_enough(turns, work):
                with _left_out_if_it_fails(entry, work, done, say):
                    time.sleep(SECONDS_OF_QUIET)
                    turns.seconds.append(remote.train(work.turn))
                    turns.accuracies.append(remote.accuracies())
    for entry in list(done):
        with _left_out_if_it_fails(entry, work, done, say):
            seconds, compile_s = first[entry]
            if compile_s is None:
                compile_s = max(0.0, seconds - float(np.median(done[entry].seconds)) / done[entry].scale)
            done[entry] = done[entry]._replace(compile_s=compile_s, peak_mib=remotes[entry].peak_mib())
    for entry, remote in remotes.items():
        host.give(entry.make, remote, failed=entry not in done)
    return done


def _has_had_enough(turns: Turns, work: Work) -> bool:
    """Whether another turn would bring a peer beyond its time."""
    spent = [seconds / turns.scale * work.turn for seconds in turns.seconds]
    return bool(spent) and sum(spent) + spent[-1] > SECONDS_OF_A_PEER


def _whole_calls(
    entries: list[Entry], work: Work, folder: Path, repetitions: int, say: Callable[[str], None]
) -> dict[Entry, Turns]:
    """Each time a fresh process: making the model, compiling and training. Imports are not counted."""
    done: dict[Entry, Turns] = {}
    for repetition in range(min(repetitions, 3)):
        for entry in entries if repetition == 0 else list(done):
            with _left_out_if_it_fails(entry, work, done, say), contextlib.closing(Remote()) as remote:
                made, models, scale = remote.make(entry.make, work, folder)
                turns = done.setdefault(entry, Turns([], [], models, scale, 0.0, 0.0))
                time.sleep(SECONDS_OF_QUIET)
                turns.seconds.append(made + remote.train(1))
                turns.accuracies.append(remote.accuracies())
                again = remote.train(1)
                done[entry] = turns._replace(compile_s=max(0.0, turns.seconds[-1] - again), peak_mib=remote.peak_mib())
    return done


@contextlib.contextmanager
def _left_out_if_it_fails(
    entry: Entry, work: Work, done: dict[Entry, Turns], say: Callable[[str], None]
) -> Iterator[None]:
    try:
        yield
    except PeerError as error:
        done.pop(entry, None)
        say(f"{work.name}: {entry.name} is left out, it failed: {error}")
