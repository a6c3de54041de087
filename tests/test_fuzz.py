"""Arguments of every kind, drawn at random: a right result or a plain refusal, never another exception."""

import contextlib
import io
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.classifier.config import Config, Settings
from experiments.classifier.data import load_dataset
from experiments.classifier.presets import resolve
from experiments.cli import parser
from jaxnn import initializers, layers, losses, metrics, models
from jaxnn.data import augment, preprocess, toy

pytestmark = pytest.mark.usefixtures("standard_promotion")

SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
KEY = jax.random.key(0)
SHAPES = [(), (1,), (3,), (2, 3), (0, 3), (3, 0), (2, 2, 3), (2, 8, 8, 3), (1, 1, 1, 1)]
DTYPES = ["float32", "float64", "float16", "int32", "int64", "uint8", "bool", "complex64", "U3", "O"]
NUMBERS = [0, 1, -1, 2, 3, 0.5, 1.0, -0.5, 1e-30, 1e30, 1e300, float("nan"), float("inf"), -float("inf"), 10**12]
ODD = [None, True, "half", "", b"x", [1, 2], (3,), {}, 1j, object()]

numbers = st.sampled_from(NUMBERS)
anything = st.one_of(numbers, numbers, st.sampled_from(ODD))


@st.composite
def arrays(draw: Any) -> Any:
    """Arrays of a few shapes and many types, with ordinary and with extreme values."""
    shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DTYPES))
    values = np.array([draw(st.sampled_from(NUMBERS[:9] if dtype[0] in "iub" else NUMBERS))], np.float64)
    rows = np.random.default_rng(draw(st.integers(0, 5))).integers(0, 3, shape)
    with np.errstate(all="ignore"):
        return np.where(rows == 0, values, rows.astype(np.float64)).astype(dtype)


def finite(*given: Any) -> bool:
    return all(bool(np.isfinite(np.asarray(each, np.float64)).all()) for each in given)


def loss(function: Callable[..., Any], option: str) -> Callable[[Any], None]:
    def call(draw: Any) -> None:
        scores, labels, extra = draw(arrays()), draw(arrays()), draw(st.one_of(st.none(), anything))
        got = function(scores, labels, **({} if extra is None else {option: extra}))
        assert got.shape == scores.shape[:-1] == labels.shape
        if finite(scores) and np.abs(scores.astype(np.float64)).max(initial=0) < 1e10:
            assert (np.asarray(got) >= 0).all()

    return call


def linear(draw: Any) -> None:
    w, b, x = draw(arrays()), draw(arrays()), draw(arrays())
    assert layers.linear({"w": w, "b": b}, x).shape == (*x.shape[:-1], len(w))


def dropout(draw: Any) -> None:
    x, rate = draw(arrays()), draw(anything)
    kept = np.asarray(layers.dropout(KEY, x, rate))
    assert kept.shape == x.shape
    assert 0 <= rate < 1
    if finite(x):
        assert ((kept == 0) | np.isclose(kept, x / (1 - rate), rtol=0.01)).all()


def penalty(draw: Any) -> None:
    leaves = {"w": draw(arrays()), "b": draw(arrays())}
    assert losses.l2(leaves).shape == losses.l1(leaves).shape == ()
    assert not float(losses.l2(leaves)) < 0


def accuracy(draw: Any) -> None:
    scores, labels = draw(arrays()), draw(arrays())
    share = float(metrics.accuracy(scores, labels))
    assert 0 <= share <= 1 or labels.size == 0


def confusion(draw: Any) -> None:
    labels, predictions, classes = draw(arrays()), draw(arrays()), draw(anything)
    counts = metrics.confusion(labels, predictions, classes)
    assert counts.shape == (classes, classes)
    assert counts.sum() == labels.size


def mlp(draw: Any) -> None:
    sizes = st.one_of(anything, st.lists(anything, max_size=3), st.sampled_from([3, (2, 2), (), 4]))
    model = models.mlp(draw(sizes), draw(sizes), draw(sizes), dropout=draw(anything), input_dropout=draw(anything))
    params = jax.eval_shape(model.init, KEY)
    assert all(layer["w"].ndim == 2 for layer in params)


def initial(draw: Any) -> None:
    rule = draw(st.sampled_from([initializers.he, initializers.xavier, initializers.zeros]))
    sizes = anything.filter(lambda value: value != 10**12)
    shape = draw(st.one_of(sizes, st.lists(sizes, max_size=3).map(tuple), st.sampled_from([(2, 3), (4, 1)])))
    assert rule(KEY, shape).shape == tuple(shape)
    assert np.isfinite(initializers.normal(draw(anything))(KEY, (2, 3))).all()


