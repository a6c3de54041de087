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


def test_wrong_clouds_and_images_are_named():
    with pytest.raises(ValueError, match="N, 2"):
        pictures.clouds({"raw": np.zeros((4, 3))})
    with pytest.raises(ValueError, match="one shape"):
        pictures.image_rows({"a": np.zeros((2, 3, 3)), "b": np.zeros((3, 3, 3))}, "")
