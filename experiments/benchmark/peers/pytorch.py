"""PyTorch: the loop its users write, in its forms from plain to fast. All threads, fused optimizer, no copies made."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # otherwise the first optimizer would import it while it is timed
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from experiments.benchmark.peers import Peer
from experiments.benchmark.works import Work, floats, read, settings, spread

Step = Callable[[Tensor, Tensor], Tensor]


def network(work: Work, hidden: Sequence[int], inputs: int, outputs: int) -> torch.nn.Sequential:
    """The network with random weights, from the same distribution as ours.

    Args:
        work: gives activation and dropout.
        hidden: neurons of each hidden layer.
        inputs, outputs: the sizes of an example and of its scores.

    Returns:
        The module.
    """
    layers: list[torch.nn.Module] = []
    for into, out in itertools.pairwise((inputs, *hidden)):
        layers += [_layer(work, into, out), torch.nn.Tanh() if work.activation == "tanh" else torch.nn.ReLU()]
        if work.dropout:
            layers.append(torch.nn.Dropout(work.dropout))
    return torch.nn.Sequential(*layers, _layer(work, hidden[-1] if hidden else inputs, outputs))


def _layer(work: Work, into: int, out: int) -> torch.nn.Linear:
    layer = torch.nn.Linear(into, out)
    he, xavier = (2 / into) ** 0.5, (2 / (into + out)) ** 0.5
    torch.nn.init.normal_(layer.weight, std=0.01 if not work.hidden else xavier if work.activation == "tanh" else he)
    torch.nn.init.zeros_(layer.bias)
    return layer


def sgd(model: torch.nn.Module, learning_rate: float, momentum: float, l2: float) -> torch.optim.SGD:
    """The optimizer, in one fused call; the penalty on the weights as weight decay.

    Args:
        model: whose parameters.
        learning_rate, momentum, l2: as in `Work`.

    Returns:
        The optimizer.
    """
    groups = [
        {"params": [p for p in model.parameters() if p.ndim == 2], "weight_decay": 2 * l2},
        {"params": [p for p in model.parameters() if p.ndim == 1]},
    ]
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, fused=True)


def loss_of(work: Work, scores: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of a batch.

    Args:
        work: says which loss.
        scores: f32[B, C].
        labels: i64[B].

    Returns:
        f32[].
    """
    if work.loss == "svm":  # PyTorch divides the sum over the wrong classes by C
        return torch.nn.functional.multi_margin_loss(scores, labels) * scores.shape[1]
    return torch.nn.functional.cross_entropy(scores, labels)


def slicing_floats(work: Work, folder: Path) -> Peer:
    """Slices tensors that were standardized before: the fast form without a DataLoader.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    return _trained(work, *_tensors(work, folder))


def slicing_bytes(work: Work, folder: Path) -> Peer:
    """Keeps the images as bytes and standardizes each batch: a quarter of the memory.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y, mean, scale = _stored(work, folder)
    return _trained(work, x, y, prepare=lambda batch: batch.float().sub_(mean).mul_(scale))


def compiled(work: Work, folder: Path) -> Peer:
    """As `slicing_floats`, forward and backward pass compiled by `torch.compile`.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    return _trained(work, *_tensors(work, folder), compile=True)


def compiled_bytes(work: Work, folder: Path) -> Peer:
    """As `slicing_bytes`, standardizing, forward and backward pass compiled by `torch.compile`.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y, mean, scale = _stored(work, folder)
    return _trained(work, x, y, prepare=lambda batch: (batch.float() - mean) * scale, compile=True)


def loader(work: Work, folder: Path) -> Peer:
    """The loop of the tutorials: a `DataLoader` over a `TensorDataset`, example by example.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y = _tensors(work, folder)
    batches = DataLoader(TensorDataset(x, y), work.batch_size, shuffle=True, drop_last=True)
    return _trained(work, x, y, batches=batches)


def one_by_one(work: Work, folder: Path) -> Peer:
    """The models of a sweep one after the other, as `slicing_floats`: four of them, for all.

    Args:
        work: what is trained.
        folder: where the examples are.

    Returns:
        The peer.
    """
    x, y = _tensors(work, folder)
    every = settings(work)
    models = spread(len(every), 4)
    reached: list[float] = []

    def train(units: int) -> None:
        for _ in range(units):
            reached.clear()
            for place in models:
                one = every[place]
                torch.manual_seed(one.seed)
                peer = _trained(
                    work._replace(learning_rate=one.learning_rate, l2=one.l2), x, y, hidden=one.hidden, seed=one.seed
                )
                peer.train(1)
                reached.extend(peer.accuracies())

    return Peer(train, lambda: reached, models=tuple(models), scale=len(every) / len(models))


def make_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: Step) -> Step:
    """One step of training.

    Args:
        model: is changed in place.
        optimizer: of its parameters.
        loss: of a batch, as a function of (x, y); uses the model.

    Returns:
        `step(x, y)`, which returns the loss before the step.
    """

    def step(x: Tensor, y: Tensor) -> Tensor:
        value = loss(x, y)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        return value

    return step


def _all_threads() -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _stored(work: Work, folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    _all_threads()
    examples = read(work, folder)
    mean, scale = torch.from_numpy(examples.mean), 1 / torch.from_numpy(examples.std)
    return torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels.astype(np.int64)), mean, scale


def _tensors(work: Work, folder: Path) -> tuple[Tensor, Tensor]:
    _all_threads()
    examples = read(work, folder)
    return torch.from_numpy(floats(examples)), torch.from_numpy(examples.labels.astype(np.int64))


def _trained(
    work: Work,
    x: Tensor,
    y: Tensor,
    *,
    prepare: Callable[[Tensor], Tensor] = lambda batch: batch,
    batches: DataLoader | None = None,
    hidden: tuple[int, ...] | None = None,
    compile: bool = False,
    seed: int = 0,
) -> Peer:
    torch.manual_seed(seed)
    model = network(work, work.hidden if hidden is None else hidden, x.shape[1], int(y.max()) + 1)
    optimizer = sgd(model, work.learning_rate, work.momentum, work.l2)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return loss_of(work, model(prepare(x)), y)

    step = make_step(model, optimizer, torch.compile(loss) if compile else loss)

    def sliced() -> None:
        for rows in torch.randperm(len(x))[: len(x) // work.batch_size * work.batch_size].split(work.batch_size):
            step(x.index_select(0, rows), y.index_select(0, rows))

    def loaded() -> None:
        for batch in batches or ():
            step(*batch)

    def train(units: int) -> None:
        model.train()
        for _ in range(units * work.epochs):
            loaded() if batches is not None else sliced()

    @torch.no_grad()
    def accuracies() -> list[float]:
        model.eval()
        parts = zip(x.split(5000), y.split(5000), strict=True)
        return [sum(int((model(prepare(x)).argmax(1) == y).sum()) for x, y in parts) / len(x)]

    return Peer(train, accuracies)
