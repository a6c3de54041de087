"""Wrong input to the commands: exit status 2, one line that names the value and what was expected, nothing written."""

import re

import jax
import pytest
from processes import main_of

WRONG = {
    "train: unknown data": ("train", "--dataset digit", "unknown data set 'digit'; did you mean 'digits'"),
    "train: data of no kind": ("train", "--dataset qqqq", "known are digits"),
    "train: rate below 0": ("train", "--learning-rate -1", "--learning-rate -1.0"),
    "train: rate NaN": ("train", "--learning-rate nan", "--learning-rate nan"),
    "train: rate infinite": ("train", "--learning-rate inf", "--learning-rate inf"),
    "train: penalty below 0": ("train", "--l2 -0.5", "--l2 -0.5"),
    "train: momentum infinite": ("train", "--momentum inf", "--momentum inf"),
    "train: dropout 1": ("train", "--dropout 1", "--dropout 1.0"),
    "train: dropout below 0": ("train", "--dropout -0.1", "--dropout -0.1"),
    "train: input dropout": ("train", "--input-dropout 1.5", "--input-dropout 1.5"),
    "train: smoothing 1": ("train", "--smoothing 1", "--smoothing 1.0"),
    "train: smoothing of hinges": ("train", "--smoothing 0.1 --loss svm", "--loss softmax"),
    "train: no batch": ("train", "--batch-size 0", "--batch-size 0"),
    "train: batch larger than the data": ("train", "--batch-size 2000", "--batch-size 2000.*1295"),
    "train: no epoch": ("train", "--epochs 0", "--epochs 0"),
    "train: no patience": ("train", "--early-stopping 0", "--early-stopping 0"),
    "train: nothing to wait for": ("train", "--early-stopping 3 --validation-share 0", "--early-stopping 3"),
    "train: hidden layers of a line": ("train", "--model linear --hidden 5", "--model mlp"),
    "train: dropout of a line": ("train", "--model linear --dropout 0.5", "--dropout 0.5.*--model mlp"),
    "train: no neuron": ("train", "--hidden 8 0", "--hidden 8 0"),
    "train: flipped points": ("train", "--dataset moons --augment flip", "--augment flip needs images"),
    "train: components of nothing": ("train", "--components 5", "--preprocess pca"),
    "train: no component": ("train", "--preprocess pca --components 0", "components is 0"),
    "train: too many components": ("train", "--preprocess whiten --components 99", "components is 99.*64"),
    "train: everything kept apart": ("train", "--validation-share 1", "1.0"),
    "train: share below 0": ("train", "--validation-share -0.2", "-0.2"),
    "train: share NaN": ("train", "--validation-share nan", "nan"),
    "train: seed below 0": ("train", "--seed -1", "seed.*-1"),
    "train: momentum below 0": ("train", "--momentum -0.1", "--momentum -0.1"),
    "train: normalized line": ("train", "--model linear --normalize", "--normalize"),
    "train: normalized inputs of images": ("train", "--model cnn --normalize-inputs", "--normalize-inputs"),
    "train: mirrored points": ("train", "--dataset moons --mirror", "--mirror"),
    "train: average 1": ("train", "--average 1", "--average 1.0"),
    "train: decay without adamw": ("train", "--weight-decay 0.1", "--weight-decay 0.1"),
    "train: decay below 0": ("train", "--optimizer adamw --weight-decay -0.1", "--weight-decay -0.1"),
    "train: beta-lasso of adam": ("train", "--beta-lasso 1e-5 --optimizer adam", "--beta-lasso 1e-05"),
    "train: beta-lasso below 0": ("train", "--beta-lasso -1e-5", "--beta-lasso -1e-05"),
    "train: epsilon of nothing": ("train", "--whiten-epsilon 10", "--whiten-epsilon 10"),
    "train: epsilon below 0": ("train", "--preprocess whiten --whiten-epsilon -1", "--whiten-epsilon -1"),
    "train: neurons below 0": ("train", "--hidden -4", "--hidden -4"),
    "sweep: nothing to choose by": ("sweep", "--validation-share 0", "--validation-share 0"),
    "sweep: rate below 0": ("sweep", "--learning-rates 0.1 -1", "--learning-rates -1"),
    "sweep: rate infinite": ("sweep", "--learning-rates inf", "--learning-rates inf"),
    "sweep: penalty NaN": ("sweep", "--l2s nan", "--l2s nan"),
    "sweep: dropout 1": ("sweep", "--dropouts 0 1", "--dropouts 1"),
    "sweep: no neuron": ("sweep", "--widths 4 0", "--widths 0"),
    "sweep: widths of a line": ("sweep", "--model linear --widths 4", "--model linear"),
    "sweep: no seed": ("sweep", "--seeds 0", "--seeds 0"),
    "sweep: no random setting": ("sweep", "--random 0", "--random 0"),
    "sweep: a range of one value": ("sweep", "--random 5 --l2s 0.1", "smallest and the largest of --l2s"),
    "sweep: a range from 0": ("sweep", "--random 5 --l2s 0 0.1", "--l2s, above 0"),
    "sweep: empty chunk": ("sweep", "--chunk 0 1", "--chunk 0"),
    "sweep: unknown data": ("sweep", "--dataset spirl", "did you mean 'spiral'"),
    "predict: no run": ("predict", "{file} --run {folder}", "not a finished run"),
    "predict: run is a file": ("predict", "{file} --run {file}", "not a finished run"),
    "predict: no image": ("predict", "", "no image files: give one or more, such as photo.png, or --draw"),
    "report: unknown lesson": ("report", "--lessons losses drop_out", "--lessons drop_out.*dropout"),
    "benchmark: unknown work": ("benchmark.__main__", "--only lineal", "lineal.*linear"),
    "benchmark: no repetition": ("benchmark.__main__", "--repetitions 0", "0"),
}
UNPARSED = {
    "train": (
        "--epochs five",
        "--model cnnn",
        "--loss hinge",
        "--hidden wide",
        "--learnin-rate 0.1",
        "--augment turn",
        "--epoch 3",
        "--none-such",
    ),
    "sweep": ("--seeds many", "--widths 1.5"),
    "predict": ("--run",),
    "report": ("--quik",),
    "lessons.losses": ("--seed one", "--slow"),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_refused_in_one_line_and_nothing_is_written(name, tmp_path, capsys, monkeypatch):
    module, options, told = WRONG[name]
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (tmp_path / "file").write_text("no image")
    (tmp_path / "folder").mkdir()
    options = options.format(file=tmp_path / "file", folder=tmp_path / "folder")
    main = main_of(module)
    assert main([*options.split(), "--out", str(work / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert re.search(told, error), error
    assert not list(work.rglob("*"))
    assert (tmp_path / "file").read_text() == "no image"


@pytest.mark.parametrize(("module", "options"), [(m, o) for m, every in UNPARSED.items() for o in every])
def test_what_cannot_be_parsed_ends_with_status_2(module, options, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main_of(module)(options.split())
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert (options.split() or ["PATH"])[0] in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["train", "sweep", "lessons.losses", "report"])
@pytest.mark.parametrize("place", ["{file}", "{file}/inside"])
def test_a_folder_that_cannot_be_made_is_named(module, place, tmp_path, capsys):
    (tmp_path / "file").write_text("something")
    place = place.format(file=tmp_path / "file")
    folder = ["--folder", place, "--lessons", "losses", "--out", str(tmp_path / "page.html")]
    out = folder if module == "report" else ["--out", place]
    with jax.numpy_dtype_promotion("standard"):
        assert main_of(module)(["--quick", *out]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert str(tmp_path / "file") in error
    assert (tmp_path / "file").read_text() == "something"
    assert not (tmp_path / "page.html").exists()
