"""The lessons on capacity, regularization, overfitting, dropout and the amount of data, run in their short form."""

import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from experiments.lessons import capacity, data_scale, regularization
from jaxnn.data import load
from jaxnn.plots import regions

pytestmark = pytest.mark.slow

NAMES = ("capacity", "regularization", "overfitting", "dropout", "data_scale")


@pytest.fixture(autouse=True)
def promotion_of_types_as_users_have_it(standard_promotion):
    """Adam and the schedules of optax mix types, which the strict setting of the other tests forbids."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """`outcomes(name)`: the folder and the summary of a lesson, run once."""
    done = {}

    def run(name):
        if name not in done:
            out = tmp_path_factory.mktemp(name)
            status = importlib.import_module(f"experiments.lessons.{name}").main(["--quick", "--out", str(out)])
            done[name] = status, out, json.loads((out / "summary.json").read_text())
        return done[name]

    return run


def measured(summary, part):
    (claim,) = [claim for claim in summary["claims"] if part in claim["text"]["en"]]
    return claim["measured"]


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_is_held_and_every_file_is_there(outcomes, name):
    status, out, summary = outcomes(name)
    assert [claim["text"]["en"] for claim in summary["claims"] if not claim["held"]] == []
    assert status == 0
    assert summary["lesson"] == name
    for figure in summary["figures"]:
        assert (out / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    for frames, count in summary["frames"].items():
        assert len(list((out / frames).glob("*.png"))) == count > 1
    for table in summary["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}


def test_one_neuron_is_no_better_than_a_straight_line_and_three_are(outcomes):
    summary = outcomes("capacity")[2]
    dataset = load("circle", validation_share=0, size=1000, seed=0)
    line = LogisticRegression().fit(*dataset.train).score(*dataset.test)
    numbers = measured(summary, "disc in a ring")
    assert line < 0.75
    assert numbers["best test accuracy of 1"] < line + 0.25
    assert numbers["of 3"] > line + 0.2
    assert summary["models"] == len(capacity.WIDTHS) * 5 * 3


def test_the_masked_network_of_the_sweep_is_the_small_network():
    """A network of 20 neurons of which 3 are in use gives what 3 neurons give."""
    params = capacity.network(3).init(jax.random.key(0))
    x = np.asarray(regions.plane(1.0, 5), np.float64)
    w, b = (np.asarray(params[0][name], np.float64)[:3] for name in ("w", "b"))
    hidden = np.tanh(x @ w.T + b)
    expected = hidden @ np.asarray(params[1]["w"], np.float64)[:, :3].T + np.asarray(params[1]["b"], np.float64)
    found = capacity.network(3).apply(params, jnp.asarray(regions.plane(1.0, 5)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_notes_two_vectors_have_one_score_and_two_penalties():
    claim, table, _ = regularization.two_vectors()
    x, w = np.ones(4), {"w1": np.array([1.0, 0, 0, 0]), "w2": np.full(4, 0.25)}
    for row in table.rows:
        assert row[2:] == [w[row[0]] @ x, (w[row[0]] ** 2).sum()]
    assert claim.measured == {"score of w1": 1.0, "score of w2": 1.0, "penalty of w1": 1.0, "penalty of w2": 0.25}
    assert claim.held


def test_norms_fall_over_the_whole_grid(outcomes):
    norms = list(measured(outcomes("regularization")[2], "larger l2").values())
    assert len(norms) == len(regularization.L2)
    assert norms == sorted(norms, reverse=True)
    assert norms[0] > 5 * norms[-1]


def test_learning_by_heart_shows_in_the_numbers(outcomes):
    summary = outcomes("overfitting")[2]
    numbers = measured(summary, "by heart: training comes")
    assert numbers["training"] - numbers["test"] > 0.08
    rise = measured(summary, "test loss rises")
    assert rise["last"] > 1.5 * rise["lowest"]
    assert set(measured(summary, "sanity check").values()) == {1.0}


def test_sub_networks_average_to_the_whole_with_the_error_of_a_sample(outcomes):
    summary = outcomes("dropout")[2]
    numbers = measured(summary, "mean of its sub-networks")
    assert numbers["error of 200"] == pytest.approx(numbers["error of 1"] / np.sqrt(200), rel=0.1)
    scaling = measured(summary, "Inverted scaling")
    assert scaling["mean over 2000 masks"] == pytest.approx(scaling["mean before"], rel=0.01)


def test_the_classical_numbers_are_those_of_scikit_learn(outcomes):
    summary = outcomes("data_scale")[2]
    digits = load("digits", validation_share=0)
    train, test = (part.inputs.reshape(len(part.inputs), -1) / 16 for part in (digits.train, digits.test))
    expected = KNeighborsClassifier(5).fit(train, digits.train.labels).score(test, digits.test.labels)
    (table,) = summary["tables"]
    row = next(row for row in table["rows"] if row[0] == "1,437")
    assert float(row[table["columns"].index("k-NN")].split()[0]) == pytest.approx(100 * expected, abs=0.06)


def test_images_are_reduced_to_components_of_the_training_images_alone():
    generator = np.random.default_rng(0)
    train, test = (generator.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8) for n in (150, 20))
    reduced = data_scale.features(train, test)
    assert [part.shape for part in reduced] == [(150, 100), (20, 100)]
    np.testing.assert_allclose(reduced[0].mean(0), 0.0, atol=1e-4)
    again = data_scale.features(train, test[:5])
    np.testing.assert_allclose(again[1], reduced[1][:5], atol=1e-4)
