"""Lessons in their short form, run by their command."""

import contextlib
import functools
import importlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import pytest

from experiments.lessons.framework import lesson
from jaxnn import plots

QUICK = ("backpropagation", "dataset", "forward_pass", "gradient_descent", "losses", "network", "score_function")
"""Lessons of a few seconds; they also pass without any promotion of types, which Adam and schedules of optax need."""


class Outcome(NamedTuple):
    status: int
    printed: str
    folder: Path
    summary: dict[str, Any]

    def measured(self, part: str) -> dict[str, Any]:
        """The numbers of the claim with these words."""
        (claim,) = [claim for claim in self.summary["claims"] if part in claim["text"]["en"]]
        return claim["measured"]


def run_quick(name: str, folder: Path) -> Outcome:
    """Run a lesson with --quick; its figures are not written as SVG, which takes as long as the PNG."""
    module, printed = importlib.import_module(f"experiments.lessons.{name}"), io.StringIO()
    strict = jax.numpy_dtype_promotion.value
    # for all threads: lessons compile some of their programs in the background
    jax.config.update("jax_numpy_dtype_promotion", strict if name in QUICK else "standard")
    try:
        with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
            patch.setattr(plots, "save", functools.partial(plots.save, svg=False))
            status = lesson.main(module.LESSON, module.__doc__, ["--quick", "--out", str(folder)])
    finally:
        jax.config.update("jax_numpy_dtype_promotion", strict)
    return Outcome(status, printed.getvalue(), folder, json.loads((folder / "summary.json").read_text()))
