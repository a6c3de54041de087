"""The playground as a folder that needs no Python: it opens from a file or any web server and trains in the browser."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

from experiments.cli import files
from experiments.playground.content import i18n
from experiments.playground.content.colors import CLASSES
from experiments.playground.content.presets import PRESETS
from experiments.playground.engine import points
from experiments.playground.engine.settings import (
    BOUNDS,
    CHOICES,
    MAX_LAYERS,
    MAX_NEURONS,
    MAX_POINTS,
    VALUE_SETS,
    Settings,
)

ENGINE = ("random.js", "points.js", "network.js", "session.js", "draw.js", "link.js")
"""The scripts that read a link and train and draw its network, without a page."""
_FILES = ("index.html", "page.css", *ENGINE, "page.js")


def source(name: str) -> str:
    """The text of a file of the page."""
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def content() -> str:
    """A script with what the scripts share with the live page: settings, bounds, presets, texts, colors."""
    fields = dataclasses.fields(Settings)
    shared: dict[str, Any] = {
        "defaults": dataclasses.asdict(Settings()),
        "choices": dict(CHOICES),
        "bounds": dict(BOUNDS),
        "whole": [field.name for field in fields if isinstance(field.default, int)],
        "values": VALUE_SETS,
        "most": [MAX_LAYERS, MAX_NEURONS],
        "max_points": MAX_POINTS,
        "simple": points.SIMPLE,
        "hills": points.HILLS,
        "classes": CLASSES,
        "presets": {name: preset._asdict() for name, preset in PRESETS.items()},
        "words": {language: i18n.words(language) for language in ("en", "zh")},
        "tips": {language: i18n.tips(language) for language in ("en", "zh")},
    }
    for preset in shared["presets"].values():
        preset |= {"title": preset["title"]._asdict(), "hint": preset["hint"]._asdict()}
    return f"const CONTENT = {json.dumps(shared, ensure_ascii=False)};\n"


def write_folder(folder: Path) -> Path:
    """Write the folder; its page, to be opened in a browser."""
    files.check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder / "content.js", content())
    for name in reversed(_FILES):  # the page last: it is there once all of its parts are
        files.write(folder / name, source(name))
    return folder / "index.html"
