"""The playground: a network that trains live in the browser, computed by JAX on this machine.

    python -m experiments.playground
    python -m experiments.playground --port 8000 --no-show
    python -m experiments.playground --static folder

Opens a page at http://127.0.0.1:5100 in about 3 s on 2 cores; Ctrl+C ends it. With --static, writes a page that needs
no Python instead: it opens from the folder or any web server, trains in the browser, and understands the same links.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import sys
import webbrowser
from pathlib import Path
from typing import Literal

from experiments.cli import command, parser


@dataclasses.dataclass(frozen=True)
class Options:
    """Where the page is served."""

    port: int = 5100
    """Port of the page; 0 takes a free one."""
    host: str = "127.0.0.1"
    """Address to listen on; any but that of this computer lets others use the page."""
    show: bool = True
    """Open the page in the browser."""
    device: Literal["cpu", "auto"] = "cpu"
    """Device to compute on; auto takes a GPU if there is one, whose latency exceeds its gain on steps this small."""
    static: Path | None = None
    """Write the page that trains in the browser to this folder, and end."""


def run(options: Options) -> None:
    """Write the static page, or serve the live one."""
    if options.static is None:
        serve(options)
    else:
        from experiments.playground.static import write_folder

        print(f"open {write_folder(options.static)}")


def serve(options: Options) -> None:
    """Serve the page until interrupted."""
    import jax

    from experiments.playground.engine.compiler import Compiler
    from experiments.playground.engine.settings import Settings, shape_of

    if not 0 <= options.port <= 65535:
        raise ValueError(f"--port must be from 0 to 65535; got {options.port}")
    if options.device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    compiler = Compiler()
    compiler.prepare(shape_of(Settings()))  # while the library of the page is imported, and the browser started
    try:
        from experiments.playground.page import server
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}; install the library of the page with: pip install -e '.[commands]'") from error
    running = server.start(options.host, options.port, compiler)
    url = f"http://{options.host}:{running.port}/"
    print(f"The playground is at {url} (Ctrl+C ends it)", flush=True)
    if not _loopback(options.host):
        print(f"warning: {options.host} can be reached from other computers; they can use this one", file=sys.stderr)
    if options.show:
        webbrowser.open(url)
    try:
        running.io_loop.start()
    except KeyboardInterrupt:
        print()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for a wrong option."""
    options = parser.parse(Options, prog="jaxnn playground", description=__doc__, args=arguments)
    # What follows takes a while to load: not for --help.
    from jaxnn import training

    training.enable_compilation_cache()
    return command.run(run, options)


if __name__ == "__main__":
    sys.exit(main())
