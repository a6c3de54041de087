"""Command lines of dataclasses: values, errors in one line, and the text of `--help`."""

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

import pytest

from experiments.classifier import presets
from experiments.classifier.config import Config
from experiments.cli import parser
from experiments.sweeps.grid import SweepConfig


@dataclasses.dataclass(frozen=True)
class Shared:
    """Shared by all."""

    rate: float | None = None
    """How fast,
    and how far."""
    show: bool = True
    """Show it."""


@dataclasses.dataclass(frozen=True)
class Tool(Shared):
    """Of the tool."""

    files: tuple[Path, ...] = dataclasses.field(default=(), metadata={"positional": True})
    kind: Literal["one", "two"] = "one"
    sizes: tuple[int, ...] = ()
    pair: tuple[int, int] | None = None
    strict: bool = False
    hidden: int = dataclasses.field(default=3, metadata={"option": False})


def read(line: str, kind: Any = Tool, **more):
    return parser.parse(kind, prog="tool", description="Do it.", args=line.split(), **more)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("", {}),
        ("a b --rate 1e-3", {"files": (Path("a"), Path("b")), "rate": 1e-3}),
        ("--rate -1", {"rate": -1.0}),
        ("--rate -1e-5", {"rate": -1e-5}),
        ("--rate=inf --kind two", {"rate": float("inf"), "kind": "two"}),
        ("--sizes 3 4 --no-show", {"sizes": (3, 4), "show": False}),
        ("--sizes --pair 1 2 --strict", {"pair": (1, 2), "strict": True}),
        ("--sizes 1 --sizes 2", {"sizes": (2,)}),
    ],
)
def test_values(line, values):
    assert read(line) == Tool(**values)


def test_options_not_given_keep_the_default_and_may_have_underscores():
    assert read("--kind two", default=Tool(rate=2.0, hidden=7)) == Tool(rate=2.0, kind="two", hidden=7)
    assert read("--learning_rate 0.5", Config) == Config(learning_rate=0.5)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("--rate abc", "--rate must be a number; got 'abc'"),
        ("--sizes 1.5", "--sizes must be a whole number; got '1.5'"),
        ("--kind onee", "--kind must be one of one, two; got 'onee'; did you mean one?"),
        ("--rat 1", "--rat is no option; did you mean --rate?"),
        ("--hidden 4", "--hidden is no option"),
        ("--pair 1", "--pair expected 2 arguments"),
    ],
)
def test_errors_are_one_line_that_says_what_was_expected(line, wrong, capsys):
    with pytest.raises(SystemExit) as end:
        read(line)
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: {wrong} (tool --help lists the options)\n"


def shown(line: str, capsys, kind: Any = Tool, **more) -> str:
    with pytest.raises(SystemExit) as end:
        read(f"{line} --help", kind, **more)
    assert not end.value.code
    return capsys.readouterr().out


def test_help_has_the_groups_texts_and_defaults(capsys):
    text = shown("--rate 3", capsys)
    assert re.search(
        r"usage: tool PATH \.\.\. \[OPTIONS\]\n\nDo it\.\n\nOf the tool:\n.*\n\nShared by all:\n", text, re.S
    )
    assert "How fast, and how far. (default: 3)" in text
    assert re.search(r"--no-show +Switch off: Show it\.", text)
    assert "--hidden" not in text


@pytest.mark.parametrize("kind", [Config, SweepConfig])
def test_help_of_training_names_every_option_once_and_what_is_really_used(kind, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = shown("", capsys, kind, known=presets.defaults)
    named = re.findall(r"^  --(?:no-)?([\w-]+)", text, re.MULTILINE)
    fields = {field.name.replace("_", "-") for field in dataclasses.fields(kind)} - {"choosing", "typed"}
    assert sorted(named) == sorted(fields)
    assert "None" not in text
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("  --"))
    first = ["dataset", "model", "epochs", "learning-rate", "out"]
    assert named[named.index("dataset") :][:5] == first
    for line, expected in (("", 0.05), ("--dataset cifar10", 0.08), ("--dataset cifar10 --model linear", 0.002)):
        text = " ".join(shown(line, capsys, kind, known=presets.defaults).split())
        assert f"with a schedule, its peak. (default: {expected})" in text
