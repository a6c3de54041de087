"""Nothing reads a test example while something is chosen by an ablation or a budget."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from unread import forbid_test_examples

from experiments import leaderboard, train
from experiments.classifier import data, results
from experiments.classifier.config import Config
from experiments.leaderboards.recipes import RECIPES, Recipe

pytestmark = pytest.mark.usefixtures("undrawn", "standard_promotion")

TINY = Recipe("tiny", "-", 50.0, {"dataset": "digits", "hidden": (8,), "epochs": 2}, {"dropout": {"dropout": 0.0}})


@pytest.fixture(autouse=True)
def forbidden(monkeypatch):
    forbid_test_examples(monkeypatch)
    monkeypatch.setitem(RECIPES, "tiny", TINY)


def choose(tmp_path, **changes):
    console = Console(record=True, width=120, file=io.StringIO())
    options = leaderboard.Options(row=("tiny",), seeds=1, runs=tmp_path / "runs", out=tmp_path / "found.json")
    rows = leaderboard.run(leaderboard.Options(**vars(options) | changes), console)["rows"]
    return rows, console.export_text()


@pytest.mark.parametrize("purpose", ["ablation", "budget"])
def test_an_ablation_and_a_budget_never_touch_the_test_set(purpose, tmp_path, monkeypatch):
    monkeypatch.setattr(leaderboard, "FRACTIONS", (0.5, 1.0))
    rows, printed = choose(tmp_path, **{purpose: True})
    assert len(rows) == 2
    assert "validation accuracy" in printed
    assert "test accuracy" not in printed
    summaries = list((tmp_path / "runs").rglob("summary.json"))
    assert summaries
    for path in summaries:
        summary = json.loads(path.read_text())
        assert not [name for name in summary if name.startswith("test")]
        assert 0 < summary["validation_accuracy"] <= 1
        assert (path.parent / "confusion.png").exists()  # of the validation examples
        assert json.loads((path.parent / "config.json").read_text())["choosing"] is True


def test_a_stopped_run_of_a_choice_resumes_without_the_test_set(tmp_path, monkeypatch):
    out = tmp_path / "run"
    config = Config(dataset="digits", hidden=(8,), epochs=2, choosing=True, checkpoint_every=1, out=out)
    with monkeypatch.context() as stopped:
        stopped.setattr(results, "evaluate", lambda *_: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception, match="stopped"):
            train.train(config, Console(quiet=True))
    assert train.main(["--resume", str(out)]) == 0
    assert "test_accuracy" not in json.loads((out / "summary.json").read_text())


def test_a_run_of_a_choice_needs_validation_examples(tmp_path):
    config = Config(dataset="digits", choosing=True, validation_share=0.0, out=tmp_path / "run")
    with pytest.raises(ValueError, match="validation_share"):
        train.train(config, Console(quiet=True))
    assert not (tmp_path / "run").exists()


def test_choosing_is_no_option_of_the_command(capsys):
    with pytest.raises(SystemExit):
        train.main(["--choosing", "True"])
    assert "--choosing is no option" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train.main(["--help"])
    assert "choosing" not in capsys.readouterr().out


def test_the_validation_examples_take_the_place_of_the_test_examples():
    dataset = data.load_dataset(Config(dataset="digits", choosing=True))
    assert len(dataset.test.labels) == len(dataset.test.inputs) == 0
    assert dataset.test.inputs.shape[1:] == dataset.train.inputs.shape[1:]
    np.testing.assert_array_equal(data.held_out(dataset, choosing=True).labels, dataset.validation.labels)
