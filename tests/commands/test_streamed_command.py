"""`experiments.train` with images that stay on disk: the run in memory, killed within an epoch, over processes."""

import csv
import json
import os
import re
import signal
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds
from prepared_sets import examples, images, prepare
from processes import CONVEX, assert_same_results, free_port, start_python, unfinished, wait_for

from experiments import export, sweep, train
from experiments.classifier import resume, saved_classifier
from experiments.cli import command
from jaxnn import checkpoint, training
from jaxnn.data import _load, load
from jaxnn.data._tfds import _lazy

pytestmark = pytest.mark.usefixtures("undrawn", "standard_promotion")

SHAPE, TRAIN, TEST = (6, 5, 3), 300, 37
COUNTED = ["--epochs", "3", "--batch-size", "16", "--checkpoint-minutes", "0"]
NETWORK = ["--hidden", "12"]
CHANGED = [
    "--augment",
    "flip",
    "crop",
    "--mirror",
    "--preprocess",
    "whiten",
    "--average",
    "0.9",
    "--early-stopping",
    "9",
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A prepared set called tiny, whose labels can be learned: the images of one class are brighter."""
    folder = tmp_path_factory.mktemp("sets")
    label = tfds.features.ClassLabel(names=["dark", "bright"])
    parts = {
        split: examples(
            [(image // 2 + 80 * (i % 2)).astype(np.uint8) for i, image in enumerate(images(n, SHAPE, seed))]
        )
        for split, n, seed in (("train", TRAIN, 0), ("test", TEST, 1))
    }
    prepare(folder, {"image": tfds.features.Image(shape=SHAPE), "label": label}, parts)
    return folder


def options(data_dir, share="0", model=NETWORK):
    return ["--dataset", "tiny", "--data-dir", str(data_dir), "--memory-share", share, *COUNTED, *model]


def history(folder):
    return {
        name: np.array(values, float)
        for name, *values in zip(*csv.reader((folder / "history.csv").read_text().splitlines()), strict=True)
        if name != "seconds"
    }


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(data_dir, tmp_path_factory):
    """A streamed run that was never stopped."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    with jax.numpy_dtype_promotion("standard"):
        assert train.main([*options(data_dir), "--out", str(out)]) == 0
    return out


@pytest.mark.portable
@pytest.mark.parametrize(
    "changes", [pytest.param([], id="plain"), pytest.param(CHANGED, marks=pytest.mark.slow, id="every change")]
)
def test_a_streamed_run_is_the_run_in_memory(changes, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXNN_CACHE_DIR", str(tmp_path / "cache"))
    folders = {share: tmp_path / share for share in ("0", "1")}
    for share, folder in folders.items():
        assert train.main([*options(data_dir, share, CONVEX), *changes, "--out", str(folder)]) == 0
        assert ("are read from" in capsys.readouterr().out) == (share == "0")
    found, wanted = map(history, folders.values())
    assert list(wanted) == list(found)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)
    one, other = ({path.name for path in folder.iterdir()} for folder in folders.values())
    assert one == other
    one, other = map(summary, folders.values())
    assert set(one) == set(other)
    assert one["test_accuracy"] == pytest.approx(other["test_accuracy"])
    assert one["test_loss"] == pytest.approx(other["test_loss"], rel=1e-5)
    assert other["test_accuracy"] > 0.8


def test_predict_and_export_take_the_folder(data_dir, undisturbed, tmp_path):
    test = load("tiny", data_dir=data_dir, cache_dir=tmp_path, validation_share=0).test
    described = saved_classifier.describe(undisturbed)
    scores = np.asarray(saved_classifier.read_classifier(undisturbed, described).score(jnp.float32(test.inputs)))
    assert (scores.argmax(1) == test.labels).mean() == pytest.approx(summary(undisturbed)["test_accuracy"])
    assert export.main(["--run", str(undisturbed), "--out", str(tmp_path / "exported")]) == 0
    assert (tmp_path / "exported" / "classifier.jax").exists()


def test_what_would_fill_the_memory_is_streamed_and_told(data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXNN_CACHE_DIR", str(tmp_path / "cache"))
    size = (TRAIN + TEST) * np.prod(SHAPE)
    monkeypatch.setattr(_load, "memory", lambda: 2 * size)
    given: dict[str, Any] = {"data_dir": data_dir, "memory_share": 0.5}
    assert isinstance(load("tiny", **given).train.inputs, np.ndarray)
    monkeypatch.setattr(_load, "memory", lambda: 2 * size - 1)
    assert isinstance(load("tiny", **given).train.inputs, _lazy.DiskImages)
    assert isinstance(load("tiny", data_dir=data_dir).train.inputs, np.ndarray)  # as without the option
    arguments = [*options(data_dir)[:4], *COUNTED, *NETWORK, "--quick", "--epochs", "1"]
    assert train.main([*arguments, "--out", str(tmp_path / "run")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"are read from {data_dir}/tiny/1.0.0" in said
    assert "fitted on all training examples" in said


def test_the_splits_are_those_of_the_set_in_memory(data_dir, tmp_path):
    given: dict[str, Any] = {"data_dir": data_dir, "cache_dir": tmp_path, "validation_share": 0.2, "seed": 3}
    held, kept = load("tiny", **given, memory_share=0), load("tiny", **given)
    assert held.classes == kept.classes == ("dark", "bright")
    for one, other in zip(held[2:5], kept[2:5], strict=True):
        assert one.inputs.shape == other.inputs.shape
        np.testing.assert_array_equal(np.asarray(one.inputs), other.inputs)
        np.testing.assert_array_equal(np.asarray(one.inputs[::7][np.array([3, 1])]), other.inputs[::7][[3, 1]])
        np.testing.assert_array_equal(one.labels, other.labels)


def test_the_statistics_are_of_a_part_that_fits(data_dir, monkeypatch):
    from experiments.classifier import preprocessing
    from experiments.classifier.config import Config

    images = load("tiny", data_dir=data_dir, memory_share=0).train.inputs
    monkeypatch.setattr(preprocessing, "FITTED_BYTES", images.nbytes // 3 - 1)
    found = preprocessing.fit_statistics(Config(preprocess="standardize"), images)
    np.testing.assert_allclose(found.mean, np.asarray(images)[::4].mean(0), rtol=1e-6)
    assert preprocessing.subsample_stride(images) == 4
    assert preprocessing.subsample_stride(np.asarray(images)) == 1


def test_images_on_disk_are_told_apart(data_dir):
    prints = set()
    settings: list[dict[str, Any]] = [{}, {"seed": 1}, {"validation_share": 0.2}]
    for given in settings:
        prints.add(resume.fingerprint(load("tiny", data_dir=data_dir, memory_share=0, **given)))
        prints.add(resume.fingerprint(load("tiny", data_dir=data_dir, memory_share=0, **given)))
    assert len(prints) == 3
    images: Any = load("tiny", data_dir=data_dir, memory_share=0).train.inputs
    assert images[np.array([0, 1])].fingerprint != images[np.array([1, 0])].fingerprint
    assert images[np.array([0, 1])].fingerprint == images[:2].fingerprint


# ---------------------------------------------------------------- stopped and killed


def every_chunk_a_step(monkeypatch):
    fit = training.fit
    monkeypatch.setattr(training, "fit", lambda *a, **k: fit(*a, **k, chunk_seconds=0.0))


@pytest.mark.parametrize(("epoch", "step"), [pytest.param(0, 3, marks=pytest.mark.slow), (1, 5)])
def test_stopped_in_the_middle_of_an_epoch_it_ends_as_if_it_had_not_been(
    epoch, step, data_dir, undisturbed, tmp_path, monkeypatch, capsys
):
    every_chunk_a_step(monkeypatch)

    def interrupt(self, run, timing, on_chunk=resume.CheckpointCallback.__call__):
        if (int(run.epoch), run.steps_into_epoch) == (epoch, step):
            signal.raise_signal(signal.SIGTERM)
        on_chunk(self, run, timing)

    out = tmp_path / "run"
    handlers = [signal.getsignal(each) for each in command.SIGNALS]
    with monkeypatch.context() as patch:
        patch.setattr(resume.CheckpointCallback, "__call__", interrupt)
        assert train.main([*options(data_dir), "--checkpoint-every", "1", "--out", str(out)]) == 143
    said = capsys.readouterr().err
    assert f"stopped: SIGTERM after epoch {epoch} and {step} steps of the next of 3; saved in " in said
    assert checkpoint.list_checkpoints(out / "checkpoints")[0].name == f"{epoch:06d}-{step:09d}"
    # while an epoch is under way epochs alone do not make a checkpoint due
    assert len(checkpoint.list_checkpoints(out / "checkpoints")) == 1 + epoch
    assert [signal.getsignal(each) for each in command.SIGNALS] == handlers
    assert train.main(["--resume", str(out), "--memory-share", "1", "--data-dir", str(data_dir)]) == 2
    assert "images streamed from disk" in capsys.readouterr().err
    assert train.main(["--resume", str(out)]) == 0
    assert f"after epoch {epoch} and {step} steps of the next" in " ".join(capsys.readouterr().out.split())
    assert_same_results(out, undisturbed)


LONG = ["--batch-size", "2", "--epochs", "10", "--checkpoint-minutes", "0.001"]


@pytest.mark.slow
def test_killed_in_the_middle_of_epochs_it_ends_as_if_it_had_not_been(data_dir, start, complete, tmp_path):
    out, plain = tmp_path / "run", tmp_path / "plain"
    run, within = [*options(data_dir), *LONG, "--out"], 0
    for kill in range(3):
        process = start(*run, out) if kill == 0 else start("--resume", out)
        before = {path.name for path in checkpoint.list_checkpoints(out / "checkpoints")}

        def has_begun(before=before):
            new = {path.name for path in checkpoint.list_checkpoints(out / "checkpoints")} - before
            return any("-" in name for name in new)

        assert wait_for(has_begun, process)
        time.sleep(0.2 * kill)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = [checkpoint.load(path) for path in checkpoint.list_checkpoints(out / "checkpoints")]
        within += kept[0].about["step"] > 0
        assert not (out / "summary.json").exists()
    assert within >= 2
    status, said, err = complete("--resume", out)
    assert status == 0, err
    assert re.search(r"going on after epoch \d+ and \d+ steps of the next", " ".join(said.split()))
    assert complete(*run[:-3], "--checkpoint-minutes", "0", "--out", plain)[0] == 0
    assert_same_results(out, plain)
    assert unfinished(out) == []


@pytest.mark.portable
@pytest.mark.slow
def test_two_processes_stream_as_one_and_go_on_after_a_kill(data_dir, tmp_path):
    def start_two(*arguments):
        several = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2", "--process-id"]
        program = ["-m", "experiments.train", *arguments, *several]
        return [start_python([*program, str(i)], 1) for i in range(2)]

    def complete(processes):
        for process in processes:
            said = process.communicate(timeout=600)[1]
            assert process.returncode == 0, said

    run = [*options(data_dir, model=CONVEX), *LONG, "--out"]
    alone = start_python(["-m", "experiments.train", *run, str(tmp_path / "alone")], 1)
    complete([alone, *start_two(*run, str(tmp_path / "two"))])
    whole, two = history(tmp_path / "alone"), history(tmp_path / "two")
    np.testing.assert_allclose(two["accuracy"], whole["accuracy"], atol=1.5 / TRAIN)  # an example on the border
    for name in ("loss", "penalty", "validation_loss"):
        np.testing.assert_allclose(two[name], whole[name], rtol=1e-5, err_msg=name)
    killed = start_two(*run, str(tmp_path / "killed"))
    while not any("-" in path.name for path in checkpoint.list_checkpoints(tmp_path / "killed" / "checkpoints")):
        assert killed[1].poll() is None
        time.sleep(0.02)
    killed[1].kill()
    for process in killed:
        process.communicate(timeout=60)
        assert process.returncode != 0
    complete(start_two("--resume", str(tmp_path / "killed")))
    assert_same_results(tmp_path / "killed", tmp_path / "two")


# ---------------------------------------------------------------- memory, and what is refused


@pytest.mark.slow
def test_the_memory_stays_flat(tmp_path, run_python):
    """Two epochs over images that take 400 MiB when they are decoded: the second half takes no more than the first."""
    code = f"""
import os
from pathlib import Path
from experiments import train
from experiments.classifier import resume
from experiments.benchmark import streaming
import numpy as np
folder = Path({os.fspath(tmp_path)!r})
streaming.make_images(folder, 8534, 128)
(folder / "found").mkdir()
import json
info = folder / "tiles/1.0.0/dataset_info.json"
told = json.loads(info.read_text())
test = dict(told["splits"][0], name="test", filepathTemplate="tiles-train.{{FILEFORMAT}}-{{SHARD_X_OF_Y}}")
told["splits"].append(test)
info.write_text(json.dumps(told))
seen = []
call = resume.CheckpointCallback.__call__
def watch(self, run, timing):
    seen.append(streaming._own_mib())
    call(self, run, timing)
resume.CheckpointCallback.__call__ = watch
options = ["--dataset", "tiles", "--data-dir", str(folder), "--memory-share", "0", "--epochs", "2", "--hidden", "16"]
assert train.main([*options, "--batch-size", "64", "--preprocess", "none", "--out", str(folder / "run")]) == 0
print()
half = len(seen) // 2
print(len(seen), max(seen[half:]) - max(seen[:half]))
"""
    count, grown = run_python(code, timeout=600).splitlines()[-1].split()
    assert int(count) > 5
    assert float(grown) < 60


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (train.main, ["--memory-share", "0"], "memory_share=0 is for image sets that TFDS has prepared.*'digits'"),
        (train.main, ["--memory-share", "0", "--dataset", "moons"], "memory_share=0 is for .*'moons' cannot"),
        (train.main, ["--memory-share", "1.5"], "memory_share must be from 0 to 1, got 1.5"),
        (train.main, ["--memory-share", "nan"], "memory_share must be from 0 to 1, got nan"),
        (sweep.main, ["--memory-share", "0"], "--memory-share 0.0 belongs to experiments.train.*all images in memory"),
    ],
)
def test_a_wrong_share_is_refused_in_one_line(main, arguments, said, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_images_that_are_more_than_the_memory_are_not_decoded_at_once(data_dir, monkeypatch):
    images = load("tiny", data_dir=data_dir, memory_share=0).train.inputs
    monkeypatch.setattr(_lazy, "memory", lambda: 1000)
    with pytest.raises(ValueError, match=r"270 images of tiny take .* read them with jaxnn\.data\.loader"):
        np.asarray(images)
    assert np.asarray(images[:2]).shape == (2, *SHAPE)
