"""The book of all lessons: its order, its text and its pictures."""

import base64
import html.parser
import importlib
import re
import shutil
from pathlib import Path

import pytest
from small_book import NASTY, build, make, outcome

from experiments import lessons, report


@pytest.fixture
def folder(ran, tmp_path) -> Path:
    shutil.copytree(ran / "lessons", tmp_path / "lessons")
    return tmp_path


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
    assert "jaxnn dropout --exercise 1" in words
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
