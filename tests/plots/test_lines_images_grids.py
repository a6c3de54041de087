import io
import math
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from jaxnn import plots
from jaxnn.plots import _style as style
from jaxnn.plots._axes import label_decades

NAMES = ["cat", "dog", "a very long class name indeed"]


def history(epochs: int) -> dict[str, np.ndarray]:
    t = np.arange(1, epochs + 1)
    train = 2 * np.exp(-t / epochs)
    return {
        "loss": train + 0.1,
        "penalty": 0.01 * t,
        "accuracy": 0.8 - train / 4,
        "train_loss": train,
        "train_accuracy": 0.9 - train / 4,
        "validation_loss": train + 0.3 * t / epochs,
        "validation_accuracy": 0.9 - train / 4 - 0.125 * t / epochs,
        "learning_rate": np.full(epochs, 0.01),
        "gradient_norm": 1 / t,
        "parameter_norm": 1.0 + t,
        "update_norm": 0.01 / t,
    }


def panel(figure: Figure, start: str) -> Axes:
    [axes] = [axes for axes in figure.axes if axes.get_title(loc="left").startswith(start)]
    return axes


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def confusion_counts(classes: int) -> np.ndarray:
    counts = np.random.default_rng(0).integers(0, 9, (classes, classes))
    return counts + 50 * np.eye(classes, dtype=counts.dtype)


def sample_mistakes(count: int, channels: int = 3) -> Figure:
    r = np.random.default_rng(0)
    labels = r.integers(0, 3, count)
    images = r.integers(0, 17, (count, 8, 8, channels))
    return plots.mistakes(images, labels, (labels + 1) % 3, np.linspace(1, 0.4, count), NAMES)


EXAMPLES = {
    "1 epoch": lambda: plots.learning_curves(history(1), best_epoch=1),
    "3 epochs": lambda: plots.learning_curves(history(3)),
    "500 epochs": lambda: plots.learning_curves(history(500), best_epoch=300),
    "training alone": lambda: plots.learning_curves({"loss": np.ones(4)}),
    "zero learning rate": lambda: plots.learning_curves({"loss": np.ones(2), "learning_rate": np.zeros(2)}),
    "not finite": lambda: plots.learning_curves({key: v * np.nan for key, v in history(3).items()}),
    "10 templates": lambda: plots.templates(np.random.default_rng(0).normal(size=(10, 8, 8, 3))),
    "zero template": lambda: plots.templates(np.zeros((1, 4, 4, 1)), ["none"]),
    "80 templates": lambda: plots.templates(np.random.default_rng(0).normal(size=(80, 5, 5, 1)), limit=20),
    "2 classes": lambda: plots.confusion(np.array([[3, 1], [0, 0]]), ["no", "yes"]),
    "nothing counted": lambda: plots.confusion(np.zeros((3, 3), int), NAMES),
    "100 classes": lambda: plots.confusion(confusion_counts(100), [f"class {i}" for i in range(100)]),
    "0 mistakes": lambda: sample_mistakes(0),
    "1 mistake": lambda: sample_mistakes(1, channels=1),
    "12 mistakes": lambda: sample_mistakes(12),
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_figures_draw_whole_without_warnings_or_global_state(example):
    before = dict(matplotlib.rcParams)
    figure = example()
    figure.savefig(io.BytesIO(), format="png", dpi=figure.dpi)
    assert type(figure) is Figure
    assert figure.get_suptitle()
    box = figure.get_tightbbox()  # in inches, of all there is to see
    assert min(box.x0, box.y0) > -0.01
    assert box.x1 < figure.get_figwidth() + 0.01
    assert box.y1 < figure.get_figheight() + 0.01
    assert dict(matplotlib.rcParams) == before
    assert before["svg.hashsalt"] is None  # importing the module has set nothing either
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize("epochs", [1, 3, 500])
def test_curves_hold_the_history_and_its_gap(epochs):
    values = history(epochs)
    figure = plots.learning_curves(values, best_epoch=1)
    assert len(figure.axes) == 5
    for name, scale, text in (("loss", 1, "gap\n0.3"), ("accuracy", 100, "gap\n12.5\npoints")):
        axes = panel(figure, name.capitalize())
        drawn = {line.get_label(): line for line in axes.lines}
        for key, label in (
            (name, "training, as trained"),
            (f"train_{name}", "training, evaluated"),
            (f"validation_{name}", "validation"),
        ):
            np.testing.assert_array_equal(drawn[label].get_xdata(), np.arange(1, epochs + 1))
            np.testing.assert_allclose(np.asarray(drawn[label].get_ydata()), scale * values[key])
        assert list(np.atleast_1d(drawn["best epoch, 1"].get_xdata())) == [1, 1]
        assert texts(axes) == [text]
        [shade] = [c for c in axes.collections if isinstance(c, PolyCollection)]
        corners = np.asarray(shade.get_paths()[0].vertices)
        low = min(values[f"train_{name}"].min(), values[f"validation_{name}"].min())
        high = max(values[f"train_{name}"].max(), values[f"validation_{name}"].max())
        np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [scale * low, scale * high])
    assert panel(figure, "Accuracy").get_ylabel() == "accuracy (%)"
    assert panel(figure, "Loss").get_xlabel() == "epoch"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(labels) == ["best epoch, 1", "gap", "training, as trained", "training, evaluated", "validation"]


