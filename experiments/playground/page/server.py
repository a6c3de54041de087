"""The server of the page: one session per open tab."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import Server
from bokeh.settings import settings

from experiments.playground.engine.compiler import Compiler
from experiments.playground.page.page import Page

MAX_MESSAGE = 4_000_000
"""Bytes per message of a browser."""
_REST_SECONDS = 5.0
"""From a page that is opened to the building of the next, so that it does not slow the one that loads."""


def start(host: str, port: int, compiler: Compiler) -> Server:
    """A listening server, whose `io_loop` is still to be started; port 0 takes a free one."""
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)  # a tab that is closed is no reason to warn
    settings.perform_document_validation = False  # the tests do it once for all
    thread = ThreadPoolExecutor(1, thread_name_prefix="page")
    ahead: list[Future[Page]] = []
    """A page for the next session: its widgets take longer to make than all else on the way to the browser."""

    def build() -> None:
        if not ahead:
            ahead.append(thread.submit(Page, compiler))

    def open_page(document: Document) -> None:
        page = ahead.pop().result() if ahead else Page(compiler)
        page.open(document)
        server.io_loop.call_later(_REST_SECONDS, build)

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
    build()
    return server
