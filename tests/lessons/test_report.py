"""The book of all lessons: its order, its text, its pictures, and how it behaves in a browser."""

import base64
import html.parser
import importlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import lessons, report
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text, run
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, Plot, Readout, Series

NASTY = "<script>alert(\"x\")</script> & 'quoted'"
NAMES = ("capacity", "dropout")
DAY, NIGHT = "?lang=en&theme=light", "?lang=zh&theme=dark"


def picture(text: str) -> Figure:
    figure = Figure(figsize=(4, 1))
    figure.text(0.1, 0.5, text)
    return figure


def live() -> Live:
    square = np.arange(20.0) ** 2
    kinds = [Text("one", "一"), Text("two", "二")]
    regions = np.arange(20 * 4 * 4, dtype=np.uint8).reshape(20, 4, 4) % 3
    place = Numbers(np.arange(20.0)[:, None], (0,))
    line = Series(Text("line", "线"), Numbers(np.arange(20.0)), Numbers(square), "path", 0, 0)
    arrow = Series(Text("arrow", "箭头"), Numbers([0.0, 10.0]), Numbers([0.0, 300.0]), "arrow", 1)
    dots = Series("", place, Numbers(square[:, None], (0,)), "points", labels=Numbers(np.zeros(1, np.uint8)))
    return Live(
        Text("A caption", "说明"),
        [Control(Text("position", "位置"), list(range(20)), 3), Control(Text("kind", "种类"), kinds, choice=True)],
        [
            Plot(Text("Plot", "图"), "x", "y", (0, 20), (0, 400), [line, arrow, dots], picture=Numbers(regions, (0,))),
            Bars(Text("Bars", "柱"), kinds, [Numbers(np.stack([square, -square], 1), (0,))], (-400, 400)),
        ],
        [Readout(Text("square", "平方"), [Numbers(square, (0,)), Numbers([0.5, 1.0], (1,))])],
        20,
        1.0,
    )


def outcome(name: str, held: bool = True) -> Findings:
    teaching = importlib.import_module(f"experiments.lessons.{name}").LESSON.teaching
    asked = dict.fromkeys(re.findall(r"\{([^{}]+)\}", teaching.question.answer.en), 0.5)
    claims = [
        Claim(f"a claim {NASTY}", "论断", {NASTY: 0.123456, "count": 7}, held),
        Claim("another", "又一个", asked, True),
    ]
    wide = ResultTable(NASTY, [f"column {i}" for i in range(20)], [[f"a long cell {i}" for i in range(20)]])
    return Findings(claims, {"one": picture("one")}, [wide], [live()], models=5, training_seconds=1.5)


