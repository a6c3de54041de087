"""The lesson on the forward pass, and the picture of a computation in stages."""

import json

import numpy as np
import pytest

from experiments.lessons import forward_pass
from jaxnn.plots.networks import Stage, pipeline


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    out = tmp_path_factory.mktemp("forward_pass")
    assert forward_pass.main(["--quick", "--out", str(out)]) == 0
    assert {"untrained.png", "trained.png"} <= {path.name for path in out.iterdir()}
    return json.loads((out / "summary.json").read_text())


def test_every_claim_of_the_lesson_holds(summary):
    assert [claim["held"] for claim in summary["claims"]] == [True] * 3


def test_stages_have_the_shapes_of_a_two_layer_network_on_digits(summary):
    shapes = {row[0]: row[2] for row in summary["tables"][0]["rows"]}
    assert shapes == {
        "image": [8, 8, 1],
        "x": [64],
        "W1": [32, 64],
        "hidden": [32],
        "W2": [10, 32],
        "scores": [10],
        "probabilities": [10],
        "data loss": [],
        "penalty": [],
        "objective": [],
    }


def test_the_objective_is_the_loss_and_the_penalty(summary):
    means = {row[0]: float(row[5]) for row in summary["tables"][0]["rows"]}
    assert means["objective"] == pytest.approx(means["data loss"] + means["penalty"], abs=2e-3)
    assert means["probabilities"] == pytest.approx(0.1)


def test_a_pipeline_draws_images_bars_colors_and_numbers():
    stages = [
        Stage("image", "as stored", np.zeros((4, 4, 3), np.uint8)),
        Stage("many", "colors", np.arange(50.0)),
        Stage("few", "bars", np.arange(3.0), 1),
        Stage("one", "number", np.float32(1.5), joined="="),
    ]
    figure = pipeline(stages, "title", columns=2)
    assert len(figure.axes) == 4
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 0, 0]
    assert len(figure.axes[2].patches) == 3
    assert figure.axes[3].texts[0].get_text() == "1.5000"
    texts = [text.get_text() for text in figure.texts]
    assert {"image", "4 x 4 x 3, uint8", "as stored", "=", "0.00 to 49.00, mean 24.50"} <= set(texts)


def test_a_pipeline_refuses_nothing_to_draw():
    with pytest.raises(ValueError, match="at least one stage"):
        pipeline([], "title")
    with pytest.raises(ValueError, match="stage 'x' is empty"):
        pipeline([Stage("x", "", np.zeros(0))], "title")
