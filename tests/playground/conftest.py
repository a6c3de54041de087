"""The page of the playground in a real browser."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLANE = "Array.from(Bokeh.documents[0].roots().find(r => r.name == 'plane').renderers[0].data_source.data.image[0])"


class Server(NamedTuple):
    """A process that serves the page."""

    url: str
    pid: int


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    pytest.importorskip("bokeh", reason="the extra 'commands' is not installed")
    command = [sys.executable, "-m", "experiments.playground", "--no-show", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found
        yield Server(found[0], process.pid)
        process.terminate()


@pytest.fixture(scope="package")
def url(server) -> str:
    return server.url


class Tab:
    """A tab with the page, and its errors."""

    def __init__(self, chromium: Any, url: str, width: int) -> None:
        self.page = chromium.new_page(viewport={"width": width, "height": 900})
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2].split(":")[0]))
        self.page.set_default_timeout(60_000)
        self.page.goto(url)
        self.until("playground.picture > 0")

    def restore(self, fragment: str) -> None:
        """Take the state of a link, as when its address is entered in this tab."""
        if self.status()["playing"]:
            self.press("Pause")
            self.until_status("!s.playing")
        self.page.keyboard.press("Escape")
        self.page.locator("h1").click()  # no button has the focus
        sent = "[Date.now() + Math.random(), 'link', location.hash.slice(1)]"
        shown = self.page.evaluate(
            f"text => {{ history.replaceState(null, '', '#' + text); const shown = playground.picture; "
            f"playground.sent = JSON.stringify({sent}); return shown }}",
            fragment.removeprefix("#"),
        )
        self.until_status(f"playground.picture > {shown} && s.ready && s.step === 0")

    def close(self) -> None:
        self.page.close()
        assert self.errors == []
        assert self.hosts == {"127.0.0.1"}, "no other host is contacted"

    def until(self, condition: str) -> None:
        self.page.wait_for_function(f"window.playground && ({condition})")

    def until_status(self, condition: str) -> dict[str, Any]:
        self.until(f"(s => {condition})(JSON.parse(playground.status))")
        return self.status()

    def status(self) -> dict[str, Any]:
        return json.loads(self.page.evaluate("playground.status"))

    def press(self, label: str) -> None:
        self.page.get_by_role("button", name=label, exact=True).click()

    def figure(self, place: str) -> Any:
        return self.page.locator(f"[data-root-id='{self.root(place)}']")

    def root(self, place: str) -> str:
        return self.page.evaluate("n => Bokeh.documents[0].roots().find(r => r.name == n).id", place)

    def plane(self) -> list[int]:
        return self.page.evaluate(PLANE)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The screen position of a point of the plane."""
        code = """([x, y]) => {
            const model = Bokeh.documents[0].roots().find(r => r.name == 'plane');
            const view = Bokeh.index.find_one(model), box = view.canvas_view.el.getBoundingClientRect();
            return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)];
        }"""
        return tuple(self.page.evaluate(code, [x, y]))


@pytest.fixture
def open_tab(chromium, url) -> Iterator[Callable[..., Tab]]:
    """`open_tab(fragment)`: a new tab."""
    tabs: list[Tab] = []

    def open_one(fragment: str = "", width: int = 1280) -> Tab:
        tabs.append(Tab(chromium, url + fragment, width))
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.close()


@pytest.fixture(scope="module")
def one_tab(chromium, url) -> Iterator[Tab]:
    tab = Tab(chromium, url, 1280)
    yield tab
    tab.close()


@pytest.fixture
def show(one_tab) -> Iterator[Callable[[str], Tab]]:
    """`show(fragment)`: the tab that the tests of a module share, in the state of a link."""

    def shown(fragment: str = "") -> Tab:
        one_tab.restore(fragment)
        return one_tab

    yield shown
    one_tab.page.set_viewport_size({"width": 1280, "height": 900})
    assert one_tab.errors == []
