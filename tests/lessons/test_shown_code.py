"""The code on the pages of the lessons: that of the library, short."""

import html
import importlib
import re
from pathlib import Path

from experiments import lessons
from experiments.lessons.page import mathematics, sections
from jaxnn import layers
from jaxnn.data import preprocess


def test_the_code_is_shown_without_the_checks_of_its_arguments_and_short():
    page = Path("page")

    def shown(function) -> list[str]:
        """The text of the blocks of code: the function, the documentation, the checks."""
        blocks = re.findall("<pre.*?>(.*?)</pre>", sections.source(function, page), re.DOTALL)
        return [html.unescape(re.sub("<[^>]+>", "", block)) for block in blocks]

    whole, documentation, checks = shown(layers.linear)
    assert "raise" not in whole
    assert "scores = dot(x, w)" in whole
    assert "the last axis of x must have" in checks
    assert documentation.startswith("The score function")
    whole, _, checks = shown(preprocess.pca)  # the last branch of an if refuses
    assert "else:" not in whole
    assert checks.startswith("else:\n    raise ValueError(")
    assert len(shown(layers.dropout)) == 2
    for name in lessons.NAMES:
        for function in importlib.import_module(f"experiments.lessons.{name}").LESSON.teaching.code:
            code = [line for line in shown(function)[0].splitlines() if line.strip() and "#" not in line.split('"')[0]]
            assert 2 <= len(code) <= 25, function


def test_formulas_may_break_and_their_words_are_in_both_languages():
    found = mathematics.math(r"a = b, \qquad n = \mathrm{epochs} \cdot L_{\mathrm{softmax}}", block=True)
    assert [found.count(f'<math lang="{language}" display="block"') for language in ("en", "zh")] == [2, 2]
    english, chinese = found.split('lang="zh"', 1)
    assert "轮数" in chinese
    assert "轮数" not in english
    assert "epochs" not in chinese
    assert mathematics.math("x").count("<math") == 1
    for name in lessons.NAMES:
        for formula in importlib.import_module(f"experiments.lessons.{name}").LESSON.teaching.formulas:
            words = set(re.findall(r"\\(?:mathrm|text)\{(\w{3,})\}", formula.latex))
            assert words <= {*mathematics.WORDS, "ReLU", "Var", "Bernoulli", "Xavier", "SVM", "softmax"}, name
