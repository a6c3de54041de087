"""Shared by the lessons: joined findings, timed training, searches over learning rates, the summary."""

import base64
import json
import math
import time
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from float64 import ROUNDED, enabled, in_float64
from matplotlib.figure import Figure

from experiments.cli.environment import QUICK_FLAGS
from experiments.lessons.framework import lesson, rate_search
from experiments.lessons.framework.data import few_points, fit_global, load_digits
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text, fill
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, encode
from experiments.lessons.teaching.dropout import TEACHING
from jaxnn import losses, models, training
from jaxnn.data import load, toy


def part(name: str, held: bool = True) -> Findings:
    claim = Claim(name, name, {"number": 1.5}, held)
    rows = ResultTable(name, ["a"], [[1]])
    slider = Live(Text(name, name), [Control("a", [1, 2])], [Bars("", ["x"], [Numbers([[1.0], [2.0]], (0,))], (0, 2))])
    return Findings([claim], {name: Figure(figsize=(2, 1))}, [rows], [slider], 3, 0.5)


def test_joined_parts_keep_their_order_and_add_up():
    whole = lesson.join([part("one"), part("two")])
    assert [claim.en for claim in whole.claims] == ["one", "two"]
    assert list(whole.figures) == ["one", "two"]
    assert [rows.title for rows in whole.tables] == ["one", "two"]
    assert [live.caption.en for live in whole.live] == ["one", "two"]
    assert (whole.models, whole.training_seconds) == (6, 1.0)


def test_training_is_timed_until_its_result_is_there():
    def slow(x, *, factor):
        time.sleep(0.05)
        return factor * x

    result, seconds = lesson.timed(slow, jnp.ones(2), factor=3.0)
    np.testing.assert_array_equal(result, [3, 3])
    assert 0.05 <= seconds < 5