def test_lower_panels_are_logarithmic_and_say_their_last_value():
    figure = plots.learning_curves(history(4))
    norms = panel(figure, "l2 norms")
    assert {line.get_label() for line in norms.lines} == {"gradient 0.25", "parameter 5", "update 0.0025"}
    assert panel(figure, "Learning rate").get_title(loc="left").endswith("last 0.01")
    assert panel(figure, "Penalty").get_title(loc="left").endswith("last 0.04")
    assert all(axes.get_yscale() == "log" for axes in figure.axes[2:])


def test_a_learning_rate_that_ends_at_zero_leaves_a_hole_not_a_cliff():
    figure = plots.learning_curves({"loss": np.ones(3), "learning_rate": np.array([0.1, 0.05, 0.0])})
    np.testing.assert_array_equal(panel(figure, "Learning").lines[0].get_ydata(), [0.1, 0.05, np.nan])


def test_gap_falls_back_to_training_as_trained_and_to_the_last_epoch_measured():
    loss, validation = np.array([2.0, 1.0, 0.5]), np.array([2.5, 1.75, np.nan])
    figure = plots.learning_curves({"loss": loss, "validation_loss": validation})
    assert texts(figure.axes[0]) == ["gap\n0.75"]
    assert texts(plots.learning_curves({"loss": loss}).axes[0]) == []
    better = plots.learning_curves({"loss": loss, "validation_loss": loss - 0.25})
    assert texts(better.axes[0]) == ["gap\n-0.25"]


@pytest.mark.parametrize("channels", [1, 3])
def test_templates_are_scaled_symmetrically_each_by_its_own(channels):
    weights = np.random.default_rng(0).normal(size=(10, 4, 5, channels)) * np.arange(1, 11).reshape(10, 1, 1, 1)
    figure = plots.templates(weights, [f"name {i}" for i in range(10)])
    axes = figure.axes[0]
    assert texts(axes) == [f"name {i}" for i in range(10)]
    for image, w in zip(axes.images, weights, strict=True):
        scaled = w / np.abs(w).max()
        left, right, bottom, top = image.get_extent()
        assert (right - left) / (top - bottom) == pytest.approx(5 / 4)
        if channels == 1:
            np.testing.assert_allclose(np.asarray(image.get_array()), scaled[..., 0])
            assert image.get_clim() == (-1, 1)
        else:
            np.testing.assert_allclose(np.asarray(image.get_array()), 0.5 + 0.5 * scaled)


def test_the_largest_templates_are_shown_when_there_are_too_many():
    scale = np.random.default_rng(0).permutation(80) + 1.0
    weights = np.ones((80, 2, 2, 3)) * scale.reshape(80, 1, 1, 1)
    figure = plots.templates(weights, limit=12)
    assert "12 of 80 shown, largest norm first" in figure.get_suptitle()
    assert texts(figure.axes[0]) == [str(i) for i in np.argsort(-scale)[:12]]


