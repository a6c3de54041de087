"""Stream images that do not fit in memory, compared with reading them in memory and with PyTorch's DataLoader.

    python -m experiments.benchmark.streaming

Makes a dataset of JPEG images that takes three times `--limit-mib` when decoded. Each reader goes through it in a
process of its own: `jaxnn.data.loader` with its memory limited to `--limit-mib` by a Linux control group (the system
kills a process that takes more), everything in memory without a limit, and PyTorch's DataLoader over the same records
and over the same images in memory; the readers of jaxnn also while an MLP trains.

Needs Linux and permission to make a control group (as root, in most containers); without PyTorch (extra `bench`) its
rows are left out. Takes about five minutes on 2 cores, and disk space for the images in a temporary folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.cli import command, environment, files, parser

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NAME, CLASSES, DIFFERENT = "tiles", 10, 500
OURS = ("stream", "memory", "stream, training", "memory, training")
TORCH = ("DataLoader, records", "DataLoader, memory")


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes, and where to write the results."""

    limit_mib: int = 512
    """Memory limit of a process in MiB; the decoded images take three times as much."""
    side: int = 128
    """Height and width of an image."""
    batch_size: int = 128
    """Examples per step."""
    hidden: int = 128
    """Hidden neurons of the MLP."""
    workers: int = 2
    """Threads (PyTorch: processes) that read and decode."""
    out: Path = Path("experiments/results/streaming.json")
    """The result file."""


def make_images(folder: Path, count: int, side: int) -> None:
    """Prepare a TFDS dataset of `count` labelled JPEG images."""
    import tensorflow_datasets as tfds
    from PIL import Image

    random = np.random.default_rng(0)
    place = np.linspace(0, 6, side)

    def jpeg(label: int) -> bytes:
        waves = np.sin(np.outer(place * (1 + label / 4), np.ones(side)) + random.uniform(0, 6, (3, 1, 1)))
        image = 128 + 60 * waves + random.normal(0, 10, (3, side, side))
        file = io.BytesIO()
        Image.fromarray(image.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)).save(file, "JPEG", quality=90)
        return file.getvalue()

    packed = [(jpeg(i % CLASSES), i % CLASSES) for i in range(min(count, DIFFERENT))]

    class Tiles(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = NAME
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(shape=(side, side, 3), encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(num_classes=CLASSES),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), description="waves", disable_shuffling=True
            )

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
            for number in range(count):
                image, label = packed[number % len(packed)]
                yield number, {"image": image, "label": label}

    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(None):
        Tiles(data_dir=folder, file_format="array_record").download_and_prepare()


def read(reader: str, folder: Path, options: Options) -> dict[str, Any]:
    """Speed, waiting time and memory (file pages excluded) of one epoch, in a process that does nothing else."""
    from jaxnn.data import _tfds as tfds
    from jaxnn.data import loader

    found = tfds.find(NAME, folder)
    assert found is not None
    clock = time.perf_counter()
    if "stream" in reader:
        examples = loader.open_examples(found, "train")
        assert isinstance(examples, loader.OnDisk), "it would fit in memory"
    else:
        examples = loader.open_examples(found, "train", memory_share=0.0 if "records" in reader else 1.0)
    batches = _torch_batches(examples, options) if reader in TORCH else _batches(examples, options)
    step = _training(options) if "training" in reader else lambda batch: None
    step(next(batches))
    start = time.perf_counter()
    waited, done, memory = 0.0, 0, [_own_mib()]
    while True:
        before = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - before
        if batch is None:
            break
        step(batch)
        done += len(batch[1])
        memory.append(_own_mib())
    seconds = time.perf_counter() - start
    return {
        "examples_per_second": done / seconds,
        "waiting_share": waited / seconds,
        "before_s": start - clock,
        "memory_mib": [max(part) for part in np.array_split(memory, min(10, len(memory)))],
    }


def _batches(examples: Any, options: Options) -> Iterator[Any]:
    import jax

    from jaxnn.data import loader

    key = jax.random.key(0)
    return loader.shuffled_batches(examples, key, batch_size=options.batch_size, epochs=1, threads=options.workers)


