"""The lessons as a book of HTML pages that need no network and no server: a folder of pages, or one file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.cli import files
from experiments.lessons.framework.lesson import Lesson
from experiments.lessons.page import sections
from experiments.lessons.page.course_map import course_map
from experiments.lessons.page.glossary import TERMS
from experiments.lessons.teaching import Text

HERE = Path(__file__).parent
TITLE = Text("Deep learning, lesson by lesson", "深度学习：逐课讲解")
GLOSSARY = Text("Glossary", "术语表")


class Ran(NamedTuple):
    """A lesson that has run: its content, its summary, and the folder with its pictures."""

    lesson: Lesson
    summary: Mapping[str, Any]
    folder: Path


def write_folder(ran: Sequence[Ran], out: Path) -> None:
    """Write an index, a page for each lesson, the glossary, and the script and style that they share, into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    script = _search_index(ran, single=False) + (HERE / "book.js").read_text(encoding="utf-8")
    files.write(out / "book.js", script)
    files.write(out / "book.css", (HERE / "book.css").read_text(encoding="utf-8"))
    head = '<link rel="stylesheet" href="book.css">'
    tail = '<script src="book.js"></script>'

    def picture(path: Path) -> str:
        name = f"{path.parent.name}-{path.name}"
        files.write(out / name, path.read_bytes())
        return name

    for i, one in enumerate(ran):
        body = sections.article(one.lesson, one.summary, one.folder, picture, out) + _neighbors(ran, i)
        contents = _contents(ran, lambda name: f"{name}.html", one)
        files.write(out / f"{one.lesson.name}.html", _page(one.lesson.title, body, contents, head, tail))
    contents = _contents(ran, lambda name: f"{name}.html", None)
    body = _overview(ran, lambda name: f"{name}.html")
    files.write(out / "index.html", _page(TITLE, body, contents, head, tail))
    body = _glossary(ran, lambda name: f"{name}.html", 1)
    files.write(out / "glossary.html", _page(GLOSSARY, body, contents, head, tail))


def single_page(ran: Sequence[Ran], out: Path) -> str:
    """The whole book as one page."""
    head = f"<style>{(HERE / 'book.css').read_text(encoding='utf-8')}</style>"
    script = _search_index(ran, single=True) + (HERE / "book.js").read_text(encoding="utf-8")
    pictures = sections.as_data
    articles = [sections.article(one.lesson, one.summary, one.folder, pictures, out.parent, level=2) for one in ran]
    link = "#{}".format
    body = _overview(ran, link) + "".join(articles) + _glossary(ran, link, 2)
    return _page(TITLE, body, _contents(ran, link, None), head, f"<script>{script}</script>", home="#top")


def _page(title: Text, body: str, contents: str, head: str, tail: str, home: str = "index.html") -> str:
    find, theme = Text("Search", "搜索"), Text("Dark / light", "深色 / 浅色")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title{sections.in_both(title)}>{sections.escape(title.en)}</title>{head}</head>\n<body>"
        f'<a class="skip" href="#main">{sections.both(Text("To the text", "跳到正文"))}</a>'
        f'<header class="bar"><a class="home" href="{home}">{sections.both(TITLE)}</a>'
        f'<input id="search" type="search" autocomplete="off" placeholder="{find.en}" aria-label="{find.en}"'
        f"{sections.in_both(find, 'placeholder')}>"
        '<button type="button" data-language="en" aria-pressed="true" lang="">English</button>'
        '<button type="button" data-language="zh" aria-pressed="false" lang="">中文</button>'
        f'<button type="button" id="theme">{sections.both(theme)}</button>'
        '<ol id="found" hidden></ol></header>\n<div class="frame" id="top">'
        f'<nav class="contents" aria-label="Lessons"{sections.in_both(Text("Lessons", "课程"), "aria-label")}>'
        f"{contents}</nav>"
        f'\n<main id="main">{body}</main></div>\n{tail}</body></html>\n'
    )


def _contents(ran: Sequence[Ran], link: Any, here: Ran | None) -> str:
    items = []
    for one in ran:
        current = ' aria-current="page"' if one is here else ""
        item = f'<a href="{link(one.lesson.name)}"{current}>{sections.both(one.lesson.title)}</a>'
        if one is here:
            item += '<ol class="parts">' + "".join(
                f'<li><a href="#{name}">{sections.both(title)}</a></li>'
                for name, title in sections.sections(one.lesson)
            )
            item += "</ol>"
        items.append(f"<li>{item}</li>")
    items.append(f'<li><a href="{link("glossary")}">{sections.both(GLOSSARY)}</a></li>')
    summary = sections.both(Text("Contents", "目录"))
    return f"<details open><summary>{summary}</summary><ol>{''.join(items)}</ol></details>"


