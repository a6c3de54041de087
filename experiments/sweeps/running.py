"""What a sweep does: plan, train in chunks, choose by validation accuracy, train the best setting once more."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.classifier import compile_for, multihost, resume
from experiments.classifier.config import Config, Settings
from experiments.classifier.data import load_dataset, without_test
from experiments.classifier.preprocessing import fit_statistics
from experiments.classifier.presets import resolve
from experiments.classifier.results import draw
from experiments.classifier.task import task_maker
from experiments.cli import command, environment, files, rescue
from experiments.sweeps import results
from experiments.sweeps.grid import NAMES, SweepConfig, check_values, hparams_of, on_border, tried_values
from experiments.sweeps.store import ChunkStore
from experiments.train import train
from jaxnn import inspect, sharding, training
from jaxnn.data import Dataset


def sweep(config: SweepConfig, console: Console) -> dict[str, Any]:
    """Run a sweep and write its files; returns the summary. `config.out` may hold the same sweep, interrupted."""
    if config.coordinator or config.num_processes or config.process_id:
        raise ValueError(
            "--coordinator, --num-processes and --process-id belong to experiments.train: a sweep runs in one process, "
            "on all its devices; on several hosts start one sweep each, with its own settings or --seed"
        )
    if config.memory_share != SweepConfig.memory_share:
        raise ValueError(
            f"--memory-share {config.memory_share} belongs to experiments.train: a sweep keeps all images in memory"
        )
    device = multihost.choose_device(config.device)
    with sharding.model_parallel():
        return _sweep(config, console, device)


class _Plan(NamedTuple):
    """What a sweep trains."""

    dataset: Dataset
    settings: Settings
    values: dict[str, tuple[float, ...]]
    hparams: dict[str, np.ndarray]
    make_task: Callable[[Mapping[str, Any]], training.Task]
    data: training.Data
    keys: jax.Array
    chunk: tuple[int, int]


def _plan(config: SweepConfig, console: Console, memory: float | None = None) -> _Plan:
    """Load the data, complete and check the settings, and choose how many models are trained together."""
    dataset = without_test(load_dataset(config, console=console))  # read once, after the choice
    if config.validation_share == 0:
        raise ValueError("--validation-share 0: a sweep chooses by validation accuracy and needs validation examples")
    check_values(config)
    widest = {"hidden": (max(config.widths),) * len(config.hidden or (0,))} if config.widths else {}
    settings = resolve(_plain(dataclasses.replace(config, **widest)), dataset)
    values = tried_values(config, settings)
    hparams = hparams_of(config, settings, values)
    count = len(next(iter(hparams.values())))
    statistics = fit_statistics(settings, dataset.train.inputs)
    make_task = task_maker(settings, statistics, dataset.train.inputs, len(dataset.classes))
    data = training.Data(*dataset.train, statistics, evaluate={"validation": dataset.validation})
    keys = jax.vmap(jax.random.key)(jnp.arange(config.seed, config.seed + config.seeds))
    if config.chunk is not None:
        chunk = config.chunk
    elif settings.model in ("linear", "mlp"):
        fits = training.choose_chunk(make_task, hparams, keys, data, settings.batch_size, memory=memory)
        # several chunks, for a progress bar and for resuming
        chunk = math.ceil(count / math.ceil(count / min(fits[0], max(16, math.ceil(count / 8))))), fits[1]
    else:  # one convolutional network keeps a device busy, and its activations are large
        chunk = min(count, sharding.axis_size(sharding.MODELS)), 1
    return _Plan(dataset, settings, values, hparams, make_task, data, keys, chunk)


def compile_chunk(config: SweepConfig, topology: str, console: Console) -> None:
    """Compile one chunk of the sweep for an accelerator, and train nothing."""
    multihost.choose_device("cpu")
    where = inspect.topology(topology)
    with compile_for.as_if_on(where, sharding.MODELS):
        plan = _plan(config, console, None if where.device is None else where.device.memory / 4)
    models, seeds = (min(size, count) for size, count in zip(plan.chunk, (_count(plan), config.seeds), strict=True))
    program = training.program(
        plan.make_task,
        {name: values[:models] for name, values in plan.hparams.items()},
        plan.keys[:seeds],
        plan.data,
        epochs=plan.settings.epochs,
        batch_size=plan.settings.batch_size,
        select="validation_accuracy",
        patience=plan.settings.early_stopping,
    )
    compile_for.show(
        f"{plan.dataset.name}, {plan.settings.model}, {models} settings x {seeds} seeds at a time",
        functools.partial(inspect.describe, *program, topology=topology, axis=sharding.MODELS),
        compile_for.Levers("--chunk", models * seeds, plan.data.inputs.nbytes),
        len(plan.data.labels) // plan.settings.batch_size,
        console,
    )


def _count(plan: _Plan) -> int:
    return len(next(iter(plan.hparams.values())))


def _sweep(config: SweepConfig, console: Console, device: str) -> dict[str, Any]:
    started = time.perf_counter()
    warn = functools.partial(command.warn, console)
    plan = _plan(config, console)
    dataset, settings, values, hparams, make_task, data, keys, chunk = plan
    count = _count(plan)
    out = _folder(config, dataset, chunk)

    command.say(
        console,
        f"{dataset.name}: {count} settings x {config.seeds} seeds = {count * config.seeds} models, {settings.epochs} "
        f"epochs each, {chunk[0]} x {chunk[1]} at a time; on {device}",
    )
    columns = TextColumn("model {task.completed}/{task.total}"), BarColumn(bar_width=12), TimeRemainingColumn()
    clock = time.perf_counter()
    with Progress(*columns, console=console) as bar, command.catch_signals() as signalled:
        row = bar.add_task("", total=count * config.seeds)
        store = ChunkStore(config, out, count * config.seeds, signalled, warn, lambda models: bar.advance(row, models))
        found = training.sweep(
            make_task,
            hparams,
            keys,
            data,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            select="validation_accuracy",
            patience=settings.early_stopping,
            chunk=chunk,
            keep=_kept,
            on_chunk=store.keep,
            recall=store.recall,
        )
    seconds = time.perf_counter() - clock

    early = settings.early_stopping is not None
    scores = np.where(found["bad_step"] < 0, found["best" if early else "last"], np.nan)
    mean = np.where(np.isfinite(scores).all(1), scores.mean(1), np.nan)
    if not np.isfinite(mean).any():
        raise ValueError("every setting diverged with one seed or more: try lower learning rates")
    best = int(np.nanargmax(mean))
    chosen = {name: hparams[NAMES[axis]][best].item() for axis, name in NAMES.items() if axis in values}
    warnings = on_border(chosen, {NAMES[axis]: tried for axis, tried in values.items()})
    summary: dict[str, Any] = {
        "dataset": dataset.name,
        "model": settings.model,
        "settings": count,
        "seeds": config.seeds,
        "best": chosen,
        "validation_accuracy_mean": float(mean[best]),
        "validation_accuracy_std": float(scores[best].std(ddof=1)) if config.seeds > 1 else None,
        "diverged": int((found["bad_step"] >= 0).sum()),
        "warnings": warnings,
        "seconds": seconds,
        "chunk": chunk,
    }
    epochs = round(float(found["best_epoch"][best].mean())) + 1 if early else settings.epochs

    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        results.write_csv(folder / "sweep.csv", hparams, values, found, scores, config)
        if config.final and "final" not in summary:
            summary["final"] = _train_best(config, settings, chosen, epochs, folder, console)
        summary["seconds_total"] = time.perf_counter() - started
        files.write_json(folder / "summary.json", summary | environment.environment())

    rescue.write_or_rescue(write, config.rescue, out)
    draw(out, results.figures(values, hparams, scores, mean, best, config.random is not None), warn, svg=config.svg)
    console.print(results.table(summary, out))
    for warning in warnings:
        warn(warning)
    return summary


def _kept(run: training.Run) -> dict[str, Any]:
    """The results to keep of each run [settings, seeds, ...]: numbers, not parameters."""
    assert run.best is not None
    last = jnp.maximum(run.epoch - 1, 0)[..., None]
    at_last = {name: jnp.take_along_axis(values, last, -1)[..., 0] for name, values in run.history.items()}
    return {
        "epochs": run.epoch,
        "bad_step": run.bad_step,
        "best": run.best.value,
        "best_epoch": run.best.epoch,
        "last": at_last["validation_accuracy"],
        "validation_loss": at_last["validation_loss"],
        "training_accuracy": at_last["accuracy"],
    }


def _plain(config: SweepConfig) -> Config:
    return Config(**{field.name: getattr(config, field.name) for field in dataclasses.fields(Config)})


def _folder(config: SweepConfig, dataset: Dataset, chunk: tuple[int, int]) -> Path:
    """The folder of the sweep: new, or that of the same sweep, interrupted."""
    out = config.out or Path("runs", f"{time.strftime('%Y-%m-%d-%H%M%S')}-{files.short_name(dataset.name)}-sweep")
    asked = json.loads(files.as_json(dataclasses.asdict(config) | {"chunk": chunk}))
    data = resume.fingerprint(dataset)
    file = out / "sweep.json"
    if file.exists():
        files.remove_unfinished(out)
        before = files.read_sealed(file)
        if changed := resume.changed_settings(before, asked):
            raise ValueError(f"--out {out} holds a sweep with other settings ({changed}): choose another folder")
        if before["data"] != data:
            raise ValueError(
                f"--out {out} holds a sweep of other data: the examples of {dataset.name} differ from those it began "
                f"with; check --data-dir, or choose another folder"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out {out} exists and is not an empty folder or a sweep: choose another or remove it")
    (out / "chunks").mkdir(parents=True, exist_ok=True)
    files.write_sealed(file, asked | {"data": data})
    return out


def _train_best(
    config: SweepConfig, settings: Settings, chosen: Mapping[str, Any], epochs: int, out: Path, console: Console
) -> dict[str, Any]:
    """Train the best setting on training and validation examples and read the test set once."""
    changes: dict[str, Any] = {name: value for name, value in chosen.items() if name != "width"}
    if "width" in chosen:
        changes["hidden"] = (chosen["width"],) * len(settings.hidden)
    folder = out / "best"
    changes |= {"validation_share": 0.0, "early_stopping": None, "epochs": epochs, "out": folder, "resume": None}
    stored = None
    if (folder / "config.json").exists():  # the sweep was interrupted here
        stored = resume.find(folder, functools.partial(command.warn, console))
    elif folder.exists():
        shutil.rmtree(folder)
    try:
        summary = train(dataclasses.replace(_plain(config), **changes), console, stored)
    except command.Interrupted as stopped:
        raise command.Interrupted(
            stopped.signum,
            f"{signal.Signals(stopped.signum).name} while training the best setting; saved in {folder}; resume with: "
            f"{resume.resume_command('sweep', out)}",
        ) from None
    return {name: summary[name] for name in ("test_accuracy", "test_loss", "epochs")}
