"""The page of one session: forwards what the user does to the loop, and draws what the loop delivers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.models import CustomJS
from bokeh.resources import Resources

from experiments.playground.content.i18n import word
from experiments.playground.content.presets import PRESETS
from experiments.playground.engine import links
from experiments.playground.engine import points as data
from experiments.playground.engine.compiler import Compiler, networks
from experiments.playground.engine.links import Saved
from experiments.playground.engine.loop import Loop
from experiments.playground.engine.points import Points
from experiments.playground.engine.programs import EXTENT
from experiments.playground.engine.session import Frame, Playground
from experiments.playground.page.view import Screen
from experiments.playground.static import ENGINE, content, source

HTML = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")


class Page:
    """The page of one session."""

    document: Document

    def __init__(self, compiler: Compiler) -> None:
        self.screen = screen = Screen(self.change, self.act, self.choose_network)
        self.stamp = 0
        screen.plane.points.on_change("data", self.points_edited)
        screen.channel.on_change("sent", self.received)
        screen.channel.on_change("drawn", lambda attribute, old, new: self.loop.seen(new))
        screen.channel.on_change("hovered", lambda attribute, old, new: self.enlarge(new))
        # compiles while the browser loads the page, and starts when that sends hello
        self.loop = Loop(Playground(compiler), self.deliver, self.report)

    def open(self, document: Document) -> None:
        """Show it in the document of a new session."""
        self.document, screen, net = document, self.screen, self.screen.net
        with document.models.freeze():  # otherwise each root recounts all models
            for name, root in screen.roots().items():
                root.name = name
                document.add_root(root)
        document.title, document.template = "jaxnn playground", get_env().from_string(HTML)
        document.template_variables.update(engine=_engine(), bokeh=_bokeh())
        sources = {"links": net.links, "neurons": net.neurons, "biases": net.biases}
        figures = {"plane": screen.plane.figure, "net": net.figure}
        start = CustomJS(args={"channel": screen.channel, **figures, **sources}, code=SCRIPT)
        document.js_on_event("document_ready", start)
        document.on_session_destroyed(lambda context: self.loop.stop())

    # ------------------------------------------------------------ from the loop, in its thread

    def deliver(self, frame: Frame) -> None:
        """Draw a picture."""
        self.later(partial(self.screen.show, frame))

    def report(self, message: str) -> None:
        """Show a message."""
        self.later(partial(self.screen.say, message))

    def later(self, work: Callable[[], None]) -> None:
        """Run it in the server's thread; if the tab has been closed, stop the loop instead."""
        context = self.document.session_context
        try:
            self.document.add_next_tick_callback(work)
        except (AttributeError, RuntimeError):  # of a document that Bokeh has taken apart
            if context is not None and not context.destroyed:
                raise
            self.loop.stop()

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
                self.loop.send(lambda playground: playground.edit(Points(*(a[:0] for a in playground.points))))
            case "delete":
                self.delete(self.screen.plane.numbers[self.screen.plane.points.selected.indices])
            case "new_class":
                self.screen.plane.draw_tool.empty_value = self.screen.new_target()
            case "warp":
                self.warp_chosen()
            case "switches":
                on = self.screen.controls.switches.active
                self.screen.show_view(self.screen.view._replace(tests=int(0 in on), discrete=int(1 in on)))
            case "language":
                view = self.screen.view
                self.screen.show_view(view._replace(language="zh" if view.language == "en" else "en"))
            case "link" | "link_weights" | "save" | "save_csv":
                self.loop.send(partial(self.save, name))

    def received(self, attribute: str, old: str, new: str) -> None:
        """Handle a message of the page's JavaScript."""
        try:
            message = json.loads(new)
            if not (isinstance(message, list) and len(message) == 3 and isinstance(message[2], str)):
                raise ValueError(f"a message must have a kind and a text; got {new[:80]}")
            _, kind, text = message
            match kind:
                case "hello" if self.loop.ident is not None:
                    pass  # it was heard before
                case "hello" | "link":
                    try:
                        if text or kind == "link":
                            self.take(links.from_link(text))
                    finally:  # so that the first network shown is that of the link, if it is a good one
                        if kind == "hello":
                            self.loop.start()
                case "csv":
                    content = text.encode()
                    self.loop.send(lambda playground: playground.edit(data.from_csv(content, playground.settings)))
                case "model":
                    self.take(links.from_file(text.encode())._replace(view=self.screen.view))
                case "preset" if text in PRESETS:
                    self.screen.channel.update(busy=True)
                    self.take(Saved(PRESETS[text].settings(), None, None, self.screen.view), preset=text)
                case "hidden":
                    self.change("hidden", json.loads(text))
                case "code":
                    self.show_code(text)
                case "parameter":
                    self.edit_parameter(*json.loads(text))
                case "key":
                    self.pressed(text)
        except (ValueError, TypeError) as error:
            self.screen.say(str(error))
        except (LookupError, RecursionError):  # of what is not there, or nested without end
            self.screen.say(f"a message that this page does not send: {new[:80]}")

    def delete(self, numbers: np.ndarray) -> None:
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

    def take(self, saved: Saved, *, preset: str = "") -> None:
        """Load a whole state; that of a preset plays."""
        self.screen.enlarged = False
        self.screen.channel.update(preset=preset)
        self.screen.show_view(saved.view)

        def load(playground: Playground) -> None:
            playground.load(saved.settings, saved.points, saved.weights)
            playground.playing = bool(preset)

        self.loop.send(load)

    def save(self, kind: str, playground: Playground) -> None:
        """Make a link or a file; runs in the thread of the loop."""
        points = playground.points if playground.own_points else None
        weights = playground.weights() if kind in ("link_weights", "save") else None
        if kind == "link_weights" and weights is None:
            raise ValueError(word("too_many", self.screen.view.language))
        saved = Saved(playground.settings, points, weights, self.screen.view)
        self.stamp += 1
        if kind in ("link", "link_weights"):
            shown = {"link": links.to_link(saved), "message": "", "copied": self.stamp}
            self.later(lambda: self.screen.channel.update(**shown))
            return
        text = links.to_file(saved) if kind == "save" else data.to_csv(playground.points)
        name, form = ("model.json", "application/json") if kind == "save" else ("points.csv", "text/csv")
        download = json.dumps([self.stamp, name, form, text])
        self.later(lambda: self.screen.channel.update(download=download))

    def show_code(self, library: Any) -> None:
        """Pass the drawn network to the page as a script."""
        frame = self.screen.frame
        if frame is not None:
            self.stamp += 1
            text = links.to_script(frame.shape, frame.params, frame.settings.data, library)
            self.screen.channel.update(code=json.dumps([self.stamp, text]))

    def points_edited(self, attribute: str, old: Any, new: dict[str, Any]) -> None:
        """Handle points edited in the browser; ignore those set by this program."""
        points = self.screen.points
        if points is None or self.screen.showing:
            return
        places = np.stack([np.asarray(new["x"], np.float64), np.asarray(new["y"], np.float64)], axis=1)
        places = np.clip(places, -EXTENT, EXTENT)  # a point that is dragged stops at the border
        numbers, targets = np.asarray(new["number"], np.float64), np.asarray(new["target"], np.float64)
        shown = self.screen.plane.numbers
        added = np.arange(len(places)) >= len(shown)  # at the end; deleted ones are no longer there
        kept = np.where(added, -1, numbers).astype(int)
        targets = np.where(added, self.screen.new_target(), targets)
        hidden = np.setdiff1d(np.arange(len(points.train)), shown)
        places = np.concatenate([points.places[hidden], places])
        targets = np.concatenate([points.targets[hidden], targets])
        after = data.edited(points, places, targets, np.concatenate([hidden, kept]))
        self.screen.points = None
        self.loop.send(lambda playground: playground.edit(after))

    def edit_parameter(self, kind: str, index: int, value: Any) -> None:
        """Set the weight of a drawn link, or the bias of a drawn neuron."""
        if not isinstance(value, int | float):
            raise ValueError(f"a weight must be a number; got {value!r}")
        if kind == "neuron":
            layer, neuron = self.screen.net.where[index]
            self.loop.send(lambda playground: playground.set_parameter(layer - 1, "b", (neuron,), value))
            return
        for layer, (into, out) in enumerate(itertools.pairwise(self.screen.net.sizes)):
            if index < into * out:
                place = divmod(index, into)
                self.loop.send(partial(Playground.set_parameter, layer=layer, name="w", place=place, value=value))
                return
            index -= into * out

    def enlarge(self, number: int) -> None:
        """Show a neuron on the whole plane; -1 for the regions."""
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


@cache
def _engine() -> str:
    """The scripts that draw the cards of the presets, and the plane until the live one is there."""
    return "\n".join([content(), *map(source, ENGINE)])


@cache
def _bokeh() -> str:
    """The tags of those scripts of Bokeh that the page needs: by default it loads all, three times as much."""
    return Resources("server", components=["bokeh", "bokeh-widgets"], root_url="/").render_js()
