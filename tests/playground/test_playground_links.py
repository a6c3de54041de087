"""Links and model files: they restore the state, and bad ones are refused with a message."""

import base64
import itertools
import json
import zlib

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.playground.content.presets import PRESETS
from experiments.playground.engine import points as data
from experiments.playground.engine.links import MAX_FILE, MAX_LINK, Saved, View, from_file, from_link, to_file, to_link
from experiments.playground.engine.registry import FEATURES
from experiments.playground.engine.session import check_weights
from experiments.playground.engine.settings import BOUNDS, CHOICES, Settings, change, shape_of


def weights_for(settings: Settings, seed: int = 0) -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(seed)
    sizes = shape_of(settings).sizes
    normal = lambda *size: generator.standard_normal(size).astype(np.float32)
    return [{"w": normal(out, into), "b": normal(out)} for into, out in itertools.pairwise(sizes)]


def same(one: Saved, two: Saved) -> None:
    assert one.settings == two.settings
    assert (one.points is None, one.weights is None) == (two.points is None, two.weights is None)
    jax.tree.map(np.testing.assert_array_equal, (one.points, one.weights), (two.points, two.weights))


def some_settings():
    numbers = {
        name: st.integers(int(low), int(high)) if isinstance(getattr(Settings, name), int) else st.floats(low, high)
        for name, (low, high) in BOUNDS.items()
    }
    choices = {name: st.sampled_from(values) for name, values in CHOICES.items()}
    hidden = st.lists(st.integers(1, 32), max_size=6)
    features = st.lists(st.sampled_from(list(FEATURES)), min_size=1)
    return st.fixed_dictionaries({}, optional={**numbers, **choices, "hidden": hidden, "features": features})


@given(some_settings())
def test_any_settings_survive_a_link_and_a_file(chosen):
    settings = change(Settings(), chosen)
    saved = Saved(settings, data.draw(settings), None)
    same(from_link(to_link(saved)), saved)
    same(from_file(to_file(saved).encode()), saved)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_with_weights_survive_bit_for_bit(name):
    settings = PRESETS[name].settings()
    weights = weights_for(settings) if settings.many == "one" else None
    saved = Saved(settings, None, weights, View("zh", 2, (1, 0, 3), 45.0))
    back = from_link("#" + to_link(saved))
    same(back, saved)
    assert back.view == saved.view
    same(from_file(to_file(saved).encode()), saved)


def test_the_largest_network_and_all_points_fit_into_a_link():
    settings = change(Settings(), {"hidden": [32] * 6, "features": list(FEATURES), "classes": 5})
    generator = np.random.default_rng(0)
    places = generator.uniform(-6, 6, (1000, 2))
    points = data.checked(data.Points(places, generator.integers(0, 5, 1000), generator.random(1000) < 0.5), settings)
    saved = Saved(settings, points, weights_for(settings))
    assert len(to_link(saved)) < MAX_LINK
    same(from_link(to_link(saved)), saved)


def test_a_plane_without_points_survives():
    saved = Saved(Settings(), data.Points(np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool)), None)
    for again in (from_link(to_link(saved)), from_file(to_file(saved).encode())):
        assert again.points is not None
        assert again.points.places.shape == (0, 2)


def test_defaults_are_omitted_from_links():
    assert to_link(Saved(Settings(), None, None)) == ""
    assert from_link("") == Saved(Settings(), None, None)
    assert to_link(Saved(change(Settings(), {"hidden": []}), None, None)) == "hidden="


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(content)).decode().rstrip("=")


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("nonsense", "name=value"),
        ("nonsense=1", "no setting is called 'nonsense'"),
        ("hidden=6,x", "neurons of a hidden layer must be a whole number"),
        ("hidden=99", "from 1 to 32"),
        ("learning_rate=inf", "learning_rate must be a number"),
        ("learning_rate=__import__('os')", "learning_rate must be a number"),
        ("data=<script>alert(1)</script>", "data must be one of"),
        ("language=fr", "language must be en or zh"),
        ("layer=x", "must be numbers"),
        ("turn=nan", "turn from 0 to 360"),
        ("axes=1", "must be numbers"),
        ("axes=0,99,", "axes must be numbers of neurons"),
        ("weights=!!!", "damaged"),
        ("weights=" + packed(b"1234"), "do not fit"),
        ("weights=" + packed(bytes(10**7)), "damaged"),
        ("weights=" + packed(np.full(38, np.nan, "<f4").tobytes()), "finite"),
        ("points=" + packed(b"12345678"), "not a whole number"),
        ("points=" + packed(bytes(10**6)), "damaged"),
        ("data=" + "x" * 200_000, "at most 100,000 characters"),
    ],
)
def test_bad_links_are_refused_with_what_was_expected(link, message):
    with pytest.raises(ValueError, match=message):
        from_link(link)


def file_with(**changed) -> bytes:
    return json.dumps({"kind": "jaxnn playground", "version": 1, "settings": {}} | changed).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a model of this page"),
        (file_with(version=2), "version"),
        (file_with(settings=[]), "no settings"),
        (file_with(settings={"hidden": [1.5]}), "whole number"),
        (file_with(points=[[1, 2, 3]]), "each point must have"),
        (file_with(points="x"), "could not convert|each point|cannot be read"),
        (file_with(points=[[0, 0, 7, 1]]), "from 0 to 1"),
        (file_with(weights=[{"w": [[1]]}]), "cannot be read"),
        (file_with(weights=[{"w": [[1]], "b": [1]}]), "do not fit"),
        (file_with(weights=7), "cannot be read"),
        (b" " * (MAX_FILE + 1), "at most 2,000,000 bytes"),
    ],
)
def test_bad_files_are_refused_with_what_was_expected(content, message):
    with pytest.raises(ValueError, match=message):
        from_file(content)


def test_weights_of_several_networks_are_refused():
    settings = change(Settings(), {"many": "seeds"})
    with pytest.raises(ValueError, match="one network"):
        check_weights(weights_for(settings), settings)
