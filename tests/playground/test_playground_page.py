"""The page in a real browser: Debian's Chromium without a screen, driven by Playwright."""

import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.playground.engine.links import from_link
from experiments.playground.page.presets import PRESETS

pytest.importorskip("bokeh", reason="the extra 'playground' is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
ROOT = Path(__file__).resolve().parents[2]
PLANE = "Array.from(Bokeh.documents[0].roots().find(r => r.name == 'plane').renderers[0].data_source.data.image[0])"


@functools.cache
def browser_path() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for path in map(shutil.which, names) if path), None)


pytestmark = pytest.mark.skipif(browser_path() is None, reason="no Chromium is installed here")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "experiments.playground", "--no-show", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())
        assert found
        yield found[0]
        server.terminate()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


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
    tabs: list[Tab] = []

    def open_one(fragment: str = "", width: int = 1280) -> Tab:
        tabs.append(Tab(chromium, url + fragment, width))
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.page.close()
        assert tab.errors == []
        assert tab.hosts == {"127.0.0.1"}, "no other host is contacted"


def test_it_trains_pauses_steps_and_resets(open_tab):
    tab = open_tab()
    first = tab.status()
    tab.press("Play")
    later = tab.until_status("s.step > 3000 && s.losses[0] < 0.1")
    assert later["losses"][0] < first["losses"][0]
    tab.press("Pause")
    paused = tab.until_status("!s.playing")
    tab.page.wait_for_timeout(500)
    assert tab.status()["step"] == paused["step"]
    tab.press("Step")
    assert tab.until_status(f"s.step != {paused['step']}")["step"] == paused["step"] + 1
    tab.press("Epoch")
    tab.until_status(f"s.step == {paused['step'] + 16}")
    tab.press("Reset")
    assert tab.until_status("s.step == 0")["losses"] == pytest.approx(first["losses"])


def test_points_are_added_moved_and_deleted_by_hand(open_tab):
    tab = open_tab("#data=simple&noise=0")
    assert tab.until_status("s.points == 9")["points"] == 9
    tab.page.locator("body").press("2")
    tab.page.wait_for_timeout(300)
    tab.page.mouse.click(*tab.at(-4.0, -4.0))
    tab.until_status("s.points == 10")
    tab.press("Link to this")
    tab.until("location.hash.includes('points=')")

    def points():
        found = from_link(tab.page.evaluate("location.hash")).points
        assert found is not None
        return found

    assert points().places[-1] == pytest.approx([-4.0, -4.0], abs=0.1)
    assert (points().targets[-1], bool(points().train[-1])) == (1.0, True)
    before = tab.page.evaluate("location.hash")
    tab.page.mouse.move(*tab.at(-4.0, -4.0))
    tab.page.mouse.down()
    tab.page.mouse.move(*tab.at(-1.0, -3.0), steps=4)
    tab.page.mouse.up()
    tab.page.wait_for_timeout(500)
    tab.press("Link to this")
    tab.until(f"location.hash != {before!r}")
    assert points().places[-1] == pytest.approx([-1.0, -3.0], abs=0.2)
    assert len(points().train) == 10
    tab.page.mouse.click(*tab.at(-1.0, -3.0))
    tab.page.wait_for_timeout(300)
    tab.press("Delete selected")
    assert tab.until_status("s.points == 9")["points"] == 9


def test_a_link_restores_state_and_picture(open_tab):
    tab = open_tab("#data=moons&hidden=5,3&loss=svm&l2=0.001&seed=4")
    tab.until_status("s.points == 300 && s.ready")
    tab.press("Play")
    tab.until_status("s.step > 500")
    tab.press("Pause")
    last = tab.until_status("!s.playing")
    tab.page.wait_for_timeout(300)
    tab.press("Link with weights")
    tab.until("location.hash.includes('weights=')")
    again = open_tab(tab.page.evaluate("location.hash"))
    again.until_status(f"s.ready && Math.abs(s.losses[0] - {last['losses'][0]}) < 1e-6")
    assert again.plane() == tab.plane()
    assert again.status()["accuracies"] == last["accuracies"]
    again.press("Link with weights")
    again.until("playground.link.includes('weights=')")
    assert again.page.evaluate("location.hash") == tab.page.evaluate("location.hash")


@pytest.mark.parametrize(("name", "goal"), [("three_neurons", 0.97), ("spiral", 0.95)])
def test_presets_reach_their_accuracy(open_tab, name, goal):
    tab = open_tab()
    tab.page.get_by_label("Preset").select_option(label=PRESETS[name].title.en)
    tab.until_status(f"s.playing && s.step > 500 && s.accuracies[0] > {goal}")


def test_the_language_is_switched_and_back(open_tab):
    tab = open_tab()
    tab.press("中文")
    tab.page.get_by_role("button", name="播放", exact=True).wait_for()
    assert tab.page.get_by_role("heading", name="决策区域").is_visible()
    assert not tab.page.get_by_role("heading", name="Decision regions").is_visible()
    assert tab.page.locator("html").get_attribute("lang") == "zh"
    tab.press("English")
    tab.page.get_by_role("button", name="Play", exact=True).wait_for()


