"""The main job, end to end: the command, its files, and what its settings mean."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments import train
from experiments.classifier import multihost
from experiments.classifier.config import Config
from experiments.classifier.presets import resolve
from experiments.cli import files
from jaxnn import checkpoint
from jaxnn.data import load

pytestmark = pytest.mark.usefixtures("undrawn", "standard_promotion")
FIGURES = ("learning_curves", "confusion", "templates", "mistakes")


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    """A quick run of the command in a process of its own: its folder and what it printed."""
    out = tmp_path_factory.mktemp("train") / "run"
    command = [sys.executable, "-m", "experiments.train", "--quick", "--seed", "3", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def read_history(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "history.csv").read_text().splitlines()))


def test_the_command_writes_every_file_and_no_other(quick_run):
    out, _ = quick_run
    names = {path.name for path in out.iterdir()}
    figures = {f"{name}.png" for name in FIGURES}
    files = {"config.json", "summary.json", "history.csv", "classifier.npz", "form.npz", "SHA256SUMS", "tensorboard"}
    assert names == files | figures
    for path in out.glob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_command_prints_the_device_the_compile_time_and_a_table(quick_run):
    out, printed = quick_run
    summary = json.loads((out / "summary.json").read_text())
    assert "on cpu" in printed
    assert f"{summary['test_accuracy']:.2%}" in printed
    assert f"{summary['seconds_compile']:.2f} s" in printed


def test_the_summary_says_what_was_measured_and_where(quick_run):
    out, _ = quick_run
    summary = json.loads((out / "summary.json").read_text())
    assert 0.5 < summary["test_accuracy"] <= 1.0
    assert 0.5 < summary["train_accuracy"] <= 1.0
    assert summary["test_loss"] > 0.0
    assert len(summary["seconds_per_epoch"]) == summary["epochs"] == 3
    assert min(summary["seconds_per_epoch"]) > 0.0
    assert summary["examples_per_second"] > 0.0
    assert 50 < summary["peak_memory_mib"] < 20_000
    assert summary["versions"]["jax"] == jax.__version__
    assert summary["device"].startswith("cpu")
    assert summary["seed"] == 3


def test_history_and_tensorboard_events_hold_the_same_numbers(quick_run):
    out, _ = quick_run
    rows = read_history(out)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    measures = set(rows[0]) - {"epoch", "seconds"}
    assert set(events.Tags()["scalars"]) == measures
    assert {"loss", "penalty", "train_accuracy", "validation_accuracy", "learning_rate"} <= measures
    assert {"gradient_norm", "parameter_norm", "update_norm"} <= measures
    for name in measures:
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [1, 2, 3]
        np.testing.assert_allclose([scalar.value for scalar in scalars], [float(row[name]) for row in rows], rtol=1e-6)


def test_the_saved_classifier_gives_the_reported_accuracies(quick_run):
    out, _ = quick_run
    settings = json.loads((out / "config.json").read_text())
    summary = json.loads((out / "summary.json").read_text())
    arrays = np.load(out / "classifier.npz", allow_pickle=False)
    dataset = load(settings["dataset"], seed=settings["seed"])
    for name, split in (("test", dataset.test), ("train", dataset.train), ("validation", dataset.validation)):
        x = (split.inputs.reshape(len(split.labels), -1) - arrays["statistics/mean"]) / arrays["statistics/std"]
        hidden = np.maximum(x @ arrays["params/0/w"].T + arrays["params/0/b"], 0)
        scores = hidden @ arrays["params/1/w"].T + arrays["params/1/b"]
        right = (scores.argmax(1) == split.labels).mean()
        assert right == pytest.approx(summary[f"{name}_accuracy"], abs=1e-6), name


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_and_another_seed_another(quick_run, tmp_path):
    out, _ = quick_run
    assert train.main(["--quick", "--seed", "3", "--out", str(tmp_path / "again")]) == 0
    assert train.main(["--quick", "--seed", "4", "--out", str(tmp_path / "other")]) == 0
    measured = {
        name: [float(row["loss"]) for row in read_history(folder)]
        for name, folder in (("first", out), ("again", tmp_path / "again"), ("other", tmp_path / "other"))
    }
    np.testing.assert_allclose(measured["again"], measured["first"], rtol=1e-5)
    assert abs(measured["other"][0] - measured["first"][0]) > 1e-3


@pytest.mark.slow
def test_without_arguments_digits_reach_97_percent(tmp_path):
    assert train.main(["--out", str(tmp_path / "run")]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["dataset"] == "digits"
    assert summary["test_accuracy"] >= 0.97


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "linear", "--loss", "svm"],
        pytest.param(
            ["--hidden", "32", "16", "--activation", "tanh", "--init", "xavier", "--dropout", "0"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["--optimizer", "adam", "--learning-rate", "0.001", "--schedule", "constant", "--input-dropout", "0.1"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["--augment", "crop", "cutout", "mixup", "--preprocess", "whiten", "--components", "20"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["--validation-share", "0", "--smoothing", "0.1", "--schedule", "one-cycle", "--beta-lasso", "1e-4"],
            marks=pytest.mark.slow,
        ),
        pytest.param(["--dataset", "spiral", "--early-stopping", "1", "--activation", "gelu"], marks=pytest.mark.slow),
        ["--optimizer", "adamw", "--weight-decay", "0.1", "--average", "0.99", "--normalize", "--normalize-inputs"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_options_train_to_a_finite_result(arguments, tmp_path):
    assert train.main([*arguments, "--quick", "--epochs", "2", "--out", str(tmp_path / "run")]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert np.isfinite(summary["test_loss"])
    assert summary["epochs"] <= 2


def test_the_best_epoch_is_counted_from_one(tmp_path):
    out = tmp_path / "run"
    assert train.main(["--dataset", "moons", "--epochs", "4", "--early-stopping", "4", "--out", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text())
    accuracies = [float(row["validation_accuracy"]) for row in read_history(out)]
    assert summary["best_epoch"] == int(np.argmax(accuracies)) + 1
    assert summary["validation_accuracy"] == pytest.approx(max(accuracies), abs=1e-6)


@pytest.mark.slow
def test_early_stopping_keeps_the_best_epoch(tmp_path):
    out = tmp_path / "run"
    arguments = ["--early-stopping", "2", "--epochs", "200", "--hidden", "32", "--learning-rate", "0.3"]
    assert train.main([*arguments, "--out", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text())
    accuracies = [float(row["validation_accuracy"]) for row in read_history(out)]
    assert len(accuracies) == summary["epochs"] < 200
    assert summary["best_epoch"] == int(np.argmax(accuracies)) + 1 == summary["epochs"] - 2
    assert summary["validation_accuracy"] == pytest.approx(max(accuracies), abs=1e-6)


def test_results_are_never_overwritten(quick_run, capsys):
    out, _ = quick_run
    before = (out / "summary.json").read_bytes()
    assert train.main(["--quick", "--out", str(out)]) == 2
    assert str(out) in capsys.readouterr().err
    assert (out / "summary.json").read_bytes() == before


def test_a_device_that_is_not_there_is_named(run_python, quick_run, tmp_path):
    """For a new run and for one that is resumed, in a process that has not looked for devices yet."""
    begun = [["--resume", str(quick_run[0])], ["--quick", "--out", str(tmp_path / "run")]]
    code = f"""
