"""The user's own data: folders of images, tables and arrays, the odd ones among them, and the command that trains."""

import csv
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from experiments import train
from jaxnn.data import load

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def promotion_of_types_as_users_have_it(standard_promotion):
    """The command runs with JAX's usual settings."""


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def pictures(folder, size=(5, 5), count=10):
    """Dark and bright images, ten of each."""
    found = {}
    for name, low in (("dark", 0), ("bright", 200)):
        for i in range(count):
            pixels = RNG.integers(low, low + 50, (*size, 3), dtype=np.uint8)
            save(folder / name / f"{i}.png", pixels)
            found[name, i] = pixels
    return found


def rows(dataset):
    return {
        (dataset.classes[label], np.ascontiguousarray(example).tobytes())
        for split in dataset[2:5]
        for example, label in zip(*split, strict=True)
    }


# ---------------------------------------------------------------- folders


def test_a_folder_of_images_is_read_pixel_for_pixel(tmp_path):
    written = pictures(tmp_path / "flowers")
    dataset = load(f"folder:{tmp_path / 'flowers'}", validation_share=0.25)
    assert dataset.name == "folder-flowers"
    assert dataset.classes == ("bright", "dark")
    assert [len(split.labels) for split in dataset[2:5]] == [12, 4, 4]
    assert dataset.train.inputs.dtype == np.uint8
    assert dataset.train.inputs.shape[1:] == (5, 5, 3)
    assert rows(dataset) == {(name, pixels.tobytes()) for (name, _), pixels in written.items()}
    again = load(f"folder:{tmp_path / 'flowers'}", validation_share=0.25, seed=9)
    np.testing.assert_array_equal(again.test.inputs, dataset.test.inputs)


def test_images_of_many_kinds_become_alike(tmp_path):
    for i, name in enumerate(["a.png", "b.jpg", "deep/c.bmp", "d.gif", "e.webp"]):
        save(tmp_path / "gray" / name, np.full((9 + i, 6 + 2 * i), 100, np.uint8))
        save(tmp_path / "white" / name, np.full((8, 8), 255, np.uint8))
    with pytest.warns(UserWarning, match="identical to training images"):
        dataset = load(f"folder:{tmp_path}", validation_share=0)
    assert dataset.train.inputs.shape[1:] == (32, 32, 1)
    gray = dataset.train.inputs[dataset.train.labels == 0]
    assert np.abs(gray.astype(int) - 100).max() <= 3
    with pytest.warns(UserWarning, match="identical to training images"):
        small = load(f"folder:{tmp_path}", validation_share=0, image_size=4)
    assert small.train.inputs.shape[1:] == (4, 4, 1)


def test_odd_files_are_skipped_and_listed_or_refused(tmp_path):
    pictures(tmp_path / "set")
    (tmp_path / "set" / "dark" / "notes.txt").write_text("no image")
    (tmp_path / "set" / "dark" / "half.png").write_bytes((tmp_path / "set" / "dark" / "0.png").read_bytes()[:60])
    (tmp_path / "set" / "dark" / "empty.png").touch()
    (tmp_path / "set" / "readme.md").touch()
    (tmp_path / "set" / ".DS_Store").touch()
    (tmp_path / "set" / "dark" / ".hidden").touch()
    with pytest.warns(RuntimeWarning, match="4 of 24 were skipped") as warned:
        dataset = load(f"folder:{tmp_path / 'set'}")
    message = str(warned[0].message)
    assert all(name in message for name in ("notes.txt", "half.png", "empty.png", "readme.md (in no class's folder)"))
    assert "hidden" not in message
    assert sum(len(split.labels) for split in dataset[2:5]) == 20
    with pytest.raises(ValueError, match=r"4 of 24 cannot be read: .*readme\.md"):
        load(f"folder:{tmp_path / 'set'}", strict=True)


def test_the_list_of_odd_files_has_an_end(tmp_path):
    pictures(tmp_path / "set")
    for i in range(70):
        (tmp_path / "set" / "dark" / f"bad{i}").touch()
    with pytest.warns(RuntimeWarning, match="70 of 90 were skipped: .*; and 20 more$"):
        load(f"folder:{tmp_path / 'set'}")


# ---------------------------------------------------------------- tables


def table(path, lines):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return f"csv:{path}"


