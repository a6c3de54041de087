"""Initial weights: what 0.01 * randn, zeros, 1.0 * randn, Xavier and He do to a deep network, before and in training.

    python -m experiments.initialization

With 0.01 * randn the signal dies out on its way through ten layers, with 1.0 * randn every tanh is saturated; Xavier
keeps it for tanh, He for ReLU. From zeros all neurons of a layer stay equal for ever. About 25 seconds on 2 cores.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments import lesson
from experiments.lesson import Claim, Lesson, Options, Outcome, Rows, Text
from jaxnn import initializers, losses, models
from jaxnn.data import load, preprocess
from jaxnn.inspect.gradients import distinct_neurons, layer_outputs
from jaxnn.plots import signals as pictures
from jaxnn.training import Data, Task, sweep

RULES = {
    "0.01 randn": initializers.normal(0.01),
    "zeros": initializers.zeros,
    "1.0 randn": initializers.normal(1.0),
    "xavier": initializers.xavier,
    "he": initializers.he,
}
NAMES = tuple(RULES)
WIDTH = 128
HIDDEN = (32,) * 5


def one_of(index: Array) -> initializers.Initializer:
    """The rule of a traced number, so that all rules are one program."""

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.lax.switch(index, [lambda key, rule=rule: rule(key, shape, dtype) for rule in RULES.values()], key)

    return draw


def by_rule(h: dict[str, Array]) -> Task:
    """A ReLU network of five hidden layers, its weights drawn by one of the rules."""
    return _task(one_of(h["rule"]), h["learning_rate"])


def by_scale(h: dict[str, Array]) -> Task:
    """The same with He's standard deviation times a factor."""

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return h["scale"].astype(dtype) * initializers.he(key, shape, dtype)

    return _task(draw, h["learning_rate"])


def _task(init: initializers.Initializer, rate: Array) -> Task:
    return Task(
        model=models.mlp((8, 8, 1), HIDDEN, 10, init=init),
        loss=losses.softmax,
        optimizer=optax.sgd(rate),
        transform=preprocess.standardize,
    )


def study(options: Options) -> Outcome:
    """Signals at the start and training curves for every rule, and training for many scales.

    Args:
        options: of the command.

    Returns:
        What was found.
    """
    digits = load("digits", seed=options.seed)
    statistics = preprocess.fit_moments(digits.train.inputs, "global")
    data = Data(*digits.train, statistics, {"validation": digits.validation})
    started = time.perf_counter()
    parts = [_signals(data, options), _rules(data, options), _scales(data, options)]
    return Outcome(
        [claim for part in parts for claim in part.claims],
        {name: figure for part in parts for name, figure in part.figures.items()},
        [table for part in parts for table in part.tables],
        models=sum(part.models for part in parts),
        training_seconds=time.perf_counter() - started,
    )


