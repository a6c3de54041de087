"""Any optax transformation trains: what each needs is handed to it."""

from collections.abc import Hashable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import references
import sklearn.linear_model
from small_tasks import KEY, RATE, batches, linear_task

from jaxnn import losses, optimizers
from jaxnn.training import Data, eval_params, fit, init_state, make_train_step

L2 = 0.05


def train(task, steps, batch):
    """The state after the steps on one batch, and the metrics of each."""
    update = make_train_step(task)
    return jax.jit(lambda state: jax.lax.scan(lambda s, _: update(s, batch), state, length=steps))(
        init_state(task, KEY)
    )


def one_batch(seed=3, size=60):
    ((x, labels),) = batches(1, seed=seed, size=size)
    return jnp.asarray(x), jnp.asarray(labels)


@pytest.mark.usefixtures("standard_promotion")
def test_decoupled_weight_decay():
    task = linear_task(optimizer=optax.adamw(RATE, weight_decay=0.5), loss=lambda s, y: 0.0 * s[:, 0])
    start = init_state(task, KEY).params[0]["w"]
    state, _ = train(task, 3, one_batch())
    np.testing.assert_allclose(state.params[0]["w"], start * (1 - RATE * 0.5) ** 3, rtol=1e-5)  # needs params


def test_clipping_bounds_the_update():
    task = linear_task(optimizer=optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(1.0)))
    _, metrics = train(task, 5, one_batch())
    assert (metrics.gradient_norm > 0.02).all()
    np.testing.assert_allclose(metrics.update_norm, 0.01, rtol=1e-5)


def test_the_optimizer_is_given_the_value_the_gradient_and_the_objective():
    def update(updates, state, params=None, *, value, grad, value_fn, **others):
        return updates, {"value": value, "gradient": grad, "doubled": value_fn(jax.tree.map(lambda p: 2 * p, params))}

    def init(params):
        return {"value": jnp.zeros(()), "gradient": params, "doubled": jnp.zeros(())}

    probe = optax.GradientTransformationExtraArgs(init, cast(Any, update))
    task = linear_task(optimizer=probe, penalty=lambda params: L2 * losses.l2(params))
    state, (x, labels) = init_state(task, KEY), batches(1)[0]
    seen = make_train_step(task)(state, (jnp.asarray(x), jnp.asarray(labels)))[0].opt_state
    for factor, name in ((1.0, "value"), (2.0, "doubled")):
        params = {name: factor * np.asarray(p, np.float64) for name, p in state.params[0].items()}
        mean, penalty, _, gradient = references.linear_step(
            references.softmax, references.softmax_gradient, L2, params, x, labels
        )
        np.testing.assert_allclose(seen[name], mean + penalty, rtol=1e-5)
        if factor == 1.0:
            np.testing.assert_allclose(seen["gradient"][0]["w"], gradient["w"], rtol=1e-4, atol=1e-6)


@pytest.mark.portable
def test_lbfgs_finds_the_optimum_of_scikit_learn():
    batch = one_batch()
    task = linear_task(optimizer=optax.lbfgs(), penalty=lambda params: L2 * losses.l2(params))
    state, _ = train(task, 30, batch)
    classic = sklearn.linear_model.LogisticRegression(C=1 / (2 * L2 * 60), tol=1e-8, max_iter=1000)
    classic.fit(np.asarray(batch[0], np.float64), np.asarray(batch[1]))
    np.testing.assert_allclose(state.params[0]["w"], classic.coef_, atol=2e-4)
    shift = jnp.asarray(classic.intercept_, jnp.float32) - state.params[0]["b"]
    np.testing.assert_allclose(shift, shift[0], atol=2e-4)  # softmax does not see a common shift


@pytest.mark.usefixtures("standard_promotion")
def test_reduce_on_plateau_sees_the_objective():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=2, accumulation_size=1)
    still = linear_task(optimizer=optax.chain(optax.sgd(0.0), plateau))  # the loss never falls
    state, _ = train(still, 7, one_batch())
    assert optax.tree.get(state.opt_state, "scale") == 0.5**3
    moving = linear_task(optimizer=optax.chain(optax.sgd(RATE), plateau))
    state, metrics = train(moving, 7, one_batch())
    assert optax.tree.get(state.opt_state, "scale") == 1
    np.testing.assert_allclose(optax.tree.get(state.opt_state, "best_value"), metrics.loss.min(), rtol=1e-6)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0.25, [0.25] * 5), (optax.linear_schedule(1.0, 0.0, 4), [1.0, 0.75, 0.5, 0.25, 0.0])],
    ids=["number", "schedule"],
)
def test_the_learning_rate_is_recorded(rate, expected):
    task = linear_task(optimizer=optax.inject_hyperparams(optax.sgd)(learning_rate=rate))
    _, metrics = train(task, 5, one_batch())
    np.testing.assert_allclose(metrics.learning_rate, expected, rtol=1e-6)
    np.testing.assert_allclose(metrics.update_norm, metrics.gradient_norm * np.array(expected), rtol=1e-5)


def test_two_learning_rates_are_none_to_record():
    groups: dict[Hashable, optax.GradientTransformation] = {
        name: optax.inject_hyperparams(optax.sgd)(learning_rate=RATE) for name in "wb"
    }
    task = linear_task(optimizer=optax.partition(groups, [{"w": "w", "b": "b"}]))
    assert train(task, 1, one_batch())[1].learning_rate is None


