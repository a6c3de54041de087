"""List every command and every lesson; a name starts it.

    jaxnn
    jaxnn train --dataset cifar10
    jaxnn dropout --quick

The script `jaxnn` is installed with the package; `python -m experiments` is the same. A name stands for the module
`experiments.NAME` of a command (which `python -m` starts as well), or `experiments.lessons.NAME` of a lesson.
"""

from __future__ import annotations

import difflib
import runpy
import sys

from experiments.cli import command
from experiments.lessons import LESSONS

GROUPS = {
    "Train and use classifiers": {
        "train": "train a classifier: digits, CIFAR-10, 2-D points, or your own images and tables",
        "predict": "classify images with a trained classifier and show which pixels decided",
        "export": "write a trained classifier as a serialized JAX program, as ONNX or as a short script",
        "sweep": "train every setting of a grid with several seeds at once and choose by validation",
        "verify": "replay a finished run from its folder and certify it bit for bit",
    },
    "See and learn": {
        "playground": "train 2-D classifiers live in the browser; `jaxnn play` for short",
        "report": "run all lessons and write them as a book of HTML pages",
        "lessons": "list the lessons with their questions",
    },
    "Measure": {
        "leaderboard": "accuracy of the models of the course, trained well, on CIFAR-10 and the digits",
        "leaderboards.digits": "the digits on 20 random splits, beside scikit-learn's classifiers",
        "leaderboards.small": "CIFAR-10 with few training images, beside scikit-learn's classifiers",
        "leaderboards.linear": "how far linear functions of the pixels can go on CIFAR-10",
        "benchmark": "speed compared with PyTorch, Keras, Flax and scikit-learn",
        "benchmark.drop_in": "accuracy and speed compared with scikit-learn's own classifiers, and its own tests",
        "benchmark.drawings": "how many drawn digits a classifier recognizes, with and without each step of predict",
        "benchmark.accelerators": "programs compiled for TPUs and GPUs: memory, kernels, communication, limits",
        "benchmark.gpu": "training speed on a GPU",
        "benchmark.streaming": "reading and training of data larger than memory",
        "playground.measure": "frame rates of the playground",
        "results": "fill the tables of the READMEs from the measured results",
    },
}
MODULES = {name: f"experiments.{name}" for group in GROUPS.values() for name in group}
MODULES |= {name: f"experiments.lessons.{name}" for name in LESSONS}


def overview() -> str:
    """All commands and lessons in groups, one line each."""
    lines = ["Usage: jaxnn NAME [OPTIONS]; jaxnn NAME --help lists its options."]
    for title, commands in {**GROUPS, "Lessons, in the order of the course": LESSONS}.items():
        lines += ["", title, *(f"  {name:<24}{text}" for name, text in commands.items())]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the overview, or run the named command with the remaining arguments."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        with command.printing():
            print(overview())
        return 0
    typed, *options = arguments
    short = {name.rpartition(".")[2]: name for name in MODULES} | {"play": "playground"}
    name = short.get(typed.removeprefix("lessons."), typed)
    if name not in MODULES:
        close = difflib.get_close_matches(name, MODULES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "jaxnn lists all"
        print(f"error: no command or lesson is called {typed!r}: {hint}", file=sys.stderr)
        return 2
    sys.argv = [f"jaxnn {name}", *options]
    try:
        runpy.run_module(MODULES[name], run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "experiments", "jaxnn"):
            raise
        needed = f"{typed} needs {error.name}, which is not installed"
        print(f"error: {needed}: pip install -e '.[commands]'", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
