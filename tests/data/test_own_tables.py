"""The user's own tables and arrays as people have them: separators, missing values, text, and objects in memory."""

import gzip
import io
import os
import struct
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image, PngImagePlugin

from jaxnn.data import load
from jaxnn.data._own._arrays import read_arrays, read_idx, read_npy, read_npz
from jaxnn.data._own._images import read_folder
from jaxnn.data._own._tables import read_csv, read_parquet, read_table

RNG = np.random.default_rng(0)


def told(found):
    return " ".join(found.notes)


def csv(tmp_path, text, label="y", **options):
    file = tmp_path / "table.csv"
    file.write_text(text, newline="")
    return read_csv(file, label, **options)


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_separators_and_decimal_commas_are_recognized_and_told(separator, name, tmp_path):
    rows = ["a,b y".replace(" ", "").replace(",", "_") + separator + "y", "1,5;cat", "1.234,25;dog", "-2,5e1;cat"]
    found = csv(tmp_path, "\r\n".join(rows).replace(";", separator))
    assert found.examples.inputs.tolist() == [[1.5], [1234.25], [-25.0]]
    assert f"separated by {name}" in told(found)
    assert "decimal commas" in told(found)


def test_rows_have_the_line_numbers_of_the_file(tmp_path):
    found = csv(tmp_path, 'a,note,y\n1,"two\nlines",p\n\n?,"two\nlines",p\n4,5\n6,"two\nlines",q\n')
    assert found.skipped == ("row 5 (no number in a)", "row 7 (2 values for 3 columns)")
    assert found.total == 4


def test_labels_that_are_numbers_are_equal_and_sorted_as_numbers_and_may_be_missing(tmp_path):
    found = csv(tmp_path, "x,y\n" + "".join(f"1,{label}\n" for label in ("10", "9", "9.0", "NA", "", "nan", " 10 ")))
    assert found.classes == ("9", "10")
    assert found.examples.labels.tolist() == [1, 0, 0, 1]
    assert [text.split(" (")[1] for text in found.skipped] == ["no y)"] * 3


def test_text_becomes_one_input_for_each_value_and_columns_can_be_left_out(tmp_path):
    text = "id,color,,y\n" + "".join(f"name{i},{('red', 'green')[i % 2]},{i},{i % 2}\n" for i in range(30))
    found = csv(tmp_path, text, drop=("id",))
    assert found.about["columns"] == ["color=green", "color=red", "column 3"]
    assert found.examples.inputs[:2].tolist() == [[0, 1, 0], [1, 0, 1]]
    assert "color holds text" in told(found)


def test_a_class_whose_rows_were_skipped_is_named(tmp_path):
    assert "classes rare" in told(csv(tmp_path, "x,y\n1,a\n?,rare\n2,b\n3,a\n"))


@pytest.mark.parametrize("values", [1_700_000_000 + np.arange(40), 1e8 + np.arange(60) / 4])
def test_differences_of_large_numbers_survive(values, tmp_path):
    inputs = csv(tmp_path, "t,y\n" + "".join(f"{v!r},{i % 2}\n" for i, v in enumerate(values.tolist())))
    arrays = read_arrays({"x": values[:, None], "y": np.arange(len(values)) % 2})
    for found, name in ((inputs, "t"), (arrays, "x[:, 0]")):
        np.testing.assert_array_equal(found.examples.inputs[:, 0] + np.float64(found.about["offsets"][name]), values)
        assert name in told(found)


