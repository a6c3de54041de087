"""Small image sets, prepared as TFDS does it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxnn.data._tfds import Source, find

FEATURES = tfds.features
LABEL = FEATURES.ClassLabel(names=["even", "odd"])


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "PNG")
    return file.getvalue()


def prepare(folder: Path, features: dict[str, Any], splits: dict[str, list[dict[str, Any]]], keys: Any = None) -> None:
    """Prepares a set called tiny in `folder`, as TFDS does it."""

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "tiny"
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=FEATURES.FeaturesDict(features), supervised_keys=keys, description="a small set"
            )

        def _split_generators(self, dl_manager):
            return {split: enumerate(examples) for split, examples in splits.items()}

        def _generate_examples(self):
            raise NotImplementedError

    Tiny(data_dir=folder, file_format="array_record").download_and_prepare()


def prepare_tiny(folder: Path, train: int, test: int) -> Source:
    """A prepared set called tiny, of this many images of 5 x 4 pixels in three channels."""
    features = {"image": FEATURES.Image(shape=(5, 4, 3)), "label": LABEL}
    prepare(folder, features, {"train": examples(images(train)), "test": examples(images(test, seed=1))})
    found = find("tiny", folder)
    assert found is not None
    return found


def images(count: int, shape: tuple[int, ...] = (5, 4, 3), seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8))


def examples(some: list[np.ndarray], image: str = "image", label: str = "label") -> list[dict[str, Any]]:
    return [{image: png(picture), label: number % 2} for number, picture in enumerate(some)]


def damage(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "deleted":
        path.unlink()
    elif kind == "bit":  # in the middle of the records, which fill the file up to its padding
        place = len(content.rstrip(b"\0")) // 2 if path.suffix == ".json" else content.index(b"IHDR") + 20
        path.write_bytes(content[:place] + bytes([content[place] ^ 128]) + content[place + 1 :])
    else:
        path.write_bytes(content[: len(content) // 2 if kind == "truncated" else 0])
