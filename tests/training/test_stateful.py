"""A model with a state, written in Flax, is trained, swept, split over devices and stored as any other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax_nets import CLASSES, MODELS, SHAPE, assert_trees, examples, task_of
from float64 import ROUNDED, enabled, in_float64

from jaxnn import checkpoint, models, sharding, training

KEY = jax.random.key(0)
H = {"rate": 0.05, "l2": 1e-3}
DATA = jax.tree.map(jnp.asarray, training.Data(*examples(70), evaluate={"validation": examples(40, 1)}))
OPTIONS: dict[str, Any] = {"epochs": 4, "batch_size": 16, "select": "validation_loss"}

each_kind = pytest.mark.parametrize("kind", MODELS)
one_kind = pytest.mark.parametrize("kind", ["linen", pytest.param("nnx", marks=pytest.mark.slow)])
"""Where nothing depends on what the model is written in: both kinds are one `StatefulModel`."""


@pytest.fixture(scope="module")
def tasks():
    """One `make_task` for each kind, so that programs are compiled once."""
    return {kind: task_of(make()) for kind, make in MODELS.items()}


@each_kind
def test_what_is_measured_and_kept_is_the_running_state(kind, tasks):
    run, _ = training.fit(tasks[kind], H, KEY, DATA, **OPTIONS)
    assert run.best is not None
    model = MODELS[kind]()
    inputs, labels = DATA.evaluate["validation"]

    def loss(params, state):
        scores, _ = model.apply(params, state, inputs)
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    last = run.history["validation_loss"][-1]
    np.testing.assert_allclose(last, loss(run.state.params, run.state.model_state), rtol=1e-5)
    np.testing.assert_allclose(run.best.value, loss(run.best.params, run.best.model_state), rtol=1e-5)
    fresh = loss(run.state.params, model.init_state(KEY))
    assert abs(fresh - last) > 1e-3
    assert run.history["loss"][-1] < run.history["loss"][0]


def test_the_best_epoch_has_its_own_state(tasks):
    kept = {}

    def keep(run, timing):
        kept[int(run.epoch)] = run.state

    run, _ = training.fit(tasks["linen"], H | {"rate": 2.0}, KEY, DATA, **OPTIONS, on_chunk=keep, chunk_ends=1)
    assert run.best is not None
    assert int(run.best.epoch) < 3, run.history  # at this rate the last is not the best
    assert_trees(run.best.model_state, kept[int(run.best.epoch) + 1].model_state)
    assert_trees(run.best.params, kept[int(run.best.epoch) + 1].params)


@pytest.fixture(scope="module")
def wide_tasks(tasks):
    return {kind: in_float64(make_task) for kind, make_task in tasks.items()}


@pytest.mark.portable
@one_kind
@enabled()
def test_every_run_of_a_sweep_is_that_run_alone(kind, wide_tasks):
    make_task = wide_tasks[kind]
    settings = {"rate": jnp.array([0.01, 0.05]), "l2": jnp.array([1e-2, 1e-4])}
    keys = jax.random.split(KEY, 2)
    many = training.sweep(make_task, settings, keys, DATA, **OPTIONS)
    for h, s in np.ndindex(2, 2):
        alone, _ = training.fit(make_task, jax.tree.map(lambda a, h=h: a[h], settings), keys[s], DATA, **OPTIONS)
        alone = alone._replace(state=alone.state._replace(key=None))
        among = jax.tree.map(lambda a, h=h, s=s: a[h, s], many)
        assert_trees(among, alone, **ROUNDED)


@pytest.mark.portable
@one_kind
@enabled()
def test_devices_train_as_one(kind, wide_tasks):
    alone, _ = training.fit(wide_tasks[kind], H, KEY, DATA, **OPTIONS)
    with sharding.data_parallel(jax.devices()[:4]):
        found, _ = training.fit(wide_tasks[kind], H, KEY, DATA, **OPTIONS)
    # the moments, too, are those of the whole batch and not of a device's part
    found, alone = (run._replace(state=run.state._replace(key=None)) for run in (found, alone))
    assert_trees(jax.device_get(found), alone, **ROUNDED)


@each_kind
def test_a_run_that_goes_on_from_a_checkpoint_ends_the_same_bit_for_bit(kind, tasks, tmp_path):
    kept = checkpoint.Checkpointer(tmp_path, epochs=1, keep=9)

    def save(run, timing):
        kept.save(int(run.epoch), run, {}, 0.0)

    whole, _ = training.fit(tasks[kind], H, KEY, DATA, **OPTIONS, on_chunk=save, chunk_ends=1)
    kept.close()
    [path] = [path for path in checkpoint.list_checkpoints(tmp_path) if path.name == "000002"]
    like = jax.eval_shape(lambda: training.init_run(tasks[kind], H, KEY, DATA, epochs=4, select="validation_loss"))
    stored = checkpoint.restore(checkpoint.load(path), like)
    again, _ = training.fit(tasks[kind], H, KEY, DATA, **OPTIONS, progress=stored)
    assert_trees(again, whole)


def test_an_update_that_is_left_out_leaves_the_state_as_well(standard_promotion):
    model = MODELS["linen"]()
    task = task_of(model, optimizer=optax.apply_if_finite(optax.sgd(0.1), 5))(H)
    before = training.init_state(task, KEY)
    update = jax.jit(training.make_train_step(task))
    images, labels = examples(8)
    images[3, 2, 1, 0] = np.nan
    after, metrics = update(before, (images, labels))
    assert metrics.skipped
    assert_trees(after.model_state, before.model_state)
    assert_trees(after.params, before.params)
    after, metrics = update(after, examples(8))
    assert not metrics.skipped
    assert jnp.abs(after.model_state["batch_stats"]["BatchNorm_0"]["mean"]).max() > 0.01


@each_kind
def test_a_settled_model_is_a_plain_one(kind):
    model = MODELS[kind]()
    params, state = model.init(KEY), jax.tree.map(lambda a: a + 0.2, model.init_state(KEY))
    settled = models.freeze_state(model, state)
    assert isinstance(settled, models.Model)
    assert models.freeze_state(settled, None) is settled
    x = examples(5)[0]
    np.testing.assert_array_equal(settled.apply(params, x), model.apply(params, state, x)[0])
    np.testing.assert_array_equal(settled.apply(params, x, key=KEY), model.apply(params, state, x, key=KEY)[0])


@each_kind
def test_in_another_precision_parameters_and_state_stay_as_they_are(kind, standard_promotion):
    model = MODELS[kind]()
    half = models.with_compute_dtype(model, jnp.bfloat16)
    params, state, x = half.init(KEY), half.init_state(KEY), examples(64)[0]
    assert_trees(params, model.init(KEY))
    scores, after = half.apply(params, state, x, key=KEY)
    expected, expected_after = model.apply(params, state, x, key=KEY)
    assert scores.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(after)} == {np.dtype("float32")}
    np.testing.assert_allclose(scores, expected, atol=0.1)
    assert np.abs(scores - expected).max() > 0
    assert_trees(after, expected_after, atol=0.02)


def test_a_state_computed_in_another_precision_comes_back_in_its_own():
    def apply(params, state, x, *, key=None):
        return x @ params, x.mean()

    whole = models.StatefulModel(lambda key: jnp.ones((2, 3)), lambda key: jnp.float32(0), apply)
    half = models.with_compute_dtype(whole, jnp.bfloat16)
    scores, after = half.apply(half.init(KEY), half.init_state(KEY), jnp.ones((5, 2)))
    assert (scores.dtype, after.dtype) == (jnp.float32, jnp.float32)


def test_the_state_is_asked_for():
    task = task_of(MODELS["linen"]())(H)
    params = task.model.init(KEY)
    with pytest.raises(TypeError, match="predict_scores: a model with a state needs model_state"):
        training.predict_scores(task, params, np.zeros((2, *SHAPE), np.float32))
    plain = task_of(models.linear(SHAPE, CLASSES))(H)
    with pytest.raises(TypeError, match="predict_scores: the model has no state, but model_state was given"):
        training.predict_scores(plain, plain.model.init(KEY), np.zeros((2, *SHAPE), np.float32), model_state={})


def test_a_model_without_a_state_stores_none():
    task = task_of(models.linear(SHAPE, CLASSES))
    run = training.init_run(task, H, KEY, DATA, epochs=2, select="loss")
    assert run.best is not None
    assert (run.state.model_state, run.best.model_state) == (None, None)
    places = jax.tree_util.tree_leaves_with_path(run)
    assert not any("model_state" in jax.tree_util.keystr(place) for place, _ in places)
