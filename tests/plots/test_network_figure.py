"""The drawn network."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from jaxnn.plots import network
from jaxnn.plots._style import BLUE, VERMILION


def drawn(w, neurons):
    figure = network([w], neurons, ("in", "out"), "title", (("a", "b"), ("c", "d", "e")))
    [lines] = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    return figure.axes[0], lines


def test_every_weight_is_a_line_colored_by_its_sign_and_as_wide_as_its_size():
    w = np.array([[1.0, -2.0], [0.5, 4.0], [0.0, -1.0]])
    axes, lines = drawn(w, [np.array([1.0, 2.0]), np.array([-1.0, 0.0, 3.0])])
    sizes = np.sort(np.abs(w).ravel())
    np.testing.assert_allclose(lines.get_linewidth(), 0.3 + 5 * sizes / 4)
    colors = [to_hex(color).upper() for color in np.asarray(lines.get_edgecolor())]
    assert colors.count(VERMILION.upper()) == 3
    assert colors.count(BLUE.upper()) == 3
    assert colors[-1] == VERMILION.upper()  # the largest, 4
    texts = {text.get_text() for text in axes.texts}
    assert {"1.00", "-1.00", "3.00", "a", "e", "in", "out"} <= texts


def test_neurons_can_be_maps():
    axes, _ = drawn(np.ones((3, 2)), [np.ones((2, 4, 4)), np.zeros((3, 4, 4))])
    assert len(axes.images) == 5


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit layers of"):
        network([np.ones((2, 2))], [np.ones(2), np.ones(3)], ("a", "b"), "title")
    with pytest.raises(ValueError, match="at most 24"):
        network([np.ones((1, 25))], [np.ones(25), np.ones(1)], ("a", "b"), "title")
