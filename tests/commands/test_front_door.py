"""`python -m experiments`: every command and lesson in one list, and names that were mistyped."""

import contextlib
import os
import pkgutil
import textwrap
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from experiments import __main__ as front_door
from experiments.cli import command, parser
from experiments.export import Config
from experiments.lessons import NAMES

ROOT = Path(front_door.__file__).parent


def test_every_command_and_every_lesson_is_listed_on_a_line_of_its_own(capsys):
    assert front_door.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0] for line in lines if line.startswith("  ")}
    commands = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in ROOT.glob("*/__main__.py")}
    assert listed == commands | packages | set(NAMES) | {name for name in listed if "." in name}
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines if line.startswith("  "))
    assert max(map(len, lines)) <= 120
    for name in listed:
        path = ROOT / front_door.MODULES[name].removeprefix("experiments.").replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("drop-out", "dropout"), ("benchmark.gpus", "gpu")])
def test_a_mistyped_name_is_corrected(typed, meant, capsys):
    assert front_door.main([typed]) == 2
    error = capsys.readouterr().err
    assert typed in error
    assert "did you mean" in error
    assert meant in error


def test_a_name_starts_its_command_with_the_remaining_options(monkeypatch):
    started = []
    monkeypatch.setattr(
        front_door.runpy, "run_module", lambda name, **_: started.append((name, front_door.sys.argv[1:]))
    )
    monkeypatch.setattr(front_door.sys, "argv", [])
    for typed in ("dropout", "lessons.dropout", "play", "train"):
        assert front_door.main([typed, "--quick"]) == 0
    modules = ["lessons.dropout", "lessons.dropout", "playground", "train"]
    assert started == [(f"experiments.{module}", ["--quick"]) for module in modules]


def test_a_package_that_is_not_installed_is_named_with_the_way_to_install_it(monkeypatch, capsys):
    def run_module(name, **_):
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(front_door.runpy, "run_module", run_module)
    monkeypatch.setattr(front_door.sys, "argv", [])
    missing = "rich.console"
    assert front_door.main(["train"]) == 2
    assert "train needs rich.console, which is not installed: pip install -e '.[commands]'" in capsys.readouterr().err
    missing = "jaxnn.absent"  # a fault of the package itself
    with pytest.raises(ModuleNotFoundError):
        front_door.main(["train"])


def test_options_are_read_before_anything_is_loaded_that_takes_long(run_python):
    code = """
        import contextlib, io, sys
        from experiments import __main__ as front_door
        heavy = ("bokeh", "flax", "jax", "matplotlib", "optax", "pyarrow", "rich", "sklearn", "tensorflow_datasets")
        sys.modules.update(dict.fromkeys(heavy))  # importing them is an error
        for name in front_door.MODULES:
            for option, status, begins in (("--help", 0, "usage: jaxnn "), ("--wrong", 2, "error: ")):
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                    try:
                        front_door.main([name, option])
                    except SystemExit as ended:
                        assert ended.code == status, (name, option, ended.code)
                assert printed.getvalue().startswith(begins), (name, option, printed.getvalue())
        print(len(front_door.MODULES))
    """
    assert int(run_python(textwrap.dedent(code))) == len(front_door.MODULES)


def test_the_script_is_this_list():
    scripts = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]["scripts"]
    assert pkgutil.resolve_name(scripts["jaxnn"]) is front_door.main


@contextlib.contextmanager
def closed_pipe():
    """Standard output whose reader has gone, as of `| head`."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, contextlib.redirect_stdout(stream):
        yield


def test_a_command_goes_on_to_its_end_when_nobody_reads_its_output():
    done = []

    def work():
        for i in range(3):
            print("line", flush=True)
            Console().print("line")
            done.append(i)

    with closed_pipe():
        assert command.run(work) == 0
        print("after", flush=True)
    assert done == [0, 1, 2]


def test_help_into_a_closed_pipe_is_no_error():
    with closed_pipe():
        assert front_door.main([]) == 0
    with closed_pipe(), pytest.raises(SystemExit) as ended:
        parser.parse(Config, prog="p", description=None, args=["--help"])
    assert ended.value.code == 0
