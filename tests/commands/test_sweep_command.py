"""The command that sweeps: its files, its choice, going on after it was stopped, and wrong settings."""

import csv
import json
import shutil
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.patches import Rectangle
from unread import forbid_test_examples

from experiments import sweep
from experiments.classifier import resume
from experiments.classifier.config import Settings
from experiments.cli import files
from experiments.sweeps import grid, halving
from jaxnn import plots, training

pytestmark = pytest.mark.usefixtures("undrawn", "standard_promotion")

SMALL = [
    "--dataset",
    "moons",
    "--epochs",
    "12",
    "--learning-rates",
    "0.01",
    "0.1",
    "--widths",
    "1",
    "8",
    "--seeds",
    "2",
    "--seed",
    "3",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, undrawn):
    """A small sweep in chunks of two settings and one seed, and its folder; it chooses without test examples."""
    out = tmp_path_factory.mktemp("sweep") / "run"
    with jax.numpy_dtype_promotion("standard"), pytest.MonkeyPatch.context() as patch:
        forbid_test_examples(patch)
        assert sweep.main([*SMALL, "--chunk", "2", "1", "--out", str(out)]) == 0
    return out


def read_csv(out):
    return list(csv.DictReader((out / "sweep.csv").read_text().splitlines()))


def test_every_model_has_a_row_and_the_best_mean_is_chosen(finished, undrawn):
    rows, summary = read_csv(finished), json.loads((finished / "summary.json").read_text())
    settings = sorted((float(r["learning_rate"]), int(r["width"]), int(r["seed"])) for r in rows)
    assert settings == sorted((rate, width, seed) for rate in (0.01, 0.1) for width in (1, 8) for seed in (3, 4))
    means = {}
    for row in rows:
        place = float(row["learning_rate"]), int(row["width"])
        means.setdefault(place, []).append(float(row["validation_accuracy"]))
    best = max(means, key=lambda place: np.mean(means[place]))
    assert summary["best"] == {"learning_rate": pytest.approx(best[0]), "width": best[1]}
    assert summary["validation_accuracy_mean"] == pytest.approx(np.mean(means[best]))
    assert summary["validation_accuracy_std"] == pytest.approx(np.std(means[best], ddof=1))
    assert summary["final"]["test_accuracy"] > 0.8
    assert "test_accuracy" not in json.dumps(summary | {"final": None})
    assert json.loads((finished / "best" / "config.json").read_text())["validation_share"] == 0.0
    axes = undrawn[finished / "heat_map.png"].axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("learning_rate", "width")
    shown = [float(text.get_text()) for text in axes.texts]
    assert shown == pytest.approx(
        [100 * np.mean(means[rate, width]) for rate in (0.01, 0.1) for width in (1, 8)], rel=6e-3
    )


@pytest.mark.slow
def test_a_stopped_sweep_goes_on_and_ends_the_same(finished, tmp_path, monkeypatch, capsys):
    out, trained = tmp_path / "run", []
    write = files.write_arrays

    def stop_after_two(path, tree):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(path.name)
        write(path, tree)

    command = [*SMALL, "--chunk", "2", "1", "--no-final", "--out", str(out)]
    monkeypatch.setattr(files, "write_arrays", stop_after_two)
    assert sweep.main(command) == 130
    assert not (out / "summary.json").exists()
    monkeypatch.setattr(files, "write_arrays", lambda path, tree: (trained.append(path.name), write(path, tree)))
    assert sweep.main(command) == 0
    assert sorted(trained) == ["0-0.npz", "0-1.npz", "2-0.npz", "2-1.npz"]  # each once
    assert (out / "sweep.csv").read_text() == (finished / "sweep.csv").read_text()
    capsys.readouterr()
    assert sweep.main([*command, "--l2s", "0.1"]) == 2
    assert "holds a sweep with other settings (--l2s [] there, [0.1] now" in capsys.readouterr().err
    assert sweep.main(["--resume", str(out), "--l2s", "0.1"]) == 2
    assert "--l2s [] there, [0.1] now" in capsys.readouterr().err


