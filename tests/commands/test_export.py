"""A classifier taken elsewhere: the same scores from JAX without this package, and from an ONNX runtime."""

import dataclasses
import hashlib
import json
import runpy
import subprocess
import sys
import warnings
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from stored_runs import store

from experiments import export
from experiments.classifier import script
from experiments.classifier.config import Settings
from experiments.classifier.results import Classifier
from experiments.classifier.saved_classifier import Described, SavedClassifier, describe, read_classifier
from jaxnn import models
from jaxnn.interop.export import to_jax, to_onnx

RNG = np.random.default_rng(0)
DIGITS = RNG.uniform(0, 16, (5, 8, 8, 1)).astype(np.float32)
ELSEWHERE = """
import sys
sys.modules["jaxnn"] = sys.modules["experiments"] = None  # importing them is an error
import jax, json, numpy, pathlib
folder = pathlib.Path(sys.argv[1])
about = json.loads((folder / "classifier.json").read_text())
classifier = jax.export.deserialize(bytearray((folder / "classifier.jax").read_bytes()))
examples = numpy.load(folder / "examples.npy")
for count in (1, 3, len(examples)):
    assert classifier.call(examples[:count]).shape == (count, len(about["classes"]))
numpy.save(folder / "scores.npy", classifier.call(examples))
assert not [name for name in sys.modules if name.startswith(("jaxnn.", "experiments."))]
"""


@pytest.fixture(autouse=True)
def promotion_of_types_as_users_have_it(standard_promotion):
    """The command runs with JAX's usual settings."""
    with jax.numpy_rank_promotion("allow"):
        yield


def scores_by_hand(statistics, params, how, images):
    """The classifier in NumPy float64."""
    x = images.astype(np.float64)
    if how == "pca":
        x = (x.reshape(len(x), -1) - np.asarray(statistics.mean).ravel()) @ np.asarray(statistics.components).T
    else:
        x = ((x - np.asarray(statistics.mean)) / np.asarray(statistics.std)).reshape(len(x), -1)
    for i, layer in enumerate(params):
        x = (np.maximum(x, 0) if i else x) @ np.asarray(layer["w"], np.float64).T + np.asarray(layer["b"])
    return x


def assert_rounded(scores, expected):
    """Sums in float32 round by the size of their largest terms: 2e-6 is of the largest score of an example."""
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    assert (np.abs(scores - expected) <= 2e-6 * np.abs(expected).max(1, keepdims=True)).all()


@pytest.mark.parametrize(
    ("hidden", "how"),
    [
        pytest.param((), "standardize-global", marks=pytest.mark.slow, id="linear"),
        pytest.param((16, 8), "standardize", id="mlp"),
        pytest.param((16,), "pca", id="pca"),
    ],
)
def test_the_files_give_the_scores_without_this_package(tmp_path, hidden, how):
    statistics, params = store(tmp_path / "run", hidden=hidden, how=how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the converter
        assert export.main(["--run", str(tmp_path / "run"), "--formats", "jax", "onnx"]) == 0
    folder = tmp_path / "run" / "export"
    expected = scores_by_hand(statistics, params, how, DIGITS)
    if how == "pca":  # the others, in a process that cannot import the package
        alone = jax.export.deserialize(bytearray((folder / "classifier.jax").read_bytes())).call(DIGITS)
        np.save(folder / "scores.npy", alone)
    else:
        np.save(folder / "examples.npy", DIGITS)
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE, str(folder)], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    assert_rounded(np.load(folder / "scores.npy"), expected)
    session = onnxruntime.InferenceSession(folder / "classifier.onnx")
    for count in (0, 1, 5):
        scores = np.asarray(session.run(None, {"examples": DIGITS[:count]})[0])
        assert_rounded(scores, expected[:count])
        np.testing.assert_allclose(scores, np.load(folder / "scores.npy")[:count], rtol=1e-5, atol=1e-5)


def test_the_description_says_what_the_files_are(tmp_path):
    store(tmp_path / "run")
    assert export.main(["--run", str(tmp_path / "run"), "--out", str(tmp_path / "away")]) == 0
    about = json.loads((tmp_path / "away" / "classifier.json").read_text())
    content = (tmp_path / "away" / "classifier.jax").read_bytes()
    assert about == {
        "version": 1,
        "classes": [str(i) for i in range(10)],
        "input_shape": [8, 8, 1],
        "input_dtype": "float32",
        "files": {"classifier.jax": hashlib.sha256(content).hexdigest()},
        "jax": jax.__version__,
    }
    exported = jax.export.deserialize(bytearray(content))
    assert set(exported.platforms) == {"cpu", "cuda", "rocm", "tpu"}
    assert exported.calling_convention_version >= 9
    assert str(exported.in_avals[0].shape[0]) == "batch - 1"  # "batch" would be at least 1


