"""The widgets of a session in the browser: controls, figures and numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.core.properties import Bool, Int, String
from bokeh.model import DataModel
from bokeh.models import Div

from experiments.playground.content.colors import CLASSES, NEGATIVE, POSITIVE
from experiments.playground.content.i18n import tips, word
from experiments.playground.content.presets import PRESETS
from experiments.playground.engine import links
from experiments.playground.engine.links import View
from experiments.playground.engine.points import Points
from experiments.playground.engine.programs import WIDTHS
from experiments.playground.engine.session import Frame
from experiments.playground.engine.settings import MAX_LAYERS, MAX_NEURONS, Settings
from experiments.playground.page import figures
from experiments.playground.page.controls import Controls
from experiments.playground.page.diagram import Net

_PERIOD = 6
"""While training, the other figures are drawn with every n-th picture only, to spare the browser."""


class Channel(DataModel):
    """The values exchanged with the page's own JavaScript."""

    picture = Int(default=0, help="number of the last picture sent")
    drawn = Int(default=0, help="number of the last picture that the browser drew")
    sent = String(default="", help="JSON [stamp, kind, text], from the browser")
    hovered = Int(default=-1)
    message = String(default="")
    language = String(default="en")
    many = Bool(default=False)
    values = Bool(default=False, help="whether the targets are values")
    busy = Bool(default=True, help="whether the shown picture is not yet that of the settings")
    preset = String(default="", help="name of the chosen preset")
    hint = String(default="", help="what to look for in it")
    tips = String(default="{}", help="JSON of the text for each control by name")
    layers = String(default="{}", help="JSON of the wanted and the drawn layers")
    link = String(default="")
    copied = Int(default=0, help="counts the links that were asked for")
    code = String(default="", help="JSON [stamp, text], the network as a script")
    download = String(default="", help="JSON [stamp, name, type, text]")
    limit = Int(default=links.MAX_FILE, help="bytes of an uploaded file")
    status = String(default="{}", help="JSON of the state in numbers")


