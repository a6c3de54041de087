"""The controls of the page: one widget for each setting, labelled in two languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bokeh.models import (
    Button,
    CheckboxButtonGroup,
    Column,
    Div,
    InlineStyleSheet,
    NumericInput,
    RadioButtonGroup,
    Row,
    Select,
    Slider,
)

from experiments.playground.content.i18n import word
from experiments.playground.engine.registry import FEATURES
from experiments.playground.engine.settings import BOUNDS, CHOICES, Settings

SPEEDS = ("1", "10", "100", "1000", "4000", "10000", "1000000")
MARGIN = (2, 4, 2, 4)
NARROW = {"width": 96, "margin": MARGIN}
PLAYING, EDITING = ("play", "step", "epoch", "reset"), ("regenerate", "delete", "clear")
FILES = ("link", "link_weights", "save", "save_csv")
FLOW: dict[str, str | None] = {"flex-wrap": "wrap"}
SWITCHES = ("tests", "discrete")


def _flow(*children: Any) -> Row:
    """Children side by side, wrapped into as many rows as they need."""
    return Row(children=list(children), styles=FLOW, sizing_mode="stretch_width")


class Controls:
    """All widgets; `change` gets the name and new value of a setting, `act` the name of a button."""

    def __init__(self, change: Callable[[str, Any], None], act: Callable[[str], None]) -> None:
        self._change, self._act, self._quiet = change, act, False
        self.language = "en"
        self.buttons = {name: self._button(name) for name in (*PLAYING, *EDITING, *FILES, "language")}
        self.buttons["play"].button_type = "primary"
        self.speed = Select(value="100", width=110, margin=MARGIN, name="speed")
        self.speed.on_change("value", lambda a, old, new: self._changed("speed", int(new)))
        self.choices = {name: self._select(name) for name in CHOICES}
        self.choices["data"].width = 200
        self.numbers = {name: self._number(name) for name in BOUNDS if name != "speed"}
        self.new_class_title = Div(margin=(6, 4, 0, 4))
        self.new_class = RadioButtonGroup(labels=["0", "1"], active=0, margin=MARGIN, name="new_class")
        self.new_class.on_change("active", lambda a, old, new: self._act("new_class"))
        wrap = InlineStyleSheet(css=".bk-btn-group { flex-wrap: wrap }")
        self.features = CheckboxButtonGroup(
            labels=list(FEATURES), active=[0, 1], margin=MARGIN, name="features", stylesheets=[wrap]
        )
        self.features.on_change("active", self._on_features)
        self.switches = CheckboxButtonGroup(labels=list(SWITCHES), active=[0], margin=MARGIN, name="view")
        self.switches.on_change("active", lambda a, old, new: None if self._quiet else self._act("switches"))
        self.warp_layer = Select(value="1", name="warp_layer", **NARROW)
        self.axes = [Select(value=str(i), width=72, margin=MARGIN, name=f"axis_{i + 1}") for i in range(3)]
        self.turn = Slider(start=0, end=360, step=5, value=30, width=150, margin=MARGIN, name="turn")
        for widget in (self.warp_layer, *self.axes, self.turn):
            widget.on_change("value", lambda a, old, new: None if self._quiet else self._act("warp"))

    # ------------------------------------------------------------ making

    def _button(self, name: str) -> Button:
        button = Button(label=name, margin=MARGIN, name=name)
        button.on_click(lambda: self._act(name))
        return button

    def _select(self, name: str) -> Select:
        select = Select(value=getattr(Settings(), name), name=name, **NARROW)
        select.on_change("value", lambda a, old, new: self._changed(name, new))
        return select

    def _number(self, name: str) -> NumericInput:
        """A field without bounds of its own, which would clamp: the settings refuse what is outside theirs."""
        whole = isinstance(getattr(Settings, name), int)
        number = NumericInput(value=getattr(Settings(), name), mode="int" if whole else "float", name=name, **NARROW)
        number.on_change("value", lambda a, old, new: self._changed(name, new))
        return number

    def roots(self) -> dict[str, Any]:
        """The groups of widgets by their place on the page."""
        number, choice, button = self.numbers, self.choices, self.buttons
        play, edit, files = ([button[name] for name in group] for group in (PLAYING, EDITING, FILES))
        data = [number[name] for name in ("size", "noise", "train_share", "classes", "data_seed")]
        rates = [number[name] for name in ("learning_rate", "momentum", "batch_size", "l1", "l2", "dropout", "seed")]
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        return {
            "bar": _flow(*play, self.speed, button["language"]),
            "files": _flow(*files),
            "data": Column(
                children=[_flow(choice["data"], *data), self.new_class_title, self.new_class, _flow(*edit)], **wide
            ),
            "training": _flow(choice["loss"], choice["optimizer"], *rates),
            "net_controls": Column(
                children=[self.features, _flow(choice["activation"], choice["init"], choice["many"])], **wide
            ),
            "plane_controls": _flow(self.switches),
            "warp_controls": _flow(self.warp_layer, *self.axes, self.turn),
        }

    # ------------------------------------------------------------ from the user

    def _changed(self, name: str, value: Any) -> None:
        if not self._quiet and value is not None:
            self._change(name, value)

    def _on_features(self, attribute: str, old: Sequence[int], new: Sequence[int]) -> None:
        self._changed("features", [tuple(FEATURES)[i] for i in sorted(new)])

    # ------------------------------------------------------------ from the state

    def show(self, settings: Settings, *, playing: bool, language: str) -> None:
        """Show the settings in the widgets without reporting changes."""
        self._quiet = True
        try:
            if language != self.language or not self.speed.options:
                self.language = language
                self._translate()
            for name, widget in (*self.choices.items(), *self.numbers.items()):
                _set(widget, "value", getattr(settings, name))
            _set(self.speed, "value", min(SPEEDS, key=lambda speed: abs(int(speed) - settings.speed)))
            _set(self.features, "active", [tuple(FEATURES).index(name) for name in settings.features])
            labels = ["-1", "+1"] if settings.regression else [str(i) for i in range(settings.classes)]
            _set(self.new_class, "labels", labels)
            _set(self.new_class, "active", min(self.new_class.active or 0, len(labels) - 1))
            _set(self.choices["loss"], "disabled", settings.regression)
            _set(self.numbers["momentum"], "disabled", settings.optimizer not in ("sgd", "nesterov"))
            _set(self.buttons["play"], "label", word("pause" if playing else "play", language))
        finally:
            self._quiet = False

    def show_switches(self, tests: int, discrete: int) -> None:
        """Show what the plane shows in its switches."""
        self._quiet = True
        _set(self.switches, "active", [i for i, on in enumerate((tests, discrete)) if on])
        self._quiet = False

    def show_warp(self, layers: int, neurons: int, view: tuple[int, tuple[int, int, int | None], float]) -> None:
        """Show the view (layer, axes, angle) and its choices in the controls of the warped grid."""
        layer, axes, turn = view
        self._quiet = True
        try:
            hidden = [word("hidden", self.language).format(i) for i in range(1, layers - 1)]
            names = [word("inputs", self.language), *hidden, word("scores", self.language)]
            _set(self.warp_layer, "options", [(str(i), name) for i, name in enumerate(names)])
            _set(self.warp_layer, "value", str(layer))
            some = [(str(i), str(i + 1)) for i in range(neurons)]
            for i, (axis, value) in enumerate(zip(self.axes, axes, strict=True)):
                _set(axis, "options", [("", word("none", self.language)), *some] if i == 2 else some)
                _set(axis, "value", "" if value is None else str(value))
            _set(self.turn, "visible", axes[2] is not None)
            _set(self.turn, "value", turn)
        finally:
            self._quiet = False

    def _translate(self) -> None:
        language = self.language
        for name, widget in (*self.choices.items(), *self.numbers.items()):
            widget.title = word(name, language)
        for name, select in self.choices.items():
            select.options = [(value, word(value, language)) for value in CHOICES[name]]
        for name, button in self.buttons.items():
            button.label = word(name, language)
        self.speed.title = word("speed", language)
        self.speed.options = [(speed, f"{int(speed):,}" if speed != SPEEDS[-1] else "max") for speed in SPEEDS]
        self.new_class_title.text = word("new_class", language)
        self.switches.labels = [word(name, language) for name in SWITCHES]
        self.warp_layer.title = word("warp_layer", language)
        for i, axis in enumerate(self.axes, start=1):
            axis.title = word(f"axis_{i}", language)
        self.turn.title = word("turn", language)


def _set(widget: Any, name: str, value: Any) -> None:
    """Set a changed value; an equal one needs no message to the browser."""
    if getattr(widget, name) != value:
        setattr(widget, name, value)
