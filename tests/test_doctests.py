"""Every public function has an example in its docstring, and every example gives what it says."""

import contextlib
import dataclasses
import doctest
import functools
import importlib
import inspect
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prepared_sets import prepare_tiny
from test_architecture import PACKAGE, module_name, public_names

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
EVERY = {str(param.id): param.values[0] for param in public_names()}
SLOW = {"interop.export.to_onnx"}  # loads the converter


def is_record(value: Any) -> bool:
    """Whether something is a class that only holds values, or tells what a value must be."""
    if not inspect.isclass(value):
        return False
    holds = issubclass(value, tuple | dict | Exception) or dataclasses.is_dataclass(value)
    return holds or getattr(value, "_is_protocol", False)


def run(text: str | None, name: str, names: dict[str, Any]) -> dict[str, Any]:
    """Runs the examples of a docstring; gives the names there are afterwards."""
    test = doctest.DocTestParser().get_doctest(inspect.cleandoc(text or ""), names, name, None, 0)
    told = io.StringIO()
    with np.printoptions(precision=3, suppress=True):  # as the examples start
        failed = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=told.write, clear_globs=False).failed
    assert not failed, told.getvalue()
    return test.globs


@functools.cache
def names_in(module: str) -> dict[str, Any]:
    """The names that the examples of a module start from: of the packages it is in, then its own."""
    above = names_in(module.rpartition(".")[0]) if "." in module else {}
    return run(importlib.import_module(module).__doc__, module, above)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which `prepared` holds the small set that the examples read."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "prepared").mkdir()
    prepare_tiny(folder / "prepared", train=20, test=6)
    return folder


def cases():
    for name, value in EVERY.items():
        if ">>> " in (inspect.getdoc(value) or ""):
            yield pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("name", list(cases()))
def test_the_example_gives_what_it_says(name, folder):
    with contextlib.chdir(folder):
        run(EVERY[name].__doc__, name, names_in(EVERY[name].__module__))


def test_every_module_has_its_names_and_every_package_its_beginning(folder):
    with contextlib.chdir(folder):
        for path in PACKAGE.rglob("*.py"):
            names_in(module_name(path))


def test_every_public_function_has_an_example():
    assert all(">>> " in (inspect.getdoc(value) or "") for value in EVERY.values() if not is_record(value))


def test_an_example_that_is_wrong_is_told():
    run("Adds.\n\n    >>> 1 + one\n    2", "right", {"one": 1})
    with pytest.raises(AssertionError, match=r"Expected:\s+3\s+Got:\s+2"):
        run("Adds.\n\n    >>> 1 + one\n    3", "wrong", {"one": 1})