NUMBERS = RNG.normal(size=(40, 3)).astype(np.float32)
KINDS = np.array(["cat", "dog, large"])[np.arange(40) % 2]
LINES = [["a", "kind", "b", "c"]] + [[a, kind, b, c] for (a, b, c), kind in zip(NUMBERS, KINDS, strict=True)]


def test_a_table_is_read_number_for_number(tmp_path):
    dataset = load(table(tmp_path / "pets.csv", LINES), label="kind")
    assert dataset.name == "csv-pets"
    assert dataset.classes == ("cat", "dog, large")
    assert dataset.train.inputs.dtype == np.float32
    assert rows(dataset) == {(kind, row.tobytes()) for kind, row in zip(KINDS, NUMBERS, strict=True)}


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    lines = [["x", "y"], *[[i, i % 3 * 5] for i in range(30)]]
    assert load(table(tmp_path / "t.csv", lines), label="y").classes == ("0", "5", "10")


def test_odd_rows_are_skipped_and_listed_or_refused(tmp_path):
    odd = [["", "cat", 1, 2], [1, "", 2, 3], [1, "cat", "nan", 3], [1, "cat", 2], [1, "cat", 2, "1e99"]]
    name = table(tmp_path / "odd.csv", LINES + odd)
    expected = [
        r"5 of 45 were skipped: row 42 \(no number in a\); row 43 \(no kind\); row 44 \(no number in b\)",
        r"row 45 \(3 values for 4 columns\); row 46 \(no number in c\)",
    ]
    with pytest.warns(RuntimeWarning, match="; ".join(expected)):
        dataset = load(name, label="kind")
    assert sum(len(split.labels) for split in dataset[2:5]) == 40
    with pytest.raises(ValueError, match="5 of 45 cannot be read: row 42"):
        load(name, label="kind", strict=True)


# ---------------------------------------------------------------- arrays


