"""A loss or an update that is not finite: what is said of it, what is kept, and steps that are left out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import train
from jaxnn import checkpoint, models
from jaxnn._random import permutation
from jaxnn.training import Data, NonFiniteError, Stream, Task, fit, run

pytestmark = pytest.mark.usefixtures("undrawn")
KEY = jax.random.key(0)

# A training that NumPy can follow: the objective of an example x is (w * x)**2 / 2 for the single parameter w, so that
# a step of rate r with the examples of a batch makes w smaller by r * w * mean(x**2).


def square_task(h, skip=None):
    def loss(scores, labels):
        return scores[:, 0] ** 2 / 2

    optimizer = optax.sgd(h["rate"])
    return Task(
        models.Model(lambda key: {"w": jnp.ones(1)}, lambda p, x, *, key=None: jnp.stack([p["w"] * x, x], -1)),
        loss,
        optimizer if skip is None else optax.apply_if_finite(optimizer, skip),
    )


def follow(inputs, epochs, rate, batch_size=4, *, skip=False):
    """For each step: w before it, f32, and whether its objective is finite; the mean loss of each epoch."""
    w, steps, means = np.float32(1), [], []
    for epoch in range(epochs):
        order = np.asarray(permutation(jax.random.fold_in(jax.random.fold_in(KEY, 1), epoch), len(inputs)))
        taken = []
        for rows in order[: len(order) // batch_size * batch_size].reshape(-1, batch_size):
            x = inputs[rows]
            with np.errstate(over="ignore", invalid="ignore"):
                loss = np.mean((w * x) ** 2 / 2, dtype=np.float32)
                gradient = np.mean(w * x * x, dtype=np.float32)
            steps.append((w, bool(np.isfinite(loss))))
            if skip and not np.isfinite(gradient):
                continue
            taken.append(loss)
            w = w - np.float32(rate) * gradient
        means.append(np.mean(taken))
    return w, steps, means


def stream_of(data):
    """The batches of 4 that the run in memory takes of these 22 examples."""

    def batches(first_step):
        for step in range(first_step, 30):
            order = np.asarray(permutation(jax.random.fold_in(jax.random.fold_in(KEY, 1), step // 5), 22))
            rows = order[4 * (step % 5) :][:4]
            yield data.inputs[rows], data.labels[rows]

    return Stream(batches, 5)


@pytest.mark.parametrize("chunk_seconds", [0.0, 100.0])
def test_the_step_its_norms_and_the_learning_rate_are_named(chunk_seconds):
    inputs = np.linspace(1, 2, 22, dtype=np.float32)
    with np.errstate(all="ignore"):
        _, steps, _ = follow(inputs, 8, 7.0)
    step = [finite for _, finite in steps].index(False)
    assert step > 5
    assert step % 5 != 0
    data = Data(inputs, np.zeros(22, np.int32), evaluate={"validation": (inputs, np.zeros(22, np.int32))})
    with pytest.raises(NonFiniteError) as e:
        fit(square_task, {"rate": 7.0}, KEY, data, epochs=8, batch_size=4, chunk_seconds=chunk_seconds)
    error = e.value
    assert (error.step, error.epoch, int(error.state.step)) == (step, step // 5, step)
    np.testing.assert_allclose(error.state.params["w"], steps[step][0], rtol=1e-4)
    np.testing.assert_allclose(error.norms["w"], abs(steps[step][0]), rtol=1e-4)
    assert (
        f"at step {step} (epoch {step // 5}); norms of the parameters before that step: w {error.norms['w']:.3g};"
        in str(error)
    )
    assert f"had grown {abs(steps[step][0]):.2g}-fold" in error.cause
    assert "the learning rate is most likely too high" in error.cause


def test_inputs_that_are_not_finite_are_named():
    inputs = np.ones(20, np.float32)
    inputs[7] = np.nan
    with pytest.raises(NonFiniteError, match="the inputs or their statistics hold NaN"):
        fit(square_task, {"rate": 0.1}, KEY, Data(inputs, np.zeros(20, np.int32)), epochs=3, batch_size=4)


def test_a_loss_that_is_not_finite_for_ordinary_parameters_is_named():
    inputs = np.ones(20, np.float32)
    inputs[7] = 1e25  # finite, and its square is not
    with pytest.raises(NonFiniteError, match="the parameters were of ordinary size"):
        fit(square_task, {"rate": 0.1}, KEY, Data(inputs, np.zeros(20, np.int32)), epochs=3, batch_size=4)


@pytest.mark.parametrize("streamed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_steps_that_are_not_finite_are_left_out_where_the_optimizer_says_so(streamed):
    inputs = np.linspace(0.1, 1, 22, dtype=np.float32)
    inputs[7] = 1e25
    expected, steps, means = follow(inputs, 6, 0.1, skip=True)
    bad = np.array([not finite for _, finite in steps]).reshape(6, 5).sum(1)
    assert bad.sum() >= 3
    data = Data(inputs, np.zeros(22, np.int32))
    task = functools.partial(square_task, skip=3)
    source, size = (stream_of(data), None) if streamed else (data, 4)
    result, _ = fit(task, {"rate": 0.1}, KEY, source, epochs=6, batch_size=size)
    np.testing.assert_allclose(result.state.params["w"][0], expected, rtol=1e-5)
    np.testing.assert_array_equal(result.history["skipped"], bad)
    np.testing.assert_allclose(result.history["loss"], means, rtol=1e-5)
    assert int(result.state.step) == 30
    assert "skipped" not in run(square_task, {"rate": 0.1}, KEY, data, epochs=1, batch_size=4).history


def test_too_many_in_a_row_stop_the_run():
    inputs = np.full(20, 1e25, np.float32)
    task = functools.partial(square_task, skip=3)
    with pytest.raises(NonFiniteError, match=r"at step 3 \(epoch 0\)"):
        fit(task, {"rate": 0.1}, KEY, Data(inputs, np.zeros(20, np.int32)), epochs=3, batch_size=4)


# ---------------------------------------------------------------- the command

# each step multiplies the weights by 1 - 2 * 0.05 * 25 = -1.5
DIVERGING = ["--momentum", "0", "--schedule", "constant", "--learning-rate", "0.05", "--l2", "25", "--hidden", "16"]


@pytest.fixture
def standard():
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_the_last_finite_checkpoint_is_kept_and_told(standard, tmp_path, capsys):
    out = tmp_path / "run"
    assert train.main([*DIVERGING, "--checkpoint-every", "1", "--out", str(out)]) == 1
    captured = capsys.readouterr()
    newest = checkpoint.latest(out / "checkpoints")
    assert newest is not None
    rows = (out / "history.csv").read_text().splitlines()[1:]
    assert newest.about["epoch"] == len(rows) - 1
    assert f"{newest.path} is the last checkpoint" in " ".join(captured.out.split())
    for name, array in newest.arrays.items():
        if "params" in name or "opt_state" in name:
            assert np.isfinite(array).all(), name
    assert "non-finite at step" in captured.err
    assert "norms of the parameters before that step: 0/b" in captured.err
    assert "1/w" in captured.err
    assert "the learning rate is most likely too high" in captured.err
    assert (out / "config.json").exists()
    assert not (out / "summary.json").exists()


@pytest.mark.slow
def test_skipping_changes_nothing_where_all_is_finite(standard, tmp_path):
    files = []
    for mode in ("stop", "skip"):
        out = tmp_path / mode
        assert train.main(["--quick", "--hidden", "16", "--on-nonfinite", mode, "--out", str(out)]) == 0
        with np.load(out / "classifier.npz") as arrays:
            files.append(dict(arrays))
    for name, array in files[0].items():
        np.testing.assert_allclose(files[1][name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    header = (tmp_path / "skip" / "history.csv").read_text().splitlines()[0]
    assert "skipped" in header.split(",")
