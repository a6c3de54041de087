"""The thread of a session: trains, draws, and does what the page asks for, so that the server never waits."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable

from experiments.playground.engine.session import Frame, Playground

PICTURES = 30.0
"""At most so many pictures a second."""
TRAINING = 0.012
"""Seconds of training between two looks at the clock."""
WANTED = 22.0
"""With fewer pictures a second than this, training leaves the processor to the browser for a part of the time."""
IN_FLIGHT = 3
"""So many pictures may be on their way to the browser."""
Command = Callable[[Playground], None]


class Loop(threading.Thread):
    """Owns a `Playground`; whatever the page wants of it is sent as a function."""

    def __init__(self, playground: Playground, deliver: Callable[[Frame], None], report: Callable[[str], None]) -> None:
        super().__init__(name="playground", daemon=True)
        self._playground, self._deliver, self._report = playground, deliver, report
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._sent = self._seen = 0
        self._stopped = False

    def send(self, command: Command) -> None:
        """Let a function have the playground soon; another picture follows."""
        self._commands.put(command)

    def seen(self, number: int) -> None:
        """The browser has drawn so many pictures."""
        self._seen = max(self._seen, min(number, self._sent))

    def stop(self) -> None:
        """End soon."""
        self._stopped = True
        self._commands.put(None)

    def run(self) -> None:
        """Work until stopped."""
        playground = self._playground
        changed, ready, last, clock, allowed, share = True, False, 0.0, time.perf_counter(), 0.0, 1.0
        while not self._stopped:
            changed |= self._obey(wait=ready and not playground.playing and not changed)
            try:
                was_ready, ready = ready, playground.ready()
                changed |= ready and not was_ready
                now = time.perf_counter()
                speed = playground.settings.speed
                allowed, clock = min(allowed + speed * (now - clock), speed * 0.1 + 1), now
                steps = 0
                if playground.playing and allowed >= 1:
                    steps = playground.train_for(TRAINING, int(allowed))
                    allowed -= steps
                    changed |= steps > 0
                now = time.perf_counter()
                room = self._sent - self._seen < IN_FLIGHT or now - last > 1.0  # a hidden tab draws nothing
                if changed and now - last >= 1 / PICTURES and room:
                    share = min(share * 1.05, 1.0) if now - last < 1 / WANTED else max(share * 0.95, 0.3)
                    changed, last = False, now
                    self._draw()
            except Exception as error:  # tell it, and stay there for the next command
                traceback.print_exc()
                playground.playing = False
                self._report(f"{type(error).__name__}: {error}")
                steps = 0
            time.sleep(TRAINING * (1 / share - 1) if steps else 0.004)

    def _draw(self) -> None:
        frame = self._playground.frame()
        if frame is not None:
            self._sent += 1
            self._deliver(frame)

    def _obey(self, *, wait: bool) -> bool:
        """Do what was asked for; True if there was anything."""
        obeyed = False
        while not self._stopped:
            try:
                command = self._commands.get(timeout=0.5 if wait and not obeyed else 0.0001)
            except queue.Empty:
                return obeyed
            if command is None:
                return obeyed
            obeyed = True
            try:
                command(self._playground)
                self._report("")
            except ValueError as error:
                self._report(str(error))
            except Exception as error:  # a session outlives a mistake in one command
                traceback.print_exc()
                self._report(f"{type(error).__name__}: {error}")
        return obeyed
