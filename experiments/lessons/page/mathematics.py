"""LaTeX as MathML, with the words of formulas in both languages."""

from __future__ import annotations

import re

import latex2mathml.converter

WORDS = {
    "batch": "批次",
    "epochs": "轮数",
    "gap": "差距",
    "iterations": "迭代次数",
    "parameters": "参数个数",
    "test": "测试",
    "train": "训练",
}
"""The Chinese of the words that stand in \\mathrm; other names, such as softmax, stay."""


def math(latex: str, *, block: bool = False) -> str:
    """LaTeX as MathML, once for each language if it holds words; wide spaces (qquad) are where a line may break."""

    def translated(word: re.Match[str]) -> str:
        return rf"\text{{{WORDS[word[1]]}}}" if word[1] in WORDS else word[0]

    chinese = re.sub(r"\\mathrm\{(\w+)\}", translated, latex)
    if chinese == latex:
        return _convert(latex, block)
    return "".join(
        _convert(form, block).replace("<math", f'<math lang="{language}"')
        for language, form in (("en", latex), ("zh", chinese))
    )


def _convert(latex: str, block: bool) -> str:
    display = "block" if block else "inline"
    found = "".join(latex2mathml.converter.convert(part, display=display) for part in latex.split(r"\qquad"))
    return found.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
