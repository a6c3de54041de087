"""Train on images that do not fit in memory, beside the same in memory and beside PyTorch's DataLoader.

    python -m experiments.benchmark.streaming

Makes a data set of PNG images that takes three times `--limit-mib` when it is decoded. Then, each in a process of its
own: a linear classifier is trained for one epoch on the stream, in a process that may hold only `--limit-mib` of data
(RLIMIT_DATA); the same with everything decoded in memory, with the limit, which has to fail, and without. PyTorch's
DataLoader goes through the same records, and through the same images decoded in memory, without training.

Needs the extra `bench` for PyTorch, which is left out otherwise. Takes about three minutes on 2 cores, and the disk
space of the PNG images in a temporary folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from experiments import artifacts, command

NAME, CLASSES, DIFFERENT = "tiles", 10, 500
READERS = ("stream", "memory", "torch records", "torch memory")


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes, and where the results go."""

    limit_mib: int = 640
    """What a process may hold, in MiB; the images take three times that when decoded."""
    side: int = 128
    """Height and width of an image."""
    batch_size: int = 128
    """Examples a step."""
    threads: int = 2
    """Threads (of PyTorch: processes) that read and decode."""
    steps: int | None = None
    """How many batches each reads; by default an epoch of them."""
    data: Path | None = None
    """Folder for the images, which are made where they are not there; by default a temporary one."""
    out: Path = Path("experiments/results/streaming.json")
    """The file of the results."""


def make_images(folder: Path, count: int, side: int) -> None:
    """Prepare a data set of labelled PNG images, as TFDS does it.

    Args:
        folder: of prepared sets.
        count: how many images; some hundred are different.
        side: height and width.
    """
    import tensorflow_datasets as tfds
    from PIL import Image

    random = np.random.default_rng(0)
    place = np.linspace(0, 6, side)

    def png(label: int) -> bytes:
        waves = np.sin(np.outer(place * (1 + label / 4), np.ones(side)) + random.uniform(0, 6, (3, 1, 1)))
        image = 128 + 60 * waves + random.normal(0, 1, (3, side, side))
        file = io.BytesIO()
        Image.fromarray(image.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)).save(file, "PNG")
        return file.getvalue()

    packed = [(png(i % CLASSES), i % CLASSES) for i in range(DIFFERENT)]

    class Tiles(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = NAME
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(shape=(side, side, 3)),
                "label": tfds.features.ClassLabel(num_classes=CLASSES),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), description="waves", disable_shuffling=True
            )

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
            for number in range(count):
                image, label = packed[number % DIFFERENT]
                yield number, {"image": image, "label": label}

    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(None):
        Tiles(data_dir=folder, file_format="array_record").download_and_prepare()


