import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import references
from float64 import ROUNDED, enabled, in_float64

from jaxnn import losses, models
from jaxnn._random import permutation
from jaxnn.training import Data, NonFiniteError, Task, fit, init_state, make_train_step, run

KEY = jax.random.key(0)
H = {"learning_rate": 0.1, "l2": 1e-3, "dropout": 0.2}
BATCH, EPOCHS = 16, 3


def blobs(count, seed=0):
    """Three overlapping clouds of points."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    centers = np.array([[0.0, 1.5], [1.3, -0.8], [-1.3, -0.8]])
    return jnp.asarray(centers[labels] + random.normal(0, 0.7, (count, 2)), jnp.float32), jnp.asarray(labels)


VALIDATION = blobs(30, seed=1)
DATA = Data(*blobs(70), evaluate={"validation": VALIDATION})  # 4 steps an epoch, 6 examples left over


def task(h):
    return Task(
        model=models.mlp(2, (8,), 3, dropout=h["dropout"]),
        loss=losses.softmax,
        penalty=lambda params: h["l2"] * losses.l2(params),
        optimizer=optax.inject_hyperparams(optax.sgd)(learning_rate=h["learning_rate"], momentum=0.9),
    )


base_run = functools.partial(run, task, epochs=EPOCHS, batch_size=BATCH, select="validation_loss")
compiled_run = jax.jit(base_run)
wide_task = in_float64(task)
wide_run = functools.partial(run, wide_task, epochs=EPOCHS, batch_size=BATCH, select="validation_loss")


def in_numpy(params, inputs, labels):
    """The mean loss and the share of right answers of a ReLU network, example by example."""
    scores = [references.mlp(params, one, references.ACTIVATIONS["relu"]) for one in np.asarray(inputs)]
    each = [references.softmax(s, int(y)) for s, y in zip(scores, labels, strict=True)]
    return float(np.mean(each)), float(np.mean(np.argmax(scores, 1) == np.asarray(labels)))


@functools.partial(jax.jit, static_argnums=0)
def compiled_update(make_task, h, state, batch):
    return make_train_step(make_task(h))(state, batch)


compiled_permutation = jax.jit(permutation, static_argnums=1)


def loop(make_task, h, key, data, epochs):
    """What `run` is to do, as a Python loop over `update`: the state and the measures after every epoch."""
    state = init_state(make_task(h), jax.random.fold_in(key, 0))
    inputs, labels = np.asarray(data.inputs), np.asarray(data.labels)
    for epoch in range(epochs):
        order = np.asarray(compiled_permutation(jax.random.fold_in(jax.random.fold_in(key, 1), epoch), len(inputs)))
        steps = []
        for first in range(0, len(inputs) - BATCH + 1, BATCH):
            rows = order[first : first + BATCH]
            state, metrics = compiled_update(make_task, h, state, (inputs[rows], labels[rows]))
            steps.append(metrics)
        measures = {name: float(value) for name, value in steps[-1]._asdict().items() if value is not None}
        for name in ("loss", "penalty", "accuracy"):
            measures[name] = float(np.mean([getattr(metrics, name) for metrics in steps]))
        yield state, measures, steps


# ---------------------------------------------------------------- a run is its loop


@pytest.mark.portable
@enabled()
def test_run_is_the_loop_over_updates():
    result = jax.jit(wide_run)(H, KEY, DATA)
    assert (int(result.epoch), int(result.bad_step), int(result.state.step)) == (EPOCHS, -1, EPOCHS * 4)
    state = None
    for epoch, (state, measures, _) in enumerate(loop(wide_task, H, KEY, DATA, EPOCHS)):
        measures["validation_loss"], measures["validation_accuracy"] = in_numpy(state.params, *VALIDATION)
        assert set(measures) == set(result.history)
        for name, value in measures.items():
            np.testing.assert_allclose(result.history[name][epoch], value, **ROUNDED, err_msg=f"{name}, epoch {epoch}")
    assert state is not None
    for ours, expected in zip(jax.tree.leaves(result.state.params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_allclose(ours, expected, **ROUNDED)


def test_a_run_is_a_function_of_the_key():
    one, again, other = (compiled_run(H, jax.random.key(seed), DATA) for seed in (1, 1, 2))
    jax.tree.map(np.testing.assert_array_equal, one.history, again.history)
    assert (one.history["loss"] != other.history["loss"]).all()


def test_every_epoch_has_an_order_of_its_own_and_no_example_twice():
    """A model that learns nothing writes down what it saw: example i adds 2**i to its single weight."""
    model = models.Model(lambda key: jnp.zeros(()), lambda w, x, *, key=None: jnp.broadcast_to(w, (len(x), 1)) * x)
    sums = Task(model, loss=lambda scores, labels: -scores[:, 0], optimizer=optax.sgd(3.0))
    data = Data(jnp.float32(2) ** jnp.arange(10.0)[:, None], jnp.zeros(10, int))
    history = run(lambda h: sums, {}, KEY, data, epochs=6, batch_size=3).history
    seen = [round(float(w)) for w in history["parameter_norm"]]  # after each epoch
    left_out = [1023 - now + before for before, now in zip([0, *seen], seen, strict=False)]
    assert all(left in [2**i for i in range(10)] for left in left_out)  # one of ten is left over by batches of three
    assert len(set(left_out)) > 2


def test_every_example_of_a_split_is_measured():
    """2,345 examples are two full batches of the evaluation and a part of a third. The data may be NumPy arrays."""

    def linear(h):
        return Task(models.linear(2, 3), losses.softmax, optax.sgd(h))

    validation = blobs(2345, seed=2)
    data = jax.tree.map(np.asarray, Data(*blobs(20), evaluate={"all": validation}))
    result = run(linear, 0.1, KEY, data, epochs=1, batch_size=10)
    loss, accuracy = in_numpy(result.state.params, *validation)
    np.testing.assert_allclose(result.history["all_loss"], [loss], rtol=1e-5)
    np.testing.assert_allclose(result.history["all_accuracy"], [accuracy], rtol=1e-6)


def xor(h):
    return Task(models.mlp(2, (16,), 2), losses.softmax, optax.sgd(h, momentum=0.9))


run_xor = jax.jit(functools.partial(run, xor, epochs=20, batch_size=20))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_small_network_learns_a_separable_set(seed):
    """Four clouds in the corners of a square, opposite corners of one class: no line separates them."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, 2, (200, 2))
    inputs = jnp.asarray(4 * corners - 2 + random.uniform(-1, 1, (200, 2)), jnp.float32)
    data = Data(inputs, jnp.asarray(corners[:, 0] ^ corners[:, 1]))
    data = data._replace(evaluate={"training": (data.inputs, data.labels)})
    result = run_xor(0.1, jax.random.key(seed), data)
    assert result.history["training_accuracy"][-1] == 1.0
    assert result.history["training_loss"][-1] < 0.05
    assert result.history["loss"][0] > 0.2


