"""What a sweep does: plan, train in chunks, choose by validation accuracy, train the best setting once more."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.classifier import compile_for, multihost, resume
from experiments.classifier.config import Settings
from experiments.classifier.results import draw
from experiments.cli import command, environment, files, rescue
from experiments.sweeps import halving, results, space
from experiments.sweeps.grid import NAMES, SweepConfig, is_random, on_border
from experiments.sweeps.plan import Plan, count_models, kept, make_plan, plain
from experiments.sweeps.store import Store
from experiments.train import train_here
from jaxnn import distributed, inspect, sharding, training
from jaxnn.data import Dataset


def sweep(config: SweepConfig, console: Console) -> dict[str, Any]:
    """Run a sweep and write its files; returns the summary. `config.out` may hold the same sweep, interrupted.

    Of several processes each has a folder of its own, see `multihost.own_folder`.
    """
    if config.space is not None:  # its content, so that a resumed sweep needs no file and notices a changed one
        content: Any = space.read(config.space)
        config = dataclasses.replace(config, space=content)
    if config.memory_share != SweepConfig.memory_share:
        raise ValueError(
            f"--memory-share {config.memory_share} belongs to experiments.train: a sweep keeps all images in memory"
        )
    device = multihost.choose_device(config.device)
    if jax.process_index() > 0:
        console = Console(quiet=True)
    with sharding.model_parallel(), distributed.report_lost_peers(), contextlib.ExitStack() as held:
        return _sweep(config, console, device, held)


def compile_chunk(config: SweepConfig, topology: str, console: Console) -> None:
    """Compile one chunk of the sweep for an accelerator, and train nothing."""
    multihost.choose_device("cpu")
    where = inspect.topology(topology)
    with compile_for.as_if_on(where, sharding.MODELS):
        plan = make_plan(config, console, None if where.device is None else where.device.memory / 4)
    models, seeds = (min(size, count) for size, count in zip(plan.chunk, (plan.size, config.seeds), strict=True))
    program = training.program(
        plan.make_task,
        {name: values[:models] for name, values in plan.hparams.items()},
        plan.keys[:seeds],
        plan.data,
        **plan.options,
    )
    compile_for.show(
        f"{plan.dataset.name}, {plan.settings.model}, {models} settings x {seeds} seeds at a time",
        functools.partial(inspect.describe, *program, topology=topology, axis=sharding.MODELS),
        compile_for.Levers("--chunk", models * seeds, plan.data.inputs.nbytes),
        len(plan.data.labels) // plan.settings.batch_size,
        console,
    )


def _sweep(config: SweepConfig, console: Console, device: str, held: contextlib.ExitStack) -> dict[str, Any]:
    started = time.perf_counter()
    warn = functools.partial(command.warn, console)
    plan = make_plan(config, console)
    chunk = (int(distributed.broadcast_scalar(plan.chunk[0])), int(distributed.broadcast_scalar(plan.chunk[1])))
    plan = plan._replace(chunk=chunk)  # process 0 may have another amount of memory
    dataset, settings, values, hparams, *_ = plan
    count = plan.size
    out = _folder(config, dataset, chunk, held)
    models = count * config.seeds
    how = f"{settings.epochs} epochs each"
    if config.halving is not None:
        ladder = halving.rungs(count, settings.epochs, config.halving, config.first_rung)
        how = ", ".join(f"{size} settings to epoch {end}" for size, end in ladder)
        models = sum(size for size, _ in ladder) * config.seeds
    command.say(
        console,
        f"{dataset.name}: {count} settings x {config.seeds} seeds = {count * config.seeds} models, {how}, "
        f"{chunk[0]} x {chunk[1]} at a time; on {device}",
    )
    chunks = -(-count // chunk[0]) * -(-config.seeds // chunk[1])
    if config.halving is None and (idle := jax.process_count() - chunks) > 0:
        warn(f"{idle} of {jax.process_count()} processes have nothing to do: a smaller --chunk makes more chunks")
    columns = TextColumn("model {task.completed:.0f}/{task.total:.0f}"), BarColumn(bar_width=12), TimeRemainingColumn()
    clock = time.perf_counter()
    with Progress(*columns, console=console) as bar, command.catch_signals() as signalled:
        row = bar.add_task("", total=models)
        store = Store(config, out, signalled, warn, lambda: f"{bar.tasks[row].completed:.0f} of {models} models")
        found, rungs = _train(plan, config, store, lambda done: bar.advance(row, done))
    seconds = time.perf_counter() - clock

    scores = plan.scores(found)
    mean = scores.mean(1)
    if not np.isfinite(mean).any():
        raise ValueError("every setting diverged with one seed or more: try lower learning rates")
    ranked = plan.rank(found)
    if rungs:
        ranked = ranked[np.argsort(-found["rung"][ranked, 0], kind="stable")]  # scores of later rungs count more
    best = int(ranked[0])
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
        "epochs_trained": int(found["epochs"].sum()),
        "seconds": seconds,
        "chunk": chunk,
    }
    if rungs:
        summary["halving"] = {
            "factor": config.halving,
            "rungs": rungs,
            "epochs_of_all": count * config.seeds * settings.epochs,
        }
    early = settings.early_stopping is not None
    epochs = round(float(found["best_epoch"][best].mean())) + 1 if early else settings.epochs

    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        results.write_csv(folder / "sweep.csv", hparams, values, found, scores, config)
        if config.final and "final" not in summary:
            summary["final"] = _train_best(device, config, settings, chosen, epochs, folder, console)
        summary["seconds_total"] = time.perf_counter() - started
        files.write_json(folder / "summary.json", summary | environment.environment())

    rescue.write_or_rescue(write, config.rescue, out)
    figures = results.figures(values, hparams, scores, mean, best, is_random(config), bool(rungs))
    draw(out, figures, warn, svg=config.svg)
    console.print(results.table(summary, out))
    for warning in warnings:
        warn(warning)
    return summary


def _train(
    plan: Plan, config: SweepConfig, store: Store, advance: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """The results of every model [H, S], and the rungs of a halving."""
    if config.halving is not None:
        return halving.train(plan, config.halving, config.first_rung, store, advance)
    name = lambda place: f"{place[0].start}-{place[1].start}.npz"

    def on_chunk(place: training.Chunk, results: Any) -> None:
        advance(count_models(place))
        store.keep(name(place), results)

    def recall(place: training.Chunk) -> Any:
        if (results := store.recall(name(place))) is not None:
            advance(count_models(place))
        return results

    found = training.sweep(
        plan.make_task,
        plan.hparams,
        plan.keys,
        plan.data,
        **plan.options,
        chunk=plan.chunk,
        keep=kept,
        on_chunk=on_chunk,
        recall=recall,
    )
    return found, []


def _folder(config: SweepConfig, dataset: Dataset, chunk: tuple[int, int], held: contextlib.ExitStack) -> Path:
    """The folder of the sweep, locked: new, or that of the same sweep, interrupted."""
    out = config.out or Path("runs", f"{time.strftime('%Y-%m-%d-%H%M%S')}-{files.short_name(dataset.name)}-sweep")
    asked = json.loads(files.as_json(dataclasses.asdict(config) | {"chunk": chunk}))
    data = resume.fingerprint(dataset)
    file = out / "sweep.json"
    if not out.exists():
        out.mkdir(parents=True, exist_ok=True)
    if out.is_dir():
        held.enter_context(files.locked(out))
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
    elif not out.is_dir() or any(out.iterdir()):
        raise ValueError(f"--out {out} exists and is not an empty folder or a sweep: choose another or remove it")
    (out / "chunks").mkdir(parents=True, exist_ok=True)
    files.write_sealed(file, asked | {"data": data})
    return out


def _train_best(
    device: str,
    config: SweepConfig,
    settings: Settings,
    chosen: Mapping[str, Any],
    epochs: int,
    out: Path,
    console: Console,
) -> dict[str, Any]:
    """Train the best setting on training and validation examples and read the test set once.

    Every process does so on its own devices, so that the end is that of one process.
    """
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
        with sharding.data_parallel(jax.local_devices()):
            summary = train_here(device, dataclasses.replace(plain(config), **changes), console, stored)
    except command.Interrupted as stopped:
        raise command.Interrupted(
            stopped.signum,
            f"{signal.Signals(stopped.signum).name} while training the best setting; saved in {folder}; resume with: "
            f"{resume.resume_command('sweep', out)}",
        ) from None
    return {name: summary[name] for name in ("test_accuracy", "test_loss", "epochs")}
