"""The state behind the page: settings, points, training and drawn numbers, without a browser."""

import itertools
import math
import threading
from concurrent.futures import Future, wait
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from bokeh.document import Document

from experiments.playground.engine import loop, programs, session
from experiments.playground.engine import points as data
from experiments.playground.engine.compiler import Compiler, hparams
from experiments.playground.engine.probe import COARSE, FINE, LEVELS
from experiments.playground.engine.session import Playground
from experiments.playground.engine.settings import Settings, change
from experiments.playground.page.page import Page


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    return Compiler()


def ready(compiler, **given) -> Playground:
    playground = Playground(compiler, change(Settings(), given))
    playground.ready(wait=True)
    return playground


def forward(params, x) -> np.ndarray:
    """The scores of a tanh network in float64, one point after the other."""
    found = []
    for point in np.asarray(x, np.float64):
        h = point
        for i, layer in enumerate(params):
            h = np.asarray(layer["w"], np.float64) @ h + np.asarray(layer["b"], np.float64)
            h = np.tanh(h) if i < len(params) - 1 else h
        found.append(h)
    return np.array(found)


# ---------------------------------------------------------------- programs


def test_each_epoch_goes_through_the_training_points_once():
    rows = np.asarray(programs.orders(jax.random.key(0), np.int32(5), np.int32(137)))
    for row in rows:
        np.testing.assert_array_equal(np.sort(row[:137]), np.arange(137))
    assert len({tuple(row[:137]) for row in rows}) == len(rows)
    np.testing.assert_array_equal(programs.orders(jax.random.key(0), np.int32(6), np.int32(137))[0], rows[1])


@pytest.mark.portable
def test_a_step_equals_that_of_a_numpy_loop(compiler):
    playground = ready(compiler, learning_rate=0.1, momentum=0.5, l1=0.01, l2=0.02)
    assert playground.learner is not None
    before = [{k: np.asarray(v, np.float64) for k, v in layer.items()} for layer in playground.learner.state.params]
    rows = np.asarray(programs.orders(playground.learner.state.key, np.int32(0), playground._table.train))[0]
    velocity = [{k: np.zeros_like(v) for k, v in layer.items()} for layer in before]
    for step in range(3):
        batch = rows[10 * step : 10 * step + 10]
        x, y = playground._table.inputs[batch].astype(float), playground._table.targets[batch].astype(int)
        gradient = numeric_gradient(before, x, y, 0.01, 0.02)
        for layer, v, g in zip(before, velocity, gradient, strict=True):
            for name in layer:
                v[name] = 0.5 * v[name] + g[name]
                layer[name] = layer[name] - 0.1 * v[name]
    assert playground.train(3) == 3
    for ours, theirs in zip(playground.learner.state.params, before, strict=True):
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], atol=2e-5)


def numeric_gradient(params, x, y, l1, l2):
    """Central differences of the objective."""

    def objective():
        scores = forward(params, x)
        loss = np.mean([math.log(np.exp(s - s[c]).sum()) for s, c in zip(scores, y, strict=True)])
        return loss + sum(l1 * np.abs(p["w"]).sum() + l2 * (p["w"] ** 2).sum() for p in params)

    found = [{name: np.zeros_like(a) for name, a in layer.items()} for layer in params]
    for layer, g in zip(params, found, strict=True):
        for name, a in layer.items():
            for place in np.ndindex(a.shape):
                old, values = a[place], []
                for move in (1e-5, -1e-5):
                    a[place] = old + move
                    values.append(objective())
                a[place] = old
                g[name][place] = (values[0] - values[1]) / 2e-5
    return found


def test_training_in_pieces_equals_training_at_once(compiler):
    one, two = ready(compiler, dropout=0.2), ready(compiler, dropout=0.2)
    one.train(1500)
    for steps in (1, 7, 700, 792):
        two.train(steps)
    assert one.learner is not None
    assert two.learner is not None
    jax.tree.map(np.testing.assert_array_equal, one.learner.state.params, two.learner.state.params)
    assert int(one.learner.state.step) == 1500
    assert (int(one.learner.epoch), int(one.learner.place)) == (100, 0)


def test_new_rates_and_points_compile_nothing(compiler, caplog):
    playground = ready(compiler)
    playground.train(5)
    with jax.log_compiles():
        playground.change(learning_rate=0.5, momentum=0.3, l1=0.1, l2=0.1, dropout=0.5)
        x, y, n = playground.points
        playground.edit(data.Points(np.append(x, [[1.0, 1.0]], 0), np.append(y, 1.0), np.append(n, True)))
        assert playground.train(100) == 100
    assert "Finished XLA compilation" not in caplog.text


def test_dropout_masks_are_for_training_only(compiler):
    with_it, without = ready(compiler, dropout=0.5), ready(compiler)
    first, second = with_it.frame(), without.frame()
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.snapshot.losses, second.snapshot.losses)
    with_it.train(1)
    without.train(1)
    assert with_it.learner is not None
    assert without.learner is not None
    assert not np.array_equal(with_it.learner.state.params[0]["w"], without.learner.state.params[0]["w"])


