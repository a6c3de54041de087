"""The pictures of the lesson on the two losses."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from experiments.lessons import losses as lesson
from jaxnn.plots import curves
from jaxnn.plots._signals import margins, softmax_steps


def test_hatched_bars_are_the_parts_of_the_svm_loss():
    figure = margins(lesson.SCORES, lesson.LABELS.tolist(), lesson.CLASSES, ["a", "b", "c"])
    for axes, loss in zip(figure.axes, (2.9, 0.0, 12.9), strict=True):
        hatched = [p.get_height() for p in axes.patches if p.get_hatch() and isinstance(p, Rectangle)]
        assert sum(hatched) == pytest.approx(loss, abs=1e-5)


def test_softmax_steps_write_their_numbers():
    figure = softmax_steps([3.2, 5.1, -1.7], 0, lesson.CLASSES)
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts[1] == ["24.53", "164", "0.1827"]
    assert texts[2] == ["0.130", "0.869", "0.001"]
    assert texts[3][0] == "2.040"


def test_curves_mark_what_is_not_finite():
    figure = curves([1, 2, 3], {"a": [1, np.inf, np.nan], "b": [1, 2, 3]}, "title", ("x", "y"), marks={"here": 2})
    [axes] = figure.axes
    [crosses] = [line for line in axes.lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(crosses.get_xdata(), [2, 3])
    np.testing.assert_array_equal(crosses.get_ydata(), [1, 1])  # of the axes' height


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="scores have shape"):
        margins(np.zeros((2, 3)), [0], lesson.CLASSES, ["a"])
    with pytest.raises(ValueError, match="label is 3"):
        softmax_steps(np.zeros(3), 3, lesson.CLASSES)
    with pytest.raises(ValueError, match="'a' has shape"):
        curves([1, 2], {"a": [1]}, "title", ("x", "y"))
