"""Train every setting of a grid (or random settings) with several seeds at once, and choose by validation accuracy.

    python -m experiments.sweep
    python -m experiments.sweep --dataset cifar10 --model linear --learning-rates 1e-3 2e-3 4e-3 --l2s 3e-3 1e-2 3e-2
    python -m experiments.sweep --dataset moons --widths 1 2 4 8 16 --seeds 8

All settings of one seed see the same batches in one compiled program. The best setting (highest mean validation
accuracy over the seeds) is then trained once more on training and validation examples together, and the test set is
read once.
`--resume FOLDER`, or the same command with the same --out, continues an interrupted sweep.

Expected on 2 CPU cores: 75 models of the digits in about half a minute.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from experiments.classifier.presets import defaults
from experiments.cli import command, files, parser
from experiments.sweeps.grid import SweepConfig

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM = "jaxnn sweep"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, 1 if the best setting diverged in the final training, 2 for bad input, 130 or 143
    after Control-C or SIGTERM.
    """
    config = parser.parse(SweepConfig, prog=PROGRAM, description=__doc__, args=arguments, known=defaults)
    # What follows takes a while to load: not for --help.
    from rich.console import Console

    from jaxnn import distributed, training

    training.enable_compilation_cache()
    return distributed.exit_on_failure(command.run(_run, config, Console(), arguments))


def _run(config: SweepConfig, console: Console, arguments: list[str] | None) -> None:
    from experiments.classifier import multihost, resume
    from experiments.sweeps import running

    multihost.connect(config)
    with multihost.own_folder(config.resume or config.out, "sweep.json") as folder:
        if config.resume is not None:
            assert folder is not None
            file = folder / "sweep.json"
            if not file.exists():
                raise ValueError(f"--resume {config.resume} holds no sweep: no sweep.json; give the --out of a sweep")
            before = resume.config_from_json(SweepConfig, files.read_sealed(file), file)
            config = parser.parse(SweepConfig, prog=PROGRAM, description=__doc__, default=before, args=arguments)
        config = dataclasses.replace(config, out=folder)
        if config.compile_for is not None:
            return running.compile_chunk(config, config.compile_for, console)
        running.sweep(config, console)


if __name__ == "__main__":
    sys.exit(main())
