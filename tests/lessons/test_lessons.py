"""Every lesson in its short form, run once: claims, files and texts, and numbers against independent computations."""

import importlib
import json
import math
import re
from typing import Any

import numpy as np
import pytest
import references
from lesson_runs import QUICK, Outcome
from matplotlib.image import imread
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from experiments.lessons import NAMES, capacity, losses, regularization, score_function
from experiments.lessons import __main__ as listing
from experiments.lessons.framework.lesson import fill
from experiments.lessons.page import sections
from jaxnn.data import load


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_lesson(outcome, name):
    found = outcome(name)
    check_summary(name, found)
    check_pictures(found)
    check_live(found)
    check_translations(name, found)
    NUMBERS[name](found)


def check_summary(name: str, found: Outcome) -> None:
    """All claims held, in two languages, with labels for people; complete tables; what a reader needs to reproduce."""
    summary = found.summary
    assert {claim["text"]["en"]: claim["measured"] for claim in summary["claims"] if not claim["held"]} == {}
    assert found.status == 0
    assert len(summary["claims"]) >= 2
    assert len(re.findall("^held: ", found.printed, re.MULTILINE)) == len(summary["claims"])
    assert (summary["lesson"], summary["seed"]) == (name, 0)
    assert summary["command"] == f"jaxnn {name} --quick"
    assert summary["seconds_total"] > 0
    assert (summary["models"] > 0) == (summary["training_seconds"] > 0)
    assert {"python", "versions", "machine", "device"} <= set(summary)
    for text in (summary["title"], summary["question"], *(claim["text"] for claim in summary["claims"])):
        assert text["en"].isascii()
        assert text["en"][0].isupper() or text["en"].startswith("f =") or text["en"][0].isdigit()
        assert re.search("[\u4e00-\u9fff]", text["zh"]) or text["zh"] == "Dropout"
    assert summary["question"]["en"].endswith("?")
    assert summary["question"]["zh"].endswith("\uff1f")
    for claim in summary["claims"]:
        assert claim["measured"]
        assert not [label for label in claim["measured"] if "_" in label or "  " in label]
    for table in summary["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
        assert table["rows"]


def check_pictures(found: Outcome) -> None:
    """Every figure and frame is an image of a readable size with something drawn all over it."""
    summary, folder = found.summary, found.folder
    assert sorted(path.stem for path in folder.glob("*.png")) == sorted(summary["figures"])
    assert summary["figures"]
    pictures = [imread(folder / f"{name}.png") for name in summary["figures"]]
    for picture in pictures:
        assert min(picture.shape[:2]) >= 200
        ink = np.abs(picture[..., :3] - picture[0, 0, :3]).max(-1) > 0.1
        assert ink.mean() > 0.005
        assert min(np.ptp(np.flatnonzero(ink.any(axis))) / ink.shape[1 - axis] for axis in (0, 1)) > 0.6


def check_live(found: Outcome) -> None:
    """Figures with at least 20 positions on every slider, under 1.5 MB, that say how many models were trained."""
    path = found.folder / "live.json"
    live = json.loads(path.read_text(encoding="utf-8"))
    assert live
    assert path.stat().st_size < 1_500_000
    for one in live:
        assert one["panels"]
        assert all(len(control["values"]) >= 20 for control in one["controls"] if not control["choice"])
        assert any(not control["choice"] for control in one["controls"])
        assert (one["models"] > 0) <= (one["seconds"] > 0)


def check_translations(name: str, found: Outcome) -> None:
    """Every label of a number, table or figure has its Chinese, and the answer to the question its numbers."""
    summary = found.summary
    teaching = importlib.import_module(f"experiments.lessons.{name}").LESSON.teaching
    labels = [label for claim in summary["claims"] for label in claim["measured"]]
    labels += [figure.replace("_", " ") for figure in summary["figures"]]
    for table in summary["tables"]:
        labels += [table["title"], *table["columns"], *(row[0] for row in table["rows"])]
    words = [label for label in map(str, labels) if re.search("[a-z]{3}", label)]
    assert [label for label in words if not known(label, teaching.chinese)] == []
    for answer in teaching.question.answer:
        assert "{" not in fill(answer, summary["claims"])


def known(label: str, chinese: Any) -> bool:
    """Whether a label has its Chinese, which may be the same word."""
    return label in chinese or sections.translate(label, chinese).zh != label or not re.search("[a-z]{3} ", label)


def test_the_list_has_a_line_for_each_lesson_in_order(capsys):
    assert listing.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(NAMES)]] == list(NAMES)
    for name, line in zip(NAMES, lines, strict=False):
        assert line.endswith(importlib.import_module(f"experiments.lessons.{name}").LESSON.question.en)
    assert "jaxnn report" in lines[-1]


# ---------------------------------------------------------------- numbers against independent computations


