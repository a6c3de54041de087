"""The comparison is fair: all peers take the same steps."""

import importlib.util
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmark import workloads
from experiments.benchmark.peers import ours
from experiments.benchmark.workloads import Workload
from jaxnn import layers, training

TINY = Workload("tiny", "circle", (5,), learning_rate=0.1, l2=0.02, batch_size=8)
SVM = TINY._replace(name="tiny SVM", hidden=(), loss="svm")
both = pytest.mark.parametrize("workload", [TINY, SVM], ids=lambda workload: workload.name)


def batches():
    random = np.random.default_rng(0)
    return [
        (random.standard_normal((8, 6)).astype(np.float32), random.integers(0, 3, 8).astype(np.int32)) for _ in range(3)
    ]


def trained_by_us(workload, batches, start=None):
    """Weights before and after one step on each batch."""
    data = training.Data(*batches[0])
    make_task, h = ours.task_maker(workload, data), jax.tree.map(jnp.float32, ours.hyperparameters(workload))
    state = training.init_state(make_task(h), jax.random.key(0))
    if start is not None:
        state = state._replace(params=start)
    first = jax.tree.map(np.asarray, state.params)
    update = jax.jit(training.make_train_step(make_task(h)))
    for batch in batches:
        state, _ = update(state, batch)
    return first, jax.tree.map(np.asarray, state.params)


def assert_close(theirs, expected):
    for (w, b), layer in zip(theirs, expected, strict=True):
        np.testing.assert_allclose(w, layer["w"], atol=2e-6)
        np.testing.assert_allclose(b, layer["b"], atol=2e-6)


@pytest.fixture
def default_promotion():
    """Peers run with the default dtype promotion of JAX."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.portable
@both
@pytest.mark.usefixtures("default_promotion")
def test_flax_linen_takes_the_same_steps(workload):
    from experiments.benchmark.peers import flax_loops

    first, expected = trained_by_us(workload, batches())
    params = {f"Dense_{i}": {"kernel": jnp.array(p["w"].T), "bias": jnp.array(p["b"])} for i, p in enumerate(first)}
    state = flax_loops.linen_state(workload, flax_loops.Linen(workload, 3), params)
    step = flax_loops.make_linen_step(workload)
    for x, y in batches():
        state, _ = step(state, x, y, jax.random.key(0))
    assert_close([(layer["kernel"].T, layer["bias"]) for layer in state.params.values()], expected)


@pytest.mark.portable
@both
@pytest.mark.usefixtures("default_promotion")
def test_flax_nnx_takes_the_same_steps(workload):
    from experiments.benchmark.peers import flax_loops

    first, expected = trained_by_us(workload, batches())
    model: Any = flax_loops.Nnx(workload, 6, 3)
    for layer, weights in zip(model.layers, first, strict=True):
        layer.kernel[...], layer.bias[...] = jnp.array(weights["w"].T), jnp.array(weights["b"])
    optimizer, step = flax_loops.nnx_optimizer(workload, model), flax_loops.make_nnx_step(workload)
    for x, y in batches():
        step(model, optimizer, x, y)
    assert_close([(layer.kernel[...].T, layer.bias[...]) for layer in model.layers], expected)


@pytest.mark.portable
@both
def test_pytorch_takes_the_same_steps(workload):
    torch = pytest.importorskip("torch", reason="PyTorch is installed with the extra bench alone")
    from experiments.benchmark.peers import pytorch

    first, expected = trained_by_us(workload, batches())
    model: Any = pytorch.network(workload, workload.hidden, 6, 3)
    layers: list[Any] = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for layer, weights in zip(layers, first, strict=True):
            layer.weight[:], layer.bias[:] = torch.tensor(weights["w"]), torch.tensor(weights["b"])
    optimizer = pytorch.sgd(model, workload.learning_rate, workload.momentum, workload.l2)
    step = pytorch.make_step(model, optimizer, lambda x, y: pytorch.loss_of(workload, model(x), y))
    for x, y in batches():
        step(torch.tensor(x), torch.tensor(y).long())
    assert_close([(layer.weight.detach(), layer.bias.detach()) for layer in layers], expected)


@pytest.mark.portable
@both
def test_keras_takes_the_same_steps(workload, run_python):
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is installed with the extra bench alone")
    first, expected = trained_by_us(workload, batches())
    given = [[values.tolist() for layer in first for values in (layer["w"].T, layer["b"])]]
    given += [[values.tolist() for values in batch] for batch in batches()]
    printed = run_python(
        "import json, numpy as np\n"
        "from experiments.benchmark.peers import keras_fit\n"
        "from experiments.benchmark.workloads import Workload\n"
        f"weights, *batches = json.loads('{json.dumps(given)}')\n"
        f"model = keras_fit.network({workload!r}, 6, 3)\n"
        "model.set_weights([np.array(w, np.float32) for w in weights])\n"
        "for x, y in batches: model.train_on_batch(np.array(x, np.float32), np.array(y))\n"
        "print(json.dumps([w.tolist() for w in model.get_weights()]))"
    )
    found = [np.array(values) for values in json.loads(printed.splitlines()[-1])]
    assert_close([(w.T, b) for w, b in zip(found[::2], found[1::2], strict=True)], expected)


@pytest.mark.portable
def test_scikit_learn_mlp_takes_the_same_step():
    from experiments.benchmark.peers import scikit_learn

    workload = TINY._replace(momentum=0.0)  # its momentum is not seen from outside
    x, y = batches()[0]
    model = scikit_learn.network(workload).partial_fit(x, y, classes=[0, 1, 2])
    start = [{"w": jnp.array(w.T), "b": jnp.array(b)} for w, b in zip(model.coefs_, model.intercepts_, strict=True)]
    _, expected = trained_by_us(workload, [(x, y)], start)
    model.partial_fit(x, y)
    assert_close([(w.T, b) for w, b in zip(model.coefs_, model.intercepts_, strict=True)], expected)


@pytest.mark.usefixtures("default_promotion")
def test_the_bare_loop_is_training_without_order_momentum_and_penalty(tmp_path):
    plain = Workload("plain", "digits", (5,), learning_rate=0.1, momentum=0.0, l2=0.0, batch_size=64)
    workloads.write("digits", tmp_path)
    bare = ours.bare_loop(plain, tmp_path)
    bare.train(3)
    data = ours.on_device(plain, workloads.read(plain, tmp_path))
    make_task, h = ours.task_maker(plain, data, layers.dot_as_sum), ours.hyperparameters(plain)
    params = training.run(
        lambda h: make_task(h)._replace(shuffle=False), h, jax.random.key(0), data, epochs=3, batch_size=64
    ).state.params
    found, expected = bare.accuracies()[0], float(ours.accuracy(make_task, h, params, data))
    assert 0.3 < found < 1
    assert found == pytest.approx(expected, abs=2e-3)
