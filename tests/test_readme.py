"""The READMEs are true: their code runs, commands parse, tables match the results, and links lead somewhere."""

import collections
import importlib
import json
import re
import shlex
import sys
import types
from pathlib import Path

import jax
import pytest
from processes import main_of
from test_architecture import public_names

from experiments import __main__ as front_door
from experiments import lessons
from experiments.cli import command
from experiments.results import __main__ as tables

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in tables.readmes()}
PAGES["experiments/README.zh.md"] = (ROOT / "experiments" / "README.zh.md").read_text(encoding="utf-8")
BLOCKS = [
    pytest.param(code, id=f"{name}-{i}")
    for name, text in PAGES.items()
    for i, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
]
TYPED = r"(?:python3? -m experiments\.|jaxnn )"
COMMANDS = sorted(
    {
        found
        for text in PAGES.values()
        for found in re.findall(rf"(?:^ {{4,}}(?:\S.* )?|`){TYPED}([\w.]+)([^`\n]*)", text, re.MULTILINE)
        if "NAME" not in found[0] and "..." not in found[1]
    }
)


@pytest.mark.parametrize("code", BLOCKS)
def test_the_code_runs(code, monkeypatch, capsys):
    logged, ends = [], []
    tracker = types.SimpleNamespace(
        log=lambda metrics, step: logged.append((step, metrics)), finish=lambda: ends.append(1)
    )
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=lambda project: tracker))
    shorter = re.sub(r"epochs=[13]0\b", "epochs=2", code)  # the same calls, on unoptimized programs
    with jax.numpy_dtype_promotion("standard"):
        exec(compile(shorter, "README.md", "exec"), {})
    if "wandb" in code:
        assert [step for step, _ in logged] == [1, 2]
        assert all({"loss", "validation_accuracy"} <= set(metrics) for _, metrics in logged)
        assert ends == [1]
    else:
        assert capsys.readouterr().out


@pytest.mark.parametrize(("module", "options"), COMMANDS, ids=lambda text: text.strip())
def test_the_commands_parse(module, options, monkeypatch):
    started = []
    monkeypatch.setattr(command, "run", lambda work, *arguments: started.append(work) or 0)
    place = front_door.MODULES.get("playground" if module == "play" else module, f"experiments.{module}")
    place += ".__main__" if (ROOT / place.replace(".", "/")).is_dir() else ""
    assert main_of(place.removeprefix("experiments."))(shlex.split(options)) == 0
    assert len(started) == 1


def test_the_main_page_is_short():
    text = PAGES["README.md"]
    assert text.count("\n") <= 200
    assert len(text.encode()) <= 12 * 1024


def test_both_languages_begin_with_the_same_two_commands():
    pages = PAGES["README.md"] + PAGES["experiments/README.zh.md"]
    first = re.findall(r"^    (python3 -m venv .*)$", pages, re.MULTILINE)
    assert len(first) == 4
    assert set(collections.Counter(first).values()) == {2}


def test_the_public_names_are_listed_with_the_line_that_imports_them():
    [page] = re.findall(r"<!-- api -->\n(.*?)<!-- end of api -->", PAGES["jaxnn/README.md"], re.DOTALL)
    found = {}
    for line in re.findall(r"`(from jaxnn\S* import [^`]+)`", page):
        names = {}
        exec(line, names)
        found |= {id(value): name for name, value in names.items()}
    for param in public_names():
        assert id(param.values[0]) in found, param.id


@pytest.mark.parametrize("summary", sorted(RESULTS.glob("*/summary.json")), ids=lambda path: path.parent.name)
def test_the_accuracies_are_those_of_the_results(summary):
    result = json.loads(summary.read_text())
    lines = PAGES["experiments/README.md"].splitlines()
    [row] = [line for line in lines if f"results/{summary.parent.name})" in line and line[0] == "|"]
    assert f"{100 * result['test_accuracy']:.2f} %" in row
    assert f"{result['peak_memory_mib']:.0f} MiB" in row


def test_the_speed_ratios_are_those_of_the_results():
    best = [row for row in json.loads((RESULTS / "benchmark.json").read_text())["rows"] if row["best_form"]]
    assert len(best) > 20
    lines = PAGES["experiments/benchmark/README.md"].splitlines()
    for result in best:
        work = result["work"] + (" \\*" if "measured" in result else "")
        [row] = [line for line in lines if line.startswith(f"| {work} | {result['peer']} |")]
        assert f" {result['ratio']:.1f}x " in row
        assert result["goal"] is None or f"| {result['goal']:g}x |" in row


def test_the_command_finds_and_corrects_what_differs(tmp_path, monkeypatch, capsys):
    assert tables.main(["--check"]) == 0
    for name, text in PAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace(" % |", " % of 12 |"), encoding="utf-8")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    assert tables.main(["--check"]) == 1
    error = capsys.readouterr().err
    assert "README.md" in error
    assert "python -m experiments.results" in error
    assert tables.main([]) == 0
    assert all((tmp_path / name).read_text(encoding="utf-8") == text for name, text in PAGES.items())
    page = tmp_path / "experiments" / "benchmark" / "README.md"
    page.write_text(PAGES["experiments/benchmark/README.md"].replace("<!-- end of speed -->", ""), encoding="utf-8")
    assert tables.main([]) == 2
    assert "<!-- end of speed -->" in capsys.readouterr().err
    assert "<!-- end of speed -->" not in page.read_text(encoding="utf-8")


def test_every_lesson_is_listed_with_its_question():
    for name in lessons.NAMES:
        question = importlib.import_module(f"experiments.lessons.{name}").LESSON.question.en
        assert f"| `{name}` | {question} |" in PAGES["experiments/lessons/README.md"]


@pytest.mark.parametrize("name", PAGES)
def test_links_and_pictures_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[name]):
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if anchor:
            page = PAGES[file.resolve().relative_to(ROOT).as_posix()]
            anchors = [
                re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", page, re.M)
            ]
            assert anchor in anchors, target


def test_the_tree_names_what_is_there():
    tree = PAGES["README.md"].partition("## Where things are")[2]
    named = set(re.findall(r"[\w.]+(?=/| |$)", tree, re.MULTILINE))
    for room in ("jaxnn", "experiments"):
        for path in (ROOT / room).iterdir():
            if path.stem.startswith((".", "_")) or path.suffix in (".md", ".ipynb") or path.name == "__pycache__":
                continue
            assert path.stem in named, path
