"""Time jaxnn beside what a user would pick instead, in one process, epoch by epoch in turn.

    python -m experiments.benchmark

Needs the extra `bench` (PyTorch) and CIFAR-10. Every peer trains the same model on the same examples with the same
batch size, rate, momentum and penalty; training accuracies, ours and the peer's, are shown beside the times.
scikit-learn's SGDClassifier goes one example at a time, so its mathematics differ.
"""

from __future__ import annotations

import dataclasses
import sys
import time
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
from experiments.benchmark.peers import Peer, Work, sklearn_sgd, torch_slicing
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
    epochs: int = 7
    """Epochs of each, the first one not counted."""
    quick: bool = False
    """A trial: two epochs on 5,000 examples."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""
    out: Path = Path("experiments/results/benchmark.json")
    """The file for the results."""


def measure(name: str, images: np.ndarray, labels: np.ndarray, epochs: int) -> list[dict[str, Any]]:
    """Train one work with everyone, epoch by epoch in turn.

    Args:
        name: a key of `WORKS`.
        images: uint8[N, D].
        labels: int[N].
        epochs: how many, the first one not counted.

    Returns:
        A row for each peer: ours and the peer's median seconds an epoch, their ratio, the spread of the ratios.
    """
    work = WORKS[name]
    peers = [torch_slicing(work, images, labels, as_bytes=as_bytes) for as_bytes in (True, False)]
    if not work.hidden:
        peers.append(sklearn_sgd(work, images, labels))
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}

    def everyone_else(history: dict[str, np.ndarray]) -> None:
        for peer in peers:
            clock = time.perf_counter()
            peer.epoch()
            seconds[peer.name].append(time.perf_counter() - clock)

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
        chunk_seconds=0.0,
    )
    scores = training.compute_scores(make_task(jax.tree.map(jnp.float32, h)), run.state.params, images, statistics)
    accuracy = float(metrics.accuracy(scores, jnp.asarray(labels)))
    return [_row(name, peer, timing.epochs[1:], seconds[peer.name][1:], accuracy) for peer in peers]


def _row(name: str, peer: Peer, ours: list[float], theirs: list[float], accuracy: float) -> dict[str, Any]:
    ratios = np.divide(theirs, ours)
    return {
        "work": WORKS[name].name,
        "peer": peer.name,
        "ratio": float(np.median(theirs) / np.median(ours)),
        "goal": GOALS.get((name, peer.name.split()[0].rstrip(","))),
        "ours_s": float(np.median(ours)),
        "peer_s": float(np.median(theirs)),
        "spread": [float(ratios.min()), float(ratios.max())],
        "ours_train_accuracy": accuracy,
        "peer_train_accuracy": peer.accuracy(),
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
    epochs = 2 if options.quick else options.epochs
    rows = [row for name in options.only for row in measure(name, images, labels, epochs)]
    Console().print(_table(rows))
    environment = artifacts.environment()
    environment["versions"]["torch"] = torch.__version__
    environment["threads"] = torch.get_num_threads()
    artifacts.write_json(options.out, {"machine": environment.pop("machine"), **environment, "seed": 0, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
