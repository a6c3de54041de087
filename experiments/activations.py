"""Activation functions: how much gradient each lets through, which neurons die, and what that does to training.

    python -m experiments.activations

In 20 layers the sigmoid shrinks the gradient of the first layer to less than a millionth of the last one's; ReLU keeps
it. With large learning rates ReLU neurons die, leaky ones cannot. A network of six hidden layers stays at chance with
the sigmoid while the others learn the digits. About 30 seconds on 2 cores.
"""

from __future__ import annotations

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
from jaxnn import losses, models
from jaxnn.data import load, preprocess
from jaxnn.inspect.gradients import layer_statistics
from jaxnn.models import ACTIVATIONS
from jaxnn.plots import signals as pictures
from jaxnn.training import Data, Task, sweep

NAMES = tuple(ACTIVATIONS)
GAINS = np.array([1.0, 1.0, 2.0, 2.0, 2.0], np.float32)
"""The variance of the weights in units of 1/in: Xavier's for sigmoid and tanh, He's for the others."""
HIDDEN = (32,) * 6


def one_of(index: Array) -> models.Activation:
    """The activation of a traced number, so that networks with different ones are trained in one program."""
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


def study(options: Options) -> Outcome:
    """Derivatives, gradients against depth, dead neurons and training curves of all activations.

    Args:
        options: of the command.

    Returns:
        What was found.
    """
    digits = load("digits", seed=options.seed)
    statistics = preprocess.fit_moments(digits.train.inputs, "global")
    data = Data(*digits.train, statistics, {"validation": digits.validation})
    started = time.perf_counter()
    shapes = _functions()
    depth = _depth(data, options)
    trained = _training(data, options)
    seconds = time.perf_counter() - started
    return Outcome(
        [*shapes.claims, *depth.claims, *trained.claims],
        {**shapes.figures, **depth.figures, **trained.figures},
        trained.tables,
        models=depth.models + trained.models,
        training_seconds=seconds,
    )


def _functions() -> Outcome:
    z = jnp.linspace(-6.0, 6.0, 241)
    values = {name: np.asarray(function(z)) for name, function in ACTIVATIONS.items()}
    slopes = {name: np.asarray(jax.vmap(jax.grad(function))(z)) for name, function in ACTIVATIONS.items()}
    largest = {name: float(slope.max()) for name, slope in slopes.items()}
    claim = Claim(
        Text(
            "the sigmoid passes on a quarter of a gradient at the most, and next to nothing where it is saturated",
            "Sigmoid 最多传回四分之一的梯度，在饱和处几乎为零",
        ),
        {f"largest derivative, {name}": value for name, value in largest.items()}
        | {"sigmoid's at 6": float(slopes["sigmoid"][-1])},
        abs(largest["sigmoid"] - 0.25) < 1e-6
        and slopes["sigmoid"][-1] < 0.01
        and min(largest["relu"], largest["tanh"]) > 0.99,
    )
    return Outcome([claim], {"functions": pictures.activation_functions(z, values, slopes)})


def _depth(data: Data, options: Options) -> Outcome:
    """The gradient of each layer of a deep network before training, all activations and seeds in one program."""
    layers, width, seeds = (12, 64, 3) if options.quick else (20, 64, 10)
    x, y = jnp.asarray(data.inputs[:256]), jnp.asarray(data.labels[:256])

    @jax.jit
    def norms(index: Array, gain: Array, key: Array) -> Array:
        model = models.mlp((8, 8, 1), (width,) * layers, 10, activation=one_of(index), init=scaled(gain))
        params = model.init(key)
        inputs = preprocess.standardize(data.statistics, x)
        gradient = jax.grad(lambda params: losses.softmax(model.apply(params, inputs), y).mean())(params)
        return jnp.stack([jnp.sqrt(jnp.square(layer["w"]).sum()) for layer in gradient])

    keys = jax.random.split(jax.random.key(options.seed), seeds)
    every = jax.jit(jax.vmap(jax.vmap(norms, (None, None, 0)), (0, 0, None)))
    found = np.asarray(every(jnp.arange(len(NAMES)), jnp.asarray(GAINS), keys))
    ratio = np.median(found[:, :, 0] / found[:, :, -1], axis=1)
    by_name = dict(zip(NAMES, ratio.tolist(), strict=True))
    claim = Claim(
        Text(
            "through many sigmoid layers the gradient vanishes: the first layer's is less than a millionth of the "
            "last's; ReLU keeps it",
            "经过多层 Sigmoid，梯度消失：第一层的梯度不到最后一层的百万分之一；ReLU 能保住梯度",
        ),
        {f"first : last, {name}": value for name, value in by_name.items()},
        by_name["sigmoid"] < 1e-6 and 0.01 < by_name["relu"] < 100,
    )
    curves = {name.replace("_", " "): found[i] for i, name in enumerate(NAMES)}
    figure = pictures.bands(
        "The gradient against depth, before training: behind sigmoids it vanishes",
        [
            (
                f"{layers} hidden layers of {width}, {seeds} seeds each",
                "layer, the first at the left",
                "norm of the gradient of W",
                curves,
            )
        ],
        logarithmic=[True],
    )
    return Outcome([claim], {"gradients": figure}, models=found.shape[0] * seeds)