def test_a_bad_link_or_file_gives_a_message_and_the_page_keeps_working(open_tab, tmp_path):
    tab = open_tab("#hidden=99")
    tab.until("document.getElementById('message').textContent.includes('from 1 to 32')")
    (tmp_path / "bad.json").write_text("{}")
    tab.page.set_input_files("#model", tmp_path / "bad.json")
    tab.until("document.getElementById('message').textContent.includes('not a model of this page')")
    (tmp_path / "bad.csv").write_text("x1,x2,target\n1,<img src=x onerror=alert(1)>,0\n")
    tab.page.set_input_files("#csv", tmp_path / "bad.csv")
    tab.until("document.getElementById('message').textContent.includes('line 2')")
    (tmp_path / "huge.csv").write_bytes(bytes(3_000_000))
    tab.page.set_input_files("#csv", tmp_path / "huge.csv")
    tab.until("document.getElementById('message').textContent.includes('3000000')")
    (tmp_path / "good.csv").write_text("x1,x2,target\n1,1,0\n-1,1,1\n")
    tab.page.set_input_files("#csv", tmp_path / "good.csv")
    tab.until_status("s.points == 2")
    tab.press("Step")
    tab.until_status("s.step == 1")
    assert tab.page.evaluate("document.getElementById('message').textContent") == ""


def test_a_model_is_saved_and_opened_again(open_tab, tmp_path):
    tab = open_tab()
    tab.press("Epoch")
    before = tab.until_status("s.step == 15")
    with tab.page.expect_download() as download:
        tab.press("Save model")
    download.value.save_as(tmp_path / "model.json")
    tab.press("Reset")
    tab.until_status("s.step == 0")
    tab.page.set_input_files("#model", tmp_path / "model.json")
    tab.until_status(f"Math.abs(s.losses[0] - {before['losses'][0]}) < 1e-6")


def test_keys_do_what_the_footer_says(open_tab):
    tab = open_tab()
    tab.page.keyboard.press("s")
    tab.until_status("s.step == 1")
    tab.page.keyboard.press("e")
    tab.until_status("s.step == 16")
    tab.page.keyboard.press(" ")
    tab.until_status("s.playing")
    tab.page.keyboard.press(" ")
    tab.until_status("!s.playing")
    tab.page.keyboard.press("r")
    tab.until_status("s.step == 0")


def test_sessions_are_independent(open_tab):
    one, two = open_tab(), open_tab("#data=xor")
    one.press("Play")
    one.until_status("s.step > 1000")
    assert two.status()["step"] == 0
    assert not two.status()["playing"]


OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll("main section, header > *")].filter(e => e.offsetParent)
      .map(e => [e, e.getBoundingClientRect()]).filter(([e, b]) => b.width && b.height);
  const found = [];
  for (const [a, p] of boxes) for (const [b, q] of boxes)
    if (a !== b && !a.contains(b) && !b.contains(a) && p.left < q.right - 1 && q.left < p.right - 1 &&
        p.top < q.bottom - 1 && q.top < p.bottom - 1) found.push(a.textContent.slice(0, 20));
  for (const section of document.querySelectorAll("main section"))
    if (section.offsetParent && section.scrollWidth > section.clientWidth + 1) found.push(section.innerText);
  return found;
}"""


@pytest.mark.parametrize("width", [768, 1280])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_overlaps_or_scrolls_sideways(open_tab, width, language):
    tab = open_tab(f"#language={language}&hidden=8,8,8,8,8,8&many=seeds", width)
    tab.until("playground.many")
    tab.page.wait_for_timeout(300)
    assert tab.page.evaluate(OVERLAPS) == []
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_picture_is_saved_as_png_and_a_neuron_is_enlarged_and_edited(open_tab, tmp_path):
    tab = open_tab()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Save picture").click()
    download.value.save_as(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    regions = tab.plane()
    where = """() => {
        const model = Bokeh.documents[0].roots().find(r => r.name == 'net');
        const view = Bokeh.index.find_one(model), box = view.canvas_view.el.getBoundingClientRect();
        const data = model.renderers.map(r => r.data_source.data).find(d => d.left);
        return [box.x + view.frame.x_scale.compute(data.x[3]), box.y + view.frame.y_scale.compute(data.y[3])];
    }"""
    x, y = tab.page.evaluate(where)
    tab.page.mouse.move(x, y)
    tab.until("playground.hovered === 3")
    tab.until(f"JSON.stringify({PLANE}) !== '{json.dumps(regions, separators=(',', ':'))}'")
    tab.page.mouse.click(x, y)
    field = tab.page.get_by_label("Bias 1: 2")
    before = tab.status()["losses"][0]
    field.fill("2.5")
    field.press("Enter")
    tab.until_status(f"s.losses[0] !== {before}")
    with tab.page.expect_download() as download:
        tab.press("Save model")
    download.value.save_as(tmp_path / "model.json")
    assert json.loads((tmp_path / "model.json").read_text())["weights"][0]["b"][1] == 2.5
