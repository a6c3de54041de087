"""The toy sets: geometry against equations written here, balance, determinism, wrong arguments."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from sklearn.datasets import make_moons

from jaxnn.data import toy

ALL = [toy.circle, toy.spiral, toy.moons, toy.xor, toy.gauss]
MANY = [toy.spiral, toy.gauss]


@pytest.mark.parametrize("draw", ALL)
@settings(max_examples=30, deadline=None)
@given(size=st.integers(2, 400), noise=st.floats(0, 1), seed=st.integers(0, 2**40))
def test_any_size_is_balanced_typed_and_repeatable(draw, size, noise, seed):
    size += 1  # the spiral has three arms
    inputs, labels = draw(size, noise=noise, seed=seed)
    assert inputs.shape == (size, 2)
    assert inputs.dtype == np.float32
    assert labels.shape == (size,)
    assert labels.dtype == np.int32
    counts = np.bincount(labels)
    assert counts.max() - counts.min() <= 1
    assert np.isfinite(inputs).all()
    again, _ = draw(size, noise=noise, seed=seed)
    np.testing.assert_array_equal(inputs, again)
    noisy, other = (draw(size, noise=noise + 0.1, seed=seed + more)[0] for more in (0, 1))
    assert not np.array_equal(noisy, other)


@pytest.mark.parametrize("draw", ALL)
def test_without_noise_points_fill_the_square_and_stay_in_it(draw):
    inputs, _ = draw(1000, noise=0.0)
    assert np.abs(inputs).max() <= 1
    if draw is not toy.gauss:
        assert np.abs(inputs).max() > 0.9


@pytest.mark.parametrize("draw", MANY)
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_number_of_classes(draw, classes):
    _, labels = draw(100, classes=classes)
    np.testing.assert_array_equal(np.unique(labels), np.arange(classes))


def test_circle_is_a_disc_in_a_ring():
    inputs, labels = toy.circle(4000, noise=0.0)
    radius = np.hypot(*inputs.astype(np.float64).T)
    assert radius[labels == 0].max() <= 0.5 + 1e-6
    assert radius[labels == 1].min() >= 0.7 - 1e-6
    # uniform over the area: half of the disc lies outside radius 0.5 / sqrt(2)
    assert abs((radius[labels == 0] > 0.5 / math.sqrt(2)).mean() - 0.5) < 0.04


def test_spiral_has_the_arms_of_its_formula():
    inputs, labels = toy.spiral(300, noise=0.0, classes=3)
    for arm in range(3):
        for i, (x, y) in enumerate(inputs[labels == arm]):
            radius = (i + 1) / 100
            angle = 2 * math.pi * arm / 3 + 4 * radius
            assert (x, y) == pytest.approx((radius * math.cos(angle), radius * math.sin(angle)), abs=1e-6)


def test_spiral_noise_turns_points_but_keeps_radii():
    quiet, _ = toy.spiral(3000, noise=0.0)
    noisy, _ = toy.spiral(3000, noise=0.2)
    np.testing.assert_allclose(np.hypot(*noisy.T), np.hypot(*quiet.T), atol=1e-6)
    turned = np.arctan2(quiet[:, 0] * noisy[:, 1] - quiet[:, 1] * noisy[:, 0], (quiet * noisy).sum(1))
    assert turned.std() == pytest.approx(0.2, rel=0.05)


def test_moons_are_those_of_scikit_learn_centred_and_shrunk():
    reference, reference_labels = make_moons(20_000, noise=None, shuffle=False)
    reference = (np.asarray(reference) - [0.5, 0.25]) / 1.5
    inputs, labels = toy.moons(4000, noise=0.0)
    for label in (0, 1):
        moon = reference[reference_labels == label]
        assert KDTree(moon).query(inputs[labels == label])[0].max() < 1e-3
        assert KDTree(inputs[labels == label]).query(moon)[0].max() < 0.02  # the whole moon


def test_xor_is_the_sign_of_the_product_with_a_gap():
    inputs, labels = toy.xor(1000)
    np.testing.assert_array_equal(labels, inputs[:, 0] * inputs[:, 1] < 0)
    assert np.abs(inputs).min() >= 0.05 - 1e-6
    quadrants = np.unique(np.sign(inputs), axis=0, return_counts=True)[1]
    assert len(quadrants) == 4
    assert quadrants.min() > 200


def test_gauss_has_the_stated_means_and_deviation():
    inputs, labels = toy.gauss(40_000, noise=0.2, classes=4)
    for label, centre in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        cloud = inputs[labels == label].astype(np.float64)
        np.testing.assert_allclose(cloud.mean(0), 0.6 * math.sqrt(0.5) * np.array(centre), atol=0.01)
        np.testing.assert_allclose(cloud.std(0), 0.2, rtol=0.03)


@pytest.mark.parametrize("draw", [toy.circle, toy.moons, toy.xor])
def test_noise_is_a_standard_deviation_per_coordinate(draw):
    quiet, _ = draw(5000, noise=0.0)
    noisy, _ = draw(5000, noise=0.3)
    np.testing.assert_allclose((noisy - quiet).std(0), 0.3, rtol=0.05)


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": -1}, ValueError, "size .* got -1"),
        ({"size": 0}, ValueError, "size .* got 0"),
        ({"size": 1}, ValueError, "size .* got 1"),
        ({"size": 10.0}, TypeError, r"size .* got 10\.0"),
        ({"size": True}, TypeError, "size .* got True"),
        ({"noise": -0.1}, ValueError, r"noise .* got -0\.1"),
        ({"noise": math.nan}, ValueError, "noise .* got nan"),
        ({"noise": math.inf}, ValueError, "noise .* got inf"),
        ({"noise": "0.1"}, TypeError, r"noise .* got '0\.1'"),
        ({"seed": -1}, ValueError, "seed .* got -1"),
        ({"seed": 0.5}, TypeError, r"seed .* got 0\.5"),
        ({"seed": None}, TypeError, "seed .* got None"),
    ],
)
def test_wrong_arguments_are_named(draw, arguments, error, message):
    with pytest.raises(error, match=message):
        draw(**arguments)


@pytest.mark.parametrize("draw", MANY)
def test_wrong_number_of_classes_is_named(draw):
    with pytest.raises(ValueError, match=r"classes .* got 1"):
        draw(classes=1)
    with pytest.raises(TypeError, match=r"classes .* got 2\.0"):
        draw(classes=2.0)
    with pytest.raises(ValueError, match="each of the 5 classes, got 4"):
        draw(4, classes=5)
