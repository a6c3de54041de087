"""The parts of a lesson's page, in their order: idea, formula, code, question, figures, claims, exercises."""

from __future__ import annotations

import ast
import base64
import html
import inspect
import json
import os
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from experiments.lessons.framework.lesson import Lesson, fill, short
from experiments.lessons.page.argument_checks import lines_of_checks
from experiments.lessons.page.mathematics import math
from experiments.lessons.teaching import Drawing, Exercise, Formula, Question, Text
from experiments.lessons.teaching.idea_drawing import WIDTH

Picture = Callable[[Path], str]
"""From the path of a picture to the address under which the page finds it."""
IDEA, FORMULA, CODE = Text("The idea", "思路"), Text("The formula", "公式"), Text("The code", "代码")
QUESTION, LIVE = Text("Predict, then see", "先猜，再看"), Text("Try the settings", "动手调一调")
CLAIMS, TRY = Text("What was measured", "测量结果"), Text("Exercises", "练习")
PORT = 5100
"""The default port of the playground."""


def sections(lesson: Lesson) -> list[tuple[str, Text]]:
    """Names and titles of the sections of a page."""
    names = ("idea", "formula", "code", "question", "live", "claims", "try")
    return list(zip(names, (IDEA, FORMULA, CODE, QUESTION, LIVE, CLAIMS, TRY), strict=True))


def searchable(lesson: Lesson, summary: Mapping[str, Any]) -> Iterator[tuple[str, Text, Text]]:
    """Name, title and words of the sections that hold prose."""
    teaching = lesson.teaching
    yield "idea", IDEA, teaching.idea
    yield "formula", FORMULA, _join([meaning for one in teaching.formulas for _, meaning, _ in one.symbols])
    yield "question", QUESTION, _join([teaching.question.text, *teaching.question.choices])
    yield "claims", CLAIMS, _join([Text(**claim["text"]) for claim in summary["claims"]])
    yield "try", TRY, _join([exercise.task for exercise in teaching.exercises])


def _join(texts: Sequence[Text]) -> Text:
    return Text(" ".join(text.en for text in texts), "".join(text.zh for text in texts))


def article(
    lesson: Lesson, summary: Mapping[str, Any], folder: Path, picture: Picture, base: Path, *, level: int = 1
) -> str:
    """The whole lesson; `base` is the folder of the page, `level` that of its heading."""
    teaching, single = lesson.teaching, level > 1
    code = "".join(source(function, base) for function in teaching.code)
    live = json.loads((folder / "live.json").read_text(encoding="utf-8"))
    bodies = [
        paragraphs(teaching.idea) + drawing(teaching.drawing),
        "".join(formula(one) for one in teaching.formulas),
        code,
        question(teaching.question, summary),
        "".join(live_figure(one) for one in live),
        _measured(lesson, summary, folder, picture),
        _exercises(lesson),
    ]
    found = [
        f'<section><h{level + 1} id="{place}">{both(title)}</h{level + 1}>{body}</section>'
        for (name, title), body in zip(sections(lesson), bodies, strict=True)
        for place in [f"{lesson.name}-{name}" if single else name]
    ]
    title = f'<h{level} id="{lesson.name}">{both(lesson.title)}</h{level}><p class="lead">{both(lesson.question)}</p>'
    return f"<article>{title}{''.join(found)}</article>"


# ---------------------------------------------------------------- text


def escape(value: Any) -> str:
    """Text as HTML."""
    return html.escape(str(value), quote=True)


def both(text: Text) -> str:
    """A text in both languages, of which the style shows one; words between backticks are code."""
    if text.en == text.zh:
        return _inline(text.en)
    return "".join(f'<span lang="{language}">{_inline(words)}</span>' for language, words in text._asdict().items())


def _inline(words: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(words))


def paragraphs(text: Text) -> str:
    """A text of several paragraphs, in both languages."""
    return "".join(
        f'<p lang="{language}">{_inline(words.strip())}</p>'
        for language, whole in text._asdict().items()
        for words in whole.split("\n\n")
    )


def drawing(one: Drawing) -> str:
    """A small drawing, described in both languages."""
    label = f'aria-label="{escape(one.alt.en)}"{in_both(one.alt, "aria-label")}'
    return f'<svg class="drawing" viewBox="0 0 {WIDTH} {one.height}" role="img" {label}>{"".join(one.parts)}</svg>'


def in_both(text: Text, attribute: str = "") -> str:
    """Attributes from which the script sets the text, or an attribute, of an element in the chosen language."""
    return "".join(
        [
            f' data-en="{escape(text.en)}" data-zh="{escape(text.zh)}"',
            f' data-attribute="{attribute}"' if attribute else "",
        ]
    )


def translate(label: Any, chinese: Mapping[str, str]) -> Text:
    """An English label with its Chinese: numbers stay, `*` in the keys of the table stands for any text."""
    label = str(label)
    if label in chinese:
        return Text(label, chinese[label])
    for pattern, words in chinese.items():
        if "*" in pattern:
            match = re.fullmatch(re.escape(pattern).replace(r"\*", "(.*)"), label)
            if match:
                kept = [translate(part, chinese).zh for part in match.groups()]
                for part in kept:
                    words = words.replace("*", part, 1)
                return Text(label, words)
    return Text(label, label)


