"""`load`: digits against scikit-learn, the real CIFAR-10, splits, toy sets by name, wrong arguments."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from jaxnn.data import Dataset, load, toy
from jaxnn.data._split import stratified_split

ROOT = Path(__file__).parents[2]


def rows(dataset: Dataset) -> list[bytes]:
    """All examples of the three splits with their labels, as bytes, sorted."""
    return sorted(
        np.ascontiguousarray(example).tobytes() + bytes([label])
        for split in dataset[2:5]
        for example, label in zip(*split, strict=True)
    )


def same(first, second) -> bool:
    return np.array_equal(first.inputs, second.inputs) and np.array_equal(first.labels, second.labels)


def test_digits_are_those_of_scikit_learn_pixel_for_pixel():
    reference: Any = load_digits()
    dataset = load("digits")
    assert dataset.name == "digits"
    assert dataset.classes == tuple("0123456789")
    for split in dataset[2:5]:
        assert split.inputs.dtype == np.uint8
        assert split.inputs.shape[1:] == (8, 8, 1)
        assert split.labels.dtype == np.int32
    assert dataset.train.inputs.max() == 16
    expected = (
        image.astype(np.uint8).tobytes() + bytes([label])
        for image, label in zip(reference.data, reference.target, strict=True)
    )
    assert rows(dataset) == sorted(expected)


def test_digits_splits_are_stratified_exactly():
    dataset = load("digits", validation_share=0.25)
    reference: Any = load_digits()
    total = np.bincount(reference.target)
    test = np.array([round(0.2 * n) for n in total])
    validation = np.array([round(0.25 * n) for n in total - test])
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), test)
    np.testing.assert_array_equal(np.bincount(dataset.validation.labels), validation)
    np.testing.assert_array_equal(np.bincount(dataset.train.labels), total - test - validation)


def test_seed_moves_the_validation_split_and_never_the_test_split():
    first, again, other = load("digits", seed=1), load("digits", seed=1), load("digits", seed=2)
    for split in ("train", "validation", "test"):
        assert same(getattr(first, split), getattr(again, split))
    assert same(first.test, other.test)
    assert not same(first.validation, other.validation)
    assert same(first.test, load("digits", validation_share=0.3).test)


def test_no_validation_split_on_request():
    dataset = load("digits", validation_share=0)
    assert dataset.validation.inputs.shape == (0, 8, 8, 1)
    assert len(dataset.validation.labels) == 0
    assert rows(dataset) == rows(load("digits"))


@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**70),
)
def test_hold_out_partitions_and_rounds(counts, share, seed):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    names = [f"class {i}" for i in range(len(counts))]
    expected = np.array([round(share * n) for n in counts])
    possible = all(n == 0 or 0 < k < n for n, k in zip(counts, expected, strict=True))
    if not possible:
        with pytest.raises(ValueError, match=r"share=.* of class 'class \d'"):
            stratified_split(labels, share, seed=[seed], classes=names, setting=f"share={share}", advice="")
        return
    kept, held = stratified_split(labels, share, seed=[seed], classes=names, setting=f"share={share}", advice="")
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    np.testing.assert_array_equal(np.bincount(labels[held], minlength=len(counts)), expected)
    np.testing.assert_array_equal(kept, np.sort(kept))
    np.testing.assert_array_equal(held, np.sort(held))


def test_hold_out_gives_every_example_the_same_chance():
    labels = np.repeat([0, 1], 10)
    held = np.zeros(20)
    for seed in range(2000):
        held[stratified_split(labels, 0.3, seed=[seed], classes="ab", setting="share", advice="")[1]] += 1
    np.testing.assert_allclose(held / 2000, 0.3, atol=0.05)  # five standard deviations


@pytest.mark.parametrize("name", ["circle", "spiral", "moons", "xor", "gauss"])
def test_toy_sets_are_the_points_of_their_functions(name):
    dataset = load(name, size=300, noise=0.1, seed=5)
    inputs, labels = getattr(toy, name)(300, noise=0.1, seed=5)
    assert dataset.classes == tuple(str(i) for i in range(labels.max() + 1))
    assert dataset.train.inputs.dtype == np.float32
    assert rows(dataset) == sorted(x.tobytes() + bytes([y]) for x, y in zip(inputs, labels, strict=True))
    assert len(dataset.test.labels) == 60
    assert len(dataset.validation.labels) == 24


def test_toy_options_reach_the_function():
    dataset = load("spiral", size=70, noise=0, classes=7, validation_share=0)
    np.testing.assert_array_equal(np.bincount(dataset.train.labels), [8] * 7)
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), [2] * 7)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"validation_share": 1}, ValueError, "validation_share .* below 1, got 1"),
        ({"validation_share": -0.1}, ValueError, r"validation_share .* got -0\.1"),
        ({"validation_share": float("nan")}, ValueError, "validation_share .* got nan"),
        ({"validation_share": "0.1"}, TypeError, r"validation_share .* got '0\.1'"),
        ({"validation_share": True}, TypeError, "validation_share .* got True"),
        ({"validation_share": 0.999}, ValueError, r"validation_share=0\.999 .* class '0'"),
        ({"validation_share": 1e-6}, ValueError, "validation_share=1e-06 .* class '0' is 0"),
        ({"seed": -1}, ValueError, "seed .* got -1"),
        ({"seed": 1.0}, TypeError, r"seed .* got 1\.0"),
        ({"seed": None}, TypeError, "seed .* got None"),
        ({"seed": True}, TypeError, "seed .* got True"),
        ({"size": 300}, TypeError, "'digits' has no option 'size'; toy sets have some: circle, spiral"),
        ({"validaton_share": 0.1}, TypeError, "no option 'validaton_share'; did you mean 'validation_share'"),
        ({"name": "spiral", "noize": 1}, TypeError, "'spiral' has no option 'noize'; did you mean 'noise'"),
        ({"name": "circle", "classes": 3}, TypeError, "'circle' has no option 'classes'; it has size, noise"),
        ({"name": "spiral", "size": -5}, ValueError, "size .* got -5"),
        ({"name": "spiral", "noise": -1}, ValueError, "noise .* got -1"),
        (
            {"name": "spiral", "size": 6},
            ValueError,
            r"0\.2 \(held out for testing\) of the 2 examples .* leave the class out",
        ),
        ({"name": 3}, TypeError, "name .* got 3"),
        ({"name": "cifr10"}, ValueError, "unknown data set 'cifr10'; did you mean 'cifar10'"),
        ({"name": "CIFAR10"}, ValueError, "unknown data set 'CIFAR10'; did you mean 'cifar10'"),
        ({"name": "digit"}, ValueError, "did you mean 'digits'"),
        ({"name": "spirale"}, ValueError, "did you mean 'spiral'"),
        ({"name": ""}, ValueError, "unknown data set ''"),
        ({"name": "../cifar10"}, ValueError, "unknown data set '../cifar10'; did you mean 'cifar10'"),
        ({"name": "zzzzzz"}, ValueError, "unknown data set 'zzzzzz'; known are digits"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message) as caught:
        load(**{"name": "digits", "data_dir": tmp_path, "cache_dir": tmp_path, **arguments})
    assert caught.value.__context__ is None  # no second traceback in front of it
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_real_cifar10_has_its_known_counts_and_moments(cifar10_cache):
    dataset = load("cifar10", cache_dir=cifar10_cache, validation_share=0)
    assert dataset.classes[3] == "cat"
    assert dataset.train.inputs.shape == (50_000, 32, 32, 3)
    assert dataset.test.inputs.shape == (10_000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(dataset.train.labels), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), [1000] * 10)
    # whole histograms are exact, so are the moments from them
    levels = np.arange(256) / 255
    for channel, (mean, std) in enumerate(
        [(0.49139968, 0.24703223), (0.48215841, 0.24348513), (0.44653091, 0.26158784)]
    ):
        share = np.bincount(dataset.train.inputs[..., channel].ravel(), minlength=256) / (50_000 * 1024)
        assert share @ levels == pytest.approx(mean, abs=1e-8)
        assert (share @ levels**2 - (share @ levels) ** 2) ** 0.5 == pytest.approx(std, abs=1e-8)


@pytest.mark.slow
def test_real_cifar10_validation_split_is_500_of_each_class(cifar10_cache):
    dataset = load("cifar10", cache_dir=cifar10_cache)
    np.testing.assert_array_equal(np.bincount(dataset.train.labels), [4500] * 10)
    np.testing.assert_array_equal(np.bincount(dataset.validation.labels), [500] * 10)
    whole = load("cifar10", cache_dir=cifar10_cache, validation_share=0)
    train, validation = ({image.tobytes() for image in split.inputs} for split in dataset[2:4])
    assert train | validation == {image.tobytes() for image in whole.train.inputs}
    assert len(train & validation) == 0


@pytest.mark.slow
def test_the_cached_path_does_not_import_tfds(cifar10_cache):
    code = (
        "import sys; from jaxnn.data import load\n"
        f"assert len(load('cifar10', cache_dir={str(cifar10_cache)!r}).train.labels) == 45000\n"
        "print([m for m in ('jax', 'sklearn', 'PIL', 'tensorflow_datasets') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "[]"
