"""PyTorch: the loop its users write, from plain to fast forms, on all threads with a fused optimizer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # else the first optimizer would import it while being timed
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from experiments.benchmark.peers import Peer
from experiments.benchmark.process import usable_cores
from experiments.benchmark.workloads import Workload, in_complete_batches, read, read_standardized, settings, spread

Step = Callable[[Tensor, Tensor], Tensor]


def network(workload: Workload, hidden: Sequence[int], inputs: int, outputs: int) -> torch.nn.Sequential:
    """The network with random weights, from the same distribution as ours."""
    layers: list[torch.nn.Module] = []
    for into, out in itertools.pairwise((inputs, *hidden)):
        layers += [_layer(workload, into, out), torch.nn.Tanh() if workload.activation == "tanh" else torch.nn.ReLU()]
        if workload.dropout:
            layers.append(torch.nn.Dropout(workload.dropout))
    return torch.nn.Sequential(*layers, _layer(workload, hidden[-1] if hidden else inputs, outputs))


def _layer(workload: Workload, into: int, out: int) -> torch.nn.Linear:
    layer = torch.nn.Linear(into, out)
    he, xavier = (2 / into) ** 0.5, (2 / (into + out)) ** 0.5
    torch.nn.init.normal_(
        layer.weight, std=0.01 if not workload.hidden else xavier if workload.activation == "tanh" else he
    )
    torch.nn.init.zeros_(layer.bias)
    return layer


def sgd(model: torch.nn.Module, learning_rate: float, momentum: float, l2: float) -> torch.optim.SGD:
    """Fused SGD; the penalty on the weights as weight decay."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim == 2], "weight_decay": 2 * l2},
        {"params": [p for p in model.parameters() if p.ndim == 1]},
    ]
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, fused=True)


def loss_of(workload: Workload, scores: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of a batch."""
    if workload.loss == "svm":  # PyTorch divides the sum over the wrong classes by C
        return torch.nn.functional.multi_margin_loss(scores, labels) * scores.shape[1]
    return torch.nn.functional.cross_entropy(scores, labels)


def slicing_floats(workload: Workload, folder: Path) -> Peer:
    """Slices of tensors standardized before training: the fast form without a DataLoader."""
    return _trained(workload, *_tensors(workload, folder))


def slicing_bytes(workload: Workload, folder: Path) -> Peer:
    """Slices of the stored bytes, standardized batch by batch: a quarter of the memory."""
    x, y, mean, scale = _stored(workload, folder)
    return _trained(workload, x, y, prepare=lambda batch: batch.float().sub_(mean).mul_(scale))


def compiled(workload: Workload, folder: Path) -> Peer:
    """As `slicing_floats`, with forward and backward pass compiled by `torch.compile`."""
    return _trained(workload, *_tensors(workload, folder), compile=True)


def compiled_bytes(workload: Workload, folder: Path) -> Peer:
    """As `slicing_bytes`, with standardization, forward and backward pass compiled by `torch.compile`."""
    x, y, mean, scale = _stored(workload, folder)
    return _trained(workload, x, y, prepare=lambda batch: (batch.float() - mean) * scale, compile=True)


def loader(workload: Workload, folder: Path) -> Peer:
    """The loop of the tutorials: a `DataLoader` over a `TensorDataset`."""
    x, y = _tensors(workload, folder)
    batches = DataLoader(TensorDataset(x, y), workload.batch_size, shuffle=True, drop_last=True)
    return _trained(workload, x, y, batches=batches)


def one_by_one(workload: Workload, folder: Path) -> Peer:
    """The models of a sweep one by one, as `slicing_floats`; four models are timed and scaled to all."""
    x, y = _tensors(workload, folder)
    every = settings(workload)
    models = spread(len(every), 4)
    reached: list[float] = []

    def train(units: int) -> None:
        for _ in range(units):
            reached.clear()
            for place in models:
                one = every[place]
                torch.manual_seed(one.seed)
                peer = _trained(
                    workload._replace(learning_rate=one.learning_rate, l2=one.l2),
                    x,
                    y,
                    hidden=one.hidden,
                    seed=one.seed,
                )
                peer.train(1)
                reached.extend(peer.accuracies())

    return Peer(train, lambda: reached, models=tuple(models), scale=len(every) / len(models))


def make_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: Step) -> Step:
    """`step(x, y)` updates the model in place and returns the loss before the step."""

    def step(x: Tensor, y: Tensor) -> Tensor:
        value = loss(x, y)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        return value

    return step


def _all_threads() -> None:
    torch.set_num_threads(usable_cores())


def _stored(workload: Workload, folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    _all_threads()
    examples = read(workload, folder)
    mean, scale = torch.from_numpy(examples.mean), 1 / torch.from_numpy(examples.std)
    return torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels.astype(np.int64)), mean, scale


def _tensors(workload: Workload, folder: Path) -> tuple[Tensor, Tensor]:
    _all_threads()
    x, y = read_standardized(workload, folder)
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))


def _trained(
    workload: Workload,
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
    model = network(workload, workload.hidden if hidden is None else hidden, x.shape[1], int(y.max()) + 1)
    optimizer = sgd(model, workload.learning_rate, workload.momentum, workload.l2)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return loss_of(workload, model(prepare(x)), y)

    step = make_step(model, optimizer, torch.compile(loss) if compile else loss)

    def sliced() -> None:
        for rows in torch.randperm(len(x))[: in_complete_batches(workload, len(x))].split(workload.batch_size):
            step(x.index_select(0, rows), y.index_select(0, rows))

    def loaded() -> None:
        for batch in batches or ():
            step(*batch)

    def train(units: int) -> None:
        model.train()
        for _ in range(units * workload.epochs):
            loaded() if batches is not None else sliced()

    @torch.no_grad()
    def accuracies() -> list[float]:
        model.eval()
        parts = zip(x.split(5000), y.split(5000), strict=True)
        return [sum(int((model(prepare(x)).argmax(1) == y).sum()) for x, y in parts) / len(x)]

    return Peer(train, accuracies)