def test_confusion_colors_shares_of_rows_and_writes_counts():
    counts = np.array([[8, 2, 0], [1, 1, 2], [0, 0, 0]])
    figure = plots.confusion(counts, NAMES)
    axes = figure.axes[0]
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), [[0.8, 0.2, 0], [0.25, 0.25, 0.5], [0, 0, 0]])
    assert texts(axes) == ["80 %\n8", "20 %\n2", "25 %\n1", "25 %\n1", "50 %\n2"]
    assert [text.get_position() for text in axes.texts[:2]] == [(0, 0), (1, 0)]  # x is the prediction
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert "9 of 14 right (64.3 %)" in figure.get_suptitle()
    assert "dog taken for a very long class name indeed, 50 % of dog" in axes.get_title(loc="left")


@pytest.mark.parametrize(("classes", "cells", "named"), [(10, True, 10), (20, True, 20), (100, False, 50)])
def test_confusion_of_many_classes_stays_readable(classes, cells, named):
    axes = plots.confusion(confusion_counts(classes), [f"c{i}" for i in range(classes)]).axes[0]
    assert bool(axes.texts) == cells
    assert len(axes.get_xticklabels()) == len(axes.get_yticklabels()) == named
    assert ("1 in 2 named" in axes.get_xlabel()) == (classes == 100)


@pytest.mark.parametrize(
    ("images", "low", "high"),
    [
        (np.arange(32).reshape(2, 4, 4) % 17, 0.0, 16.0),  # digits
        (np.arange(20, 116, dtype=np.uint8).reshape(2, 4, 4, 3), 0.0, 115.0),
        (np.linspace(-1, 3, 32).reshape(2, 4, 4, 1), -1.0, 3.0),  # standardized
        (np.zeros((2, 4, 4, 1)), 0.0, 1.0),
    ],
)
def test_mistakes_are_scaled_to_the_range_of_their_values(images, low, high):
    figure = plots.mistakes(images, [0, 1], [1, 0], [0.98, 0.5], ["cat", "dog"])
    [axes] = figure.axes
    captions = [text.replace("\n", " ").replace("\u00a0", " ") for text in texts(axes)]
    assert captions == ["cat taken for dog, 98 %", "dog taken for cat, 50 %"]
    for drawn, image in zip(axes.images, images, strict=True):
        expected = (image.astype(np.float64) - low) / (high - low)
        shown = np.asarray(drawn.get_array())
        np.testing.assert_allclose(shown, expected.reshape(shown.shape), atol=1e-12)
        assert drawn.get_clim() == (0, 1)


def test_mistakes_show_25_and_say_so_and_none_says_so():
    figure = sample_mistakes(40)
    assert "25 of 40 shown" in figure.get_suptitle()
    assert len(figure.axes[0].images) == len(texts(figure.axes[0])) == 25
    empty = sample_mistakes(0)
    assert empty.axes == []
    assert "No mistakes" in empty.get_suptitle()
    assert "correctly" in empty.texts[-1].get_text()


def test_save_writes_both_files_whole_and_the_same_again(tmp_path):
    png, svg = plots.save(plots.confusion(np.eye(3, dtype=int), NAMES), tmp_path / "matrix")
    assert matplotlib.image.imread(png).shape[1] == 1000
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    first = png.read_bytes(), svg.read_bytes()
    plots.save(plots.confusion(np.eye(3, dtype=int), NAMES), str(tmp_path / "matrix"))
    assert (png.read_bytes(), svg.read_bytes()) == first


@pytest.mark.parametrize("name", ["matrix", "matrix.png", "matrix.svg", "run.v2"])
def test_save_makes_the_folder_and_the_endings(tmp_path, name):
    stem = name.removesuffix(".png").removesuffix(".svg")
    png, svg = plots.save(Figure(figsize=(1, 1)), tmp_path / "new" / name)
    assert (png, svg) == (tmp_path / "new" / f"{stem}.png", tmp_path / "new" / f"{stem}.svg")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [f"{stem}.png", f"{stem}.svg"]


