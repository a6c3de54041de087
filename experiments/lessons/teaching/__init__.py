"""What a lesson teaches, as data: idea, formulas, code, a question, exercises. Shared by command, page and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Text(NamedTuple):
    """A text in the two languages of the lessons."""

    en: str
    zh: str


class Drawing(NamedTuple):
    """A small drawing, of the parts that `idea_drawing.py` makes."""

    height: float
    alt: Text
    """What it shows, for those who cannot see it."""
    parts: Sequence[str]


class Formula(NamedTuple):
    """A formula in LaTeX, and what its symbols stand for."""

    latex: str
    symbols: Sequence[tuple[str, Text, str]]
    """Each symbol in LaTeX, its meaning, and its shape ("" for none)."""


class Question(NamedTuple):
    """Asked before the results are shown."""

    text: Text
    choices: Sequence[Text]
    right: int
    answer: Text
    """What the measured numbers say; `{label}` stands for the number measured under that label."""


class Mistake(NamedTuple):
    """A usual mistake: a wrong solution, and the hint for whoever makes it."""

    solution: Callable[..., Any]
    hint: str


class Exercise(NamedTuple):
    """A function to complete. The reference is NumPy in float64, its docstring tells the reader what to write."""

    task: Text
    solution: Callable[..., Any]
    cases: Sequence[tuple[Any, ...]]
    """Arguments to try it with; they tell all mistakes apart."""
    known: Any
    """The result for the first case as literal numbers, from a source independent of the reference."""
    mistakes: Sequence[Mistake]


class Teaching(NamedTuple):
    """The content of a lesson."""

    builds_on: Sequence[str]
    """Names of the lessons that come before it."""
    idea: Text
    drawing: Drawing
    formulas: Sequence[Formula]
    code: Sequence[Callable[..., Any]]
    """The functions that compute the formulas; the page shows their source."""
    question: Question
    exercises: Sequence[Exercise]
    reproduces: Text
    """The worked number or figure of the course that the claims reproduce."""
    playground: str = ""
    """The state of the playground in which to go on, as the fragment of its link."""
    chinese: Mapping[str, str] = {}
    """Chinese for the English labels of numbers, figures and tables; `*` in a key stands for any text, kept there."""
