"""The quick start: the notebook is what the script gives, and runs from top to bottom."""

import base64
import re
import subprocess
import sys
import types
from pathlib import Path

import jupytext
import matplotlib.image
import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "experiments" / "notebooks" / "quick_start.py"


@pytest.fixture
def notebook():
    return nbformat.read(SCRIPT.with_suffix(".ipynb"), as_version=4)


def contents(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_the_notebook_is_what_the_script_gives(notebook):
    make, execute = "jupytext --to ipynb experiments/notebooks/quick_start.py", "jupyter execute --inplace"
    assert contents(notebook) == contents(jupytext.read(SCRIPT)), f"run: {make}, {execute}"
    page = (ROOT / "experiments" / "README.md").read_text()
    assert make in page
    assert f"{execute} experiments/notebooks/quick_start.ipynb" in page
    assert notebook.metadata.kernelspec.name == "python3"
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells) > 15


def test_the_outputs_are_stored_with_the_notebook(notebook):
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 4
    said = "".join(output.text for output in shown if output.output_type == "stream")
    assert all(output.get("name") != "stderr" for output in shown), said
    assert re.search(r"^7: \d+\.\d%", said, re.MULTILINE), "the digit drawn in the notebook is a seven"
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == list(
        range(1, sum(cell.cell_type == "code" for cell in notebook.cells) + 1)
    )


def test_the_first_cell_installs_on_colab_alone(notebook, monkeypatch):
    [code, *_] = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    ran = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command))
    exec(code, {})
    assert ran == []
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(code.replace('REPOSITORY = ""', 'REPOSITORY = "https://somewhere/jaxnn.git"'), {})
    assert ran == [
        [sys.executable, "-m", "pip", "install", "-q", "jaxnn[commands,export] @ git+https://somewhere/jaxnn.git"]
    ]


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("XLA_FLAGS")
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert all(output.get("name") != "stderr" for output in outputs), said
    accuracies = [float(line.split()[2].rstrip("%")) for line in said.splitlines() if line.startswith("test accuracy")]
    assert len(accuracies) == 2
    assert min(accuracies) > 95
    assert "the same answers: True" in said
    figures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) == 4
    for i, figure in enumerate(figures):
        (tmp_path / f"{i}.png").write_bytes(base64.b64decode(figure))
        assert matplotlib.image.imread(tmp_path / f"{i}.png").shape[1] > 800
