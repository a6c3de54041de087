"""Activation functions: how much gradient each one passes on, which neurons die, and the effect on training.

    python -m experiments.lessons.activations --quick

In 20 layers the sigmoid shrinks the gradient of the first layer to less than a millionth of the last layer's; ReLU
preserves it. At large learning rates ReLU neurons die; leaky ReLU neurons cannot. A network of six hidden layers stays
at chance with the sigmoid and learns the digits with the others. About 30 seconds on 2 cores.
"""

from __future__ import annotations

import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("activations", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.lessons.framework.data import load_digits
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.framework.rate_search import RateSearch, curves, search_rates
from experiments.lessons.teaching.activations import TEACHING
from jaxnn import losses, models, plots
from jaxnn.data import preprocess
from jaxnn.inspect import layer_statistics
from jaxnn.models import ACTIVATIONS
from jaxnn.training import Data, Task

NAMES = tuple(ACTIVATIONS)
SHOWN: tuple[str, ...] = ("sigmoid", "tanh", "ReLU", "leaky ReLU", "GELU")
BOTH = [NAMES.index("relu"), NAMES.index("leaky_relu")]
GAINS = np.array([1.0, 1.0, 2.0, 2.0, 2.0], np.float32)
"""The variance of the weights in units of 1/in: Xavier's for sigmoid and tanh, He's for the others."""
HIDDEN = (32,) * 6
WIDTH = 64


def one_of(index: Array) -> models.Activation:
    """The activation of a traced number, so that one program trains networks with different ones."""
    return lambda z: jax.lax.switch(index, list(ACTIVATIONS.values()), z)


def scaled(gain: Array) -> Any:
    """Normal weights of variance `gain / in`."""

    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.normal(key, shape, dtype) * jnp.sqrt(gain / shape[1]).astype(dtype)

    return draw


def make_task(h: dict[str, Array]) -> Task:
    """A network of six hidden layers of 32."""
    return Task(
        model=models.mlp((8, 8, 1), HIDDEN, 10, activation=one_of(h["activation"]), init=scaled(h["gain"])),
        loss=losses.softmax,
        optimizer=optax.sgd(h["learning_rate"]),
        transform=preprocess.standardize,
    )


def study(options: Options) -> Findings:
    """Derivatives, gradients against depth, dead neurons and training curves of all activations."""
    data = load_digits(options)
    trained = lesson.in_background(_train, data, options)
    every, first = lesson.timed(_gradient_norms, data, options)
    parts = [_functions(), _chain(), _depth(every[:, -1])]
    (search, dead), second = trained()
    found = lesson.join([*parts, _training(search), _dying(search, dead)])
    return found._replace(live=[_live(every, first)], training_seconds=first + second)


def _functions() -> Findings:
    """Values and derivatives of all activations."""
    z = jnp.linspace(-6.0, 6.0, 241)

    @jax.jit
    def look(z: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        both = {name: jax.vmap(jax.value_and_grad(function))(z) for name, function in ACTIVATIONS.items()}
        return {name: a for name, (a, _) in both.items()}, {name: a for name, (_, a) in both.items()}

    values, slopes = jax.tree.map(np.asarray, look(z))
    largest = {name: float(slopes[name].max()) for name in NAMES}
    claim = Claim(
        "The sigmoid passes on at most a quarter of a gradient, and almost nothing where it saturates",
        "Sigmoid 最多传回四分之一的梯度，在饱和区几乎为零",
        {f"largest derivative of {shown}": largest[name] for name, shown in zip(NAMES, SHOWN, strict=True)}
        | {"derivative of sigmoid at 6": float(slopes["sigmoid"][-1])},
        abs(largest["sigmoid"] - 0.25) < 1e-6
        and slopes["sigmoid"][-1] < 0.01
        and min(largest["relu"], largest["tanh"]) > 0.99,
    )
    in_order = [{shown: array[name] for name, shown in zip(NAMES, SHOWN, strict=True)} for array in (values, slopes)]
    return Findings([claim], {"functions": plots.activation_functions(z, *in_order)})


def _chain() -> Findings:
    """x W1 W2 W3 W4 with W3 = 0: its output and the gradients of all four."""
    product = lambda x, weights: jnp.linalg.multi_dot([x, *weights])

    @jax.jit
    def run(keys: Array) -> tuple[Array, list[Array]]:
        x, *weights = (jax.random.normal(key, (4, 4)) for key in keys)
        weights[2] = jnp.zeros((4, 4))
        slopes = jax.grad(lambda weights: jnp.square(product(x, weights) - 1.0).sum())(weights)
        return product(x, weights), slopes

    outputs, slopes = jax.device_get(run(jax.random.split(jax.random.key(0), 5)))
    sizes = {f"largest gradient of W{i + 1}": float(np.abs(slope).max()) for i, slope in enumerate(slopes)}
    output = float(np.abs(outputs).max())
    claim = Claim(
        "In x W1 W2 W3 W4 with W3 = 0 the output is 0, and so are the gradients of W1, W2 and W4: one small factor "
        "is enough",
        "x W1 W2 W3 W4 中若 W3 = 0，则输出为 0，W1、W2、W4 的梯度也为 0：只要有一个因子很小就够了",
        {"largest output": output} | sizes,
        output == 0 and [size == 0 for size in sizes.values()] == [True, True, False, True],
    )
    return Findings([claim], {})


def _live(every: np.ndarray, seconds: float) -> Live:
    """Gradients of all layers for every depth and activation, and the activation's slope."""
    depth = every.shape[1]
    middle = np.median(every, 2)
    layers = np.arange(1.0, depth + 2)
    ratio = np.stack([middle[:, d, 0] / middle[:, d, d + 1] for d in range(depth)], 1)
    z = np.linspace(-6, 6, 121)
    slopes = np.stack(jax.jit(lambda z: [jax.vmap(jax.grad(f))(z) for f in ACTIVATIONS.values()])(np.float32(z)))
    return Live(
        Text(
            "Gradients of an untrained network on the digits. With the sigmoid every further layer costs a factor; "
            "with ReLU the line stays level.",
            "未训练的网络在手写数字上的梯度。用 Sigmoid 时，每多一层梯度就小一截；用 ReLU 时曲线基本持平。",
        ),
        [
            Control(Text("hidden layers", "隐藏层数"), list(range(1, depth + 1)), depth - 1),
            Control(Text("activation", "激活函数"), list(SHOWN), 0, choice=True),
        ],
        [
            Plot(
                Text("Norm of the gradient of W", "W 的梯度范数"),
                Text("layer", "层"),
                "",
                (0.5, depth + 1.5),
                (1e-14, 100),
                [Series("", Numbers(layers), Numbers(np.maximum(middle, 1e-20).swapaxes(0, 1), (0, 1)), "path")],
                log=(False, True),
            ),
            Plot(
                Text("Slope of the activation", "激活函数的斜率"),
                "z",
                "g'(z)",
                (-6, 6),
                (-0.2, 1.25),
                [Series("", Numbers(z), Numbers(slopes, (1,)))],
            ),
        ],
        [
            Readout(
                Text("gradient of the first layer / the last", "第 1 层与最后一层的梯度之比"),
                [Numbers(ratio.T, (0, 1))],
            )
        ],
        every.shape[0] * every.shape[1] * every.shape[2],
        seconds,
    )


def _gradient_norms(data: Data, options: Options) -> np.ndarray:
    """The gradient of each layer before training, f32[activations, depths, seeds, layers]: one program.

    A network of depth d uses the first d hidden layers and the last one; the other layers have the gradient NaN.
    """
    layers, seeds = 20, 1 if options.quick else 10
    random = np.random.default_rng(options.seed)
    hidden = random.normal(size=(seeds, layers, WIDTH, WIDTH)).astype(np.float32)
    last = random.normal(size=(seeds, 10, WIDTH)).astype(np.float32)

    @jax.jit
    def norms(index: Array, gain: Array, hidden: Array, last: Array, x: Array, y: Array) -> Array:
        inputs = preprocess.standardize(data.statistics, x).reshape(len(x), WIDTH)

        def of_one(index: Array, gain: Array, depth: Array, hidden: Array, last: Array) -> Array:
            used = jnp.arange(layers) < depth

            def loss(weights: tuple[Array, Array]) -> Array:
                # all hidden layers are equal: one loop, compiled in the time of one of them
                def step(h: Array, layer: tuple[Array, Array]) -> tuple[Array, None]:
                    return jnp.where(layer[1], one_of(index)(h @ layer[0].T), h), None

                h, _ = jax.lax.scan(step, inputs, (weights[0], used))
                return losses.softmax(h @ weights[1].T, y).mean()

            scale = jnp.sqrt(gain / WIDTH)
            of_hidden, of_last = jax.grad(loss)((scale * hidden, scale * last))
            norms = jnp.sqrt(jnp.square(of_hidden).sum((1, 2)))
            place = jnp.arange(layers + 1)
            norms = jnp.where(place < depth, jnp.append(norms, jnp.nan), jnp.nan)
            return jnp.where(place == depth, jnp.sqrt(jnp.square(of_last).sum()), norms)

        over_seeds = jax.vmap(of_one, (None, None, None, 0, 0))
        over_depths = jax.vmap(over_seeds, (None, None, 0, None, None))
        return jax.vmap(over_depths, (0, 0, None, None, None))(index, gain, jnp.arange(1, layers + 1), hidden, last)

    return np.asarray(norms(np.arange(len(NAMES)), GAINS, hidden, last, data.inputs[:64], data.labels[:64]))


def _depth(norms: np.ndarray) -> Findings:
    """The gradient of the first layer relative to the last."""
    layers, seeds = norms.shape[2] - 1, norms.shape[1]
    ratio = np.median(norms[:, :, 0] / norms[:, :, -1], axis=1)
    by_name = dict(zip(NAMES, ratio.tolist(), strict=True))
    claim = Claim(
        "Through many sigmoid layers the gradient vanishes: in the first layer it is less than a millionth of that "
        "in the last; ReLU preserves it",
        "经过多层 Sigmoid 后梯度消失：第一层的梯度不到最后一层的百万分之一；ReLU 能保住梯度",
        {
            f"gradient of the first layer / the last, {shown}": by_name[name]
            for name, shown in zip(NAMES, SHOWN, strict=True)
        },
        by_name["sigmoid"] < 1e-6 and 0.01 < by_name["relu"] < 100,
    )
    curves = dict(zip(SHOWN, norms, strict=True))
    caption = f"{layers} hidden layers of {WIDTH}, {seeds} seed{'s' if seeds > 1 else ''} each"
    figure = plots.bands(
        "Gradient against depth before training: it vanishes behind sigmoids",
        [(caption, "layer (first on the left)", "norm of the gradient of W (log scale)", curves)],
        logarithmic=[True],
    )
    return Findings([claim], {"gradients": figure}, models=len(NAMES) * seeds)


def _train(data: Data, options: Options) -> tuple[RateSearch, np.ndarray]:
    """Every activation with every learning rate and seed, in one program; then the fraction of dead neurons.

    The latter for ReLU and leaky ReLU, f64[2, rates, seeds], NaN where a network has diverged.
    """
    rates = [0.1, 0.3, 1.0] if options.quick else [0.03, 0.1, 0.3, 0.6, 1.0]
    search = search_rates(
        make_task,
        {"activation": np.arange(len(NAMES), dtype=np.int32), "gain": GAINS},
        rates,
        data,
        seed=options.seed,
        seeds=2 if options.quick else 3,
        epochs=8 if options.quick else 30,
        by="validation_accuracy",
    )

    @jax.jit
    def dead(params: Any, leaky: Array, x: Array) -> Array:
        inputs = preprocess.standardize(data.statistics, x).reshape(len(x), -1)

        def of_one(params: Any, leaky: Array) -> Array:
            activation = lambda z: jnp.where(leaky, jax.nn.leaky_relu(z), jax.nn.relu(z))
            return layer_statistics(params, inputs, activation).dead[:-1].mean()

        over_seeds = jax.vmap(of_one, (0, None))
        return jax.vmap(jax.vmap(over_seeds, (0, None)))(params, leaky)

    both = jax.tree.map(lambda a: a[BOTH], search.params)
    fractions = np.asarray(dead(both, np.array([False, True]), data.inputs), np.float64)
    return search, np.where(np.isfinite(search.history["loss"][BOTH][..., -1]), fractions, np.nan)


def _training(search: RateSearch) -> Findings:
    """Training with each activation at its best learning rate."""
    top = dict(zip(NAMES, (float(a.mean()) for a in search.at_best(search.last("validation_accuracy"))), strict=True))
    claim = Claim(
        "With six hidden layers the sigmoid stays near chance at every learning rate; the other activations learn",
        "有六个隐藏层时，Sigmoid 在所有学习率下都停在随机猜测的水平附近；其他激活函数都能学会",
        {f"validation accuracy, {shown}": top[name] for name, shown in zip(NAMES, SHOWN, strict=True)},
        top["sigmoid"] < 0.3 and min(value for name, value in top.items() if name != "sigmoid") > 0.8,
    )
    title = f"Six hidden layers on digits, each activation with the best of {len(search.rates)} learning rates"
    rows = [
        (shown, f"{gain:g}/in", f"{rate:g}", f"{top[name]:.1%}")
        for name, shown, gain, rate in zip(NAMES, SHOWN, GAINS, search.best_rates, strict=True)
    ]
    columns = ("activation", "variance of the weights", "best learning rate", "validation accuracy")
    table = ResultTable("Digits, six hidden layers of 32", columns, rows)
    return Findings([claim], {"training": curves(title, SHOWN, search, classes=10)}, [table], models=search.models)


def _dying(search: RateSearch, dead: np.ndarray) -> Findings:
    """Neurons that no example activates, against the learning rate."""
    fractions = {
        float(rate): float(np.nanmedian(row))
        for rate, row in zip(search.rates, dead[0], strict=True)
        if np.isfinite(row).any()
    }
    low, high, leaky = min(fractions), max(fractions), float(np.nanmax(dead[1]))
    claim = Claim(
        "Large learning rates kill ReLU neurons; leaky ReLU neurons cannot die",
        "学习率过大会使 ReLU 神经元死亡；Leaky ReLU 的神经元不会死亡",
        {f"fraction of dead ReLU neurons at learning rate {rate:g}": fraction for rate, fraction in fractions.items()}
        | {"largest fraction of dead leaky ReLU neurons": leaky},
        low < high and fractions[high] > fractions[low] and leaky == 0.0,
    )
    reached = 100 * search.last("validation_accuracy")[BOTH]
    names = [SHOWN[i] for i in BOTH]
    figure = plots.against_rate(
        "Neurons that no training example activates: ReLU neurons die at large learning rates",
        search.rates,
        [
            (
                "Dead neurons after training",
                "fraction of the hidden neurons (%)",
                dict(zip(names, 100 * dead, strict=True)),
            ),
            ("Accuracy after training", "validation accuracy (%)", dict(zip(names, reached, strict=True))),
        ],
        "learning rate (log scale)",
    )
    return Findings([claim], {"dead": figure})


LESSON = Lesson(
    "activations",
    Text("Activation functions and vanishing gradients", "激活函数与梯度消失"),
    Text("Why has the sigmoid fallen out of use in hidden layers?", "为什么现在隐藏层中很少再用 Sigmoid？"),
    study,
    TEACHING,
    short=Text("Activation functions", "激活函数"),
)
