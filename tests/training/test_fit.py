import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from written_curves import CURVE_DATA, EPOCHS, STEPS, curve_task, curves

from jaxnn import losses, models
from jaxnn.training import Data, NonFiniteError, Run, Task, Timing, fit, predict_scores, run
from jaxnn.training._compile import compiler_options

KEY = jax.random.key(0)


fit_curve = functools.partial(fit, curve_task, key=KEY, data=CURVE_DATA, epochs=EPOCHS, batch_size=4)


# ---------------------------------------------------------------- the best epoch, and when to stop

nan = float("nan")


@pytest.mark.parametrize(
    ("patience", "losses_written", "best", "done"),
    [
        (None, [5, 4, 3, 4, 5, 6, 7, 8], 2, 8),
        (None, [5, 4, 3, 4, 3, 3, 4, 4], 2, 8),  # of equal ones the first
        (None, [8, 7, 6, 5, 4, 3, 2, 1], 7, 8),
        (None, [5, nan, 4, nan, nan, 5, 5, 5], 2, 8),
        (2, [5, 4, 3, 3.5, 3.25, 1, 1, 1], 2, 5),  # two epochs after the best, whatever comes later
        (2, [5, 4, 3, 3.5, 2.75, 3.5, 3.25, 1], 4, 7),  # a better one starts the count again
        (2, [3, 3, 3, 3, 3, 3, 3, 3], 0, 3),  # equal is not better
        (2, [8, 7, 6, 5, 4, 3, 2, 1], 7, 8),
        (2, [8, 7, 6, 5, 4, 3, 9, 9], 5, 8),
        (2, [nan, nan, 1, 1, 1, 1, 1, 1], -1, 2),
    ],
    ids=str,
)
def test_best_and_last_epoch_of_a_written_loss(patience, losses_written, best, done):
    result, timing = fit_curve(hparams=curves(losses_written), select="validation_loss", patience=patience)
    assert result.best is not None
    assert (int(result.best.epoch), int(result.epoch), len(timing.epochs)) == (best, done, done)
    assert float(result.state.params) == done * STEPS
    np.testing.assert_array_equal(result.history["validation_loss"], np.float32(losses_written[:done]))
    assert {len(values) for values in result.history.values()} == {done}
    if best >= 0:
        assert float(result.best.value) == np.float32(losses_written[best])
        assert float(result.best.params) == (best + 1) * STEPS


@pytest.mark.parametrize(
    ("select", "best", "value"),
    [
        ("validation_accuracy", 3, 0.9),  # highest, of equal ones the first
        ("validation_loss", 1, 0.5),
        ("loss", 7, -22.0),  # the mean of -w over the steps 21, 22, 23
        ("parameter_norm", 0, 3.0),  # w after the first epoch
    ],
)
def test_what_is_best_depends_on_the_measure(select, best, value):
    written = curves([9, 0.5, 2, 2, 2, 2, 2, 2], [0.1, 0.5, 0.2, 0.9, 0.9, 0.9, 0.0, 0.8])
    result, _ = fit_curve(hparams=written, select=select)
    assert result.best is not None
    assert int(result.best.epoch) == best
    np.testing.assert_allclose(result.best.value, value, rtol=1e-6)
    np.testing.assert_allclose(result.history["validation_accuracy"], written["accuracy"], rtol=1e-6)


# ---------------------------------------------------------------- a loss or an update that is not finite


@pytest.mark.parametrize("chunk_seconds", [0.0, 100.0])
@pytest.mark.parametrize(
    ("bad", "step", "epoch"),
    [
        ({"bad_loss": 0}, 0, 0),
        ({"bad_loss": 7}, 7, 2),
        ({"bad_loss": 23}, 23, 7),  # the very last step
        ({"bad_penalty": 10}, 10, 3),
        ({"bad_update": 5}, 5, 1),  # at the end of an epoch the update itself is looked at
        ({"bad_update": 23}, 23, 7),  # the last update of all: no loss would ever tell
        ({"bad_update": 6}, 7, 2),  # within an epoch it shows in the objective of the next step
    ],
    ids=str,
)
def test_a_bad_step_is_named(bad, step, epoch, chunk_seconds):
    with pytest.raises(NonFiniteError, match=rf"at step {step} \(epoch {epoch}\)") as e:
        fit_curve(hparams=curves(**bad), chunk_seconds=chunk_seconds)
    assert (e.value.step, e.value.epoch, int(e.value.run.epoch)) == (step, epoch, epoch + 1)
    assert isinstance(e.value, FloatingPointError)


# ---------------------------------------------------------------- chunks change nothing


