"""The README is true: its code runs, its numbers are those of the results, its pictures and modules are there."""

import importlib
import json
import re
from pathlib import Path

import jax
import pytest

from experiments import readme, report

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "experiments" / "results"


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_code_runs(code, capsys):
    with jax.numpy_dtype_promotion("standard"):
        exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


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
    for name in report.NAMES:
        question = importlib.import_module(f"experiments.{name}").LESSON.question.en
        assert f"| `{name}` | {question} |" in README


def test_pictures_and_modules_are_there():
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
    modules = re.findall(r"^\| `((?:jaxnn|experiments)[\w.]*)` \|", README, re.MULTILINE)
    assert len(modules) > 5
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module
