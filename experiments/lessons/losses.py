"""Two losses: SVM margins and softmax probabilities, at initialization, at huge scores, at any temperature.

    python -m experiments.lessons.losses --quick

Works through textbook examples (SVM losses 2.9, 0, 12.9 with mean 5.27; softmax probabilities 0.130, 0.869, 0.001 with
loss 2.040), and finds that tiny weights start with a loss of C - 1 (SVM) or log C (softmax) for any number of classes,
that the SVM is satisfied with a margin while softmax never is, and that the stable form is exact at scores of 1e4,
where the textbook formula gives nan. 7 s on 2 CPU cores with --quick.
"""

from __future__ import annotations

import sys
from typing import Any

from experiments.lessons.framework import lesson

if __name__ == "__main__":  # before what takes a while to load
    sys.exit(lesson.start("losses", __doc__))

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, Plot, Readout, Series
from experiments.lessons.teaching.losses import TEACHING
from jaxnn import initializers, layers, losses
from jaxnn.plots import curves, margins, softmax_steps

CLASSES = ("cat", "car", "frog")
SCORES = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]], np.float32)
LABELS = np.array([0, 1, 2], np.int32)
SVM = np.array([2.9, 0.0, 12.9])
PROBABILITIES = np.array([0.130, 0.869, 0.001])
COUNTS = (2, 3, 5, 10, 20, 50, 100)


def study(options: Options) -> Findings:
    """The worked examples, then the properties."""
    claims, tables, figures = _worked()
    for part in (_start, _lead, _temperature, _stability):
        claim, figure = part(options)
        claims.append(claim)
        figures |= figure
    return Findings([*claims, _unit()], figures, tables, [_live_losses(), _live_temperature()])


def _unit() -> Claim:
    """The loss in natural logarithms and with base 10."""
    natural, ten = -float(np.log(0.13)), -float(np.log10(0.13))
    return Claim(
        "The logarithm of the loss is the natural one: -log 0.13 is 2.04; with base 10 it is 0.89, the same loss in "
        "another unit",
        "损失中的对数是自然对数：-log 0.13 等于 2.04；以 10 为底则为 0.89，只是换了单位",
        {"-ln 0.13": natural, "-log10 0.13": ten, "ratio": natural / ten},
        round(natural, 2) == 2.04 and round(ten, 2) == 0.89 and abs(natural / ten - np.log(10)) < 1e-6,
    )


def _live_losses() -> Live:
    """Both losses of three scores and a margin, all positions of the sliders in one program."""
    scores, margin = np.linspace(-4, 6, 21), np.linspace(0, 4, 21)
    names = [Text("cat (correct)", "猫（正确）"), Text("car", "车"), Text("frog", "青蛙")]
    every = np.stack(np.meshgrid(scores, scores, scores, indexing="ij"), -1).astype(np.float32)

    def lacks(cat: Array, other: Array, margin: Any) -> Array:
        return losses.svm(jnp.stack([cat, other]), jnp.int32(0), margin=margin)

    over_all = lacks
    for axes in ((None, None, 0), (None, 0, None), (0, None, None)):
        over_all = jax.vmap(over_all, axes)

    @jax.jit
    def look(s: Array, cat: Array, margin: Array) -> tuple[Array, ...]:
        softmax = losses.softmax(s, jnp.zeros(s.shape[:-1], jnp.int32))
        return jax.nn.softmax(s), softmax, over_all(cat, cat, margin)

    found, seconds = lesson.timed(look, every, *(a.astype(np.float32) for a in (scores, margin)))
    (p, softmax, svm), car, frog = (np.asarray(a) for a in found), np.eye(3)[1], np.eye(3)[2]
    shown = [Control(name, np.round(scores, 1).tolist(), at) for name, at in zip(names, (14, 18, 5), strict=True)]
    return Live(
        Text(
            "Scores of a picture of a cat. Raise the score of the cat until both margins are kept: the SVM loss "
            "becomes exactly 0, the softmax loss does not.",
            "一张猫图片的三个得分。提高猫的得分，直到两个间隔都满足：SVM 损失恰好变为 0，softmax 损失不会。",
        ),
        [*shown, Control(Text("margin", "间隔"), np.round(margin, 1).tolist(), 5)],
        [
            Bars(
                Text("SVM: what each class lacks", "SVM：每个类别差多少"),
                names,
                [Numbers(svm[..., None] * car, (0, 1, 3)), Numbers(svm[..., None] * frog, (0, 2, 3))],
                (0, 14),
            ),
            Bars(Text("Softmax: probabilities", "softmax：概率"), names, [Numbers(p, (0, 1, 2))], (0, 1)),
        ],
        [
            Readout(Text("SVM loss", "SVM 损失"), [Numbers(svm, (0, 1, 3)), Numbers(svm, (0, 2, 3))]),
            Readout(Text("softmax loss", "softmax 损失"), [Numbers(softmax, (0, 1, 2))]),
        ],
        models=0,
        seconds=seconds,
    )