# ---------------------------------------------------------------- one program


def test_another_value_compiles_nothing(compiled):
    with jax.log_compiles():
        fitted = functools.partial(fit, task, data=DATA, epochs=10, batch_size=BATCH)
        fitted(H, KEY)
        names = compiled()
        assert (names.count("jit(new_run)"), names.count("jit(train_until)")) == (1, 1)

        fitted({"learning_rate": 0.05, "l2": 0.0, "dropout": 0.5}, jax.random.key(1))
        assert compiled() == []

        fitted(H, KEY, batch_size=70)  # a static argument
        assert "jit(train_until)" in compiled()


def test_a_jitted_run_compiles_once(compiled):
    compiled_run(H, KEY, DATA)
    others = DATA._replace(inputs=jnp.zeros_like(DATA.inputs)), jax.random.key(1)
    with jax.log_compiles():
        compiled_run({**H, "dropout": 0.0}, others[1], others[0])
        assert compiled() == []
        jax.jit(lambda x: x + 1)(0)  # it would be seen
        assert len(compiled()) == 1


def largest_constant(function, *arguments):
    """The number of values in the largest array that is written into the function's program."""

    def walk(jaxpr):
        constants = [np.size(c) for c in getattr(jaxpr, "consts", ())]
        for equation in getattr(jaxpr, "eqns", ()):
            constants += [np.size(v.val) for v in equation.invars if hasattr(v, "val")]
            inner = jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns"))
            constants += [walk(p) for p in inner if hasattr(p, "eqns")]
        return max(constants, default=0)

    return walk(jax.make_jaxpr(function)(*arguments))


def test_data_are_arguments_of_the_program_not_constants_in_it():
    assert largest_constant(base_run, H, KEY, DATA) < 10
    assert largest_constant(lambda h, key: base_run(h, key, DATA), H, KEY) == DATA.inputs.size  # it would be seen


# ---------------------------------------------------------------- a loss that is not finite

DIVERGING = {"learning_rate": 2.0, "l2": 200.0, "dropout": 0.0}  # each step multiplies the weights by about -799


def first_bad_step(make_task=task, h=DIVERGING):
    step = 0
    for epoch, (_, _, metrics) in enumerate(loop(make_task, h, KEY, DATA, 10)):
        for each in metrics:
            if not np.isfinite(float(each.loss) + float(each.penalty)):
                return step, epoch
            step += 1
    raise AssertionError("it never diverged")