def _signals(data: Data, options: Options) -> Outcome:
    """Activations layer by layer, for every rule and seed, with tanh and with ReLU."""
    count = 6 if options.quick else 10
    x = preprocess.standardize(data.statistics, jnp.asarray(data.inputs[:200])).reshape(200, -1)
    keys = jax.random.split(jax.random.key(options.seed), 3 if options.quick else 10)
    model = {
        name: lambda index, activation=activation: models.mlp(
            64, (WIDTH,) * count, 10, activation=activation, init=one_of(index)
        )
        for name, activation in (("tanh", jnp.tanh), ("relu", jax.nn.relu))
    }

    @jax.jit
    def look(index: Array, keys: Array) -> dict[str, tuple[Array, Array, list[Array]]]:
        def one(key: Array) -> dict[str, tuple[Array, Array, list[Array]]]:
            found = {}
            for name, activation in (("tanh", jnp.tanh), ("relu", jax.nn.relu)):
                after = layer_outputs(model[name](index).init(key), x, activation)[:-1]
                saturated = jnp.stack([(jnp.abs(a) > 0.99).astype(jnp.float32).mean() for a in after])
                found[name] = jnp.stack([a.std() for a in after]), saturated, [a[:, :64] for a in after]
            return found

        return jax.vmap(one)(keys)

    found = [jax.tree.map(np.asarray, look(jnp.int32(i), keys)) for i in range(len(NAMES))]
    spreads = {kind: {name: found[i][kind][0] for i, name in enumerate(NAMES)} for kind in model}
    middle = {kind: {name: np.median(rows, 0) for name, rows in spreads[kind].items()} for kind in spreads}
    saturated = float(np.median(found[NAMES.index("1.0 randn")]["tanh"][1][:, 1:]))
    decline = middle["tanh"]["0.01 randn"]
    he, xavier = middle["relu"]["he"], middle["relu"]["xavier"]
    claims = [
        Claim(
            Text(
                "with 0.01 * randn the signal dies out with depth; with 1.0 * randn most tanh are saturated",
                "0.01 * randn 使信号随深度消失；1.0 * randn 使大多数 tanh 饱和",
            ),
            {"std of layer 1": float(decline[0]), "of the last": float(decline[-1]), "saturated with 1.0": saturated},
            bool(decline[-1] < 1e-3 * decline[0] and saturated > 0.5),
        ),
        Claim(
            Text(
                "Xavier keeps the signal through tanh; through ReLU it halves the variance in each layer, and He "
                "keeps it",
                "Xavier 让信号穿过 tanh 而不消失；经过 ReLU 时它每层把方差减半，而 He 能保持",
            ),
            {
                "tanh, xavier, last : first": float(middle["tanh"]["xavier"][-1] / middle["tanh"]["xavier"][0]),
                "relu, he, last : first": float(he[-1] / he[0]),
                "relu, xavier, last : first": float(xavier[-1] / xavier[0]),
                "in theory": math.sqrt(0.5) ** (count - 1),
            },
            bool(
                middle["tanh"]["xavier"][-1] > 0.2 * middle["tanh"]["xavier"][0]
                and 0.4 < he[-1] / he[0] < 2.5
                and 0.4 < xavier[-1] / xavier[0] / math.sqrt(0.5) ** (count - 1) < 2.5
            ),
        ),
    ]
    shown = [1, 2, 3, 4, 6] if options.quick else [1, 3, 5, 7, 10]
    drawn = {name: [found[i]["tanh"][2][layer - 1][0] for layer in shown] for i, name in enumerate(NAMES)}
    histograms = pictures.layer_histograms(
        f"Activations of a tanh network before training: {WIDTH} neurons in each layer", drawn, shown
    )
    positive = {kind: {n: rows for n, rows in spreads[kind].items() if n != "zeros"} for kind in spreads}
    depth = pictures.bands(
        f"The spread of the activations against depth ({len(keys)} seeds; zeros give none at all)",
        [(f"{kind} network", "layer", "standard deviation", positive[kind]) for kind in ("tanh", "relu")],
        logarithmic=[True, True],
    )
    return Outcome(claims, {"histograms": histograms, "spread": depth}, models=2 * len(NAMES) * len(keys))