def make(folder: Path, name: str, held: bool = True) -> None:
    real = importlib.import_module(f"experiments.lessons.{name}").LESSON
    question = Text(f"Why {NASTY}?", "为什么？")
    run(
        Lesson(name, real.title, question, lambda options: outcome(name, held), real.teaching), Options(), folder / name
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    """Two lessons that have run, for reading only."""
    folder = tmp_path_factory.mktemp("ran")
    for name in NAMES:
        make(folder / "lessons", name)
    return folder


@pytest.fixture
def folder(ran, tmp_path) -> Path:
    shutil.copytree(ran / "lessons", tmp_path / "lessons")
    return tmp_path


def build(folder: Path, out: str, *more: str) -> int:
    chosen = ["--lessons", "dropout", "capacity"]
    return report.main(["--reuse", "--folder", str(folder / "lessons"), "--out", str(folder / out), *chosen, *more])


class Reader(html.parser.HTMLParser):
    """Collects the elements, and checks that every one that is opened is closed."""

    EMPTY = frozenset({"meta", "img", "br", "input", "link"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_book_has_an_index_a_page_for_each_lesson_and_a_glossary(folder):
    assert build(folder, "book") == 0
    assert sorted(path.name for path in (folder / "book").glob("*.html")) == [
        "capacity.html",
        "dropout.html",
        "glossary.html",
        "index.html",
    ]
    index, page = Reader(folder / "book" / "index.html"), Reader(folder / "book" / "dropout.html")
    words = "".join(index.words)
    assert "4 of 4 claims held" in words
    assert "10 models were trained for them in 3 seconds" in words
    assert {"capacity.html", "dropout.html", "glossary.html"} <= {link["href"] for link in index.all("a")}
    assert len(index.all("rect")) == 2  # the map
    ids = [element["id"] for _, element in page.found if element.get("id")]
    assert len(set(ids)) == len(ids)
    order = ["idea", "formula", "code", "question", "live", "claims", "try"]
    assert [name for name in ids if name in order] == order
    words = "".join(page.words)
    assert "0.1235" in words
    assert "def dropout(key: Array, x: Array, rate: ArrayLike) -> Array:" in words
    assert "python -m experiments.lessons.dropout --exercise 1" in words
    assert "论断" in words
    assert page.all("math")
    assert "capacity.html" in [link["href"] for link in page.all("a")]
    stored = (folder / "lessons" / "dropout" / "one.png").read_bytes()
    assert (folder / "book" / (page.all("img")[0]["src"] or "")).read_bytes() == stored


def test_one_file_holds_everything(folder):
    assert build(folder, "page.html") == 0
    reader = Reader(folder / "page.html")
    ids = [element["id"] for _, element in reader.found if element.get("id")]
    assert len(set(ids)) == len(ids)
    assert {"capacity", "dropout", "glossary", "dropout-idea"} <= set(ids)
    stored = (folder / "lessons" / "capacity" / "one.png").read_bytes()
    assert base64.b64decode((reader.all("img")[0]["src"] or "").removeprefix("data:image/png;base64,")) == stored
    assert not reader.all("link")


@pytest.mark.parametrize("out", ["book", "page.html"])
def test_nothing_comes_from_elsewhere_and_all_text_is_escaped(folder, out):
    build(folder, out)
    paths = [folder / out] if out.endswith("html") else sorted((folder / out).glob("*.*"))
    for path in paths:
        if path.suffix == ".png":
            continue
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^/\"']*", text)) <= {"http://localhost:5100"}  # the reader's own playground
        assert not re.search(r"@import|url\((?!#)", text)
    page = folder / out if out.endswith("html") else folder / out / "dropout.html"
    reader = Reader(page)
    assert f"a claim {NASTY}" in "".join(reader.words)
    assert all((script.get("src") or "book.js") == "book.js" for script in reader.all("script"))


def test_a_claim_that_failed_is_marked_and_named(folder, capsys):
    make(folder / "lessons", "dropout", held=False)
    assert build(folder, "book") == 1
    assert "claim of dropout did not hold" in capsys.readouterr().err
    reader = Reader(folder / "book" / "dropout.html")
    assert [item.get("class") for item in reader.all("li")].count("not-held") == 1
    assert "1 of 2 claims held" in "".join(Reader(folder / "book" / "index.html").words)


def test_lessons_are_run_where_they_are_not_reused(folder, monkeypatch):
    ran = []
    real = importlib.import_module("experiments.lessons.capacity").LESSON
    lesson = real._replace(study=lambda options: ran.append(options) or outcome("capacity"))
    monkeypatch.setattr(report.importlib, "import_module", lambda name: type("Module", (), {"LESSON": lesson}))
    shutil.rmtree(folder / "lessons" / "capacity")
    arguments = ["--folder", str(folder / "lessons"), "--lessons", "capacity", "--quick", "--reuse"]
    assert report.main(arguments) == 0
    assert [(options.quick, options.out) for options in ran] == [(True, folder / "lessons" / "capacity")]
    assert (folder / "lessons" / "book" / "capacity.html").exists()


def test_wrong_names_and_damaged_folders_are_one_line(folder, capsys):
    assert report.main(["--lessons", "nonsense"]) == 2
    assert "choose from data_scale, dataset" in capsys.readouterr().err
    assert report.main(["--single", "--out", "book"]) == 2
    assert "name a file that ends in .html" in capsys.readouterr().err
    (folder / "page.html").write_text("the old page")
    (folder / "lessons" / "dropout" / "summary.json").write_text("{}")
    assert build(folder, "page.html") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert (folder / "page.html").read_text() == "the old page"


def test_the_names_are_each_a_lesson_once():
    assert len(set(lessons.NAMES)) == len(lessons.NAMES) == 17
    for name in lessons.NAMES:
        assert report.importlib.import_module(f"experiments.lessons.{name}").LESSON.name == name


# ---------------------------------------------------------------- in a browser


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
    assert words.all_inner_texts()[:4] == ["python", "-m", "experiments.lessons.dropout", "--exercise"]
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
