"""The form of drawn figures: measured from training images, and given to pictures of any other form."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from stored_runs import store

from experiments import predict
from experiments.benchmark import drawings
from experiments.classifier import picture_form
from jaxnn.data import load


@pytest.fixture(autouse=True)
def promotion_of_types_as_users_have_it(standard_promotion):
    """The commands run with JAX's usual settings."""


def figures(count=300, seed=0):
    """Bright bars on black, 12 rows high from row 2 and 4 columns wide, about column 8 of 16."""
    images = np.zeros((count, 16, 16, 1), np.uint8)
    images[:, 2:14, 6:10] = np.random.default_rng(seed).integers(180, 256, (count, 12, 4, 1))
    return images


def bar(ink, paper, box=(100, 20, 130, 110)):
    """A bar three times as high as wide, away from the center of a picture of 200 x 200."""
    picture = Image.new("RGB", (200, 200), paper)
    ImageDraw.Draw(picture).rectangle(box, fill=ink)
    return picture


def test_the_form_is_measured_from_the_images():
    found = picture_form.measure(figures())
    assert (bool(found.drawn), float(found.white), float(found.background)) == (True, 255.0, 0.0)
    assert float(found.height) == pytest.approx(12 / 16)
    assert found.middle == pytest.approx([0.5, 0.5], abs=0.02)
    assert float(found.spread) == pytest.approx(np.std([6.5, 7.5, 8.5, 9.5]) / 16, rel=0.02)
    photos = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 3), dtype=np.uint8)
    assert not picture_form.measure(photos).drawn
    digits = picture_form.measure(load("digits").train.inputs)
    assert (bool(digits.drawn), float(digits.white), float(digits.height)) == (True, 16.0, 1.0)


@pytest.mark.parametrize(("ink", "paper"), [("black", "white"), ("white", "black"), ("#223344", "#ddccbb")])
def test_a_drawing_gets_polarity_height_and_place_of_the_training_images(ink, paper):
    measured = picture_form.measure(figures())
    values, done = picture_form.fit(bar(ink, paper), measured, (16, 16, 1), picture_form.STEPS)
    rows, columns = np.nonzero(values[..., 0] > 0.5)
    assert (rows.min(), rows.max()) == (2, 13)
    assert (columns.min(), columns.max()) == (6, 9)
    assert ("inverted" in done) == (ink != "white")


def test_each_step_can_be_switched_off():
    measured, picture = picture_form.measure(figures()), bar("black", "white")
    assert picture_form.fit(picture, measured, (16, 16, 1), ("crop",))[0].max() == 0  # black on white: no bright ink
    values, done = picture_form.fit(picture, measured, (16, 16, 1), ("polarity",))
    rows, _ = np.nonzero(values[..., 0] > 0.5)
    assert (rows.min(), rows.max(), done) == (2, 8, "inverted")  # where it was drawn
    plain, done = picture_form.fit(picture, measured, (16, 16, 1), ())
    expected = np.asarray(ImageOps.fit(picture, (16, 16), Image.Resampling.LANCZOS).convert("L"), np.float32) / 255
    np.testing.assert_array_equal(plain[..., 0], expected)
    assert done == ""


def test_an_image_like_none_of_the_training_images_is_beyond_them():
    measured = picture_form.measure(figures())
    assert picture_form.beyond(measured, figures(1, seed=9)[0] / 255) > 0.02
    assert picture_form.beyond(measured, 1 - figures(1)[0] / 255) == 0.0


@pytest.mark.parametrize(
    ("picture", "plain"),
    [
        (bar("black", "white"), True),
        (bar("#ddd", "#334"), True),
        (Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)), False),
        (Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1))), False),
    ],
)
def test_a_photo_is_told_from_a_figure_by_its_border(picture, plain):
    assert picture_form.has_plain_border(picture) == plain


def test_the_newest_run_is_taken_and_drawings_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no finished run"):
        predict.newest_run()
    for seed, name in enumerate(("older", "newer")):
        (tmp_path / "runs").mkdir(exist_ok=True)
        store(tmp_path / "runs" / name, seed=seed)
        picture_form.write(tmp_path / "runs" / name, picture_form.measure(load("digits").train.inputs))
    store(tmp_path / "runs" / "points", dataset="circle")
    assert predict.newest_run().name == "newer"
    monkeypatch.setattr(drawings, "FONTS", ("DejaVuSans",))
    assert drawings.main(["--out", "found.json", "--seeds", "0", "7"]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["pictures"] == 40
    assert set(found["right"]) == {"all steps", "no step", "without polarity", "without crop", "without stroke"}
    assert all(len(fractions) == 2 for fractions in found["right"].values())
    assert np.mean(found["right"]["all steps"]) == pytest.approx(np.mean(found["right_by_digit"]))
