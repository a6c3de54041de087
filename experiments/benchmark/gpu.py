"""Sweeps and the training step on a GPU, compared with PyTorch on the same GPU in the same run.

    python -m experiments.benchmark.gpu

Trains 1,024 linear models for 100 epochs and 64 networks 3072-1024-10 for 50 epochs of CIFAR-10, all models of a sweep
at once, and times one step of such a network beside the matrix products in it. PyTorch also trains all models at once,
with stacked parameters, which is faster than one by one. Both keep the images as bytes on the GPU and multiply in TF32
where the GPU has it. CIFAR-10 is read from the cache of decoded images if there is one, without TFDS.

On a CPU, `--quick` shows that the command works; its numbers mean nothing there.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.cli import command, environment, files, parser
from jaxnn.data import load

if TYPE_CHECKING:
    import jax
    from rich.console import Console

    from jaxnn import training

MOMENTUM, BATCH = 0.9, 256


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure, and where to write it."""

    quick: bool = False
    """A trial: few models, one epoch, 2,560 examples."""
    repetitions: int = 3
    """Alternating repetitions; medians are shown."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""
    out: Path = Path("experiments/results/benchmark_gpu.json")
    """The result file."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Models of one shape with every combination of `side` rates and `side` penalties."""

    name: str
    hidden: tuple[int, ...]
    side: int
    epochs: int
    goal_s: float
    rate: float
    l2: float

    def settings(self) -> dict[str, np.ndarray]:
        """Every rate with every penalty, f32[side**2] each, from a quarter to four times the middle."""
        factors = 4.0 ** np.linspace(-1, 1, self.side)
        rates, penalties = np.meshgrid(self.rate * factors, self.l2 * factors)
        return {"learning_rate": rates.ravel().astype(np.float32), "l2": penalties.ravel().astype(np.float32)}


SWEEPS = (
    Sweep("1,024 linear models, 100 epochs", (), 32, 100, 5.0, 0.002, 0.01),
    Sweep("64 MLPs 3072-1024-10, 50 epochs", (1024,), 8, 50, 15.0, 0.01, 1e-3),
)


def make_task(hidden: tuple[int, ...], h: dict[str, Any]) -> training.Task:
    """The task of all models: softmax, l2, momentum."""
    import optax

    from jaxnn import losses, models, training
    from jaxnn.data import preprocess

    return training.Task(
        model=models.mlp(3072, hidden, 10),
        loss=losses.softmax,
        penalty=lambda params: h["l2"] * losses.l2(params),
        optimizer=optax.sgd(h["learning_rate"], momentum=MOMENTUM),
        transform=preprocess.standardize,
    )


def ours(sweep: Sweep, data: training.Data) -> Callable[[], np.ndarray]:
    """A function that trains the sweep and returns the mean loss of the last epoch, f32[models]."""
    import jax
    import jax.numpy as jnp

    from jaxnn import training

    task = functools.partial(make_task, sweep.hidden)
    options = {"epochs": sweep.epochs, "batch_size": BATCH, "keep": lambda run: run.history["loss"][..., -1]}
    data = jax.tree.map(jnp.asarray, data)
    return lambda: training.sweep(task, sweep.settings(), jax.random.key(0)[None], data, **options)[:, 0]


