"""`train --budget`: the best measured recipe for a time, and the curve that it is read from."""

import json

import numpy as np
import pytest

from experiments.classifier import budget
from experiments.classifier.config import Config
from experiments.classifier.presets import PRESETS, apply_preset
from experiments.leaderboards import in_time
from experiments.sweeps.grid import SweepConfig, check_values

RESULTS = budget.FILE.parent


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0)])
def test_a_time_has_a_unit(text, seconds):
    assert budget.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 minutes", "-3m", "0s", "nanm", "infh"])
def test_other_times_are_refused(text):
    with pytest.raises(ValueError, match=r"give a time in seconds, minutes or hours, such as 90s, 10m or 1\.5h"):
        budget.seconds_of(text)


def test_the_best_recipe_that_fits_is_taken_with_what_it_reached():
    rows = [row for row in json.loads((RESULTS / "leaderboard.json").read_text())["rows"] if row["row"] != "digits"]
    cnn = json.loads((RESULTS / "cifar10_cnn" / "summary.json").read_text())
    for text, limit in (("80s", 80), ("2m", 120), ("4m", 240), ("7m", 420), ("10m", 600)):
        config, told = apply_preset(Config(dataset="cifar10", budget=text))
        reached = float(told.split("expected ")[1].split(" %")[0])
        assert reached >= max(round(row["mean"], 1) for row in rows if row["seconds"] <= limit)
        assert config.budget is None
    assert (config.model, config.hidden, config.epochs) == ("cnn", (32, 64, 128), 8)
    assert reached == round(100 * cnn["test_accuracy"], 1)
    assert "--model cnn" in told
    assert "measured in 519 s on AMD EPYC, 2 cores" in told


def test_three_minutes_are_the_preset():
    config, _ = apply_preset(Config(dataset="cifar10", budget="3m", seed=4))
    whole = vars(Config(dataset="cifar10", seed=4)) | PRESETS["cifar10"]
    assert {name: vars(config)[name] for name in PRESETS["cifar10"]} == PRESETS["cifar10"]
    assert config.seed == 4
    named = {name for name, value in vars(config).items() if value != whole[name]}
    assert named <= {"batch_size", "init"}  # written out in the stored run


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"dataset": "digits"}, "needs --dataset cifar10, whose recipes were measured; got digits"),
        ({"epochs": 3}, "chooses the recipe: leave out --epochs 3"),
        ({"model": "linear", "l2": 0.1}, "leave out --l2 0.1 --model linear"),
        ({"budget": "2s"}, "the fastest recipe measured takes 7 s; give at least that"),
        ({"resume": RESULTS}, "of a new run: leave it out beside --resume"),
    ],
)
def test_what_cannot_be_combined_is_named(options, wrong):
    with pytest.raises(ValueError, match=wrong):
        apply_preset(Config(**{"dataset": "cifar10", "budget": "5m", **options}))


def test_a_sweep_takes_no_budget():
    with pytest.raises(ValueError, match="--budget 5m chooses one recipe for jaxnn train"):
        check_values(SweepConfig(dataset="cifar10", budget="5m"))


def test_the_curve_is_that_of_the_stored_results():
    rows = in_time.collect(RESULTS)
    assert rows == json.loads(budget.FILE.read_text())["rows"]
    best = [row for row in rows if row["best"]]
    for row in rows:
        assert max(other["accuracy"] for other in best if other["seconds"] <= row["seconds"]) >= row["accuracy"]
    assert [row["accuracy"] for row in best] == sorted({row["accuracy"] for row in best})
    line = in_time.figure(rows).axes[0].lines[0]
    assert np.max(np.asarray(line.get_ydata())) == best[-1]["accuracy"]
    assert line.get_drawstyle() == "steps-post"


def test_a_folder_without_results_is_named(tmp_path, capsys):
    assert in_time.main(["--results", str(tmp_path)]) == 2
    assert "must have the measured results, such as leaderboard.json" in capsys.readouterr().err
