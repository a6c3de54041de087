"""The search space of a sweep as a TOML file: what is drawn from it, and what is wrong with it."""

import numpy as np
import pytest

from experiments import sweep
from experiments.classifier.config import Settings
from experiments.sweeps import grid


def test_settings_are_drawn_from_the_ranges_of_a_space(tmp_path):
    file = tmp_path / "space.toml"
    ranges = "learning_rate = { low = 1e-3, high = 1.0, scale = 'log' }\ndropout = { low = 0.2, high = 0.6 }\n"
    file.write_text(f"{ranges}width = [2, 200, 5]\ndraws = 400\nseed = 1\n")
    config = grid.SweepConfig(space=file)
    settings = Settings(hidden=(200,), momentum=0.9)
    values = grid.tried_values(config, settings)
    assert values == {"learning_rates": (1e-3, 1.0), "dropouts": (0.2, 0.6), "widths": (2, 5, 200)}
    assert grid.is_random(config)
    h = grid.hparams_of(config, settings, values)
    for drawn, low, high in ((np.log10(h["learning_rate"]), -3, 0), (h["dropout"], 0.2, 0.6)):
        fractions = np.sort((drawn - low) / (high - low))
        assert np.abs(fractions - np.linspace(0, 1, 400)).max() < 1.63 / 20  # Kolmogorov-Smirnov, 1 %
    assert np.unique(h["width"]).tolist() == [2, 5, 200]
    assert np.unique(h["width"], return_counts=True)[1].min() > 100
    again = grid.hparams_of(config, settings, values)
    np.testing.assert_array_equal(h["learning_rate"], again["learning_rate"])
    file.write_text(file.read_text().replace("seed = 1", "seed = 2"))
    assert (grid.hparams_of(config, settings, values)["learning_rate"] != again["learning_rate"]).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("rate = [1.0]", "--space: 'rate' is none of learning_rate, l2, dropout, width, draws, seed"),
        ("draws = 3", "nothing to try"),
        ("l2 = []", "l2 must be a list of numbers or a range, got []"),
        ("l2 = ['a']", "l2 must be a list of numbers or a range, got ['a']"),
        ("l2 = 3", "l2 must be a list or { low"),
        ("l2 = { low = 1 }", "l2 must be a list or { low"),
        ("l2 = { low = 0, high = 1, scale = 'log' }\ndraws = 2", "above 0, got 0 and 1"),
        ("l2 = { low = 1, high = 2, scale = 'ln' }\ndraws = 2", "scale of l2 must be one of linear, log, got 'ln'"),
        ("l2 = { low = 1, high = 2 }", "give draws = 64"),
        ("l2 = [1]\ndraws = 0", "draws must be a whole number of at least 1, got 0"),
        ("dropout = [1.5]", "--dropouts 1.5: each must be at least 0 and below 1"),
        ("l2 =", "cannot be read"),
    ],
)
def test_wrong_spaces(content, said, tmp_path, capsys):
    (tmp_path / "space.toml").write_text(content)
    assert sweep.main(["--dataset", "moons", "--space", str(tmp_path / "space.toml")]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_space_stands_alone(tmp_path, capsys):
    (tmp_path / "space.toml").write_text("l2 = [0.1]")
    assert sweep.main(["--l2s", "0.1", "--space", str(tmp_path / "space.toml")]) == 2
    assert "leave out --random and the lists" in capsys.readouterr().err
