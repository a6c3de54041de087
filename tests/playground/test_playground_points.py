"""Settings and their bounds; points drawn and read from CSV."""

import math

import numpy as np
import pytest

from experiments.playground.engine import points as data
from experiments.playground.engine import programs
from experiments.playground.engine.settings import BOUNDS, CHOICES, Settings, change, shape_of

# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"nonsense": 1}, "no setting is called"),
        ({"data": "moon"}, "data must be one of circle"),
        ({"learning_rate": math.nan}, "learning_rate must be a number from 0 to 10"),
        ({"learning_rate": "0.1"}, "learning_rate must be a number"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"hidden": (33,)}, "from 1 to 32"),
        ({"hidden": (1,) * 7}, "at most 6"),
        ({"hidden": 6}, "at most 6 whole numbers"),
        ({"features": []}, "at least one input"),
        ({"features": ["x3"]}, "features must be some of"),
        ({"activation": ["tanh"]}, "activation must be one of"),
    ],
)
def test_bad_settings_are_refused_with_what_was_expected(given, message):
    with pytest.raises(ValueError, match=message):
        change(Settings(), given)


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_every_number_has_bounds(name):
    low, high = BOUNDS[name]
    for value in (low, high):
        assert getattr(change(Settings(), {name: value}), name) == value
    for value in (low - 1, high + 1, math.inf):
        with pytest.raises(ValueError, match=name):
            change(Settings(), {name: value})


def test_only_settings_that_need_compilation_change_the_shape():
    shape = shape_of(Settings())
    for name in ("learning_rate", "momentum", "l1", "l2", "dropout"):
        assert shape_of(change(Settings(), {name: 0.5})) == shape
    assert shape_of(change(Settings(), {"data": "moons", "size": 50, "seed": 3, "noise": 0.2})) == shape
    for name, value in {"hidden": (3,), "activation": "relu", "batch_size": 5, "loss": "svm", "classes": 3}.items():
        assert shape_of(change(Settings(), {name: value})) != shape


# ---------------------------------------------------------------- points


@pytest.mark.parametrize("name", CHOICES["data"])
def test_every_set_is_drawn_reproducibly(name):
    settings = change(Settings(), {"data": name, "classes": 3, "size": 90})
    one, two = data.draw(settings), data.draw(settings)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    other = data.draw(change(settings, {"data_seed": 1}))
    assert name == "simple" or not np.array_equal(one.places, other.places)
    assert np.abs(one.places).max() <= programs.EXTENT
    assert len(np.unique(one.targets)) > (20 if settings.regression else 1)
    assert one.train.sum() == (45 if len(one.train) == 90 and name != "random" else len(one.train))


def test_hills_match_the_demo():
    settings = change(Settings(), {"data": "hills", "noise": 0.0, "size": 400})
    points = data.draw(settings)
    for (x, y), target in zip(points.places.astype(float), points.targets, strict=True):
        heights = [sign * max(0.0, 1 - math.hypot(x - a, y - b) / 2) for a, b, sign in data.HILLS]
        assert target == pytest.approx(max(heights, key=abs), abs=2e-3)


def test_csv_is_written_and_read_back():
    settings = Settings()
    points = data.draw(settings)
    back = data.from_csv(data.to_csv(points).encode(), settings)
    for a, b in zip(points, back, strict=True):
        np.testing.assert_array_equal(a, b)
    short = data.from_csv(b"\xef\xbb\xbfLabel, x2 ,X1\r\n1,0.5,-2\r\n", settings)
    np.testing.assert_array_equal(short.places, [[-2.0, 0.5]])
    assert (short.targets.tolist(), short.train.tolist()) == ([1.0], [True])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must name the columns"),
        (b"\xff\xfe\x00", "not CSV text"),
        (b"a,b\n1,2\n", "must name the columns"),
        (b"x1,x2,target\n1,2\n", "line 2 must have a number in each column"),
        (b"x1,x2,target\n1,2,__import__('os')\n", "line 2 must have a number"),
        (b"x1,x2,target\n1,nan,0\n", "line 2 has a number that is not finite"),
        (b"x1,x2,target\n", "has no points"),
        (b"x1,x2,target\n1,2,2\n", "from 0 to 1"),
        (b"x1,x2,target\n1,70,1\n", "from -6 to 6"),
        (b"x1,x2,target,train\n1,2,1,0\n", "at least one training point"),
        (b"x1,x2,target\n" + b"1,2,1\n" * 1001, "at most 1000 points"),
        (b"x" * 300_000, "at most 200,000 bytes"),
    ],
)
def test_bad_csv_is_refused_with_what_was_expected(content, message):
    with pytest.raises(ValueError, match=message):
        data.from_csv(content, Settings())
