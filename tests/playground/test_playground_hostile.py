"""Messages that no page would send: refused with words, without a traceback, and the session goes on."""

import json
import random
import time

import pytest
from bokeh.document import Document

from experiments.playground.engine.compiler import Compiler
from experiments.playground.engine.links import Saved, to_link
from experiments.playground.engine.settings import Settings
from experiments.playground.page.page import Page

KINDS = ("hello", "link", "csv", "model", "preset", "hidden", "code", "parameter", "key", "", "\u202e", None, 7, [], {})
TEXTS = (
    *(None, True, 0, -1, 1e400, "", " ", "z", "9", "\x00", "\ud800", "None", "{}", "[]", "[[", "[1e400]", "NaN"),
    *("hidden=99", "size=1e9", "weights=AAAA", "points=%00", "=&=&=", "language=xx", "data=\U0001f600", "speed=nan"),
    *("x1,x2,target\n1,2", "x1,x2,target\n" + "1,1,0\n" * 3000, '{"weights": [], "settings": {}}', "a" * 100_000),
    *([], [[]], {}, {"a": 1}, "[" * 5000, '["neuron", 99, 1]', '["neuron", -1, 1]', '["link", 10000000000, 0.5]'),
    *('["link", 0, null]', '["link"]', '["neuron", 0, "1"]', '["neuron", 0, 1]', "[1, 2, 3, 4, 5, 6, 7]", "[2.5]"),
)


@pytest.fixture
def page():
    document = Document()
    made = Page(Compiler())
    made.open(document)
    yield made
    document.callbacks.destroy()
    if made.loop.ident is not None:
        made.loop.join(timeout=20)


def messages(count):
    chance = random.Random(0)
    for number in range(count):
        kind, text = chance.choice(KINDS), chance.choice(TEXTS)
        whole = json.dumps([number, kind, text])
        damaged = whole[: chance.randrange(40)] + chance.choice(["", "]", '"', "\x07", "}"])
        yield chance.choice([whole] * 9 + [damaged, json.dumps({"a": 1, "b": kind, "c": text}), json.dumps(text)])


def test_ten_thousand_hostile_messages_leave_the_session_as_usable_as_before(page, capsys):
    said = []
    page.screen.say = said.append
    for message in messages(10_000):
        page.received("sent", "", message)
    assert len(said) > 4000
    assert all(len(text.split()) > 3 for text in said)  # words, not the bare name of a key
    if page.loop.ident is None:
        page.loop.start()
    wanted = Settings(hidden=(3,))
    page.received("sent", "", json.dumps([0, "link", to_link(Saved(wanted, None, None, page.screen.view))]))
    end = time.monotonic() + 120
    while page.loop._playground.settings.hidden != (3,) or not page.loop._commands.empty():
        assert page.loop.is_alive()
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "Traceback" not in capsys.readouterr().err
