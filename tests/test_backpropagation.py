"""The lesson on back-propagation."""

import json

import jax
import numpy as np
import pytest
import references

from experiments.lessons import backpropagation
from jaxnn import models


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    out = tmp_path_factory.mktemp("backpropagation")
    assert backpropagation.main(["--quick", "--out", str(out)]) == 0
    assert {f"{name}.png" for name in ("product", "neuron", "network", "step")} <= {p.name for p in out.iterdir()}
    return json.loads((out / "summary.json").read_text())


def test_every_claim_of_the_lesson_holds(summary):
    assert [claim["held"] for claim in summary["claims"]] == [True] * 5


def test_the_worked_numbers(summary):
    product, neuron = (claim["measured"] for claim in summary["claims"][:2])
    assert product == {"f": -12, "x": -4, "y": -4, "z": 3}
    w, x = np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0, 1.0])
    output = 1 / (1 + np.exp(-w @ x))
    slope = output * (1 - output)
    expected = {"output": output, "w0": slope * x[0], "x0": slope * w[0], "w1": slope * x[1], "x1": slope * w[1]}
    assert neuron == pytest.approx(expected | {"w2": slope}, rel=1e-5)


def test_the_backward_pass_written_by_hand_is_the_slope_of_a_loop():
    params = jax.tree.map(np.float64, models.mlp(3, (4,), 2).init(jax.random.key(3)))
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 3)), random.integers(0, 2, 5)

    def objective(w):
        layers = [{**params[0], "w": w}, params[1]]
        each = [
            references.softmax(references.mlp(layers, a, lambda z: np.maximum(z, 0)), b)
            for a, b in zip(x, y, strict=True)
        ]
        return float(np.mean(each) + backpropagation.L2 * sum((layer["w"] ** 2).sum() for layer in layers))

    expected = references.differences(objective, params[0]["w"])
    np.testing.assert_allclose(backpropagation.backward(params, x, y)[0]["w"], expected, rtol=1e-6, atol=1e-8)