def moments(draw: Any) -> None:
    train, x = draw(arrays()), draw(arrays())
    found = preprocess.fit_moments(train, draw(st.sampled_from(["pixel", "channel", "global", "none", 3])))
    got = preprocess.standardize(found, x)
    assert got.shape == x.shape
    assert got.dtype == jnp.float32


def principal(draw: Any) -> None:
    train, x = draw(arrays()), draw(arrays())
    found = preprocess.fit_pca(train, draw(st.one_of(st.none(), anything)))
    assert preprocess.pca(found, x).shape[-1] == preprocess.whiten(found, x).shape[-1] == len(found.components)


def changes(draw: Any) -> None:
    images, number = draw(arrays()), draw(anything)
    made = draw(
        st.sampled_from(
            [
                lambda: augment.flip(KEY, images),
                lambda: augment.crop(KEY, images, number),
                lambda: augment.cutout(KEY, images, number),
            ]
        )
    )()
    assert made.shape == images.shape


def points(draw: Any) -> None:
    make = draw(st.sampled_from([toy.circle, toy.spiral, toy.moons, toy.xor, toy.gauss]))
    size = draw(anything.filter(lambda value: value != 10**12))
    x, y = make(size, noise=draw(anything), seed=draw(anything))
    assert x.shape == (size, 2)
    assert y.shape == (size,)


CALLS = {
    "svm": loss(losses.svm, "margin"),
    "softmax": loss(losses.softmax, "smoothing"),
    **{call.__name__: call for call in (linear, dropout, penalty, accuracy, confusion, mlp, initial)},
    **{call.__name__: call for call in (moments, principal, changes, points)},
}


@pytest.mark.parametrize("examples", [30, pytest.param(750, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CALLS)
def test_functions_answer_or_refuse(name, examples):
    @settings(max_examples=examples, suppress_health_check=SLOW_TO_DRAW)
    @given(st.data())
    def check(data: Any) -> None:
        refusal = "none"
        try:
            CALLS[name](data.draw)
        except (TypeError, ValueError) as error:
            refusal = str(error).strip()
        assert refusal
        assert "\n" not in refusal

    with np.errstate(all="ignore"):
        check()


RATES = ["learning-rate", "l2", "dropout", "input-dropout", "momentum", "smoothing", "validation-share"]
COUNTS = ["batch-size", "epochs", "early-stopping", "components"]
OPTIONS = {
    "--dataset": ["digits", "moons", "circle", "digit", "", "xor"],
    "--model": ["linear", "mlp", "cnn"],
    "--hidden": ["8", "8 4", "0", "-1", "x", ""],
    "--activation": ["relu", "tanh", "step"],
    "--loss": ["softmax", "svm", "hinge"],
    "--init": ["he", "zeros", "best"],
    "--preprocess": ["none", "pca", "whiten", "standardize", "scale"],
    "--augment": ["flip", "crop flip", "turn", ""],
    "--optimizer": ["sgd", "adam", "lbfgs"],
    "--schedule": ["constant", "one-cycle", "step"],
    "--seed": ["0", "-1", "1.5", "99999999999999999999"],
    "--quick": [""],
    "--nonsense": ["", "1"],
    **{f"--{name}": ["0", "0.1", "0.5", "1", "-1", "nan", "inf", "1e400", "a"] for name in RATES},
    **{f"--{name}": ["1", "7", "0", "-3", "1e3", "99999"] for name in COUNTS},
}


@pytest.mark.parametrize("examples", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_command_lines_become_settings_or_are_refused(examples):
    pairs = st.sampled_from(sorted(OPTIONS)).flatmap(lambda name: st.sampled_from([(name, v) for v in OPTIONS[name]]))

    @settings(max_examples=examples, suppress_health_check=SLOW_TO_DRAW)
    @given(st.lists(pairs, max_size=4))
    def check(chosen: list[tuple[str, str]]) -> None:
        line = [word for name, value in chosen for word in (name, *value.split())]
        status, refusal, got = 0, "", None
        with contextlib.redirect_stderr(io.StringIO()) as told:
            try:
                config = parser.parse(Config, prog="train", description=None, args=line)
                got = resolve(config, load_dataset(config))
            except SystemExit as end:
                status, refusal = int(end.code or 0), "not parsed"
            except ValueError as error:
                status, refusal = 2, str(error).strip()
        if got is None:
            assert status == 2
            assert refusal
            assert "\n" not in refusal
            assert refusal != "not parsed" or told.getvalue().strip()
        else:
            assert isinstance(got, Settings)
            assert got.batch_size >= 1
            assert 0 <= got.learning_rate < float("inf")

    check()
