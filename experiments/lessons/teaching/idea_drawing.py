"""Small drawings for the ideas of the lessons: SVG in the colors of the page, words in both languages."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Callable, Iterable, Sequence

from experiments.lessons.teaching import Text

WIDTH = 360
Point = tuple[float, float]


def words(x: float, y: float, text: Text | str, kind: str = "") -> str:
    """A line of text, centered at x, in both languages."""
    both = text._asdict() if isinstance(text, Text) else {"": text}
    return "".join(
        f'<text {f"lang={language!r} " if language else ""}x="{x:.4g}" y="{y:.4g}" class="{kind}">'
        f"{html.escape(said)}</text>"
        for language, said in both.items()
    )


def line(points: Iterable[Point], kind: str = "") -> str:
    """Straight lines from point to point."""
    return f'<path class="{kind}" d="M{" L".join(f"{x:.4g},{y:.4g}" for x, y in points)}"/>'


def arrow(start: Point, end: Point, kind: str = "") -> str:
    """A straight line with a tip."""
    turn = math.atan2(end[1] - start[1], end[0] - start[0])
    tip = [(end[0] - 8 * math.cos(turn + side), end[1] - 8 * math.sin(turn + side)) for side in (0.45, -0.45)]
    return line((start, end), kind) + line((tip[0], end, tip[1]), kind)


def circle(center: Point, radius: float, kind: str = "") -> str:
    """A circle; "dot" in its kind fills it."""
    return f'<circle class="{kind}" cx="{center[0]:.4g}" cy="{center[1]:.4g}" r="{radius:g}"/>'


def box(x: float, y: float, width: float, height: float, text: Text | str = "", kind: str = "") -> str:
    """A box with words in its middle."""
    frame = f'<rect class="{kind}" x="{x:.4g}" y="{y:.4g}" width="{width:.4g}" height="{height:.4g}" rx="3"/>'
    return frame + (words(x + width / 2, y + height / 2 + 4.5, text) if text else "")


def places(function: Callable[[float], float], low: float, high: float, origin: Point, unit: Point) -> list[Point]:
    """Points of a curve; `unit` holds the lengths of 1 along both axes, upwards."""
    steps = [low + (high - low) * i / 60 for i in range(61)]
    return [(origin[0] + unit[0] * x, origin[1] - unit[1] * function(x)) for x in steps]


def axes(x: float, y: float, width: float, height: float, across: Text | str, up: Text | str) -> str:
    """Two arrows from (x, y), with words below and above."""
    return (
        arrow((x, y), (x + width, y), "soft")
        + arrow((x, y), (x, y - height), "soft")
        + words(x + width / 2, y + 16, across, "soft")
        + words(x + 4, y - height - 6, up, "soft start")
    )


def layers(columns: Sequence[tuple[float, Sequence[float]]], crossed: Iterable[Point] = ()) -> str:
    """A fully connected net, a column of neurons for each x; those crossed out lose their lines."""
    out = set(crossed)
    nets = [[(x, y) for y in ys] for x, ys in columns]
    joined = [
        line((a, b), "soft")
        for before, after in itertools.pairwise(nets)
        for a in before
        for b in after
        if not {a, b} & out
    ]
    drawn = [circle(at, 9, "paper soft" if at in out else "paper") for column in nets for at in column]
    return "".join(joined + drawn) + "".join(
        line(((x - 6, y - side), (x + 6, y + side)), "b") for x, y in out for side in (6, -6)
    )
