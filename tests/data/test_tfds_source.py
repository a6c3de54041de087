"""Sets that TFDS has prepared: small ones are prepared here, read back, damaged, and asked for in vain."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prepared_sets import FEATURES, LABEL, damage, examples, images, png, prepare

from jaxnn.data import load
from jaxnn.data._tfds import _source


def tiny(folder: Path, **options: Any) -> Any:
    return load("tiny", data_dir=folder, cache_dir=folder / "cache", **{"validation_share": 0, **options})


def pairs(pictures, labels) -> list[tuple[bytes, int]]:
    return sorted(
        (np.ascontiguousarray(picture).tobytes(), int(label)) for picture, label in zip(pictures, labels, strict=True)
    )


@pytest.fixture
def prepared(tmp_path) -> Path:
    features = {"image": FEATURES.Image(shape=(5, 4, 3)), "label": LABEL}
    prepare(tmp_path, features, {"train": examples(images(20)), "test": examples(images(6, seed=1))})
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_every_kind_are_read_pixel_for_pixel(channels, tmp_path):
    shape = (5, 4, channels)
    train, test = images(20, shape), images(6, shape, seed=1)
    features = {"image": FEATURES.Image(shape=shape), "label": LABEL, "more": FEATURES.Text()}
    more = [{**example, "more": "text"} for example in examples(train)]
    prepare(
        tmp_path, features, {"train": more, "test": [{**e, "more": ""} for e in examples(test)], "validation": more}
    )
    dataset = tiny(tmp_path)
    assert dataset.classes == ("even", "odd")
    assert dataset.train.inputs.shape == (20, *shape)
    assert pairs(*dataset.train) == pairs(train, np.arange(20) % 2)
    assert pairs(*dataset.test) == pairs(test, np.arange(6) % 2)


def test_supervised_keys_name_the_image_and_the_label(tmp_path):
    features = {"picture": FEATURES.Image(shape=(5, 4, 3)), "kind": LABEL}
    made = {split: examples(images(4), "picture", "kind") for split in ("train", "test")}
    prepare(tmp_path, features, made, keys=("picture", "kind"))
    assert pairs(*tiny(tmp_path).train) == pairs(images(4), np.arange(4) % 2)


def test_a_validation_split_is_the_test_split_where_there_is_no_other(tmp_path):
    features = {"image": FEATURES.Image(shape=(5, 4, 3)), "label": LABEL}
    prepare(tmp_path, features, {"train": examples(images(20)), "validation": examples(images(6, seed=1))})
    assert pairs(*tiny(tmp_path).test) == pairs(images(6, seed=1), np.arange(6) % 2)


@pytest.mark.parametrize(
    ("features", "example", "message"),
    [
        (
            {"image": FEATURES.Image(shape=(None, None, 3)), "label": LABEL},
            {"image": png(images(1)[0]), "label": 0},
            r"the images of tiny vary in size, \(None, None, 3\)",
        ),
        ({"text": FEATURES.Text(), "label": LABEL}, {"text": "a", "label": 0}, "not for image .* text: Text"),
        ({"image": FEATURES.Image(shape=(5, 4, 3))}, {"image": png(images(1)[0])}, "not for image classification"),
        (
            {"image": FEATURES.Image(shape=(5, 4, 3)), "label": FEATURES.Scalar(np.int64)},
            {"image": png(images(1)[0]), "label": 0},
            "not for image .* label: Scalar",
        ),
        (
            {"image": FEATURES.Image(shape=(5, 4, 1), dtype=np.uint16), "label": LABEL},
            {"image": png(images(1, (5, 4, 1))[0].astype(np.uint16)), "label": 0},
            "tiny are uint16",
        ),
        (
            {"image": FEATURES.Image(shape=(5, 4, 3)), "label": LABEL},
            {"image": png(images(1)[0]), "label": -1},
            "the train split of tiny has unlabelled examples",
        ),
    ],
)
def test_other_kinds_of_sets_are_refused_by_name(features, example, message, tmp_path):
    prepare(tmp_path, features, {"train": [example], "test": [example]})
    with pytest.raises(ValueError, match=message):
        tiny(tmp_path)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("splits", [["train"], ["test"]])
def test_a_missing_split_is_named(splits, tmp_path):
    features = {"image": FEATURES.Image(shape=(5, 4, 3)), "label": LABEL}
    prepare(tmp_path, features, {split: examples(images(4)) for split in splits})
    with pytest.raises(ValueError, match=rf"needs a split train, .* it has \['{splits[0]}'\]"):
        tiny(tmp_path)


def test_an_image_of_another_size_is_found(tmp_path):
    features = {"image": FEATURES.Image(shape=(5, 4, 3)), "label": LABEL}
    turned = examples(images(1, (4, 5, 3)))
    prepare(tmp_path, features, {"train": examples(images(3)) + turned, "test": turned})
    with pytest.raises(OSError, match=r"tiny-train.* an image of \(5, 4\) pixels instead of \(4, 5\)"):
        tiny(tmp_path)


@pytest.mark.parametrize("kind", ["truncated", "emptied", "bit", "deleted"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_damaged_shard_is_named(prepared, split, kind):
    path = prepared / "tiny" / "1.0.0" / f"tiny-{split}.array_record-00000-of-00001"
    damage(path, kind)
    with pytest.raises(OSError, match=f"{path} is missing or damaged .* delete {path.parent} and prepare it anew"):
        tiny(prepared)
    assert not (prepared / "cache").exists()


@pytest.mark.parametrize("kind", ["truncated", "emptied", "bit", "deleted"])
@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_a_damaged_description_is_named(prepared, name, kind):
    path = prepared / "tiny" / "1.0.0" / name
    damage(path, kind)
    if (name, kind) == ("dataset_info.json", "deleted"):  # then it is no prepared set, and TFDS knows no "tiny"
        with pytest.raises(ValueError, match="unknown data set 'tiny'"):
            tiny(prepared)
        return
    with pytest.raises(OSError, match=f"{path.parent}.* damaged"):
        tiny(prepared)


def test_a_cifar_folder_without_description_is_named(tmp_path, monkeypatch):
    from jaxnn.data._tfds import _cifar

    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    monkeypatch.setattr(_cifar, "prepare", lambda name, data_dir: None)  # TFDS takes the folder for a prepared set
    with pytest.raises(OSError, match=r"without dataset_info\.json: delete"):
        load("cifar10", data_dir=tmp_path, cache_dir=tmp_path / "cache")


def test_tfrecord_files_are_refused_with_the_way_out(prepared):
    path = prepared / "tiny" / "1.0.0" / "dataset_info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "fileFormat": "tfrecord"}))
    with pytest.raises(
        ValueError, match=r"holds tfrecord files.*delete .*pip install tensorflow && python -c"
    ) as caught:
        tiny(prepared)
    assert f"tfds.builder('tiny', data_dir='{prepared}', file_format='array_record')" in str(caught.value)


def test_what_needs_tensorflow_says_what_to_run(tmp_path, monkeypatch):
    find = _source.importlib.util.find_spec
    monkeypatch.setattr(
        _source.importlib.util, "find_spec", lambda name, *a: None if name == "tensorflow" else find(name, *a)
    )
    with pytest.raises(ImportError) as caught:
        load("mnist", data_dir=tmp_path / "tfds", cache_dir=tmp_path)
    message = str(caught.value)
    assert f"mnist is not prepared in {tmp_path / 'tfds'}" in message
    assert "published files is 'idx:FOLDER'" in message
    command = message.partition("machine: ")[2]
    assert command.startswith('pip install tensorflow && python -c "import tensorflow_datasets as tfds; ')
    code = command.partition('"')[2].rstrip('"')
    assert code.endswith(f"data_dir='{tmp_path / 'tfds'}', file_format='array_record').download_and_prepare()")
    scope: dict[str, Any] = {}
    exec(code.removesuffix(".download_and_prepare()").replace("; ", "; builder = "), scope)
    assert scope["builder"].data_path.parts[-2] == "mnist"
    assert not (tmp_path / "tfds").exists()


def test_configurations_are_asked_for(tmp_path):
    with pytest.raises(
        ValueError, match=r"'cifar10_corrupted' has 95 configurations.*'cifar10_corrupted/brightness_1'"
    ):
        load("cifar10_corrupted", data_dir=tmp_path, cache_dir=tmp_path)
    with pytest.raises(ValueError, match=r"'fogg_5' is none of them; .*'cifar10_corrupted/fog_5'"):
        load("cifar10_corrupted/fogg_5", data_dir=tmp_path, cache_dir=tmp_path)
    with pytest.raises(ValueError, match="'mnist' has 0 configurations, and 'x' is none of them"):
        load("mnist/x", data_dir=tmp_path, cache_dir=tmp_path)


def test_prepared_configurations_are_read(prepared):
    for configuration in ("fog", "blur"):
        shutil.copytree(prepared / "tiny" / "1.0.0", prepared / "many" / configuration / "1.0.0")
    for name in ("many/fog", "many/blur"):
        path = prepared / name / "1.0.0" / "dataset_info.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "configName": name.partition("/")[2]}))
        dataset = load(name, data_dir=prepared, cache_dir=prepared / "cache", validation_share=0)
        assert dataset.name == name
        assert pairs(*dataset.train) == pairs(images(20), np.arange(20) % 2)
    with pytest.raises(ValueError, match=r"is prepared in .* as blur, fog: say which, for example 'many/blur'"):
        load("many", data_dir=prepared, cache_dir=prepared / "cache")
    shutil.rmtree(prepared / "many")
    assert len(load("many/fog", data_dir=prepared, cache_dir=prepared / "cache").train.labels) == 18
