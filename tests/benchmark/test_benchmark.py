"""The comparison is fair: the same mathematics for all peers, ratios and limits worked out by hand."""

import dataclasses
import json
import sys
from typing import Any

import numpy as np
import pytest

from experiments.benchmark import growth, limits, measure, report, startup, workloads
from experiments.benchmark.__main__ import main
from experiments.benchmark.peers import OURS, PEERS, Entry, ours
from experiments.benchmark.process import PeerError, Worker
from experiments.benchmark.workloads import GOALS, WORKLOADS, Workload
from experiments.classifier.config import Config
from experiments.classifier.presets import resolve
from jaxnn.data import load

TINY = Workload("tiny", "circle", (5,), learning_rate=0.1, l2=0.02, batch_size=8)


# ---------------------------------------------------------------- workloads and goals


def test_every_goal_refers_to_a_peer_of_its_workload():
    assert set(WORKLOADS) == set(PEERS) | {"process"}
    assert set(OURS) <= set(PEERS)
    for key, goals in GOALS.items():
        families = {entry.family for entry in PEERS[key]} if key in PEERS else {"Keras"}
        assert set(goals) <= families, key
    assert GOALS["linear"] == {"PyTorch": 4, "scikit-learn": 10, "Keras": 6, "Flax": 6}
    assert GOALS["sweep-toy"] == {"PyTorch": 100}
    for entries in PEERS.values():
        assert len({entry.name for entry in entries}) == len(entries)


def test_the_sweeps_have_the_announced_sizes():
    assert {
        key: len(workloads.settings(workload)) for key, workload in WORKLOADS.items() if key.startswith("sweep")
    } == {
        "sweep-linear": 64,
        "sweep-mlp": 16,
        "sweep-toy": 1024,
    }
    grid = TINY._replace(rates=(1.0, 2.0), penalties=(3.0, 4.0), seeds=2)
    assert [(one.learning_rate, one.l2, one.seed) for one in workloads.settings(grid)][1:4] == [
        (1.0, 3.0, 1),
        (1.0, 4.0, 0),
        (1.0, 4.0, 1),
    ]
    np.testing.assert_array_equal(ours.hparams_of_sweep(grid)["l2"], [3, 4, 3, 4])
    assert workloads.spread(64, 4) == [0, 21, 42, 63]
    assert workloads.spread(2, 4) == [0, 1]


def test_everyone_reads_the_same_examples(tmp_path):
    workloads.write("digits", tmp_path)
    workloads.write("circle", tmp_path)
    digits, circle = workloads.read(WORKLOADS["digits"], tmp_path), workloads.read(WORKLOADS["toy"], tmp_path)
    assert digits.inputs.dtype == np.uint8
    assert digits.inputs.shape[1] == 64
    inputs, labels = workloads.read_standardized(WORKLOADS["digits"], tmp_path)
    assert inputs.mean() == pytest.approx(0, abs=1e-4)
    assert inputs.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(labels, digits.labels)
    assert circle.inputs.shape == (200, 2)
    np.testing.assert_array_equal(workloads.read_standardized(WORKLOADS["toy"], tmp_path)[0], circle.inputs)
    assert workloads.in_complete_batches(WORKLOADS["digits"], 150) == 128


def test_the_stages_of_a_command_add_up_to_its_seconds():
    summary = {"seconds_compile": 1.5, "seconds_per_epoch": [0.25, 0.25], "seconds_total": 3.0}
    stages = startup.stages_of(summary, written=5.0, seconds=6.0)
    expected = {"import": 2.0, "data and evaluation": 1.0, "trace and compile": 1.5, "train": 0.5, "figures": 1.0}
    assert stages == expected
    assert sum(stages.values()) == 6.0


def test_the_scripts_have_the_settings_of_the_training_command():
    settings = dataclasses.asdict(resolve(Config(), load("digits")))
    given = startup.script_settings(quick=False)
    assert given == {name: settings[name] for name in given}
    assert {"hidden", "dropout", "learning_rate", "momentum", "l2", "batch_size", "epochs"} == set(given)


# ---------------------------------------------------------------- numbers worked out by hand


def test_operations_and_bytes():
    assert limits.flops((4, 3, 2), batch_size=5, steps=2) == 2 * 2 * 5 * (2 * 12 + 3 * 6)
    assert limits.flops((10, 2), batch_size=1, steps=1) == 80
    # 15 + 8 parameters, 16 bytes each; 5 examples of 4 bytes
    assert limits.moved_bytes((4, 3, 2), 5, 2, models=1, itemsize=1) == 2 * (20 + 16 * 23)
    assert limits.moved_bytes((4, 3, 2), 5, 2, models=3, itemsize=1) == 2 * (20 + 3 * 16 * 23)