def _rules(data: Data, options: Options) -> Outcome:
    """Every rule with several learning rates and seeds, in one program."""
    rates = np.array([0.1] if options.quick else [0.01, 0.03, 0.1, 0.3], np.float32)
    seeds, epochs = (2, 10) if options.quick else (3, 30)
    hparams = {
        "rule": np.repeat(np.arange(len(NAMES), dtype=np.int32), len(rates)),
        "learning_rate": np.tile(rates, len(NAMES)),
    }
    keys = jax.random.split(jax.random.key(options.seed), seeds)
    run = sweep(by_rule, hparams, keys, data, epochs=epochs, batch_size=64)
    shape = (len(NAMES), len(rates), seeds)
    loss = run.history["loss"].reshape(*shape, epochs)
    accuracy = run.history["validation_accuracy"].reshape(*shape, epochs)
    reached = np.nan_to_num(accuracy[..., -1], nan=0.0)
    best = reached.mean(-1).argmax(1)
    top = {name: float(reached[i, best[i]].mean()) for i, name in enumerate(NAMES)}
    second = run.state.params[1]["w"].reshape(*shape, HIDDEN[1], HIDDEN[0])
    distinct = {
        name: int(np.max([distinct_neurons(jnp.asarray(w)) for w in second[i, best[i]]]))
        for i, name in enumerate(NAMES)
    }
    spread = float(np.abs(second[1] - second[1][..., :1, :1]).max())
    stuck = float(np.nanmin(loss[1]))
    claims = [
        Claim(
            Text(
                "zeros never break symmetry: after training all neurons of a hidden layer are still equal, and the "
                "loss is that of guessing",
                "零初始化永远打破不了对称：训练后同一隐藏层的神经元仍完全相同，损失停在随机猜测的水平",
            ),
            {
                "largest difference of two weights": spread,
                "distinct neurons of 32": distinct["zeros"],
                "lowest loss": stuck,
                "log 10": math.log(10),
            },
            spread == 0.0 and distinct["zeros"] == 1 and abs(stuck - math.log(10)) < 0.02,
        ),
        Claim(
            Text(
                "in a network of five hidden layers He learns; 0.01 * randn stays where zeros stay",
                "五个隐藏层的网络中 He 能学会，0.01 * randn 与零初始化一样停在原地",
            ),
            {f"validation accuracy, {name}": value for name, value in top.items()},
            top["he"] > 0.85 and max(top["0.01 randn"], top["zeros"]) < 0.3,
        ),
    ]
    labels = {name: f"{name}, rate {rates[best[i]]:g}" for i, name in enumerate(NAMES)}
    figure = pictures.bands(
        f"Training from each rule: ReLU network of {len(HIDDEN)} hidden layers on digits, the best of {len(rates)} "
        f"learning rate{'s' if len(rates) > 1 else ''}",
        [
            ("Training loss", "epoch", "loss", {labels[n]: loss[i, best[i]] for i, n in enumerate(NAMES)}),
            (
                "Validation accuracy",
                "epoch",
                "accuracy (%)",
                {labels[n]: 100 * accuracy[i, best[i]] for i, n in enumerate(NAMES)},
            ),
        ],
        lines=[{"log 10: guessing": math.log(10)}, {"chance": 10.0}],
    )
    for axes in figure.axes[:1]:
        axes.set_ylim(-0.05, 3.2)
    rows = [(n, f"{rates[best[i]]:g}", f"{top[n]:.1%}", distinct[n]) for i, n in enumerate(NAMES)]
    columns = ("rule", "best learning rate", "validation accuracy", "distinct neurons of 32")
    table = Rows("Digits, ReLU, five hidden layers of 32", columns, rows)
    return Outcome(claims, {"training": figure}, [table], models=len(NAMES) * len(rates) * seeds)


def _scales(data: Data, options: Options) -> Outcome:
    """The standard deviation of the weights from far too small to far too large, in one program."""
    scales = np.geomspace(0.03, 10.0, 7 if options.quick else 25).astype(np.float32)
    seeds, epochs = (1, 8) if options.quick else (5, 15)
    hparams = {"scale": scales, "learning_rate": np.full(len(scales), 0.1, np.float32)}
    keys = jax.random.split(jax.random.key(options.seed), seeds)
    run = sweep(by_scale, hparams, keys, data, epochs=epochs, batch_size=64)
    accuracy = np.nan_to_num(run.history["validation_accuracy"][..., -1], nan=0.1)
    mean = accuracy.mean(1)
    at_he = float(np.exp(np.interp(0.0, np.log(scales), np.log(mean))))
    best = float(scales[mean.argmax()])
    claim = Claim(
        Text(
            "the best scale of the weights is close to He's: 30 times smaller or 10 times larger stays near chance",
            "最好的权重尺度接近 He：小 30 倍或大 10 倍都停在随机水平附近",
        ),
        {
            "best scale, in units of He's": best,
            "accuracy at He's": at_he,
            "smallest": float(mean[0]),
            "largest": float(mean[-1]),
        },
        0.25 < best < 4 and mean[0] < 0.5 * at_he and mean[-1] < 0.5 * at_he,
    )
    figure = pictures.against_rate(
        f"How large should the first weights be? {len(scales)} scales with {seeds} seed{'s' if seeds > 1 else ''} each",
        scales,
        [(f"Validation accuracy after {epochs} epochs", "accuracy (%)", {"relu": 100 * accuracy})],
        "standard deviation of W, in units of He's sqrt(2 / in) (log scale)",
        {"He": 1.0, "Xavier": math.sqrt(0.5)},
        height=4.2,
    )
    return Outcome([claim], {"scales": figure}, models=len(scales) * seeds)


LESSON = Lesson(
    "initialization",
    Text("Initial weights", "参数初始化"),
    Text("How large should the first weights be, and why may they not be zero?", "初始权重该取多大？为什么不能为零？"),
    study,
)


def main(arguments: list[str] | None = None) -> int:
    """The command; see the module's description."""
    return lesson.main(LESSON, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
