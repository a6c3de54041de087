"""The page of all lessons: its order, its text, its pictures, and how it behaves in a browser."""

import base64
import functools
import html.parser
import json
import re
import shutil
import subprocess

import pytest
from matplotlib.figure import Figure

from experiments import lessons, report
from experiments.lessons.lesson import Claim, Findings, Lesson, Options, ResultTable, Text, run

NASTY = "<script>alert(\"x\")</script> & 'quoted'"


def picture(text: str) -> Figure:
    figure = Figure(figsize=(4, 1))
    figure.text(0.1, 0.5, text)
    return figure


def outcome(options: Options, held: bool = True) -> Findings:
    claims = [
        Claim(f"a claim {NASTY}", "论断", {NASTY: 0.123456, "count": 7}, held),
        Claim("another", "又一个", {}, True),
    ]
    wide = ResultTable(NASTY, [f"column {i}" for i in range(20)], [[f"a long cell {i}" for i in range(20)]])
    frames = [picture(f"frame {i}") for i in range(3)]
    return Findings(claims, {"one": picture("one")}, [wide], {"moving": frames}, models=5, training_seconds=1.5)


def make(folder, name: str, held: bool = True) -> None:
    title, question = Text(f"Title of {name}", "标题"), Text(f"Why {NASTY}?", "为什么？")
    run(Lesson(name, title, question, lambda options: outcome(options, held)), Options(), folder / name)


@pytest.fixture
def folder(tmp_path):
    for name in ("dropout", "capacity"):
        make(tmp_path / "lessons", name)
    return tmp_path


def build(folder, *more: str) -> int:
    chosen = ["--lessons", "dropout", "capacity"]
    return report.main(
        ["--reuse", "--folder", str(folder / "lessons"), "--out", str(folder / "page.html"), *chosen, *more]
    )


class Reader(html.parser.HTMLParser):
    """Collects the elements, and checks that every one that is opened is closed."""

    EMPTY = frozenset({"meta", "img", "br", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def read(folder) -> Reader:
    reader = Reader()
    reader.feed((folder / "page.html").read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_follows_the_course_and_holds_everything(folder):
    assert build(folder) == 0
    reader = read(folder)
    assert [section["id"] for section in reader.all("section")] == ["capacity", "dropout"]
    assert [link["href"] for link in reader.all("a")] == ["#capacity", "#dropout"]
    words = "".join(reader.words)
    assert "0.1235" in words
    assert "4 of 4 claims held" in words
    assert "10 models were trained in 3.0 seconds" in words
    assert "python -m experiments.lessons.dropout" in words
    assert "论断" in words
    assert len(reader.all("img")) == 2 * (1 + 3)
    first = reader.all("img")[0]["src"] or ""
    stored = (folder / "lessons" / "capacity" / "one.png").read_bytes()
    assert base64.b64decode(first.removeprefix("data:image/png;base64,")) == stored


def test_nothing_on_the_page_comes_from_elsewhere_and_all_text_is_escaped(folder):
    build(folder)
    reader = read(folder)
    assert all((img["src"] or "").startswith("data:") for img in reader.all("img"))
    assert not reader.all("link")
    assert [script for script in reader.all("script") if script] == []
    assert len(reader.all("script")) == 1
    assert not re.search(r"https?://|@import|url\(", (folder / "page.html").read_text(encoding="utf-8"))
    assert f"a claim {NASTY}" in "".join(reader.words)


def test_a_claim_that_failed_is_marked_and_named(folder, capsys):
    make(folder / "lessons", "dropout", held=False)
    assert build(folder) == 1
    assert "claim of dropout did not hold" in capsys.readouterr().err
    reader = read(folder)
    assert [item.get("class") for item in reader.all("li")].count("not-held") == 1
    assert [tally.get("class") for tally in reader.all("small")] == ["held", "not-held"]  # capacity, dropout


def test_lessons_are_run_where_they_are_not_reused(folder, monkeypatch):
    ran = []
    lesson = Lesson("capacity", Text("t", "t"), Text("q", "q"), lambda options: ran.append(options) or outcome(options))
    monkeypatch.setattr(report.importlib, "import_module", lambda name: type("Module", (), {"LESSON": lesson}))
    shutil.rmtree(folder / "lessons" / "capacity")
    assert build(folder, "--quick") == 0
    assert [(options.quick, options.out) for options in ran] == [(True, folder / "lessons" / "capacity")]


def test_wrong_names_and_damaged_folders_are_one_line(folder, capsys):
    assert report.main(["--lessons", "nonsense"]) == 2
    assert "choose from data_scale, dataset" in capsys.readouterr().err
    (folder / "page.html").write_text("the old page")
    (folder / "lessons" / "dropout" / "summary.json").write_text("{}")
    assert build(folder) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert (folder / "page.html").read_text() == "the old page"


def test_the_names_are_each_a_lesson_once():
    assert len(set(lessons.NAMES)) == len(lessons.NAMES) == 16
    for name in lessons.NAMES:
        assert report.importlib.import_module(f"experiments.lessons.{name}").LESSON.name == name


# ---------------------------------------------------------------- in a browser

PROBE = """
<script>
const box = document.querySelector('.frames'), slider = box.querySelector('input');
const shown = () => [...box.querySelectorAll('img')].map(i => i.hidden ? 0 : 1).join('');
const seen = {before: shown(), scroll: document.documentElement.scrollWidth, width: innerWidth};
seen.table = document.querySelector('.wide').scrollWidth > document.querySelector('.wide').clientWidth;
slider.value = 2; slider.dispatchEvent(new Event('input'));
seen.moved = shown(); seen.where = box.querySelector('output').textContent;
box.querySelector('button').click(); seen.playing = box.querySelector('button').textContent; seen.start = shown();
setTimeout(() => {
  seen.played = shown();
  parent.postMessage(JSON.stringify(seen), '*');
}, 600);
</script>
"""
OUTER = """<!doctype html><body><iframe src="probe.html" width="WIDTH" height="800" style="border:0"></iframe><script>
addEventListener('message', event => {
  const out = document.createElement('pre'); out.id = 'seen'; out.textContent = event.data;
  document.body.append(out);
});
</script>"""


@functools.cache
def browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@pytest.mark.skipif(browser() is None, reason="no Chromium is installed here")
@pytest.mark.parametrize("width", [400, 1200])
def test_in_a_browser_nothing_scrolls_sideways_and_the_slider_and_button_work(folder, width):
    build(folder)
    page = (folder / "page.html").read_text(encoding="utf-8")
    (folder / "probe.html").write_text(page.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    # a window cannot be as narrow as a phone, a frame inside of it can
    (folder / "outer.html").write_text(OUTER.replace("WIDTH", str(width)), encoding="utf-8")
    command = [browser(), "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={folder / 'profile'}", "--window-size=1300,900", "--virtual-time-budget=4000"]
    done = subprocess.run(
        [*command, "--dump-dom", (folder / "outer.html").as_uri()], capture_output=True, text=True, timeout=120
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout)
    assert found, done.stderr[-2000:]
    seen = json.loads(found[1])
    assert seen["scroll"] <= seen["width"] == width
    assert seen["table"]
    assert (seen["before"], seen["moved"], seen["where"]) == ("100", "001", "3 / 3")
    assert (seen["playing"], seen["start"], seen["played"]) == ("Pause", "100", "010")
