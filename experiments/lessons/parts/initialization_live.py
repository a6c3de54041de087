"""The live figure of the lesson on initial weights: signals in a deep network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments.lessons.framework import lesson
from experiments.lessons.framework.lesson import Text
from experiments.lessons.framework.live_figure import Control, Live, Numbers, Plot, Readout, Series
from jaxnn import initializers
from jaxnn.data import preprocess
from jaxnn.training import Data

WIDTH = 128


def through_layers(data: Data, seed: int) -> Live:
    """The spread and the values of the activations, layer by layer, for many scales of the weights."""
    scales, layers, bins = np.geomspace(0.1, 10, 25), 10, 25
    edges = np.linspace(-1, 1, bins + 1)

    @jax.jit
    def look(key: Array, x: Array, scales: Array) -> tuple[Array, Array]:
        inputs = preprocess.standardize(data.statistics, x).reshape(len(x), -1)
        first = initializers.he(key, (WIDTH, 64), jnp.float32)
        others = jax.vmap(lambda key: initializers.he(key, (WIDTH, WIDTH), jnp.float32))(
            jax.random.split(key, layers - 1)
        )

        def one(relu: Array, scale: Array) -> tuple[Array, Array]:
            activation = lambda z: jnp.where(relu, jax.nn.relu(z), jnp.tanh(z))

            def step(h: Array, w: Array) -> tuple[Array, Array]:
                h = activation(scale * (h @ w.T))
                return h, h

            start = activation(scale * (inputs @ first.T))
            after = jnp.concatenate([start[None], jax.lax.scan(step, start, others)[1]])
            counts = jax.vmap(lambda h: jnp.histogram(h, edges)[0])(jnp.clip(after, -1, 1).reshape(layers, -1))
            return after.std((1, 2)), counts / after[0].size

        over_scales = jax.vmap(one, (None, 0))
        return jax.vmap(over_scales, (0, None))(jnp.array([False, True]), scales)

    (spread, counts), seconds = lesson.timed(
        look, jax.random.key(seed), jnp.asarray(data.inputs[:100]), jnp.asarray(scales, jnp.float32)
    )
    spread, counts = np.maximum(np.asarray(spread, np.float64), 1e-12), np.asarray(counts, np.float64)
    place = np.arange(1.0, layers + 1)
    return Live(
        Text(
            "Digits through ten untrained layers of 128 neurons. Scale 1 is He's rule, 0.71 is Xavier's. ReLU keeps "
            "its signal at 1 and only there; tanh saturates above.",
            "手写数字图像通过十层未训练的网络，每层 128 个神经元。尺度 1 即 He 初始化，0.71 即 Xavier。用 ReLU 时，只有"
            "尺度为 1 才能保持信号的大小；用 tanh 时，尺度大于 1 就会饱和。",
        ),
        [
            Control(
                Text("scale of the weights (He's = 1)", "权重尺度（He = 1）"), [float(f"{s:.2g}") for s in scales], 12
            ),
            Control(Text("activation", "激活函数"), ["tanh", "ReLU"], 0, choice=True),
            Control(
                Text("layer shown on the right", "右图显示的层"), [str(i) for i in range(1, layers + 1)], 9, choice=True
            ),
        ],
        [
            Plot(
                Text("Standard deviation of the activations", "激活值的标准差"),
                Text("layer", "层"),
                "",
                (0.5, layers + 0.5),
                (1e-10, 1e8),
                [Series("", Numbers(place), Numbers(spread.swapaxes(0, 1), (0, 1)), "path")],
                log=(False, True),
            ),
            Plot(
                Text("Values in the layer (beyond ±1 at the edge)", "该层的取值（超出 ±1 的归到边上）"),
                Text("value", "取值"),
                Text("fraction", "比例"),
                (-1, 1),
                (0, 1),
                [
                    Series(
                        "",
                        Numbers((edges[1:] + edges[:-1]) / 2),
                        Numbers(counts.transpose(1, 0, 2, 3), (0, 1, 2)),
                        "path",
                        1,
                    )
                ],
            ),
        ],
        [
            Readout(
                Text("last layer / first", "最后一层与第 1 层之比"),
                [Numbers((spread[..., -1] / spread[..., 0]).T, (0, 1))],
            )
        ],
        2 * len(scales),
        seconds,
    )