def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")

    def refuse(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(type(tmp_path), "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        plots.save(sample_mistakes(0), tmp_path / "a")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


IMAGES = np.zeros((2, 4, 4, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plots.learning_curves({}), ValueError, "expected at least one of"),
        (lambda: plots.learning_curves({"losses": [1.0]}), ValueError, "'losses'"),
        (lambda: plots.learning_curves({"loss": []}), ValueError, r"\(0,\)"),
        (lambda: plots.learning_curves({"loss": 1.0}), ValueError, r"'loss': \(\)"),
        (lambda: plots.learning_curves({"loss": [1.0], "penalty": [1.0, 2.0]}), ValueError, r"'penalty': \(2,\)"),
        (lambda: plots.learning_curves({"loss": [1.0]}, best_epoch=0), ValueError, "best_epoch is 0, expected 1 to 1"),
        (lambda: plots.learning_curves({"loss": [1.0]}, best_epoch=2), ValueError, "best_epoch is 2"),
        (lambda: plots.templates(np.zeros((3, 48))), ValueError, r"shape \(3, 48\), expected .* reshape"),
        (lambda: plots.templates(np.zeros((0, 4, 4, 3))), ValueError, r"\(0, 4, 4, 3\)"),
        (lambda: plots.templates(np.full((1, 4, 4, 3), np.nan)), ValueError, "nan or infinity"),
        (lambda: plots.templates(IMAGES, ["one"]), ValueError, "1 entries, expected 2"),
        (lambda: plots.templates(IMAGES, limit=0), ValueError, "limit is 0"),
        (lambda: plots.confusion(np.zeros((2, 3), int), NAMES), ValueError, r"\(2, 3\)"),
        (lambda: plots.confusion(np.zeros((0, 0), int), []), ValueError, r"\(0, 0\)"),
        (lambda: plots.confusion(-np.eye(3, dtype=int), NAMES), ValueError, "minimum -1"),
        (lambda: plots.confusion(np.eye(3), NAMES), TypeError, "float64, expected integers"),
        (lambda: plots.confusion(np.eye(2, dtype=int), NAMES), ValueError, "3 entries, expected 2"),
        (lambda: plots.mistakes(np.zeros((2, 16)), [0, 1], [1, 0], [1, 1], NAMES), ValueError, r"shape \(2, 16\)"),
        (lambda: plots.mistakes(IMAGES, [0], [1, 0], [1, 1], NAMES), ValueError, r"labels have shape \(1,\)"),
        (lambda: plots.mistakes(IMAGES, [0, 1], [1, 0], [1], NAMES), ValueError, "probabilities have shape"),
        (lambda: plots.mistakes(IMAGES, [0, 3], [1, 0], [1, 1], NAMES), ValueError, "run from 0 to 3, expected 0 to 2"),
        (lambda: plots.mistakes(IMAGES, [0, 1], [1, 0], [1, 98], NAMES), ValueError, "probabilities run from 1 to 98"),
        (lambda: plots.mistakes(IMAGES, [0, 1], [1, 0], [1, math.nan], NAMES), ValueError, "probabilities run"),
    ],
)
def test_bad_inputs(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_short_log_axis_has_labels_and_a_long_one_its_powers():
    def labels(high: float) -> list[str]:
        figure = style.new_figure("A title", 2.0)
        axes = figure.add_subplot()
        axes.plot([0, 1], [1.0, high])
        axes.set_yscale("log")
        label_decades(axes.yaxis)
        figure.draw_without_rendering()
        low, top = axes.get_ylim()
        places = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        return [label.get_text() for place, label in places if low <= place <= top]

    assert labels(6.0) == ["1", "2", "5"]
    assert len(labels(1e8)) < 10


def test_powers_of_ten_are_saved_as_plain_text(tmp_path):
    figure = style.new_figure("A title", 2.0)
    axes = figure.add_subplot()
    axes.plot([0, 1], [2e-7, 3e9])
    axes.set(yscale="log")
    plots.save(figure, tmp_path / "figure", svg=False)
    labels = {label.get_text() for label in axes.get_yticklabels()}
    assert {"10⁻⁷", "10¹"} <= labels or {"10⁻⁶", "10²"} <= labels
    assert not any("$" in label for label in labels)
