"""What the browser shows of a session: the controls, the figures and the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.core.properties import Bool, Int, String
from bokeh.model import DataModel
from bokeh.models import CustomJS, Div

from experiments.playground.engine import links
from experiments.playground.engine.links import View
from experiments.playground.engine.points import Points
from experiments.playground.engine.programs import WIDTHS
from experiments.playground.engine.session import Frame
from experiments.playground.engine.settings import Settings
from experiments.playground.page import figures
from experiments.playground.page.controls import Controls
from experiments.playground.page.diagram import Net
from experiments.playground.page.i18n import word
from experiments.playground.page.template import HOVER

TURNS = 6
"""The figures beside the plane are drawn with each so-manieth picture while it trains, for the browser's sake."""


class Channel(DataModel):
    """What passes between the page's own JavaScript and this program."""

    picture = Int(default=0, help="the number of the last picture that was sent")
    drawn = Int(default=0, help="the number of the last picture that the browser drew")
    sent = String(default="", help="JSON [stamp, kind, text], from the browser")
    hovered = Int(default=-1)
    message = String(default="")
    language = String(default="en")
    many = Bool(default=False)
    link = String(default="")
    download = String(default="", help="JSON [stamp, name, type, text]")
    limit = Int(default=links.MAX_FILE, help="bytes of an uploaded file")
    status = String(default="{}", help="JSON of the state in numbers")


class Screen:
    """The widgets and figures of a session."""

    def __init__(
        self, change: Callable[[str, Any], None], act: Callable[[str], None], choose: Callable[[int], None]
    ) -> None:
        self.channel = Channel()
        self.view = View()
        self.frame: Frame | None = None
        self.points: Points | None = None
        """Those that are drawn; None after they were edited in the browser, until it is known what they are now."""
        self.showing = self.enlarged = False
        self.count = 0
        self.controls = Controls(change, act)
        self.plane = figures.Plane()
        self.net = Net(CustomJS(args={"channel": self.channel}, code=HOVER))
        self.warp, self.curves, self.many = figures.Warp(), figures.Curves(), figures.Many(choose)
        self.status = Div(
            text=word("compiling", "en"), css_classes=["status"], sizing_mode="stretch_width", tags=[self.channel]
        )
        self.controls.show(Settings(), playing=False, language="en")

    def roots(self) -> dict[str, Any]:
        """Everything by the place where it stands."""
        return self.controls.roots() | {
            "net": self.net.figure,
            "plane": self.plane.figure,
            "warp": self.warp.figure,
            "loss": self.curves.loss,
            "accuracy": self.curves.right,
            "gradients": self.curves.gradients,
            "many": self.many.figure,
            "status": self.status,
        }

    def new_target(self) -> float:
        """The class (or value) of a point that is added by hand."""
        active = self.controls.new_class.active or 0
        values = self.frame is not None and self.frame.settings.regression
        return (-1.0, 1.0)[min(active, 1)] if values else active

    def say(self, message: str) -> None:
        """Show a message, or none."""
        if self.channel.message != message:
            self.channel.update(message=message)

    def look(self, view: View) -> None:
        """Look at something else, or in another language."""
        self.view = view
        self.channel.update(language=view.language)
        if self.frame is not None:
            self.draw(self.frame)

    def show(self, frame: Frame) -> None:
        """Draw a new picture."""
        self.count += 1
        self.draw(frame)
        self.channel.update(picture=self.count)

    def draw(self, frame: Frame) -> None:
        """Give the widgets and figures new values."""
        self.frame = frame
        self.controls.show(frame.settings, playing=frame.playing, language=self.view.language)
        if self.points is not frame.points:
            self.points, self.showing = frame.points, True
            self.plane.show_points(frame.points, frame.settings.regression)
            self.showing = False
            self.plane.draw_tool.empty_value = self.new_target()
        sizes = self.sizes(frame)
        layer = min(self.view.layer, len(sizes) - 1)
        axes = self.axes(sizes[layer])
        self.plane.show(frame, self.enlarged)
        self.net.show(frame, sizes, often=not frame.playing)
        self.controls.show_warp(len(sizes), sizes[layer], (layer, axes, self.view.turn))
        turn, all_of_them = self.count % TURNS, not frame.playing
        if turn == 1 or all_of_them:
            self.warp.show(frame, layer, axes, self.view.turn)
        if turn == 2 or all_of_them:
            self.many.show(frame, self.names(frame))
        if turn == 3 or all_of_them:
            self.curves.show(frame)
        if turn == 4 or all_of_them:
            self.show_status(frame)
        if self.channel.many != (frame.all_planes is not None):
            self.channel.update(many=frame.all_planes is not None)

    def sizes(self, frame: Frame) -> list[int]:
        """How many neurons of each layer are drawn, features included."""
        hidden = list(frame.shape.hidden)
        if frame.shape.many == "widths":
            hidden = [WIDTHS[frame.number]] * len(hidden)
        return [len(frame.shape.features), *hidden, frame.shape.outputs]

    def axes(self, neurons: int) -> tuple[int, int, int | None]:
        """The axes of the view, as far as the layer has them."""
        first, second, third = self.view.axes
        return min(first, neurons - 1), min(second, neurons - 1), None if third is None or third >= neurons else third

    def names(self, frame: Frame) -> list[str]:
        """What stands below the small pictures."""
        if frame.all_means is None:
            return []
        widths = frame.shape.many == "widths"
        heads = [str(WIDTHS[i]) if widths else f"#{i}" for i in range(len(frame.all_means))]
        if frame.shape.loss == "value":
            return [f"{head}\n{train:.3f}" for head, (train, _) in zip(heads, frame.all_means, strict=True)]
        return [f"{head}\n{train:.0%} / {test:.0%}" for head, (train, test) in zip(heads, frame.all_means, strict=True)]

    def show_status(self, frame: Frame) -> None:
        """Tell the numbers below the plane, and the page's JavaScript."""
        language, looked = self.view.language, frame.look
        losses = [_short(value) for value in looked.losses]
        lines = [word("steps", language).format(step=frame.step, epoch=frame.epoch)]
        lines.append(word("losses", language).format(*losses))
        if frame.shape.loss != "value":
            shares = ["–" if np.isnan(value) else f"{value:.1%}" for value in looked.accuracies]
            lines.append(word("accuracies", language).format(*shares))
        if len(looked.dead):
            lines.append(word("dead", language).format(", ".join(map(str, looked.dead))))
        if frame.own_points:
            lines.append(word("own", language))
        if frame.compiling:
            lines.append(word("compiling", language))
        if frame.message:
            self.say(word(frame.message, language))
        self.status.text = "<br>".join(lines)
        numbers = {
            "step": frame.step,
            "epoch": frame.epoch,
            "losses": looked.losses.tolist(),
            "accuracies": looked.accuracies.tolist(),
            "points": len(frame.points.train),
            "playing": frame.playing,
            "ready": not frame.compiling,
        }
        self.channel.update(status=json.dumps({name: _plain(value) for name, value in numbers.items()}))


def _short(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4f}"


def _plain(value: Any) -> Any:
    """Numbers that JSON has."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
