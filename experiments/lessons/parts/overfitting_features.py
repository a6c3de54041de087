"""Overfitting by features: one that goes with the label by accident, and ways to use fewer of many."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments.lessons.framework.lesson import Claim
from jaxnn import layers, losses, models


def leaf(seed: int) -> Claim:
    """Leaves with two features, one of which goes with the label in the training examples only by accident."""
    random = np.random.default_rng(seed)

    def leaves(count: int, accident: bool) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count, dtype=np.int32) % 2
        shape = 2 * labels - 1 + random.normal(0, 1.0, count)
        spiny = labels if accident else random.integers(0, 2, count)
        return np.stack([shape, 2.0 * spiny - 1], 1).astype(np.float32), labels

    train, test = leaves(40, True), leaves(2000, False)
    model = models.linear(2, 2)

    @jax.jit
    def learn(use: Array) -> tuple[Array, Array, Array]:
        def objective(params: Any) -> Array:
            return losses.softmax(model.apply(params, use * train[0]), jnp.asarray(train[1])).mean() + 1e-3 * losses.l2(
                params
            )

        def step(_: int, params: Any) -> Any:
            return jax.tree.map(lambda p, g: p - 0.5 * g, params, jax.grad(objective)(params))

        params = jax.lax.fori_loop(0, 400, step, model.init(jax.random.key(seed)))
        of_train, of_test = ((model.apply(params, use * x).argmax(-1) == y).mean() for x, y in (train, test))
        return params[0]["w"][1] - params[0]["w"][0], of_train, of_test

    every, of_train, of_test = learn(jnp.ones((1, 2)))
    _, _, without = learn(jnp.array([[1.0, 0.0]]))
    return Claim(
        "The leaf with spines: a feature that goes with the label by accident is learned, and it misleads on new "
        "leaves; without it the same model is better",
        "带刺的树叶：与标签偶然一致的特征会被学进去，在新树叶上造成误判；去掉它，同一个模型反而更好",
        {
            "weight of the spiny edge": float(every[1]),
            "weight of the shape": float(every[0]),
            "accuracy on the training leaves": float(of_train),
            "accuracy on new leaves": float(of_test),
            "accuracy on new leaves without that feature": float(without),
        },
        float(every[1]) > float(every[0]) and float(of_train) > 0.95 and float(without) > float(of_test) + 0.1,
    )


def fewer_features(seed: int) -> Claim:
    """30 features of which two matter: all, chosen by hand or on validation examples, dropout, L2; in one program."""
    random, count, features = np.random.default_rng(seed), 40, 30

    def examples(size: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(size, dtype=np.int32) % 2
        x = random.normal(size=(size, features))
        x[:, :2] += np.array([1.0, 0.8]) * (2 * labels - 1)[:, None]
        return x.astype(np.float32), labels

    train, validation, test = examples(count), examples(200), examples(4000)
    order = np.argsort(-np.abs(np.corrcoef(train[0].T, train[1])[-1, :-1]))
    masks = [np.ones(features), np.arange(features) < 2]
    masks += [np.isin(np.arange(features), order[:k]) for k in range(1, features)]
    plain = len(masks)
    masks += [np.ones(features)] * 7
    l2 = np.concatenate([np.zeros(plain + 3), [0.03, 0.1, 0.3, 1.0]])
    rate = np.concatenate([np.zeros(plain), [0.3, 0.5, 0.7], np.zeros(4)])
    model = models.linear(features, 2)

    def learn(mask: Array, l2: Array, rate: Array, key: Array) -> Array:
        def objective(params: Any, key: Array) -> Array:
            scores = model.apply(params, layers.dropout(key, mask * train[0], rate))
            return losses.softmax(scores, jnp.asarray(train[1])).mean() + l2 * losses.l2(params)

        def step(params: Any, key: Array) -> tuple[Any, None]:
            return jax.tree.map(lambda p, g: p - 0.3 * g, params, jax.grad(objective)(params, key)), None

        params, _ = jax.lax.scan(step, model.init(key), jax.random.split(key, 300))
        return jnp.stack([(model.apply(params, mask * x).argmax(-1) == y).mean() for x, y in (validation, test)])

    keys = jax.random.split(jax.random.key(seed), 3)
    over_all = jax.jit(jax.vmap(jax.vmap(learn, (None, None, None, 0)), (0, 0, 0, None)))
    settings = (np.asarray(values, np.float32) for values in (np.stack(masks)[:, None], l2, rate))
    on_validation, on_test = np.asarray(over_all(*settings, keys)).mean(1).T

    def best(rows: range) -> int:
        return rows[int(on_validation[rows.start : rows.stop].argmax())]

    kept = best(range(2, plain))
    found = {
        "all features": on_test[0],
        "chosen by hand": on_test[1],
        "chosen on validation examples": on_test[kept],
        "dropout": on_test[best(range(plain, plain + 3))],
        "L2": on_test[best(range(plain + 3, len(masks)))],
    }
    return Claim(
        "With 30 features of which two matter, fewer features help, chosen by hand or on validation examples; "
        "dropout and L2 keep all of them and help as well",
        "30 个特征中只有两个有用时，减少特征有帮助，无论是人工挑选还是按验证集挑选；Dropout 和 L2 保留全部特征，也有"
        "帮助",
        {f"test accuracy, {name}": float(value) for name, value in found.items()}
        | {"features chosen": int(masks[kept].sum())},
        all(float(value) > float(found["all features"]) for name, value in found.items() if name != "all features"),
    )
