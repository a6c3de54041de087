"""Time jaxnn beside what a user would pick instead, each in a process of its own, in turns of about half a second.

    python -m experiments.benchmark

Needs the extra `bench` (PyTorch) and CIFAR-10. Every peer trains the same model on the same examples with the same
batch size, rate, momentum and penalty; training accuracies, ours and the peer's, are shown beside the times.
scikit-learn's SGDClassifier goes one example at a time, so its mathematics differ.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import tyro
from rich.console import Console
from rich.table import Table

from experiments import artifacts
from experiments.benchmark.peers import Peer, Remote, Work, sklearn_sgd, torch_slicing
from jaxnn import initializers, losses, metrics, models, training
from jaxnn.data import load, preprocess

WORKS = {
    "linear": Work("linear softmax", (), 0.0, learning_rate=0.002, momentum=0.9, l2=0.01, batch_size=256),
    "mlp": Work("MLP 512", (512,), 0.0, learning_rate=0.02, momentum=0.9, l2=1e-3, batch_size=256),
    "mlp-dropout": Work("MLP 512, dropout", (512,), 0.5, learning_rate=0.02, momentum=0.9, l2=1e-3, batch_size=256),
}
GOALS = {
    ("linear", "PyTorch"): 4.0,
    ("linear", "scikit-learn"): 10.0,
    ("mlp", "PyTorch"): 1.3,
    ("mlp-dropout", "PyTorch"): 1.3,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure."""

    only: tuple[Literal["linear", "mlp", "mlp-dropout"], ...] = ("linear", "mlp", "mlp-dropout")
    """Which works."""
    epochs: int | None = None
    """Epochs of each, the first one not counted: 41 of the linear classifier and 9 of the MLPs by default."""
    quick: bool = False
    """A trial: three epochs on 5,000 examples."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""
    out: Path = Path("experiments/results/benchmark.json")
    """The file for the results."""


def measure(name: str, images: np.ndarray, labels: np.ndarray, epochs: int) -> list[dict[str, Any]]:
    """Train one work with everyone, in turns of the same number of epochs.

    Args:
        name: a key of `WORKS`.
        images: uint8[N, D].
        labels: int[N].
        epochs: how many; the first turn, one epoch, is not counted.

    Returns:
        A row for each peer: ours and the peer's median over the turns of the mean seconds of an epoch, their ratio, the
        spread of the turns' ratios.
    """
    work = WORKS[name]
    makers: list[Callable[[], Peer]] = [
        functools.partial(torch_slicing, work, images, labels, as_bytes=as_bytes) for as_bytes in (True, False)
    ]
    if not work.hidden:
        makers.append(functools.partial(sklearn_sgd, work, images, labels))
    peers = [Remote(make) for make in makers]
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    turns: list[int] = []

    def everyone_else(history: dict[str, np.ndarray]) -> None:
        turns.append(len(history["loss"]) - sum(turns))
        for peer in peers:
            seconds[peer.name].append(peer.seconds(turns[-1]))

    def make_task(h: dict[str, jax.Array]) -> training.Task:
        init = initializers.he if work.hidden else initializers.normal(0.01)
        return training.Task(
            model=models.mlp(
                images.shape[1], work.hidden, 10, init=init, dropout=h["dropout"] if work.dropout else 0.0
            ),
            loss=losses.softmax,
            penalty=lambda params: h["l2"] * losses.l2(params),
            optimizer=optax.sgd(h["learning_rate"], momentum=h["momentum"]),
            transform=preprocess.standardize,
        )

    h = {"learning_rate": work.learning_rate, "momentum": work.momentum, "l2": work.l2, "dropout": work.dropout}
    statistics = preprocess.fit_moments(images)
    run, timing = training.fit(
        make_task,
        h,
        jax.random.key(0),
        training.Data(images, labels, statistics),
        epochs=epochs,
        batch_size=work.batch_size,
        on_chunk=everyone_else,
    )
    ours = [timing.epochs[end - 1] for end in itertools.accumulate(turns)]
    scores = training.compute_scores(make_task(jax.tree.map(jnp.float32, h)), run.state.params, images, statistics)
    accuracy = float(metrics.accuracy(scores, jnp.asarray(labels)))
    return [_row(name, peer.name, ours[1:], seconds[peer.name][1:], accuracy, peer.close()) for peer in peers]


def _row(
    name: str, peer: str, ours: list[float], theirs: list[float], accuracy: float, peer_accuracy: float
) -> dict[str, Any]:
    ratios = np.divide(theirs, ours)
    return {
        "work": WORKS[name].name,
        "peer": peer,
        "ratio": float(np.median(theirs) / np.median(ours)),
        "goal": GOALS.get((name, peer.split()[0].rstrip(","))),
        "ours_s": float(np.median(ours)),
        "peer_s": float(np.median(theirs)),
        "spread": [float(ratios.min()), float(ratios.max())],
        "ours_train_accuracy": accuracy,
        "peer_train_accuracy": peer_accuracy,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("work", "peer", "jaxnn", "peer's", "ratio", "spread", "goal", "accuracy")
    for row in rows:
        table.add_row(
            row["work"],
            row["peer"],
            f"{row['ours_s']:.3f} s",
            f"{row['peer_s']:.3f} s",
            f"{row['ratio']:.1f}x",
            f"{row['spread'][0]:.1f}-{row['spread'][1]:.1f}",
            f"{row['goal']:g}x" if row["goal"] else "",
            f"{row['ours_train_accuracy']:.1%} {row['peer_train_accuracy']:.1%}",
        )
    return table


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status 0, or 2 when something that was given is wrong."""
    options = tyro.cli(Options, prog="python -m experiments.benchmark", description=__doc__, args=arguments)
    try:
        dataset = load("cifar10", data_dir=options.data_dir, validation_share=0.0)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    images, labels = dataset.train.inputs.reshape(len(dataset.train.labels), -1), dataset.train.labels
    images, labels = np.array(images[:5000] if options.quick else images), labels[: 5000 if options.quick else None]
    rows = []
    for name in options.only:
        epochs = 3 if options.quick else options.epochs or (9 if WORKS[name].hidden else 41)
        rows += measure(name, images, labels, epochs)
    Console().print(_table(rows))
    environment = artifacts.environment()
    environment["versions"]["torch"] = torch.__version__
    environment["threads"] = os.cpu_count()
    artifacts.write_json(options.out, {"machine": environment.pop("machine"), **environment, "seed": 0, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
