"""Figures that answer to sliders: numbers computed for every position beforehand, drawn by a small script."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.lessons.teaching import Text

EXACT = 2**15
"""Arrays up to this size are stored in float32, larger ones in 16 bits over their range."""


class Control(NamedTuple):
    """A slider, or a choice."""

    label: Text | str
    values: Sequence[Any]
    """What each position stands for: numbers, or words (`Text` or str)."""
    start: int = 0
    choice: bool = False


class Numbers(NamedTuple):
    """An array whose leading axes are positions of controls."""

    values: ArrayLike
    over: tuple[int, ...] = ()
    """The controls of the leading axes."""


class Series(NamedTuple):
    """A curve, points, or an arrow from the first to the second point."""

    name: Text | str
    x: Numbers
    y: Numbers
    kind: Literal["line", "dashed", "points", "path", "arrow", "cross"] = "line"
    """A path is a line with a point at each place."""
    color: int = 0
    upto: int | None = None
    """A control whose position is the last point shown."""
    labels: Numbers | None = None
    """Classes of the points, which then decide their colors."""


class Plot(NamedTuple):
    """Series in a coordinate system, in front of a picture if there is one."""

    title: Text | str
    x: Text | str
    y: Text | str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    series: Sequence[Series] = ()
    log: tuple[bool, bool] = (False, False)
    picture: Numbers | None = None
    """uint8[..., rows, columns], first row at the bottom: classes, or levels from 0 to 255."""
    colors: Literal["classes", "levels", "gray"] = "classes"
    square: bool = False
    axes: bool = True
    """Whether numbers stand along the axes."""


class Bars(NamedTuple):
    """Bars over the sum of some arrays [..., n]."""

    title: Text | str
    names: Sequence[Text | str]
    values: Sequence[Numbers]
    y_range: tuple[float, float]
    y: Text | str = ""


class Readout(NamedTuple):
    """The sum of some arrays [...], as a number below the figure."""

    label: Text | str
    values: Sequence[Numbers]
    unit: str = ""


class Live(NamedTuple):
    """A figure with controls."""

    caption: Text
    controls: Sequence[Control]
    panels: Sequence[Plot | Bars]
    readouts: Sequence[Readout] = ()
    models: int = 0
    """How many models (or descents) the one program behind it has trained, and in how many seconds."""
    seconds: float = 0.0


def encode(live: Live) -> dict[str, Any]:
    """A live figure as plain values for JSON; ValueError if an array does not fit the controls."""
    sizes = [len(control.values) for control in live.controls]

    def plain(value: Any) -> Any:
        if isinstance(value, Numbers):
            array = np.asarray(value.values)
            expected = tuple(sizes[i] for i in value.over)
            if array.shape[: len(expected)] != expected:
                raise ValueError(f"an array {list(array.shape)} does not fit controls of {list(expected)} positions")
            return _pack(array) | {"over": list(value.over)}
        if isinstance(value, Text | Live | Control | Series | Plot | Bars | Readout):
            fields = {name: plain(field) for name, field in value._asdict().items()}
            return fields | ({"bars": True} if isinstance(value, Bars) else {})
        if isinstance(value, str | bool | type(None)):
            return value
        if isinstance(value, Sequence | np.ndarray):
            return [plain(one) for one in value]
        return value.item() if isinstance(value, np.generic) else value

    return plain(live)


def _pack(array: np.ndarray) -> dict[str, Any]:
    """An array as base64 of compressed bytes: 8 bits as they are, float32, or 16 bits between a low and a high."""
    shape, extra = list(array.shape), {}
    if array.dtype == np.uint8:
        kind, stored = "u8", array
    elif array.size <= EXACT:
        kind, stored = "f32", array.astype("<f4")
    else:
        array = array.astype(np.float64)
        finite = np.isfinite(array)
        low, high = float(array[finite].min()), float(array[finite].max())
        log = low > 0 and high > 1e3 * low
        if log:
            array, low, high = np.log(np.where(finite, array, 1.0)), float(np.log(low)), float(np.log(high))
        scaled = np.where(finite, (array - low) / max(high - low, 1e-300) * 65534, 65535)
        kind, stored, extra = "u16", np.round(scaled).astype("<u2"), {"low": low, "high": high, "log": log}
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(stored).tobytes(), 9)).decode("ascii")
    return {"shape": shape, "kind": kind, "data": data} | extra


def as_levels(values: ArrayLike, low: float, high: float, levels: int = 16) -> np.ndarray:
    """Values as uint8 of a few levels, so that a picture of them shows contours and packs well."""
    share = np.clip((np.asarray(values, np.float64) - low) / (high - low), 0, 1)
    return np.round(np.round(share * levels) / levels * 255).astype(np.uint8)
