"""Gradient descent on functions: paths, basins, minima, against loops in float64 and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lessons import gradient_descent
from jaxnn.inspect import _descent as descent


def test_the_worked_example():
    path = descent.descend_many(gradient_descent.parabola, np.array([6.0]), np.array([0.05]), steps=1000)
    assert path.points.shape == (1, 1, 1001)
    np.testing.assert_allclose(path.points[0, 0, :4], [6, 5.5, 5.05, 4.645], rtol=1e-6)
    np.testing.assert_allclose(path.points[0, 0], 1 + 5 * 0.9 ** np.arange(1001), atol=2e-6)
    np.testing.assert_allclose(path.gradients[0, 0], 2 * path.points[0, 0] - 2, atol=1e-6)
    assert path.end[0, 0] == path.points[0, 0, -1]
    assert float(path.values[0, 0, -1]) == pytest.approx(1, abs=1e-6)


def loop(start, rate, momentum, steps):
    """Descent in the narrow valley, written out in float64."""
    x, v, points = np.array(start, float), np.zeros(2), []
    for _ in range(steps + 1):
        points.append(x.copy())
        v = momentum * v - rate * np.array([x[0], gradient_descent.STEEP * x[1]])
        x = x + v
    return np.array(points)


@pytest.mark.portable
def test_many_starts_rates_and_momenta_are_the_loops():
    starts, rates, momenta = np.array([[10.0, 1.0], [-3.0, 0.5]]), np.array([0.01, 0.03]), np.array([0.0, 0.6])
    paths = descent.descend_many(gradient_descent.narrow, starts, rates, momenta, steps=30)
    for i, start in enumerate(starts):
        for j, (rate, momentum) in enumerate(zip(rates, momenta, strict=True)):
            expected = loop(start, rate, momentum, 30)
            np.testing.assert_allclose(paths.points[i, j], expected, rtol=1e-4, atol=1e-5)
            move = np.linalg.norm(expected[-1] - expected[-2])
            np.testing.assert_allclose(paths.last_move[i, j], move, rtol=1e-3)


def test_beyond_two_over_l_the_distance_grows_by_the_exact_factor():
    rates = np.array([0.3, 0.9, 1.0, 1.1])
    path = descent.descend_many(gradient_descent.parabola, np.array([6.0]), rates, steps=20)
    np.testing.assert_allclose(path.points[0, :, -1] - 1, 5 * (1 - 2 * rates) ** 20, rtol=1e-3, atol=1e-5)


def test_minima_are_those_of_scipy():
    minima = descent.local_minima(gradient_descent.waves, -14.0, 14.0)
    x = np.linspace(0.5, 14, 2_000_001)
    slope = np.sin(x) + x * np.cos(x)
    exact = x[1:][(slope[:-1] < 0) & (slope[1:] >= 0)]
    np.testing.assert_allclose(minima, [*-exact[::-1], 0, *exact], atol=1e-4)
    assert descent.local_minima(lambda x: x, 0.0, 1.0).shape == (0,)
    with pytest.raises(ValueError, match="low < high"):
        descent.local_minima(gradient_descent.waves, 1.0, 1.0)


def test_basins_follow_the_slope_and_end_at_the_bound():
    minima = descent.local_minima(gradient_descent.waves, -14.0, 14.0)
    starts = np.array([1.9, 2.2, 7.8, 8.2, -1.9, 14.0])
    found = descent.basins(gradient_descent.waves, starts, np.array([0.01, 0.3]), minima, steps=1500)
    assert found[:, 0].tolist() == [2, 3, 3, 4, 2, 4]
    assert not np.isin(found[:, 1], [0, 4]).any()  # 2/L of the outer minima is 0.178
    assert found[1, 1] == 3  # and 0.384 of the next


def test_basins_of_points_and_of_those_that_run_away():
    ends = np.array([[1.332, 0.0], [-1.484, 0.0]])
    starts = np.array([[2.0, 1.0], [-2.0, 1.0]])
    found = descent.basins(gradient_descent.two_valleys, starts, np.array([0.05, 2.0]), ends, steps=300, tolerance=0.01)
    assert found.tolist() == [[0, -1], [1, -1]]


def test_steps_to_counts_until_the_value_stays_down():
    values = np.array([[5.0, 1.0, 3.0, 1.0, 0.5], [5.0, 4.0, 3.0, 2.0, np.nan], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert descent.steps_to_reach(values, 1.0).tolist() == [3, 5, 0]


def test_descent_is_a_pure_function_that_can_be_differentiated():
    def end(rate):
        return descent.descend(gradient_descent.parabola, 6.0, rate, steps=3).end

    slope = jax.grad(end)(0.05)
    assert float(slope) == pytest.approx(5 * 3 * 0.9**2 * -2, rel=1e-5)


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="steps"):
        descent.descend(gradient_descent.parabola, 1.0, 0.1, steps=2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        descent.descend(gradient_descent.parabola, 1.0, 0.1, steps=0)
    with pytest.raises(ValueError, match="one number"):
        descent.descend(lambda x: x, jnp.ones(2), 0.1, steps=1)
    with pytest.raises(ValueError, match="rates"):
        descent.descend_many(gradient_descent.parabola, np.ones(2), np.ones(2), np.ones(3), steps=1)
    with pytest.raises(ValueError, match="minima"):
        descent.basins(gradient_descent.parabola, np.ones(2), np.ones(2), np.ones((1, 2)), steps=1)
