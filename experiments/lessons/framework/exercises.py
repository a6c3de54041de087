"""Exercises of the lessons: files with a function to complete, and a check that names the usual mistakes."""

from __future__ import annotations

import inspect
import runpy
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.cli import files
from experiments.lessons.teaching import Exercise


def write(lesson: str, exercises: Sequence[Exercise], number: int, folder: Path) -> Path:
    """Write the file of an exercise, `exercise_LESSON_NUMBER.py`; an existing one is never overwritten."""
    if not 1 <= number <= len(exercises):
        raise ValueError(f"--exercise {number}: this lesson has the exercises 1 to {len(exercises)}")
    path = folder / f"exercise_{lesson}_{number}.py"
    if path.exists():
        raise ValueError(f"{path} exists: complete it, or remove it to start again")
    files.write(path, starter(lesson, exercises[number - 1], path.name))
    return path


def starter(lesson: str, exercise: Exercise, name: str) -> str:
    """The file to complete: the task, and the function without its body."""
    function = exercise.solution
    signature = str(inspect.signature(function))
    task = "\n".join(textwrap.wrap(exercise.task.en, 100))
    body = textwrap.indent(f'"""{inspect.getdoc(function)}"""', "    ")
    return (
        f'"""{task}\n\n{exercise.task.zh}\n\n'
        f'Complete the function, then run: jaxnn {lesson} --check {name}\n"""\n\n'
        f"import numpy as np\n\n\ndef {function.__name__}{signature}:\n{body}\n"
        f'    raise NotImplementedError("write this")\n'
    )


def check(exercises: Sequence[Exercise], path: Path) -> list[str]:
    """What is wrong with the completed file, as lines to print; none if it is right.

    Raises OSError when the file cannot be read, ValueError when it does not run or holds none of the functions.
    """
    path.read_bytes()  # an error that names the file
    try:
        found = runpy.run_path(str(path))
    except Exception as error:  # code of the reader may raise anything
        raise ValueError(f"{path} does not run: {type(error).__name__}: {error}") from error
    chosen = [exercise for exercise in exercises if callable(found.get(exercise.solution.__name__))]
    if not chosen:
        names = ", ".join(exercise.solution.__name__ for exercise in exercises)
        raise ValueError(f"{path} defines none of the functions of this lesson's exercises: {names}")
    return [line for exercise in chosen for line in problems(exercise, found[exercise.solution.__name__])]


def problems(exercise: Exercise, function: Callable[..., Any]) -> list[str]:
    """What is wrong with a solution: the first case that fails, and the hint of the mistake with these results."""
    name, results = exercise.solution.__name__, []
    for case in exercise.cases:
        try:
            results.append(function(*(np.copy(value) if isinstance(value, np.ndarray) else value for value in case)))
        except NotImplementedError:
            return [f"{name} is still to be written"]
        except Exception as error:  # code of the reader may raise anything
            return [f"{name}{_shown(case)} raises {type(error).__name__}: {error}"]
    expected = [exercise.solution(*case) for case in exercise.cases]
    failed = next((i for i, both in enumerate(zip(results, expected, strict=True)) if not same(*both)), None)
    if failed is None:
        return []
    case = exercise.cases[failed]
    lines = [f"{name}{_shown(case)} gives {_value(results[failed])}, expected {_value(expected[failed])}"]
    for mistake in exercise.mistakes:
        wrong = [mistake.solution(*case) for case in exercise.cases]
        if all(same(*both) for both in zip(results, wrong, strict=True)):
            return [*lines, f"hint: {mistake.hint}"]
    shapes = np.shape(results[failed]), np.shape(expected[failed])
    if shapes[0] != shapes[1]:
        return [*lines, f"hint: the shape is {list(shapes[0])}, expected {list(shapes[1])}"]
    return lines


def same(found: Any, expected: Any) -> bool:
    """Whether two results have the same shape and the same numbers, to the precision of float32."""
    try:
        found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    except (TypeError, ValueError):
        return False
    return found.shape == expected.shape and np.allclose(found, expected, rtol=1e-4, atol=1e-6, equal_nan=True)


def _shown(case: Sequence[Any]) -> str:
    return f"({', '.join(_value(value) for value in case)})"


def _value(value: Any) -> str:
    if callable(value):
        return getattr(value, "__name__", "a function").strip("_")
    if isinstance(value, list) and any(isinstance(one, np.ndarray) for one in value):
        return f"[{', '.join(map(_value, value))}]"
    return np.array2string(np.asarray(value), precision=5, separator=", ", threshold=20).replace("\n", "")
