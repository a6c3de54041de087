"""The benchmark of compiled programs and `--compile-for`, on the machine's own processor and with made-up results."""

import json

import jax
import pytest
from rich.console import Console

from experiments import sweep, train
from experiments.benchmark import accelerators, programs
from experiments.classifier import compile_for
from jaxnn import plots
from jaxnn.inspect import _compiled


def row(program, topology, sent=()):
    seconds = {"compute": 1e-5, "memory": 2e-5, "launches": 3e-5, "network": 0.0}
    collectives = [{"kind": "all-reduce", "bytes": size} for size in sent]
    return {"program": program, "topology": topology, "step_seconds": 3e-5, "bound": "launches", "seconds": seconds} | {
        "collectives": collectives
    }


def test_the_figure_shows_the_time_spent_computing(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "study", lambda sizes, panels, *_, **__: drawn.extend(panels))
    monkeypatch.setattr(plots, "save", lambda figure, out: None)
    rows = [row("mlp", "v5e"), row("mlp", "v5e:2x2", [4_000_000]), row("toys", "v5e"), row("toys", "v5e:2x2")]
    accelerators.draw(rows, tmp_path / "a.png")
    [panel] = drawn  # none for the GPUs, and no line for what sends nothing
    [(name, fractions)] = panel.series.items()
    assert name == "mlp"
    assert fractions[0] == 1.0
    four = 2 * 3 / 4 * 4e6 / 200e9 + 2 * 2 * 1e-6
    assert fractions[1] == pytest.approx(3e-5 / (3e-5 + four))
    assert fractions == sorted(fractions, reverse=True)


def test_rows_of_other_topologies_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerators, "measure", row)
    monkeypatch.setattr(accelerators, "summary", lambda row: "")
    monkeypatch.setattr(accelerators, "draw", lambda rows, out: None)
    out = tmp_path / "found.json"
    for topology in ("h100", "v5e", "v5e"):
        options = accelerators.Options((topology,), ("linear",), out)
        accelerators.run(options, Console(quiet=True))
    assert [one["topology"] for one in json.loads(out.read_text())["rows"]] == ["v5e", "h100"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topologies", "v5"], "'v5' is unknown; did you mean v5"),
        (["--programs", "mpl"], "--programs 'mpl' is unknown: there are linear, mlp"),
    ],
)
def test_wrong_options_are_refused(arguments, message, tmp_path, capsys):
    assert accelerators.main([*arguments, "--out", str(tmp_path / "found.json")]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("command", [train, sweep])
def test_the_command_compiles_its_program_and_trains_nothing(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    options = ["--dataset", "moons", "--hidden", "4", "--compile-for", "4xcpu", "--out", str(tmp_path / "run")]
    assert command.main(options) == 0
    shown = capsys.readouterr().out
    assert "moons, mlp" in shown
    assert "nothing is trained" in shown
    assert ("1 all-reduce" in shown) == (command is train)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--compile-for", "v5e:3x3"], "'v5e:3x3' is unknown; did you mean"),
        (["--compile-for", "8xcpu", "--batch-size", "60"], "batch_size 60 cannot be split over 8 devices"),
        (["--compile-for", "cpu", "--resume", "runs/a"], "leave out --resume"),
    ],
)
def test_what_cannot_be_compiled_is_refused(options, message, capsys):
    assert train.main(["--dataset", "moons", *options]) == 2
    assert message in capsys.readouterr().err


def test_what_does_not_fit_says_what_would():
    def describe():
        raise _compiled._too_large("v5e", 20 * 2**30, 16 * 2**30)

    levers = compile_for.Levers("--batch-size", 1024, 4 * 2**30)
    with pytest.raises(
        ValueError, match=r"needs 20\.00 GiB on each chip of v5e, which has 16\.00 GiB: 4\.00"
    ) as caught:
        compile_for.show("", describe, levers, 1, Console(quiet=True))
    for lever in ("--memory-share 0", "--batch-size 691 instead of 1024", "1.5 times as many chips", "bfloat16"):
        assert lever in str(caught.value)


@pytest.mark.usefixtures("standard_promotion")
def test_the_programs_are_those_of_the_commands():
    program = programs.PROGRAMS["1,024 toy nets"](1)
    function, options, *arrays, epochs = program.call
    shapes = jax.eval_shape(lambda *arrays: function(options, *arrays, epochs), *arrays)
    assert shapes.epoch.shape == (16, 64)
    assert (program.batch_size, program.steps) == (10, 20)
