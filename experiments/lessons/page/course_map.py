"""The map of the course: which lesson builds on which, as a drawing with links."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experiments.lessons.framework.lesson import Lesson
from experiments.lessons.page import sections
from experiments.lessons.teaching import Text

WIDTH, HEIGHT, ROW, SIDE = 1000, 38, 84, 10


def course_map(lessons: Sequence[Lesson], link: Callable[[str], str]) -> str:
    """An SVG: a lesson is a box below all that it builds on."""
    names = [lesson.name for lesson in lessons]
    before = {lesson.name: [name for name in lesson.teaching.builds_on if name in names] for lesson in lessons}
    depth: dict[str, int] = {}
    for name in names:  # in the order of the course; a lesson may build on a later one
        _depth(name, before, depth)
    for name, earlier in before.items():  # without what follows from the others
        before[name] = [one for one in earlier if not any(one in _all_before(other, before) for other in earlier)]
    rows: dict[int, list[str]] = {}
    for name in names:
        rows.setdefault(depth[name], []).append(name)
    places = {}
    for level, row in rows.items():
        for i, name in enumerate(row):
            places[name] = (WIDTH * (i + 0.5) / len(row), ROW * level + SIDE + HEIGHT / 2)
    lines, boxes = [], []
    for name, earlier in before.items():
        x, y = places[name]
        for other in earlier:
            u, v = places[other]
            start, end = v + HEIGHT / 2, y - HEIGHT / 2 - 3
            middle = (start + end) / 2
            lines.append(
                f'<path d="M{u:.0f},{start:.0f} C{u:.0f},{middle:.0f} {x:.0f},{middle:.0f} {x:.0f},{end:.0f}" '
                'marker-end="url(#tip)"/>'
            )
    for lesson in lessons:
        x, y = places[lesson.name]
        width = min(220, WIDTH / len(rows[depth[lesson.name]]) - 12)
        label = _svg_text(lesson.short or lesson.title, x, y + 5, width - 10)
        boxes.append(
            f'<a href="{link(lesson.name)}"><rect x="{x - width / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{width:.0f}" '
            f'height="{HEIGHT}" rx="7"/>{label}</a>'
        )
    height = ROW * len(rows) - ROW + HEIGHT + 2 * SIDE
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    label = Text(
        "Map of the lessons: arrows lead from a lesson to those that build on it",
        "课程地图：箭头从一课指向以它为基础的课程",
    )
    return (
        f'<div class="map" tabindex="0" role="region" aria-label="{label.en}"{sections.in_both(label, "aria-label")}>'
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}"><defs>{tip}<path d="M0,0 L8,4 L0,8 z"/></marker></defs>'
        f"{''.join(lines)}{''.join(boxes)}</svg></div>"
    )


def _depth(name: str, before: dict[str, list[str]], depth: dict[str, int]) -> int:
    if name not in depth:
        depth[name] = 1 + max((_depth(other, before, depth) for other in before[name]), default=-1)
    return depth[name]


def _all_before(name: str, before: dict[str, list[str]]) -> set[str]:
    return {one for other in before[name] for one in (other, *_all_before(other, before))}


def _svg_text(text: Text, x: float, y: float, width: float) -> str:
    """The text in both languages, one of them visible, squeezed if it is too long."""
    found = ""
    for language, words in text._asdict().items():
        wide = len(words) * (15 if language == "zh" else 7.6)
        fit = f' textLength="{width:.0f}" lengthAdjust="spacingAndGlyphs"' if wide > width else ""
        found += f'<text lang="{language}" x="{x:.0f}" y="{y:.0f}"{fit}>{sections.escape(words)}</text>'
    return found
