"""The comparison with scikit-learn's classifiers: expectations, files and wrong settings."""

import json

import pytest

from experiments.benchmark import drop_in


@pytest.fixture(autouse=True)
def default_promotion(standard_promotion):
    """The command runs with the default settings of JAX."""


def test_on_iris_the_linear_classifier_is_as_accurate_as_scikit_learns(tmp_path, monkeypatch, capsys):
    pairs = drop_in.pairs
    monkeypatch.setattr(drop_in, "DATASETS", {"iris": drop_in.DATASETS["iris"]})
    monkeypatch.setattr(drop_in, "pairs", lambda *given: {"softmax": pairs(*given)["softmax"]})
    assert drop_in.main(["accuracy", "--seeds", "5", "--out", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["held"]
    assert [row["dataset"] for row in found["rows"]] == ["iris", "iris, raw"]
    for row in found["rows"]:
        assert row["scikit_learn"] == "LogisticRegression"
        assert row["ours"] > 90
        assert abs(row["difference"]) <= 1
    assert "iris, softmax" in capsys.readouterr().out
    monkeypatch.setattr(drop_in, "POINTS", -1.0)
    assert drop_in.main(["accuracy", "--seeds", "1", "--out", str(tmp_path / "found.json")]) == 1


@pytest.mark.slow
def test_on_every_dataset_the_accuracies_are_within_a_point(tmp_path):
    assert drop_in.main(["accuracy", "--out", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["seeds"] == 20
    assert len(found["rows"]) == 12 + 6


@pytest.mark.slow
def test_the_search_finds_what_grid_search_finds(tmp_path):
    status = drop_in.main(["search", "--quick", "--every", "12", "--out", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert status == (0 if found["ratio"] >= 10 else 1)  # four epochs are mostly compilation
    assert found["settings"] == 36
    assert found["of_theirs"] == len(found["scores_ours"]) == len(found["scores_theirs"]) == 3
    assert abs(found["difference"]) < 10


def test_borrowed_tests_count_where_they_fit_a_class_of_ours_and_failures_have_reasons(tmp_path, monkeypatch, capsys):
    outcomes = {
        "test_fit": {"outcome": "passed", "fitted": True, "reason": ""},
        "test_other": {"outcome": "passed", "fitted": False, "reason": ""},
        "test_inside[a]": {"outcome": "failed", "fitted": True, "reason": "AttributeError: no _optimizer"},
    }
    monkeypatch.setattr(drop_in, "run_alone", lambda function, name: outcomes)
    options = ["conformance", "--out", str(tmp_path / "found.json"), "--only"]
    assert drop_in.main([*options, "test_svm"]) == 0
    assert drop_in.main([*options, "test_mlp"]) == 1  # 50 are expected to pass
    svm, mlp = reversed(json.loads((tmp_path / "found.json").read_text())["rows"])
    assert (svm["tests"], svm["used"], svm["passed"]) == (3, 2, 1)
    assert svm["failed"] == mlp["failed"] == {"test_inside[a]": "AttributeError: no _optimizer"}
    assert mlp["replaced"] == ["MLPClassifier", "MLPRegressor"]
    assert "test_inside[a]: AttributeError: no _optimizer" in capsys.readouterr().out


@pytest.mark.slow
def test_a_borrowed_file_runs_with_our_class_in_place(tmp_path):
    assert drop_in.main(["conformance", "--only", "test_svm", "--out", str(tmp_path / "found.json")]) == 0
    [row] = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert row["tests"] > 100
    assert row["passed"] >= 14
    assert row["passed"] + len(row["failed"]) <= row["used"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["conformance", "--only", "test_x"], "--only test_x: choose from test_mlp, test_search"),
        (["accuracy", "--seeds", "0"], "--seeds must be at least 1; got 0"),
        (["search", "--every", "0"], "--every must be at least 1; got 0"),
        (["search", "--out", "/nowhere/at/all.json"], "there is no folder /nowhere/at"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(options, match, capsys):
    assert drop_in.main(options) == 2
    error = capsys.readouterr().err
    assert match in error
    assert error.count("\n") == 1
