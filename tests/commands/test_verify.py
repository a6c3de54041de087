"""A finished run is certified bit for bit; one flipped byte, one other setting and another compiler level are named."""

import json
import re
import shutil

import jax
import numpy as np
import pytest

from experiments import sweep, train, verify
from experiments.classifier import resume
from experiments.cli import environment, files

pytestmark = pytest.mark.usefixtures("undrawn")
QUICK = ["--hidden", "4", "--epochs", "3", "--batch-size", "200"]


@pytest.fixture(scope="module", autouse=True)
def as_commands_run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("standard"):
        patch.setenv("JAXNN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory, undrawn):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert train.main([*QUICK, "--checkpoint-every", "1", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def said(capsys):
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


@pytest.mark.parametrize("fast", [[], ["--fast"]])
def test_a_run_is_certified_and_only_read(run, capsys, fast):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert verify.main([str(run), *fast]) == 0
    assert re.search(r"\d files replayed in .* certified, bit for bit", said(capsys))
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.fixture
def replayed(run, monkeypatch):
    """The replay, as it is where all is well."""
    monkeypatch.setattr(verify, "_replay", lambda folder, again, fast: shutil.copytree(run, again))


def test_each_file_with_a_flipped_byte_is_named(copy, capsys, replayed):
    flipped = []
    for path in sorted(path for path in copy.rglob("*") if path.is_file() and path.name != files.SUMS):
        if path.name in ("summary.json", "config.json"):  # the replay reads them: other tests
            continue
        whole = path.read_bytes()
        content = bytearray(whole)
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert verify.main([str(copy)]) == 1, path.name
        assert f"{path} is damaged" in said(capsys).replace(" /", "/")
        path.write_bytes(whole)
        flipped.append(path.suffix)
    assert {".npz", ".csv", ".png"} <= set(flipped)
    (copy / "history.csv").unlink()
    assert verify.main([str(copy)]) == 1
    assert "history.csv is missing" in said(capsys)


def test_changed_numbers_are_named_with_epoch_array_and_distance(copy, capsys, replayed):
    arrays = files.read_flat(copy / "classifier.npz")
    arrays["params/1/b"] = arrays["params/1/b"] + np.float32(1e-3) * np.abs(arrays["params/1/b"]).max()
    files.write_arrays(copy / "classifier.npz", arrays)
    rows = (copy / "history.csv").read_text().splitlines()
    cells = rows[2].split(",")
    cells[1] = str(float(cells[1]) / 2)
    rows[2] = ",".join(cells)
    (copy / "history.csv").write_text("\n".join(rows) + "\n")
    files.write_sums(copy)
    assert verify.main([str(copy)]) == 1
    words = said(capsys)
    assert re.search(r"classifier.npz differs in 1 of 6 arrays, params/1/b most: by 1.0e-03", words)
    assert re.search(r"history.csv differs from epoch 2: accuracy", words)
    assert "explained by: nothing in versions, code, machine or options" in words


def test_another_setting_differs_from_the_first_epoch(copy, capsys):
    settings = files.read_sealed(copy / "config.json")
    files.write_sealed(copy / "config.json", settings | {"learning_rate": settings["learning_rate"] * 1.01})
    files.write_sums(copy)
    assert verify.main([str(copy)]) == 1
    assert "history.csv differs from epoch 1" in said(capsys)


def test_another_compiler_level_is_named(copy, capsys, replayed):
    summary = json.loads((copy / "summary.json").read_text())
    summary["options"]["jax_disable_most_optimizations"] = True
    files.write_json(copy / "summary.json", summary)
    arrays = files.read_flat(copy / "classifier.npz")
    files.write_arrays(
        copy / "classifier.npz", {name: np.nextafter(a, np.inf, dtype=a.dtype) for name, a in arrays.items()}
    )
    files.write_sums(copy)
    assert verify.main([str(copy)]) == 1
    words = said(capsys)
    assert "1 differ, by at most" in words
    assert "explained by: jax_disable_most_optimizations True there, False here" in words


def test_a_damaged_config_an_unfinished_run_and_no_checkpoint_are_errors(copy, capsys):
    shutil.rmtree(copy / resume.FOLDER)
    files.write_sums(copy)
    assert verify.main([str(copy), "--fast"]) == 2
    assert "keeps no checkpoint from before its end" in said(capsys)
    text = (copy / "config.json").read_text()
    (copy / "config.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    assert verify.main([str(copy)]) == 2
    assert "config.json is damaged or was changed" in said(capsys)
    (copy / files.SUMS).unlink()
    assert verify.main([str(copy)]) == 2
    assert "has no SHA256SUMS" in said(capsys)
    (copy / "summary.json").unlink()
    assert verify.main([str(copy)]) == 2
    assert "holds no finished run" in said(capsys)


def test_a_sweep_is_certified_with_its_best_run(tmp_path, capsys, monkeypatch):
    out = tmp_path / "sweep"
    options = ["--dataset", "moons", "--model", "linear", "--epochs", "3", "--seeds", "2"]
    assert sweep.main([*options, "--learning-rates", "0.1", "0.2", "--l2s", "0", "--out", str(out)]) == 0
    assert verify.main([str(out)]) == 0
    assert "certified, bit for bit" in said(capsys)
    shutil.copytree(out, tmp_path / "whole")
    monkeypatch.setattr(verify, "_replay", lambda folder, again, fast: shutil.copytree(tmp_path / "whole", again))
    arrays = files.read_flat(out / "best" / "classifier.npz")
    files.write_arrays(out / "best" / "classifier.npz", {name: array + 1 for name, array in arrays.items()})
    files.write_sums(out)
    assert verify.main([str(out)]) == 1
    assert re.search(r"best/classifier.npz differs in (\d) of \1 arrays", said(capsys))
    monkeypatch.undo()
    assert verify.main([str(out), "--fast"]) == 2
    assert "a sweep, which has no checkpoints" in said(capsys)


def test_what_changed_between_two_environments():
    now = environment.environment()
    assert list(environment.changes(now, now)) == []
    there = json.loads(json.dumps(now))
    there["versions"]["jaxlib"], there["instructions"] = "0.9.0", "SSE4_2"
    assert list(environment.changes(there, now)) == [
        f"jaxlib '0.9.0' there, {now['versions']['jaxlib']!r} here",
        f"instructions 'SSE4_2' there, {now['instructions']!r} here",
    ]
