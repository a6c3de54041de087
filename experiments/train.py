"""Train a classifier and show what it learned.

    python -m experiments.train
    python -m experiments.train --dataset cifar10
    python -m experiments.train --dataset cifar10 --model linear
    python -m experiments.train --dataset cifar10 --model cnn --augment flip crop --schedule one-cycle
    python -m experiments.train --resume runs/FOLDER

Defaults depend on the data and the model: --help beside --dataset and --model shows those. An interrupted or killed run
resumes from its newest checkpoint and ends as if it had never been interrupted.

Expected on 2 CPU cores: digits 99 % test accuracy in some seconds, CIFAR-10 70 % in three minutes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import time
from typing import TYPE_CHECKING, Any

from experiments.classifier import presets
from experiments.classifier.config import Config
from experiments.cli import command, parser, rescue

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.classifier import resume


def train(config: Config, console: Console, stored: resume.SavedRun | None = None) -> dict[str, Any]:
    """Train a classifier, or resume `stored`, and write its files; returns the summary. Process 0 alone writes."""
    from experiments.classifier import multihost

    device = multihost.choose_device(config.device)
    return multihost.on_all_devices(functools.partial(train_here, device), config, console, stored)


def train_here(device: str, config: Config, console: Console, stored: resume.SavedRun | None) -> dict[str, Any]:
    """`train` in this process, over the devices of the mesh."""
    if stored is not None and stored.summary is not None:
        command.say(console, stored.nothing_to_resume(config))
        return stored.summary
    from experiments.classifier import monitoring, results
    from experiments.classifier.job import prepare

    started = time.perf_counter()
    warn = functools.partial(command.warn, console)
    job = prepare(config, stored, console)
    with contextlib.ExitStack() as held:
        out = results.new_folder(job, held) if stored is None else stored.folder
        job = job._replace(settings=dataclasses.replace(job.settings, out=out))
        results.write_config(out, job)
        for line in job.describe(device):
            command.say(console, line)
        run, timing = monitoring.fit(job, out, console, warn)
        found = results.evaluate(job, run, timing)
        rescue.write_or_rescue(lambda folder: results.write(folder, job, found, started), job.settings.rescue, out)
        console.print(results.table(found.summary, out))
        results.draw(out, results.figures(job, found), warn, svg=job.settings.svg)
    for line in results.advice(job, found):
        command.say(console, line)
    return found.summary


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, 1 if training diverged, 2 for bad input, 130 or 143 after a signal."""
    config = parser.parse(Config, prog="jaxnn train", description=__doc__, args=arguments, known=presets.defaults)
    # What follows takes a while to load: not for --help.
    from rich.console import Console

    from jaxnn import distributed, training

    training.enable_compilation_cache()
    return distributed.exit_on_failure(command.run(_run, config, Console(), arguments))


def _run(config: Config, console: Console, arguments: list[str] | None) -> None:
    from experiments.classifier import multihost, resume

    if config.compile_for is not None:
        from experiments.classifier import compile_for

        return compile_for.compile_training(config, config.compile_for, console)
    multihost.connect(config)
    with contextlib.ExitStack() as held:
        stored = None
        if config.resume is not None:
            stored = multihost.read_run(config.resume, config.device, functools.partial(command.warn, console), held)
            before = resume.config_from_json(Config, stored.settings, config.resume / "config.json")
            config = parser.parse(Config, prog="jaxnn train", description=__doc__, default=before, args=arguments)
        train(config, console, stored)


if __name__ == "__main__":
    sys.exit(main())
