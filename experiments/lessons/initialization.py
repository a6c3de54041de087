"""Initial weights: 0.01 * randn, zeros, 1.0 * randn, Xavier and He in a deep network, before and during training.

    python -m experiments.lessons.initialization --quick

With 0.01 * randn the signal dies out over ten layers; with 1.0 * randn every tanh saturates; Xavier preserves it with
tanh, He with ReLU. From zeros, all neurons of a layer stay equal for ever. About 25 seconds on 2 cores.
"""

from __future__ import annotations

import functools
import math
import sys
from typing import Any, NamedTuple

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("initialization", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.lessons.framework.data import load_digits
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.rate_search import RateSearch, curves, of_run, settings
from experiments.lessons.parts.initialization_live import WIDTH, through_layers
from experiments.lessons.teaching.initialization import TEACHING
from jaxnn import initializers, losses, models, plots
from jaxnn.data import preprocess
from jaxnn.inspect import distinct_neurons
from jaxnn.training import Data, Task, sweep

RULES = {
    "0.01 randn": initializers.normal(0.01),
    "zeros": initializers.zeros,
    "1.0 randn": initializers.normal(1.0),
    "xavier": initializers.xavier,
    "he": initializers.he,
}
NAMES = tuple(RULES)
HIDDEN = (32,) * 5


def one_of(index: Array) -> initializers.Initializer:
    """The rule of a traced number, so that all rules are one program."""

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.lax.switch(index, [lambda key, rule=rule: rule(key, shape, dtype) for rule in RULES.values()], key)

    return draw


def make_task(h: dict[str, Array]) -> Task:
    """A ReLU network of five hidden layers, its weights drawn by one of the rules and multiplied by a factor."""

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return h["scale"].astype(dtype) * one_of(h["rule"])(key, shape, dtype)

    return Task(
        model=models.mlp((8, 8, 1), HIDDEN, 10, init=draw),
        loss=losses.softmax,
        optimizer=optax.sgd(h["learning_rate"]),
        transform=preprocess.standardize,
    )


def study(options: Options) -> Findings:
    """Signals at the start and training curves for every rule, and training for many scales."""
    data = load_digits(options)
    trained = lesson.in_background(_train, data, options)
    signals, first = lesson.timed(_look, data, options)
    before = _signals(*signals)
    (search, accuracy, scales), second = trained()
    found = lesson.join([before, _rules(search), _scales(scales, accuracy)])
    return found._replace(live=[through_layers(data, options.seed)], training_seconds=first + second)


class Signals(NamedTuple):
    """The activations of a deep network before training, for every rule and seed: f32[rules, seeds, layers]."""

    spread: Array
    saturated: Array
    """The fraction of values beyond 0.99."""
    shown: Array
    """f32[rules, layers, 200, 64], the values of some neurons with the first seed."""


def _look(data: Data, options: Options) -> tuple[Signals, Signals]:
    """Activations layer by layer with tanh and with ReLU: one program for all rules, seeds and layers."""
    layers, seeds = (6, 3) if options.quick else (10, 10)

    @jax.jit
    def look(key: Array, x: Array) -> tuple[Signals, ...]:
        inputs = preprocess.standardize(data.statistics, x).reshape(len(x), -1)
        keys = jax.random.split(key, (seeds, layers))
        into = [(WIDTH, inputs.shape[1]), *[(WIDTH, WIDTH)] * (layers - 1)]

        def one(activation: models.Activation, rule: initializers.Initializer, keys: Array) -> tuple[Array, ...]:
            first = activation(inputs @ rule(keys[0], into[0]).T)
            others = jax.vmap(lambda key: rule(key, into[1]))(keys[1:])

            def step(h: Array, w: Array) -> tuple[Array, Array]:
                h = activation(h @ w.T)
                return h, h

            _, after = jax.lax.scan(step, first, others)
            after = jnp.concatenate([first[None], after])
            saturated = (jnp.abs(after) > 0.99).astype(jnp.float32).mean((1, 2))
            return after.std((1, 2)), saturated, after[..., :64]

        found = []
        for activation in (jnp.tanh, jax.nn.relu):
            of_rules = [jax.vmap(functools.partial(one, activation, rule))(keys) for rule in RULES.values()]
            spread, saturated, shown = (jnp.stack(parts) for parts in zip(*of_rules, strict=True))
            found.append(Signals(spread, saturated, shown[:, 0]))
        return tuple(found)

    tanh, relu = jax.tree.map(np.asarray, look(jax.random.key(options.seed), data.inputs[:200]))
    return tanh, relu


def _signals(tanh: Signals, relu: Signals) -> Findings:
    """How far the signal gets."""
    _, seeds, layers = tanh.spread.shape
    spreads = {"tanh": dict(zip(NAMES, tanh.spread, strict=True)), "relu": dict(zip(NAMES, relu.spread, strict=True))}
    middle = {kind: {name: np.median(rows, 0) for name, rows in of_kind.items()} for kind, of_kind in spreads.items()}
    saturated = float(np.median(tanh.saturated[NAMES.index("1.0 randn"), :, 1:]))
    decline = middle["tanh"]["0.01 randn"]
    he, xavier, tanh_xavier = middle["relu"]["he"], middle["relu"]["xavier"], middle["tanh"]["xavier"]
    halved = math.sqrt(0.5) ** (layers - 1)
    claims = [
        Claim(
            "With 0.01 * randn the signal dies out with depth; with 1.0 * randn most tanh neurons saturate",
            "0.01 * randn 使信号随深度消失；1.0 * randn 使大多数 tanh 神经元饱和",
            {
                "standard deviation in the first layer, 0.01 randn": float(decline[0]),
                "standard deviation in the last layer, 0.01 randn": float(decline[-1]),
                "fraction saturated, 1.0 randn": saturated,
            },
            bool(decline[-1] < 1e-3 * decline[0] and saturated > 0.5),
        ),
        Claim(
            "Xavier preserves the signal through tanh; through ReLU it halves the variance in each layer, while He "
            "preserves it",
            "Xavier 能让信号穿过 tanh 而不消失；经过 ReLU 时，每层使方差减半，而 He 能保持方差",
            {
                "last layer / first, tanh with Xavier": float(tanh_xavier[-1] / tanh_xavier[0]),
                "last layer / first, ReLU with He": float(he[-1] / he[0]),
                "last layer / first, ReLU with Xavier": float(xavier[-1] / xavier[0]),
                "in theory, ReLU with Xavier": halved,
            },
            bool(
                tanh_xavier[-1] > 0.2 * tanh_xavier[0]
                and 0.4 < he[-1] / he[0] < 2.5
                and 0.4 < xavier[-1] / xavier[0] / halved < 2.5
            ),
        ),
    ]
    shown = [1, 2, 3, 4, 6] if layers == 6 else [1, 3, 5, 7, 10]
    drawn = {name: [tanh.shown[i, layer - 1] for layer in shown] for i, name in enumerate(NAMES)}
    histograms = plots.layer_histograms(
        f"Activations of a tanh network before training: {WIDTH} neurons in each layer", drawn, shown
    )
    # zeros have no place on a log scale, but keep their color
    positive = {kind: {n: np.where(rows > 0, rows, np.nan) for n, rows in spreads[kind].items()} for kind in spreads}
    depth = plots.bands(
        f"Standard deviation of the activations against depth ({seeds} seeds; zeros give none)",
        [(f"{kind} network", "layer", "standard deviation (log scale)", positive[kind]) for kind in spreads],
        logarithmic=[True, True],
    )
    return Findings(claims, {"histograms": histograms, "spread": depth}, models=2 * len(NAMES) * seeds)


def _train(data: Data, options: Options) -> tuple[RateSearch, np.ndarray, np.ndarray]:
    """Every rule with several learning rates, and He times many factors, all in one program.

    The latter as validation accuracies f64[scales, seeds] and the factors.
    """
    rates = [0.1] if options.quick else [0.01, 0.03, 0.1, 0.3]
    scales = np.geomspace(0.03, 10.0, 7 if options.quick else 25).astype(np.float32)
    rules = settings({"rule": np.arange(len(NAMES), dtype=np.int32), "scale": np.ones(len(NAMES), np.float32)}, rates)
    he = {
        "rule": np.full(len(scales), NAMES.index("he"), np.int32),
        "scale": scales,
        "learning_rate": np.full(len(scales), 0.1, np.float32),
    }
    hparams = {name: np.concatenate([rules[name], he[name]]) for name in rules}
    keys = jax.random.split(jax.random.key(options.seed), 2 if options.quick else 3)
    run = sweep(make_task, hparams, keys, data, epochs=10 if options.quick else 30, batch_size=64)
    own = len(rules["rule"])
    search = of_run(jax.tree.map(lambda a: a[:own], run), rates, "validation_accuracy")
    return search, np.nan_to_num(run.history["validation_accuracy"][own:, :, -1].astype(np.float64), nan=0.1), scales


def _rules(search: RateSearch) -> Findings:
    """Training with each rule at its best learning rate."""
    top = dict(zip(NAMES, (float(a.mean()) for a in search.at_best(search.last("validation_accuracy"))), strict=True))
    second = [jnp.asarray(w) for w in search.at_best(search.params[1]["w"])]
    distinct = {name: int(jax.vmap(distinct_neurons)(w).max()) for name, w in zip(NAMES, second, strict=True)}
    zeros = NAMES.index("zeros")
    spread = float(np.abs(second[zeros] - second[zeros][..., :1, :1]).max())
    stuck = float(np.nanmin(search.history["loss"][zeros]))
    claims = [
        Claim(
            "Zeros never break the symmetry: after training all neurons of a hidden layer are still equal, and the "
            "loss is that of guessing",
            "零初始化无法打破对称：训练后同一隐藏层的神经元仍完全相同，损失停在随机猜测的水平",
            {
                "largest difference of two weights": spread,
                "distinct neurons of 32": distinct["zeros"],
                "lowest loss": stuck,
                "log 10": math.log(10),
            },
            spread == 0.0 and distinct["zeros"] == 1 and abs(stuck - math.log(10)) < 0.02,
        ),
        Claim(
            "A network of five hidden layers learns with He; with 0.01 * randn it gets no further than with zeros",
            "五个隐藏层的网络用 He 初始化能学会，用 0.01 * randn 则与零初始化一样停在原地",
            {f"validation accuracy, {name}": value for name, value in top.items()},
            top["he"] > 0.85 and max(top["0.01 randn"], top["zeros"]) < 0.3,
        ),
    ]
    rates = len(search.rates)
    which = f"the best of {rates} learning rates" if rates > 1 else f"learning rate {search.rates[0]:g}"
    title = f"Training with each rule: ReLU network of {len(HIDDEN)} hidden layers on digits, {which}"
    figure = curves(title, NAMES, search, classes=10)
    figure.axes[0].set_ylim(-0.05, 3.2)
    rows = [
        (name, f"{rate:g}", f"{top[name]:.1%}", distinct[name])
        for name, rate in zip(NAMES, search.best_rates, strict=True)
    ]
    columns = ("rule", "best learning rate", "validation accuracy", "distinct neurons of 32")
    table = ResultTable("Digits, ReLU, five hidden layers of 32", columns, rows)
    return Findings(claims, {"training": figure}, [table], models=search.models)


def _scales(scales: np.ndarray, accuracy: np.ndarray) -> Findings:
    """The standard deviation of the weights from far too small to far too large."""
    mean, seeds = accuracy.mean(1), accuracy.shape[1]
    at_he = float(np.exp(np.interp(0.0, np.log(scales), np.log(mean))))
    best = float(scales[mean.argmax()])
    claim = Claim(
        "The best scale of the weights is close to He's: a thirtieth of it, or ten times it, stays near chance",
        "最好的权重尺度接近 He：缩小到 1/30 或放大到 10 倍，都停在随机猜测的水平附近",
        {
            "best scale in units of He's": best,
            "validation accuracy at He's scale": at_he,
            "validation accuracy at the smallest scale": float(mean[0]),
            "validation accuracy at the largest scale": float(mean[-1]),
        },
        0.25 < best < 4 and mean[0] < 0.5 * at_he and mean[-1] < 0.5 * at_he,
    )
    figure = plots.against_rate(
        f"How large should the initial weights be? {len(scales)} scales with {seeds} seeds each",
        scales,
        [("Validation accuracy after training, learning rate 0.1", "accuracy (%)", {"relu": 100 * accuracy})],
        "standard deviation of W, in units of He's sqrt(2 / in) (log scale)",
        {"He": 1.0, "Xavier": math.sqrt(0.5)},
        height=4.2,
    )
    return Findings([claim], {"scales": figure}, models=accuracy.size)


LESSON = Lesson(
    "initialization",
    Text("Initial weights", "参数初始化"),
    Text(
        "How large should the initial weights be, and why must they not be zero?", "初始权重该取多大？为什么不能为零？"
    ),
    study,
    TEACHING,
)