def test_the_limit_is_the_longer_of_the_two():
    workload = Workload("w", hidden=(3,), batch_size=5)
    examples = workloads.Examples(np.zeros((11, 4), np.uint8), np.arange(11) % 2, np.zeros(4), np.ones(4))
    fast = limits.Limits(flops=100.0, bandwidth=1000.0, call_us=1.0, details={})
    assert limits.limit(workload, examples, fast) == (pytest.approx(8.4), "sgemm")
    assert limits.limit(workload, examples, fast._replace(bandwidth=10.0)) == (pytest.approx(77.6), "memory")
    twice = limits.limit(workload._replace(epochs=2, rates=(0.1, 0.2)), examples, fast)
    assert twice == (pytest.approx(4 * 8.4), "sgemm")


def test_a_row_of_the_results():
    us = measure.Rounds([1.0, 2.0, 3.0], [[0.1, 0.3], [0.5, 0.7], [0.9, 0.9]], (0, 1), 1.0, 2.5, 100.0)
    them = measure.Rounds([4.0, 6.0], [[0.0], [0.75]], (1,), 2.0, 0.0, 50.0)
    entry = Entry("PyTorch", "floats", "pytorch:slicing_floats", "a note")
    row = measure.make_row("linear", "linear softmax", entry, us, them, limits.Limit(0.5, "memory"))
    assert row["ratio"] == 2.5
    assert row["spread"] == [3.0, 4.0]
    assert (row["goal"], row["met"]) == (4.0, False)
    assert (row["limit_share"], row["binding"]) == (0.25, "memory")
    assert (row["ours_train_accuracy"], row["peer_train_accuracy"]) == (0.7, 0.75)  # the model both trained, turn 2
    assert row["accuracy_differs"]
    assert (row["peer_models_timed"], row["scaled_to"]) == (1, 2)
    assert (row["peer"], row["note"], row["repetitions"]) == ("PyTorch, floats", "a note", 2)


def test_the_best_form_of_a_family_is_the_one_we_beat_least():
    rows = [{"family": f, "ratio": r} for f, r in (("a", 3.0), ("a", 2.0), ("b", 9.0))]
    assert [row["best_form"] for row in measure.mark_best(rows)] == [False, True, True]


def test_the_exponent():
    assert growth.exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2)


# ---------------------------------------------------------------- files and figures


def row_of(key, ratio, family="PyTorch"):
    entry = Entry(family, "form", "")
    one, other = (measure.Rounds([seconds], [[0.9]], (0,), 1.0, 0.0, 1.0) for seconds in (1.0, ratio))
    return measure.make_row(key, WORKLOADS[key].name, entry, one, other) | {"best_form": True}


def test_only_replaces_the_earlier_rows_of_its_workloads(tmp_path):
    now = report.conditions(quick=True)
    old = {
        **now,
        "limits": {"sgemm_gflops": 1, "overhead_per_step_us": 3},
        "growth": {"examples": 1},
        "rows": [row_of("linear", 2.0), row_of("linear", 3.0, "Keras"), row_of("toy", 4.0)],
    }
    path = tmp_path / "benchmark.json"
    assert report.read_earlier(path, now) is None
    path.write_text(json.dumps(old))
    new = {**now, "limits": {"sgemm_gflops": 2, "overhead_per_step_us": None}, "growth": {}}
    new["rows"] = [row_of("linear", 9.0), row_of("mlp", 5.0)]
    merged = report.merge(report.read_earlier(path, now), new, list(WORKLOADS))
    assert [(row["key"], row["ratio"]) for row in merged["rows"]] == [("linear", 9.0), ("mlp", 5.0), ("toy", 4.0)]
    assert merged["limits"] == {"sgemm_gflops": 2, "overhead_per_step_us": 3}
    assert merged["growth"] == {"examples": 1}


def test_rows_of_another_machine_say_so(tmp_path):
    here = report.conditions(quick=True)
    there = here | {"machine": "another, 64 cores"}
    first = {**here, "limits": {"sgemm_gflops": 1}, "growth": {}, "rows": [row_of("linear", 2.0), row_of("toy", 4.0)]}
    later = {**there, "limits": {"sgemm_gflops": 9}, "growth": {}, "rows": [row_of("toy", 5.0)]}
    later["startup"] = {**there, "rows": [{"work": "import"}]}
    merged = report.merge(first, later, list(WORKLOADS))
    assert merged["machine"] == here["machine"]
    assert merged["limits"] == {"sgemm_gflops": 1}
    assert [row.get("measured", here)["machine"] for row in merged["rows"]] == [here["machine"], "another, 64 cores"]
    assert merged["startup"]["machine"] == "another, 64 cores"
    again = report.merge(merged, first, list(WORKLOADS))
    assert not any("measured" in row for row in again["rows"])
    assert again["startup"] == merged["startup"]
    with pytest.raises(ValueError, match="growth belongs"):
        report.merge(first, later | {"growth": {"examples": 1}}, list(WORKLOADS))


