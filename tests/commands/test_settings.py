"""What settings, presets and recipes mean: the task that is made of them, and what a preset may replace."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.classifier.config import Config
from experiments.classifier.preprocessing import fit_statistics
from experiments.classifier.presets import DEFAULTS, PRESETS, apply_preset, resolve
from experiments.classifier.task import AUGMENTATIONS, hyperparameters, task_maker
from experiments.cli import parser
from jaxnn.data import load

pytestmark = pytest.mark.usefixtures("standard_promotion")


def test_every_default_belongs_to_a_setting_and_hyperparameters_are_traced(compiled):
    dataset = load("digits")
    settings = resolve(Config(dropout=0.5, input_dropout=0.1, smoothing=0.1), dataset)
    for defaults in DEFAULTS.values():
        assert set(defaults) <= set(vars(settings))
    make_task = task_maker(settings, fit_statistics(settings, dataset.train.inputs), dataset.train.inputs, 10)
    traced = hyperparameters(settings)
    assert set(traced) == {"learning_rate", "l2", "momentum", "dropout", "input_dropout", "smoothing"}

    def scores(h):
        task = make_task(h)
        params = task.model.init(jax.random.key(0))
        return task.loss(task.model.apply(params, jnp.ones((2, 8, 8, 1)), key=jax.random.key(1)), jnp.array([0, 1]))

    program = jax.jit(scores)
    with jax.log_compiles():
        first = program(traced)
        assert any("scores" in name for name in compiled())
        second = program({**traced, "dropout": 0.1, "smoothing": 0.2})
        assert not any("scores" in name for name in compiled())
    assert not np.allclose(first, second)


def task_of(**options: Any):
    """The task of `digits` with these settings."""
    dataset = load("digits")
    settings = resolve(Config(**options), dataset)
    inputs = dataset.train.inputs
    return task_maker(settings, fit_statistics(settings, inputs), inputs, 10)(hyperparameters(settings))


def test_weights_decay_and_biases_do_not():
    optimizer = task_of(optimizer="adamw", learning_rate=0.5, weight_decay=0.1, schedule="constant").optimizer
    params = [{"w": jnp.full((2, 3), 4.0), "b": jnp.full(2, 4.0)}]
    updates: Any = optimizer.update(jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params)[0]
    np.testing.assert_allclose(updates[0]["w"], np.full((2, 3), -0.5 * 0.1 * 4.0), rtol=1e-6)
    np.testing.assert_array_equal(updates[0]["b"], np.zeros(2))


def test_every_augmentation_has_its_own_randomness(monkeypatch):
    drawn = []
    for name in AUGMENTATIONS:
        monkeypatch.setitem(
            AUGMENTATIONS, name, lambda key, images: drawn.append(float(jax.random.uniform(key))) or images
        )
    change = task_of(augment=("flip", "crop", "cutout", "mixup")).augment
    assert change is not None
    for step in range(2):
        change(jax.random.key(step), jnp.zeros((2, 8, 8, 1)))
    assert len(drawn) == len(set(drawn)) == 6


@pytest.mark.parametrize(
    ("name", "axes"),
    [("center", 0), ("standardize", 0), ("standardize-channel", (0, 1, 2)), ("standardize-global", None)],
)
def test_the_statistics_of_the_preprocessing_are_over_what_its_name_says(name, axes):
    images = np.random.default_rng(0).integers(0, [50, 100, 250], (20, 4, 5, 3)).astype(np.uint8)
    statistics = fit_statistics(Config(preprocess=name), images)
    expected = images.mean(axes, dtype=np.float64)
    np.testing.assert_allclose(statistics.mean, np.squeeze(expected), rtol=1e-5)
    np.testing.assert_allclose(statistics.std, np.squeeze(images.std(axes, dtype=np.float64)), rtol=1e-5)


def test_a_recipe_is_taken_whole_where_nothing_is_given_in_its_place():
    config, told = apply_preset(Config(dataset="cifar10", seed=3, epochs=2))
    assert vars(config) == vars(Config(dataset="cifar10", seed=3, epochs=2)) | PRESETS["cifar10"] | {"epochs": 2}
    assert "--hidden 2048" in told
    assert "--augment flip crop" in told
    assert "--epochs" not in told
    assert "--mirror " in told
    assert "--mirror True" not in told
    config, _ = apply_preset(Config(dataset="idx:somewhere/mnist"))
    assert vars(config) == vars(Config(dataset="idx:somewhere/mnist")) | PRESETS["idx"]
    for other in (
        Config(dataset="digits", model="linear"),
        Config(dataset="cifar10", model="linear"),
        Config("cifar10", dropout=0.5),
    ):
        assert apply_preset(other) == (other, "")


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("--dataset folder:photos --model mlp", False),
        ("--dataset folder:photos --schedule cosine --seed 1", False),
        ("--dataset cifar10 --no-mirror", False),
        ("--dataset folder:photos --epochs 3", True),
        ("--dataset cifar10 --model mlp", True),
        ("--dataset digits --momentum 0.9", True),
    ],
)
def test_a_preset_does_not_replace_what_was_typed(line, taken):
    config = parser.parse(Config, prog="train", description="", args=line.split())
    completed, told = apply_preset(config)
    assert bool(told) == taken
    assert taken or completed == config


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_is_of_settings_that_fit_together(name):
    recipe: dict[str, Any] = PRESETS[name] | {"batch_size": 32}
    recipe |= {"components": 20} if "components" in recipe else {}
    settings = resolve(Config(**recipe), load("digits"))
    assert set(PRESETS[name]) <= set(vars(settings))
