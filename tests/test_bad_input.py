"""Wrong arguments of the public functions: the right exception, and one line that says what is wrong."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest


def module(name):
    """A module of jaxnn, unknown to the type checker: what follows is wrong on purpose."""
    return importlib.import_module(f"jaxnn.{name}")


initializers, layers, losses, metrics, models = map(module, ["initializers", "layers", "losses", "metrics", "models"])
augment, preprocess, toy, load = *map(module, ["data.augment", "data.preprocess", "data.toy"]), module("data").load
training, inspect, descent, jaxnn_random = map(module, ["training", "inspect", "inspect._descent", "_random"])

KEY = jax.random.key(0)
X = jnp.ones((4, 3))
Y = jnp.array([0, 1, 1, 0])
SCORES = jnp.ones((4, 2))
IMAGES = np.zeros((4, 8, 8, 3), np.uint8)
PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.ones(2)}
DATA = training.Data(X, Y)
MOMENTS = preprocess.fit_moments(IMAGES, "pixel")
PRINCIPAL = preprocess.fit_pca(np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32))
NAN, INF = float("nan"), float("inf")


def task(h):
    return training.Task(models.linear(3, 2), losses.softmax, optax.sgd(h["learning_rate"]))


def train(data=DATA, *, function=training.run, **changes):
    given = {"epochs": 1, "batch_size": 2} | changes
    return function(task, {"learning_rate": 0.1}, KEY, data, **given)


def sweep(h=None, keys=None, **changes):
    h = {"learning_rate": jnp.array([0.1, 0.2])} if h is None else h
    keys = jax.random.split(KEY, 2) if keys is None else keys
    return training.sweep(task, h, keys, DATA, **({"epochs": 1, "batch_size": 2} | changes))


def bowl(x):
    return (x**2).sum()


TYPE, VALUE = TypeError, ValueError
WRONG = {
    # layers, losses, metrics
    "linear: bytes": (lambda: layers.linear(PARAMS, jnp.ones((4, 3), jnp.uint8)), TYPE, "uint8"),
    "linear: width": (lambda: layers.linear(PARAMS, jnp.ones((4, 5))), VALUE, r"5"),
    "linear: w of one axis": (lambda: layers.linear({"w": jnp.ones(3), "b": jnp.ones(())}, X), VALUE, r"\[3\]"),
    "linear: bias": (lambda: layers.linear({"w": jnp.ones((2, 3)), "b": jnp.ones(3)}, X), VALUE, r"\[3\]"),
    "dropout: rate 1": (lambda: layers.dropout(KEY, X, 1.0), VALUE, r"\[0, 1\), got 1\.0"),
    "dropout: rate below 0": (lambda: layers.dropout(KEY, X, -0.1), VALUE, r"-0\.1"),
    "dropout: rate NaN": (lambda: layers.dropout(KEY, X, NAN), VALUE, "nan"),
    "dropout: rate a word": (lambda: layers.dropout(KEY, X, "half"), TYPE, "half"),
    "dropout: rates": (lambda: layers.dropout(KEY, X, jnp.ones(3) / 2), VALUE, r"one number, got shape \[3\]"),
    "dropout: integers": (lambda: layers.dropout(KEY, jnp.ones((4, 3), jnp.int32), 0.5), TYPE, "int32"),
    "svm: integer scores": (lambda: losses.svm(jnp.ones((4, 2), jnp.int32), Y), TYPE, "int32"),
    "svm: float labels": (lambda: losses.svm(SCORES, jnp.ones(4)), TYPE, "float32"),
    "svm: label too large": (lambda: losses.svm(SCORES, jnp.array([0, 1, 2, 0])), VALUE, r"2"),
    "svm: label below 0": (lambda: losses.svm(SCORES, jnp.array([0, -1, 0, 0])), VALUE, r"-1"),
    "svm: labels of another length": (lambda: losses.svm(SCORES, jnp.array([0, 1])), VALUE, r"\[2\]"),
    "svm: one score": (lambda: losses.svm(jnp.float32(1.0), jnp.int32(0)), VALUE, r"\[\]"),
    "softmax: integer scores": (lambda: losses.softmax(jnp.ones((4, 2), jnp.int32), Y), TYPE, "int32"),
    "softmax: float labels": (lambda: losses.softmax(SCORES, jnp.ones(4)), TYPE, "float32"),
    "softmax: one-hot labels": (lambda: losses.softmax(SCORES, jnp.eye(4, 2, dtype=jnp.int32)), VALUE, r"\[4, 2\]"),
    "softmax: label too large": (lambda: losses.softmax(SCORES, jnp.array([0, 1, 7, 0])), VALUE, "7"),
    "softmax: smoothing 1": (lambda: losses.softmax(SCORES, Y, smoothing=1.0), VALUE, r"1\.0"),
    "softmax: smoothing NaN": (lambda: losses.softmax(SCORES, Y, smoothing=NAN), VALUE, "nan"),
    "l2: integers": (lambda: losses.l2({"w": jnp.ones((2, 2), jnp.int32)}), TYPE, "int32"),
    "l1: integers": (lambda: losses.l1({"w": jnp.ones((2, 2), jnp.int32)}), TYPE, "int32"),
    "l2: words": (lambda: losses.l2({"w": "weights"}), TYPE, r"\['w'\] must be floating point, got <U7"),
    "accuracy: float labels": (lambda: metrics.accuracy(SCORES, jnp.ones(4)), TYPE, "float32"),
    "accuracy: other length": (lambda: metrics.accuracy(SCORES, jnp.ones(3, jnp.int32)), VALUE, r"\[3\]"),
    "confusion: floats": (lambda: metrics.confusion(jnp.ones(4), Y, 2), TYPE, "float32"),
    "confusion: other length": (lambda: metrics.confusion(Y, Y[:3], 2), VALUE, r"\[3\]"),
    "confusion: class out of range": (lambda: metrics.confusion(jnp.array([0, 5]), jnp.array([0, 1]), 2), VALUE, "5"),
    "recall: not square": (lambda: metrics.recall(jnp.ones((2, 3))), VALUE, r"\[2, 3\]"),
    # initializers, models
    "normal: std 0": (lambda: initializers.normal(0.0), VALUE, r"0\.0"),
    "normal: std infinite": (lambda: initializers.normal(INF), VALUE, "inf"),
    "he: one size": (lambda: initializers.he(KEY, (3,)), VALUE, r"3"),
    "he: size 0": (lambda: initializers.he(KEY, (3, 0)), VALUE, r"0"),
    "xavier: three sizes": (lambda: initializers.xavier(KEY, (3, 2, 2)), VALUE, r"3, 2, 2"),
    "mlp: inputs 0": (lambda: models.mlp(0, (4,), 2), VALUE, "0"),
    "mlp: inputs a float": (lambda: models.mlp(3.0, (4,), 2), TYPE, r"3\.0"),
    "mlp: hidden a number": (lambda: models.mlp(3, 4, 2), TYPE, "4"),
    "mlp: hidden below 1": (lambda: models.mlp(3, (4, -1), 2), VALUE, "-1"),
    "mlp: outputs 0": (lambda: models.mlp(3, (4,), 0), VALUE, "0"),
    "mlp: outputs true": (lambda: models.mlp(3, (4,), True), TYPE, "True"),
    "mlp: dropout 1": (lambda: models.mlp(3, (4,), 2, dropout=1.0), VALUE, r"1\.0"),
    "mlp: dropout a word": (lambda: models.mlp(3, (4,), 2, dropout="much"), TYPE, "much"),
    "mlp: input dropout": (lambda: models.mlp(3, (4,), 2, input_dropout=-1.0), VALUE, r"-1\.0"),
    "mlp: widths": (lambda: models.mlp(3, (4,), 2, width=(1, 2)), VALUE, r"width of 2 layers"),
    "linear model: outputs": (lambda: models.linear(3, -2), VALUE, "-2"),
    "mlp: images of another size": (
        lambda: models.mlp((8, 8, 3), (4,), 2).apply(models.mlp((8, 8, 3), (4,), 2).init(KEY), jnp.ones((2, 9, 8, 3))),
        VALUE,
        r"x\[2, 9, 8, 3\].*\[8, 8, 3\]",
    ),
    "compute in integers": (lambda: models.with_compute_dtype(models.linear(3, 2), jnp.int32), TYPE, "int32"),
    # augmentation, preprocessing
    "flip: one image": (lambda: augment.flip(KEY, IMAGES[0]), VALUE, r"8, 8, 3"),
    "flip: integers": (lambda: augment.flip(KEY, IMAGES.astype(np.int32)), TYPE, "int32"),
    "crop: padding below 0": (lambda: augment.crop(KEY, IMAGES, -1), VALUE, "-1"),
    "crop: padding a float": (lambda: augment.crop(KEY, IMAGES, 1.5), TYPE, r"1\.5"),
    "cutout: larger than the image": (lambda: augment.cutout(KEY, IMAGES, 9), VALUE, "9"),
    "cutout: fill": (lambda: augment.cutout(KEY, IMAGES, 2, fill=np.zeros(5, np.float32)), VALUE, "5"),
    "mixup: alpha 0": (lambda: augment.mixup(KEY, IMAGES.astype(np.float32), 0.0), VALUE, r"0\.0"),
    "mixup: alpha infinite": (lambda: augment.mixup(KEY, IMAGES.astype(np.float32), INF), VALUE, "inf"),
    "moments: empty": (lambda: preprocess.fit_moments(np.zeros((0, 3), np.float32)), VALUE, r"0, 3"),
    "moments: one axis": (lambda: preprocess.fit_moments(np.zeros(3, np.float32)), VALUE, r"3"),
    "moments: NaN": (lambda: preprocess.fit_moments(np.full((4, 3), NAN, np.float32)), VALUE, "finite"),
    "moments: infinite": (lambda: preprocess.fit_moments(np.full((4, 3), INF, np.float32)), VALUE, "finite"),
    "moments: words": (lambda: preprocess.fit_moments(np.array([["a"]])), TYPE, "<U1.*float"),
    "moments: per what": (lambda: preprocess.fit_moments(IMAGES, "row"), VALUE, "'row'.*'pixel'"),
    "center: other size": (lambda: preprocess.center(MOMENTS, np.zeros((2, 9, 8, 3), np.uint8)), VALUE, "9, 8, 3"),
    "standardize: integers": (lambda: preprocess.standardize(MOMENTS, IMAGES.astype(np.int64)), TYPE, "int"),
    "principal: one example": (lambda: preprocess.fit_pca(np.zeros((1, 3), np.float32)), VALUE, "1"),
    "principal: too many": (lambda: preprocess.fit_pca(np.eye(4, dtype=np.float32), 9), VALUE, "9"),
    "principal: no component": (lambda: preprocess.fit_pca(np.eye(4, dtype=np.float32), 0), VALUE, "0"),
    "principal: half a component": (lambda: preprocess.fit_pca(np.eye(4, dtype=np.float32), 1.5), TYPE, r"1\.5"),
    "pca: other size": (lambda: preprocess.pca(PRINCIPAL, np.zeros((2, 5), np.float32)), VALUE, "5"),
    "whiten: epsilon": (lambda: preprocess.whiten(PRINCIPAL, np.zeros((2, 4), np.float32), -1.0), VALUE, r"-1\.0"),
    # datasets
    "load: unknown": (lambda: load("digit"), VALUE, "digit.*digits"),
    "load: a number": (lambda: load(7), TYPE, "7"),
    "load: empty name": (lambda: load(""), VALUE, "''.*digits"),
    "load: share 1": (lambda: load("digits", validation_share=1.0), VALUE, r"1\.0"),
    "load: share below 0": (lambda: load("digits", validation_share=-0.1), VALUE, r"-0\.1"),
    "load: share NaN": (lambda: load("digits", validation_share=NAN), VALUE, "nan"),
    "load: share a word": (lambda: load("digits", validation_share="half"), TYPE, "half"),
    "load: seed below 0": (lambda: load("digits", seed=-1), VALUE, "-1"),
    "load: seed a float": (lambda: load("digits", seed=0.5), TYPE, r"0\.5"),
    "load: unknown option": (lambda: load("circle", sise=100), TYPE, "sise"),
    "load: option of toys": (lambda: load("digits", noise=0.1), TYPE, "noise"),
    "load: share too small": (lambda: load("digits", validation_share=1e-6), VALUE, "validation_share=1e-06"),
    "circle: size 0": (lambda: toy.circle(0), VALUE, "0"),
    "circle: noise below 0": (lambda: toy.circle(10, noise=-1.0), VALUE, r"-1\.0"),
    "circle: noise NaN": (lambda: toy.circle(10, noise=NAN), VALUE, "nan"),
    "spiral: one class": (lambda: toy.spiral(10, classes=1), VALUE, "1"),
    "spiral: size a float": (lambda: toy.spiral(10.5), TYPE, r"10\.5"),
    "gauss: more classes than points": (lambda: toy.gauss(3, classes=5), VALUE, "5 classes, got 3"),
    "moons: seed": (lambda: toy.moons(10, seed=-3), VALUE, "-3"),
    "xor: noise a word": (lambda: toy.xor(10, noise="some"), TYPE, "some"),
    # training
    "run: no epoch": (lambda: train(epochs=0), VALUE, "0"),
    "run: epochs a float": (lambda: train(epochs=1.0), TYPE, r"1\.0"),
    "run: epochs true": (lambda: train(epochs=True), TYPE, "True"),
    "run: batch of 0": (lambda: train(batch_size=0), VALUE, "0"),
    "run: batch larger than the data": (lambda: train(batch_size=5), VALUE, r"5.*4"),
    "run: unknown measure": (lambda: train(select="validation_acuracy"), VALUE, "accuracy.*validation_acuracy"),
    "run: patience without measure": (lambda: train(patience=2), VALUE, "2.*select"),
    "run: patience 0": (lambda: train(select="loss", patience=0), VALUE, "0"),
    "run: fewer labels": (lambda: train(training.Data(X, Y[:3])), VALUE, r"\[3\]"),
    "run: float labels": (lambda: train(training.Data(X, jnp.ones(4))), TYPE, "float32"),
    "run: no data": (lambda: train(training.Data(X[:0], Y[:0])), VALUE, "empty"),
    "run: empty validation": (lambda: train(training.Data(X, Y, None, {"held": (X[:0], Y[:0])})), VALUE, "held.*empty"),
    "run: labels of the validation": (
        lambda: train(training.Data(X, Y, None, {"held": (X, Y[:2])})),
        VALUE,
        r"held.*\[2\]",
    ),
    "fit: label without a class": (
        lambda: train(training.Data(X, jnp.array([0, 1, 2, 0])), function=training.fit),
        VALUE,
        r"\[0, 2\).*2",
    ),
    "fit: label below 0": (
        lambda: train(training.Data(X, jnp.array([0, -1, 1, 0])), function=training.fit),
        VALUE,
        "-1",
    ),
    "fit: inputs of another width": (
        lambda: train(training.Data(jnp.ones((4, 5)), Y), function=training.fit),
        VALUE,
        "5",
    ),
    "fit: bytes not cast": (lambda: train(training.Data(X.astype(jnp.uint8), Y), function=training.fit), TYPE, "uint8"),
    "sweep: unequal lengths": (
        lambda: sweep({"learning_rate": jnp.ones(2), "l2": jnp.ones(3)}),
        VALUE,
        r"'l2'\] of shape \[3\], hparams\['learning_rate'\] of shape \[2\]",
    ),
    "sweep: a bare number": (lambda: sweep({"learning_rate": 0.1}), VALUE, r"'learning_rate'\] of shape \[\]"),
    "sweep: no settings": (lambda: sweep({}), VALUE, "none at all"),
    "sweep: chunk of 0": (lambda: sweep(chunk=(0, 1)), VALUE, "0"),
    "permutation of nothing": (lambda: jaxnn_random.permutation(KEY, 0), VALUE, "0"),
    # inspection
    "check: integers": (lambda: inspect.check_gradient(bowl, jnp.arange(3)), TYPE, "int32"),
    "check: many values": (lambda: inspect.check_gradient(lambda x: x**2, jnp.ones(3)), VALUE, r"\[3\]"),
    "check: limit 0": (lambda: inspect.check_gradient(bowl, jnp.ones(3), limit=0), VALUE, "0"),
    "check: other gradient": (lambda: inspect.check_gradient(bowl, jnp.ones(3), gradient=jnp.ones(2)), VALUE, "2"),
    "check: nothing": (lambda: inspect.check_gradient(lambda p: jnp.float32(1.0), {}), VALUE, "no numbers"),
    "layers: other width": (lambda: inspect.layer_outputs([PARAMS], jnp.ones((4, 7)), jnp.tanh), VALUE, "7"),
    "descend: no step": (lambda: inspect.descend(bowl, jnp.ones(2), 0.1, steps=0), VALUE, "0"),
    "descend: half a step": (lambda: inspect.descend(bowl, jnp.ones(2), 0.1, steps=0.5), TYPE, r"0\.5"),
    "descend: many values": (
        lambda: inspect.descend(lambda x: x, jnp.ones(2), 0.1, steps=1),
        VALUE,
        r"one number, got shape \[2\]",
    ),
    "basins: other minima": (
        lambda: descent.basins(bowl, jnp.ones((3, 2)), jnp.ones(3), jnp.ones((2, 3)), steps=1),
        VALUE,
        r"3",
    ),
    "minima: empty interval": (lambda: descent.local_minima(bowl, 1.0, 0.0), VALUE, r"1\.0.*0\.0"),
    "minima: one sample": (lambda: descent.local_minima(bowl, 0.0, 1.0, samples=1), VALUE, "1"),
    "eigenvalues: none": (lambda: inspect.top_eigenvalues(bowl, jnp.ones(3), KEY, 0), VALUE, "0"),
    "eigenvalues: more than parameters": (lambda: inspect.top_eigenvalues(bowl, jnp.ones(3), KEY, 5), VALUE, "5"),
    "plane: places": (
        lambda: inspect.loss_plane(bowl, jnp.ones(2), jnp.ones(2), jnp.ones(2), jnp.ones((2, 2)), jnp.ones(2)),
        VALUE,
        r"2, 2",
    ),
    "attribution: integers": (lambda: inspect.attribution(lambda x: x, jnp.arange(3)), TYPE, "int32"),
    "attribution: axes": (lambda: inspect.attribution(lambda x: x, jnp.ones(3), 2), VALUE, "2"),
    "graph: many values": (lambda: inspect.computation_graph(lambda x: x, jnp.ones(3)), VALUE, r"\[3\]"),
    "graph: names": (lambda: inspect.computation_graph(bowl, jnp.ones(3), names=("x", "y")), VALUE, "2 names"),
    "graph: integers": (lambda: inspect.computation_graph(lambda x: x, jnp.int32(3)), TYPE, "int32"),
    "trajectory: falling": (
        lambda: inspect.trajectory(task, {"learning_rate": 0.1}, KEY, DATA, [2, 1], 2),
        VALUE,
        r"2, 1",
    ),
    "dropout masks: none": (lambda: inspect.sample_dropout_masks(lambda p, x, key: x, PARAMS, X, KEY, 0), VALUE, "0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_refused_in_one_line(name):
    call, kind, told = WRONG[name]
    with pytest.raises(kind, match=told) as caught:
        call()
    assert type(caught.value) is kind
    text = str(caught.value)
    assert "\n" not in text.strip()
    assert len(text) > 20