def _overview(ran: Sequence[Ran], link: Any) -> str:
    claims = [claim for one in ran for claim in one.summary["claims"]]
    held = sum(claim["held"] for claim in claims)
    models = sum(one.summary["models"] for one in ran)
    seconds = sum(one.summary["training_seconds"] for one in ran)
    machines = "; ".join(sorted({one.summary["machine"] for one in ran if "machine" in one.summary}))
    of_cores = re.sub(r", (\d+) cores", r"，\1 核", machines)
    lead = Text(
        f"{len(ran)} lessons: an idea, its formula, the code that computes it, a question to answer before the result "
        f"opens, figures to play with, claims that check themselves, and exercises. {held} of {len(claims)} claims "
        f"held; {models:,} models were trained for them in {seconds:,.0f} seconds ({machines}).",
        f"共 {len(ran)} 课。每课包括：思路、公式、实现它的代码、看结果之前先回答的问题、可以动手调节的图、自行检验的结"
        f"论，以及练习。{len(claims)} 条结论中有 {held} 条成立；为此训练了 {models:,} 个模型，用时 {seconds:,.0f} 秒（"
        f"{of_cores}）。",
    )
    items = "".join(
        f'<li><a href="{link(one.lesson.name)}">{sections.both(one.lesson.title)}</a><br>'
        f"{sections.both(one.lesson.question)} <small>{_tally(one.summary)}</small></li>"
        for one in ran
    )
    of_map = Text("What builds on what", "哪一课以哪一课为基础")
    return (
        f'<h1>{sections.both(TITLE)}</h1><p class="lead">{sections.both(lead)}</p>'
        f"<h2>{sections.both(of_map)}</h2>{course_map([one.lesson for one in ran], link)}"
        f'<h2>{sections.both(Text("Lessons", "课程"))}</h2><ol class="list">{items}</ol>'
    )


def _tally(summary: Mapping[str, Any]) -> str:
    held, count = sum(claim["held"] for claim in summary["claims"]), len(summary["claims"])
    return sections.both(Text(f"{held} of {count} claims held", f"{count} 条结论中 {held} 条成立"))


def _neighbors(ran: Sequence[Ran], i: int) -> str:
    links = []
    for j, word in ((i - 1, Text("Before: ", "上一课：")), (i + 1, Text("Next: ", "下一课："))):
        if 0 <= j < len(ran):
            title = ran[j].lesson.title
            both = sections.both(Text(word.en + title.en, word.zh + title.zh))
            links.append(f'<a href="{ran[j].lesson.name}.html">{both}</a>')
    label = Text("Neighboring lessons", "相邻课程")
    return f'<nav class="next" aria-label="{label.en}"{sections.in_both(label, "aria-label")}>{"".join(links)}</nav>'


def _glossary(ran: Sequence[Ran], link: Any, level: int) -> str:
    names = {one.lesson.name: one.lesson.title for one in ran}
    rows = "".join(
        f'<tr><th scope="row">{sections.escape(term.en)}</th><td>{sections.escape(term.zh)}</td>'
        + f"<td>{sections.both(meaning)}"
        + (f' <a href="{link(name)}">{sections.both(names[name])}</a>' if name in names else "")
        + "</td></tr>"
        for term, meaning, name in sorted(TERMS, key=lambda row: row[0].en.lower())
    )
    head = "".join(f'<th scope="col">{word}</th>' for word in ("English", "中文"))
    head += f'<th scope="col">{sections.both(Text("Meaning", "含义"))}</th>'
    table = f'<table class="terms"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<h{level} id="glossary">{sections.both(GLOSSARY)}</h{level}>{table}'


def _search_index(ran: Sequence[Ran], *, single: bool) -> str:
    """The texts to search, as a script: a section of a lesson, or a term, per entry."""
    entries = []
    for one in ran:
        page = "" if single else f"{one.lesson.name}.html"
        for name, title, words in sections.searchable(one.lesson, one.summary):
            whole = Text(f"{one.lesson.title.en}: {title.en}", f"{one.lesson.title.zh}：{title.zh}")
            place = f"{one.lesson.name}-{name}" if single else name
            entries.append({"page": page, "id": place, "title": whole._asdict(), "en": words.en, "zh": words.zh})
    for term, meaning, _ in TERMS:
        title = Text(f"{term.en} ({GLOSSARY.en})", f"{term.zh}（{GLOSSARY.zh}）")
        words = {"en": f"{term.zh} {meaning.en}", "zh": f"{term.en} {meaning.zh}"}
        entries.append({"page": "" if single else "glossary.html", "id": "glossary", "title": title._asdict()} | words)
    text = json.dumps(entries, ensure_ascii=False).replace("<", "\\u003c")
    return f"const SINGLE = {json.dumps(single)}, INDEX = {text};\n"
