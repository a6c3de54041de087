"""The page of one session: forwards what the user does to the loop, and draws what the loop delivers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.models import CustomJS

from experiments.playground.engine import links
from experiments.playground.engine import points as data
from experiments.playground.engine.compiler import Compiler, networks
from experiments.playground.engine.links import Saved
from experiments.playground.engine.loop import Loop
from experiments.playground.engine.points import Points
from experiments.playground.engine.session import Frame, Playground
from experiments.playground.page.i18n import word
from experiments.playground.page.presets import PRESETS
from experiments.playground.page.template import START, TEMPLATE
from experiments.playground.page.view import Screen


class Page:
    """The page of one session."""

    def __init__(self, document: Document, compiler: Compiler) -> None:
        self.document = document
        self.screen = screen = Screen(self.change, self.act, self.choose_network)
        self.selected: tuple[int, str, tuple[int, ...]] | None = None
        self.pinned = -1
        self.stamp = 0
        screen.plane.points.on_change("data", self.points_edited)
        screen.net.links.selected.on_change("indices", self.link_tapped)
        screen.net.neurons.selected.on_change("indices", self.neuron_tapped)
        screen.controls.weight.on_change("value", self.weight_edited)
        screen.channel.on_change("sent", self.received)
        screen.channel.on_change("drawn", lambda attribute, old, new: self.loop.seen(new))
        screen.channel.on_change("hovered", lambda attribute, old, new: self.enlarge(new))
        with document.models.freeze():  # otherwise each root recounts all models
            for name, root in screen.roots().items():
                root.name = name
                document.add_root(root)
        document.title, document.template = "jaxnn playground", get_env().from_string(TEMPLATE)
        start = CustomJS(args={"channel": screen.channel, "plane": screen.plane.figure}, code=START)
        document.js_on_event("document_ready", start)
        document.on_session_destroyed(lambda context: self.loop.stop())
        # compiles while the browser loads the page, and starts when that sends hello
        self.loop = Loop(Playground(compiler), self.deliver, self.report)

    # ------------------------------------------------------------ from the loop, in its thread

    def deliver(self, frame: Frame) -> None:
        """Draw a picture."""
        self.document.add_next_tick_callback(partial(self.screen.show, frame))

    def report(self, message: str) -> None:
        """Show a message."""
        self.document.add_next_tick_callback(partial(self.screen.say, message))

    # ------------------------------------------------------------ from the browser

    def change(self, name: str, value: Any) -> None:
        """Handle a changed setting."""
        self.loop.send(lambda playground: playground.change(**{name: value}))

    def act(self, name: str) -> None:
        """Handle a button."""
        match name:
            case "play":
                self.loop.send(_toggle)
            case "step":
                self.loop.send(lambda playground: _pause_and_train(playground, 1))
            case "epoch":
                self.loop.send(lambda playground: _pause_and_train(playground, playground.steps_per_epoch()))
            case "reset":
                self.loop.send(Playground.reset)
            case "regenerate":
                self.loop.send(Playground.regenerate)
            case "clear":
                self.loop.send(lambda playground: playground.edit(Points(*(a[:1] for a in playground.points))))
            case "delete":
                self.delete(self.screen.plane.points.selected.indices)
            case "new_class":
                self.screen.plane.draw_tool.empty_value = self.screen.new_target()
            case "preset":
                preset = PRESETS[self.screen.controls.preset.value]
                self.take(Saved(preset.settings(), None, None, self.screen.view), play=True)
            case "warp":
                self.warp_chosen()
            case "language":
                view = self.screen.view
                self.screen.show_view(view._replace(language="zh" if view.language == "en" else "en"))
            case "link" | "link_weights" | "save" | "save_csv":
                self.loop.send(partial(self.save, name))

    def received(self, attribute: str, old: str, new: str) -> None:
        """Handle a message of the page's JavaScript."""
        try:
            _, kind, text = json.loads(new)
            match kind:
                case "hello" | "link":
                    if kind == "hello" and self.loop.ident is None:
                        self.loop.start()
                    if text or kind == "link":
                        self.take(links.from_link(text))
                case "csv":
                    content = text.encode()
                    self.loop.send(lambda playground: playground.edit(data.from_csv(content, playground.settings)))
                case "model":
                    self.take(links.from_file(text.encode())._replace(view=self.screen.view))
                case "key":
                    self.pressed(text)
        except (ValueError, TypeError) as error:
            self.screen.say(str(error))

    def delete(self, numbers: Sequence[int]) -> None:
        """Delete points."""

        def delete(playground: Playground) -> None:
            kept = np.setdiff1d(np.arange(len(playground.points.train)), numbers)
            playground.edit(Points(*(a[kept] for a in playground.points)))

        self.loop.send(delete)

    def pressed(self, key: str) -> None:
        """Handle a key pressed outside of any field."""
        if key in "12345":
            self.screen.controls.new_class.active = min(int(key) - 1, len(self.screen.controls.new_class.labels) - 1)
        else:
            self.act({" ": "play", "s": "step", "e": "epoch", "r": "reset"}[key])

    def take(self, saved: Saved, *, play: bool = False) -> None:
        """Load a whole state."""
        self.pinned, self.selected, self.screen.enlarged = -1, None, False
        self.screen.show_view(saved.view)

        def load(playground: Playground) -> None:
            playground.load(saved.settings, saved.points, saved.weights)
            playground.playing = play

        self.loop.send(load)

    def save(self, kind: str, playground: Playground) -> None:
        """Make a link or a file; runs in the thread of the loop."""
        points = playground.points if playground.own_points else None
        weights = playground.weights() if kind in ("link_weights", "save") else None
        if kind == "link_weights" and weights is None:
            raise ValueError(word("too_many", self.screen.view.language))
        saved = Saved(playground.settings, points, weights, self.screen.view)
        if kind in ("link", "link_weights"):
            self.document.add_next_tick_callback(
                lambda: self.screen.channel.update(link=links.to_link(saved), message="")
            )
            return
        text = links.to_file(saved) if kind == "save" else data.to_csv(playground.points)
        name, form = ("model.json", "application/json") if kind == "save" else ("points.csv", "text/csv")
        self.stamp += 1
        download = json.dumps([self.stamp, name, form, text])
        self.document.add_next_tick_callback(lambda: self.screen.channel.update(download=download))

    def points_edited(self, attribute: str, old: Any, new: dict[str, Any]) -> None:
        """Handle points edited in the browser; ignore those set by this program."""
        points = self.screen.points
        if points is None or self.screen.showing:
            return
        places = np.stack([np.asarray(new["x"], np.float64), np.asarray(new["y"], np.float64)], axis=1)
        numbers, targets = np.asarray(new["number"], np.float64), np.asarray(new["target"], np.float64)
        old_count = len(points.train)
        kept = np.where(np.arange(len(places)) < old_count, numbers, -1).astype(int)
        if len(places) <= old_count:
            kept = numbers.astype(int)
        kept = np.where(kept < old_count, kept, -1)
        targets = np.where(kept < 0, self.screen.new_target(), targets)
        after = data.edited(points, places, targets, kept)
        self.screen.points = None
        self.loop.send(lambda playground: playground.edit(after))

    def link_tapped(self, attribute: str, old: Any, new: list[int]) -> None:
        """Let the weight of a tapped link be edited."""
        if new and self.screen.frame is not None:
            index = new[0]
            for layer, (into, out) in enumerate(itertools.pairwise(self.screen.net.sizes)):
                if index < into * out:
                    self.edit_parameter((layer, "w", (index // into, index % into)))
                    return
                index -= into * out

    def neuron_tapped(self, attribute: str, old: Any, new: list[int]) -> None:
        """Pin a tapped neuron, and let its bias be edited."""
        self.pinned = new[0] if new else -1
        if new:
            layer, neuron = self.screen.net.where[new[0]]
            if layer > 0:
                self.edit_parameter((layer - 1, "b", (neuron,)))
        self.enlarge(-1)

    def edit_parameter(self, which: tuple[int, str, tuple[int, ...]]) -> None:
        """Show a weight or a bias in its field."""
        assert self.screen.frame is not None
        layer, name, place = which
        self.selected = None
        language = self.screen.view.language
        kind = word("weight_of" if name == "w" else "bias_of", language)
        where = f"{layer + 1}: {place[1] + 1} → {place[0] + 1}" if name == "w" else f"{layer + 1}: {place[0] + 1}"
        value = round(float(self.screen.frame.params[layer][name][place]), 5)
        self.screen.controls.weight.update(title=f"{kind} {where}", disabled=False, value=value)
        self.selected = which

    def weight_edited(self, attribute: str, old: Any, new: float | None) -> None:
        """Handle an edited weight."""
        if self.selected is not None and new is not None:
            layer, name, place = self.selected
            self.loop.send(lambda playground: playground.set_parameter(layer, name, place, new))

    def enlarge(self, number: int) -> None:
        """Show a neuron on the whole plane; -1 for the pinned neuron, or else the regions."""
        number = number if number >= 0 else self.pinned
        where = self.screen.net.where
        self.screen.enlarged = 0 <= number < len(where)
        chosen = where[number] if self.screen.enlarged else (0, 0)

        def choose(playground: Playground) -> None:
            playground.chosen = chosen

        self.loop.send(choose)

    def choose_network(self, number: int) -> None:
        """Select one of several networks."""

        def choose(playground: Playground) -> None:
            playground.number = min(max(number, 0), networks(playground.shape) - 1)

        self.loop.send(choose)

    def warp_chosen(self) -> None:
        """Handle the controls of the warped grid."""
        controls = self.screen.controls
        first, second, third = (axis.value for axis in controls.axes)
        axes = (int(first or 0), int(second or 0), int(third) if third else None)
        layer = int(controls.warp_layer.value)
        if layer != self.screen.view.layer:
            axes = (0, 1, None)
        self.screen.show_view(self.screen.view._replace(layer=layer, axes=axes, turn=float(controls.turn.value)))


def _toggle(playground: Playground) -> None:
    """Play or pause."""
    playground.playing = not playground.playing


def _pause_and_train(playground: Playground, steps: int) -> None:
    """Pause and train for some steps."""
    playground.playing = False
    playground.train(steps)