def test_a_signal_stops_a_sweep_after_its_chunk_and_resume_goes_on(finished, tmp_path, monkeypatch, capsys):
    """Of the two chunks that were written one is damaged: it and the rest are trained, and the end is the same."""
    out, trained = tmp_path / "run", []
    write = files.write_arrays

    def write_and_interrupt(path, tree):
        write(path, tree)
        trained.append(path.name)
        if len(trained) == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(files, "write_arrays", write_and_interrupt)
    assert sweep.main([*SMALL, "--chunk", "2", "1", "--out", str(out)]) == 143
    err = capsys.readouterr().err
    assert "stopped: SIGTERM after 4 of 8 models" in err
    assert err.strip().endswith(f"resume with: jaxnn sweep --resume {out}")
    damaged = out / "chunks" / "0-1.npz"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    (out / "chunks" / ".2-0.npz.7.tmp").write_bytes(b"half")
    assert sweep.main(["--resume", str(out)]) == 0
    assert f"{damaged} is damaged" in " ".join(capsys.readouterr().out.split())
    assert trained == ["0-0.npz", "0-1.npz", "0-1.npz", "2-0.npz", "2-1.npz", "classifier.npz"]
    assert (out / "sweep.csv").read_text() == (finished / "sweep.csv").read_text()
    for name in ("classifier.npz", "learning_curves.png"):
        assert (out / "best" / name).read_bytes() == (finished / "best" / name).read_bytes()
    assert not list(out.rglob("*.tmp"))


@pytest.mark.slow
def test_a_chunk_that_cannot_be_written_is_kept_and_tried_again(finished, tmp_path, monkeypatch, capsys):
    write, failed = files.write_arrays, []

    def full_at_first(path, tree):
        if path.parent.name == "chunks" and not failed:
            failed.append(path)
            raise OSError(28, "No space left on device")
        write(path, tree)

    out = tmp_path / "run"
    monkeypatch.setattr(files, "write_arrays", full_at_first)
    assert sweep.main([*SMALL, "--chunk", "2", "1", "--no-final", "--out", str(out)]) == 0
    assert "0-0.npz cannot be written" in " ".join(capsys.readouterr().out.split())
    assert sorted(path.name for path in (out / "chunks").iterdir()) == ["0-0.npz", "0-1.npz", "2-0.npz", "2-1.npz"]
    assert (out / "sweep.csv").read_text() == (finished / "sweep.csv").read_text()


def test_a_signal_while_chunks_cannot_be_written_saves_them_elsewhere(finished, tmp_path, monkeypatch, capsys):
    out, write, trained = tmp_path / "run", files.write_arrays, []

    def full(path, tree):
        if path.parent == out / "chunks":
            signal.raise_signal(signal.SIGINT)
            raise OSError(28, "No space left on device")
        trained.append(path.name)
        write(path, tree)

    monkeypatch.setattr(files, "write_arrays", full)
    options = [*SMALL, "--chunk", "2", "1", "--no-final", "--rescue", str(tmp_path / "rescue"), "--out", str(out)]
    assert sweep.main(options) == 130
    said = capsys.readouterr()
    assert "0-0.npz cannot be written" in " ".join(said.out.split())
    rescued = Path(said.err.split()[-1])
    assert rescued.parent == tmp_path / "rescue"
    assert trained == ["0-0.npz"]
    assert sweep.main(["--resume", str(rescued)]) == 0
    assert trained == ["0-0.npz", "0-1.npz", "2-0.npz", "2-1.npz"]
    assert (rescued / "sweep.csv").read_text() == (finished / "sweep.csv").read_text()


@pytest.mark.parametrize("damage", ["missing", "changed", "other data"])
def test_a_sweep_that_cannot_go_on_is_named(damage, finished, tmp_path, monkeypatch, capsys):
    out = shutil.copytree(finished, tmp_path / "run")
    file, said = out / "sweep.json", ""
    match damage:
        case "missing":
            file.unlink()
            said = f"--resume {out} holds no sweep"
        case "changed":
            file.write_text(file.read_text().replace('"epochs": 12', '"epochs": 13'))
            said = f"{file} is damaged or was changed"
        case "other data":
            monkeypatch.setattr(resume, "fingerprint", lambda dataset: "0")
            said = "the examples of moons differ"
    assert sweep.main(["--resume", str(out)]) == 2
    assert said in capsys.readouterr().err