def pytorch(sweep: Sweep, data: training.Data) -> Callable[[], np.ndarray]:
    """As `ours`, in PyTorch: one tensor per layer holds the parameters of all models."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    images, labels = torch.tensor(data.inputs, device=device), torch.tensor(data.labels, device=device).long()
    mean = torch.tensor(np.asarray(data.statistics.mean), device=device)
    scale = 1 / torch.tensor(np.asarray(data.statistics.std), device=device)
    rate, l2 = (torch.tensor(values, device=device)[:, None, None] for values in sweep.settings().values())
    count, sizes = len(rate), (3072, *sweep.hidden, 10)

    def loss(params: list[Any], x: Any, y: Any) -> Any:
        h = x.expand(count, -1, -1)
        for i in range(0, len(params), 2):
            w, b = params[i], params[i + 1]
            if i == 0:  # one product of the shared batch with all models
                h = (x @ w.reshape(-1, w.shape[2]).T).reshape(len(x), count, -1).transpose(0, 1) + b
            else:
                h = torch.baddbmm(b, h, w.transpose(1, 2))
            h = h.relu() if i + 2 < len(params) else h
        every = torch.nn.functional.cross_entropy(h.reshape(-1, 10), y.repeat(count), reduction="none")
        return every.reshape(count, -1).mean(1)

    def train() -> np.ndarray:
        torch.manual_seed(0)
        params = []
        for into, out in itertools.pairwise(sizes):
            std = (2 / into) ** 0.5
            params.append((std * torch.randn(out, into, device=device)).repeat(count, 1, 1).requires_grad_())
            params.append(torch.zeros(count, 1, out, device=device, requires_grad=True))
        velocity = [torch.zeros_like(p) for p in params]
        total = torch.zeros(count, device=device)
        for _ in range(sweep.epochs):
            order = torch.randperm(len(images), device=device)
            total.zero_()
            for first in range(0, len(images) - BATCH + 1, BATCH):
                rows = order[first : first + BATCH]
                each = loss(params, (images[rows].float() - mean) * scale, labels[rows])
                gradients = torch.autograd.grad(each.sum(), params)
                with torch.no_grad():
                    total += each
                    for i, (p, v, g) in enumerate(zip(params, velocity, gradients, strict=True)):
                        v.mul_(MOMENTUM).add_(g)
                        if i % 2 == 0:
                            v.add_(p * (2 * l2))
                        p.sub_(rate * v)
        return (total / (len(images) // BATCH)).cpu().numpy()

    return train


def _step_and_products(data: training.Data, steps: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """`steps` steps of a network 3072-1024-10, and the matrix products of as many steps alone."""
    import jax
    import jax.numpy as jnp

    from jaxnn import training

    task, h = functools.partial(make_task, (1024,)), {"learning_rate": jnp.float32(0.01), "l2": jnp.float32(1e-3)}
    data = jax.tree.map(jnp.asarray, data)
    run = jax.jit(lambda h, key, data: training.run(task, h, key, data, epochs=1, batch_size=BATCH).history)
    x, g = jnp.ones((BATCH, 3072)), jnp.ones((BATCH, 1024))
    w, v = jnp.full((1024, 3072), 1e-3), jnp.full((10, 1024), 1e-3)

    @jax.jit
    def products(x: jax.Array, g: jax.Array, w: jax.Array, v: jax.Array) -> Any:
        def one(carry: Any, _: None) -> tuple[Any, None]:
            w, v = carry
            hidden = x @ w.T + g * 1e-9
            scores = hidden @ v.T
            back = scores @ v
            return (w + 1e-9 * (back.T @ x), v + 1e-9 * (scores.T @ hidden)), None

        return jax.lax.scan(one, (w, v), None, steps)[0]

    return lambda: jax.block_until_ready(run(h, jax.random.key(0), data)), lambda: jax.block_until_ready(
        products(x, g, w, v)
    )


def _alternate(functions: dict[str, Callable[[], Any]], repetitions: int) -> tuple[dict[str, float], dict[str, Any]]:
    """The median seconds of each function after one call that does not count, and the last result of each."""
    results = {name: function() for name, function in functions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repetitions):
        for name, function in functions.items():
            clock = time.perf_counter()
            results[name] = function()
            seconds[name].append(time.perf_counter() - clock)
    return {name: float(np.median(values)) for name, values in seconds.items()}, results


def run(options: Options, console: Console) -> dict[str, Any]:
    """Measure, write the results and show a table."""
    from rich.table import Table

    from jaxnn import training
    from jaxnn.data import preprocess

    dataset = load("cifar10", data_dir=options.data_dir, validation_share=0.0)
    count = min(len(dataset.train.labels), 2560) if options.quick else len(dataset.train.labels)
    images = np.array(dataset.train.inputs[:count].reshape(count, -1))
    data = training.Data(images, dataset.train.labels[:count], preprocess.fit_moments(images))
    table, rows = Table("workload", "jaxnn", "PyTorch", "ratio", "goal"), []
    for sweep in SWEEPS:
        if options.quick:
            sweep = dataclasses.replace(sweep, side=2, epochs=1)
        functions = {"jaxnn": ours(sweep, data)}
        if importlib.util.find_spec("torch") is not None:
            functions["PyTorch"] = pytorch(sweep, data)
        seconds, reached = _alternate(functions, options.repetitions)
        row = {"work": sweep.name, "models": sweep.side**2, "epochs": sweep.epochs, "goal_s": sweep.goal_s}
        row |= {"ours_s": seconds["jaxnn"], "peer_s": seconds.get("PyTorch")}
        row |= {f"{name}_median_loss": float(np.median(values)) for name, values in reached.items()}
        rows.append(row)
        peer = f"{row['peer_s']:.2f} s" if row["peer_s"] else "not installed"
        ratio = f"{row['peer_s'] / row['ours_s']:.1f}x" if row["peer_s"] else ""
        table.add_row(sweep.name, f"{row['ours_s']:.2f} s", peer, ratio, f"{sweep.goal_s:g} s")
    steps = count // BATCH
    step, products = _step_and_products(data, steps)
    seconds, _ = _alternate({"step": step, "products": products}, options.repetitions)
    name, over = "step 3072-1024-10", seconds["step"] / seconds["products"]
    rows.append({"work": name, **{f"{k}_us": 1e6 * v / steps for k, v in seconds.items()}, "over": over})
    table.add_row(name, f"{1e6 * seconds['step'] / steps:.0f} us", "", f"{over:.2f} x products", "1.25")
    console.print(table)
    results = environment.environment() | {"quick": options.quick, "seed": 0, "rows": rows}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(options.out, results)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for a wrong option."""
    options = parser.parse(Options, prog="jaxnn benchmark.gpu", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