def test_wrong_folders_are_refused_and_nothing_is_written(tmp_path, capsys):
    assert export.main(["--run", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "is not a finished run" in capsys.readouterr().err
    store(tmp_path / "run")
    (tmp_path / "run" / "classifier.npz").write_bytes(b"nothing")
    assert export.main(["--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "is damaged or no .npz file" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("package", "name"), [("flatbuffers", "jax"), ("jax2onnx", "onnx")])
def test_a_package_that_is_not_there_is_named(tmp_path, capsys, monkeypatch, package, name):
    store(tmp_path / "run")
    monkeypatch.setitem(sys.modules, package, None)
    assert export.main(["--run", str(tmp_path / "run"), "--formats", name]) == 2
    error = capsys.readouterr().err
    assert f"exporting needs {package}, which is not installed: pip install 'jaxnn[export]'" in error
    assert not (tmp_path / "run" / "export").exists()


def test_any_function_of_a_batch_can_be_taken_along():
    content = to_jax(lambda x: x.sum(-1, keepdims=True), (3,), np.int32)
    examples = np.arange(12, dtype=np.int32).reshape(4, 3)
    for count in (0, 1, 4):
        scores = jax.export.deserialize(bytearray(content)).call(examples[:count])
        np.testing.assert_array_equal(scores, examples[:count].sum(1, keepdims=True))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("cast", ["model", "weights"])
def test_onnx_refuses_short_precision_and_says_what_to_do(dtype, cast):
    """The converter would write a file that onnxruntime cannot load."""
    model = models.mlp(4, (5,), 3)
    params = model.init(jax.random.key(0))
    if cast == "model":
        score = jax.jit(lambda x: models.with_compute_dtype(model, dtype).apply(params, x))
    else:
        short = jax.tree.map(lambda p: p.astype(dtype), params)
        score = lambda x: model.apply(short, x.astype(dtype)).astype(jnp.float32)
    with pytest.raises(ValueError, match=rf"{jnp.dtype(dtype).name}.*float32.*to_jax"):
        to_onnx(score, (4,), np.float32, "short")


def test_onnx_takes_weights_stored_in_bfloat16_that_are_cast_first():
    w = jax.random.normal(jax.random.key(0), (4, 3)).astype(jnp.bfloat16)
    score = lambda x: x @ w.astype(jnp.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the converter
        session = onnxruntime.InferenceSession(to_onnx(score, (4,), np.float32, "cast"))
    x = RNG.normal(size=(2, 4)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(session.run(None, {"examples": x})[0]), score(x), rtol=1e-6, atol=1e-6)


RUNS = {
    "linear": {},
    "mlp": {"hidden": (16, 8), "how": "standardize", "activation": "leaky_relu"},
    "none": {"hidden": (5,), "how": "none", "activation": "gelu", "mirror": True},
    "center": {"hidden": (5,), "how": "center", "activation": "sigmoid", "normalize_inputs": True},
    "pca": {"hidden": (16,), "how": "pca", "activation": "tanh", "normalize": True},
    "whiten": {"hidden": (300,), "how": "whiten", "whiten_epsilon": 3.0},
}


@pytest.mark.parametrize("library", get_args(script.Library))
@pytest.mark.parametrize("name", RUNS)
def test_a_script_gives_the_scores_of_the_run(tmp_path, capsys, library, name):
    pytest.importorskip(library)
    store(tmp_path / "run", **RUNS[name])
    assert export.main(["--run", str(tmp_path / "run"), "--formats", "script", "--library", library]) == 0
    path = tmp_path / "run" / "export" / "classifier.py"
    made = runpy.run_path(str(path))
    described = describe(tmp_path / "run")
    expected = read_classifier(tmp_path / "run", described).score(jnp.asarray(DIGITS))
    np.testing.assert_allclose(np.asarray(made["scores"](DIGITS)), expected, rtol=1e-5, atol=1e-5)
    assert made["classes"] == list(described.names)
    assert path.read_text().count("\n") < 60
    runpy.run_path(str(path), run_name="__main__")
    assert "[[" in capsys.readouterr().out


def test_a_script_of_a_convolutional_network_is_refused(tmp_path):
    settings = dataclasses.replace(Settings(), model="cnn")
    with pytest.raises(ValueError, match="not --model cnn: use --formats jax or onnx"):
        script.from_run(Described(settings, ("a", "b"), (8, 8, 1)), SavedClassifier(Classifier(None, {}), abs))


def test_names_from_the_data_cannot_leave_their_strings():
    hostile = 'a"""\nimport os\n\\" \udce4 \u202e'
    layers = [{"w": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float32)}]
    scope = {"__name__": "made"}
    exec(script.write(script.Network(hostile, (3,), layers, "relu", [hostile, "b"]), "numpy").encode(), scope)
    assert scope["classes"] == [hostile, "b"]
    assert "os" not in scope