def test_random_settings_lie_in_their_ranges_on_their_scales():
    config = grid.SweepConfig(learning_rates=(1e-3, 1.0), dropouts=(0.0, 0.8), widths=(2, 200), random=400)
    settings = Settings(hidden=(200,), momentum=0.9)
    h = grid.hparams_of(config, settings, grid.tried_values(config, settings))
    logs = np.log10(h["learning_rate"])
    for values, low, high in (
        (logs, -3, 0),
        (h["dropout"], 0, 0.8),
        (np.log10(h["width"]), np.log10(2), np.log10(200)),
    ):
        assert low - 1e-6 <= values.min() < low + 0.1
        assert high - 0.1 < values.max() <= high + 1e-6
        assert abs(np.mean(values) - (low + high) / 2) < 4 * (high - low) / np.sqrt(12 * 400)
    assert abs(np.corrcoef(logs, h["dropout"])[0, 1]) < 0.2
    assert h["width"].dtype == np.int32


@pytest.mark.parametrize(
    ("chosen", "warned"),
    [
        ({"learning_rate": 0.1}, []),
        ({"learning_rate": 1.0}, ["the best learning_rate, 1, is the largest tried: try larger ones"]),
        ({"learning_rate": 0.01}, ["the best learning_rate, 0.01, is the smallest tried: try smaller ones"]),
        ({"l2": 0.0}, []),  # nothing lies below
        ({"width": 1}, []),
        ({"width": 8}, ["the best width, 8, is the largest tried: try larger ones"]),
        ({"dropout": 0.5}, []),  # only one was tried
    ],
)
def test_a_choice_on_the_border_is_warned_of(chosen, warned):
    tried = {"learning_rate": (0.01, 0.1, 1.0), "l2": (0.0, 0.1), "width": (1, 8), "dropout": (0.5,)}
    assert grid.on_border(chosen, tried) == warned