@pytest.mark.parametrize(
    ("content", "message"),
    [({"rows": [{}]}, "with other rows"), ({"quick": False}, "with other quick"), (None, "not a result")],
)
def test_only_refuses_to_mix(tmp_path, capsys, content, message):
    path = tmp_path / "benchmark.json"
    text = "{" if content is None else json.dumps({**report.conditions(quick=True), "rows": [], **content})
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        report.read_earlier(path, report.conditions(quick=True))
    assert path.read_text() == text


def test_the_chart_has_a_bar_for_each_best_form_and_a_mark_for_each_goal():
    rows = [row_of("linear", 5.0), row_of("linear", 7.0, "Keras"), row_of("toy", 60.0), row_of("grid-digits", 3.0)]
    axes: Any = report.chart([*rows, row_of("mlp", 2.0) | {"best_form": False}]).axes[0]
    assert sorted(bar.get_width() for bar in axes.patches) == [2.0, 4.0, 6.0, 59.0]
    goals = [line for line in axes.lines if list(line.get_xdata()) != [1, 1]]
    assert sorted(float(np.asarray(line.get_xdata())[0]) for line in goals) == [4.0, 6.0, 50.0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        WORKLOADS[k].name for k in ("linear", "toy", "grid-digits")
    ]


def test_the_table_says_which_goals_are_met():
    rows = [row_of("linear", ratio) for ratio in (5.0, 3.0)]
    rows.append(rows[1] | {"best_form": False})
    [goals] = [column for column in report.table(rows).columns if column.header == "goal"]
    assert list(goals.cells) == ["4x met", "4x missed", ""]


# ---------------------------------------------------------------- processes


def test_a_process_is_measured_as_a_whole():
    done = startup.run_process([sys.executable, "-c", "print(len(bytearray(90 * 2**20)))"], {})
    assert done.output.strip() == str(90 * 2**20)
    assert done.peak_mib > 90
    assert done.seconds > 0
    with pytest.raises(RuntimeError, match="no such number"):
        startup.run_process([sys.executable, "-c", "raise SystemExit('no such number')"], {})


def test_the_failure_of_a_peer_is_reported(tmp_path):
    worker = Worker()
    try:
        with pytest.raises(PeerError, match="no_such_form"):
            worker.make("ours:no_such_form", TINY, tmp_path)
    finally:
        worker.close()


ROW = {
    *("key", "work", "peer", "family", "ratio", "goal", "met", "best_form", "ours_s", "peer_s", "spread", "note"),
    *("limit_share", "binding", "ours_compile_s", "peer_compile_s", "ours_peak_mib", "peer_peak_mib"),
    *("ours_train_accuracy", "peer_train_accuracy", "accuracy_differs", "repetitions"),
}


@pytest.mark.slow
def test_the_command_end_to_end(tmp_path, monkeypatch, capsys, undrawn):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(measure, "missing", lambda family: "torch" if family == "PyTorch" else None)
    out = tmp_path / "new" / "benchmark.json"
    assert main(["--quick", "--only", "toy", "--out", str(out)]) == 0
    assert "PyTorch is left out, torch is not installed" in capsys.readouterr().out
    result = json.loads(out.read_text())
    assert {"machine", "versions", "flags", "threads", "seed", "limits", "growth", "rows"} <= set(result)
    assert {"jax", "torch", "keras", "flax", "scikit-learn"} <= set(result["versions"])
    [row] = result["rows"]
    assert set(row) == ROW
    assert row["peer"] == "scikit-learn, MLPClassifier"
    assert row["ours_s"] > 0
    assert row["ratio"] == pytest.approx(row["peer_s"] / row["ours_s"])
    assert min(row["ours_peak_mib"], row["peer_peak_mib"]) > 50
    assert result["limits"]["overhead_per_step_us"] == pytest.approx(1e6 * row["ours_s"] / (3 * 20))
    assert min(result["limits"][name] for name in ("sgemm_gflops", "memory_gb_per_s", "overhead_per_call_us")) > 0
    [bar] = undrawn[out.with_suffix(".png")].axes[0].patches
    assert bar.get_width() == pytest.approx(row["ratio"] - 1)


def test_wrong_options_end_with_one_line(tmp_path, capsys):
    assert main(["--only", "lineal", "--out", str(tmp_path / "b.json")]) == 2
    assert f"choose from {', '.join([*WORKLOADS, 'startup', 'growth'])}" in capsys.readouterr().err
    assert main(["--repetitions", "0", "--out", str(tmp_path / "b.json")]) == 2
