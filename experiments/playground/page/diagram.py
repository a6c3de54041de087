"""The diagram of the network: a picture for each neuron, a link for each weight."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Image, LinearColorMapper, Range1d, Rect, Segment, Text

from experiments.playground.content.colors import CLASSES, SIGNED
from experiments.playground.engine.probe import COARSE
from experiments.playground.engine.session import Frame
from experiments.playground.page.figures import draw, new_figure

_MAX_LINKS = 400
"""Networks with more weights are drawn less often."""


class Net:
    """The figure, updated from frames; the page's JavaScript finds what is under the pointer."""

    def __init__(self) -> None:
        ranges = {"x_range": Range1d(start=-0.5, end=3.5), "y_range": Range1d(start=0, end=1)}
        bare: dict[str, Any] = {"toolbar_location": None, "x_axis_type": None, "y_axis_type": None}
        self.figure = new_figure("net", min_height=300, **ranges, **bare)
        self.links = ColumnDataSource({name: [] for name in ("x0", "y0", "x1", "y1", "weight", "width")})
        self.colors = LinearColorMapper(palette=SIGNED[:96] + SIGNED[160:], low=-2, high=2)
        color: Any = {"field": "weight", "transform": self.colors}
        link = Segment(x0="x0", y0="y0", x1="x1", y1="y1", line_width="width", line_color=color)
        draw(self.figure, self.links, link, selection_glyph=link.clone(line_color="#000000"))
        self.images = ColumnDataSource({name: [] for name in ("image", "x", "y", "dw", "dh")})
        mapper = LinearColorMapper(palette=SIGNED, low=0, high=255)
        draw(self.figure, self.images, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper))
        names = ("x", "y", "w", "h", "color", "name")
        self.neurons = ColumnDataSource({name: [] for name in names})
        box = Rect(x="x", y="y", width="w", height="h", fill_alpha=0.0, line_color="color", line_width=2)
        draw(self.figure, self.neurons, box, selection_glyph=box.clone(line_color="#000000", line_width=4))
        name = Text(
            x="x",
            y="y",
            text="name",
            text_font_size="11px",
            text_align="center",
            text_baseline="middle",
            background_fill_color="white",
            background_fill_alpha=0.7,
            text_color="#333333",
        )
        draw(self.figure, self.neurons, name)
        self.biases = ColumnDataSource({"value": []})
        """Of each drawn neuron; 0 for the features."""
        self.figure.tags = [self.biases]
        self.shape: Any = None
        self.sizes: list[int] = []
        self.tick = 0
        self.where: list[tuple[int, int]] = []
        """The layer (0 for the features) and index of each drawn neuron."""

    def show(self, frame: Frame, sizes: list[int], *, often: bool) -> None:
        """Draw the network, large ones less often."""
        weights = sum(a * b for a, b in itertools.pairwise(sizes))
        self.tick += 1
        new = (frame.shape, sizes) != (self.shape, self.sizes)
        if not (new or often) and self.tick % (6 if weights < _MAX_LINKS else 15):
            return
        xs, ys, height = _layout(sizes)
        if new:
            self.shape, self.sizes = frame.shape, sizes
            self.figure.x_range.update(start=-0.5, end=len(sizes) - 0.5)
            self._new_layout(frame, sizes, xs, ys, height)
        self.links.data = dict[str, Any](_links(frame, sizes, xs, ys))
        biases = [frame.params[layer]["b"][:n] for layer, n in enumerate(sizes[1:])]
        self.biases.data = {"value": np.nan_to_num(np.concatenate([np.zeros(sizes[0], np.float32), *biases]))}
        images = [_column(a[:n]) for a, n in zip(frame.snapshot.neurons, sizes, strict=True)]
        wide = 0.34
        self.images.data = {
            "image": images,
            "x": [x - wide / 2 for x in xs],
            "y": [y[-1] - height / 2 for y in ys],
            "dw": [wide for _ in xs],
            "dh": [y[0] - y[-1] + height for y in ys],
        }

    def _new_layout(self, frame: Frame, sizes: list[int], xs: list[float], ys: list[np.ndarray], height: float) -> None:
        rows = [
            (x, y, layer, neuron)
            for layer, (x, column) in enumerate(zip(xs, ys, strict=True))
            for neuron, y in enumerate(column)
        ]
        last = len(sizes) - 1
        self.where = [(layer, neuron) for *_, layer, neuron in rows]
        self.neurons.data = {
            "x": [x for x, *_ in rows],
            "y": [y for _, y, *_ in rows],
            "w": [0.34] * len(rows),
            "h": [height] * len(rows),
            "color": [
                CLASSES[n % 5] if layer == last and frame.shape.loss != "value" else "#888888" for *_, layer, n in rows
            ],
            "name": [frame.shape.features[n] if layer == 0 else "" for *_, layer, n in rows],
        }


def _layout(sizes: list[int]) -> tuple[list[float], list[np.ndarray], float]:
    """The x of the columns, the y of the neurons from the top, and the height of a neuron."""
    pitch = min(0.94 / max(sizes), 0.2)
    xs = [float(i) for i in range(len(sizes))]
    ys = [0.49 + pitch * ((n - 1) / 2 - np.arange(n)) for n in sizes]
    return xs, ys, 0.7 * pitch


def _links(frame: Frame, sizes: list[int], xs: list[float], ys: list[np.ndarray]) -> dict[str, np.ndarray]:
    parts = []
    for layer, (into, out) in enumerate(itertools.pairwise(sizes)):
        w = frame.params[layer]["w"][:out, :into]
        one = np.ones(w.size, np.float32)
        y0 = np.tile(ys[layer], out).astype(np.float32)
        y1 = np.repeat(ys[layer + 1], into).astype(np.float32)
        parts.append((one * (xs[layer] + 0.17), y0, one * (xs[layer + 1] - 0.17), y1, w.ravel()))
    x0, y0, x1, y1, w = (np.concatenate(column) for column in zip(*parts, strict=True))
    w = np.nan_to_num(w)
    width = 0.5 + 4.5 * np.minimum(np.abs(w) / 2.0, 1.0)
    return {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "weight": w, "width": width.astype(np.float32)}


def _column(neurons: np.ndarray) -> np.ndarray:
    """The pictures of a layer as one column, the first at the top, with gaps as in `_layout`."""
    n = len(neurons)
    pitch = round(COARSE / 0.7)
    column = np.full((pitch * (n - 1) + COARSE, COARSE), 128, np.uint8)
    for i, one in enumerate(neurons):
        start = pitch * (n - 1 - i)
        column[start : start + COARSE] = one
    return column
