"""The figures of the page, made once and then updated with new numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contourpy
import numpy as np
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    Image,
    Line,
    LinearColorMapper,
    NumeralTickFormatter,
    PointDrawTool,
    PrintfTickFormatter,
    Range1d,
    Scatter,
    Text,
    VBar,
)
from bokeh.plotting import figure
from bokeh.transform import linear_cmap

from experiments.playground.content.colors import CLASSES, PALETTES, REGIONS, SIGNED
from experiments.playground.engine.points import Points
from experiments.playground.engine.probe import COARSE, FINE, LEVELS
from experiments.playground.engine.programs import EXTENT
from experiments.playground.engine.session import Frame

RING = "#222222"
"""Around each point, so that it stands out from a region of its own color."""


def new_figure(name: str, *, square: bool = False, **more: Any) -> Any:
    """A Bokeh figure that fills its place on the page."""
    tools = "save" if more.get("toolbar_location", "above") else ""
    options: dict[str, Any] = {"toolbar_location": "above", "tools": tools, "output_backend": "canvas"}
    options["sizing_mode"] = "scale_width" if square else "stretch_both"
    if square:
        options |= {"width": 400, "height": 400}
    options |= more
    made = figure(name=name, **options)
    made.toolbar.logo = None
    made.toolbar.autohide = True
    made.grid.grid_line_color = "#eeeeee"
    made.min_border = 4
    return made


def draw(figure: Any, source: ColumnDataSource, glyph: Any, **more: Any) -> Any:
    """A renderer; without the glyphs of muted and other states, which `figure.line` and its like add to each."""
    return figure.add_glyph(source, glyph, **{"nonselection_glyph": None, "muted_glyph": None} | more)


class Plane:
    """Decision regions, margin, and points that can be edited."""

    def __init__(self) -> None:
        self.mapper = LinearColorMapper(palette=REGIONS, low=0, high=255)
        x_range, y_range = (Range1d(start=-EXTENT, end=EXTENT) for _ in range(2))
        self.figure = new_figure("plane", square=True, x_range=x_range, y_range=y_range, toolbar_location=None)
        self.image = ColumnDataSource({"image": [np.zeros((FINE, FINE), np.uint8)]})
        side = 2 * EXTENT
        regions = Image(image="image", x=-EXTENT, y=-EXTENT, dw=side, dh=side, color_mapper=self.mapper)
        draw(self.figure, self.image, regions, level="image")
        self.margin = ColumnDataSource({"x": [], "y": []})
        draw(self.figure, self.margin, Line(x="x", y="y", line_color=RING, line_dash="dashed", line_width=1.2))
        self.border = ColumnDataSource({"x": [], "y": []})
        draw(self.figure, self.border, Line(x="x", y="y", line_color=RING, line_width=1.6))
        self.points = ColumnDataSource({"x": [], "y": [], "target": [], "number": []})
        self.colors = linear_cmap("target", list(CLASSES), -0.5, 4.5)
        point = Scatter(x="x", y="y", size=8, fill_color=self.colors, line_color=RING, line_width=1)
        self.drawn = draw(self.figure, self.points, point, selection_glyph=point.clone(line_width=2, size=12))
        self.tests = ColumnDataSource({"x": [], "y": []})
        draw(self.figure, self.tests, Scatter(x="x", y="y", size=3, fill_color="white", line_color=None))
        self.numbers = np.arange(0)
        """The drawn points, as indices of all."""
        self.draw_tool = PointDrawTool(renderers=[self.drawn], empty_value=0, num_objects=0)
        self.figure.add_tools(self.draw_tool)
        self.figure.toolbar.active_tap = self.draw_tool

    def show_points(self, points: Points, *, regression: bool, tests: bool) -> None:
        """Draw the points, with test points or without; those have a white dot."""
        _color_by_target(self.colors.transform, regression)
        self.numbers = np.flatnonzero(points.train | tests)
        (x, y), train = points.places[self.numbers].T, points.train[self.numbers]
        targets = points.targets[self.numbers]
        self.points.data = {"x": x, "y": y, "target": targets, "number": self.numbers.astype(np.int32)}
        self.tests.data = {"x": x[~train], "y": y[~train]}

    def show(self, frame: Frame, *, enlarged: bool, discrete: bool) -> None:
        """Draw the regions, or the enlarged neuron; `discrete`: without confidence."""
        palette = PALETTES[enlarged or frame.shape.loss == "value", discrete and not enlarged]
        if self.mapper.palette is not palette:
            self.mapper.palette = palette
        self.image.data = {"image": [frame.snapshot.chosen if enlarged else frame.snapshot.plane]}
        for source, level, wanted in ((self.margin, 1.0, frame.shape.loss == "svm"), (self.border, 0.0, True)):
            lines = _contour(frame, level) if wanted and not enlarged else []
            if lines or len(source.data["x"]):
                source.data = {"x": _joined(lines, 0), "y": _joined(lines, 1)}


def _color_by_target(mapper: Any, regression: bool) -> None:
    if mapper.high != (1.0 if regression else 4.5):
        mapper.update(palette=SIGNED if regression else list(CLASSES))
        mapper.update(low=-1.0 if regression else -0.5, high=1.0 if regression else 4.5)


def _contour(frame: Frame, level: float) -> list[Any]:
    """Lines where the highest score leads by the margin; for level 0, where the predicted class changes."""
    along = (np.arange(FINE) + 0.5) / FINE * 2 * EXTENT - EXTENT
    if frame.shape.loss == "value":
        return []
    if level > 0:
        values = frame.snapshot.lead
        return list(contourpy.contour_generator(along, along, values).lines(level)) if np.isfinite(values).all() else []
    winners = frame.snapshot.plane // LEVELS
    found: list[Any] = []
    for number in np.unique(winners)[1:]:
        lead = np.where(winners == number, frame.snapshot.lead, -frame.snapshot.lead)
        if np.isfinite(lead).all():
            found += list(contourpy.contour_generator(along, along, lead).lines(0.0))
    return found


def _joined(lines: list[np.ndarray], axis: int) -> np.ndarray:
    """The lines as one line with gaps."""
    gap = np.array([np.nan], np.float32)
    parts = [part for line in lines for part in (line[:, axis].astype(np.float32), gap)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


class Warp:
    """The plane mapped to two or three neurons of a layer."""

    def __init__(self) -> None:
        self.figure = new_figure("warp", square=True)
        self.grid = ColumnDataSource({"x": [-1.0, 1.0], "y": [-1.0, 1.0]})
        draw(self.figure, self.grid, Line(x="x", y="y", line_color="#999999", line_width=0.8))
        self.points = ColumnDataSource({"x": [0.0], "y": [0.0], "target": [0.0]})
        self.colors = linear_cmap("target", list(CLASSES), -0.5, 4.5)
        point = Scatter(x="x", y="y", size=6, fill_color=self.colors, line_color=RING, line_width=0.5)
        draw(self.figure, self.points, point)

    def show(self, frame: Frame, layer: int, axes: tuple[int, int, int | None], turn: float) -> None:
        """Draw the grid and the points as mapped by the layer."""
        outputs = frame.snapshot.outputs[min(layer, len(frame.snapshot.outputs) - 1)]
        mapped = _project(outputs, axes, turn)
        grid = mapped[: COARSE * COARSE].reshape(COARSE, COARSE, 2)
        gap = np.full((len(grid), 1, 2), np.nan, np.float32)
        lines = [np.concatenate([way, gap], axis=1).reshape(-1, 2) for way in (grid, grid.transpose(1, 0, 2))]
        both = np.concatenate(lines).astype(np.float32)
        self.grid.data = {"x": both[:, 0], "y": both[:, 1]}
        order = np.argsort(~frame.points.train, kind="stable")
        at = mapped[COARSE * COARSE :][: len(order)].astype(np.float32)
        _color_by_target(self.colors.transform, frame.settings.regression)
        self.points.data = {"x": at[:, 0], "y": at[:, 1], "target": frame.points.targets[order]}


def _project(outputs: np.ndarray, axes: tuple[int, int, int | None], turn: float) -> np.ndarray:
    """Two neurons as x and y, or a projection of three, rotated by `turn` degrees about the second."""
    first, second, third = (None if i is None else outputs[:, min(i, outputs.shape[1] - 1)] for i in axes)
    assert first is not None
    assert second is not None
    if third is None:
        return np.stack([first, second], axis=1)
    angle = np.deg2rad(turn)
    across = np.cos(angle) * first + np.sin(angle) * third
    depth = np.cos(angle) * third - np.sin(angle) * first
    return np.stack([across, second + 0.3 * depth], axis=1)


class Curves:
    """Loss and accuracy against steps, and the gradient norm of each layer."""

    def __init__(self) -> None:
        self.source = ColumnDataSource(
            {name: [0.5, 1.0] for name in ("step", "loss", "test_loss", "right", "test_right")}
        )
        self.loss = new_figure("loss", y_axis_type="log", min_height=150, toolbar_location=None)
        self.right = new_figure("accuracy", y_range=Range1d(start=0, end=1.03), min_height=150, toolbar_location=None)
        for made in (self.loss, self.right):
            made.xaxis.ticker.desired_num_ticks = 3
            made.yaxis.minor_tick_line_color = made.xaxis.minor_tick_line_color = None
            made.xaxis.formatter = NumeralTickFormatter(format="0a")
        self.loss.yaxis.ticker, self.loss.yaxis.formatter = FixedTicker(), PrintfTickFormatter(format="%.2g")
        for made, ours, others in ((self.loss, "loss", "test_loss"), (self.right, "right", "test_right")):
            draw(made, self.source, Line(x="step", y=ours, line_color=RING, line_width=2))
            draw(made, self.source, Line(x="step", y=others, line_color=RING, line_width=2, line_dash="dashed"))
        self.bars = ColumnDataSource({"layer": [1], "top": [1.0]})
        self.gradients = new_figure(
            "gradients", y_axis_type="log", y_range=Range1d(start=1e-8, end=10), min_height=150, toolbar_location=None
        )
        bar = VBar(x="layer", width=0.7, top="top", bottom=1e-12, fill_color="#009E73", line_color="#009E73")
        draw(self.gradients, self.bars, bar)
        self.gradients.xaxis.ticker = list(range(1, 8))
        self.gradients.yaxis.ticker = [1e-8, 1e-6, 1e-4, 1e-2, 1.0]
        self.gradients.yaxis.minor_tick_line_color = None

    def show(self, frame: Frame) -> None:
        """Draw the history and the current gradient norms."""
        table = np.array([[p.step, *p.losses, *p.accuracies] for p in frame.history], np.float64).reshape(-1, 5)
        table[:, 1:3] = np.maximum(table[:, 1:3], 1e-6)
        names = ("step", "loss", "test_loss", "right", "test_right")
        self.source.data = {name: column.copy() for name, column in zip(names, table.T, strict=True)}
        for made in (self.loss, self.right):
            if made.xaxis.visible != (len(table) > 1):  # axes of nothing have no ticks
                made.axis.visible = len(table) > 1
        drawn = table[:, 1:3][np.isfinite(table[:, 1:3])]
        if len(drawn):
            self.loss.yaxis.ticker.ticks = np.geomspace(drawn.min(), drawn.max(), 4).tolist()
        norms = np.clip(np.nan_to_num(frame.snapshot.gradients), 1e-12, 1e12)
        self.bars.data = {"layer": np.arange(1, len(norms) + 1), "top": norms}


class Many:
    """Small pictures of several networks."""

    def __init__(self, choose: Callable[[int], None]) -> None:
        self.figure = new_figure(
            "many",
            x_range=Range1d(start=0, end=8),
            y_range=Range1d(start=-3.2, end=0),
            height=260,
            sizing_mode="stretch_width",
            x_axis_type=None,
            y_axis_type=None,
        )
        self.mapper = LinearColorMapper(palette=REGIONS, low=0, high=255)
        self.images = ColumnDataSource({"image": [], "x": [], "y": []})
        draw(self.figure, self.images, Image(image="image", x="x", y="y", dw=0.94, dh=0.94, color_mapper=self.mapper))
        self.names = ColumnDataSource({"x": [], "y": [], "name": []})
        draw(self.figure, self.names, Text(x="x", y="y", text="name", text_font_size="11px", text_color=RING))
        self.figure.on_event("tap", lambda event: choose(int(event.x) + 8 * int(-event.y / 1.6)))

    def show(self, frame: Frame, names: list[str]) -> None:
        """Draw the pictures in rows of eight."""
        if frame.all_planes is None:
            return
        palette = PALETTES[frame.shape.loss == "value", False]
        if self.mapper.palette is not palette:
            self.mapper.palette = palette
        count = len(frame.all_planes)
        x = np.arange(count) % 8
        y = -(np.arange(count) // 8) * 1.6
        self.images.data = {"image": list(frame.all_planes), "x": x, "y": y - 0.94}
        self.names.data = {"x": x + 0.02, "y": y - 1.45, "name": names}