def _training(data: Data, options: Options) -> Outcome:
    """Every activation with every learning rate and seed, in one program: curves, and neurons that died."""
    rates = np.array([0.03, 0.1, 0.3, 1.0] if not options.quick else [0.1, 1.0], np.float32)
    seeds, epochs = (3, 8) if options.quick else (3, 30)
    index, rate = np.repeat(np.arange(len(NAMES)), len(rates)), np.tile(rates, len(NAMES))
    hparams = {"activation": index.astype(np.int32), "gain": GAINS[index], "learning_rate": rate}
    keys = jax.random.split(jax.random.key(options.seed), seeds)
    run = sweep(make_task, hparams, keys, data, epochs=epochs, batch_size=64)
    shape = (len(NAMES), len(rates), seeds)
    loss = run.history["loss"].reshape(*shape, epochs)
    accuracy = run.history["validation_accuracy"].reshape(*shape, epochs)
    reached = np.nan_to_num(accuracy[..., -1], nan=0.0)
    best = reached.mean(-1).argmax(1)
    top = {name: float(reached[i, best[i]].mean()) for i, name in enumerate(NAMES)}
    inputs = preprocess.standardize(data.statistics, jnp.asarray(data.inputs)).reshape(len(data.inputs), -1)

    @jax.jit
    @jax.vmap
    @jax.vmap
    def dead(params: Any, index: Array) -> Array:
        return layer_statistics(params, inputs, one_of(index)).dead[:-1].mean()

    both = [NAMES.index("relu"), NAMES.index("leaky_relu")]
    taken = np.flatnonzero(np.isin(index, both))
    params = jax.tree.map(lambda a: a[taken], run.state.params)
    numbers = np.broadcast_to(index[taken, None], (len(taken), seeds)).astype(np.int32)
    shares = np.asarray(dead(params, jnp.asarray(numbers))).reshape(2, len(rates), seeds)
    # a network that has diverged holds no neurons to count
    shares = np.where(np.isfinite(loss[both][..., -1]), shares, np.nan)
    relu = {
        float(rate): float(np.nanmedian(row))
        for rate, row in zip(rates, shares[0], strict=True)
        if np.isfinite(row).any()
    }
    largest = max(relu, default=0.0)
    claims = [
        Claim(
            Text(
                "with six hidden layers the sigmoid stays near chance at every learning rate; the others learn",
                "六个隐藏层时，Sigmoid 在每个学习率下都停在随机水平附近；其他激活函数都能学会",
            ),
            {f"validation accuracy, {name}": value for name, value in top.items()},
            top["sigmoid"] < 0.3 and min(value for name, value in top.items() if name != "sigmoid") > 0.8,
        ),
        Claim(
            Text(
                "large learning rates kill ReLU neurons; leaky ReLU neurons cannot die",
                "学习率过大会让 ReLU 神经元死亡；Leaky ReLU 的神经元不会死亡",
            ),
            {f"dead at {rate:g}": share for rate, share in relu.items()} | {"leaky, most": float(np.nanmax(shares[1]))},
            len(relu) > 1 and relu[largest] > relu[min(relu)] and float(np.nanmax(shares[1])) == 0.0,
        ),
    ]
    names = [name.replace("_", " ") for name in NAMES]
    curves = pictures.bands(
        f"Six hidden layers on digits, each activation with its best learning rate of {len(rates)}",
        [
            (
                "Training loss",
                "epoch",
                "loss",
                {f"{n}, {rates[best[i]]:g}": loss[i, best[i]] for i, n in enumerate(names)},
            ),
            (
                "Validation accuracy",
                "epoch",
                "accuracy (%)",
                {f"{n}, {rates[best[i]]:g}": 100 * accuracy[i, best[i]] for i, n in enumerate(names)},
            ),
        ],
        lines=[{"chance": float(np.log(10))}, {"chance": 10.0}],
    )
    dying = pictures.against_rate(
        "Neurons that no training example activates: ReLU dies at large learning rates",
        rates,
        [
            (
                "Dead neurons after training",
                "share of the hidden neurons (%)",
                {"relu": 100 * shares[0], "leaky relu": 100 * shares[1]},
            ),
            (
                "Accuracy reached",
                "validation accuracy (%)",
                {"relu": 100 * reached[both[0]], "leaky relu": 100 * reached[both[1]]},
            ),
        ],
        "learning rate (log scale)",
    )
    rows = [(n, f"{GAINS[i]:g}/in", f"{rates[best[i]]:g}", f"{top[NAMES[i]]:.1%}") for i, n in enumerate(names)]
    table = Rows(
        "Digits, six hidden layers of 32", ("activation", "variance of W", "best rate", "validation accuracy"), rows
    )
    return Outcome(claims, {"training": curves, "dead": dying}, [table], models=len(index) * seeds)


LESSON = Lesson(
    "activations",
    Text("Activation functions and vanishing gradients", "激活函数与梯度消失"),
    Text("Why is the sigmoid hardly used any more?", "为什么现在很少再用 Sigmoid？"),
    study,
)


def main(arguments: list[str] | None = None) -> int:
    """The command; see the module's description."""
    return lesson.main(LESSON, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
