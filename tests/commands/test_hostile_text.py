"""Text and shapes of the user's data that programs trip over, through every command that shows them."""

import html
import json
import warnings

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments import export, predict, sweep, train
from experiments.classifier import results
from experiments.cli import command
from jaxnn import plots

HOSTILE = [
    "$10_$20", "$x^", "a_b^{c", "[old] dog", "[b]bold[final]", "[/sub]", "<script>&amp;", "'single\" quotes",
    "two\nlines", "tab\tand\x1b[31m", "\u202eright to left עברית", "emoji 🐕", "中文", "x" * 300, "back\\slash$",
    "%s {0}", "lone\udcff",
]  # fmt: skip
"""The one list; a name that breaks something anywhere belongs here."""
SHORT = ["--model", "linear", "--epochs", "2", "--batch-size", "16", "--preprocess", "standardize-global"]


@pytest.fixture(autouse=True)
def promotion_of_types_as_users_have_it(standard_promotion):
    """The commands run with JAX's usual settings."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images of four channels whose classes have the hostile names."""
    file = tmp_path_factory.mktemp("data") / "[b]$old$.npz"
    labels = np.repeat(np.arange(len(HOSTILE)), 10)
    images = np.random.default_rng(0).integers(0, 255, (len(labels), 6, 6, 3), dtype=np.uint8)
    np.savez(file, x=images, y=np.array(HOSTILE, dtype=object)[labels])
    return file


def warnings_of(printed):
    return [line for line in printed.splitlines() if "was not drawn" in line]


def test_hostile_names_pass_through_every_command(data, tmp_path, capsys):
    out = tmp_path / "[/run] $a$"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train.main(["--dataset", f"npz:{data}", *SHORT, "--out", str(out)]) == 0
        printed = capsys.readouterr().out
        assert not warnings_of(printed)
        assert str(out) in printed.replace("\n", "")
        assert sorted(json.loads((out / "config.json").read_text())["classes"]) == sorted(
            name.strip() for name in HOSTILE
        )
        figures = {"learning_curves", "confusion", "templates", "mistakes"}
        assert {path.stem for path in out.glob("*.png")} == figures
        scalars = EventAccumulator(str(out / "tensorboard"))
        scalars.Reload()
        assert "loss" in scalars.Tags()["scalars"]

        pictures = []
        for i, name in enumerate(name for name in HOSTILE if {*name} & {*"$[\udcff"}):
            path = tmp_path / "in [/sub]" / f"{i}{name.replace('/', '|')[:60]}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 9), (i, 200, 0)).save(path)
            pictures.append(path)
        assert predict.main([*map(str, pictures), "--run", str(out), "--out", str(tmp_path / "seen")]) == 0
        printed = capsys.readouterr().out
        assert not warnings_of(printed)
        assert "in [/sub]/2[old] dog.png" in printed.replace("\n", "")
        assert "[b]bold[final]" in printed
        assert len(list((tmp_path / "seen").glob("*.png"))) == len(pictures) > 5

        grid = ["--learning-rates", "0.01", "0.1", "--seeds", "1"]
        assert (
            sweep.main(["--dataset", f"npz:{data}", *SHORT, *grid, "--no-final", "--out", str(tmp_path / "sweep")]) == 0
        )
        assert export.main(["--run", str(out), "--formats", "jax", "--out", str(tmp_path / "exported")]) == 0


def test_names_are_drawn_as_they_are(tmp_path):
    names = ["$10_$20", "<b>&", "two\nlines"]
    figure = plots.confusion(np.array([[5, 3, 0], [0, 8, 0], [0, 3, 5]]), names)
    plots.save(figure, tmp_path / "a")
    shown = html.unescape((tmp_path / "a.svg").read_text())
    assert "$10_$20 taken for <b>&; two lines taken for <b>&, 38 % of the class each" in shown.replace("\\$", "$")


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_any_number_of_channels_is_drawn(channels, tmp_path):
    images = np.random.default_rng(0).normal(size=(3, 8, 9, channels))
    plots.save(plots.templates(images, ["a", "b", "c"]), tmp_path / "templates")
    plots.save(plots.mistakes(images, [0, 1, 2], [1, 0, 2], [0.9, 0.8, 0.5], ["a", "b", "c"]), tmp_path / "mistakes")


def test_four_channels_first_are_trained_on(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 255, (40, 4, 8, 9), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", x=images, y=np.arange(40) % 2)
    assert train.main(["--dataset", f"npz:{tmp_path / 'own.npz'}", "--quick", "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "channels first" in printed
    assert not warnings_of(printed)
    assert (tmp_path / "run" / "templates.png").exists()


def test_points_of_two_columns_get_decision_regions_and_prices_are_text(tmp_path, capsys):
    rows = [f"{i},{(7 * i) % 11},{('$10_$20', '$20_$30')[i % 2]}" for i in range(60)]
    (tmp_path / "p.csv").write_text("\n".join(["a,b,price", *rows]))
    options = ["--dataset", f"csv:{tmp_path / 'p.csv'}", "--label", "price", *SHORT[:4], "--out", str(tmp_path / "run")]
    assert train.main(options) == 0
    assert not warnings_of(capsys.readouterr().out)
    assert (tmp_path / "run" / "decision_regions.png").exists()
    assert train.main(["--resume", str(tmp_path / "run"), "--epochs", "9"]) == 0
    assert "nothing to resume; ignored: --epochs 2 there, 9 now" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("middle", "half"), [(0.0506, 0.891), (1030.0, 7.3), (-4e-5, 1e-6)])
def test_ticks_of_decision_regions_are_round_values_of_the_inputs(middle, half):
    places, texts = results.round_ticks(middle, half)
    assert 3 <= len(texts) <= 6
    assert np.abs(places).max() <= 1.2
    np.testing.assert_allclose([float(text) for text in texts], middle + half * places, rtol=1e-5, atol=1e-9)
    digits = {len(text.lstrip("-").split("e")[0].replace(".", "").strip("0")) for text in texts if float(text)}
    assert max(digits) <= 4  # as in 1022.5, not 0.05056


SIZES = {"broken": 3, "good": 2}


def test_a_figure_that_fails_is_a_warning_and_costs_nothing(tmp_path):
    told = []
    makers = {name: lambda n=n: plots.confusion(np.eye(n, dtype=int), ["a", "b"]) for name, n in SIZES.items()}
    results.draw(tmp_path, makers, told.append)
    assert "broken was not drawn" in told[0]
    assert (tmp_path / "good.png").exists()


def test_a_console_prints_every_character_as_it_is(capsys):
    for name in HOSTILE:
        command.say(Console(width=1000), name)
    assert "[b]bold[final]" in capsys.readouterr().out
