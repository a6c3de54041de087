"""The convolutional network of the commands: trained, gone on with, read, explained and taken elsewhere."""

import functools
import json
import shutil
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from flax import linen
from PIL import Image

from experiments import export, predict, sweep, train
from experiments.classifier import saved_classifier
from experiments.classifier.cnn import CNN, Block
from jaxnn import checkpoint
from jaxnn.data import load

pytestmark = pytest.mark.usefixtures("undrawn")

OPTIONS = ["--model", "cnn", "--hidden", "8", "16", "--epochs", "4", "--batch-size", "32", "--dropout", "0.1"]
OPTIONS += ["--early-stopping", "9"]


@pytest.fixture(autouse=True)
def settings_as_users_have_them(standard_promotion):
    """The commands run with JAX's usual settings."""
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("cnn") / "run"
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        options = ["--checkpoint-every", "1", "--checkpoint-keep", "9"]
        assert train.main([*OPTIONS, *options, "--out", str(out)]) == 0
    return out


def variables_of(folder):
    """What was stored, as the variables of the Flax module."""
    with np.load(folder / "classifier.npz") as file:
        arrays = {name: file[name] for name in file.files}
    variables = {}
    for name, array in arrays.items():
        kind, *places = name.split("/")
        if kind == "statistics":
            continue
        here = variables.setdefault("params", {}) if kind == "params" else variables
        for place in places[:-1]:
            here = here.setdefault(place, {})
        here[places[-1]] = array
    return variables, arrays["statistics/mean"], arrays["statistics/std"]


def test_the_scores_are_those_of_the_module(trained):
    variables, mean, std = variables_of(trained)
    assert set(variables) == {"params", "batch_stats"}
    images = load("digits").test.inputs[:50]
    expected: Any = CNN(10, (8, 16), patch=2).apply(variables, (images.astype(np.float32) - mean) / std, train=False)
    stored = saved_classifier.read_classifier(trained, saved_classifier.describe(trained))
    np.testing.assert_allclose(stored.score(jnp.asarray(images, jnp.float32)), expected, rtol=1e-5, atol=1e-5)
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["test_accuracy"] > 0.5
    assert summary["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert (trained / "templates.png").is_file()


@pytest.mark.slow
def test_a_run_goes_on_bit_for_bit(trained, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    for path in checkpoint.list_checkpoints(out / "checkpoints")[:2]:
        shutil.rmtree(path)
    for name in ("summary.json", "classifier.npz", "history.csv"):
        (out / name).unlink()
    assert train.main(["--resume", str(out)]) == 0
    assert "continuing after epoch 2" in capsys.readouterr().out
    assert (out / "classifier.npz").read_bytes() == (trained / "classifier.npz").read_bytes()


def test_an_image_is_classified_and_explained(trained, tmp_path, monkeypatch):
    # without any optimization XLA's gradient of many scores through a convolution is NaN
    optimized = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
    monkeypatch.setattr(jax, "jit", optimized)
    Image.fromarray(np.full((40, 30), 90, np.uint8)).save(tmp_path / "a.png")
    assert predict.main([str(tmp_path / "a.png"), "--run", str(trained), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "a.png").is_file()
    found = predict.read_run(trained)
    assert not found.exact


@pytest.mark.slow
def test_it_is_taken_elsewhere(trained, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the converter
        options = ["--out", str(tmp_path), "--formats", "jax", "onnx"]
        assert export.main(["--run", str(trained), *options]) == 0
    images = load("digits").test.inputs[:5].astype(np.float32)
    expected = saved_classifier.read_classifier(trained, saved_classifier.describe(trained)).score(jnp.asarray(images))
    content = bytearray((tmp_path / "classifier.jax").read_bytes())
    np.testing.assert_allclose(jax.export.deserialize(content).call(images), expected, rtol=1e-5, atol=1e-5)
    session = onnxruntime.InferenceSession(tmp_path / "classifier.onnx")
    scores: Any = session.run(None, {"examples": images})[0]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_it_is_swept(tmp_path):
    options = ["--quick", "--epochs", "2", "--learning-rates", "0.01", "0.1", "--seeds", "2", "--no-final"]
    assert sweep.main(["--model", "cnn", "--hidden", "4", *options, "--out", str(tmp_path / "s")]) == 0
    assert (tmp_path / "s" / "sweep.csv").read_text().count("\n") == 5


@pytest.mark.slow
def test_the_larger_net_has_residual_blocks():
    net = CNN(10, (4, 8, 16, 32), residual=True)
    x: Any = jax.random.normal(jax.random.key(0), (2, 32, 32, 3))
    variables = net.init(jax.random.key(1), x, train=False)
    assert len(variables["params"]) == 4 * 3 + 1
    scores: Any = net.apply(variables, x, train=False)

    def block(number, x):
        own: Any = {kind: named[f"Block_{number}"] for kind, named in variables.items()}
        return Block(own["params"]["Conv_0"]["kernel"].shape[-1], linen.relu).apply(own, x, train=False)

    def pooled(x):
        count, height, width, channels = x.shape
        return x.reshape(count, height // 2, 2, width // 2, 2, channels).max((2, 4))

    for first in (0, 3, 6, 9):
        x = block(first, pooled(x) if first else x)
        x = x + block(first + 2, block(first + 1, x))
    x = x.mean((1, 2))
    last: Any = variables["params"]["Dense_0"]
    np.testing.assert_allclose(scores, x @ last["kernel"] + last["bias"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "moons"], "--model cnn needs images; moons has points"),
        (["--preprocess", "pca"], "--preprocess pca leaves no image"),
        (["--input-dropout", "0.1"], "--input-dropout 0.1 belongs to --model linear and mlp"),
        (["--init", "xavier"], "--init xavier belongs to --model linear and mlp: --model cnn takes he"),
        (["--hidden", "4", "4", "4", "4"], "4 stages halve"),
    ],
)
def test_settings_that_do_not_go_with_it_are_refused(options, message, tmp_path, capsys):
    assert train.main(["--model", "cnn", *options, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
