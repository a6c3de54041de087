"""Tables of pandas, Polars and Hugging Face Datasets, handed over as they are; each where the package is installed."""

import io
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jaxnn.data import load
from jaxnn.data._own._tables import read_table

COUNT = 8
LABELS = ["cat", "dog"] * 4
NUMBERS = np.arange(COUNT) / 4
PIXELS = np.random.default_rng(0).integers(0, 255, (COUNT, 4, 5, 3), dtype=np.uint8)


def test_a_frame_of_pandas():
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "number": NUMBERS,
            "kind": pandas.Categorical(list("xzxzxzxz"), categories=["z", "x"]),
            "text": pandas.array([*"uvuvuvu", None], dtype="string"),
            "whole": pandas.array([1, None, *range(6)], dtype="Int64"),
            "time": pandas.date_range("2024-01-01", periods=COUNT, freq="s", unit="ms"),
            "mixed": [1, "2", 3.5, *"45678"],
            "sparse": pandas.arrays.SparseArray([0.0, 0.0, 1.0, 0.0] * 2),
            "y": pandas.Categorical(LABELS),
        },
        index=range(100, 100 + COUNT),
    )
    found = read_table(frame, "y")
    rows = [0, 2, 3, 4, 5, 6]  # 1 has no whole number, 7 no text
    assert found.skipped == ("row 1 (no number in whole)", "row 7 (no value in text)")
    inputs = dict(zip(found.about["columns"], found.examples.inputs.T, strict=True))
    assert list(inputs) == ["number", "kind=x", "kind=z", "text=u", "text=v", "whole", "time", "mixed", "sparse"]
    np.testing.assert_array_equal(inputs["number"], NUMBERS[rows])
    np.testing.assert_array_equal(inputs["kind=z"], np.arange(COUNT)[rows] % 2)
    np.testing.assert_array_equal(inputs["text=v"], np.arange(COUNT)[rows] % 2)
    np.testing.assert_array_equal(inputs["mixed"], [1, 3.5, 4, 5, 6, 7])
    np.testing.assert_array_equal(inputs["sparse"], [0, 1, 0, 0, 0, 1])
    times = inputs["time"] + np.float64(found.about["offsets"]["time"])
    np.testing.assert_array_equal(times, 1_704_067_200_000 + 1000 * np.array(rows))
    assert [found.classes[at] for at in found.examples.labels] == [LABELS[row] for row in rows]
    plain = pandas.DataFrame({0: NUMBERS, 1: LABELS})
    assert read_table(plain, 1).examples.inputs[:, 0].tolist() == NUMBERS.tolist()  # type: ignore[arg-type]
    pair = load((plain[[0]], pandas.Series(LABELS, dtype="category")), validation_share=0)
    assert sorted(np.concatenate([pair.train.inputs, pair.test.inputs])[:, 0].tolist()) == NUMBERS.tolist()
    with pytest.raises(TypeError, match="Series is no table with columns"):
        read_table(plain[0], "y")


def test_a_frame_of_polars():
    polars: Any = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "number": [None, *NUMBERS[1:]],
            "kind": polars.Series(list("xzxzxzxz"), dtype=polars.Categorical),
            "pair": polars.Series([[1.0, row] for row in range(COUNT)], dtype=polars.Array(polars.Float64, 2)),
            "time": [datetime(2024, 1, 1, hour) for hour in range(COUNT)],
            "y": polars.Series(LABELS, dtype=polars.Enum(["dog", "cat"])),
        }
    )
    found = read_table(frame, "y")
    assert found.skipped == ("row 0 (no number in number)",)
    inputs = dict(zip(found.about["columns"], found.examples.inputs.T, strict=True))
    np.testing.assert_array_equal(inputs["number"], NUMBERS[1:])
    np.testing.assert_array_equal(inputs["kind=z"], [1, 0] * 3 + [1])
    np.testing.assert_array_equal(inputs["pair[1]"], range(1, COUNT))
    times = inputs["time"].astype(np.float64) + found.about.get("offsets", {}).get("time", 0.0)
    np.testing.assert_allclose(np.diff(times), 3600e6, rtol=0.05)
    assert (found.classes, found.examples.labels.tolist()) == (("cat", "dog"), [1, 0, 1, 0, 1, 0, 1])
    with pytest.raises(TypeError, match=r"collect\(\) it first"):
        load(frame.lazy(), label="y")


def test_a_data_set_of_hugging_face(tmp_path):
    datasets: Any = pytest.importorskip("datasets")
    kinds = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["zebra", "ant"])},
    )
    pictures = [Image.fromarray(pixels) for pixels in PIXELS]
    labels = [1, -1, 0, None, 1, 0, 1, 0]  # -1 and None: no label
    table = datasets.Dataset.from_dict({"image": pictures, "label": labels}, features=kinds)
    found = read_table(table, "label")
    assert found.skipped == ("row 1 (no label)", "row 3 (no label)")
    np.testing.assert_array_equal(found.examples.inputs, PIXELS[[0, 2, 4, 5, 6, 7]])
    assert (found.classes, found.examples.labels.tolist()) == (("ant", "zebra"), [0, 1, 0, 1, 0, 1])
    for at, picture in enumerate(pictures):
        picture.save(tmp_path / f"{at}.png")
    files = {"image": [str(tmp_path / f"{at}.png") for at in range(COUNT)], "label": LABELS}
    of_files = datasets.Dataset.from_dict(files).cast_column("image", datasets.Image())
    np.testing.assert_array_equal(read_table(of_files, "label").examples.inputs, PIXELS)
    arrays = datasets.Features({"x": datasets.Array2D((2, 3), "float32"), "y": datasets.Value("string")})
    values = np.arange(6.0 * COUNT).reshape(COUNT, 2, 3)
    of_arrays = datasets.Dataset.from_dict({"x": values.tolist(), "y": LABELS}, features=arrays)
    np.testing.assert_array_equal(read_table(of_arrays, "y").examples.inputs, values.reshape(COUNT, 6))
    with pytest.raises(TypeError, match="consists of the tables train, test: hand over one of them"):
        load(datasets.DatasetDict({"train": table, "test": table}), label="label")
    with pytest.raises(TypeError, match="IterableDataset is no table in memory"):
        load(table.to_iterable_dataset(), label="label")


def test_images_whose_content_is_in_files(tmp_path):
    """As Hugging Face Datasets has them, without that package."""
    file = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(file, "PNG")
    (tmp_path / "there.png").write_bytes(file.getvalue())
    cells = [{"bytes": file.getvalue(), "path": "x"}, {"bytes": None, "path": str(tmp_path / "there.png")}]
    cells.append({"bytes": None, "path": str(tmp_path / "gone.png")})
    found = read_table({"image": cells, "label": [0, 1, 1]}, "label")
    np.testing.assert_array_equal(found.examples.inputs, PIXELS[[0, 0]])
    assert found.skipped == ("row 2 (no number in image)",)