import contextlib, io
from experiments import train
for options in {begun}:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = train.main(["--device", "tpu", *options])
    print(status, "--device tpu" in said.getvalue(), said.getvalue().count("\\n"))
"""
    assert run_python(code).split("\n")[:2] == ["2 True 1", "2 True 1"]


@pytest.mark.parametrize("error", [RuntimeError("no backend"), AssertionError()])
def test_a_gpu_that_jax_was_not_installed_for_is_named(error, monkeypatch):
    def fails() -> list[Any]:
        raise error

    monkeypatch.setattr(multihost.jax.config, "update", lambda name, value: None)
    monkeypatch.setattr(multihost.jax, "devices", fails)
    with pytest.raises(ValueError, match=r"--device gpu: JAX has no such device here.*jax\[cuda13\]"):
        multihost.choose_device("gpu")


@pytest.mark.slow
def test_cifar10_trains_on_real_images(cifar10_cache, tmp_path, monkeypatch):
    """A quick run on 2,000 images; the linear classifier is far above chance after 3 epochs."""
    monkeypatch.setenv("JAXNN_CACHE_DIR", str(cifar10_cache))
    assert train.main(["--dataset", "cifar10", "--model", "linear", "--quick", "--out", str(tmp_path / "run")]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["test_accuracy"] > 0.2


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other array", "other shape"])
def test_a_damaged_classifier_is_named_and_refused(damage, quick_run, tmp_path):
    out, _ = quick_run
    path = tmp_path / "classifier.npz"
    content = (out / "classifier.npz").read_bytes()
    with np.load(out / "classifier.npz") as file:
        arrays = dict(file)
    like = {"statistics": {}, "params": [{}, {}]}
    for name, array in arrays.items():
        first, *rest = name.split("/")
        place = like[first] if first == "statistics" else like[first][int(rest[0])]
        place[rest[-1]] = array
    path.write_bytes(content)
    read = files.read_arrays(path, like)
    np.testing.assert_array_equal(read["params"][0]["w"], arrays["params/0/w"])

    if damage == "missing":
        path.unlink()
        with pytest.raises(FileNotFoundError, match="classifier"):
            files.read_arrays(path, like)
        return
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "other array":
            like["params"].append({"w": np.zeros(3)})
        case "other shape":
            like["params"][0]["w"] = np.zeros((3, 4))
    with pytest.raises(ValueError, match=r"classifier\.npz"):
        files.read_arrays(path, like)


def test_without_validation_examples_the_checkpoint_of_the_lowest_loss_is_the_best(tmp_path):
    out = tmp_path / "run"
    options = ["--checkpoint-every", "1", "--checkpoint-keep", "1", "--validation-share", "0", "--out", str(out)]
    assert train.main(["--dataset", "moons", "--epochs", "4", *options]) == 0
    losses = [float(row["loss"]) for row in read_history(out)]
    assert losses == sorted(losses, reverse=True)
    assert [path.name for path in checkpoint.list_checkpoints(out / "checkpoints")] == ["000004"]  # the newest, too


def test_a_config_written_as_json_says_every_setting(quick_run):
    out, _ = quick_run
    written = json.loads((out / "config.json").read_text())
    assert set(written) == {"classes", "input_shape", "checksum", *vars(resolve(Config(), load("digits")))}
    assert (written["classes"], written["input_shape"]) == ([str(digit) for digit in range(10)], [8, 8, 1])
    assert Path(written["out"]) == out