@pytest.mark.parametrize(
    ("cells", "numbers", "note"),
    [
        (["5%", "12.5 %", ""], [5, 12.5], "have signs of a unit"),
        (["$1,200.50", "-$3", "$0.25"], [1200.5, -3, 0.25], "signs of a unit and thousands separators"),
        (["2024-01-31", "1970-01-02T00:00:01", "1969-12-31"], [1706659200, 86401, -86400], "seconds since 1970"),
        (["\N{MINUS SIGN}2", "3", "+4\N{NO-BREAK SPACE}"], [-2, 3, 4], ""),
    ],
)
def test_numbers_with_units_and_dates_are_numbers(cells, numbers, note, tmp_path):
    rows = "".join(f'"{cell}",{"ab"[at % 2]}\n' for at, cell in enumerate(cells * 3))
    content = f"# exported, by hand\n#\nv,y\n{rows}".encode()
    for name, form in (("t.csv", content), ("t.csv.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(form)
        found = read_csv(tmp_path / name, "y")
        values = found.examples.inputs[:, 0] + np.float64(found.about.get("offsets", {}).get("v", 0.0))
        np.testing.assert_allclose(values, numbers * 3, rtol=1e-7)
        assert found.about["columns"] == ["v"]
        assert note in told(found)
        assert len(found.skipped) == (3 if "" in cells else 0)
        assert "" not in cells or found.skipped[0] == "row 6 (no number in v)"


@pytest.mark.parametrize("cells", [["100%", "cotton"], ["2024-02-31", "2024-01-01"], ["$10_$20", "$20_$30"]])
def test_what_only_resembles_them_is_text(cells, tmp_path):
    (tmp_path / "t.csv").write_text("v,y\n" + "".join(f"{cells[at % 2]},{'ab'[at // 4]}\n" for at in range(8)))
    assert read_csv(tmp_path / "t.csv", "y").about["columns"] == sorted(f"v={cell}" for cell in cells)


def test_a_folder_of_parquet_files_and_labels_as_they_read(tmp_path):
    for at in range(2):
        table = pa.table({"a": [1.0 + at, 3.0], "y": [True, False], "day": [date(2024, 1, 2), date(2024, 1, 1)]})
        pyarrow.parquet.write_table(table, tmp_path / f"{at}.parquet")
    found = read_parquet(tmp_path, "y", ["day"])
    assert (found.classes, found.examples.labels.tolist()) == (("False", "True"), [1, 0, 1, 0])
    assert found.examples.inputs[:, 0].tolist() == [1, 3, 2, 3]
    assert read_parquet(tmp_path, "day", ["y"]).classes == ("2024-01-01", "2024-01-02")


class Stream:
    """A table known by Arrow's protocol alone."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Frame(Stream):
    """A table known by the data frame protocol alone."""

    __arrow_c_stream__ = property()  # type: ignore[assignment]

    def __getattribute__(self, name):
        if name == "__arrow_c_stream__":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def __dataframe__(self, *arguments, **options):
        return self.table.__dataframe__(*arguments, **options)


def test_tables_in_memory_and_in_parquet_are_read_alike(tmp_path):
    columns = {"a": [1.5, None, 3.5, 4.5], "kind": ["u", "v", "v", "u"], "y": ["cat", "dog", "dog", "cat"]}
    table = pa.table(columns | {"kind": pa.array(columns["kind"]).dictionary_encode()})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    every = [read_table(each, "y") for each in (table, Stream(table), Frame(table), columns)]
    for found in [*every, read_parquet(tmp_path / "t.parquet", "y")]:
        assert found.examples.inputs.tolist() == [[1.5, 1, 0], [3.5, 0, 1], [4.5, 1, 0]]
        assert found.classes == ("cat", "dog")
        assert found.skipped == ("row 1 (no number in a)",)


def test_a_pair_of_arrays_is_a_data_set():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load((np.arange(40.0).reshape(20, 2), ["a", "b"] * 10), validation_share=0)
    assert (dataset.classes, len(dataset.train.labels), len(dataset.test.labels)) == (("a", "b"), 16, 4)


def test_images_inside_a_table_are_images():
    pixels = RNG.integers(0, 255, (2, 6, 5, 3), dtype=np.uint8)
    cells = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        cells.append({"bytes": file.getvalue(), "path": None})
    found = read_table({"image": cells, "label": [3, 7]}, "label")
    np.testing.assert_array_equal(found.examples.inputs, pixels)
    assert found.classes == ("3", "7")


# ---------------------------------------------------------------- arrays

Y = np.arange(12) % 3
NAMES = np.array(["a", "b", "c"])


@pytest.mark.parametrize(
    ("labels", "classes", "note"),
    [
        (NAMES.astype(object)[Y], ("a", "b", "c"), ""),
        (np.char.encode(NAMES)[Y], ("a", "b", "c"), ""),
        (Y[:, None], ("0", "1", "2"), r"y of shape [12, 1] is taken as [12]"),
        (np.eye(3)[Y], ("0", "1", "2"), "one-hot"),
        (Y.astype(float), ("0", "1", "2"), ""),
    ],
)
def test_labels_of_any_form_are_classes(labels, classes, note, tmp_path):
    np.savez(tmp_path / "own.npz", x=np.zeros((12, 2)), y=labels, unused=np.array([{}, None], dtype=object))
    found = read_npz(tmp_path / "own.npz")
    assert found.classes == classes
    assert found.examples.labels.tolist() == Y.tolist()
    assert note in told(found)


def test_arrays_without_a_name_in_camel_case_and_of_one_number(tmp_path):
    np.savez(tmp_path / "a.npz", np.arange(4.0), [0, 1, 0, 1])
    found = read_npz(tmp_path / "a.npz")
    assert found.examples.inputs.tolist() == [[0], [1], [2], [3]]
    assert "arr_0 is taken as the inputs and arr_1 as the labels" in told(found)
    assert "one number for each example" in told(found)
    ones = np.ones((2, 3))
    np.savez(tmp_path / "b.npz", trainX=ones, trainY=[0, 1], testX=2 * ones, testY=[1, 0])
    found = read_npz(tmp_path / "b.npz")
    assert found.test is not None
    assert (found.test.inputs.max(), found.test.labels.tolist()) == (2, [1, 0])


def test_channels_first_are_recognized_and_told_and_parts_by_their_names(tmp_path):
    images = RNG.integers(0, 255, (12, 3, 8, 9), dtype=np.uint8)
    for name, array in {
        "train_images": images,
        "train_labels": Y,
        "test_images": images[:3],
        "test_labels": Y[:3],
    }.items():
        np.save(tmp_path / f"{name}.npy", array)
    found = read_npy(tmp_path)
    np.testing.assert_array_equal(found.examples.inputs, images.transpose(0, 2, 3, 1))
    assert found.test is not None
    assert len(found.test.labels) == 3
    assert "channels first" in told(found)


def idx(path: Path, array: np.ndarray, kind: int = 8) -> None:
    """Written as the format is described, apart from the reader."""
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def test_idx_files_as_mnist_is_published(tmp_path):
    images = RNG.integers(0, 256, (12, 5, 4), dtype=np.uint8)
    idx(tmp_path / "train-images-idx3-ubyte.gz", images)
    idx(tmp_path / "train-labels-idx1-ubyte", Y.astype(np.uint8))
    idx(tmp_path / "t10k-images.idx3-ubyte", images[:4] // 2)
    idx(tmp_path / "t10k-labels.idx1-ubyte", Y[:4].astype(np.uint8))
    (tmp_path / "README").touch()
    found = read_idx(tmp_path)
    assert found.test is not None
    np.testing.assert_array_equal(found.examples.inputs, images[..., None])
    np.testing.assert_array_equal(found.examples.labels, Y)
    np.testing.assert_array_equal(found.test.inputs, images[:4, ..., None] // 2)
    assert load(f"idx:{tmp_path}", validation_share=0).test.inputs.shape == (4, 5, 4, 1)
    with pytest.raises(ValueError, match="for your own data: 'idx:"):
        load(str(tmp_path))


def test_idx_files_of_numbers_longer_than_a_byte_are_big_endian(tmp_path):
    idx(tmp_path / "inputs-idx2-float", np.array([[1.5, -2.0]] * 12, ">f4"), kind=13)
    idx(tmp_path / "labels-idx1-int", Y.astype(">i4"), kind=12)
    found = read_idx(tmp_path)
    np.testing.assert_array_equal(found.examples.inputs, np.array([[1.5, -2.0]] * 12))
    np.testing.assert_array_equal(found.examples.labels, Y)


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:6], lambda _: b"\0\0\7\1"])
def test_damaged_idx_files_are_named(tmp_path, damage):
    idx(tmp_path / "train-images-idx3-ubyte", np.zeros((12, 5, 4), np.uint8))
    idx(tmp_path / "train-labels-idx1-ubyte", Y.astype(np.uint8))
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(damage(images.read_bytes()))
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is damaged or not an IDX file"):
        read_idx(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_idx(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no IDX files"):
        read_idx(tmp_path / "empty")


# ---------------------------------------------------------------- folders


def folder(path: Path, count: int = 6) -> Path:
    for name in ("a", "b"):
        (path / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path / name / f"{i}.png")
    return path


def test_hidden_folders_links_and_odd_metadata(tmp_path):
    photos, more = folder(tmp_path / "photos"), folder(tmp_path / "more")
    (photos / "a" / ".ipynb_checkpoints").mkdir()
    (photos / "a" / ".ipynb_checkpoints" / "0.png").write_bytes((photos / "a" / "0.png").read_bytes())
    (photos / "b" / "linked").symlink_to(more / "b")
    (photos / "a" / "gone.png").symlink_to("nowhere")
    (photos / "a" / "up").symlink_to("..")
    os.mkfifo(photos / "a" / "pipe.png")
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "y" * 3_000_000, zip=True)  # more than Pillow takes
    Image.new("RGB", (8, 8), "red").save(photos / "a" / "text.png", pnginfo=info)
    Image.new("RGB", (8, 8), "red").save(photos / "a" / "exif.jpg", exif=b"Exif\0\0garbage")
    found = read_folder(photos)
    assert np.bincount(found.examples.labels).tolist() == [8, 12]
    assert sorted(text.split(" (")[1] for text in found.skipped) == [
        "a link to a folder above it, or read already)",
        "a link to nothing)",
        "not a file)",
    ]


def test_gray_values_have_one_unit_in_the_whole_folder(tmp_path):
    photos = folder(tmp_path / "photos", 1)
    deep = np.full((8, 8), 200, np.int32)
    Image.fromarray(deep).save(photos / "a" / "deep.tif")
    assert read_folder(photos).examples.inputs[1].max() == 200
    deep[0, 0] = 256
    Image.fromarray(deep).save(photos / "a" / "deeper.tif")
    found = read_folder(photos)
    assert found.examples.inputs[1].max() == found.examples.inputs[2].max() == 1
    assert found.about == {"white": 65535.0}
    (photos / "a" / "gray.pgm").write_bytes(b"P5\n8 8\n4095\n" + np.full((8, 8), 4095, ">u2").tobytes())
    assert read_folder(photos).examples.inputs[3].max() == 255


def test_copies_in_different_parts_are_counted_and_parts_in_folders_are_kept(tmp_path):
    photos = folder(tmp_path / "photos", 10)
    for i in range(10):
        (photos / "a" / f"copy{i}.png").write_bytes((photos / "a" / "0.png").read_bytes())
    with pytest.warns(UserWarning, match=r"identical to training images, \d of the test split"):
        load(f"folder:{photos}", validation_share=0)
    folder(tmp_path / "parts" / "train")
    folder(tmp_path / "parts" / "test", 2)
    found = read_folder(tmp_path / "parts")
    assert found.test is not None
    assert (found.classes, len(found.examples.labels), len(found.test.labels)) == (("a", "b"), 12, 4)