class Screen:
    """The widgets and figures; `change` and `act` as in `Controls`, `choose` gets the index of a tapped network."""

    def __init__(
        self, change: Callable[[str, Any], None], act: Callable[[str], None], choose: Callable[[int], None]
    ) -> None:
        self.channel = Channel()
        self.view = View()
        self.frame: Frame | None = None
        self.points: Points | None = None
        """The drawn points; None after an edit in the browser until the next frame."""
        self.showing = self.enlarged = False
        self.count = 0
        self.controls = Controls(change, act)
        self.plane = figures.Plane()
        self.net = Net()
        self.warp, self.curves, self.many = figures.Warp(), figures.Curves(), figures.Many(choose)
        self.status = Div(
            text=word("compiling", "en"), css_classes=["status"], sizing_mode="stretch_width", tags=[self.channel]
        )
        self.legend = Div(sizing_mode="stretch_width")
        self.controls.show(Settings(), playing=False, language="en")

    def roots(self) -> dict[str, Any]:
        """All widgets by their place on the page."""
        return self.controls.roots() | {
            "net": self.net.figure,
            "plane": self.plane.figure,
            "warp": self.warp.figure,
            "loss": self.curves.loss,
            "accuracy": self.curves.right,
            "gradients": self.curves.gradients,
            "many": self.many.figure,
            "status": self.status,
            "legend": self.legend,
        }

    def new_target(self) -> float:
        """The class or value of a point added by hand."""
        active = self.controls.new_class.active or 0
        values = self.frame is not None and self.frame.settings.regression
        return (-1.0, 1.0)[min(active, 1)] if values else active

    def say(self, message: str) -> None:
        """Show a message; "" for none."""
        if self.channel.message != message:
            self.channel.update(message=message)

    def show_view(self, view: View) -> None:
        """Change the language, what the plane shows, or the warped grid."""
        if view.tests != self.view.tests:
            self.points = None
        self.view = view
        self.channel.update(language=view.language)
        if self.frame is not None:
            self.draw(self.frame)

    def show(self, frame: Frame) -> None:
        """Draw and count a new picture."""
        self.count += 1
        self.draw(frame)
        self.channel.update(picture=self.count)

    def draw(self, frame: Frame) -> None:
        """Update widgets and figures."""
        self.frame = frame
        self.controls.show(frame.settings, playing=frame.playing, language=self.view.language)
        self.controls.show_switches(self.view.tests, self.view.discrete)
        if self.points is not frame.points:
            self.points, self.showing = frame.points, True
            self.plane.show_points(frame.points, regression=frame.settings.regression, tests=bool(self.view.tests))
            self.showing = False
            self.plane.draw_tool.empty_value = self.new_target()
        sizes = self.sizes(frame)
        layer = min(self.view.layer, len(sizes) - 1)
        axes = self.axes(sizes[layer])
        self.plane.show(frame, enlarged=self.enlarged, discrete=bool(self.view.discrete))
        self.net.show(frame, sizes, often=not frame.playing)
        self.controls.show_warp(len(sizes), sizes[layer], (layer, axes, self.view.turn))
        due, all_of_them = self.count % _PERIOD, not frame.playing
        if due == 1 or all_of_them:
            self.warp.show(frame, layer, axes, self.view.turn)
        if due == 2 or all_of_them:
            self.many.show(frame, self.names(frame))
        if due == 3 or all_of_them:
            self.curves.show(frame)
        if due == 4 or all_of_them:
            self.show_status(frame)
        self.show_page(frame, sizes)

    def show_page(self, frame: Frame, sizes: list[int]) -> None:
        """Pass what has changed to the page's JavaScript."""
        layers = {"hidden": frame.settings.hidden, "sizes": sizes, "features": frame.shape.features}
        preset: Any = self.channel.preset
        now = {
            "many": frame.all_planes is not None,
            "values": frame.settings.regression,
            "busy": frame.compiling,
            "hint": getattr(PRESETS[preset].hint, self.view.language) if preset else "",
            "tips": json.dumps(tips(self.view.language)),
            "layers": json.dumps(layers | {"most": [MAX_LAYERS, MAX_NEURONS]}),
        }
        self.channel.update(**{name: value for name, value in now.items() if getattr(self.channel, name) != value})
        text = self.legend_text(frame)
        if self.legend.text != text:
            self.legend.text = text

    def legend_text(self, frame: Frame) -> str:
        """What the colors and marks mean, as HTML."""
        language = self.view.language
        signs = [f'<span style="color:{color}">■</span>' for color in (NEGATIVE, POSITIVE)]
        signed = word("legend_signed", language).format(*signs)
        if frame.settings.regression or self.enlarged:
            parts = [signed]
        else:
            parts = [
                f'<span style="color:{CLASSES[i]}">■</span> {word("legend_class", language).format(i)}'
                for i in range(frame.settings.classes)
            ]
        return " &ensp; ".join([*parts, word("legend_points", language)])

    def sizes(self, frame: Frame) -> list[int]:
        """The number of drawn neurons of each layer, features included."""
        hidden = list(frame.shape.hidden)
        if frame.shape.many == "widths":
            hidden = [WIDTHS[frame.number]] * len(hidden)
        return [len(frame.shape.features), *hidden, frame.shape.outputs]

    def axes(self, neurons: int) -> tuple[int, int, int | None]:
        """The axes of the view, limited to the neurons of the layer."""
        first, second, third = self.view.axes
        return min(first, neurons - 1), min(second, neurons - 1), None if third is None or third >= neurons else third

    def names(self, frame: Frame) -> list[str]:
        """The labels of the small pictures."""
        if frame.all_means is None:
            return []
        widths = frame.shape.many == "widths"
        heads = [str(WIDTHS[i]) if widths else f"#{i}" for i in range(len(frame.all_means))]
        if frame.shape.loss == "value":
            return [f"{head}\n{train:.3f}" for head, (train, _) in zip(heads, frame.all_means, strict=True)]
        return [f"{head}\n{train:.0%} / {test:.0%}" for head, (train, test) in zip(heads, frame.all_means, strict=True)]

    def show_status(self, frame: Frame) -> None:
        """Show the numbers below the plane, and pass them to the page's JavaScript."""
        language, snapshot = self.view.language, frame.snapshot
        losses = [_short(value) for value in snapshot.losses]
        lines = [word("steps", language).format(step=frame.step, epoch=frame.epoch)]
        lines.append(word("losses", language).format(*losses))
        if frame.shape.loss != "value":
            fractions = ["–" if np.isnan(value) else f"{value:.1%}" for value in snapshot.accuracies]
            lines.append(word("accuracies", language).format(*fractions))
        settings = frame.settings
        if settings.l1 or settings.l2:
            weights = np.concatenate([layer["w"].ravel() for layer in frame.params])
            penalty = settings.l1 * np.abs(weights).sum() + settings.l2 * np.square(weights).sum()
            lines.append(word("penalty", language).format(_short(penalty)))
        if settings.dropout and settings.hidden:
            dropped = f"{settings.dropout:.1%}", f"{1 / (1 - settings.dropout):.2f}"
            lines.append(word("dropped", language).format(*dropped))
        if len(snapshot.dead):
            lines.append(word("dead", language).format(", ".join(map(str, snapshot.dead))))
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
            "losses": snapshot.losses.tolist(),
            "accuracies": snapshot.accuracies.tolist(),
            "points": len(frame.points.train),
            "playing": frame.playing,
            "ready": not frame.compiling,
        }
        self.channel.update(status=json.dumps({name: _plain(value) for name, value in numbers.items()}))


def _short(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4f}"


def _plain(value: Any) -> Any:
    """The value with None for numbers that JSON lacks."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