def test_training_in_the_background_gives_the_same_and_its_errors():
    wait = lesson.in_background(lambda x, *, factor: factor * x, jnp.ones(2), factor=3.0)
    result, seconds = wait()
    np.testing.assert_array_equal(result, [3, 3])
    assert seconds > 0
    with pytest.raises(ZeroDivisionError):
        lesson.in_background(lambda: 1 // 0)()


@pytest.mark.parametrize(("held", "status"), [(True, 0), (False, 1)])
def test_one_claim_decides_the_exit_status(tmp_path, capsys, held, status):
    findings = lesson.join([part("another"), part("one", held)])
    made = Lesson("toy", Text("t", "t"), Text("q", "q"), lambda options: findings, TEACHING)
    assert lesson.main(made, None, ["--out", str(tmp_path)]) == status
    assert ("NOT HELD: one" in capsys.readouterr().out) is not held
    assert json.loads((tmp_path / "summary.json").read_text())["claims"][1]["held"] is held


def test_a_number_that_is_not_finite_is_stored_as_a_word(tmp_path):
    measured = {"a": math.inf, "b": np.float32("nan"), "c": 1.0, "d": 2, "e": "text"}
    findings = Findings([Claim("t", "t", measured, False)], {})
    made = Lesson("toy", Text("t", "t"), Text("q", "q"), lambda options: findings, TEACHING)
    assert lesson.main(made, None, ["--out", str(tmp_path)]) == 1
    stored = json.loads((tmp_path / "summary.json").read_text())["claims"][0]["measured"]
    assert stored == {"a": "inf", "b": "nan", "c": 1.0, "d": 2, "e": "text"}


def test_a_live_figure_is_stored_small_and_reads_back():
    random = np.random.default_rng(0)
    large = np.exp(random.normal(size=(3, 20_000)) * 4)
    large[1, 5] = np.nan
    panels = [
        Bars("", ["x"], [Numbers(large, (0,)), Numbers(np.arange(3, dtype=np.uint8), (0,)), Numbers([0.5])], (0, 1))
    ]
    encoded = encode(Live(Text("c", "c"), [Control(Text("a", "b"), [0.5, "x", Text("y", "z")])], panels))
    assert encoded["controls"][0]["values"] == [0.5, "x", {"en": "y", "zh": "z"}]
    assert json.loads(json.dumps(encoded)) == encoded
    values = encoded["panels"][0]["values"]
    assert [value["kind"] for value in values] == ["u16", "u8", "f32"]
    stored = np.frombuffer(zlib.decompress(base64.b64decode(values[0]["data"])), "<u2").reshape(values[0]["shape"])
    low, high = values[0]["low"], values[0]["high"]
    read = np.exp(low + stored * (high - low) / 65534)
    assert stored[1, 5] == 65535
    seen = np.isfinite(large)
    np.testing.assert_allclose(read[seen], large[seen], rtol=1e-3)
    with pytest.raises(ValueError, match=r"array \[3, 2\] does not fit controls of \[4\]"):
        encode(
            Live(Text("c", "c"), [Control("a", [1, 2, 3, 4])], [Bars("", [], [Numbers(np.ones((3, 2)), (0,))], (0, 1))])
        )


def test_an_answer_is_filled_with_measured_numbers():
    claims = [{"measured": {"loss at T = 1": 0.123456, "count": 7}}]
    assert fill("From {loss at T = 1} in {count}.", claims) == "From 0.1235 in 7."
    with pytest.raises(ValueError, match=r"no number \{loss\}"):
        fill("{loss}", claims)


def test_digits_come_with_the_statistics_of_their_training_split():
    data, digits = load_digits(Options(seed=3)), load("digits", seed=3)
    np.testing.assert_array_equal(data.inputs, digits.train.inputs)
    np.testing.assert_array_equal(data.labels, digits.train.labels)
    assert data.evaluate is not None
    np.testing.assert_array_equal(data.evaluate["validation"][0], digits.validation.inputs)
    assert float(data.statistics.mean) == pytest.approx(digits.train.inputs.mean(dtype=np.float64), rel=1e-6)
    assert fit_global(digits.train.inputs).std.shape == ()
    assert load_digits(Options(), lambda train: train.shape).statistics == (1295, 8, 8, 1)


def test_few_points_are_parted_without_overlap():
    train, test = few_points(40, 700, Options(seed=2))
    assert len(train.labels) == 40
    everything = load("moons", validation_share=0, size=700, noise=0.25, seed=2).train
    np.testing.assert_array_equal(np.concatenate([train.inputs, test.inputs]), everything.inputs)


def task(h):
    model = models.mlp(2, (4,), 2, activation=lambda z: jnp.where(h["bent"] > 0, jnp.tanh(z), z))
    return training.Task(model, losses.softmax, optax.sgd(h["learning_rate"]))


BENT = np.array([0.0, 1.0], np.float32)
CIRCLE = training.Data(*toy.circle(40), evaluate={"validation": toy.circle(20, seed=1)})


@pytest.mark.portable
@enabled()
def test_every_run_of_a_search_is_that_run_alone():
    rates, make_task = [0.01, 0.5], in_float64(task)
    search = rate_search.search_rates(
        make_task, {"bent": BENT}, rates, CIRCLE, seed=4, seeds=2, epochs=6, batch_size=10
    )
    keys = jax.random.split(jax.random.key(4), 2)
    alone = jax.jit(lambda h: training.run(make_task, h, keys[1], CIRCLE, epochs=6, batch_size=10).history["loss"])
    for i, j in np.ndindex(2, 2):
        loss = alone({"bent": BENT[i], "learning_rate": np.float32(rates[j])})
        np.testing.assert_allclose(search.history["loss"][i, j, 1], loss, **ROUNDED)


def test_a_search_trains_every_kind_with_every_rate_and_finds_the_best():
    bent, rates, data = BENT, [0.01, 0.5, 1e20], CIRCLE
    search = rate_search.search_rates(task, {"bent": bent}, rates, data, seed=4, seeds=2, epochs=6, batch_size=10)
    assert search.history["loss"].shape == (2, 3, 2, 6)
    assert search.models == 12
    last = search.last("loss")
    assert np.isinf(last[:, 2]).all()  # diverged
    assert (search.last("validation_accuracy")[:, 2] == 0).all()
    expected = [min(range(3), key=lambda j, i=i: sorted(last[i, j])[0] + sorted(last[i, j])[1]) for i in range(2)]
    assert search.best.tolist() == expected
    np.testing.assert_allclose(search.best_rates, np.asarray(rates, np.float32)[expected])
    for i, values in enumerate(search.at_best(last)):
        np.testing.assert_array_equal(values, last[i, expected[i]])


def test_the_best_of_a_metric_that_should_be_high_is_the_highest():
    # three kinds with two rates each, one seed, two epochs
    accuracy = np.array([[0.1, 0.2], [0.3, 0.9], [0.2, 0.8], [0.9, 0.1], [0.5, 0.3], [0.0, 0.4]])[:, None]
    history = {"loss": np.zeros((6, 1, 2)), "validation_accuracy": accuracy}
    nothing: Any = None
    state = training.State({"w": np.zeros((6, 1, 3))}, nothing, nothing, nothing)
    run = training.Run(state, history, nothing, nothing, nothing)
    found = rate_search.of_run(run, [0.1, 0.2], "validation_accuracy")
    assert found.best.tolist() == [1, 0, 1]
    figure = rate_search.curves("title", ["a", "b", "c"], found, classes=10)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["a, rate 0.2", "b, rate 0.1", "c, rate 0.2"]
    np.testing.assert_allclose(np.asarray(figure.axes[1].lines[0].get_ydata()), [30, 90])
    chance = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert np.asarray(chance[0].get_ydata())[0] == pytest.approx(math.log(10))


def test_the_short_form_sets_flags_that_xla_knows_and_keeps_those_of_the_shell(run_python, environment):
    code = """
from experiments.cli import environment
environment.set_quick_flags()
import jax
assert jax.jit(lambda x: x + 1)(1.0) == 2.0  # XLA ends the process for a flag that it does not know
print(environment.environment()["options"]["XLA_FLAGS"])
"""
    ours = QUICK_FLAGS if jax.__version_info__ < (0, 11, 1) else ()
    assert run_python(code).split() == [*ours, *environment["XLA_FLAGS"].split()]  # of two levels, XLA takes the last