def noisy_data():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 90)
    inputs = jnp.asarray(random.normal(size=(90, 3)) + labels[:, None], jnp.float32)
    return Data(inputs[:60], jnp.asarray(labels[:60]), evaluate={"validation": (inputs[60:], jnp.asarray(labels[60:]))})


def noisy_task(h):
    return Task(models.mlp(3, (6,), 2, dropout=h["dropout"]), losses.softmax, optax.sgd(h["learning_rate"]))


NOISY = {"learning_rate": 0.1, "dropout": 0.3}
SETTINGS = {"epochs": 30, "batch_size": 8, "select": "validation_loss", "patience": 6}


def test_fit_is_run_whatever_the_chunks():
    data = noisy_data()
    train = functools.partial(run, noisy_task, **SETTINGS)
    expected = jax.jit(train, compiler_options=compiler_options(short=True))(NOISY, KEY, data)
    done = int(expected.epoch)
    assert 8 < done < 30
    assert all(np.isfinite(v[:done]).all() and np.isnan(v[done:]).all() for v in expected.history.values())
    for chunk_seconds in (0.0, 1e-3, 0.5, float("inf")):
        seen: list[tuple[Run, int]] = []

        def on_chunk(run: Run, timing: Timing, seen=seen) -> None:
            seen.append((run, len(timing.epochs)))

        result, timing = fit(noisy_task, NOISY, KEY, data, **SETTINGS, chunk_seconds=chunk_seconds, on_chunk=on_chunk)
        assert int(result.epoch) == done
        jax.tree.map(np.testing.assert_array_equal, result.state.params, expected.state.params)
        jax.tree.map(np.testing.assert_array_equal, result.best, expected.best)
        assert set(result.history) == set(expected.history)
        for name, values in result.history.items():
            np.testing.assert_array_equal(values, expected.history[name][:done])
        lengths = [len(run.history["loss"]) for run, _ in seen]
        assert lengths[-1] == done
        assert lengths == sorted(set(lengths))
        if chunk_seconds == 0.0:
            assert lengths == list(range(1, done + 1))
        if chunk_seconds == float("inf"):
            assert lengths == [1, done]
        assert [epochs for _, epochs in seen] == lengths == [int(run.epoch) for run, _ in seen]
        np.testing.assert_array_equal(seen[0][0].history["loss"], expected.history["loss"][: lengths[0]])
        assert len(timing.epochs) == done
        assert min(timing.epochs) > 0
        assert timing.compile > 0


def test_a_chunk_ends_at_every_multiple_that_is_asked_for():
    for ends, expected in ((3, [1, 3, 6, 8]), (4, [1, 4, 8]), (8, [1, 8])):
        seen: list[int] = []
        fit_curve(
            hparams=curves(),
            chunk_seconds=float("inf"),
            chunk_ends=ends,
            on_chunk=lambda run, _, seen=seen: seen.append(int(run.epoch)),
        )
        assert seen == expected


def test_the_best_parameters_are_those_that_were_measured():
    data = noisy_data()
    result, _ = fit(noisy_task, NOISY, KEY, data, **SETTINGS)
    assert result.best is not None
    assert int(result.best.epoch) == np.argmin(result.history["validation_loss"])
    assert float(result.best.value) == np.min(result.history["validation_loss"])
    assert data.evaluate is not None
    inputs, labels = data.evaluate["validation"]
    scores = np.asarray(predict_scores(noisy_task(NOISY), result.best.params, inputs), np.float64)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(-np.log(shares[np.arange(30), labels]).mean(), result.best.value, rtol=1e-5)
    assert int(result.best.epoch) == int(result.epoch) - 7  # these are not simply the last
    assert (result.best.params[0]["w"] != result.state.params[0]["w"]).any()


def test_the_data_and_the_hyper_parameters_survive():
    """The program may reuse the memory of the run it is given, never that of its data."""
    data = noisy_data()
    hparams = jax.tree.map(jnp.asarray, NOISY)
    for _ in range(2):
        fit(noisy_task, hparams, KEY, data, **SETTINGS)
    assert np.isfinite(data.inputs).all()
    assert float(hparams["learning_rate"]) == np.float32(0.1)


@pytest.mark.parametrize(("label", "place"), [(3, "training"), (-1, "training"), (3, "validation"), (-1, "validation")])
def test_labels_that_are_no_classes_are_named(label, place):
    x, y, wrong = np.zeros((8, 4), np.float32), np.zeros(8, np.int32), np.full(8, label, np.int32)
    data = Data(x, wrong if place == "training" else y, evaluate={"validation": (x, wrong)})

    def task(h):
        return Task(models.linear(4, 3), losses.softmax, optax.sgd(h))

    with pytest.raises(ValueError, match=rf"{place} labels must be in \[0, 3\).* {label} to {label}"):
        fit(task, 0.1, KEY, data, epochs=1, batch_size=4)