# ---------------------------------------------------------------- formula and code


def formula(one: Formula) -> str:
    """A formula with a table of its symbols."""
    rows = "".join(
        f"<tr><td>{math(symbol)}</td><td>{both(meaning)}</td><td><code>{escape(shape)}</code></td></tr>"
        for symbol, meaning, shape in one.symbols
    )
    head = "".join(
        f'<th scope="col">{both(word)}</th>'
        for word in (Text("Symbol", "符号"), Text("Meaning", "含义"), Text("Shape", "形状"))
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="formula" tabindex="0">{math(one.latex, block=True)}</div><div class="wide">{table}</div>'


def source(function: Callable[..., Any], base: Path) -> str:
    """The source of a function, its docstring and the checks of its arguments folded away, with a link to its file."""
    function = inspect.unwrap(function)
    lines, first = inspect.getsourcelines(function)
    path = Path(inspect.getsourcefile(function) or "")
    tree = ast.parse(inspect.cleandoc("".join(lines)) if lines[0][0] == " " else "".join(lines)).body[0]
    assert isinstance(tree, ast.FunctionDef | ast.ClassDef)
    doc = inspect.getdoc(function) if ast.get_docstring(tree) else None
    of_doc = range(tree.body[0].lineno, (tree.body[0].end_lineno or 0) + 1) if doc else range(0)
    checks = [i for statement in tree.body for i in lines_of_checks(statement)]
    body = [line for i, line in enumerate(lines, 1) if i not in checks and i not in of_doc]
    shown = path.relative_to(Path(__file__).parents[3]).as_posix()
    link = Path(os.path.relpath(path, base.absolute())).as_posix()
    folded = ""
    for title, words in (
        (Text("Documentation", "文档"), escape(doc or "")),
        (Text("Checks of the arguments", "参数检查"), _colored(textwrap.dedent("".join(lines[i - 1] for i in checks)))),
    ):
        if words:
            folded += f'<details><summary>{both(title)}</summary><pre tabindex="0">{words}</pre></details>'
    return (
        f'<p><a href="{escape(link)}"><code>{escape(shown)}</code></a>, '
        f"{both(Text(f'line {first}', f'第 {first} 行'))}</p>"
        f'<pre tabindex="0"><code>{_colored("".join(body))}</code></pre>{folded}'
    )


def _colored(code: str) -> str:
    return highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()


# ---------------------------------------------------------------- question, figures, claims


def question(one: Question, summary: Mapping[str, Any]) -> str:
    """The question with its choices, and the answer, hidden until a choice is made."""
    identity = f"{summary['lesson']}-question"
    choices = "".join(
        f'<label data-right="{str(i == one.right).lower()}"><input type="radio" name="{identity}">'
        f" {both(choice)}</label>"
        for i, choice in enumerate(one.choices)
    )
    answer = both(Text(*(fill(words, summary["claims"]) for words in one.answer)))
    show = both(Text("Show the answer", "看答案"))
    return (
        f'<form class="question"><fieldset><legend>{both(one.text)}</legend>{choices}</fieldset>'
        f'<button type="submit">{show}</button>'
        f'<div class="answer" aria-live="polite" hidden><p>{answer}</p></div></form>'
    )


def live_figure(live: Mapping[str, Any]) -> str:
    """A figure that the script draws, with its controls and the numbers of the chosen position."""
    canvases = "".join('<canvas role="img" aria-label=""></canvas>' for _ in live["panels"])
    controls = "".join(_control(control) for control in live["controls"])
    readouts = "".join(f"<div><dt>{_words(one['label'])}</dt><dd></dd></div>" for one in live["readouts"])
    caption = both(Text(**live["caption"]))
    if live["models"] > 1:
        count, seconds = live["models"], live["seconds"]
        both_counts = Text(
            f" One program computed all {count:,} in {seconds:.1f} s.",
            f"同一个程序用 {seconds:.1f} 秒算完全部 {count:,} 个。",
        )
        caption += both(both_counts)
    sliders = [i for i, control in enumerate(live["controls"]) if not control["choice"]]
    series = [one for panel in live["panels"] for one in panel.get("series", ())]
    sliders = [one["upto"] for one in series if one["upto"] is not None] + sliders
    play = ""
    if sliders:
        words = both(Text("Play", "播放"))
        play = f'<button type="button" class="play" aria-pressed="false" data-plays="{sliders[0]}">{words}</button>'
    numbers = f'<dl aria-live="polite">{readouts}</dl>' if readouts else ""
    data = json.dumps(live, ensure_ascii=False).replace("<", "\\u003c")
    return (
        f'<figure class="live"><script type="application/json">{data}</script><div class="panels">{canvases}</div>'
        f'<div class="controls">{controls}</div>{numbers}{play}<figcaption>{caption}</figcaption></figure>'
    )


def _words(label: Any) -> str:
    return both(Text(**label)) if isinstance(label, Mapping) else escape(label)


def _control(control: Mapping[str, Any]) -> str:
    label, start = _words(control["label"]), control["start"]
    if control["choice"]:
        options = "".join(
            "<option "
            f"value={i}{' selected' if i == start else ''}{in_both(_text(value))}>{escape(_text(value).en)}</option>"
            for i, value in enumerate(control["values"])
        )
        return f"<label><span>{label}</span><select data-control>{options}</select></label>"
    return (
        f"<label><span>{label}<output></output></span>"
        f'<input data-control type="range" min="0" max="{len(control["values"]) - 1}" value="{start}"></label>'
    )


def _text(value: Any) -> Text:
    return Text(**value) if isinstance(value, Mapping) else Text(str(value), str(value))


def _measured(lesson: Lesson, summary: Mapping[str, Any], folder: Path, picture: Picture) -> str:
    """Claims with their numbers, the figures, the tables, and how to compute all of it again."""
    chinese, items = lesson.teaching.chinese, []
    for claim in summary["claims"]:
        kind, word = ("held", Text("holds", "成立")) if claim["held"] else ("not-held", Text("does not hold", "不成立"))
        mark = "✓" if claim["held"] else "✗"
        numbers = "".join(
            f"<div><dt>{both(translate(name, chinese))}</dt><dd>{escape(short(value))}</dd></div>"
            for name, value in claim["measured"].items()
        )
        text = both(Text(**claim["text"]))
        items.append(f'<li class="{kind}"><b>{mark} {both(word)}</b> {text}<dl>{numbers}</dl></li>')
    found = f'<ul class="claims">{"".join(items)}</ul><p>{both(lesson.teaching.reproduces)}</p>'
    if summary["figures"]:
        enlarge = Text("Click a figure, or press Enter on it, to enlarge it.", "点击图片，或选中后按回车键，即可放大。")
        found += f'<p class="hint">{both(enlarge)}</p>'
    for name in summary["figures"]:
        label = translate(name.replace("_", " "), chinese)
        alt = Text(f"{lesson.title.en}: {label.en}", f"{lesson.title.zh}：{label.zh}")
        image = (
            f'<img src="{picture(folder / f"{name}.png")}" alt="{escape(alt.en)}"{in_both(alt, "alt")} loading="lazy">'
        )
        caption = f'<figcaption lang="zh">{escape(label.zh)}（图中文字为英文）</figcaption>'
        found += f'<figure class="still" tabindex="0">{image}{caption}</figure>'
    found += "".join(_table(table, chinese) for table in summary["tables"])
    seed = f" --seed {summary['seed']}" if summary.get("seed") else ""
    again = both(Text("To compute all of this again:", "重新计算以上全部内容："))
    return found + f"<p>{again}</p>{_commands(escape(summary['command'] + seed))}"


def _commands(*lines: str) -> str:
    """Commands as they are typed, each broken only between its words."""
    found = "".join(f"<code>{' '.join(f'<span>{word}</span>' for word in line.split())}</code>" for line in lines)
    return f'<pre class="command" tabindex="0">{found}</pre>'


def _table(table: Mapping[str, Any], chinese: Mapping[str, str]) -> str:
    def cell(value: Any) -> str:
        return both(translate(short(value), chinese))

    head = "".join(f'<th scope="col">{cell(column)}</th>' for column in table["columns"])
    body = "".join(f"<tr>{''.join(f'<td>{cell(value)}</td>' for value in row)}</tr>" for row in table["rows"])
    title = translate(table["title"], chinese)
    region = f'tabindex="0" role="group" aria-label="{escape(title.en)}"{in_both(title, "aria-label")}'
    return (
        f'<h3>{both(title)}</h3><div class="wide numbers" {region}>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


# ---------------------------------------------------------------- exercises


def _exercises(lesson: Lesson) -> str:
    name = lesson.name
    found = "".join(_exercise(name, i + 1, exercise) for i, exercise in enumerate(lesson.teaching.exercises))
    if lesson.teaching.playground:
        link = f"http://localhost:{PORT}/#{lesson.teaching.playground}"
        start, go = (
            both(Text("Start the playground, then", "先启动练习场，再")),
            Text("open it in the matching state", "打开对应的状态"),
        )
        found += f'<p>{start} <a href="{escape(link)}">{both(go)}</a>: <code>jaxnn play</code></p>'
    return found


def _exercise(name: str, number: int, exercise: Exercise) -> str:
    command = f"jaxnn {name}"
    file = f"exercise_{name}_{number}.py"
    commands = _commands(f"{command} --exercise {number}", f"{command} --check {file}")
    title = both(Text(f"Exercise {number}", f"练习 {number}"))
    return f'<div class="exercise"><p><strong>{title}.</strong> {both(exercise.task)}</p>{commands}</div>'


def as_data(path: Path) -> str:
    """A picture within the page."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