# ---------------------------------------------------------------- what is drawn


def test_the_picture_shows_the_scores_of_the_network(compiler):
    playground = ready(compiler)
    playground.train(300)
    playground.chosen = (1, 3)
    frame = playground.frame()
    assert frame is not None
    along = (np.arange(FINE) + 0.5) / FINE * 12 - 6
    scores = forward(frame.params, [(x, y) for y in along for x in along]).reshape(FINE, FINE, 2)
    clear = np.abs(scores[..., 0] - scores[..., 1]) > 1e-4
    np.testing.assert_array_equal((frame.snapshot.plane // LEVELS)[clear], scores.argmax(-1)[clear])
    sure = 2 / (1 + np.exp(-np.abs(scores[..., 0] - scores[..., 1]))) - 1
    np.testing.assert_allclose(frame.snapshot.plane % LEVELS, np.minimum(np.floor(sure * LEVELS), LEVELS - 1), atol=1)
    np.testing.assert_allclose(frame.snapshot.lead, np.abs(scores[..., 0] - scores[..., 1]), rtol=1e-3, atol=1e-3)
    hidden = np.tanh(forward([frame.params[0]], [(x, y) for y in along for x in along])[:, 3]).reshape(FINE, FINE)
    np.testing.assert_allclose(
        (frame.snapshot.chosen.astype(float) - 128) / 127, hidden / np.abs(hidden).max(), atol=0.02
    )
    assert [a.shape for a in frame.snapshot.neurons] == [(n, COARSE, COARSE) for n in (2, 6, 2, 2)]
    x, y, train = playground.points
    right = forward(frame.params, x).argmax(-1) == y
    np.testing.assert_allclose(frame.snapshot.accuracies, [right[train].mean(), right[~train].mean()], atol=1e-6)
    order = np.argsort(~train, kind="stable")
    at_points = frame.snapshot.outputs[-1][COARSE * COARSE :][: len(x)]
    np.testing.assert_allclose(at_points, forward(frame.params, x[order]), atol=1e-4)


def test_a_weight_is_set_by_hand(compiler):
    playground = ready(compiler)
    playground.set_parameter(0, "w", (2, 1), 1.25)
    playground.set_parameter(1, "b", (1,), -3.0)
    weights = playground.weights()
    assert weights is not None
    assert weights[0]["w"][2, 1] == 1.25
    assert weights[1]["b"][1] == -3.0
    for wrong in ((0, "w", (9, 0), 1.0), (9, "w", (0, 0), 1.0), (0, "w", (0,), 1.0), (0, "w", (0, 0), math.nan)):
        with pytest.raises(ValueError, match="weight"):
            playground.set_parameter(*wrong)


def test_a_picture_that_was_lost_on_its_way_is_sent_again(monkeypatch):
    monkeypatch.setattr(loop, "_RESEND_SECONDS", 0.05)
    playground: Any = SimpleNamespace(playing=False, settings=Settings(), ready=lambda: True, frame=lambda: "a picture")
    sent = []

    def deliver(frame: Any) -> None:
        sent.append(frame)
        if len(sent) == 2:  # the first was lost, the second is drawn
            thread.seen(2)
            threading.Timer(0.3, thread.stop).start()

    thread = loop.Loop(playground, deliver, lambda message: None)
    thread.start()
    thread.join(20)
    thread.stop()
    assert sent == ["a picture"] * 2


def test_a_tab_that_reads_nothing_is_sent_a_bounded_number_of_pictures(monkeypatch):
    monkeypatch.setattr(loop, "_HIDDEN_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_MAX_UNSEEN", 5)
    playground: Any = SimpleNamespace(playing=True, settings=Settings(), ready=lambda: True, frame=lambda: "a picture")
    playground.train_for = lambda seconds, most: 1
    sent = []
    thread = loop.Loop(playground, sent.append, lambda message: None)
    thread.start()
    for read in (0, 5):
        thread.seen(read)
        thread.join(0.8)
        assert len(sent) == read + 5
    thread.stop()
    thread.join(20)


def test_the_curves_cover_the_whole_training_in_bounded_memory(compiler, monkeypatch):
    monkeypatch.setattr(session, "HISTORY", 50)
    playground = ready(compiler)
    for _ in range(150):
        playground.train(1)
        playground.frame()
    steps = [place.step for place in playground.history]
    assert len(steps) < 50
    assert steps[0] <= 1
    assert steps[-1] > 140
    assert all(a < b for a, b in itertools.pairwise(steps))


# ---------------------------------------------------------------- changes while it trains


def test_the_untrained_network_is_drawn_before_its_training_is_compiled(compiler):
    playground = Playground(compiler)
    assert playground._pending is not None
    shape, programs = playground._pending
    wait([program for program in programs if program is not None])
    compiling = Future()
    playground._pending = shape, programs._replace(train=compiling)
    frame = playground.frame()
    assert frame is not None
    assert (frame.step, frame.compiling) == (0, True)
    assert playground.train(5) == 0
    compiling.set_result(programs.train.result())
    assert playground.train(5) == 5
    frame = playground.frame()
    assert frame is not None
    assert (frame.step, frame.compiling) == (5, False)


def test_weights_are_kept_where_the_shapes_stay_the_same(compiler):
    playground = ready(compiler)
    playground.train(50)
    before = playground.weights()
    playground.change(activation="relu")
    assert playground.train(10) == 0 or playground.ready()
    playground.ready(wait=True)
    jax.tree.map(np.testing.assert_array_equal, playground.weights(), before)
    playground.change(hidden=(3,))
    playground.ready(wait=True)
    after = playground.weights()
    assert after is not None
    assert [layer["w"].shape for layer in after] == [(3, 2), (2, 3)]
    assert playground.learner is not None
    assert int(playground.learner.state.step) == 0


def test_own_points_stay_when_the_network_changes_and_leave_with_the_data(compiler):
    playground = ready(compiler)
    playground.edit(data.Points(np.array([[1.0, 2.0], [-1.0, 0.0]]), np.array([0.0, 1.0]), np.array([True, True])))
    playground.change(hidden=(3,), batch_size=7)
    assert len(playground.points.train) == 2
    playground.change(size=50)
    assert len(playground.points.train) == 50
    with pytest.raises(ValueError, match="from 0 to 1"):
        playground.edit(data.Points(np.zeros((1, 2)), np.array([2.0]), np.array([True])))
    assert len(playground.points.train) == 50


def test_divergence_stops_with_a_message(compiler):
    playground = ready(compiler, loss="squared", learning_rate=10.0, activation="linear")
    playground.playing = True
    playground.train(3000)
    assert playground.frame() is not None
    assert (playground.playing, playground.message) == (False, "diverged")
    playground.change(learning_rate=0.001)
    playground.reset()
    playground.train(10)
    frame = playground.frame()
    assert frame is not None
    assert np.isfinite(frame.snapshot.losses).all()


@pytest.mark.portable
@pytest.mark.slow
def test_one_of_several_seeds_equals_that_seed_alone_and_widths_use_as_many_neurons(compiler):
    many = ready(compiler, many="seeds", hidden=(3,), learning_rate=0.1)
    steps = 20  # of two epochs, and few enough that rounding does not grow
    many.train(steps)
    frame = many.frame()
    assert frame is not None
    assert frame.all_planes is not None
    assert len(frame.all_planes) == 16
    assert many.learner is not None
    alone = ready(compiler, hidden=(3,), learning_rate=0.1)
    h, key = hparams(alone.settings), jax.random.split(jax.random.key(0), 16)[5]
    initial = programs.begin(alone.shape, h, key)
    assert alone.learner is not None
    alone.learner = initial._replace(state=initial.state._replace(key=alone.learner.state.key))
    alone.train(steps)
    for one, other in zip(alone.learner.state.params, many.learner.state.params, strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name][5], atol=1e-5, err_msg=name)
    wide = ready(compiler, many="widths", hidden=(6,), learning_rate=0.1)
    wide.train(2000)
    assert wide.learner is not None
    used = (np.asarray(wide.learner.state.params[0]["w"]) != 0).any(-1).sum(-1)
    assert used.tolist() == [1, 2, 3, 6, 20]
    frame = wide.frame()
    assert frame is not None
    assert frame.all_means is not None
    assert frame.all_means[0, 0] < 0.9 < frame.all_means[-1, 0]


def test_without_points_nothing_is_trained_and_a_new_point_is_learned(compiler):
    playground = ready(compiler)
    playground.edit(data.Points(*(a[:0] for a in playground.points)))
    playground.playing = True
    assert playground.train(10) == 0
    assert playground.frame() is not None
    assert (playground.playing, playground.message) == (False, "empty")
    playground.edit(data.Points(np.ones((1, 2)), np.zeros(1), np.ones(1, bool)))
    assert playground.message == ""
    assert playground.train(10) == 10
    frame = playground.frame()
    assert frame is not None
    assert np.isfinite(frame.snapshot.losses[0])


def test_pictures_of_a_closed_tab_are_dropped_and_its_loop_ends(compiler):
    document = Document()
    page = Page(compiler)
    page.open(document)
    document.callbacks.destroy()  # as Bokeh does when the tab is gone
    page.report("drawn too late")
    page.loop.start()
    page.loop.join(timeout=20)
    assert not page.loop.is_alive()


def test_the_widgets_of_a_page_are_valid(compiler, caplog):
    document = Document()
    Page(compiler).open(document)
    document.validate()  # which the server leaves out
    assert caplog.records == []
