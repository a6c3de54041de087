"""Parts of single lessons against loops and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import references

from experiments.lessons import backpropagation, capacity, data_scale, regularization
from jaxnn import models
from jaxnn.plots import _regions as regions


def test_the_hand_written_backward_pass_is_the_slope_of_a_loop():
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


def test_the_masked_network_of_the_sweep_is_the_small_network():
    """A network of 20 neurons of which 3 are in use gives what 3 neurons give."""
    params = capacity.network(3).init(jax.random.key(0))
    x = np.asarray(regions.plane(1.0, 5), np.float64)
    w, b = (np.asarray(params[0][name], np.float64)[:3] for name in ("w", "b"))
    hidden = np.tanh(x @ w.T + b)
    expected = hidden @ np.asarray(params[1]["w"], np.float64)[:, :3].T + np.asarray(params[1]["b"], np.float64)
    found = capacity.network(3).apply(params, jnp.asarray(regions.plane(1.0, 5)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_two_weight_vectors_have_one_score_and_two_penalties():
    claim, table, _ = regularization.two_vectors()
    x, w = np.ones(4), {"w1": np.array([1.0, 0, 0, 0]), "w2": np.full(4, 0.25)}
    for row in table.rows:
        assert row[2:] == [w[row[0]] @ x, (w[row[0]] ** 2).sum()]
    assert claim.measured == {"score of w1": 1.0, "score of w2": 1.0, "penalty of w1": 1.0, "penalty of w2": 0.25}
    assert claim.held


def test_images_are_reduced_to_components_of_the_training_images_alone():
    generator = np.random.default_rng(0)
    train, test = (generator.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8) for n in (150, 20))
    reduced = data_scale.features(train, test)
    assert [part.shape for part in reduced] == [(150, 100), (20, 100)]
    np.testing.assert_allclose(reduced[0].mean(0), 0.0, atol=1e-4)
    again = data_scale.features(train, test[:5])
    np.testing.assert_allclose(again[1], reduced[1][:5], atol=1e-4)
