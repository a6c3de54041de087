"""The server of the page: one session per open tab."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import Server
from bokeh.settings import settings
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

from experiments.playground.engine.compiler import Compiler
from experiments.playground.page.page import Page

MAX_MESSAGE = 4_000_000
"""Bytes per message of a browser, and of the head of a request, so that one that is too long is answered."""
MAX_ADDRESS = 8_000
"""Characters of an address; what stands after its #, as the state of a link does, is not sent with it."""
_REST_SECONDS = 5.0
"""From a page that is opened to the building of the next, so that it does not slow the one that loads."""


class _Sessions(FunctionHandler):
    """One page per session, unless its address is too long."""

    def process_request(self, request: HTTPServerRequest) -> dict[str, Any]:
        if len(request.uri or "") > MAX_ADDRESS:
            reason = f"The address has {len(request.uri or ''):,} characters, more than {MAX_ADDRESS:,}"
            raise HTTPError(414, reason=f"{reason}; settings belong after a #, not after a ?")
        return {}


def _shorten(record: logging.LogRecord) -> bool:
    """Log no more than the start of what a browser has sent."""
    record.msg, record.args = record.getMessage()[:1000], ()
    return True


def start(host: str, port: int, compiler: Compiler) -> Server:
    """A listening server, whose `io_loop` is still to be started; port 0 takes a free one."""
    for name in ("bokeh.server.views.ws", "tornado.access"):  # a tab that is closed is no reason to warn
        logging.getLogger(name).setLevel(logging.ERROR)
        logging.getLogger(name).addFilter(_shorten)
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
        {"/": Application(_Sessions(open_page))},
        address=host,
        port=port,
        allow_websocket_origin=None,
        websocket_max_message_size=MAX_MESSAGE,
        http_server_kwargs={"max_header_size": MAX_MESSAGE},
        unused_session_lifetime_milliseconds=30_000,  # a slow browser needs so long to load the page and connect
        check_unused_sessions_milliseconds=2000,
    )
    server.start()
    build()
    return server
