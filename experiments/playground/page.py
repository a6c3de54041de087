"""The page of one session: passes on what the user does, draws what the loop delivers."""

from __future__ import annotations

import itertools
import json
from functools import partial
from typing import Any

import numpy as np
from bokeh.core.properties import Bool, Int, String
from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.model import DataModel
from bokeh.models import CustomJS, Div

from experiments.playground import figures, links
from experiments.playground import points as data
from experiments.playground.compiler import Compiler
from experiments.playground.controls import Controls
from experiments.playground.links import Saved, View
from experiments.playground.loop import Loop
from experiments.playground.points import Points
from experiments.playground.presets import PRESETS
from experiments.playground.programs import WIDTHS
from experiments.playground.session import Frame, Playground
from experiments.playground.template import HOVER, START, TEMPLATE
from experiments.playground.words import word

TURNS = 6


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


class Page:
    """The page of one session.

    Args:
        document: what the browser shows.
        compiler: shared by the sessions.
    """

    def __init__(self, document: Document, compiler: Compiler) -> None:
        self.document, self.channel = document, Channel()
        self.playground = Playground(compiler)  # read here, changed by the loop alone
        self.view = View()
        self.selected: tuple[int, str, tuple[int, ...]] | None = None
        self.frame: Frame | None = None
        self.shown_points: Points | None = None
        self.stamp = self.count = 0
        self.pinned = -1
        self.controls = Controls(self.change, self.act)
        self.plane = figures.Plane()
        self.net = figures.Net(CustomJS(args={"channel": self.channel}, code=HOVER))
        self.warp, self.curves, self.many = figures.Warp(), figures.Curves(), figures.Many(self.choose_network)
        self.status = Div(
            text=word("compiling", "en"), css_classes=["status"], sizing_mode="stretch_width", tags=[self.channel]
        )
        self.plane.points.on_change("data", self.points_edited)
        self.net.links.selected.on_change("indices", self.link_tapped)
        self.net.neurons.selected.on_change("indices", self.neuron_tapped)
        self.controls.weight.on_change("value", self.weight_edited)
        self.channel.on_change("sent", self.received)
        self.channel.on_change("drawn", lambda a, old, new: self.loop.seen(new))
        self.channel.on_change("hovered", lambda a, old, new: self.enlarge(new))
        roots = self.controls.roots() | {
            "net": self.net.figure,
            "plane": self.plane.figure,
            "warp": self.warp.figure,
            "loss": self.curves.loss,
            "accuracy": self.curves.right,
            "gradients": self.curves.gradients,
            "many": self.many.figure,
            "status": self.status,
        }
        for name, root in roots.items():
            root.name = name
            document.add_root(root)
        document.title, document.template = "jaxnn playground", get_env().from_string(TEMPLATE)
        self.controls.show(self.playground.settings, playing=False, language="en")
        document.js_on_event("document_ready", CustomJS(args={"channel": self.channel}, code=START))
        document.on_session_destroyed(lambda context: self.loop.stop())
        self.loop = Loop(self.playground, self.deliver, self.report)  # begins when the browser says hello

    # ------------------------------------------------------------ from the loop, in its thread

    def deliver(self, frame: Frame) -> None:
        """Have a picture drawn."""
        self.document.add_next_tick_callback(partial(self.draw, frame))

    def report(self, message: str) -> None:
        """Have a message shown."""
        self.document.add_next_tick_callback(partial(self.say, message))

    # ------------------------------------------------------------ from the browser

    def change(self, name: str, value: Any) -> None:
        """A setting was changed by hand."""
        self.loop.send(lambda playground: playground.change(**{name: value}))

    def act(self, name: str) -> None:
        """A button was pressed."""
        match name:
            case "play":
                self.loop.send(toggle)
            case "step":
                self.loop.send(lambda playground: pause_and_train(playground, 1))
            case "epoch":
                self.loop.send(lambda playground: pause_and_train(playground, playground.steps_per_epoch()))
            case "reset":
                self.loop.send(Playground.reset)
            case "regenerate":
                self.loop.send(Playground.regenerate)
            case "clear":
                self.loop.send(lambda playground: playground.edit(Points(*(a[:1] for a in playground.points))))
            case "delete":
                kept = np.setdiff1d(np.arange(len(self.playground.points.train)), self.plane.points.selected.indices)
                self.loop.send(lambda playground: playground.edit(Points(*(a[kept] for a in playground.points))))
            case "new_class":
                self.plane.draw_tool.empty_value = self.new_target()
            case "preset":
                self.take(Saved(PRESETS[self.controls.preset.value].settings(), None, None, self.view), play=True)
            case "warp":
                self.warp_chosen()
            case "language":
                self.view = self.view._replace(language="zh" if self.view.language == "en" else "en")
                self.channel.language = self.view.language
                self.redraw()
            case "link" | "link_weights" | "save" | "save_csv":
                self.loop.send(partial(self.save, name))

    def new_target(self) -> float:
        """The class (or value) of a point that is added by hand."""
        active = self.controls.new_class.active or 0
        return (-1.0, 1.0)[min(active, 1)] if self.playground.settings.regression else active

    def received(self, attribute: str, old: str, new: str) -> None:
        """The page's JavaScript has sent something."""
        try:
            _, kind, text = json.loads(new)
            match kind:
                case "hello" | "link":
                    if kind == "hello" and self.loop.ident is None:
                        self.loop.start()
                    if text or kind == "link":
                        self.take(links.from_link(text))
                case "csv":
                    settings = self.playground.settings
                    points = data.from_csv(text.encode(), settings)
                    self.loop.send(lambda playground: playground.edit(points))
                case "model":
                    self.take(links.from_file(text.encode())._replace(view=self.view))
                case "key":
                    self.pressed(text)
        except (ValueError, TypeError) as error:
            self.say(str(error))

    def pressed(self, key: str) -> None:
        """A key was pressed outside of any field."""
        if key in "12345":
            self.controls.new_class.active = min(int(key) - 1, len(self.controls.new_class.labels) - 1)
        else:
            self.act({" ": "play", "s": "step", "e": "epoch", "r": "reset"}[key])

    def take(self, saved: Saved, *, play: bool = False) -> None:
        """Take a whole state."""
        self.view, self.pinned, self.selected = saved.view, -1, None
        self.channel.language = saved.view.language

        def load(playground: Playground) -> None:
            playground.load(saved.settings, saved.points, saved.weights)
            playground.playing = play

        self.loop.send(load)

    def save(self, kind: str, playground: Playground) -> None:
        """Make a link or a file, in the loop's thread."""
        points = playground.points if playground.own_points else None
        weights = playground.weights() if kind in ("link_weights", "save") else None
        if kind == "link_weights" and weights is None:
            raise ValueError(word("too_many", self.view.language))
        saved = Saved(playground.settings, points, weights, self.view)
        if kind in ("link", "link_weights"):
            self._next(lambda: self.channel.update(link=links.to_link(saved), message=""))
            return
        text = links.to_file(saved) if kind == "save" else data.to_csv(playground.points)
        name, form = ("model.json", "application/json") if kind == "save" else ("points.csv", "text/csv")
        self.stamp += 1
        download = json.dumps([self.stamp, name, form, text])
        self._next(lambda: self.channel.update(download=download))

    def _next(self, function: Any) -> None:
        self.document.add_next_tick_callback(function)

    def points_edited(self, attribute: str, old: Any, new: dict[str, Any]) -> None:
        """The points were edited in the browser, or shown by us."""
        points = self.shown_points
        if points is None or self.showing:
            return
        places = np.stack([np.asarray(new["x"], np.float64), np.asarray(new["y"], np.float64)], axis=1)
        numbers, targets = np.asarray(new["number"], np.float64), np.asarray(new["target"], np.float64)
        old_count = len(points.train)
        kept = np.where(np.arange(len(places)) < old_count, numbers, -1).astype(int)
        if len(places) <= old_count:
            kept = numbers.astype(int)
        kept = np.where(kept < old_count, kept, -1)
        targets = np.where(kept < 0, self.new_target(), targets)
        after = data.edited(points, places, targets, kept)
        self.shown_points = None
        self.loop.send(lambda playground: playground.edit(after))

    def link_tapped(self, attribute: str, old: Any, new: list[int]) -> None:
        """A link of the network was tapped: its weight can be edited."""
        if new and self.frame is not None:
            place = new[0]
            for layer, (into, out) in enumerate(itertools.pairwise(self.net.sizes)):
                if place < into * out:
                    self.edit_parameter((layer, "w", (place // into, place % into)))
                    return
                place -= into * out

    def neuron_tapped(self, attribute: str, old: Any, new: list[int]) -> None:
        """A neuron was tapped: it stays enlarged, and its bias can be edited."""
        self.pinned = new[0] if new else -1
        if new:
            layer, neuron = (int(self.net.neurons.data[name][new[0]]) for name in ("layer", "neuron"))
            if layer > 0:
                self.edit_parameter((layer - 1, "b", (neuron,)))
        self.enlarge(-1)

    def edit_parameter(self, which: tuple[int, str, tuple[int, ...]]) -> None:
        """Show a weight or a bias in its field."""
        assert self.frame is not None
        layer, name, place = which
        self.selected = None
        language = self.view.language
        kind = word("weight_of" if name == "w" else "bias_of", language)
        where = f"{layer + 1}: {place[1] + 1} → {place[0] + 1}" if name == "w" else f"{layer + 1}: {place[0] + 1}"
        value = round(float(self.frame.params[layer][name][place]), 5)
        self.controls.weight.update(title=f"{kind} {where}", disabled=False, value=value)
        self.selected = which

    def weight_edited(self, attribute: str, old: Any, new: float | None) -> None:
        """A weight was typed in."""
        if self.selected is not None and new is not None:
            layer, name, place = self.selected
            self.loop.send(lambda playground: playground.set_parameter(layer, name, place, new))

    def enlarge(self, number: int) -> None:
        """Show one neuron over the whole plane; -1 for the pinned one, or the regions."""
        number = number if number >= 0 else self.pinned
        rows = self.net.neurons.data
        if not 0 <= number < len(rows["layer"]):
            number = -1
        self.enlarged = number >= 0
        chosen = (int(rows["layer"][number]), int(rows["neuron"][number])) if number >= 0 else (0, 0)

        def choose(playground: Playground) -> None:
            playground.chosen = chosen

        self.loop.send(choose)

    enlarged = False
    showing = False

    def choose_network(self, x: float, y: float) -> None:
        """One of many networks was tapped."""
        number = int(x) + 8 * int(-y / 1.3)

        def choose(playground: Playground) -> None:
            if self.frame is not None and self.frame.all_planes is not None:
                playground.number = min(max(number, 0), len(self.frame.all_planes) - 1)

        self.loop.send(choose)

    def warp_chosen(self) -> None:
        """The controls of the warped grid were used."""
        controls = self.controls
        first, second, third = (axis.value for axis in controls.axes)
        axes = (int(first or 0), int(second or 0), int(third) if third else None)
        layer = int(controls.warp_layer.value)
        if layer != self.view.layer:
            axes = (0, 1, None)
        self.view = self.view._replace(layer=layer, axes=axes, turn=float(controls.turn.value))
        self.redraw()

    # ------------------------------------------------------------ drawing

    def redraw(self) -> None:
        """Draw the last picture again, with the present view."""
        if self.frame is not None:
            self.draw(self.frame, counted=False)

    def say(self, message: str) -> None:
        """Show a message, or none."""
        if self.channel.message != message:
            self.channel.message = message

    def draw(self, frame: Frame, *, counted: bool = True) -> None:
        """Give the figures new numbers."""
        self.frame = frame
        playground, language = self.playground, self.view.language
        settings = playground.settings
        self.controls.show(settings, playing=playground.playing, language=language)
        if self.shown_points is not playground.points:
            self.shown_points = points = playground.points
            self.showing = True
            self.plane.show_points(points, settings.regression)
            self.showing = False
            self.plane.draw_tool.empty_value = self.new_target()
        sizes = self.sizes(frame)
        self.plane.show(frame, self.enlarged)
        self.net.show(frame, sizes, often=not playground.playing)
        layer = min(self.view.layer, len(sizes) - 1)
        axes = self.axes(sizes[layer])
        self.controls.show_warp(len(sizes), sizes[layer], (layer, axes, self.view.turn))
        self.count += counted
        # each picture draws the plane; the other figures take turns, for the browser's sake
        turn, all_of_them = self.count % TURNS, not playground.playing
        if turn == 1 or all_of_them:
            self.warp.show(frame, layer, axes, self.view.turn, playground)
        if turn == 2 or all_of_them:
            self.many.show(frame, self.names(frame))
        if turn == 3 or all_of_them:
            self.curves.show(frame, playground.history)
        if turn == 4 or all_of_them:
            self.show_status(frame)
        if self.channel.many != (frame.all_planes is not None):
            self.channel.many = frame.all_planes is not None
        if counted:
            self.channel.picture += 1

    def sizes(self, frame: Frame) -> list[int]:
        """How many neurons of each layer are drawn, features included."""
        hidden = list(frame.shape.hidden)
        if frame.shape.many == "widths":
            hidden = [WIDTHS[self.playground.number]] * len(hidden)
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
        value = frame.shape.loss == "value"
        return [
            f"{WIDTHS[i] if widths else f'#{i}'}: {train:.3f}"
            if value
            else f"{WIDTHS[i] if widths else f'#{i}'}: {train:.0%} / {test:.0%}"
            for i, (train, test) in enumerate(frame.all_means)
        ]

    def show_status(self, frame: Frame) -> None:
        """Tell the numbers below the plane, and the page's JavaScript."""
        language, playground = self.view.language, self.playground
        looked = frame.look
        losses = [_short(value) for value in looked.losses]
        lines = [word("steps", language).format(step=frame.step, epoch=frame.epoch)]
        lines.append(word("losses", language).format(*losses))
        if frame.shape.loss != "value":
            shares = ["–" if np.isnan(value) else f"{value:.1%}" for value in looked.accuracies]
            lines.append(word("accuracies", language).format(*shares))
        if len(looked.dead):
            lines.append(word("dead", language).format(", ".join(map(str, looked.dead))))
        if not playground.ready():
            lines.append(word("compiling", language))
        if playground.own_points:
            lines.append(word("own", language))
        if playground.message:
            self.say(word(playground.message, language))
        self.status.text = "<br>".join(lines)
        numbers = {
            "step": frame.step,
            "epoch": frame.epoch,
            "losses": looked.losses.tolist(),
            "accuracies": looked.accuracies.tolist(),
            "points": len(playground.points.train),
            "playing": playground.playing,
            "ready": playground.ready(),
        }
        self.channel.status = json.dumps({k: _plain(v) for k, v in numbers.items()})


def toggle(playground: Playground) -> None:
    """Play or pause."""
    playground.playing = not playground.playing


def pause_and_train(playground: Playground, steps: int) -> None:
    """Stop playing and do some steps."""
    playground.playing = False
    playground.train(steps)


def _short(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4f}"


def _plain(value: Any) -> Any:
    """Numbers that JSON has."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
