import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import initializers

KEY = jax.random.key(0)
SHAPES = [(400, 50), (50, 400), (150, 150)]
RULES = {
    "normal": (initializers.normal(), lambda out, into: 0.01),
    "normal(2)": (initializers.normal(2.0), lambda out, into: 2.0),
    "xavier": (initializers.xavier, lambda out, into: math.sqrt(2 / (into + out))),
    "he": (initializers.he, lambda out, into: math.sqrt(2 / into)),
}
each_rule = pytest.mark.parametrize(("rule", "std"), RULES.values(), ids=RULES)


@each_rule
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_weights_are_normal_with_the_spread_of_the_formula(rule, std, shape):
    w = rule(KEY, shape)
    assert (w.shape, w.dtype) == (shape, jnp.float32)
    z = np.ravel(w) / std(*shape)
    assert abs(z.mean()) < 5 / math.sqrt(z.size)
    assert abs(z.std() - 1) < 5 / math.sqrt(2 * z.size)
    for bound, share in ((1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)):  # no truncation, no uniform
        assert abs((np.abs(z) < bound).mean() - share) < 5 * math.sqrt(share * (1 - share) / z.size)
    assert np.abs(z).max() > 3.3


@each_rule
def test_weights_are_a_function_of_the_key(rule, std):
    np.testing.assert_array_equal(rule(KEY, (3, 4)), rule(jax.random.key(0), (3, 4)))
    assert (rule(KEY, (3, 4)) != rule(jax.random.key(1), (3, 4))).all()


@each_rule
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_dtype(rule, std, dtype):
    assert rule(KEY, (3, 4), dtype).dtype == dtype


def test_zeros():
    np.testing.assert_array_equal(initializers.zeros(KEY, (3, 4)), np.zeros((3, 4)))


@pytest.mark.parametrize("std", [0.0, -0.01, math.inf, math.nan])
def test_wrong_std(std):
    with pytest.raises(ValueError, match=f"std must be positive and finite, got {std}; for zeros use"):
        initializers.normal(std)


@pytest.mark.parametrize("rule", [initializers.xavier, initializers.he])
@pytest.mark.parametrize("shape", [(), (3,), (3, 4, 5), (0, 3), (3, 0), (3, -1)], ids=str)
def test_wrong_shape(rule, shape):
    with pytest.raises(ValueError, match=rf"^{rule.__name__}: expected a shape \(out, in\) of positive sizes, got \("):
        rule(KEY, shape)
