"""The report as one self-contained HTML page: questions, claims, figures and tables of the lessons."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.lessons.lesson import short


def page(found: Sequence[tuple[Mapping[str, Any], Path]]) -> str:
    """The HTML, from each lesson's summary and the folder with its pictures."""
    contents = "".join(
        f'<li><a href="#{_text(summary["lesson"])}">{_text(summary["title"]["en"])}</a> '
        f'<span lang="zh">{_text(summary["title"]["zh"])}</span> {_tally(summary)}</li>'
        for summary, _ in found
    )
    claims = [claim for summary, _ in found for claim in summary["claims"]]
    held = sum(claim["held"] for claim in claims)
    models = sum(summary.get("models", 0) for summary, _ in found)
    seconds = sum(summary.get("training_seconds", 0.0) for summary, _ in found)
    machines = sorted({summary["machine"] for summary, _ in found if "machine" in summary})
    lead = f"{len(found)} lessons, {held} of {len(claims)} claims held."
    if models:
        lead += f" {models:,} models were trained in {seconds:,.1f} seconds, compilation included."
    if machines:
        lead += f" Measured on {'; '.join(machines)}."
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Deep-learning fundamentals in code</title><style>{STYLE}</style></head>\n<body>"
        f"<header><h1>Deep-learning fundamentals in code</h1><p>{_text(lead)}</p></header>\n"
        f'<nav aria-label="Contents"><h2>Contents</h2><ol>{contents}</ol></nav>\n<main>'
        + "\n".join(_section(summary, folder) for summary, folder in found)
        + f"</main>\n<script>{SCRIPT}</script></body></html>\n"
    )


def _section(summary: Mapping[str, Any], folder: Path) -> str:
    title, question = summary["title"], summary["question"]
    parts = [
        f'<section id="{_text(summary["lesson"])}">'
        f'<h2>{_text(title["en"])} <span lang="zh">{_text(title["zh"])}</span></h2>',
        f'<p class="question">{_text(question["en"])}<br><span lang="zh">{_text(question["zh"])}</span></p>',
        _claims(summary["claims"]),
    ]
    for name in summary["figures"]:
        caption = f"{title['en']}: {name.replace('_', ' ')}"
        picture = _picture(folder / f"{name}.png")
        parts.append(f'<figure tabindex="0"><img src="{picture}" alt="{_text(caption)}" loading="lazy"></figure>')
    for name, count in summary["frames"].items():
        parts.append(_frames(name, [folder / name / f"{i:03d}.png" for i in range(count)], title["en"]))
    parts.extend(_table(table) for table in summary["tables"])
    seed = f" --seed {summary['seed']}" if summary.get("seed") else ""
    parts.append(f"<p>To reproduce:</p><pre><code>{_text(summary['command'] + seed)}</code></pre></section>")
    return "\n".join(parts)


def _claims(claims: Sequence[Mapping[str, Any]]) -> str:
    items = []
    for claim in claims:
        kind, word = ("held", "held") if claim["held"] else ("not-held", "not held")
        numbers = "".join(
            f"<div><dt>{_text(name)}</dt><dd>{_text(short(value))}</dd></div>"
            for name, value in claim["measured"].items()
        )
        items.append(
            f'<li class="{kind}"><b>{word}</b> {_text(claim["text"]["en"])}'
            f'<br><span lang="zh">{_text(claim["text"]["zh"])}</span><dl>{numbers}</dl></li>'
        )
    return f'<ul class="claims">{"".join(items)}</ul>'


def _table(table: Mapping[str, Any]) -> str:
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in table["columns"])
    body = "".join(f"<tr>{''.join(f'<td>{_text(short(cell))}</td>' for cell in row)}</tr>" for row in table["rows"])
    title = _text(table["title"])
    return (
        f'<h3>{title}</h3><div class="wide" tabindex="0" role="region" aria-label="{title}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _frames(name: str, paths: Sequence[Path], title: str) -> str:
    """A picture, a slider over all the pictures, and a button that plays them."""
    if not paths:
        return ""
    label = name.replace("_", " ")
    pictures = "".join(
        f'<img src="{_picture(path)}" alt="{_text(f"{title}: {label}, picture {i + 1}")}"{" hidden" if i else ""}>'
        for i, path in enumerate(paths)
    )
    return (
        f'<figure class="frames">{pictures}<figcaption><button type="button">Play</button>'
        f'<input type="range" min="0" max="{len(paths) - 1}" value="0" aria-label="{_text(label)}">'
        f"<output>1 / {len(paths)}</output></figcaption></figure>"
    )


def _tally(summary: Mapping[str, Any]) -> str:
    held, count = sum(claim["held"] for claim in summary["claims"]), len(summary["claims"])
    return f'<small class="{"held" if held == count else "not-held"}">{held} of {count} held</small>'


def _picture(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


STYLE = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;
  background:#fff;overflow-wrap:break-word}
h1{font-size:1.7rem;margin:.5rem 0}h2{font-size:1.35rem;margin:2.5rem 0 .5rem;line-height:1.25}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
[lang=zh]{color:#555}nav h2{margin-top:1rem}nav ol{columns:2 22rem;column-gap:3rem;padding-left:1.6rem}
nav small{white-space:nowrap}
section{border-top:1px solid #ddd;scroll-margin-top:1rem}.question{font-size:1.05rem}
figure{margin:1rem 0}img{display:block;max-width:100%;height:auto}img[hidden]{display:none}
figcaption{display:flex;gap:.75rem;align-items:center}figcaption input{flex:1;min-width:0}
button{font:inherit;padding:.4rem 1rem;min-width:5.5rem;min-height:2.75rem}
output{white-space:nowrap;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}
pre{overflow-x:auto;background:#f4f4f4;padding:.6rem}
.claims{list-style:none;padding:0}.claims li{border-left:4px solid;padding:.3rem .8rem;margin:.6rem 0}
.claims b::before{content:"\\2713 "}.claims .not-held b::before{content:"\\2717 "}
li.held{border-color:#0072b2}li.held b,small.held{color:#0072b2}
li.not-held{border-color:#b34700}li.not-held b,small.not-held{color:#b34700}
dl{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;margin:.2rem 0;font-size:.9rem}
dl div{display:flex;gap:.4rem}dt{color:#555}dd{margin:0;font-variant-numeric:tabular-nums}
@media (max-width:40rem){figure:not(.frames){overflow-x:auto}figure:not(.frames) img{max-width:none;width:40rem}}
@media print{figcaption{display:none}section{break-inside:avoid-page}}
"""
SCRIPT = """
for (const box of document.querySelectorAll('.frames')) {
  const pictures = box.querySelectorAll('img'), slider = box.querySelector('input');
  const button = box.querySelector('button'), where = box.querySelector('output');
  let timer = 0;
  const show = i => {
    pictures.forEach((picture, k) => { picture.hidden = k !== i; });
    slider.value = i;
    where.textContent = (i + 1) + ' / ' + pictures.length;
  };
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = 'Play'; };
  slider.addEventListener('input', () => { stop(); show(Number(slider.value)); });
  button.addEventListener('click', () => {
    if (timer) { stop(); return; }
    if (Number(slider.value) === pictures.length - 1) show(0);
    button.textContent = 'Pause';
    timer = setInterval(() => {
      if (Number(slider.value) === pictures.length - 1) { stop(); return; }
      show(Number(slider.value) + 1);
    }, 350);
  });
}
"""
