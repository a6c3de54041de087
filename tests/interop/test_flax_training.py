"""Networks written in Flax are trained as by Flax's own loops, inspected, and swept."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from flax_nets import CLASSES, MODELS, SHAPE, Whole, WholeNnx, assert_trees, examples, task_of
from float64 import ROUNDED, enabled, in_float64, widen

from jaxnn import layers, losses, models, training
from jaxnn.inspect import computation_graph, top_eigenvalues
from jaxnn.interop.flax import linen_model, nnx_model
from jaxnn.training._step import step_keys

KEY = jax.random.key(0)
H = {"rate": 0.05, "l2": 1e-3}
X, Y = examples(24)


def batches(steps):
    return [examples(12, seed) for seed in range(steps)]


def objective_of(scores, labels, kernels):
    loss = optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
    return loss + H["l2"] * sum((jnp.square(kernel).sum() for kernel in kernels), start=jnp.float32(0))


@pytest.mark.portable
@enabled()
def test_linen_is_trained_as_by_its_own_loop():
    task = in_float64(task_of(linen_model(Whole(), SHAPE)))(H)
    state = training.init_state(task, KEY)
    update = jax.jit(training.make_train_step(task))
    module, optimizer = Whole(), optax.sgd(H["rate"], momentum=0.9)
    params, stats = state.params, state.model_state["batch_stats"]
    opt_state = optimizer.init(params)

    @jax.jit
    def step(params, stats, opt_state, x, y, key):
        def objective(params):
            variables = {"params": params, "batch_stats": stats}
            scores, updates = module.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
            kernels = [params[name][kind] for name, kind in WEIGHTS]
            return objective_of(scores, y, kernels), updates["batch_stats"]

        (value, stats_after), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        updates, opt_after = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), stats_after, opt_after, value

    for x, y in widen(batches(6)):
        key = step_keys(state.key, state.step).model
        state, metrics = update(state, (x, y))
        params, stats, opt_state, value = step(params, stats, opt_state, x, y, key)
        np.testing.assert_allclose(metrics.loss + metrics.penalty, value, **ROUNDED)
    assert_trees(state.params, params, **ROUNDED)
    assert_trees(state.model_state, {"batch_stats": stats}, **ROUNDED)
    assert jnp.abs(state.model_state["batch_stats"]["BatchNorm_0"]["mean"]).max() > 0.01
    x = widen(examples(30, 99)[0])
    expected: Any = module.apply({"params": params, "batch_stats": stats}, x, train=False)
    found = training.predict_scores(task, state.params, x, model_state=state.model_state, batch_size=7)
    np.testing.assert_allclose(found, expected, **ROUNDED)


WEIGHTS = (("Conv_0", "kernel"), ("Dense_0", "kernel"))


@pytest.mark.portable
def test_nnx_is_trained_as_by_its_own_loop():
    make_task = task_of(nnx_model(lambda rngs: WholeNnx(rngs), SHAPE))
    module = WholeNnx(nnx.Rngs(jax.random.split(KEY)[0]))
    assert_trees(training.init_state(make_task(H), KEY).params, nnx.to_pure_dict(nnx.state(module, nnx.Param)))
    with enabled():
        assert_same_training_in_nnx(in_float64(make_task)(H), module)


def assert_same_training_in_nnx(task, module):
    state = training.init_state(task, KEY)
    update = jax.jit(training.make_train_step(task))
    for kind, values in ((nnx.Param, state.params), (nnx.BatchStat, state.model_state)):
        variables = nnx.state(module, kind)
        nnx.replace_by_pure_dict(variables, values)
        nnx.update(module, variables)
    module.train()
    optimizer = nnx.Optimizer(module, optax.sgd(H["rate"], momentum=0.9), wrt=nnx.Param)

    @nnx.jit
    def step(module, optimizer, x, y):
        def objective(module):
            kernels = [module.conv.kernel[...], module.out.kernel[...]]
            return objective_of(module(x), y, kernels)

        value, gradient = nnx.value_and_grad(objective)(module)
        optimizer.update(module, gradient)
        return value

    for x, y in widen(batches(6)):
        nnx.reseed(module, default=step_keys(state.key, state.step).model)
        state, metrics = update(state, (x, y))
        np.testing.assert_allclose(metrics.loss + metrics.penalty, step(module, optimizer, x, y), **ROUNDED)
    assert_trees(state.params, nnx.to_pure_dict(nnx.state(module, nnx.Param)), **ROUNDED)
    assert_trees(state.model_state, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat)), **ROUNDED)
    x = widen(examples(30, 99)[0])
    module.eval()
    found = training.predict_scores(task, state.params, x, model_state=state.model_state, batch_size=7)
    np.testing.assert_allclose(found, module(x), **ROUNDED)


HAND = (
    ("Dense_0", "kernel"),
    ("BatchNorm_0", "scale"),
    ("BatchNorm_0", "bias"),
    ("Dense_1", "kernel"),
    ("Dense_1", "bias"),
)


class Normed(linen.Module):
    """A layer, its normalization over the batch, and the scores."""

    @linen.compact
    def __call__(self, x, train: bool):
        x = linen.Dense(5, use_bias=False)(x.reshape(len(x), -1))
        return linen.Dense(CLASSES)(linen.BatchNorm(use_running_average=not train, momentum=0.8, epsilon=1e-4)(x))


@pytest.mark.portable
@enabled()
def test_batch_normalization_is_trained_as_by_the_loop_by_hand():
    """NumPy alone: forward, backward, momentum, and the running averages."""
    task = in_float64(task_of(linen_model(Normed(), SHAPE)))(H)
    state = training.init_state(task, KEY)
    update = jax.jit(training.make_train_step(task))
    k1, scale, offset, k2, b2 = (np.asarray(state.params[layer][name]) for layer, name in HAND)
    traces, mean, var = [0.0] * 5, np.zeros(5), np.ones(5)
    for x, y in widen(batches(6)):
        state, metrics = update(state, (x, y))
        x, size = np.asarray(x).reshape(len(x), -1), len(x)
        h = x @ k1
        deviation = np.sqrt(h.var(0) + 1e-4)
        normal = (h - h.mean(0)) / deviation
        z = normal * scale + offset
        share = np.exp(z @ k2 + b2)
        share /= share.sum(1, keepdims=True)
        loss = -np.log(share[np.arange(size), y]).mean()
        np.testing.assert_allclose(metrics.loss, loss, **ROUNDED)
        np.testing.assert_allclose(metrics.penalty, H["l2"] * (np.square(k1).sum() + np.square(k2).sum()), **ROUNDED)
        of_scores = (share - np.eye(CLASSES)[y]) / size
        of_z = of_scores @ k2.T
        of_normal = of_z * scale
        of_h = (of_normal - of_normal.mean(0) - normal * (of_normal * normal).mean(0)) / deviation
        slopes = [x.T @ of_h + 2 * H["l2"] * k1, (of_z * normal).sum(0), of_z.sum(0)]
        slopes += [z.T @ of_scores + 2 * H["l2"] * k2, of_scores.sum(0)]
        traces = [0.9 * trace + slope for trace, slope in zip(traces, slopes, strict=True)]
        k1, scale, offset, k2, b2 = (
            value - H["rate"] * trace for value, trace in zip((k1, scale, offset, k2, b2), traces, strict=True)
        )
        mean, var = 0.8 * mean + 0.2 * h.mean(0), 0.8 * var + 0.2 * h.var(0)
    for (layer, name), value in zip(HAND, (k1, scale, offset, k2, b2), strict=True):
        np.testing.assert_allclose(state.params[layer][name], value, **ROUNDED)
    running = state.model_state["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(running["mean"], mean, **ROUNDED)
    np.testing.assert_allclose(running["var"], var, **ROUNDED)
    x = widen(examples(9, 99)[0])
    found = training.predict_scores(task, state.params, x, model_state=state.model_state)
    z = (np.asarray(x).reshape(9, -1) @ k1 - mean) / np.sqrt(var + 1e-4) * scale + offset
    np.testing.assert_allclose(found, z @ k2 + b2, **ROUNDED)


@pytest.mark.parametrize("kind", MODELS)
def test_it_is_inspected_like_any_model(kind):
    model = MODELS[kind]()
    params = model.init(KEY)
    settled = models.freeze_state(model, model.init_state(KEY))

    def loss(params):
        return losses.softmax(settled.apply(params, X[:4]), jnp.asarray(Y[:4])).mean()

    nodes = computation_graph(loss, params)
    np.testing.assert_allclose(np.asarray(nodes[-1].value), loss(params), rtol=1e-6)
    slopes = {node.name: node.gradient for node in nodes if node.kind == "input"}
    gradient = jax.tree_util.tree_leaves_with_path(jax.grad(loss)(params))
    for place, slope in gradient:
        found: Any = slopes[f"params{jax.tree_util.keystr(place)}"]
        np.testing.assert_allclose(found, slope, rtol=1e-4, atol=1e-6)
    assert np.isfinite(top_eigenvalues(loss, params, KEY, iterations=5).values).all()


def test_dropout_whose_rate_is_traced_is_swept():
    class Swept(linen.Module):
        rate: Any

        @linen.compact
        def __call__(self, x, train: bool):
            x = linen.relu(linen.Dense(16)(x.reshape(len(x), -1)))
            return linen.Dense(CLASSES)(layers.dropout(self.make_rng("dropout"), x, self.rate) if train else x)

    def make_task(h):
        return task_of(linen_model(Swept(h["dropout"]), SHAPE))(H)

    rates = {"dropout": jnp.array([0.0, 0.9])}
    run = training.sweep(make_task, rates, KEY[None], training.Data(X, Y), epochs=5, batch_size=8)
    assert run.history["loss"][0, 0, -1] < run.history["loss"][1, 0, -1]
