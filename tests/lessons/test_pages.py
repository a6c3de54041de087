"""The pages of the book in a browser: nothing cut off, accessible, by keyboard, one language at a time, alive."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_book import build

from experiments import lessons, report

DAY, NIGHT = "?lang=en&theme=light", "?lang=zh&theme=dark"


@pytest.fixture(scope="module")
def open_page(chromium) -> Iterator[Any]:
    """`open_page(path, width, query)`: a page in Chromium, whose console must stay silent."""
    said: list[str] = []

    def open_one(path: Path, width: int = 1280, query: str = "") -> Any:
        page = chromium.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri() + query)
        for figure in page.locator("figure.live").all():
            figure.scroll_into_view_if_needed()
        page.wait_for_function("[...document.querySelectorAll('figure.live')].every(f => f.dataset.ready)")
        return page

    yield open_one
    assert said == []


@pytest.fixture(scope="module")
def book(ran) -> Path:
    assert build(ran, "book") == 0
    return ran / "book"


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"preload": False}).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


CUT_OFF = """() => [...document.querySelectorAll(".drawing text")].filter(one => {
  const {left, right, top, bottom} = one.getBoundingClientRect(), frame = one.closest("svg").getBoundingClientRect();
  return left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 1 || bottom > frame.bottom + 1;
}).filter(one => one.getClientRects().length).map(one => one.textContent)"""


OPEN_ALL = """() => {
  for (const details of document.querySelectorAll("main details")) details.open = true;
  for (const form of document.querySelectorAll("form.question")) form.requestSubmit();
}"""


def check_page(page: Any) -> None:
    """Nothing scrolls sideways or is cut off, nothing is inaccessible, also when it is open; pictures have words."""
    page.evaluate(OPEN_ALL)
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert violations(page) == []


@pytest.mark.parametrize(("name", "width", "query"), [("dropout", 400, NIGHT), ("index", 1280, DAY)])
def test_pages_are_accessible_and_fit(book, open_page, name, width, query):
    page = open_page(book / f"{name}.html", width, query)
    check_page(page)
    page.close()


def test_commands_break_between_words_and_figures_are_named_in_chinese(book, open_page):
    page = open_page(book / "dropout.html", 440, NIGHT)
    words = page.locator(".exercise .command span")
    assert page.evaluate("[...document.querySelectorAll('.command span')].every(w => w.getClientRects().length === 1)")
    assert page.locator(".exercise .command code").first.inner_text().endswith("--exercise 1")
    assert words.all_inner_texts()[:4] == ["jaxnn", "dropout", "--exercise", "1"]
    assert "图中文字为英文" in page.locator("figure.still figcaption").first.inner_text()
    page.get_by_role("button", name="English").click()
    assert not page.locator("figure.still figcaption").first.is_visible()
    page.close()


def test_the_glossary_fits_a_narrow_screen_and_so_do_the_figures(book, open_page):
    page = open_page(book / "glossary.html", 400)
    assert page.evaluate("""() => [...document.querySelectorAll(".terms :is(th, td)")]
        .every(cell => cell.getBoundingClientRect().right <= innerWidth)""")
    rows = page.evaluate("[...document.querySelectorAll('.terms tbody tr')].map(row => row.clientHeight)")
    assert max(rows) < 160
    page.close()
    page = open_page(book / "dropout.html", 400)
    assert page.locator("canvas").first.evaluate("canvas => canvas.clientHeight") >= 280
    page.close()


def test_the_reader_can_do_everything_with_the_keyboard(book, open_page):
    page = open_page(book / "dropout.html")
    slider, canvas = page.locator("input[type=range]").first, page.locator("canvas").first
    assert canvas.get_attribute("aria-label") == "Plot; square 9.5"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert canvas.get_attribute("aria-label") == "Plot; square 16.5"
    page.locator(".live select").select_option(index=1)
    assert page.locator(".live dd").inner_text() == "17"
    slider.focus()
    page.keyboard.press("End")
    page.locator("button.play").press("Enter")
    page.wait_for_function("document.querySelector('input[type=range]').value === '1'")
    answer = page.locator(".answer")
    assert not answer.is_visible()
    page.locator("input[type=radio]").nth(0).focus()
    page.keyboard.press("Space")
    assert answer.is_visible()
    assert page.locator("label.wrong").count() == 1
    page.close()


def test_one_language_at_a_time_and_a_search(book, open_page):
    page = open_page(book / "index.html")
    assert page.locator("h1").inner_text() == "Deep learning, lesson by lesson"
    page.get_by_role("button", name="中文").click()
    assert page.locator("h1").inner_text() == "深度学习：逐课讲解"
    assert page.title() == "深度学习：逐课讲解"
    assert "Lessons" not in page.locator("main").inner_text()
    page.locator("#search").fill("掩码")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dropout.html?lang=zh#formula")
    assert page.locator("h1").inner_text() == "Dropout"
    page.locator("#search").fill("no such words")
    assert page.locator("#found").inner_text() == "没有找到"
    page.close()


def test_the_single_file_works_alike(ran, open_page):
    assert build(ran, "page.html") == 0
    page = open_page(ran / "page.html", 400)
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.locator("#search").fill("hinge")
    assert page.locator("#found a").first.get_attribute("href") == "#glossary"
    page.close()


@pytest.mark.slow
def test_every_page_of_the_book(outcome, tmp_path, open_page):
    folder = next(iter(outcome(name) for name in lessons.NAMES)).folder.parent
    assert all(outcome(name).status == 0 for name in lessons.NAMES)
    arguments = ["--reuse", "--folder", str(folder), "--out", str(tmp_path / "book")]
    assert report.main(arguments) == 0
    for name in (*lessons.NAMES, "index", "glossary"):
        for width, query in ((400, NIGHT), (1280, DAY)):
            page = open_page(tmp_path / "book" / f"{name}.html", width, query)
            check_page(page)
            page.close()
    assert json.loads((folder / "losses" / "live.json").read_text())
