"""The peers, each written as its users write it and at its best: one epoch at a time, on the data they are given."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import SGDClassifier


class Work(NamedTuple):
    """What is trained, the same for everyone: minibatch SGD with momentum on mean loss + l2 * sum(W**2)."""

    name: str
    hidden: tuple[int, ...]
    dropout: float
    learning_rate: float
    momentum: float
    l2: float
    batch_size: int


class Peer(NamedTuple):
    """One way to do the work. `epoch()` goes once through the training examples; `accuracy()` is of all of them."""

    name: str
    epoch: Callable[[], None]
    accuracy: Callable[[], float]


class Remote:
    """A peer in a process of its own, where its threads and its memory disturb nobody else's turn."""

    def __init__(self, make: Callable[[], Peer]) -> None:
        """Start the process and make the peer there; `make` and what it holds must be picklable."""
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, make), daemon=True)
        self._process.start()
        self.name: str = self._connection.recv()

    def seconds(self, epochs: int) -> float:
        """Train so many epochs; the mean seconds of one."""
        self._connection.send(epochs)
        return self._connection.recv()

    def close(self) -> float:
        """End the process; the training accuracy reached."""
        self._connection.send(0)
        accuracy = self._connection.recv()
        self._process.join()
        return accuracy


def _serve(connection: Any, make: Callable[[], Peer]) -> None:
    peer = make()
    connection.send(peer.name)
    while epochs := connection.recv():
        clock = time.perf_counter()
        for _ in range(epochs):
            peer.epoch()
        connection.send((time.perf_counter() - clock) / epochs)
    connection.send(peer.accuracy())


def torch_slicing(work: Work, images: np.ndarray, labels: np.ndarray, *, as_bytes: bool) -> Peer:
    """PyTorch, a loop that slices tensors: the fast form without a DataLoader.

    Args:
        work: what is trained.
        images: uint8[N, D].
        labels: int[N].
        as_bytes: keep the images as bytes and standardize each batch; otherwise standardize all of them before.

    Returns:
        The peer.
    """
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    bytes_, y = torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))
    mean = torch.from_numpy(images.mean(0, dtype=np.float32))
    scale = 1 / torch.from_numpy(images.std(0, dtype=np.float32))
    x = bytes_ if as_bytes else (bytes_.float() - mean) * scale

    def prepared(batch: torch.Tensor) -> torch.Tensor:
        return (batch.float() - mean) * scale if as_bytes else batch

    sizes = (images.shape[1], *work.hidden, 10)
    layers: list[torch.nn.Module] = []
    for i, (into, out) in enumerate(itertools.pairwise(sizes)):
        layer = torch.nn.Linear(into, out)
        torch.nn.init.normal_(layer.weight, std=(2 / into) ** 0.5 if work.hidden else 0.01)
        torch.nn.init.zeros_(layer.bias)
        layers.append(layer)
        if i < len(work.hidden):
            layers += [torch.nn.ReLU()] + ([torch.nn.Dropout(work.dropout)] if work.dropout else [])
    model = torch.nn.Sequential(*layers)
    weights = [p for p in model.parameters() if p.ndim == 2]
    biases = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": weights, "weight_decay": 2 * work.l2}, {"params": biases}],
        lr=work.learning_rate,
        momentum=work.momentum,
    )

    def epoch() -> None:
        model.train()
        order = torch.randperm(len(x))
        for start in range(0, len(x) - work.batch_size + 1, work.batch_size):
            rows = order[start : start + work.batch_size]
            loss = torch.nn.functional.cross_entropy(model(prepared(x[rows])), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def accuracy() -> float:
        model.eval()
        right = sum(
            int((model(prepared(x[i : i + 5000])).argmax(1) == y[i : i + 5000]).sum()) for i in range(0, len(x), 5000)
        )
        return right / len(x)

    return Peer(f"PyTorch, {'bytes' if as_bytes else 'floats'}", epoch, accuracy)


def sklearn_sgd(work: Work, images: np.ndarray, labels: np.ndarray) -> Peer:
    """scikit-learn's SGDClassifier, one pass of `partial_fit`: one example a step, one against the rest, both cores.

    Args:
        work: what is trained; the batch size and the momentum do not exist here.
        images: uint8[N, D].
        labels: int[N].

    Returns:
        The peer.
    """
    x = images.astype(np.float32)
    x -= x.mean(0)
    x /= x.std(0)
    model = SGDClassifier(loss="log_loss", alpha=2 * work.l2, learning_rate="constant", eta0=1e-4, n_jobs=-1)
    classes = np.unique(labels)
    return Peer(
        "scikit-learn SGD",
        lambda: model.partial_fit(x, labels, classes=classes) and None,
        lambda: float(model.score(x, labels)),
    )