def test_arrays_are_read_as_they_are(tmp_path):
    images = RNG.integers(0, 256, (20, 4, 6), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", inputs=images, labels=np.arange(20) % 2 + 7)
    for name in (f"npz:{tmp_path / 'own.npz'}", str(tmp_path / "own.npz")):
        dataset = load(name)
        assert dataset.name == "npz-own"
        assert dataset.classes == ("7", "8")
        assert dataset.train.inputs.shape[1:] == (4, 6, 1)
        assert rows(dataset) == {(str(7 + i % 2), image.tobytes()) for i, image in enumerate(images)}


def test_a_test_split_that_is_there_is_kept(tmp_path):
    x = RNG.normal(size=(30, 3))
    x[4, 1] = np.nan
    y = np.array(["a", "b"])[np.arange(30) % 2]
    np.savez(tmp_path / "own.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])
    with pytest.warns(RuntimeWarning, match=r"1 of 30 were skipped: x_train\[4\] \(not finite\)"):
        dataset = load(str(tmp_path / "own.npz"), validation_share=0)
    np.testing.assert_array_equal(dataset.test.inputs, x[20:].astype(np.float32))
    np.testing.assert_array_equal(dataset.test.labels, np.arange(10) % 2)
    assert len(dataset.train.labels) == 19


# ---------------------------------------------------------------- what is refused


def test_wrong_data_are_refused(tmp_path):
    (tmp_path / "one" / "class").mkdir(parents=True)
    pictures(tmp_path / "set")
    (tmp_path / "set" / "nothing").mkdir()
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    np.savez(tmp_path / "float.npz", x=np.ones((3, 2)), y=np.ones(3) / 2)
    np.savez(tmp_path / "deep.npz", x=np.ones((3, 2, 2, 2, 2)), y=np.ones(3, int))
    np.savez(tmp_path / "far.npz", x=np.full((3, 2), np.inf), y=np.ones(3, int))
    parts = {"x_train": np.ones((9, 2)), "y_train": np.arange(9) % 3, "x_test": np.full((3, 2), np.nan)}
    np.savez(tmp_path / "none left.npz", **parts, y_test=np.arange(3))
    np.savez(tmp_path / "code.npz", x=np.ones((2, 2)), y=np.array([print, "a"], dtype=object))
    np.savez(tmp_path / "single.npz", x=np.ones((30, 2)), y=np.ones(30, int))
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfd\x00")
    (tmp_path / "text.csv").write_text("a,kind\nred,x\nblue,y\n3,x\n")
    (tmp_path / "names.csv").write_text("a,kind\n" + "".join(f"name{i},{i % 2}\n" for i in range(50)))
    (tmp_path / "gaps.csv").write_text("a,kind\nNA,x\n,y\n3,x\n")
    (tmp_path / "twice.csv").write_text("a,a,kind\n1,2,x\n")
    (tmp_path / "empty.csv").touch()
    wrong = [
        ("folder:{}/none", {}, OSError, "there is no such folder"),
        ("folder:{}/one", {}, ValueError, "a folder for each class, at least two; it has 1"),
        ("folder:{}/set", {}, ValueError, "nothing has no image that Pillow can read"),
        ("folder:{}/set", {"label": "x"}, ValueError, "label=x is for csv:PATH"),
        ("folder:{}/set", {"image_size": -1}, ValueError, "image_size must be at least 1, got -1"),
        ("digits", {"strict": True}, ValueError, "strict=True is for folder:PATH, csv:PATH, .*; 'digits' has no"),
        ("csv:{}/none.csv", {"label": "x"}, OSError, "none.csv"),
        ("csv:{}/bad.csv", {"label": "x"}, ValueError, "not a CSV table in UTF-8"),
        (
            "csv:{}/text.csv",
            {},
            ValueError,
            "the label must be one of its columns, a, kind; got None .label=, --label NAME.$",
        ),
        ("csv:{}/text.csv", {"label": "kind", "drop": ["b"]}, ValueError, "drop=b must be a column other than"),
        (
            "csv:{}/names.csv",
            {"label": "kind"},
            ValueError,
            r"column a must hold numbers, or text .* drop='a'",
        ),
        ("csv:{}/gaps.csv", {"label": "kind"}, ValueError, "column a must hold numbers; 2 of its 3 values are missing"),
        ("csv:{}/twice.csv", {"label": "kind"}, ValueError, "unique name; got a, a, kind"),
        ("csv:{}/empty.csv", {"label": "kind"}, ValueError, "needs at least two columns"),
        ("{}/other.npz", {}, ValueError, r"it has \['a'\]"),
        ("{}/float.npz", {}, ValueError, "y must be whole numbers or text, one for each of the 3 x; got float64"),
        ("{}/deep.npz", {}, ValueError, r"x must be numbers \[N, D\], or images .* got float64\[3, 2, 2, 2, 2\]"),
        ("{}/far.npz", {}, ValueError, "x has no finite example: each of its 3 holds NaN or infinity"),
        ("{}/none left.npz", {}, ValueError, "x_test has no finite example"),
        ("{}/code.npz", {}, ValueError, "y is damaged, or holds more than numbers and text"),
        ("X.NPZ", {}, ValueError, "'npz:X.NPZ'"),
        ("table.csv", {}, ValueError, "'csv:table.csv'"),
        ("{}/single.npz", {}, ValueError, "must have at least two classes, got 1"),
        ("{}/bad.npz", {}, ValueError, "is damaged or not an .npz file"),
        ("{}/none.npz", {}, OSError, "none.npz"),
    ]
    for name, options, error, match in wrong:
        with pytest.raises(error, match=match):
            load(name.format(tmp_path), **options)


# ---------------------------------------------------------------- the command


@pytest.mark.usefixtures("undrawn")
def test_the_command_trains_on_them(tmp_path, capsys):
    pictures(tmp_path / "set", count=20)
    (tmp_path / "set" / "dark" / "notes.txt").touch()
    options = ["--model", "linear", "--epochs", "3", "--batch-size", "8"]
    assert train.main(["--dataset", f"folder:{tmp_path / 'set'}", *options, "--out", str(tmp_path / "a")]) == 0
    assert "1 of 41 were skipped: " in capsys.readouterr().out
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["test_accuracy"] == 1.0
    assert summary["dataset"] == "folder-set"
    assert json.loads((tmp_path / "a" / "config.json").read_text())["classes"] == ["bright", "dark"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused = ["--dataset", f"folder:{tmp_path / 'set'}", "--strict", *options, "--out", str(tmp_path / "b")]
        assert train.main(refused) == 2
        assert "1 of 41 cannot be read" in capsys.readouterr().err
        name = table(tmp_path / "pets.csv", LINES)
        assert train.main(["--dataset", name, "--label", "kind", *options, "--out", str(tmp_path / "c")]) == 0
    assert not (tmp_path / "b").exists()