def test_what_diverged_is_not_chosen(tmp_path):
    out = tmp_path / "run"
    options = ["--dataset", "moons", "--model", "linear", "--epochs", "3", "--seeds", "1", "--no-final"]
    assert sweep.main([*options, "--learning-rates", "0.1", "1e30", "--out", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["best"]["learning_rate"] == pytest.approx(0.1)
    assert summary["diverged"] == 1
    assert [row["diverged"] for row in read_csv(out)] == ["0", "1"]
    assert [row["validation_accuracy"] == "nan" for row in read_csv(out)] == [False, True]


def test_pictures_of_grids():
    figure = plots.heat_map(
        [[1.0, np.nan], [3.0, 4.0]], ("rate", [0.1, 0.2]), ("l2", [0.0, 1e-3]), "accuracy, %", (1, 1)
    )
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["1", "diverged", "3", "4"]
    [frame] = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert frame.get_xy() == (0.5, 0.5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("l2", "rate")
    with pytest.raises(ValueError, match=r"expected \(1, 2\)"):
        plots.heat_map([[1.0]], ("rate", [0.1]), ("l2", [0.0, 1e-3]), "accuracy")
    line = plots.spread_line([[1.0, 3.0], [2.0, 4.0]], ("rate", [0.1, 0.2]), "accuracy", best=1, log=True).axes[0]
    np.testing.assert_array_equal(line.lines[1].get_ydata(), [2.0, 3.0])
    assert line.get_xscale() == "log"
    with pytest.raises(ValueError, match=r"expected \[1, seeds\]"):
        plots.spread_line([[1.0], [2.0]], ("rate", [0.1]), "accuracy")


HALVED = [*SMALL, "--halving", "2", "--first-rung", "3", "--no-final"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((256, 54, 3), [(256, 2), (86, 6), (29, 18), (10, 54)]),
        ((256, 54, 4, 6), [(256, 6), (64, 24), (16, 54)]),  # the first is as long as it is said to be
        ((4, 100, 2), [(4, 25), (2, 50), (1, 100)]),  # one setting is not halved
        ((4, 100, 2, 3), [(4, 3), (2, 6), (1, 100)]),
        ((9, 2, 3), [(9, 1), (3, 2)]),
        ((1, 5, 3), [(1, 5)]),
        ((9, 1, 3), [(9, 1)]),  # an epoch is not divided
        ((9, 5, 3, 7), [(9, 5)]),
    ],
)
def test_the_rungs_of_a_halving(given, expected):
    assert halving.rungs(*given) == expected


def test_a_halved_sweep_that_was_stopped_goes_on_and_chooses_as_the_grid(finished, tmp_path, monkeypatch, capsys):
    """Scores at the end of a rung are those of the whole run there; rungs that were written are not trained again."""
    out, write, sweeps = tmp_path / "run", files.write_arrays, []

    def write_and_interrupt(path, tree):
        write(path, tree)
        if path.name == "rung-0.npz":
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(files, "write_arrays", write_and_interrupt)
    assert sweep.main([*HALVED, "--out", str(out)]) == 143
    assert "SIGTERM after 8 of 14 models" in capsys.readouterr().err
    trained = training.sweep

    def noted(*arguments, **options):
        sweeps.append(options["stop"])
        return trained(*arguments, **options)

    monkeypatch.setattr(training, "sweep", noted)
    assert sweep.main(["--resume", str(out)]) == 0
    assert sweeps == [6, 12]
    rows, whole = read_csv(out), read_csv(finished)
    ended = [("0", "3")] * 4 + [("1", "6")] * 2 + [("2", "12")] * 2
    assert sorted((row["rung"], row["epochs"]) for row in rows) == ended
    for row, of_grid in zip(rows, whole, strict=True):
        if row["rung"] == "2":
            assert float(row["validation_accuracy"]) == pytest.approx(float(of_grid["validation_accuracy"]), abs=0.03)
            assert float(row["validation_loss"]) == pytest.approx(float(of_grid["validation_loss"]), rel=1e-4)
    summary, of_grid = (json.loads((folder / "summary.json").read_text()) for folder in (out, finished))
    assert summary["best"] == of_grid["best"]
    assert summary["epochs_trained"] == 4 * 3 + 2 * 6 + 2 * 12
    assert [(rung["settings"], rung["epochs"]) for rung in summary["halving"]["rungs"]] == [(4, 3), (2, 6), (1, 12)]
    assert "rung-2.npz" in {path.name for path in (out / "chunks").iterdir()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--halving", "1"], "--halving 1: one of so many settings goes on, at least 2"),
        (["--first-rung", "2"], "--first-rung 2 belongs to --halving"),
        (["--halving", "2", "--first-rung", "0"], "--first-rung 0 must be at least 1"),
    ],
)
def test_wrong_halvings(options, said, capsys):
    assert sweep.main([*SMALL, *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_space_of_lists_is_the_grid_and_stays_with_the_sweep(finished, tmp_path, capsys):
    """Resuming needs no file; another file of the same name is another sweep."""
    file, out = tmp_path / "space.toml", tmp_path / "run"
    file.write_text("learning_rate = [0.1, 0.01]\nwidth = [1, 8]\n")
    options = ["--dataset", "moons", "--epochs", "12", "--seeds", "2", "--seed", "3", "--chunk", "2", "1", "--no-final"]
    command = [*options, "--space", str(file), "--out", str(out)]
    assert sweep.main(command) == 0
    assert (out / "sweep.csv").read_text() == (finished / "sweep.csv").read_text()
    file.write_text("learning_rate = [0.1, 0.02]\nwidth = [1, 8]\n")
    assert sweep.main(command) == 2
    assert "holds a sweep with other settings (--space" in capsys.readouterr().err
    file.unlink()
    (out / "sweep.csv").unlink()
    assert sweep.main(["--resume", str(out)]) == 0
    assert (out / "sweep.csv").read_text() == (finished / "sweep.csv").read_text()
