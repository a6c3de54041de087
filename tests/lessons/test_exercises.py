"""The content of the lessons, and their exercises: solutions pass, mistakes are told apart, files are checked."""

import importlib
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from experiments.lessons import NAMES, dropout
from experiments.lessons.framework import exercises, lesson
from experiments.lessons.page import mathematics, sections
from experiments.lessons.teaching import Teaching
from experiments.playground.engine import links

TEACHING: dict[str, Teaching] = {
    name: importlib.import_module(f"experiments.lessons.teaching.{name}").TEACHING for name in NAMES
}
EXERCISES = [
    pytest.param(exercise, id=f"{name}-{exercise.solution.__name__}")
    for name, teaching in TEACHING.items()
    for exercise in teaching.exercises
]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_reference_is_right_and_every_mistake_gets_its_own_hint(exercise):
    assert exercises.same(exercise.solution(*exercise.cases[0]), exercise.known)
    assert exercises.problems(exercise, exercise.solution) == []
    with np.errstate(all="ignore"):
        for mistake in exercise.mistakes:
            failed, hint = exercises.problems(exercise, mistake.solution)
            assert hint == f"hint: {mistake.hint}"
            assert failed.startswith(exercise.solution.__name__)


def test_there_are_two_exercises_a_lesson_and_sixty_mistakes():
    assert all(len(teaching.exercises) >= 2 for teaching in TEACHING.values())
    hints = [mistake.hint for teaching in TEACHING.values() for one in teaching.exercises for mistake in one.mistakes]
    assert len(hints) >= 60
    assert all(2 <= len(teaching.question.choices) <= 3 for teaching in TEACHING.values())


def count_formulas(latex: str) -> int:
    """One for each part of a line, and of those in both languages that hold a word."""
    words = any(rf"\mathrm{{{word}}}" in latex for word in mathematics.WORDS)
    return len(latex.split(r"\qquad")) * (1 + words)


@pytest.mark.parametrize("name", NAMES)
def test_every_lesson_teaches_in_two_languages(name):
    teaching = TEACHING[name]
    assert 80 <= len(re.findall(r"\S+", teaching.idea.en)) <= 200
    assert 130 <= len(re.findall("[\u4e00-\u9fff]", teaching.idea.zh)) <= 400
    assert ElementTree.fromstring(sections.drawing(teaching.drawing)).attrib["data-zh"] == teaching.drawing.alt.zh
    texts = [teaching.idea, teaching.drawing.alt, teaching.reproduces, teaching.question.text, teaching.question.answer]
    texts += [exercise.task for exercise in teaching.exercises]
    texts += [meaning for formula in teaching.formulas for _, meaning, _ in formula.symbols]
    for text in texts:
        assert re.search("[\u4e00-\u9fff]", text.zh), text
        assert not re.search("[\u4e00-\u9fff]", text.en), text
        assert not re.search("[\u4e00-\u9fff][,;?!]", text.zh), text  # punctuation of its own
    assert set(teaching.builds_on) <= set(NAMES) - {name}
    for formula in teaching.formulas:
        latex = [formula.latex, *(symbol for symbol, *_ in formula.symbols)]
        assert sections.formula(formula).count("<math") == sum(map(count_formulas, latex))
    links.from_link(teaching.playground)


def test_a_file_is_written_completed_and_checked(tmp_path, capsys):
    folder = ["--out", str(tmp_path)]
    assert lesson.main(dropout.LESSON, None, ["--exercise", "1", *folder]) == 0
    path = tmp_path / "exercise_dropout_1.py"
    assert str(path) in capsys.readouterr().out
    begun = path.read_text()
    assert lesson.main(dropout.LESSON, None, ["--check", str(path)]) == 1
    assert "still to be written" in capsys.readouterr().err
    path.write_text(begun.replace('raise NotImplementedError("write this")', "return np.where(keep, x, 0.0)"))
    assert lesson.main(dropout.LESSON, None, ["--check", str(path)]) == 1
    assert "hint: the values that remain must be divided" in capsys.readouterr().err
    path.write_text(begun.replace('raise NotImplementedError("write this")', "return keep * x / (1 - rate)"))
    assert lesson.main(dropout.LESSON, None, ["--check", str(path)]) == 0
    assert "right" in capsys.readouterr().out
    assert lesson.main(dropout.LESSON, None, ["--exercise", "1", *folder]) == 2  # never overwritten
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ("def dropped(x, keep, rate):\n    return x[:2]", 1, "the shape is [2], expected [4]"),
        ("def dropped(x, keep, rate):\n    return None", 1, "expected [1.33333"),
        ("def dropped(x, keep):\n    return x", 1, "raises TypeError"),
        ("def drop(x):\n    return x", 2, "defines none of the functions"),
        ("1 / 0", 2, "does not run: ZeroDivisionError"),
    ],
)
def test_wrong_files_are_told_what_is_wrong(tmp_path, capsys, content, status, said):
    path = tmp_path / "mine.py"
    path.write_text(content)
    assert lesson.main(dropout.LESSON, None, ["--check", str(path)]) == status
    assert said in capsys.readouterr().err


def test_wrong_numbers_and_missing_files_are_refused(tmp_path, capsys):
    assert lesson.main(dropout.LESSON, None, ["--exercise", "9", "--out", str(tmp_path)]) == 2
    assert "has the exercises 1 to 2" in capsys.readouterr().err
    assert lesson.main(dropout.LESSON, None, ["--check", str(tmp_path / "none.py")]) == 2
    assert "none.py" in capsys.readouterr().err
