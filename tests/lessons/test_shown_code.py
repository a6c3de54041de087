"""The code on the pages of the lessons: that of the library, short."""

import html
import importlib
import re
from pathlib import Path

from experiments import lessons
from experiments.lessons.page import sections
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
