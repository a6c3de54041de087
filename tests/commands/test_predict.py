"""Classifying one's own images: every kind of file, exact contributions, and one clear line for what is wrong."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps
from rich.console import Console
from stored_runs import store

from experiments import predict
from experiments.classifier.results import Classifier
from experiments.cli import files
from jaxnn.data import preprocess


@pytest.fixture(autouse=True)
def promotion_of_types_as_users_have_it(standard_promotion):
    """The command runs with JAX's usual settings."""


@pytest.fixture
def run_folder(tmp_path):
    store(tmp_path / "run")
    return tmp_path / "run"


def image_file(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


GRADIENT = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)


def test_the_scores_are_those_of_the_formula(tmp_path):
    statistics, params = store(tmp_path / "run")
    path = image_file(tmp_path / "a.png", GRADIENT)
    (found,) = predict.predict(predict.Config((path,), tmp_path / "run", tmp_path / "out"), Console(file=io.StringIO()))
    x = (GRADIENT.astype(np.float64) * 16 / 255 - float(statistics.mean)) / float(statistics.std)
    expected = params[0]["w"].astype(np.float64) @ x.ravel() + params[0]["b"]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.probabilities, np.exp(expected) / np.exp(expected).sum(), atol=1e-4)
    assert found.winner == expected.argmax()
    assert found.rival == np.argsort(-expected)[1]
    parts = params[0]["w"][[found.winner, found.rival]] * x.ravel()  # exactly W x, pixel by pixel
    np.testing.assert_allclose(found.parts, parts.reshape(2, 8, 8), rtol=1e-3, atol=1e-4)
    assert (tmp_path / "out" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_scores_are_those_of_every_option_that_changes_them(tmp_path):
    options = {"hidden": (12, 5), "how": "whiten", "whiten_epsilon": 3.0, "mirror": True}
    statistics, params = store(tmp_path / "run", **options, normalize=True, normalize_inputs=True)
    trained = predict.read_run(tmp_path / "run")
    images = np.random.default_rng(1).uniform(0, 16, (3, 8, 8, 1)).astype(np.float32)

    def score(image):
        centered = image.astype(np.float64).ravel() - np.asarray(statistics.mean, np.float64).ravel()
        x = np.asarray(statistics.components, np.float64) @ centered / np.sqrt(np.square(statistics.std) + 3.0)
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-6)
        for layer in params[:-1]:
            z = layer["w"].astype(np.float64) @ x
            x = np.maximum((z - z.mean()) / np.sqrt(z.var() + 1e-6) + layer["b"], 0)
        return params[-1]["w"] @ x + params[-1]["b"]

    for image in images:
        expected = (score(image) + score(image[:, ::-1])) / 2
        np.testing.assert_allclose(trained.score(jnp.asarray(image)), expected, rtol=1e-4, atol=1e-4)
    expected = [(score(image) + score(image[:, ::-1])) / 2 for image in images]
    np.testing.assert_allclose(trained.score(jnp.asarray(images)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("hidden", "how"), [((12,), "standardize"), ((), "pca"), ((12, 5), "pca")])
def test_contributions_are_the_slope_times_the_difference_from_the_mean_image(tmp_path, hidden, how):
    store(tmp_path / "run", hidden=hidden, how=how)
    trained = predict.read_run(tmp_path / "run")
    image = GRADIENT[..., None].astype(np.float32) / 16
    found = predict.classify(trained, image)
    slope = np.asarray(jax.jacrev(trained.score)(jnp.asarray(image)))[[found.winner, found.rival], ..., 0]
    difference = image[..., 0] - np.asarray(trained.mean)[..., 0]
    np.testing.assert_allclose(found.parts, slope * difference, rtol=1e-3, atol=1e-5)
    assert trained.exact == (not hidden)
    if trained.exact:  # the parts account for the whole distance from the score of the mean image
        rest = np.asarray(trained.score(trained.mean))[[found.winner, found.rival]]
        np.testing.assert_allclose(
            found.parts.sum((1, 2)) + rest, found.scores[[found.winner, found.rival]], rtol=1e-3, atol=1e-3
        )


def test_a_linear_classifier_of_normalized_inputs_is_not_explained_exactly(tmp_path):
    store(tmp_path / "run", normalize_inputs=True)
    assert not predict.read_run(tmp_path / "run").exact


def test_every_kind_of_file_is_read(tmp_path):
    gray = Image.fromarray(np.full((30, 40), 200, np.uint8))
    see_through = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    palette = Image.new("P", (40, 30), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    images = {
        "gray.png": (gray, (200, 200, 200)),
        "deep.png": (Image.fromarray(np.full((30, 40), 200 * 257, np.uint16)), (200, 200, 200)),
        "clear.png": (see_through, (255, 255, 255)),
        "palette.gif": (palette, (10, 200, 30)),
        "print.tif": (Image.new("CMYK", (40, 30), (0, 0, 0, 0)), (255, 255, 255)),
        "one.png": (Image.new("1", (40, 30), 1), (255, 255, 255)),
        "float.tif": (Image.fromarray(np.full((30, 40), 0.5, np.float32)), (128, 128, 128)),
        "photo.jpg": (gray.convert("RGB"), (200, 200, 200)),
        "la.png": (Image.new("LA", (40, 30), (0, 0)), (255, 255, 255)),
    }
    for name, (image, expected) in images.items():
        image.save(tmp_path / name)
        found = predict.read_image(tmp_path / name)
        assert (found.mode, found.size) == ("RGB", (40, 30)), name
        np.testing.assert_allclose(np.asarray(found)[3, 3], expected, atol=2, err_msg=name)


def test_an_image_is_turned_as_its_camera_says(tmp_path):
    array = np.zeros((20, 40), np.uint8)
    array[:, 20:] = 255  # bright on the right
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: bright is below
    path = image_file(tmp_path / "turned.png", array, exif=exif)
    found = predict.read_image(path)
    assert found.size == (20, 40)
    assert np.asarray(found)[35, 10, 0] > np.asarray(found)[5, 10, 0]
    assert np.asarray(ImageOps.invert(predict.read_image(path)))[35, 10, 0] == 0


def test_images_of_any_shape_come_to_the_shape_of_the_training_images(run_folder):
    trained = predict.read_run(run_folder)
    for size in ((1, 1), (3, 200), (200, 3), (500, 400)):
        fitted, _ = predict.fit_image(Image.new("RGB", size, "white"), trained)
        assert fitted.shape == (8, 8, 1)
        np.testing.assert_allclose(fitted, 16.0)


def test_a_wide_image_comes_to_a_wide_shape(run_folder):
    trained = predict.read_run(run_folder)._replace(shape=(4, 8, 1))
    array = np.zeros((40, 80), np.uint8)
    array[:, 40:] = 255  # bright on the right
    fitted, _ = predict.fit_image(Image.fromarray(array).convert("RGB"), trained)
    np.testing.assert_allclose(fitted[:, :3], 0.0, atol=0.5)
    np.testing.assert_allclose(fitted[:, 5:], 16.0, atol=0.5)


def wrong_image(tmp_path, kind, monkeypatch):
    path = tmp_path / "a.png"
    image_file(path, np.zeros((300, 300), np.uint8))
    match kind:
        case "text":
            path.write_text("not an image")
        case "empty":
            path.write_bytes(b"")
        case "cut off":
            noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
            path.write_bytes(image_file(path, noise).read_bytes()[:2000])
        case "bomb":
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        case "large":
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
        case "missing":
            path.unlink()
        case "folder":
            path.unlink()
            path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["text", "empty", "cut off", "bomb", "large", "missing", "folder"])
def test_a_wrong_image_is_one_clear_line(run_folder, tmp_path, kind, monkeypatch, capsys):
    path = wrong_image(tmp_path, kind, monkeypatch)
    out = tmp_path / "out"
    assert predict.main(["--run", str(run_folder), "--out", str(out), str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert str(path) in error
    assert not out.exists()


@pytest.mark.parametrize(
    "kind", ["missing", "no config", "no arrays", "not JSON", "list", "wrong arrays", "wrong layers", "points"]
)
def test_a_wrong_run_folder_is_one_clear_line(tmp_path, kind, capsys):
    folder = tmp_path / "run"
    store(folder, dataset="circle" if kind == "points" else "digits")
    match kind:
        case "missing":
            folder = tmp_path / "nowhere"
        case "no config":
            (folder / "config.json").unlink()
        case "no arrays":
            (folder / "classifier.npz").unlink()
        case "not JSON":
            (folder / "config.json").write_text("{")
        case "list":
            (folder / "config.json").write_text("[]")
        case "wrong layers":
            layer = {"w": np.zeros((10, 64), np.float32), "b": np.zeros(9, np.float32)}
            statistics = preprocess.Moments(jnp.float32(0), jnp.float32(1))
            files.write_arrays(folder / "classifier.npz", Classifier(statistics, [layer]))
        case "wrong arrays":
            files.write_arrays(folder / "classifier.npz", {"other": np.zeros(3)})
    path = image_file(tmp_path / "a.png", GRADIENT)
    assert predict.main(["--run", str(folder), "--out", str(tmp_path / "out"), str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert str(folder) in error
