"""The leaderboard: what is trained on what, and what is written."""

import json

import jax
import numpy as np
import pytest
from rich.console import Console
from sklearn.svm import SVC

from experiments import leaderboard
from experiments.classifier.config import Config
from experiments.classifier.presets import resolve
from experiments.leaderboard import Options
from experiments.leaderboards.recipes import RECIPES, Recipe, peers_on_digits
from jaxnn.data import load

TINY = Recipe("tiny", "-", 50.0, {"dataset": "digits", "hidden": (8,), "epochs": 2}, {"dropout": {"dropout": 0.0}})


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(RECIPES, "tiny", TINY)


@pytest.fixture
def trained(monkeypatch):
    """The configs that were trained; what they reach is made up."""
    seen: list[Config] = []

    def train(config, console, stored):
        seen.append(config)
        reached = {"test_accuracy": 0.5 + config.seed / 100, "validation_accuracy": 0.4 + config.seed / 100}
        return reached | {"seed": config.seed, "seconds_total": 2.0, "seconds_compile": 0.5}

    monkeypatch.setattr(leaderboard, "train", train)
    return seen


def run(tmp_path, **changes):
    options = Options(row=("tiny",), seeds=3, runs=tmp_path / "runs", out=tmp_path / "found.json")
    return leaderboard.run(Options(**vars(options) | changes), Console(quiet=True))


@pytest.mark.usefixtures("tiny")
def test_the_table_is_of_test_accuracies_after_training_on_everything(trained, tmp_path):
    [row] = run(tmp_path)["rows"]
    assert [config.seed for config in trained] == [0, 1, 2]
    assert {config.validation_share for config in trained} == {0.0}
    assert row["accuracies"] == pytest.approx([50, 51, 52])
    assert (row["mean"], row["std"]) == (pytest.approx(51), pytest.approx(np.std([50, 51, 52], ddof=1)))
    assert (row["seconds"], row["seconds_compile"], row["goal"]) == (2.0, 0.5, 50.0)
    assert row["environment"]["versions"]["jax"]


@pytest.mark.usefixtures("tiny")
def test_an_ablation_reads_validation_examples_alone_and_leaves_one_part_out(trained, tmp_path):
    rows = run(tmp_path, ablation=True, seeds=2)["rows"]
    assert {config.validation_share for config in trained} == {0.1}
    assert [config.dropout for config in trained] == [None, None, 0.0, 0.0]
    assert [row["part"] for row in rows] == ["", "dropout"]
    assert rows[0]["accuracies"] == pytest.approx([40, 41])
    assert "brings" not in rows[0]


@pytest.mark.usefixtures("tiny")
def test_what_a_part_brings_is_counted_seed_by_seed(monkeypatch, tmp_path):
    whole, without = [0.40, 0.44, 0.48], [0.39, 0.42, 0.45]

    def train(config, console, stored):
        reached = (without if config.dropout == 0 else whole)[config.seed]
        return {"validation_accuracy": reached, "seed": config.seed, "seconds_total": 2.0, "seconds_compile": 0.5}

    monkeypatch.setattr(leaderboard, "train", train)
    row = run(tmp_path, ablation=True)["rows"][1]
    assert (row["brings"], row["brings_std"]) == (pytest.approx(2.0), pytest.approx(1.0))
    assert leaderboard.with_spread(row, "brings") == "+2.00 ± 1.00"
    assert leaderboard.with_spread(row) == "42.00 ± 3.00"


def test_an_ablation_adds_what_is_not_in_the_recipe_and_may_be_shorter(monkeypatch, tmp_path):
    others = {"label smoothing": {"smoothing": 0.1}}
    recipe = {**TINY.recipe, "epochs": 8}
    monkeypatch.setitem(RECIPES, "tiny", TINY._replace(recipe=recipe, others=others, ablated=0.25))
    seen = []

    def train(config, console, stored):
        seen.append((config.epochs, config.dropout, config.smoothing))
        reached = 0.5 if config.smoothing else 0.4
        return {"validation_accuracy": reached, "seed": config.seed, "seconds_total": 2.0, "seconds_compile": 0.5}

    monkeypatch.setattr(leaderboard, "train", train)
    rows = run(tmp_path, ablation=True, seeds=1)["rows"]
    assert seen == [(2, None, 0.0), (2, 0.0, 0.0), (2, None, 0.1)]
    assert [row["config"]["epochs"] for row in rows] == [2, 2, 2]
    assert [(row["part"], row.get("brings")) for row in rows][1:] == [
        ("dropout", 0.0),
        ("label smoothing", pytest.approx(10.0)),
    ]


def test_the_budget_is_a_part_of_the_epochs_on_validation_examples(monkeypatch, trained, tmp_path):
    monkeypatch.setitem(RECIPES, "tiny", TINY._replace(recipe={**TINY.recipe, "epochs": 8}))
    rows = run(tmp_path, budget=True, seeds=2)["rows"]
    assert [(config.epochs, config.seed) for config in trained] == [(e, s) for e in (1, 2, 4, 8) for s in (0, 1)]
    assert {config.validation_share for config in trained} == {0.1}
    assert [row["config"]["epochs"] for row in rows] == [1, 2, 4, 8]
    assert [row["mean"] for row in rows] == pytest.approx([40.5] * 4)
    assert [row["part"] for row in rows] == [*(f"1/{n} of the epochs" for n in (8, 4, 2)), "all epochs"]
    assert (tmp_path / "found.png").exists()


