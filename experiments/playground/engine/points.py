"""The points to learn: drawn, edited by hand, read from CSV and written to CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import NamedTuple

import numpy as np

from experiments.playground.engine.programs import EXTENT, Table
from experiments.playground.engine.settings import MAX_POINTS, Settings
from jaxnn.data import toy

SCALE = 5.0
"""Scale of the sets of `jaxnn.data.toy`, which lie in the unit square."""
GRAIN = 1 / 1024
"""Coordinates are multiples of it, so that a link holds them exactly."""
SIMPLE = [(-0.4326, 1.1909, 1), (3.0, 4.0, 1), (0.1253, -0.0376, 1), (0.2877, 0.3273, 1), (-1.1465, 0.1746, 1)]
SIMPLE += [(1.8133, 1.0139, 0), (2.7258, 1.0668, 0), (1.4117, 0.5593, 0), (4.1832, 0.3044, 0)]
HILLS = [(-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)]
CSV_HEAD = ["x1", "x2", "target", "train"]
MAX_CSV_BYTES = 200_000


class Points(NamedTuple):
    """Points of the plane."""

    places: np.ndarray
    """f32[N, 2], from -EXTENT to EXTENT."""
    targets: np.ndarray
    """f32[N], class indices, or values from -1 to 1."""
    train: np.ndarray
    """bool[N], whether they are training points; the others are test points."""


def draw(settings: Settings) -> Points:
    """Draw the points that the settings describe; a function of the settings alone."""
    name, noise, seed = settings.data, settings.noise, settings.data_seed
    size = max(settings.size, settings.classes)
    generator = np.random.default_rng((seed, 1))
    match name:
        case "circle" | "moons" | "xor":
            places, targets = getattr(toy, name)(size, noise=noise, seed=seed)
            places = places * SCALE
        case "spiral" | "gauss":
            spread = noise if name == "spiral" else 0.1 + 0.5 * noise
            places, targets = getattr(toy, name)(size, noise=spread, seed=seed, classes=settings.classes)
            places = places * SCALE
        case "simple":
            table = np.array(SIMPLE)
            places, targets = table[:, :2] + SCALE * noise * generator.standard_normal((len(table), 2)), table[:, 2]
        case "random":
            places = generator.uniform(-3.0, 3.0, (size, 2))
            targets = generator.integers(0, settings.classes, size)
        case "plane":
            places = generator.uniform(-SCALE, SCALE, (size, 2))
            targets = places.sum(1) / (2 * SCALE) + noise * generator.standard_normal(size)
        case _:
            places = generator.uniform(-SCALE, SCALE, (size, 2))
            moved = places + SCALE * noise * generator.standard_normal((size, 2))
            hills = np.array(HILLS)
            distance = np.linalg.norm(moved[:, None] - hills[None, :, :2], axis=-1)
            heights = hills[:, 2] * np.clip(1.0 - distance / 2.0, 0.0, 1.0)
            targets = np.take_along_axis(heights, np.abs(heights).argmax(1)[:, None], 1)[:, 0]
    count = len(places)
    trained = count if name in ("simple", "random") else min(max(1, round(count * settings.train_share)), count)
    train = np.zeros(count, bool)
    train[generator.permutation(count)[:trained]] = True
    places, targets = np.clip(places, -EXTENT, EXTENT), np.asarray(targets)
    return checked(Points(places, np.clip(targets, -1.0, 1.0) if settings.regression else targets, train), settings)


def checked(points: Points, settings: Settings) -> Points:
    """Check points of unknown origin, possibly none; their places are rounded to GRAIN."""
    places = np.asarray(points.places, np.float64).reshape(-1, 2)
    targets, train = np.asarray(points.targets, np.float64), np.asarray(points.train, bool)
    if len(places) > MAX_POINTS:
        raise ValueError(f"there may be at most {MAX_POINTS} points; got {len(places)}")
    if len(train) and not train.any():
        raise ValueError("there must be at least one training point")
    if not (np.isfinite(places).all() and np.isfinite(targets).all()):
        raise ValueError("coordinates and targets of points must be finite")
    if np.abs(places).max(initial=0.0) > EXTENT:
        raise ValueError(f"x1 and x2 must be from {-EXTENT:g} to {EXTENT:g}; scale the columns first")
    if settings.regression:
        if np.abs(targets).max(initial=0.0) > 1.0:
            raise ValueError(f"targets of values must be from -1 to 1; got {targets.min():g} to {targets.max():g}")
    elif len(targets) and (
        (targets != np.round(targets)).any() or targets.min() < 0 or targets.max() >= settings.classes
    ):
        raise ValueError(
            f"classes of points must be whole numbers from 0 to {settings.classes - 1}; got {targets.min():g} to "
            f"{targets.max():g}"
        )
    places = np.round(places / GRAIN) * GRAIN
    return Points(places.astype(np.float32), targets.astype(np.float32), train)


def as_table(points: Points) -> Table:
    """The points as input of the compiled programs, training points first."""
    order = np.argsort(~points.train, kind="stable")
    inputs, targets = np.zeros((MAX_POINTS, 2), np.float32), np.zeros(MAX_POINTS, np.float32)
    inputs[: len(order)], targets[: len(order)] = points.places[order], points.targets[order]
    return Table(inputs, targets, np.int32(points.train.sum()), np.int32(len(order)))


def edited(points: Points, places: np.ndarray, targets: np.ndarray, kept: np.ndarray) -> Points:
    """The points after an edit, unchecked; `kept` has the old index of each, or -1 for a new training point."""
    train = np.where(kept >= 0, np.append(points.train, True)[kept], True)
    return Points(places, targets, train)


def to_csv(points: Points) -> str:
    """The points as CSV with the columns x1, x2, target and train (1 or 0)."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(CSV_HEAD)
    for (x1, x2), target, train in zip(points.places.tolist(), points.targets.tolist(), points.train, strict=True):
        rows.writerow([x1, x2, f"{target:g}", int(train)])
    return text.getvalue()


def from_csv(content: bytes, settings: Settings) -> Points:
    """Read points from CSV: columns x1, x2, target (or label), and optionally train."""
    if len(content) > MAX_CSV_BYTES:
        raise ValueError(f"a CSV file may have at most {MAX_CSV_BYTES:,} bytes; this one has {len(content):,}")
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"the file is not CSV text ({error})") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    head = ["target" if name == "label" else name for name in head]
    if not set(CSV_HEAD[:3]) <= set(head):
        raise ValueError("the first line must name the columns x1, x2 and target (and, optionally, train)")
    columns = {name: head.index(name) for name in CSV_HEAD if name in head}
    values = []
    for line, row in enumerate(rows[1:], start=2):
        try:
            values.append([float(row[columns[name]]) if name in columns else 1.0 for name in CSV_HEAD])
        except (ValueError, IndexError) as error:
            raise ValueError(f"line {line} must have a number in each column; got {','.join(row)[:60]!r}") from error
        if not all(map(math.isfinite, values[-1])):
            raise ValueError(f"line {line} has a number that is not finite")
    if not values:
        raise ValueError("the file has no points")
    table = np.array(values)
    return checked(Points(table[:, :2], table[:, 2], table[:, 3] != 0), settings)