# ---------------------------------------------------------------- averaged


@pytest.mark.portable
def test_averaged_parameters_are_the_loop_and_the_steps_are_as_without():
    decay, steps, batch = 0.9, 25, one_batch()
    task = linear_task(optimizer=optimizers.with_ema(optax.sgd(RATE, momentum=0.5), decay))
    plain = linear_task(optimizer=optax.sgd(RATE, momentum=0.5))
    averaged, without = init_state(task, KEY), init_state(plain, KEY)
    updates = [jax.jit(make_train_step(one)) for one in (task, plain)]
    np.testing.assert_array_equal(eval_params(averaged)[0]["w"], averaged.params[0]["w"])
    mean = np.asarray(averaged.params[0]["w"], np.float64)
    for t in range(steps):
        averaged, without = updates[0](averaged, batch)[0], updates[1](without, batch)[0]
        d = min(decay, (1 + t) / (10 + t))
        mean = d * mean + (1 - d) * np.asarray(without.params[0]["w"], np.float64)
    np.testing.assert_array_equal(averaged.params[0]["w"], without.params[0]["w"])
    np.testing.assert_allclose(eval_params(averaged)[0]["w"], mean, rtol=1e-5)
    assert eval_params(without) is without.params


def test_a_run_measures_and_keeps_the_averaged_parameters():
    x, labels = one_batch(size=64)
    task = linear_task(optimizer=optimizers.with_ema(optax.sgd(1.0), 0.99))
    options = {"epochs": 6, "batch_size": 8, "select": "validation_loss"}
    run, _ = fit(lambda _: task, {}, KEY, Data(x, labels, evaluate={"validation": (x, labels)}), **options)
    mean = eval_params(run.state)
    assert np.abs(mean[0]["w"] - run.state.params[0]["w"]).max() > 0.01
    assert run.best is not None
    measured = losses.softmax(task.model.apply(mean, x), labels).mean()
    np.testing.assert_allclose(run.history["validation_loss"][-1], measured, rtol=1e-5)
    if int(run.best.epoch) == 5:
        np.testing.assert_array_equal(run.best.params[0]["w"], mean[0]["w"])
    of_best = losses.softmax(task.model.apply(run.best.params, x), labels).mean()
    np.testing.assert_allclose(run.best.value, of_best, rtol=1e-5)


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_a_wrong_decay_is_refused(decay):
    with pytest.raises(ValueError, match="with_ema: decay"):
        optimizers.with_ema(optax.sgd(0.1), decay)


# ---------------------------------------------------------------- beta_lasso


def test_beta_lasso_is_the_loop_over_weights():
    rate, penalty, beta = 0.1, 0.02, 5.0
    random = np.random.default_rng(0)
    w, b = (random.normal(scale=0.2, size=shape).astype(np.float32) for shape in ((6, 5), (6,)))
    gradient = {"w": random.normal(size=(6, 5)).astype(np.float32), "b": random.normal(size=6).astype(np.float32)}
    optimizer = optimizers.beta_lasso(optax.sgd(rate), penalty, rate, beta=beta)
    params = {"w": jnp.asarray(w), "b": jnp.asarray(b)}
    updates, _ = jax.jit(optimizer.update)(gradient, optimizer.init(params), params)
    after: Any = optax.apply_updates(params, updates)
    expected = np.empty_like(w)
    for place in np.ndindex(w.shape):
        one = w[place] - rate * (gradient["w"][place] + penalty * np.sign(w[place]))
        expected[place] = one if abs(one) >= beta * penalty else 0.0
    assert 3 < (expected == 0).sum() < 27
    np.testing.assert_allclose(after["w"], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(np.asarray(after["w"]) == 0, expected == 0)
    np.testing.assert_allclose(after["b"], b - rate * gradient["b"], rtol=1e-6)


@pytest.mark.parametrize("values", [(-1.0, 0.1, 50.0), (1e-6, -0.1, 50.0), (1e-6, 0.1, float("nan"))])
def test_numbers_below_zero_are_refused(values):
    penalty, rate, beta = values
    with pytest.raises(ValueError, match=r"beta_lasso: .* must be at least 0"):
        optimizers.beta_lasso(optax.sgd(0.1), penalty, rate, beta=beta)


def test_beta_lasso_follows_a_schedule():
    rates, penalty, beta = [0.2, 0.1, 0.05], 0.02, 1.0
    schedule = optax.join_schedules([optax.constant_schedule(rate) for rate in rates], [1, 2])
    optimizer = optimizers.beta_lasso(optax.sgd(schedule), penalty, schedule, beta=beta)
    w, gradient = jnp.array([[1.0, -0.5]]), jnp.array([[0.3, 0.7]])
    expected, state = np.array([[1.0, -0.5]]), optimizer.init(w)
    for rate in rates:
        step, state = optimizer.update(gradient, state, w)
        w: Any = optax.apply_updates(w, step)
        expected = expected - rate * (np.array([[0.3, 0.7]]) + penalty * np.sign(expected))
        np.testing.assert_allclose(w, expected, rtol=1e-6)
