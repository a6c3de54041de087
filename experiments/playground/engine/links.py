"""The whole state as the fragment of a link (after "#"), as a model file, and its network as a script.

Nothing that is read is evaluated.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import itertools
import json
import math
import urllib.parse
import zlib
from typing import Any, NamedTuple

import numpy as np

from experiments.classifier import script
from experiments.playground.engine.points import GRAIN, Points, checked
from experiments.playground.engine.session import Weights, check_weights
from experiments.playground.engine.settings import (
    MAX_LAYERS,
    MAX_NEURONS,
    MAX_POINTS,
    Settings,
    Shape,
    change,
    shape_of,
)

MAX_LINK = 100_000
MAX_FILE = 2_000_000
_KIND = "jaxnn playground"


class View(NamedTuple):
    """What the page shows: language, plane and warped grid."""

    language: str = "en"
    layer: int = 1
    """Layer of the warped grid; 0 for the inputs."""
    axes: tuple[int, int, int | None] = (0, 1, None)
    """Neurons that are the axes of the grid."""
    turn: float = 30.0
    """Angle in degrees, if there is a third neuron."""
    tests: int = 1
    """1 if test points are shown, else 0."""
    discrete: int = 0
    """1 if the plane shows only the predicted class or sign, 0 if it also shows how sure the network is."""


class Saved(NamedTuple):
    """A whole saved state."""

    settings: Settings
    points: Points | None
    """None for those that the settings describe."""
    weights: Weights | None
    """None for the initial weights of the seed."""
    view: View = View()


def to_link(saved: Saved) -> str:
    """The state as the query-like fragment of a link; defaults are omitted."""
    default, parts = Settings(), {}
    for name, value in dataclasses.asdict(saved.settings).items():
        if value != getattr(default, name):
            parts[name] = _as_text(name, value)
    for name, value in saved.view._asdict().items():
        if value != getattr(View(), name):
            parts[name] = ",".join("" if one is None else str(one) for one in value) if name == "axes" else str(value)
    if saved.points is not None:
        places = np.round(saved.points.places / GRAIN).astype("<i2").tobytes()
        packed = places + saved.points.targets.astype("<f4").tobytes() + saved.points.train.astype("u1").tobytes()
        parts["points"] = _pack(packed)
    if saved.weights is not None:
        flat = [np.asarray(layer[name], "<f4").ravel() for layer in saved.weights for name in ("w", "b")]
        parts["weights"] = _pack(np.concatenate(flat).tobytes())
    return urllib.parse.urlencode(parts, safe=",*^()")


def from_link(text: str) -> Saved:
    """The state of the fragment of a link, of unknown origin."""
    if len(text) > MAX_LINK:
        raise ValueError(f"a link may have at most {MAX_LINK:,} characters; this one has {len(text):,}")
    try:
        pairs = urllib.parse.parse_qsl(text.lstrip("#"), keep_blank_values=True, strict_parsing=bool(text.lstrip("#")))
    except ValueError as error:
        raise ValueError(f"the link must have the form name=value&name=value; got {text[:60]!r}") from error
    parts = dict(pairs)
    points, weights = parts.pop("points", None), parts.pop("weights", None)
    view = _view({name: parts.pop(name) for name in View._fields if name in parts})
    settings = change(Settings(), {name: _from_text(name, value) for name, value in parts.items()})
    return Saved(
        settings,
        None if points is None else checked(_unpack_points(points), settings),
        None if weights is None else _unpack_weights(weights, settings),
        view,
    )


def to_file(saved: Saved) -> str:
    """The state as the readable JSON of a model file."""
    content: dict[str, Any] = {"kind": _KIND, "version": 1, "settings": dataclasses.asdict(saved.settings)}
    content |= {"points": None, "weights": None}
    if saved.points is not None:
        columns = (saved.points.places.tolist(), saved.points.targets.tolist(), saved.points.train)
        content["points"] = [[*xy, target, int(train)] for xy, target, train in zip(*columns, strict=True)]
    if saved.weights is not None:
        content["weights"] = [{name: np.asarray(a).tolist() for name, a in layer.items()} for layer in saved.weights]
    return json.dumps(content, indent=1)


def from_file(content: bytes) -> Saved:
    """The state of a model file, of unknown origin."""
    if len(content) > MAX_FILE:
        raise ValueError(f"a model file may have at most {MAX_FILE:,} bytes; this one has {len(content):,}")
    try:
        read = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the file is not JSON text ({error})") from error
    if not isinstance(read, dict) or read.get("kind") != _KIND or read.get("version") != 1:
        raise ValueError(f'the file is not a model of this page: it must have "kind": "{_KIND}" and "version": 1')
    if not isinstance(read.get("settings"), dict):
        raise ValueError("the file has no settings")
    settings = change(Settings(), read["settings"])
    points = weights = None
    try:
        if read.get("points") is not None:
            table = np.array(read["points"] or np.zeros((0, 4)), np.float64)
            if table.ndim != 2 or table.shape[1] != 4:
                raise ValueError(f"each point must have x1, x2, target and train; got the shape {list(table.shape)}")
            points = checked(Points(table[:, :2], table[:, 2], table[:, 3] != 0), settings)
        if read.get("weights") is not None:
            weights = [{name: np.array(layer[name], np.float32) for name in ("w", "b")} for layer in read["weights"]]
            check_weights(weights, settings)
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"the points or the weights of the file cannot be read ({error})") from error
    return Saved(settings, points, weights)


def to_script(shape: Shape, weights: Weights, data: str, library: script.Library) -> str:
    """The network as a runnable script in a library; `data` is the name of its set of points."""
    expressions = {name: name.replace("^", "**").replace("sin", "xp.sin") for name in shape.features}
    inputs = ", ".join(expressions.values())
    prepare = [] if inputs == "x1, x2" else ["x1, x2 = x[:, 0], x[:, 1]", f"x = xp.stack([{inputs}], 1)"]
    names = [] if shape.loss == "value" else list(map(str, range(shape.outputs)))
    title = f"jaxnn playground, {data}"
    return script.write(script.Network(title, (2,), weights, shape.activation, names, prepare=prepare), library)


def _as_text(name: str, value: Any) -> str:
    if name == "hidden":
        return ",".join(map(str, value))
    return ",".join(value) if name == "features" else str(value)


def _from_text(name: str, text: str) -> Any:
    if name == "features":
        return [part for part in text.split(",") if part]
    if name == "hidden":
        return [_number(part) for part in text.split(",") if part]
    default = getattr(Settings, name, None)
    return _number(text) if isinstance(default, int | float) else text


def _number(text: str) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if math.isfinite(value) and value == int(value) else value


def _view(given: dict[str, str]) -> View:
    view = View()
    if "language" in given:
        if given["language"] not in ("en", "zh"):
            raise ValueError(f"language must be en or zh; got {given['language']!r}")
        view = view._replace(language=given["language"])
    try:
        if "layer" in given:
            view = view._replace(layer=int(given["layer"]))
        if "turn" in given:
            view = view._replace(turn=float(given["turn"]))
        if "axes" in given:
            first, second, *third = given["axes"].split(",")
            view = view._replace(axes=(int(first), int(second), int(third[0]) if third and third[0] else None))
        view = view._replace(**{name: int(given[name]) for name in ("tests", "discrete") if name in given})
    except ValueError as error:
        raise ValueError(f"layer, axes, turn, tests and discrete must be numbers; got {given}") from error
    if not {view.tests, view.discrete} <= {0, 1}:
        raise ValueError(f"tests and discrete must be 0 or 1; got {given}")
    if not 0 <= view.layer <= MAX_LAYERS + 1 or not 0 <= view.turn <= 360:
        raise ValueError(f"layer must be from 0 to {MAX_LAYERS + 1}, turn from 0 to 360; got {given}")
    if any(axis is not None and not 0 <= axis < MAX_NEURONS for axis in view.axes):
        raise ValueError(f"axes must be numbers of neurons from 0 to {MAX_NEURONS - 1}; got {given}")
    return view


def _pack(content: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(content, 9)).decode().rstrip("=")


def _unpack(text: str, most: int) -> bytes:
    """Unpack at most `most` bytes."""
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        reader = zlib.decompressobj()
        content = reader.decompress(packed, most + 1)
        if len(content) > most or not reader.eof:
            raise ValueError("too long or truncated")
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(f"the points or weights of the link are damaged ({error})") from error
    return content


def _unpack_points(text: str) -> Points:
    content = _unpack(text, 9 * MAX_POINTS)
    count, rest = divmod(len(content), 9)
    if rest:
        raise ValueError("the points of the link are damaged: their bytes are not a whole number of points")
    places = np.frombuffer(content, "<i2", 2 * count).reshape(-1, 2) * GRAIN
    targets, train = np.frombuffer(content, "<f4", count, 4 * count), np.frombuffer(content[8 * count :], "u1") != 0
    return Points(places, targets, train)


def _unpack_weights(text: str, settings: Settings) -> Weights:
    counts = [(out, into) for into, out in itertools.pairwise(shape_of(settings).sizes)]
    total = sum(out * (into + 1) for out, into in counts)
    content = _unpack(text, 4 * total)
    if len(content) != 4 * total:
        raise ValueError(f"the weights of the link do not fit the network, which has {total}")
    flat, weights, start = np.frombuffer(content, "<f4"), [], 0
    for out, into in counts:
        end = start + out * into
        weights.append({"w": flat[start:end].reshape(out, into).copy(), "b": flat[end : end + out].copy()})
        start = end + out
    check_weights(weights, settings)
    return weights
