"""A real browser: Debian's Chromium without a screen, driven by Playwright."""

import functools
import shutil
from collections.abc import Iterator
from typing import Any

import pytest


@functools.cache
def path() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for found in map(shutil.which, names) if found), None)


@pytest.fixture(scope="module")  # no longer: while it runs, no other code of the thread can start an event loop
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if path() is None:
        pytest.skip("no Chromium is installed here")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=["--no-sandbox"])
        yield browser
        browser.close()
