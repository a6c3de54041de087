"""The lessons on activations, initial weights and preprocessing."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lessons import activations, initialization, preprocessing
from jaxnn.inspect.gradients import distinct_neurons
from jaxnn.plots import dataset as pictures

pytestmark = pytest.mark.slow


def test_distinct_neurons_are_counted():
    rows = np.array([[1, 2], [1, 2], [0, 1], [1, 2], [0, 2]], np.float32)
    assert int(distinct_neurons(jnp.asarray(rows))) == len(np.unique(rows, axis=0)) == 3
    assert int(distinct_neurons(jnp.zeros((6, 3)))) == 1


def test_wrong_clouds_and_images_are_named():
    with pytest.raises(ValueError, match="N, 2"):
        pictures.clouds({"raw": np.zeros((4, 3))})
    with pytest.raises(ValueError, match="one shape"):
        pictures.image_rows({"a": np.zeros((2, 3, 3)), "b": np.zeros((3, 3, 3))}, "")


def run(lesson, folder):
    assert lesson.main(["--quick", "--out", str(folder)]) == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["claims"]
    for claim in summary["claims"]:
        assert claim["held"], claim
    for name in summary["figures"]:
        assert (folder / f"{name}.png").stat().st_size > 8_000
    return [claim["measured"] for claim in summary["claims"]]


def test_the_lesson_on_activations(tmp_path, standard_promotion):
    functions, depth, _, dead = run(activations, tmp_path)
    assert functions["largest derivative, sigmoid"] == pytest.approx(0.25)
    assert functions["sigmoid's at 6"] == pytest.approx(math.exp(-6) / (1 + math.exp(-6)) ** 2, rel=1e-4)
    assert depth["first : last, sigmoid"] < 0.3**10
    assert dead["leaky, most"] == 0


def test_the_lesson_on_initial_weights(tmp_path, standard_promotion):
    signal, kept, zeros, *_ = run(initialization, tmp_path)
    # tanh is nearly linear for small values: a layer multiplies the spread by 0.01 sqrt(128)
    assert signal["of the last"] / signal["std of layer 1"] == pytest.approx((0.01 * math.sqrt(128)) ** 5, rel=0.4)
    assert kept["relu, xavier, last : first"] == pytest.approx(0.5**2.5, rel=1.0)
    assert zeros["largest difference of two weights"] == 0
    assert zeros["lowest loss"] == pytest.approx(math.log(10), abs=0.02)


def test_the_lesson_on_preprocessing(tmp_path, standard_promotion):
    cloud, images, steep, _ = run(preprocessing, tmp_path)
    assert cloud["largest |covariance - identity|"] < 1e-3
    assert images["error with all"] < 1e-2
    assert steep["2/L, raw"] < steep["2/L, zero-centered"] < steep["2/L, whitened"]
