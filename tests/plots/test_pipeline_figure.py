"""The picture of a computation in stages."""

import numpy as np
import pytest

from jaxnn.plots._networks import Stage, pipeline


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


def test_no_number_of_a_pipeline_is_minus_zero_and_small_ones_keep_a_digit():
    figure = pipeline([Stage("s", "", np.array([-0.0031, 0.004, -1e-6])), Stage("w", "", np.full(40, -1e-4))], "title")
    assert [text.get_text() for text in figure.axes[0].texts] == ["-0.003", "0.004", "0.000"]
    assert "0.00 to 0.00, mean 0.00" in [text.get_text() for text in figure.texts]


def test_a_pipeline_refuses_nothing_to_draw():
    with pytest.raises(ValueError, match="at least one stage"):
        pipeline([], "title")
    with pytest.raises(ValueError, match="stage 'x' is empty"):
        pipeline([Stage("x", "", np.zeros(0))], "title")
