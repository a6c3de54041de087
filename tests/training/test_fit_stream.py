"""A training from a stream is the one in memory; stopped in the middle of an epoch it goes on, bit for bit."""

import functools

import jax
import numpy as np
import optax
import pytest
from float64 import ROUNDED, enabled, in_float64
from prepared_sets import prepare_tiny
from written_curves import CURVE_DATA, EPOCHS, STEPS, curve_task, curves

from jaxnn import checkpoint, losses, models, sharding, training
from jaxnn.data import augment, loader, preprocess
from jaxnn.data._tfds import _records

KEY = jax.random.key(4)
COUNT, BATCH, SHAPE = 50, 8, (5, 4, 3)
OPTIONS = {"epochs": 4, "select": "held_loss"}
H = {"rate": 0.05}


def task(h, skip=False):
    optimizer = optax.inject_hyperparams(optax.sgd)(h["rate"], momentum=0.9)
    return training.Task(
        model=models.mlp(SHAPE, (16,), 2, dropout=0.3),
        loss=losses.softmax,
        penalty=lambda params: 1e-3 * losses.l2(params),
        optimizer=optax.apply_if_finite(optimizer, 3) if skip else optimizer,
        transform=preprocess.standardize,
        augment=augment.flip,
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare_tiny(tmp_path_factory.mktemp("tiny"), COUNT, 21)


@pytest.fixture(scope="module")
def whole(prepared):
    """All of it in memory."""
    dataset = _records.decode(prepared)
    statistics = preprocess.fit_moments(dataset.train.inputs)
    return training.Data(*dataset.train, statistics, evaluate={"held": dataset.test})


@pytest.fixture(scope="module")
def streamed(prepared, whole):
    """The same from the disk; 21 examples are no multiple of 8."""
    train, test = loader.OnDisk(prepared, "train"), loader.OnDisk(prepared, "test")

    def batches(first_step):
        return loader.shuffled_batches(train, KEY, batch_size=BATCH, epochs=4, first_step=first_step, threads=2)

    evaluate = {"held": lambda: loader.sequential_batches(test, batch_size=BATCH, threads=1)}
    return training.Stream(batches, COUNT // BATCH, evaluate, whole.statistics)


@pytest.fixture(scope="module")
def undisturbed(streamed):
    return training.fit(task, H, KEY, streamed, **OPTIONS)[0]


def assert_close(found, wanted):
    assert set(found.history) == set(wanted.history)
    for name, values in wanted.history.items():
        np.testing.assert_allclose(found.history[name], values, **ROUNDED, err_msg=name)
    for one, other in zip(jax.tree.leaves(found.state.params), jax.tree.leaves(wanted.state.params), strict=True):
        np.testing.assert_allclose(one, other, **ROUNDED)
    assert (int(found.epoch), int(found.bad_step)) == (int(wanted.epoch), int(wanted.bad_step))


def as_numpy(run):
    key = np.asarray(jax.random.key_data(run.state.key))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(run._replace(state=run.state._replace(key=key)))]


def assert_identical(found, wanted):
    for one, other in zip(as_numpy(found), as_numpy(wanted), strict=True):
        np.testing.assert_array_equal(one, other)


# ---------------------------------------------------------------- the same training


@pytest.mark.portable
@pytest.mark.parametrize("skip", [False, pytest.param(True, marks=pytest.mark.slow)])
@enabled()
def test_it_trains_as_in_memory(skip, streamed, whole):
    make_task = in_float64(functools.partial(task, skip=skip))
    in_memory, _ = training.fit(make_task, H, KEY, whole, batch_size=BATCH, **OPTIONS)
    found, timing = training.fit(make_task, H, KEY, streamed, **OPTIONS)
    assert_close(found, in_memory)
    assert found.best is not None
    assert in_memory.best is not None
    assert int(found.best.epoch) == int(in_memory.best.epoch)
    assert ("skipped" in found.history) == skip
    assert len(timing.epochs) == 4
    assert timing.partial_epoch == 0


@pytest.mark.portable
@enabled()
def test_over_devices_it_trains_as_over_one(streamed):
    wide_task = in_float64(task)
    alone, _ = training.fit(wide_task, H, KEY, streamed, **OPTIONS)
    with sharding.data_parallel():
        found, _ = training.fit(wide_task, H, KEY, streamed, **OPTIONS)
    assert_close(found, alone)


def test_one_program_takes_the_steps_and_a_second_training_compiles_none(streamed, compiled):
    def fresh(h):
        return task(h)

    with jax.log_compiles():
        training.fit(fresh, H, KEY, streamed, **OPTIONS)
        found = [name for name in compiled() if name in ("jit(stream_step)", "jit(_evaluate)", "jit(new_run)")]
        assert sorted(found) == ["jit(_evaluate)", "jit(new_run)", "jit(stream_step)"]
        training.fit(fresh, {"rate": 0.01}, KEY, streamed, **OPTIONS)
        assert not [name for name in compiled() if name.startswith(("jit(_", "jit(new_run", "jit(stream_step"))]


def test_the_batches_that_wait_are_few(monkeypatch):
    """However many steps a chunk has, the next batch is asked for when the step before the one before is done."""
    done, ahead, wait = [], [], jax.block_until_ready

    def waited(what):
        if isinstance(what, jax.Array):  # a number of one step, not a whole run
            done.append(None)
        return wait(what)

    def batches(first_step):
        for asked in range(first_step, 40):
            ahead.append(asked - len(done))
            yield CURVE_DATA.inputs[:4], CURVE_DATA.labels[:4]

    monkeypatch.setattr(jax, "block_until_ready", waited)
    training.fit(curve_task, curves(), KEY, training.Stream(batches, 40), epochs=1, chunk_seconds=60.0)
    assert len(ahead) == 40
    assert max(ahead) <= 4


# ---------------------------------------------------------------- stopped anywhere


class Stop(Exception):
    pass


@pytest.mark.parametrize("chunks", [1, 4, 9])
def test_stopped_in_the_middle_of_an_epoch_it_goes_on_bit_for_bit(chunks, streamed, undisturbed, tmp_path):
    kept = []

    def keep(run, timing):
        kept.append((run, timing))
        if len(kept) == chunks:
            raise Stop

    with pytest.raises(Stop):
        training.fit(task, H, KEY, streamed, **OPTIONS, on_chunk=keep, chunk_seconds=0.0)  # a step a chunk
    run, timing = kept[-1]
    epoch, steps = divmod(chunks, COUNT // BATCH)
    assert (int(run.epoch), run.steps_into_epoch) == (epoch, steps)
    assert {len(values) for values in run.history.values()} == {epoch}
    assert timing.partial_epoch > 0
    path = checkpoint.save(tmp_path, epoch, run, {}, steps)
    assert path.name == f"{epoch:06d}-{steps:09d}"
    like = jax.eval_shape(lambda: training.init_run(task, H, KEY, streamed, epochs=1, select="held_loss"))
    again = checkpoint.restore(checkpoint.load(path), like)
    assert_identical(again, run)
    found, rest = training.fit(task, H, KEY, streamed, **OPTIONS, progress=again, partial_epoch=100.0)
    assert_identical(found, undisturbed)
    assert len(rest.epochs) == 4 - epoch
    assert rest.epochs[0] > 100


def test_a_finished_run_has_nothing_left_to_do(streamed, undisturbed):
    found, timing = training.fit(task, H, KEY, streamed, **OPTIONS, progress=undisturbed)
    assert_identical(found, undisturbed)
    assert timing.epochs == []


def test_the_run_of_another_training_is_refused(streamed):
    in_memory, _ = training.fit(curve_task, curves(), KEY, CURVE_DATA, epochs=1, batch_size=4)
    with pytest.raises(ValueError, match="progress is a Run of another training"):
        training.fit(task, H, KEY, streamed, epochs=4, progress=in_memory)


# ---------------------------------------------------------------- written curves: early stopping, what is not finite


def curve_stream():
    batches = lambda first: ((CURVE_DATA.inputs[:4], CURVE_DATA.labels[:4]) for _ in range(first, STEPS * EPOCHS))
    assert CURVE_DATA.evaluate is not None
    inputs, labels = map(np.asarray, CURVE_DATA.evaluate["validation"])
    held = [(np.resize(inputs[i : i + 4], 4), np.resize(labels[i : i + 4], 4), min(4, 10 - i)) for i in (0, 4, 8)]
    return training.Stream(batches, STEPS, {"validation": lambda: held})


@pytest.mark.parametrize(("written", "done"), [([5, 4, 3, 3.5, 3.25, 1, 1, 1], 5), ([8, 7, 6, 5, 4, 3, 2, 1], 8)])
def test_it_stops_early_where_the_run_in_memory_does(written, done):
    options = {"select": "validation_loss", "patience": 2}
    found, timing = training.fit(curve_task, curves(written), KEY, curve_stream(), epochs=EPOCHS, **options)
    assert int(found.epoch) == len(timing.epochs) == done
    np.testing.assert_array_equal(found.history["validation_loss"], np.float32(written[:done]))


@pytest.mark.parametrize(
    ("bad", "step"),
    [({"bad_loss": 7}, 7), ({"bad_penalty": 4}, 4), ({"bad_update": 5}, 5), ({"bad_loss": 0}, 0)],
    ids=str,
)
def test_what_is_not_finite_is_found_at_its_step(bad, step):
    """As in memory; an update is looked at where an epoch ends, and step 5 is the last of the second."""
    told = []
    with pytest.raises(training.NonFiniteError) as found:
        training.fit(
            curve_task, curves(**bad), KEY, curve_stream(), epochs=EPOCHS, on_chunk=lambda run, _: told.append(run)
        )
    with pytest.raises(training.NonFiniteError) as wanted:
        training.fit(curve_task, curves(**bad), KEY, CURVE_DATA, epochs=EPOCHS, batch_size=4)
    error, in_memory = found.value, wanted.value
    assert (error.step, error.epoch) == (in_memory.step, in_memory.epoch) == (step, step // STEPS)
    assert float(error.state.params) == float(in_memory.state.params) == step
    assert int(told[-1].bad_step) == step
    assert all(int(run.bad_step) < 0 for run in told[:-1])


# ---------------------------------------------------------------- evaluation


@pytest.mark.portable
@pytest.mark.parametrize("size", [1, 8, 20, 21, 50])
def test_every_example_is_examined_once_and_counted(size, prepared, whole):
    params = task(H).model.init(KEY)
    test = _records.decode(prepared).test
    batches = loader.sequential_batches(loader.OnDisk(prepared, "test"), batch_size=size, threads=2)
    found = training.evaluate(task, H, whole.statistics, params, None, batches)
    x = (test.inputs.astype(np.float64) - np.asarray(whole.statistics.mean)) / np.asarray(whole.statistics.std)
    hidden = np.maximum(x.reshape(21, -1) @ np.asarray(params[0]["w"], np.float64).T, 0)
    scores = hidden @ np.asarray(params[1]["w"], np.float64).T
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_array_equal(found.predictions, scores.argmax(1))
    np.testing.assert_array_equal(found.right, scores.argmax(1) == test.labels)
    np.testing.assert_allclose(found.confidences, shares.max(1), rtol=1e-5)
    np.testing.assert_allclose(found.losses, -np.log(shares[np.arange(21), test.labels]), rtol=1e-4)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": 1, "patience": 2}, "patience=2 needs select"),
        ({"epochs": 1, "patience": 0, "select": "loss"}, "patience must be at least 1, got 0"),
        ({"epochs": 1, "batch_size": 4}, "batch_size 4 .* 8"),
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(options, message, streamed):
    with pytest.raises(ValueError, match=message):
        training.fit(task, H, KEY, streamed, **options)
    with pytest.raises(ValueError, match="at least 1 step per epoch, got steps 0"):
        training.fit(task, H, KEY, streamed._replace(steps=0), epochs=1)


def test_an_unknown_measure_and_a_stream_that_ends_too_early_are_refused(streamed):
    with pytest.raises(ValueError, match=r"select must be one of .*; got 'los'"):
        training.fit(task, H, KEY, streamed, epochs=1, select="los")
    with pytest.raises(ValueError, match="the batches ended 6 steps or more before"):
        training.fit(task, H, KEY, streamed, epochs=5, chunk_seconds=60.0)
    with pytest.raises(ValueError, match="the batches ended 1 steps or more before"):
        training.fit(task, H, KEY, streamed._replace(batches=lambda first: []), epochs=1)
    with pytest.raises(ValueError, match="there are no examples"):
        training.evaluate(task, H, None, None, None, [])
    with pytest.raises(ValueError, match="there are no examples"):
        training.evaluate(task, H, None, None, None, (np.zeros((0, *SHAPE)), np.zeros(0, int)))


def test_examples_in_memory_need_a_batch_size(whole):
    with pytest.raises(TypeError, match="batch_size"):
        training.fit(task, H, KEY, whole, epochs=1)
