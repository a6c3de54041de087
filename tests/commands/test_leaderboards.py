"""The measurements beside the leaderboard: bounds of linear functions, digits on many splits."""

import json

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from experiments.classifier.config import Config
from experiments.leaderboards import digits, linear, small
from experiments.leaderboards.recipes import RECIPES
from jaxnn import training
from jaxnn.data import load, preprocess

RESULTS = linear.Options().out.parent


def some_images(count, side=4, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, side, side, 1), np.uint8)
    return images, generator.integers(0, 3, count).astype(np.int32)


def test_a_linear_fit_is_the_minimum_that_scikit_learn_finds():
    l2 = 0.1  # the curvature at which float32 tells the last step from the one before, on any processor
    images, labels = some_images(200)
    x = images.reshape(200, -1).astype(np.float32) / 64 - 2
    found = linear.fit(x, labels, l2)
    reference = LogisticRegression(C=1 / (2 * l2 * 200), tol=1e-10, max_iter=5000).fit(x.astype(np.float64), labels)
    scores = reference.decision_function(x)
    loss = np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1)) + scores.max(1) - scores[range(200), labels]
    minimum = loss.mean() + l2 * (reference.coef_**2).sum()
    assert found.converged
    assert minimum - 1e-6 <= found.objective < minimum + 1e-4
    assert found.accuracy(x, labels) == pytest.approx(100 * reference.score(x, labels), abs=1)


def test_mirrored_pixels_give_the_mean_score_of_image_and_mirror_image():
    images, _ = some_images(20, side=6)
    moments = preprocess.fit_moments(images, "channel")
    w = np.random.default_rng(1).normal(size=(6, 6, 1))
    both = [np.asarray(preprocess.standardize(moments, one), np.float64) for one in (images, images[:, :, ::-1])]
    expected = sum((one * w).sum((1, 2, 3)) for one in both) / 2
    half = (w + w[:, ::-1])[:, :3].ravel()  # the weights of a pixel and of its mirror image
    np.testing.assert_allclose(linear.pixels(images, moments, True) @ half, expected, atol=1e-5)
    np.testing.assert_allclose(
        linear.pixels(images, moments, False) @ w.ravel(), (both[0] * w).sum((1, 2, 3)), atol=1e-5
    )


def test_every_random_split_divides_all_digits_in_its_own_way():
    whole = load("digits", validation_share=0)
    first, second = digits.random_splits(whole, 2)
    for split in (first, second):
        assert (len(split.train.labels), len(split.test.labels)) == (1437, 360)
        assert np.bincount(split.test.labels).min() >= 34  # a fifth of each class
        rows = np.concatenate([split.train.inputs, split.test.inputs]).reshape(1797, -1)
        every = np.concatenate([whole.train.inputs, whole.test.inputs]).reshape(1797, -1)
        assert np.array_equal(rows[np.lexsort(rows.T)], every[np.lexsort(every.T)])
    assert not np.array_equal(first.test.inputs, second.test.inputs)


@pytest.mark.usefixtures("standard_promotion")
def test_all_splits_at_once_are_what_each_gives_alone():
    from experiments.classifier.preprocessing import fit_statistics
    from experiments.classifier.presets import resolve
    from experiments.classifier.task import hyperparameters, task_maker

    splits = [split._replace(train=split.train.take(slice(640))) for split in digits.random_splits(load("digits"), 2)]
    config = Config(dataset="digits", hidden=(8,), epochs=2)
    found = digits.train_all(splits, config)
    settings = resolve(config, splits[1])
    statistics = fit_statistics(settings, splits[1].train.inputs)
    task = task_maker(settings, statistics, splits[1].train.inputs, 10)
    data = training.Data(*splits[1].train, statistics, {"test": splits[1].test})
    run, _ = training.fit(task, hyperparameters(settings), jax.random.key(1), data, epochs=2, batch_size=64)
    assert found[0] != found[1]
    assert found[1] == pytest.approx(100 * float(run.history["test_accuracy"][-1]), abs=0.6)  # two of 360