def _training(options: Options) -> Callable[[Any], None]:
    import jax
    import optax

    from jaxnn import losses, models, training

    task = training.Task(
        models.mlp((options.side, options.side, 3), (options.hidden,), CLASSES),
        losses.softmax,
        optax.sgd(1e-3),
        transform=lambda _, x: x.astype(np.float32) / 255,
    )
    state = jax.jit(lambda: training.init_state(task, jax.random.key(0)))()
    update = jax.jit(training.make_train_step(task), donate_argnums=0)

    def step(batch: Any) -> None:
        nonlocal state
        state, metrics = update(state, batch)
        metrics.loss.block_until_ready()

    return step


def _torch_batches(examples: Any, options: Options) -> Iterator[Any]:
    import torch.utils.data

    class Items(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(examples)

        def __getitems__(self, rows: list[int]) -> Any:
            return examples.take(np.array(rows))

    return iter(
        torch.utils.data.DataLoader(
            Items(),
            options.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=options.workers,
            collate_fn=lambda arrays: tuple(map(torch.from_numpy, arrays)),
        )
    )


def _own_mib() -> float:
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) / 2**10 for line in status if line.startswith("RssAnon"))


@contextlib.contextmanager
def memory_limit(size: int) -> Iterator[Path]:
    """A control group limited to `size` bytes; yields its file, to which a process writes its number to be limited."""
    old = Path("/sys/fs/cgroup/memory")
    top, limit = (old, "memory.limit_in_bytes") if old.is_dir() else (old.parent, "memory.max")
    group = top / f"jaxnn-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(size))
    except OSError as error:
        raise OSError(f"no memory limit can be set here ({error}); run it as root on Linux") from error
    try:
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def run(options: Options, console: Console) -> dict[str, Any]:
    """Measure all readers, write the results and show them."""
    for name in ("limit_mib", "side", "batch_size", "hidden", "workers"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(options, name)} must be at least 1")
    count = 3 * options.limit_mib * 2**20 // (3 * options.side**2)
    cases = [(reader, "stream" in reader) for reader in OURS]
    if importlib.util.find_spec("torch") is not None:
        cases += [(reader, False) for reader in TORCH]
    console.print(f"{count:,} images of {options.side} x {options.side}: {3 * options.limit_mib:,} MiB decoded")
    rows = []
    with tempfile.TemporaryDirectory() as chosen, memory_limit(options.limit_mib * 2**20) as limit:
        make_images(Path(chosen), count, options.side)
        for reader, limited in cases:
            row = {"reader": reader, "limited": limited} | _alone(reader, limit if limited else None, chosen, options)
            rows.append(row)
    console.print(_table(rows, options))
    results = {"options": dataclasses.asdict(options), "examples": count, "decoded_mib": 3 * options.limit_mib}
    results |= {"rows": rows, "environment": environment.environment()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(options.out, results)
    return results


def _alone(reader: str, limit: Path | None, folder: str, options: Options) -> dict[str, Any]:
    """The result of `read` in a process of its own, limited by the file of `memory_limit` if there is one."""
    request = json.dumps([reader, str(limit or os.devnull), folder, dataclasses.asdict(options)], default=str)
    program = (
        "import json, os, pathlib, sys; request = json.loads(sys.argv[1]); "
        "pathlib.Path(request[1]).write_text(str(os.getpid())); "
        "from experiments.benchmark import streaming; "
        "found = streaming.read(request[0], pathlib.Path(request[2]), streaming.Options(**request[3])); "
        "print(json.dumps(found))"
    )
    done = subprocess.run([sys.executable, "-c", program, request], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    raise OSError(f"{reader} ended with status {done.returncode}: {done.stderr[-500:]}")


def _table(rows: list[dict[str, Any]], options: Options) -> Table:
    from rich.table import Table

    table = Table("reader", "limit", "examples/s", "waiting", "before the first", "memory, first tenth", "at most")
    for row in rows:
        memory = row["memory_mib"]
        table.add_row(
            row["reader"],
            f"{options.limit_mib} MiB" if row["limited"] else "none",
            f"{row['examples_per_second']:,.0f}",
            f"{row['waiting_share']:.0%}",
            f"{row['before_s']:.1f} s",
            f"{memory[0]:,.0f} MiB",
            f"{max(memory):,.0f} MiB",
        )
    return table


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for a wrong option."""
    options = parser.parse(Options, prog="jaxnn benchmark.streaming", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(run, options, Console())


if __name__ == "__main__":
    sys.exit(main())
