"""Successive halving beside the whole grid: 256 settings of a network on the digits.

    python -m experiments.benchmark.halving

Trains the same 16 learning rates x 16 penalties with `experiments.sweep`, once to the end and once with `--halving`,
and compares what they choose, on validation examples alone, the steps they take and their time, compiling included.
Expected on 2 CPU cores: some minutes.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import command, environment, files, parser
from experiments.sweeps.grid import SweepConfig

if TYPE_CHECKING:
    from rich.console import Console

RATES = tuple(0.003 * 2.0 ** (i / 2) for i in range(16))
PENALTIES = tuple(1e-6 * 10.0 ** (i / 3) for i in range(16))


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the comparison."""

    halving: int = 4
    """One of so many settings goes on after each rung."""
    first_rung: int = 6
    """Epochs for which all settings train."""
    epochs: int = 54
    """Of the settings that train to the end."""
    hidden: int = 32
    """Neurons of the hidden layer."""
    seeds: int = 3
    """Runs of each setting."""
    out: Path = Path(__file__).resolve().parents[1] / "results" / "halving.json"
    """Where the numbers are written."""


def compare(options: Options, console: Console) -> dict[str, Any]:
    """Make both sweeps; write and return what they chose and took."""
    from experiments.sweeps import running

    of_both = SweepConfig(
        dataset="digits",
        model="mlp",
        hidden=(options.hidden,),
        epochs=options.epochs,
        learning_rates=RATES,
        l2s=PENALTIES,
        seeds=options.seeds,
        chunk=(len(RATES) * len(PENALTIES), options.seeds),
        final=False,
    )
    found: dict[str, Any] = {"sweeps": {name: value for name, value in vars(options).items() if name != "out"}}
    halved = {"halving": options.halving, "first_rung": options.first_rung}
    for name, changes in (("grid", {}), ("halving", halved)):
        with tempfile.TemporaryDirectory() as folder:
            clock = time.perf_counter(), time.process_time()
            summary = running.sweep(dataclasses.replace(of_both, out=Path(folder, "sweep"), **changes), console)
            took = time.perf_counter() - clock[0], time.process_time() - clock[1]
        kept = ("settings", "best", "validation_accuracy_mean", "epochs_trained", "halving")
        found[name] = {key: summary[key] for key in kept if key in summary}
        found[name] |= {"seconds": round(took[0], 1), "cpu_seconds": round(took[1], 1)}
    found["same_choice"] = found["grid"]["best"] == found["halving"]["best"]
    found["part_of_the_steps"] = found["halving"]["epochs_trained"] / found["grid"]["epochs_trained"]
    found["part_of_the_cpu_seconds"] = found["halving"]["cpu_seconds"] / found["grid"]["cpu_seconds"]
    files.write_json(options.out, found | environment.environment())
    command.say(
        console,
        f"same choice: {found['same_choice']}; {found['part_of_the_steps']:.0%} of the steps, "
        f"{found['part_of_the_cpu_seconds']:.0%} of the CPU seconds ({options.out})",
    )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    options = parser.parse(Options, prog="jaxnn benchmark.halving", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(compare, options, Console())


if __name__ == "__main__":
    sys.exit(main())