def test_the_figure_of_the_budget_starts_from_the_whole_recipe():
    rows = [{"title": title, "mean": mean} for title in "ab" for mean in (10.0, 30.0, 40.0, 42.0)]
    [axes] = leaderboard.budget_figure(rows).axes
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}
    assert lines["a"] == lines["b"] == [-32.0, -12.0, -2.0, 0.0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1/8", "1/4", "1/2", "1"]


@pytest.mark.parametrize("count", range(1, len(RECIPES)))
def test_the_names_of_the_models_are_not_cut_off(count):
    titles = [row.title for row in RECIPES.values()][:count]
    figure = leaderboard.budget_figure([{"title": title, "mean": mean} for title in titles for mean in range(4)])
    figure.draw_without_rendering()
    [axes] = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().xmax <= figure.bbox.xmax
    assert axes.get_window_extent().width > 0.85 * figure.bbox.width


@pytest.mark.usefixtures("tiny", "trained")
def test_a_row_takes_the_place_of_the_earlier_one(tmp_path):
    run(tmp_path)
    rows = run(tmp_path, seeds=1)["rows"]
    assert [row["accuracies"] for row in rows] == [[50.0]]
    assert rows[0]["std"] is None


@pytest.mark.slow
@pytest.mark.usefixtures("tiny", "standard_promotion")
def test_finished_runs_are_used_again_and_another_recipe_is_refused(tmp_path, monkeypatch):
    first = run(tmp_path, seeds=1)
    written = (tmp_path / "runs/tiny/all/0/summary.json").stat().st_mtime_ns
    assert run(tmp_path, seeds=1)["rows"][0]["accuracies"] == first["rows"][0]["accuracies"]
    assert (tmp_path / "runs/tiny/all/0/summary.json").stat().st_mtime_ns == written
    monkeypatch.setitem(RECIPES, "tiny", TINY._replace(recipe={**TINY.recipe, "epochs": 3}))
    with pytest.raises(ValueError, match=r"another recipe .*epochs 2 there, 3 now"):
        run(tmp_path, seeds=1)


@pytest.mark.usefixtures("trained")
def test_a_row_without_a_goal_is_to_reach_its_best_peer(monkeypatch, tmp_path):
    peers = lambda seeds: [{"name": "a", "mean": 40.0 + seeds}, {"name": "b", "mean": 41.0}]
    monkeypatch.setitem(RECIPES, "tiny", TINY._replace(goal=None, peers=peers))
    [row] = run(tmp_path)["rows"]
    assert (row["goal"], [peer["name"] for peer in row["peers"]]) == (43.0, ["a", "b"])
    assert run(tmp_path, quick=True)["rows"][0]["peers"] == []


@pytest.mark.slow
def test_the_peers_are_what_scikit_learn_gives():
    digits = load("digits", validation_share=0)
    train, test = (split.inputs.reshape(len(split.labels), -1) / 16 for split in (digits.train, digits.test))
    machine, network = peers_on_digits(1)
    expected = SVC(**machine["config"]).fit(train, digits.train.labels).score(test, digits.test.labels)
    assert machine["mean"] == pytest.approx(100 * expected, abs=0.3)
    assert 96 < network["mean"] < 100


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_and_what_replaces_its_parts_can_be_trained(name):
    row = RECIPES[name]
    digits = load("digits", validation_share=0)
    for changes in ({}, *row.parts.values(), *row.others.values()):
        recipe = {**row.recipe, **changes}
        assert set(changes) <= set(vars(Config()))
        fitting = {"batch_size": 32, "components": 20 if recipe.get("components") else None}
        resolve(Config(**recipe | fitting), digits)


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="there is a GPU")
def test_a_row_for_a_gpu_is_refused_without_one_and_can_be_tried(trained, tmp_path):
    with pytest.raises(ValueError, match=r"--row deep-gpu needs a GPU.*--quick"):
        run(tmp_path, row=("deep-gpu",))
    assert trained == []
    run(tmp_path, row=("deep-gpu",), seeds=1, quick=True)
    assert [config.quick for config in trained] == [True]


WRONG = [
    (["--row", "x"], "--row x: choose from"),
    (["--seeds", "0"], "0"),
    (["--ablation", "--budget"], "--ablation and --budget"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_options_are_refused(arguments, said, tmp_path, capsys):
    assert leaderboard.main([*arguments, "--out", str(tmp_path / "found.json")]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_results_are_of_rows_that_exist():
    path = leaderboard.RESULTS / "leaderboard.json"
    for row in json.loads(path.read_text())["rows"] if path.exists() else []:
        assert row["row"] in RECIPES
        assert row["config"] == json.loads(json.dumps(dict(RECIPES[row["row"]].recipe)))


@pytest.mark.parametrize("name", ["leaderboard", "ablation", "budget"])
def test_every_stored_number_follows_from_the_accuracies_of_its_runs(name):
    rows = json.loads((leaderboard.RESULTS / f"{name}.json").read_text())["rows"]
    whole = {row["row"]: row for row in rows if not row["part"]}
    for row in rows:
        assert len(row["accuracies"]) == len(row["seeds"])
        assert row["mean"] == pytest.approx(np.mean(row["accuracies"]), abs=1e-9)
        ddof = 1 if len(row["seeds"]) > 1 else 0
        assert row["std"] == pytest.approx(np.std(row["accuracies"], ddof=ddof), abs=1e-9)
        if "brings" in row:
            of_whole = dict(zip(whole[row["row"]]["seeds"], whole[row["row"]]["accuracies"], strict=True))
            gains = [of_whole[seed] - found for seed, found in zip(row["seeds"], row["accuracies"], strict=True)]
            assert abs(row["brings"]) == pytest.approx(abs(np.mean(gains)), abs=1e-9)
