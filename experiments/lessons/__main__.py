"""List the lessons in the order of the course, each with the question that it answers.

python -m experiments.lessons
"""

from __future__ import annotations

import dataclasses
import importlib
import sys

from experiments.cli import command, parser
from experiments.lessons import NAMES


@dataclasses.dataclass(frozen=True)
class Options:
    """There are none."""


def show() -> None:
    """Print the list, and how to run one lesson or all."""
    for name in NAMES:
        lesson = importlib.import_module(f"experiments.lessons.{name}").LESSON
        print(f"{name:{max(map(len, NAMES))}}  {lesson.question.en}")
    print("\nTo run one lesson: jaxnn NAME [--quick]")
    print("To run all of them and read them as a book: jaxnn report [--quick]")


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser.parse(Options, prog="jaxnn lessons", description=__doc__, args=arguments)
    return command.run(show)


if __name__ == "__main__":
    sys.exit(main())