def _tempered(temperature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the cat's scores divided by temperatures, and their entropy."""
    p = np.asarray(jax.jit(jax.nn.softmax)((SCORES[0] / temperature[:, None]).astype(np.float32)), np.float64)
    return p, -np.sum(p * np.log(np.maximum(p, 1e-300)), axis=1)


def _live_temperature() -> Live:
    """Probabilities of the cat's scores at many temperatures."""
    temperature = np.geomspace(0.1, 100, 31)
    p, entropy = _tempered(temperature)
    chosen = Numbers(temperature[:, None], (0,))
    return Live(
        Text(
            "The scores 3.2, 5.1 and -1.7 divided by a temperature. Cold: the largest takes all. Hot: all are equal.",
            "得分 3.2、5.1、-1.7 除以温度。温度低时最大者独占，温度高时趋于相等。",
        ),
        [Control(Text("temperature T", "温度 T"), [float(f"{t:.3g}") for t in temperature], 10)],
        [
            Bars(
                Text("Probabilities", "概率"),
                [Text("cat", "猫"), Text("car", "车"), Text("frog", "青蛙")],
                [Numbers(p, (0,))],
                (0, 1),
            ),
            Plot(
                Text("All temperatures", "所有温度"),
                Text("temperature T", "温度 T"),
                Text("probability", "概率"),
                (0.1, 100),
                (0, 1.02),
                [
                    Series(name, Numbers(temperature), Numbers(p[:, c]), color=c)
                    for c, name in enumerate([Text("cat", "猫"), Text("car", "车"), Text("frog", "青蛙")])
                ]
                + [Series("", chosen, Numbers(p[:, c, None], (0,)), "points", c) for c in range(3)],
                log=(True, False),
            ),
        ],
        [Readout(Text("entropy (log 3 = 1.099)", "熵（log 3 = 1.099）"), [Numbers(entropy, (0,))])],
    )


def _worked() -> tuple[list[Claim], list[ResultTable], dict]:
    @jax.jit
    def both(scores: Array, labels: Array) -> tuple[Array, ...]:
        return losses.svm(scores, labels), jax.nn.softmax(scores[0]), losses.softmax(scores[0], labels[0])

    svm, probabilities, loss = (np.asarray(a, np.float64) for a in both(SCORES, LABELS))
    captions = [f"a {CLASSES[y]}: loss {v:.1f}" for y, v in zip(LABELS, svm, strict=True)]
    exponentials = np.exp(SCORES[0].astype(np.float64))
    claims = [
        Claim(
            "The SVM losses of the cat, the car and the frog are 2.9, 0 and 12.9; their mean is 5.27",
            "猫、车、青蛙的 SVM 损失为 2.9、0、12.9，平均为 5.27",
            {f"loss of the {name}": float(v) for name, v in zip(CLASSES, svm, strict=True)}
            | {"mean loss": float(svm.mean())},
            bool(np.allclose(svm, SVM, atol=1e-5) and round(float(svm.mean()), 2) == 5.27),
        ),
        Claim(
            "Softmax turns the cat's scores into the probabilities 0.130, 0.869, 0.001, and the loss is 2.040",
            "softmax 把猫的得分变为概率 0.130、0.869、0.001，损失为 2.040",
            {f"probability of {name}": float(p) for name, p in zip(CLASSES, probabilities, strict=True)}
            | {"loss": float(loss)},
            bool(np.abs(probabilities - PROBABILITIES).max() < 5e-4 and abs(loss - 2.040) < 5e-4),
        ),
    ]
    rows = zip(CLASSES, SCORES[0], exponentials, probabilities, -np.log(probabilities), strict=True)
    table = ResultTable(
        "Softmax of a cat, step by step",
        ("class", "score", "exp", "probability", "-log"),
        [(c, f"{s:g}", f"{e:.4g}", f"{p:.3f}", f"{n:.3f}") for c, s, e, p, n in rows],
    )
    figures = {
        "margins": margins(SCORES, LABELS.tolist(), CLASSES, captions),
        "softmax": softmax_steps(SCORES[0], 0, CLASSES),
    }
    return claims, [table], figures


def _start(options: Options) -> tuple[Claim, dict]:
    """The loss of untrained networks for many numbers of classes, scales of the weights and seeds, in one program."""
    seeds = 8 if options.quick else 32
    scales = np.geomspace(1e-3, 1.0, 13).astype(np.float32)
    x = np.random.default_rng(options.seed).normal(size=(100, 64)).astype(np.float32)
    most = max(COUNTS)

    def loss(count: Array, scale: Array, key: Array) -> tuple[Array, Array]:
        """The mean losses of a linear classifier of which `count` classes are in use: the other scores are -inf."""
        w = scale * initializers.normal(1.0)(key, (most, 64), jnp.float32)
        scores = layers.linear({"w": w, "b": jnp.zeros(most)}, jnp.asarray(x))
        used = jnp.broadcast_to(jnp.arange(most) < count, scores.shape)
        labels = jax.random.randint(jax.random.fold_in(key, 1), (100,), 0, count)
        scores = jnp.where(used, scores, -jnp.inf)
        return losses.svm(scores, labels).mean(), losses.softmax(scores, labels).mean()

    keys = jax.random.split(jax.random.key(options.seed + 1), seeds)
    over_seeds = jax.vmap(loss, (None, None, 0))
    over_all = jax.jit(jax.vmap(jax.vmap(over_seeds, (None, 0, None)), (0, None, None)))
    found, seconds = lesson.timed(over_all, jnp.array(COUNTS), scales, keys)
    svm, softmax = (np.asarray(a, np.float64).mean(-1) for a in found)
    tiny = 0
    counts = np.array(COUNTS)
    svm_error = float(np.abs(svm[:, tiny] / (counts - 1) - 1).max())
    softmax_error = float(np.abs(softmax[:, tiny] / np.log(counts) - 1).max())
    ten = COUNTS.index(10)
    claim = Claim(
        "With tiny weights the initial loss is C - 1 for the SVM and log C for softmax",
        "权重很小时，SVM 的初始损失为 C - 1，softmax 的为 log C",
        {
            "SVM loss with 10 classes": svm[ten, tiny],
            "softmax loss with 10 classes": softmax[ten, tiny],
            "largest relative error of C - 1": svm_error,
            "largest relative error of log C": softmax_error,
            "untrained networks": len(COUNTS) * len(scales) * seeds,
            "seconds": seconds,
        },
        svm_error < 0.02 and softmax_error < 0.02,
    )
    figure = curves(
        counts,
        {"C - 1": counts - 1, "log C": np.log(counts)},
        f"Loss before training: mean of {seeds} networks with weights of {scales[tiny]:g} randn",
        ("number of classes C", "loss"),
        log=(True, True),
        points={"SVM, measured": svm[:, tiny], "softmax, measured": softmax[:, tiny]},
    )
    larger = curves(
        scales,
        {"SVM, 10 classes": svm[ten], "softmax, 10 classes": softmax[ten]}
        | {"C - 1 = 9": np.full(len(scales), 9.0), "log C = 2.303": np.full(len(scales), np.log(10))},
        "Larger weights start with larger losses: confident, and mostly wrong",
        ("standard deviation of the weights", "loss before training"),
        log=(True, True),
    )
    return claim, {"initialization": figure, "weight_scale": larger}


def _lead(options: Options) -> tuple[Claim, dict]:
    """Both losses and their slopes against the lead of the correct class, for two classes."""
    lead = np.linspace(-4, 4, 161).astype(np.float32)

    def both(lead: Array) -> Array:
        scores = jnp.stack([lead, jnp.zeros_like(lead)])
        return jnp.stack([losses.svm(scores, jnp.int32(0)), losses.softmax(scores, jnp.int32(0))])

    with_slopes = jax.jit(jax.vmap(lambda lead: (both(lead), jax.jacfwd(both)(lead))))
    values, slopes = (np.asarray(a) for a in with_slopes(lead))
    content = lead > 1
    claim = Claim(
        "Once the lead exceeds the margin, the SVM loss and its slope are exactly 0; softmax always wants more",
        "领先超过间隔后，SVM 的损失和斜率恰为 0；softmax 永不满足",
        {
            "largest SVM loss or slope beyond the margin": float(
                np.abs(np.stack([values, slopes])[..., content, 0]).max()
            ),
            "smallest softmax slope beyond the margin": float(np.abs(slopes[content, 1]).min()),
        },
        not np.stack([values, slopes])[..., content, 0].any() and bool((slopes[content, 1] < 0).all()),
    )
    figure = curves(
        lead,
        {"SVM loss": values[:, 0], "softmax loss": values[:, 1]}
        | {"slope of the SVM loss": slopes[:, 0], "slope of the softmax loss": slopes[:, 1]},
        "Two classes: the SVM stops at a lead of 1, softmax never does",
        ("lead of the correct class's score", "loss, and slope of the loss"),
        marks={"margin": 1.0},
    )
    return claim, {"lead": figure}


def _temperature(options: Options) -> tuple[Claim, dict]:
    """Probabilities of the cat's scores divided by a temperature."""
    temperature = np.geomspace(0.05, 100, 200)
    p, entropy = _tempered(temperature)
    cold, hot = float(p[0].max()), float(np.abs(p[-1] - 1 / 3).max())
    claim = Claim(
        "Dividing the scores by a temperature moves softmax between a single winner (cold) and a uniform "
        "distribution (hot)",
        "得分除以温度：低温时只有一个赢家，高温时趋于均匀分布",
        {"highest probability, cold": cold, "distance from uniform, hot": hot, "entropy, hot": entropy[-1]},
        cold > 1 - 1e-6 and hot < 0.02 and bool((np.diff(entropy) > -1e-6).all()),
    )
    figure = curves(
        temperature,
        {f"p({name})": p[:, c] for c, name in enumerate(CLASSES)} | {"entropy / log 3": entropy / np.log(3)},
        "Temperature: softmax(scores / T) of the scores 3.2, 5.1, -1.7",
        ("temperature T", "probability, entropy"),
        log=(True, False),
        marks={"T = 1": 1.0},
    )
    return claim, {"temperature": figure}


def _stability(options: Options) -> tuple[Claim, dict]:
    """The textbook formula against the stable one, for scores of growing size, in float32."""
    scale = np.geomspace(0.1, 1e4, 61).astype(np.float32)
    scores = scale[:, None] * np.array([0.5, 1.0, -1.0], np.float32)
    labels = np.zeros(len(scale), np.int32)

    def textbook(scores: Array) -> Array:
        p = jnp.exp(scores) / jnp.exp(scores).sum(-1, keepdims=True)
        return -jnp.log(p[..., 0])

    @jax.jit
    def compare(scores: Array, labels: Array) -> tuple[Array, ...]:
        stable = losses.softmax(scores, labels)
        return stable, textbook(scores), jax.grad(lambda s: losses.softmax(s, labels).sum())(scores)

    stable, naive, slope = (np.asarray(a, np.float64) for a in compare(scores, labels))
    exact = np.logaddexp.reduce(scores.astype(np.float64), axis=1) - scores[:, 0].astype(np.float64)
    error = np.abs(stable / exact - 1)
    broken = scale[~np.isfinite(naive)]
    claim = Claim(
        "At scores of 1e4 the stable form is exact and its slope finite; the textbook formula fails from about 90 on",
        "得分达 1e4 时，稳定形式仍然精确，斜率有限；教科书公式约从 90 起失效",
        {
            "largest relative error of the stable form": float(error.max()),
            "smallest score at which the textbook formula fails": float(broken.min(initial=np.inf)),
            "fraction of scores at which it fails": float((~np.isfinite(naive)).mean()),
        },
        bool(error.max() < 1e-5 and np.isfinite(slope).all() and 80 < broken.min(initial=np.inf) < 200),
    )
    figure = curves(
        scale,
        {"stable: logsumexp(s) - s_y": stable, "textbook: -log(exp(s_y) / sum exp(s))": naive},
        "Softmax loss in float32 for scores of growing size (crosses at the top: inf or nan)",
        ("largest score", "loss"),
        log=(True, True),
        marks={"exp overflows": float(np.log(np.finfo(np.float32).max))},
    )
    return claim, {"stability": figure}


LESSON = Lesson(
    "losses",
    Text("Losses: SVM and softmax", "损失函数：SVM 与 softmax"),
    Text("How do we measure how bad the scores are?", "怎样衡量得分有多差？"),
    study,
    TEACHING,
)
