"""The data of the lessons: prepared sets, and what is refused; pictures of a data set."""

import numpy as np
import pytest

from experiments.lessons import dataset
from experiments.lessons.framework import lesson
from experiments.lessons.framework.data import load_images
from experiments.lessons.framework.lesson import Options
from jaxnn.plots import image_table
from jaxnn.plots._dataset import class_counts, pixel_values


def test_points_are_refused(tmp_path, capsys):
    assert lesson.main(dataset.LESSON, None, ["--dataset", "moons", "--out", str(tmp_path)]) == 2
    assert "holds points, not images" in capsys.readouterr().err


def test_nothing_is_downloaded_where_nothing_is_prepared(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("JAXNN_CACHE_DIR", str(tmp_path))
    assert load_images(Options()).name == "digits"
    assert lesson.main(dataset.LESSON, None, ["--dataset", "cifar100", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "--dataset cifar100 is not prepared" in error
    assert "lessons download nothing" in error
    assert not any(tmp_path.iterdir())


def test_an_unknown_set_is_named(tmp_path, capsys):
    assert lesson.main(dataset.LESSON, None, ["--dataset", "cifra10", "--out", str(tmp_path / "out")]) == 2
    assert "did you mean 'cifar10'" in capsys.readouterr().err


def test_the_short_form_takes_the_digits_even_where_cifar10_is_prepared(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.lessons.framework.data.is_here", lambda name: True)
    assert load_images(Options(quick=True)).name == "digits"


def test_pictures_hold_what_they_are_given():
    figure = image_table([np.ones((2, 4, 4, 3)), np.zeros((1, 4, 4, 3))], ["a", "b"], "title")
    assert len(figure.axes[0].images) == 3
    bars = class_counts({"training": [5, 6], "test": [1, 2]}, ["a", "b"]).axes[0]
    assert [text.get_text() for text in bars.texts] == ["5", "6", "1", "2"]
    panels = pixel_values({"training": np.full((3, 4), 0.25)}, [np.array([1.5, 1.5, 1.5])], "title").axes
    assert [axes.get_title(loc="left") for axes in panels] == ["red, mean 1.5", "green, mean 1.5", "blue, mean 1.5"]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a name each"):
        image_table([np.ones((2, 4, 4, 3))], ["a", "b"], "title")
    with pytest.raises(ValueError, match="captions are"):
        image_table([np.ones((2, 4, 4, 3))], ["a"], "title", [["one"]])
    with pytest.raises(ValueError, match=r"expected \[K, H, W, C\]"):
        image_table([np.ones((2, 4, 4))], ["a"], "title")
    with pytest.raises(ValueError, match="counts of test"):
        class_counts({"test": [1]}, ["a", "b"])
    with pytest.raises(ValueError, match="histograms have shapes"):
        pixel_values({"test": np.ones(4)}, [np.ones(1)], "title")
    with pytest.raises(ValueError, match="means have shapes"):
        pixel_values({"test": np.ones((1, 4))}, [np.ones(3)], "title")