def test_the_measurement_of_digits_is_written_row_by_row_and_paired(tmp_path, monkeypatch):
    reached = {digits.OURS: [99.0, 98.0], "k-NN": [97.0, 97.5], "RBF-SVM": [99.5, 98.5]}
    monkeypatch.setattr(digits, "train_all", lambda splits, config: reached[digits.OURS])
    monkeypatch.setattr(digits, "peer", lambda name, splits: (reached[name], [{}, {}]))
    out = tmp_path / "found.json"
    for name in ("k-NN", "RBF-SVM", digits.OURS):  # earlier rows are kept
        assert digits.main(["--splits", "2", "--row", name, "--out", str(out)]) == 0
    rows = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    assert {name: row["accuracies"] for name, row in rows.items()} == reached
    assert (rows["k-NN"]["behind"], rows["RBF-SVM"]["behind"]) == (1.25, -0.5)
    assert rows["k-NN"]["behind_std"] == pytest.approx(np.std([2.0, 0.5], ddof=1))


def test_the_bounds_are_written_row_by_row_in_the_order_of_the_leaderboard(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxnn.data.load", lambda name, **options: (name, options["validation_share"]))
    monkeypatch.setattr(linear, "bounds", lambda data, row, iterations, say: {"row": row, "fits": [data, iterations]})
    out = tmp_path / "found.json"
    for row, iterations in (("linear-svm", "3"), ("linear-softmax", "4")):
        assert linear.main(["--row", row, "--iterations", iterations, "--out", str(out)]) == 0
    rows = [(row["row"], row["fits"]) for row in json.loads(out.read_text())["rows"]]
    assert rows == [("linear-softmax", [["cifar10", 0], 4]), ("linear-svm", [["cifar10", 0], 3])]


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (digits.main, ["--splits", "0"], "--splits 0"),
        (digits.main, ["--row", "x"], "--row x: choose from"),
        (small.main, ["--row", "x"], "--row x: choose from"),
        (small.main, ["--sizes", "5"], "--sizes 5"),
        (linear.main, ["--iterations", "0"], "--iterations 0"),
        (linear.main, ["--row", "digits"], "--row digits: choose from"),
    ],
)
def test_wrong_options_are_refused(main, arguments, said, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "found.json")]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_few_images_are_equally_many_of_each_class_and_others_for_another_seed():
    whole = load("digits")
    first, second = (small.draw(whole, 100, seed).train for seed in (0, 1))
    assert abs(np.bincount(first.labels) - 10).max() <= 1
    assert not np.array_equal(first.inputs, second.inputs)


def test_the_setting_that_is_best_on_validation_examples_is_tested(monkeypatch):
    dataset = load("digits")
    right = {"bad": 0, "good": 1}
    monkeypatch.setattr(small, "trained", lambda name, setting, dataset, seed: lambda x: x * right[setting])
    monkeypatch.setattr(small, "SETTINGS", {"any": ["bad", "good"]})
    split = dataset.validation._replace(inputs=np.arange(1, 4), labels=np.arange(1, 4))
    found = small.compare("any", [dataset._replace(validation=split, test=split)] * 2)
    assert (found["setting"], found["validation"], found["accuracies"]) == ("good", [0.0, 100.0], [100.0, 100.0])


def test_every_stored_number_follows_from_its_accuracies():
    files = ("digits_splits.json", "small.json")
    for row in (row for name in files for row in json.loads((RESULTS / name).read_text())["rows"]):
        assert row["mean"] == pytest.approx(np.mean(row["accuracies"]), abs=1e-9)
        assert row["std"] == pytest.approx(np.std(row["accuracies"], ddof=1), abs=1e-9)


def test_the_bounds_are_of_the_linear_rows_of_the_leaderboard():
    found = json.loads((RESULTS / "linear.json").read_text())
    for row in found["rows"]:
        assert RECIPES[row["row"]].recipe["model"] == "linear"
