"""The wheel stands alone: in a fresh environment, with no source in sight."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from experiments.classifier import budget

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("jaxnn", "experiments")
TOY = """
import jax, optax
from pathlib import Path
import jaxnn
from jaxnn import losses, models, training
from jaxnn.data import toy

def task(h):
    return training.Task(models.mlp(2, (8,), 2), losses.softmax, optax.sgd(h["rate"], momentum=0.9))

data = training.Data(*toy.circle(200))
run, _ = training.fit(task, {"rate": 0.3}, jax.random.key(0), data, epochs=30, batch_size=20)
print(Path(jaxnn.__file__).parents[1], float(run.history["accuracy"][-1]))
"""


def call(*command: object, cwd: Path, status: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "XLA_FLAGS")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the source distribution, as `python -m build` does it."""
    folder = tmp_path_factory.mktemp("build")
    for name in ROOMS:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / "source")
    call(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "source", cwd=folder)
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_holds_every_module_what_they_read_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    kinds = (".py", ".html", ".css", ".js")
    needed = {path for name in ROOMS for path in (ROOT / name).rglob("*") if path.suffix in kinds}
    needed.add(budget.FILE)
    assert names == {path.relative_to(ROOT).as_posix() for path in needed}


@pytest.mark.slow
def test_the_wheel_runs_alone(wheel, tmp_path):
    venv.create(tmp_path / "environment", with_pip=True)
    python, empty = tmp_path / "environment" / "bin" / "python", tmp_path / "empty"
    empty.mkdir()
    call(python, "-m", "pip", "install", "-q", wheel, cwd=empty)
    call(python, "-m", "pip", "check", cwd=empty)
    place, accuracy = call(python, "-c", TOY, cwd=empty).rsplit(maxsplit=1)
    assert tmp_path / "environment" in Path(place).parents
    assert float(accuracy) > 0.9
    train = python, "-m", "experiments.train", "--quick", "--out", "run"
    [error] = call(*train, cwd=empty, status=2).splitlines()
    assert error == "error: the libraries of the commands are not installed: pip install -e '.[commands]'"
    call(python, "-m", "pip", "install", "-q", f"{wheel}[commands]", cwd=empty)
    call(*train, cwd=empty)
    assert json.loads((empty / "run" / "summary.json").read_text())["test_accuracy"] > 0.9
