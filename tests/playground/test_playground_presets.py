"""What the hint of each preset promises is what happens."""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from experiments.playground.content.presets import PRESETS
from experiments.playground.engine.compiler import Compiler
from experiments.playground.engine.probe import Snapshot
from experiments.playground.engine.session import Playground

LEARNED = {"classify2d": (3000, 0.97), "playground": (300, 0.97), "three_neurons": (1000, 0.97), "spiral": (300, 0.95)}
"""Steps, and the training accuracy that they reach."""


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    return Compiler()


@pytest.fixture(scope="module", autouse=True)
def standard_promotion_in_all_threads() -> Iterator[None]:
    """Adam mixes i32 and f32 itself, and the programs are traced in threads."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield
    jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def run(compiler):
    def run(name: str, steps: int, **changes) -> tuple[Playground, Snapshot]:
        playground = Playground(compiler, dataclasses.replace(PRESETS[name].settings(), **changes))
        playground.ready(wait=True)
        playground.train(steps)
        frame = playground.frame()
        assert frame is not None
        assert not frame.message
        return playground, frame.snapshot

    return run


@pytest.mark.parametrize("name", LEARNED)
def test_it_learns(run, name):
    steps, accuracy = LEARNED[name]
    assert run(name, steps)[1].accuracies[0] >= accuracy


def test_one_neuron_fails(run):
    assert run("one_neuron", 10_000)[1].accuracies[0] < 0.85


def test_gradients_vanish_through_six_sigmoid_layers(run):
    _, found = run("vanishing", 0)
    assert found.gradients[0] < 1e-3 * found.gradients[-1]


def test_the_l2_penalty_keeps_the_test_loss_low(run):
    assert run("l2", 3000, l2=0.0)[1].losses[1] > 2.5 * run("l2", 3000)[1].losses[1]


def test_dropout_keeps_the_test_loss_low(run):
    assert run("dropout", 3000, dropout=0.0)[1].losses[1] > 1.8 * run("dropout", 3000)[1].losses[1]


def test_a_large_rate_kills_relu_neurons_and_a_smaller_one_does_not(run):
    assert run("dead_relu", 30)[1].dead[1] == 12
    _, found = run("dead_relu", 1000, learning_rate=0.1)
    assert found.dead[1] < 6
    assert found.accuracies[0] > 0.97


def test_weights_of_zero_have_no_gradient(run):
    _, found = run("zeros", 100)
    assert found.dead.tolist() == [6, 2]
    assert not found.gradients.any()


def test_points_beyond_the_margin_have_no_loss(run):
    playground, found = run("svm", 1000)
    scores = found.outputs[-1][-1000:][: int(playground.points.train.sum())].astype(np.float64)
    labels = playground._table.targets[: len(scores)].astype(int)
    right = scores[np.arange(len(scores)), labels]
    others = np.where(np.eye(3, dtype=bool)[labels], -np.inf, scores)
    outside = right - others.max(1) > 1
    hinge = np.maximum(0, 1 + others - right[:, None]).sum(1)
    assert 0.5 < outside.mean() < 1
    assert not hinge[outside].any()
    np.testing.assert_allclose(hinge.mean(), found.losses[0], rtol=1e-4)


def test_values_are_learned(run):
    playground, found = run("values", 6000)
    assert found.losses[1] < 0.4 * playground.points.targets[~playground.points.train].var()
    assert np.isnan(found.accuracies).all()


@pytest.mark.parametrize(("name", "networks"), [("widths", 5), ("seeds", 16)])
def test_several_networks_are_trained_side_by_side(run, name, networks):
    playground, _ = run(name, 1000)
    frame = playground.frame()
    assert frame is not None
    assert frame.all_means is not None
    accuracies = frame.all_means[:, 0]
    assert len(accuracies) == networks
    assert accuracies[-1] > 0.85
    if name == "widths":
        assert accuracies[0] < 0.8
        assert accuracies[-1] > 0.97
