"""The README is true: its code runs, its numbers are those of the results, its pictures and modules are there."""

import collections
import importlib
import json
import re
import shlex
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from processes import main_of
from test_architecture import public_names

from experiments import lessons
from experiments.cli import command
from experiments.results import __main__ as readme

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "experiments" / "results"
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
TRACKER = next(i for i, code in enumerate(CODE) if "import wandb" in code)  # goes on from the code before it
COMMANDS = re.findall(r"^ {4,}(?:\S.* )?-m (experiments\.\S+)(.*)$", README, re.MULTILINE)


@pytest.mark.parametrize("code", [code for i, code in enumerate(CODE) if i not in (TRACKER - 1, TRACKER)])
def test_the_code_runs(code, capsys):
    with jax.numpy_dtype_promotion("standard"):
        exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_the_code_of_the_tracker_runs_and_tells_every_epoch_once(monkeypatch, capsys):
    told, ends = [], []
    tracker = types.SimpleNamespace(
        log=lambda measures, step: told.append((step, measures)), finish=lambda: ends.append(1)
    )
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=lambda project: tracker))
    names = {}
    with jax.numpy_dtype_promotion("standard"):
        exec(compile(CODE[TRACKER - 1], "README.md", "exec"), names)
        before = names["run"].history
        assert capsys.readouterr().out
        exec(compile(CODE[TRACKER], "README.md", "exec"), names)
    assert [step for step, _ in told] == list(range(1, 31))
    assert ends == [1]
    for name, values in before.items():  # the same training
        np.testing.assert_array_equal([measures[name] for _, measures in told], np.asarray(values))


@pytest.mark.parametrize(("module", "options"), COMMANDS, ids=lambda text: text.strip())
def test_the_commands_are_understood(module, options, monkeypatch):
    started = []
    monkeypatch.setattr(command, "run", lambda work, *arguments: started.append(work) or 0)
    place = f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module
    assert main_of(place.removeprefix("experiments."))(shlex.split(options)) == 0
    assert len(started) == 1


def test_both_languages_begin_with_the_same_two_commands():
    first = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert len(first) == 4
    assert set(collections.Counter(first).values()) == {2}


def test_the_map_leads_to_everything():
    [page] = re.findall(r"<!-- api -->\n(.*?)<!-- end of api -->", README, re.DOTALL)
    assert len(page.splitlines()) < 70  # one page
    found = {}
    for line in re.findall(r"`(from jaxnn\S* import [^`]+)`", page):
        names = {}
        exec(line, names)
        module = importlib.import_module(line.split()[1])
        for name in getattr(module, "__all__", ()):
            assert name in names, f"{line}: {name}"
        found |= {id(value): name for name, value in names.items()}
    for param in public_names():
        assert id(param.values[0]) in found, param.id


@pytest.mark.parametrize("summary", sorted(RESULTS.glob("*/summary.json")), ids=lambda path: path.parent.name)
def test_the_accuracies_are_those_of_the_results(summary):
    result = json.loads(summary.read_text())
    [row] = [line for line in README.splitlines() if f"results/{summary.parent.name})" in line and line[0] == "|"]
    assert f"{100 * result['test_accuracy']:.2f} %" in row
    assert f"{result['peak_memory_mib']:.0f} MiB" in row


def test_the_speed_ratios_are_those_of_the_results():
    best = [row for row in json.loads((RESULTS / "benchmark.json").read_text())["rows"] if row["best_form"]]
    assert len(best) > 20
    for result in best:
        [row] = [line for line in README.splitlines() if line.startswith(f"| {result['work']} | {result['peer']} |")]
        assert f" {result['ratio']:.1f}x " in row
        assert result["goal"] is None or f"| {result['goal']:g}x |" in row


def test_the_command_finds_and_mends_what_differs(tmp_path, monkeypatch, capsys):
    assert readme.main(["--check"]) == 0
    file = tmp_path / "README.md"
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    file.write_text(README.replace(" % |", " % of 12 |"))
    assert readme.main(["--check"]) == 1
    assert "python -m experiments.readme" in capsys.readouterr().err
    assert readme.main([]) == 0
    assert file.read_text() == README
    file.write_text(README.replace("<!-- end of speed -->", ""))
    assert readme.main([]) == 2
    assert "<!-- end of speed -->" in capsys.readouterr().err
    assert "<!-- end of speed -->" not in file.read_text()


def test_every_lesson_is_listed_with_its_question():
    for name in lessons.NAMES:
        question = importlib.import_module(f"experiments.lessons.{name}").LESSON.question.en
        assert f"| `{name}` | {question} |" in README


def test_pictures_and_modules_are_there():
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
    modules = re.findall(r"^\| `((?:jaxnn|experiments)[\w.]*)` \|", README, re.MULTILINE)
    assert len(modules) > 5
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module
