"""Lessons that have run, shared by all tests of lessons in a process."""

import pytest
from lesson_runs import Outcome, run_quick


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
