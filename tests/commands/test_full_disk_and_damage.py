"""What becomes of a run whose disk is full, whose folder is gone or damaged, or that is given other settings."""

import contextlib
import dataclasses
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
from processes import RUN, assert_same_results, unfinished, wait_for

from experiments import train
from experiments.classifier import resume
from experiments.classifier.config import Config
from experiments.cli import command, files
from jaxnn import checkpoint
from jaxnn.data import load

pytestmark = pytest.mark.usefixtures("undrawn", "standard_promotion")


SHORT = ["--epochs", "4", "--hidden", "8", "--checkpoint-every", "1"]

# ---------------------------------------------------------------- a disk that fails


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


@pytest.mark.slow
def test_a_full_disk_ends_no_run_and_the_results_are_saved_elsewhere(start, undisturbed, small_disk, tmp_path):
    out = small_disk / "run"
    process = start(*RUN, "--out", out, "--rescue", tmp_path / "rescue")
    assert wait_for(lambda: checkpoint.list_checkpoints(out / "checkpoints"), process)
    fill(small_disk)
    printed, err = process.communicate(timeout=600)
    assert process.returncode == 2
    said = " ".join(printed.split())
    assert re.search(
        rf"warning: no checkpoint after epoch \d+: {out}/checkpoints cannot be written \(.*it is tried", said
    )
    told = re.fullmatch(
        rf"error: the results cannot be written to {out} \(.*No space left.*\): they are in (\S+)\n", err
    )
    assert told, err
    assert Path(told[1]).parent == tmp_path / "rescue"
    assert (Path(told[1]) / "classifier.npz").read_bytes() == (undisturbed / "classifier.npz").read_bytes()
    assert (Path(told[1]) / "summary.json").exists()
    for path in checkpoint.list_checkpoints(out / "checkpoints"):
        checkpoint.load(path)
    assert unfinished(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("instead", ["nothing", "a file"])
def test_a_folder_removed_while_the_run_goes_on(instead, start, undisturbed, tmp_path):
    out = tmp_path / "run"
    process = start(*RUN, "--out", out, "--rescue", tmp_path)
    assert wait_for(lambda: checkpoint.list_checkpoints(out / "checkpoints"), process)
    out.rename(tmp_path / "moved away")
    if instead == "a file":
        out.write_text("")
    _, err = process.communicate(timeout=600)
    if instead == "nothing":  # it is made again
        assert process.returncode == 0, err
    else:
        assert process.returncode == 2
        told = re.search(r"cannot be written to .*: they are in (\S+)$", err.strip())
        assert told, err
        out = Path(told[1])
    assert (out / "classifier.npz").read_bytes() == (undisturbed / "classifier.npz").read_bytes()
    assert (out / "config.json").exists()


@pytest.mark.slow
def test_a_signal_on_a_full_disk_saves_elsewhere(start, complete, undisturbed, small_disk, tmp_path):
    process = start(*RUN, "--out", small_disk / "run", "--rescue", tmp_path / "rescue")
    assert wait_for(lambda: checkpoint.list_checkpoints(small_disk / "run" / "checkpoints"), process)
    fill(small_disk)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 143, err
    told = re.search(r"resume with: jaxnn train --resume (\S+)$", err.strip())
    assert told, err
    assert Path(told[1]).parent == tmp_path / "rescue"
    assert complete("--resume", told[1])[0] == 0
    assert_same_results(Path(told[1]), undisturbed)


def test_an_unwritable_folder_is_known_before_the_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train.main(["--quick", "--out", str(tmp_path / "file" / "run")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_events_that_cannot_be_written_are_told_once_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.flush", full)
    assert train.main([*SHORT[:4], "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.count("no more TensorBoard events") == 1


# ---------------------------------------------------------------- going on with what is not the same


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A short run, stopped by Control-C after its second epoch, in this process."""
    out, handlers = tmp_path_factory.mktemp("stopped") / "run", [signal.getsignal(each) for each in command.SIGNALS]

    def interrupt(self, run, timing, on_chunk=resume.CheckpointCallback.__call__):
        if int(run.epoch) == 2:
            signal.raise_signal(signal.SIGINT)
        on_chunk(self, run, timing)

    with jax.numpy_dtype_promotion("standard"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(resume.CheckpointCallback, "__call__", interrupt)
        assert train.main([*SHORT, "--out", str(out)]) == 130
    assert [signal.getsignal(each) for each in command.SIGNALS] == handlers  # as they were
    assert [path.name for path in checkpoint.list_checkpoints(out / "checkpoints")] == ["000002", "000001"]
    return out


@pytest.fixture
def copy(stopped, tmp_path):
    return Path(shutil.copytree(stopped, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--epochs", "5"], "--epochs 4 there, 5 now"),
        (["--seed", "1", "--learning-rate", "0.5"], "--learning-rate 0.05 there, 0.5 now; --seed 0 there, 1 now"),
        (["--hidden", "8", "8"], "--hidden [8] there, [8, 8] now"),
        (["--on-nonfinite", "skip"], "--on-nonfinite stop there, skip now"),
        (["--quick"], "--quick False there, True now"),
        (["--dataset", "moons"], "--dataset digits there, moons now"),
    ],
    ids=str,
)
def test_other_settings_are_listed_and_nothing_is_changed(options, said, copy, capsys):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert train.main(["--resume", str(copy), *options]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert f"--resume {copy}: a resumed run keeps its settings" in err
    assert len(err.splitlines()) == 1
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    out = tmp_path_factory.mktemp("never_stopped") / "run"
    with jax.numpy_dtype_promotion("standard"):
        assert train.main([*SHORT, "--out", str(out)]) == 0
    return out


def test_a_damaged_checkpoint_is_passed_over_and_the_end_is_the_same(copy, never_stopped, capsys):
    newest, before = checkpoint.list_checkpoints(copy / "checkpoints")
    file = newest / "arrays.npz"
    file.write_bytes(file.read_bytes()[:-1])
    assert train.main(["--resume", str(copy)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"warning: {file} is damaged" in said
    assert f"continuing from the previous good checkpoint, {before}" in said
    assert "continuing after epoch 1" in said
    assert_same_results(copy, never_stopped)
    for path in checkpoint.list_checkpoints(copy / "checkpoints"):
        assert len(checkpoint.load(path).about["seconds"]) == int(path.name)  # of all epochs, also the earlier run's


def test_a_run_killed_while_its_figures_are_drawn_is_not_finished(never_stopped, tmp_path):
    out = Path(shutil.copytree(never_stopped, tmp_path / "run"))
    shutil.rmtree(out / "checkpoints")
    (out / resume.DRAWING).touch()
    (out / "templates.png").unlink()
    assert train.main(["--resume", str(out)]) == 0
    assert not (out / resume.DRAWING).exists()
    assert list(files.damage(out)) == []
    assert (out / "templates.png").read_bytes() == (never_stopped / "templates.png").read_bytes()
    assert (out / "classifier.npz").read_bytes() == (never_stopped / "classifier.npz").read_bytes()


def test_without_a_good_checkpoint_it_is_an_error(copy, capsys):
    for path in checkpoint.list_checkpoints(copy / "checkpoints"):
        (path / "about.json").unlink()
    assert train.main(["--resume", str(copy)]) == 2
    assert re.match(r"error: .* holds no good checkpoint: .*about\.json is missing.*\n$", capsys.readouterr().err)
    assert not (copy / "summary.json").exists()


def test_the_same_settings_and_options_that_decide_nothing_may_be_given(copy, capsys, monkeypatch):
    monkeypatch.setattr(resume, "versions", lambda: {"jax": "9.9", "jaxnn": "0"})
    monkeypatch.setattr("jaxnn.training._fit.is_short", lambda *_: False)
    options = ["--epochs", "4", "--hidden", "8", "--checkpoint-keep", "1", "--checkpoint-minutes", "0"]
    assert train.main(["--resume", str(copy), *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "continuing after epoch 2" in said
    assert "'jax': '9.9'" in said
    assert "compiled as a short training, and is no longer" in said
    assert said.count("its last digits may differ") == 2
    summary = json.loads((copy / "summary.json").read_text())
    assert (len(summary["seconds_per_epoch"]), summary["short_training"]) == (4, False)


@pytest.mark.slow
def test_a_changed_config_file_is_listed(copy, capsys):
    file = copy / "config.json"
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 5').replace('"epochs": 4', '"epochs": 40'))
    assert train.main(["--resume", str(copy)]) == 2
    assert "was changed since" in (err := capsys.readouterr().err)
    assert "--epochs 4 there, 40 now" in err
    assert "--seed 0 there, 5 now" in err
    file.write_text("{")
    assert train.main(["--resume", str(copy)]) == 0
    assert files.read_sealed(file)["epochs"] == 4


def test_other_examples_are_refused(copy, capsys, monkeypatch):
    def other(config, *_):
        dataset = load(config.dataset, seed=config.seed)
        dataset.train.inputs[3, 2, 1] += 1
        return dataset

    monkeypatch.setattr("experiments.classifier.data.load_dataset", other)
    assert train.main(["--resume", str(copy)]) == 2
    assert "the examples of digits are not those the run began with" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_stopped_before_its_first_checkpoint_begins_again_with_its_settings(copy, capsys):
    shutil.rmtree(copy / "checkpoints")
    assert train.main(["--resume", str(copy), "--epochs", "3"]) == 2
    assert "--epochs 4 there, 3 now" in capsys.readouterr().err
    assert train.main(["--resume", str(copy)]) == 0
    assert json.loads((copy / "summary.json").read_text())["epochs"] == 4


@pytest.mark.parametrize("bit", [0, 1])
def test_a_damaged_config_without_a_checkpoint_is_an_error(bit, copy, capsys):
    shutil.rmtree(copy / "checkpoints")
    file = copy / "config.json"
    content = bytearray(file.read_bytes())
    content[content.index(b'"epochs": 4') + 10] ^= 1 << bit
    file.write_bytes(bytes(content))
    assert train.main(["--resume", str(copy)]) == 2
    assert f"{file} is damaged or was changed" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_folder_without_a_run_is_named(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert train.main(["--resume", str(tmp_path / folder)]) == 2
    assert f"--resume {tmp_path / folder} holds no run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--checkpoint-every", "0"], ["--checkpoint-minutes", "-1"], ["--checkpoint-keep", "0"]], ids=str
)
def test_wrong_options_of_checkpoints(options, tmp_path, capsys):
    assert train.main(["--quick", *options, "--out", str(tmp_path / "run")]) == 2
    assert (
        f"{' '.join(options[:1])} {float(options[1]) if 'minutes' in options[0] else options[1]}"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()


def test_settings_survive_json_and_are_dataclasses_again():
    config = Config(hidden=(4, 2), data_dir=Path("data"), augment=("flip",), out=Path("x"), device="cpu", dropout=0.25)
    config = dataclasses.replace(config, checkpoint_every=7, rescue=Path("y"))
    plain = json.loads(files.as_json(config))
    assert vars(resume.config_from_json(Config, plain, Path("x"))) == vars(config) | {"out": None}
    with pytest.raises(ValueError, match="it lacks seed"):
        resume.config_from_json(Config, {name: value for name, value in plain.items() if name != "seed"}, Path("x"))


def test_the_fingerprint_sees_every_example_label_shape_and_type():
    dataset = load("moons")
    same = resume.fingerprint(dataset)
    assert resume.fingerprint(load("moons")) == same
    others = {same}
    for split in ("train", "validation", "test"):
        for array in (0, 1):
            parts = list(getattr(dataset, split))
            parts[array] = parts[array].copy()
            parts[array][-1] += 1
            others.add(resume.fingerprint(dataset._replace(**{split: type(dataset.train)(*parts)})))
    inputs, labels = dataset.train
    for changed in (inputs.reshape(-1, 1, 2), inputs.view(np.int32)):
        others.add(resume.fingerprint(dataset._replace(train=type(dataset.train)(changed, labels))))
    others.add(resume.fingerprint(dataset._replace(name="other")))
    assert len(others) == 10
