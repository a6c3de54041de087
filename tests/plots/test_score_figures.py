"""The parts of the lesson on the score function: contributions of inputs, equations, planes of scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import models
from jaxnn.inspect import attribution
from jaxnn.plots import attribution as draw_contributions
from jaxnn.plots import score_planes
from jaxnn.plots._grids import Matrix, equation


def test_contributions_of_a_linear_classifier_are_its_weights_times_the_inputs():
    model = models.linear((2, 3, 1), 4)
    params = model.init(jax.random.key(0))
    params[0]["b"] = jnp.arange(4.0)
    x = jax.random.normal(jax.random.key(1), (5, 2, 3, 1))
    found = attribution(lambda one: model.apply(params, one), x, 3)
    expected = np.asarray(params[0]["w"]).reshape(4, 2, 3, 1) * np.asarray(x)[:, None]
    np.testing.assert_allclose(found.inputs, expected, atol=1e-6)
    np.testing.assert_allclose(found.rest, np.tile(np.arange(4.0), (5, 1)), atol=1e-5)
    np.testing.assert_allclose(found.scores, model.apply(params, x), atol=1e-5)


def test_contributions_of_a_relu_network_without_biases_add_up_to_the_score():
    model = models.mlp(6, (8,), 3)
    params = model.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (6,))
    found = attribution(lambda one: model.apply(params, one), x)
    np.testing.assert_allclose(found.inputs.sum(-1), model.apply(params, x), atol=1e-5)
    np.testing.assert_allclose(found.rest, 0, atol=1e-5)


def test_wrong_inputs_are_refused():
    with pytest.raises(TypeError, match="standardize images first"):
        attribution(lambda x: x, np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="fewer axes"):
        attribution(lambda x: x, np.zeros(3, np.float32), 2)
    with pytest.raises(ValueError, match=r"must return scores\[C\]"):
        attribution(jnp.sum, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="at least one Matrix"):
        equation(["="], "nothing")
    with pytest.raises(ValueError, match="W has 1 row names, expected 2"):
        equation([Matrix("W", np.eye(2), ["a"])], "names")
    with pytest.raises(ValueError, match="not empty"):
        equation([Matrix("W", np.zeros((2, 0)))], "empty")
    with pytest.raises(ValueError, match="parts have shape"):
        draw_contributions(np.zeros((1, 4, 4, 1)), np.zeros((1, 2, 3, 4)), [["", "", ""]])
    with pytest.raises(ValueError, match="texts, expected 1 rows of 3"):
        draw_contributions(np.zeros((1, 4, 4, 1)), np.zeros((1, 2, 4, 4)), [["", ""]])
    with pytest.raises(ValueError, match="images have shape"):
        draw_contributions(np.zeros((1, 4, 4)), np.zeros((1, 2, 4, 4)), [["", "", ""]])
    with pytest.raises(ValueError, match="w has shape"):
        score_planes(np.zeros((2, 3)), np.zeros(2), np.zeros((1, 2)), np.zeros(1), ["a", "b"])
    with pytest.raises(ValueError, match="points have shape"):
        score_planes(np.zeros((2, 2)), np.zeros(2), np.zeros((1, 3)), np.zeros(1), ["a", "b"])


def test_figures_show_every_number():
    figure = equation([Matrix("W", [[1, -2], [3, 4.5]], ["a", "b"]), "=", Matrix("x", [7])], "a title")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"1", "-2", "3", "4.5", "7", "=", "W", "x", "a", "b"} <= set(texts)


def test_zero_score_lines_are_where_the_scores_are_zero():
    w, b = np.array([[1.0, 2.0], [-3.0, 0.5], [0.0, 0.0]]), np.array([0.5, 1.0, -1.0])
    figure = score_planes(w, b, np.zeros((3, 2)), np.arange(3), ["a", "b", "c"])
    lines = figure.axes[1].lines
    assert len(lines) == 2  # the third score is zero nowhere
    for line, row, offset in zip(lines, w, b, strict=False):
        points = np.stack([np.asarray(line.get_xdata()), np.asarray(line.get_ydata())], 1)
        np.testing.assert_allclose(points @ row + offset, 0, atol=1e-9)