def test_the_first_step_that_is_not_finite_is_named():
    step, epoch = first_bad_step()
    assert epoch > 0
    assert step % 4 != 0  # neither in the first epoch nor at the beginning of one
    seen = []

    def on_chunk(run, timing):
        seen.append(run.history)

    with pytest.raises(NonFiniteError, match=rf"at step {step} \(epoch {epoch}\); norms .* the learning rate is") as e:
        fit(task, DIVERGING, KEY, DATA, epochs=10, batch_size=BATCH, chunk_seconds=10.0, on_chunk=on_chunk)
    assert (e.value.step, e.value.epoch, int(e.value.run.bad_step)) == (step, epoch, step)
    assert int(e.value.run.epoch) == epoch + 1  # it stopped there
    assert np.isfinite(seen[-1]["loss"][:-1]).all()
    assert not np.isfinite(seen[-1]["penalty"][-1])


# ---------------------------------------------------------------- many runs side by side


@pytest.mark.portable
@enabled()
def test_vmap_is_many_single_runs_and_one_that_diverges_disturbs_none():
    diverging = DIVERGING | {"l2": 1e32}
    each = [{**H, "learning_rate": 0.3}, diverging, {**H, "dropout": 0.0}, {**H, "learning_rate": 0.01}]
    keys = jax.random.split(KEY, 4).at[1].set(KEY)
    hparams = {name: jnp.array([h[name] for h in each]) for name in H}
    together = jax.jit(jax.vmap(wide_run, in_axes=(0, 0, None)))(hparams, keys, DATA)
    one = jax.jit(wide_run)
    step, epoch = first_bad_step(wide_task, diverging)
    assert epoch + 1 < EPOCHS
    assert together.bad_step.tolist() == [-1, step, -1, -1]
    assert together.epoch.tolist() == [EPOCHS, epoch + 1, EPOCHS, EPOCHS]
    assert together.best is not None
    for i in (0, 2, 3):
        alone = one(each[i], keys[i], DATA)
        assert alone.best is not None
        assert int(together.best.epoch[i]) == int(alone.best.epoch)
        ours = (together.history, together.state.params, together.best.params)
        expected = (alone.history, alone.state.params, alone.best.params)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a[i], b, **ROUNDED)
    assert len(set(together.history["loss"][:, -1].tolist())) == 4


# ---------------------------------------------------------------- wrong inputs

X, Y = jnp.zeros((10, 2)), jnp.zeros(10, int)


@pytest.mark.parametrize("function", [run, fit])
@pytest.mark.parametrize(
    ("data", "changes", "error", "message"),
    [
        (Data(X, Y), {"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        (Data(X, Y), {"epochs": 2.0}, TypeError, "epochs must be a whole number, got 2.0"),
        (Data(X, Y), {"epochs": True}, TypeError, "epochs must be a whole number, got True"),
        (Data(X, Y), {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        (Data(X, Y), {"batch_size": None}, TypeError, "batch_size must be a whole number, got None"),
        (Data(X, Y), {"batch_size": 11}, ValueError, "batch_size 11 is larger than the 10 training examples"),
        (Data(X, Y), {"patience": 2}, ValueError, "patience=2 needs select"),
        (Data(X, Y), {"patience": 0, "select": "loss"}, ValueError, "patience must be at least 1, got 0"),
        (Data(X, Y), {"patience": 1.5, "select": "loss"}, TypeError, "patience must be a whole number, got 1.5"),
        (Data(X, Y), {"select": "validation_loss"}, ValueError, "select must be one of accuracy, .*; got 'validation_"),
        (Data(X, Y[:9]), {}, ValueError, r"training data must be .* got inputs\[10, 2\] and labels\[9\]"),
        (Data(X, Y[:, None]), {}, ValueError, r"training data .* labels\[10, 1\]"),
        (Data(jnp.zeros(()), Y), {}, ValueError, r"training data .* inputs\[\]"),
        (Data(X, jnp.zeros(10)), {}, TypeError, "training labels must be integer class numbers, got float32"),
        (Data(X[:0], Y[:0]), {}, ValueError, "training data are empty"),
        (Data(X, Y, evaluate={"test": (X, Y[:1])}), {}, ValueError, r"test data .* inputs\[10, 2\] and labels\[1\]"),
        (Data(X, Y, evaluate={"test": (X[:0], Y[:0])}), {}, ValueError, "the test data are empty"),
        (Data(X, Y, evaluate={"test": (X, X[:, 0])}), {}, TypeError, "test labels must be integer"),
    ],
)
def test_wrong_inputs(function, data, changes, error, message):
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 5} | changes
    with pytest.raises(error, match=f"^run: .*{message}"):
        function(task, H, KEY, data, **settings)