def decoded(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The decoded images and their labels, read into memory.

    Args:
        folder: of prepared sets.

    Returns:
        uint8[N, side, side, 3] and int32[N].
    """
    return np.load(folder / "inputs.npy"), np.load(folder / "labels.npy")


def read(reader: str, folder: Path, options: Options) -> dict[str, Any]:
    """Go through all examples once, in a process that does nothing else.

    Args:
        reader: of `READERS`; the first two train a linear classifier.
        folder: of prepared sets.
        options: see `Options`.

    Returns:
        Examples a second from the second batch on, the seconds before that, the memory in MiB along the epoch.
    """
    from jaxnn.data import source, stream

    found = source.find(NAME, folder)
    assert found is not None
    clock = time.perf_counter()
    if reader == "stream":
        examples = stream.choose(found, "train")
        assert isinstance(examples, stream.OnDisk), "it fits in memory"
        batches = _train(examples, options)
    elif reader == "memory":
        batches = _train(stream.InMemory(*decoded(folder)), options)
    else:
        on_disk = reader == "torch records"
        batches = _torch(stream.OnDisk(found, "train") if on_disk else stream.InMemory(*decoded(folder)), options)
    count = next(batches)
    start = time.perf_counter()
    done, seen = 0, [_resident_mib()]
    for step, size in enumerate(itertools.islice(batches, options.steps)):
        done += size
        if step % 20 == 0:
            seen.append(_resident_mib())
    seconds = time.perf_counter() - start
    batches.close()
    return {"rate": done / seconds, "before_s": start - clock, "examples": done + count, "resident_mib": seen}


def _train(examples: Any, options: Options) -> Generator[int, None, None]:
    import jax
    import optax

    from jaxnn import losses, models, training
    from jaxnn.data import stream

    shape = (options.side, options.side, 3)
    task = training.Task(
        models.linear(shape, CLASSES),
        losses.softmax,
        optax.sgd(1e-3),
        transform=lambda _, x: x.astype(np.float32) / 255,
    )
    key = jax.random.key(0)
    state = jax.jit(lambda: training.init_state(task, jax.random.fold_in(key, 0)))()
    update = jax.jit(training.make_update(task), donate_argnums=0)
    batches = stream.batches(examples, key, batch_size=options.batch_size, epochs=1, threads=options.threads)
    for batch in batches:
        state, metrics = update(state, batch)
        metrics.loss.block_until_ready()
        yield len(batch[1])


def _torch(examples: Any, options: Options) -> Generator[int, None, None]:
    import torch.utils.data

    class Items(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(examples)

        def __getitems__(self, rows: list[int]) -> Any:
            return examples.take(np.array(rows))

        def __getitem__(self, row: int) -> Any:
            raise NotImplementedError

    loader = torch.utils.data.DataLoader(
        Items(),
        options.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=options.threads,
        collate_fn=lambda arrays: tuple(map(torch.from_numpy, arrays)),
    )
    for _, labels in loader:
        yield len(labels)


def _resident_mib() -> float:
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) / 2**10 for line in status if line.startswith("VmRSS"))


def run(options: Options, console: Console) -> dict[str, Any]:
    """Measure all readers, write and show what they reached.

    Args:
        options: see `Options`.
        console: where the table goes.

    Returns:
        What was written.

    Raises:
        ValueError: an option is out of range.
        OSError: the disk is full, or a reader failed that should not.
    """
    for name in ("limit_mib", "side", "batch_size", "threads"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(options, name)} must be at least 1")
    count = 3 * options.limit_mib * 2**20 // (3 * options.side**2)
    rows: list[dict[str, Any]] = []
    table = Table("reader", "limit", "examples/s", "before the first", "memory at the start", "and at most")
    with contextlib.nullcontext(options.data) if options.data else tempfile.TemporaryDirectory() as chosen:
        folder = Path(chosen)
        console.print(f"{count:,} images of {options.side} x {options.side}: {3 * options.limit_mib:,} MiB decoded")
        if not (folder / "labels.npy").exists():
            make_images(folder, count, options.side)
            _decode(folder)
        torch = importlib.util.find_spec("torch") is not None
        cases = [("stream", True), ("memory", True), ("memory", False)]
        for reader, limited in cases + ([("torch records", False), ("torch memory", False)] if torch else []):
            row = {"reader": reader, "limited": limited} | _measure(reader, limited, folder, options)
            rows.append(row)
            told = [f"{options.limit_mib} MiB" if limited else "none"]
            if "error" in row:
                told += [row["error"]]
            else:
                seen = row["resident_mib"]
                told += [
                    f"{row['rate']:,.0f}",
                    f"{row['before_s']:.1f} s",
                    f"{seen[0]:.0f} MiB",
                    f"{max(seen):.0f} MiB",
                ]
            table.add_row(reader, *told)
    console.print(table)
    results = {"options": dataclasses.asdict(options), "examples": count, "decoded_mib": 3 * options.limit_mib}
    results |= {"rows": rows} | artifacts.environment()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    artifacts.write_json(options.out, results)
    return results


def _decode(folder: Path) -> None:
    from jaxnn.data import source, stream

    found = source.find(NAME, folder)
    assert found is not None
    examples = stream.OnDisk(found, "train")
    inputs = np.lib.format.open_memmap(folder / "inputs.npy", "w+", np.uint8, (len(examples), *examples.shape))
    labels = np.empty(len(examples), np.int32)
    for start in range(0, len(examples), 1000):
        rows = np.arange(start, min(start + 1000, len(examples)))
        inputs[rows], labels[rows] = examples.take(rows)
    inputs.flush()
    np.save(folder / "labels.npy", labels)


def _measure(reader: str, limited: bool, folder: Path, options: Options) -> dict[str, Any]:
    asked = json.dumps([reader, limited, str(folder), dataclasses.asdict(options)], default=str)
    program = "import sys; from experiments.benchmark import streaming; streaming.answer(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", program, asked], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    lines = [line for line in done.stderr.splitlines() if "Error" in line] or [f"status {done.returncode}"]
    error = lines[-1]
    if not limited or reader == "stream":
        raise OSError(f"{reader} failed: {error}")
    return {"error": error}


def answer(asked: str) -> None:
    """Of a process of its own: measure one reader and print what it reached.

    Args:
        asked: the reader, whether it is limited, the folder and the options, as JSON.
    """
    reader, limited, folder, given = json.loads(asked)
    options = Options(**given)
    if limited:
        limit = options.limit_mib * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    print(json.dumps(read(reader, Path(folder), options)))


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status 0, or 2 when something that was given is wrong."""
    prog = "python -m experiments.benchmark.streaming"
    return command.run(run, tyro.cli(Options, prog=prog, description=__doc__, args=arguments), Console())


if __name__ == "__main__":
    sys.exit(main())
