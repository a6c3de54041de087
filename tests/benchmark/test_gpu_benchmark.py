"""The benchmark for GPUs, in small on the CPU."""

import functools
import json

import jax
import numpy as np
import pytest
from float64 import ROUNDED, enabled, in_float64

from experiments.benchmark import gpu
from jaxnn import training
from jaxnn.data import preprocess

pytestmark = pytest.mark.usefixtures("standard_promotion")

IMAGES = np.random.default_rng(0).integers(0, 256, (512, 3072), dtype=np.uint8)
DATA = training.Data(IMAGES, (IMAGES[:, 0] // 26).astype(np.int32), preprocess.fit_moments(IMAGES))
SWEEP = gpu.Sweep("four linear models", (), 2, 2, 1.0, 0.002, 0.01)


def test_the_settings_are_every_rate_with_every_penalty():
    settings = gpu.SWEEPS[0].settings()
    assert len(settings["l2"]) == 1024
    assert len(set(zip(settings["learning_rate"].tolist(), settings["l2"].tolist(), strict=True))) == 1024
    np.testing.assert_allclose([settings["l2"].min(), settings["l2"].max()], [0.0025, 0.04], rtol=1e-6)


@pytest.mark.portable
@enabled()
def test_the_sweep_trains_each_model_with_its_own_setting(monkeypatch):
    make_task = in_float64(functools.partial(gpu.make_task, ()))
    monkeypatch.setattr(gpu, "make_task", lambda hidden, h: make_task(h))
    reached = gpu.ours(SWEEP, DATA)()
    h = {name: values[2] for name, values in SWEEP.settings().items()}
    alone = training.run(make_task, h, jax.random.key(0), DATA, epochs=2, batch_size=gpu.BATCH).history["loss"]
    assert reached.shape == (4,)
    np.testing.assert_allclose(reached[2], alone[-1], **ROUNDED)


@pytest.mark.parametrize("hidden", [(), (16,)], ids=["linear", "mlp"])
def test_pytorch_trains_models_of_the_same_kind(hidden):
    """With other random weights and another order, the mean losses of the last epoch are close."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    sweep = gpu.Sweep("", hidden, 2, 6, 1.0, 0.002, 0.01)
    np.testing.assert_allclose(gpu.pytorch(sweep, DATA)(), gpu.ours(sweep, DATA)(), rtol=0.25)


def test_a_wrong_folder_ends_with_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(gpu, "load", lambda *_, **__: (_ for _ in ()).throw(OSError("no network")))
    assert gpu.main(["--out", str(tmp_path / "out.json")]) == 2
    assert capsys.readouterr().err == "error: no network\n"
    assert not (tmp_path / "out.json").exists()


def test_the_results_are_written(tmp_path, monkeypatch):
    class Loaded:
        train = type("Train", (), {"inputs": IMAGES.reshape(-1, 32, 32, 3), "labels": DATA.labels})

    monkeypatch.setattr(gpu, "load", lambda *_, **__: Loaded)
    monkeypatch.setattr(gpu, "SWEEPS", (SWEEP,))
    out = tmp_path / "results" / "gpu.json"
    assert gpu.main(["--quick", "--repetitions", "1", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row["work"] for row in rows] == ["four linear models", "step 3072-1024-10"]
    assert rows[0]["ours_s"] > 0
    assert rows[1]["over"] == pytest.approx(rows[1]["step_us"] / rows[1]["products_us"])