def activations(found: Outcome) -> None:
    slopes, depth = found.measured("at most a quarter"), found.measured("gradient vanishes")
    assert slopes["largest derivative of sigmoid"] == pytest.approx(0.25)
    assert slopes["derivative of sigmoid at 6"] == pytest.approx(math.exp(-6) / (1 + math.exp(-6)) ** 2, rel=1e-4)
    assert depth["gradient of the first layer / the last, sigmoid"] < 0.3**10
    assert found.measured("kill ReLU")["largest fraction of dead leaky ReLU neurons"] == 0


def backpropagation(found: Outcome) -> None:
    assert found.measured("f = (x + y) z") == {"f": -12, "df/dx": -4, "df/dy": -4, "df/dz": 3}
    w, x = np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0, 1.0])
    output = 1 / (1 + np.exp(-w @ x))
    slope = output * (1 - output)
    expected = {"w0": slope * x[0], "x0": slope * w[0], "w1": slope * x[1], "x1": slope * w[1], "w2": slope}
    expected = {f"derivative with respect to {name}": value for name, value in expected.items()}
    assert found.measured("sigmoid neuron") == pytest.approx({"output": output} | expected, rel=1e-5)


def capacity_of_widths(found: Outcome) -> None:
    circle = load("circle", validation_share=0, size=1000, seed=0)
    line = LogisticRegression().fit(*circle.train).score(*circle.test)
    best = found.measured("ring around it")
    assert line < 0.75
    assert best["best test accuracy with one neuron"] < line + 0.25
    assert best["best test accuracy with three neurons"] > line + 0.2
    assert found.summary["models"] == len(capacity.EVERY) * 5 * 3


def data_scale(found: Outcome) -> None:
    digits = load("digits", validation_share=0)
    train, test = (part.inputs.reshape(len(part.inputs), -1) / 16 for part in (digits.train, digits.test))
    expected = KNeighborsClassifier(5).fit(train, digits.train.labels).score(test, digits.test.labels)
    (table,) = found.summary["tables"]
    row = next(row for row in table["rows"] if row[0] == "1,437")
    assert float(row[table["columns"].index("k-NN")].split()[0]) == pytest.approx(100 * expected, abs=0.06)


