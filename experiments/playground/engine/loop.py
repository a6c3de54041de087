"""The thread of a session: trains, draws and executes the commands of the page, so that the server never waits."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable

from experiments.playground.engine.session import Frame, Playground

_MAX_RATE = 30.0
"""The largest number of pictures per second."""
_TRAINING_SECONDS = 0.012
"""Seconds of training between two readings of the clock."""
_MIN_RATE = 22.0
"""With fewer pictures per second, training pauses part of the time and leaves the processor to the browser."""
_MAX_IN_FLIGHT = 3
"""The largest number of pictures on their way to the browser."""
_HIDDEN_SECONDS, _MAX_UNSEEN = 1.0, 60
"""A tab in the background draws nothing: it is sent a picture after so long, and no more than so many, since one that
does not even read them would fill the memory."""
_RESEND_SECONDS = 2.0
"""A picture that the browser has not drawn for so long is sent again: without steps no other would follow it."""
Command = Callable[[Playground], None]


class Loop(threading.Thread):
    """Owns a `Playground`, which only this thread uses; `deliver` gets each picture, `report` each error or ""."""

    def __init__(self, playground: Playground, deliver: Callable[[Frame], None], report: Callable[[str], None]) -> None:
        super().__init__(name="playground", daemon=True)
        self._playground, self._deliver, self._report = playground, deliver, report
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._sent = self._seen = 0
        self._stopped = False

    def send(self, command: Command) -> None:
        """Queue a function that changes the playground; a new picture follows."""
        self._commands.put(command)

    def seen(self, number: int) -> None:
        """Record that the browser has drawn picture `number`."""
        self._seen = max(self._seen, min(number, self._sent))

    def stop(self) -> None:
        """Stop soon."""
        self._stopped = True
        self._commands.put(None)

    def run(self) -> None:
        """Run until stopped."""
        playground = self._playground
        changed, ready, last, clock, allowed, fraction = True, False, 0.0, time.perf_counter(), 0.0, 1.0
        while not self._stopped:
            changed |= self._execute(wait=ready and not playground.playing and not changed)
            try:
                was_ready, ready = ready, playground.ready()
                changed |= ready and not was_ready
                now = time.perf_counter()
                speed = playground.settings.speed
                allowed, clock = min(allowed + speed * (now - clock), speed * 0.1 + 1), now
                steps = 0
                if playground.playing and allowed >= 1:
                    steps = playground.train_for(_TRAINING_SECONDS, int(allowed))
                    allowed -= steps
                    changed |= steps > 0
                now = time.perf_counter()
                changed |= ready and self._seen < self._sent and now - last > _RESEND_SECONDS
                unseen = self._sent - self._seen
                room = unseen < _MAX_IN_FLIGHT or (unseen < _MAX_UNSEEN and now - last > _HIDDEN_SECONDS)
                if changed and now - last >= 1 / _MAX_RATE and room:
                    fraction = min(fraction * 1.05, 1.0) if now - last < 1 / _MIN_RATE else max(fraction * 0.95, 0.3)
                    changed, last = not self._draw(), now
            except Exception as error:  # report it and stay ready for the next command
                traceback.print_exc()
                playground.playing = False
                self._report(f"{type(error).__name__}: {error}")
                steps = 0
            time.sleep(_TRAINING_SECONDS * (1 / fraction - 1) if steps else 0.004)

    def _draw(self) -> bool:
        frame = self._playground.frame()
        if frame is not None:
            self._sent += 1
            self._deliver(frame)
        return frame is not None

    def _execute(self, *, wait: bool) -> bool:
        """Execute the queued commands; True if there were any."""
        executed = False
        while not self._stopped:
            try:
                command = self._commands.get(timeout=0.5 if wait and not executed else 0.0001)
            except queue.Empty:
                return executed
            if command is None:
                return executed
            executed = True
            try:
                command(self._playground)
                self._report("")
            except ValueError as error:
                self._report(str(error))
            except Exception as error:  # a session survives a failing command
                traceback.print_exc()
                self._report(f"{type(error).__name__}: {error}")
        return executed
