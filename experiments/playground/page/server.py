"""The server of the page: one session per open tab."""

from __future__ import annotations

import logging

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import Server

from experiments.playground.engine.compiler import Compiler
from experiments.playground.page.page import Page

MAX_MESSAGE = 4_000_000
"""Bytes per message of a browser."""


def start(host: str, port: int, compiler: Compiler) -> Server:
    """A listening server, whose `io_loop` is still to be started; port 0 takes a free one."""
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)  # a tab that is closed is no reason to warn

    def open_page(document: Document) -> None:
        Page(document, compiler)

    server = Server(
        {"/": Application(FunctionHandler(open_page))},
        address=host,
        port=port,
        allow_websocket_origin=None,
        websocket_max_message_size=MAX_MESSAGE,
        unused_session_lifetime_milliseconds=30_000,  # a slow browser needs so long to load the page and connect
        check_unused_sessions_milliseconds=2000,
    )
    server.start()
    return server
