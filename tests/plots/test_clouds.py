"""Counting distinct neurons, and wrong input to the pictures of clouds."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.inspect._gradients import distinct_neurons
from jaxnn.plots import _dataset as pictures


def test_distinct_neurons_are_counted():
    rows = np.array([[1, 2], [1, 2], [0, 1], [1, 2], [0, 2]], np.float32)
    assert int(distinct_neurons(jnp.asarray(rows))) == len(np.unique(rows, axis=0)) == 3
    assert int(distinct_neurons(jnp.zeros((6, 3)))) == 1


def test_five_clouds_take_two_rows_of_panels_on_equal_axes():
    points = np.random.default_rng(0).normal(size=(30, 2)) + 2
    figure = pictures.clouds({name: points - shift for shift, name in enumerate("abcde")})
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in shown] == list("abcde")
    assert {axes.get_xlim() for axes in shown} == {axes.get_ylim() for axes in shown} == {shown[0].get_xlim()}
    figure.draw_without_rendering()
    assert min(axes.get_position().width for axes in shown) > 0.25  # of the figure


def test_wrong_clouds_and_images_are_named():
    with pytest.raises(ValueError, match="N, 2"):
        pictures.clouds({"raw": np.zeros((4, 3))})
    with pytest.raises(ValueError, match="one shape"):
        pictures.image_rows({"a": np.zeros((2, 3, 3)), "b": np.zeros((3, 3, 3))}, "")