def by_hand(found: Outcome) -> None:
    counted, same = found.measured("An epoch is"), found.measured("Fewer than 40")
    assert counted == dict.fromkeys(counted, 10 * (1295 // 64))
    assert same["largest difference of the loss of an epoch"] < 0.01


def dataset(found: Outcome) -> None:
    digits = load("digits", validation_share=0)
    moments, counts = found.measured("direct count"), found.measured("same proportions")
    assert moments["mean"] == [pytest.approx(digits.train.inputs.mean(dtype=np.float64), abs=1e-4)]
    assert moments["standard deviation"] == [pytest.approx(digits.train.inputs.std(dtype=np.float64), abs=1e-4)]
    assert counts["training examples"] + counts["test examples"] == 1797
    x, test = (part.inputs.reshape(-1, 64).astype(np.float64) for part in (digits.train, digits.test))
    means = [x[digits.train.labels == c].mean(0) for c in range(10)]
    nearest = [int(np.argmin([((image - mean) ** 2).sum() for mean in means])) for image in test]
    expected = float(np.mean(np.array(nearest) == digits.test.labels))
    assert found.measured("informative")["accuracy of the nearest mean image"] == pytest.approx(expected, abs=0.003)


def dropout(found: Outcome) -> None:
    errors, scaling = found.measured("mean of its sub-networks"), found.measured("Inverted scaling")
    assert errors["error of 200 sub-networks"] == pytest.approx(errors["error of 1 sub-network"] / 200**0.5, rel=0.1)
    assert scaling["mean over 2000 masks"] == pytest.approx(scaling["mean without dropout"], rel=0.01)


def forward_pass(found: Outcome) -> None:
    rows = found.summary["tables"][0]["rows"]
    shapes = {"image": [8, 8, 1], "x": [64], "W1": [32, 64], "hidden": [32], "W2": [10, 32], "scores": [10]}
    shapes |= {"probabilities": [10], "data loss": [], "penalty": [], "objective": []}
    assert {row[0]: row[2] for row in rows} == shapes
    means = {row[0]: float(row[5]) for row in rows}
    assert means["objective"] == pytest.approx(means["data loss"] + means["penalty"], abs=2e-3)
    assert means["probabilities"] == pytest.approx(0.1)


def gradient_descent(found: Outcome) -> None:
    assert found.measured("From x = 6")["first points"] == [6.0, 5.5, 5.05, 4.645]
    assert found.measured("Fewer than 1 in 1,000")["2/L"][3] == pytest.approx(0.3836, abs=1e-3)
    tries = found.measured("Only many tries help")
    p = tries["expected, best of 1"]
    assert tries["expected, best of 10"] == pytest.approx(1 - (1 - p) ** 10)
    crossed = found.measured("not independent")
    assert crossed["2/L of both together"] == pytest.approx(2 / np.linalg.eigvalsh([[2, 1.8], [1.8, 2]]).max())


def initialization(found: Outcome) -> None:
    signal, zeros = found.measured("dies out"), found.measured("break the symmetry")
    last, first = (signal[f"standard deviation in the {layer} layer, 0.01 randn"] for layer in ("last", "first"))
    # tanh is nearly linear for small values: a layer multiplies the spread by 0.01 sqrt(128)
    assert last / first == pytest.approx((0.01 * math.sqrt(128)) ** 5, rel=0.4)
    halved = found.measured("halves the variance")["last layer / first, ReLU with Xavier"]
    assert halved == pytest.approx(0.5**2.5, rel=1.0)
    assert zeros["largest difference of two weights"] == 0
    assert zeros["lowest loss"] == pytest.approx(math.log(10), abs=0.02)


def svm_and_softmax(found: Outcome) -> None:
    scores = losses.SCORES.astype(float)
    svm, softmax = found.measured("SVM losses of the cat"), found.measured("the cat's scores")
    expected = [references.svm(s, y) for s, y in zip(scores, losses.LABELS, strict=True)]
    np.testing.assert_allclose(expected, [2.9, 0, 12.9], atol=1e-6)
    np.testing.assert_allclose([svm[f"loss of the {name}"] for name in losses.CLASSES], expected, atol=1e-5)
    assert svm["mean loss"] == pytest.approx(15.8 / 3, abs=1e-5)
    p = references.probabilities(scores[0])
    np.testing.assert_allclose([softmax[f"probability of {name}"] for name in losses.CLASSES], p, atol=1e-6)
    assert softmax["loss"] == pytest.approx(references.softmax(scores[0], 0), abs=1e-5)
    (table,) = found.summary["tables"]
    assert [row[2] for row in table["rows"]] == ["24.53", "164", "0.1827"]
    assert table["rows"][0][4] == "2.040"
    start = found.measured("initial loss")
    assert start["SVM loss with 10 classes"] == pytest.approx(9, rel=0.01)
    assert start["softmax loss with 10 classes"] == pytest.approx(math.log(10), rel=0.01)


def network(found: Outcome) -> None:
    counts = {"3-4-2": 26, "2-6-2": 32, "64-256-10": 19210, "3072-512-10": 1578506}
    assert found.measured("Every line") == {f"parameters of {name}": count for name, count in counts.items()}
    assert found.summary["models"] == 21 * 6


def optimization(found: Outcome) -> None:
    curvature = found.measured("2/L")
    assert curvature["2/L"] == pytest.approx(2 / curvature["L"])
    assert found.measured("mini-batch")["fitted exponent"] == pytest.approx(-0.5, abs=0.05)


def overfitting(found: Outcome) -> None:
    end, loss = found.measured("memorizes few points"), found.measured("test loss rises")
    assert end["training accuracy, wide"] - end["test accuracy, wide"] > 0.08
    assert loss["last test loss"] > 1.5 * loss["lowest test loss"]
    assert set(found.measured("sanity check").values()) == {1.0}


def preprocessing(found: Outcome) -> None:
    assert found.measured("Centering makes")["largest |covariance - identity|, whitened"] < 1e-3
    assert found.measured("principal directions")["largest error with all directions"] < 1e-2
    bounds = found.measured("loss steep")
    assert bounds["2/L, raw"] < bounds["2/L, zero-centered"] < bounds["2/L, whitened"]


def norms_over_l2(found: Outcome) -> None:
    norms = list(found.measured("larger l2").values())
    assert len(norms) == len(regularization.L2)
    assert norms == sorted(norms, reverse=True)
    assert norms[0] > 5 * norms[-1]


def scores_of_four_pixels(found: Outcome) -> None:
    expected = references.linear(score_function.W, score_function.B, score_function.X)
    np.testing.assert_allclose(expected, [-96.8, 437.9, 60.75], atol=1e-5)
    measured = found.measured("four-pixel")
    np.testing.assert_allclose([measured[f"score of {name}"] for name in ("cat", "dog", "ship")], expected, atol=1e-4)


NUMBERS = {
    "data_scale": data_scale,
    "dataset": dataset,
    "score_function": scores_of_four_pixels,
    "regularization": norms_over_l2,
    "losses": svm_and_softmax,
    "forward_pass": forward_pass,
    "gradient_descent": gradient_descent,
    "optimization": optimization,
    "backpropagation": backpropagation,
    "network": network,
    "capacity": capacity_of_widths,
    "activations": activations,
    "preprocessing": preprocessing,
    "initialization": initialization,
    "overfitting": overfitting,
    "dropout": dropout,
    "by_hand": by_hand,
}
