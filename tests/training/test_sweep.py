"""Many runs at once are the runs one by one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from float64 import ROUNDED, enabled, in_float64

from jaxnn import initializers, losses, models, training
from jaxnn.training import Data, Task

KEYS = jax.random.split(jax.random.key(3), 3)
SETTINGS = {
    "learning_rate": np.array([0.01, 0.3, 0.8, 0.1], np.float32),
    "l2": np.array([1e-3, 0.0, 1e-2, 1e-4], np.float32),
}
ONES: dict[str, Any] = {"epochs": 6, "batch_size": 16}


def clouds(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count).astype(np.int32)
    centers = np.array([[0.0, 1.5], [1.3, -0.8], [-1.3, -0.8]])
    return (centers[labels] + random.normal(0, 0.7, (count, 2))).astype(np.float32), labels


DATA = Data(*clouds(70, 0), evaluate={"validation": clouds(40, 1)})


def task(h):
    return Task(
        model=models.mlp(2, (8,), 3, dropout=0.2),
        loss=losses.softmax,
        penalty=lambda params: h["l2"] * losses.l2(params),
        optimizer=optax.sgd(h["learning_rate"], momentum=0.9),
    )


wide_task = in_float64(task)


def setting(h):
    return jax.tree.map(lambda values: values[h], SETTINGS)


@pytest.mark.portable
@pytest.mark.parametrize("patience", [pytest.param(None, marks=pytest.mark.slow), 2])
@enabled()
def test_every_run_of_a_sweep_is_that_run_alone(patience):
    choice = {"select": "validation_loss", "patience": patience}
    many = training.sweep(wide_task, SETTINGS, KEYS, DATA, **ONES, **choice)
    one = jax.jit(lambda h, key: training.run(wide_task, h, key, DATA, **ONES, **choice))
    for h, s in np.ndindex(4, 3):
        alone, among = one(setting(h), KEYS[s]), jax.tree.map(lambda a, h=h, s=s: a[h, s], many)
        assert (alone.epoch, alone.state.step, alone.bad_step, alone.best.epoch) == (
            among.epoch,
            among.state.step,
            among.bad_step,
            among.best.epoch,
        )
        alone = alone._replace(state=alone.state._replace(key=None))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **ROUNDED), alone, among)
    if patience is not None:
        assert len(set(many.epoch.ravel().tolist())) > 2  # some stop early, and wait for the others unchanged


def test_a_run_that_diverges_stops_alone():
    bad = SETTINGS | {"learning_rate": np.array([0.01, 0.3, 1e30, 0.1], np.float32)}
    run = training.sweep(task, bad, KEYS[:1], DATA, **ONES)
    assert (run.bad_step[:, 0] >= 0).tolist() == [False, False, True, False]
    assert run.epoch[:, 0].tolist() == [6, 6, 1, 6]
    assert np.isfinite(run.history["loss"][[0, 1, 3]]).all()
    assert np.isnan(run.history["loss"][2, 0, 1:]).all()


SLOW = pytest.mark.slow


@pytest.mark.portable
@pytest.mark.parametrize(
    "chunk", [(3, 2), *(pytest.param(chunk, marks=SLOW) for chunk in ((1, 1), (4, 3), (9, 9)))], ids=str
)
@enabled()
def test_chunks_change_nothing(chunk):
    keep = lambda run: (run.history, run.state.params)
    whole = training.sweep(wide_task, SETTINGS, KEYS, DATA, **ONES, keep=keep)
    parts = training.sweep(wide_task, SETTINGS, KEYS, DATA, **ONES, keep=keep, chunk=chunk)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **ROUNDED), whole, parts)
    assert whole[0]["loss"].shape == (4, 3, 6)


def test_what_is_recalled_is_not_trained_again():
    stored, trained = {}, []

    def on_chunk(place, kept):
        stored[str(place)] = kept
        trained.append(place)

    options = {**ONES, "chunk": (3, 2), "keep": lambda run: run.history["loss"]}
    first = training.sweep(task, SETTINGS, KEYS, DATA, **options, on_chunk=on_chunk)
    assert [(h.stop - h.start, s.stop - s.start) for h, s in trained] == [(3, 2), (3, 1), (1, 2), (1, 1)]
    missing = str(trained.pop(1))
    before, trained[:] = stored.pop(missing), []
    again = training.sweep(
        task, SETTINGS, KEYS, DATA, **options, on_chunk=on_chunk, recall=lambda place: stored.get(str(place))
    )
    assert [str(place) for place in trained] == [missing]
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(stored[missing], before)


def test_the_runs_of_one_seed_share_their_batches(compiled):
    """The compiled program holds one batch [B, D] for all settings, not one for each."""
    data = Data(np.zeros((64, 37), np.uint8), np.zeros(64, np.int32))

    def linear(h):
        return Task(
            models.linear(37, 3),
            losses.softmax,
            optax.sgd(h["learning_rate"]),
            transform=lambda _, x: x.astype(jnp.float32),
        )

    rates = {"learning_rate": jnp.ones(5)}
    lowered = jax.jit(lambda rates: training.run_grid(training.Options(linear, 16), rates, KEYS[:1], data, 2)).lower(
        rates
    )
    text = lowered.as_text()
    assert "tensor<1x16x37xui8>" in text
    assert "5x16x37xui8" not in text


@pytest.mark.portable
def test_widths_in_one_program_are_the_networks_of_those_widths():
    """A masked network computes and learns what a network of that width with the same weights does."""
    wide = models.mlp(2, (8, 8), 3, activation=jax.nn.sigmoid, width=(jnp.int32(5), jnp.int32(3)))
    narrow = models.mlp(2, (5, 3), 3, activation=jax.nn.sigmoid)
    x, y = jax.tree.map(jnp.asarray, clouds(30, 2))

    def gradient(model, params):
        return jax.grad(lambda p: losses.softmax(model.apply(p, x), y).mean() + 0.1 * losses.l2(p))(params)

    params = wide.init(KEYS[0])
    cuts = [(slice(5), slice(2)), (slice(3), slice(5)), (slice(3), slice(3))]

    def cut(params):
        return [
            {"w": p["w"][rows, columns], "b": p["b"][rows]} for p, (rows, columns) in zip(params, cuts, strict=True)
        ]

    small = cut(params)
    np.testing.assert_allclose(wide.apply(params, x), narrow.apply(small, x), rtol=1e-5, atol=1e-6)
    of_wide = gradient(wide, params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), cut(of_wide), gradient(narrow, small)
    )
    for all_, part in ((params, small), (of_wide, cut(of_wide))):  # the rest is zero
        np.testing.assert_allclose(
            sum(float((p["w"] ** 2).sum()) for p in all_), sum(float((p["w"] ** 2).sum()) for p in part), rtol=1e-6
        )


@pytest.mark.parametrize("rule", ["he", "xavier", "normal", "zeros"])
def test_weights_of_a_masked_network_have_the_spread_of_its_width(rule):
    init = {**vars(initializers), "normal": initializers.normal(0.3)}[rule]
    model = models.mlp(100, (400, 300), 50, init=init, width=(40, 30))
    w = jax.jit(model.init)(KEYS[0])[1]["w"][:30, :40]
    expected = {"he": (2 / 40) ** 0.5, "xavier": (2 / 70) ** 0.5, "normal": 0.3, "zeros": 0.0}[rule]
    assert abs(float(w.std()) - expected) <= 0.1 * expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "same number of values"),
        ({"a": np.ones(2), "b": np.ones(3)}, r"got hparams\['a'\] of shape \[2\], hparams\['b'\] of shape \[3\]"),
        ({"a": np.float32(1)}, "same number of values"),
        ({"a": np.ones(0)}, "same number of values"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=f"^sweep: .*{message}"):
        training.sweep(task, settings, KEYS, DATA, **ONES)


def test_wrong_chunk_and_width():
    with pytest.raises(ValueError, match=r"chunk must be at least \(1, 1\), got \(0, 1\)"):
        training.sweep(task, SETTINGS, KEYS, DATA, **ONES, chunk=(0, 1))
    with pytest.raises(ValueError, match="width of 2 layers given to 1"):
        models.mlp(2, (8,), 3, width=(1, 2))
    with pytest.raises(ValueError, match="from 1 to the size of its layer, 8, got 9"):
        models.mlp(2, (8,), 3, width=(9,))


def test_a_chunk_is_smaller_where_memory_is():
    size = training.choose_chunk(task, SETTINGS, KEYS, DATA, 16, memory=1e9)
    assert size == (4, 3)
    settings = {name: np.resize(values, 1000) for name, values in SETTINGS.items()}
    h, s = training.choose_chunk(task, settings, KEYS, DATA, 16, memory=2e7)
    assert s == 1
    assert 10 < h < 1000
    assert training.choose_chunk(task, settings, KEYS, DATA, 16, memory=1.0) == (1, 1)


@pytest.mark.portable
@pytest.mark.parametrize("patience", [pytest.param(None, marks=SLOW), 2])
@enabled()
def test_runs_that_pause_and_lose_neighbors_end_as_if_never_stopped(patience):
    """Also beside runs that stopped before the pause, in chunks that are padded, and where all have stopped."""
    options = {**ONES, "select": "validation_loss", "patience": patience}
    whole = training.sweep(wide_task, SETTINGS, KEYS, DATA, **options)
    paused = training.sweep(wide_task, SETTINGS, KEYS, DATA, **options, stop=4)
    assert paused.epoch.max() == 4
    for before in (paused, whole):
        settings, expected, before = jax.tree.map(lambda a: a[np.array([2, 0, 3])], (SETTINGS, whole, before))
        ended = training.sweep(wide_task, settings, KEYS, DATA, **options, before=before, chunk=(2, 2))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **ROUNDED), ended, expected)
    if patience is not None:
        assert len(set(paused.epoch.ravel().tolist())) > 1  # some had stopped


def test_what_cannot_be_continued():
    with pytest.raises(ValueError, match="stop must be from 1 to epochs, 6, got 7"):
        training.sweep(task, SETTINGS, KEYS, DATA, **ONES, stop=7)
    shapes = jax.eval_shape(
        lambda h, keys: training.run_grid(training.Options(task, 16), h, keys, DATA, 6), SETTINGS, KEYS
    )
    with pytest.raises(ValueError, match="before must hold 4 settings x 2 seeds with room for 6 epochs"):
        training.sweep(task, SETTINGS, KEYS[:2], DATA, **ONES, before=shapes)
    with pytest.raises(ValueError, match="with room for 7 epochs, got"):
        training.sweep(task, SETTINGS, KEYS, DATA, **{**ONES, "epochs": 7}, before=shapes)
