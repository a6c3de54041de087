"""A book of two lessons whose findings are made up."""

import importlib
import re
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments import report
from experiments.lessons.framework.lesson import Claim, Findings, Lesson, Options, ResultTable, Text, run
from experiments.lessons.framework.live_figure import Bars, Control, Live, Numbers, Plot, Readout, Series

NASTY = "<script>alert(\"x\")</script> & 'quoted'"
NAMES = ("capacity", "dropout")


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


def build(folder: Path, out: str, *more: str) -> int:
    chosen = ["--lessons", "dropout", "capacity"]
    return report.main(["--reuse", "--folder", str(folder / "lessons"), "--out", str(folder / out), *chosen, *more])
