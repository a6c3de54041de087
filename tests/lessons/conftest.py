"""Lessons that have run, shared by all tests of lessons in a process."""

from pathlib import Path

import pytest
from lesson_runs import Outcome, run_quick
from small_book import NAMES, make


@pytest.fixture(scope="session")
def outcome(tmp_path_factory):
    """`outcome(name)`: a lesson run by its command, once in a session, in a folder named after it."""
    done: dict[str, Outcome] = {}
    parent = tmp_path_factory.mktemp("lessons")

    def run(name: str) -> Outcome:
        if name not in done:
            done[name] = run_quick(name, parent / name)
        return done[name]

    return run


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    """Two lessons that have run, for reading only."""
    folder = tmp_path_factory.mktemp("ran")
    for name in NAMES:
        make(folder / "lessons", name)
    return folder
