"""The gateway's own log on the standard output: each line at once, and no reader is waited for.

What a reader does not take at once waits for it, up to a limit; what is beyond that is lost, counted, and told when
there is room again.  Events come from any thread, from the collector in the midst of another one, and before and
after the reactor runs.
"""

from __future__ import annotations

from threading import RLock
from typing import Any

from twisted.logger import Logger

from gateway.telemetry.line_output import LineOutput

MOST_WAITING = 256 * 1024
"""Bytes that may wait for a slow reader: some thousand lines."""

RETRY_SECONDS = 0.25
"""How soon it is tried again."""


class OwnLines:
    """Writes the lines."""

    _log = Logger()

    def __init__(self, output: LineOutput, reactor: Any) -> None:
        """Make a log on an open output.

        :param reactor: Twisted's, with threads and time.
        """
        self.output = output
        self.lines_dropped = 0
        """How many lines could not be written since the start."""
        self._reactor = reactor
        self._lock = RLock()
        self._waiting = b""
        self._is_writing = False
        self._comes_back = False
        """It will be tried again."""
        self._works = True
        """The last try did not fail."""
        self._dropped_as_told = 0

    def write(self, lines: str) -> None:
        """Log whole lines.  Whatever happens to the output, this neither raises nor waits."""
        data = lines.encode(errors="backslashreplace")
        with self._lock:
            if len(self._waiting) + len(data) > MOST_WAITING:
                self.lines_dropped += data.count(b"\n")
            else:
                self._waiting += data
            self._write_on()

    def _write_on(self) -> None:
        if self._is_writing:
            return  # the call that this one has interrupted goes on
        self._is_writing = True
        try:
            self._write_waiting()
        finally:
            self._is_writing = False
        if self._waiting and not self._comes_back:
            self._comes_back = True
            # This may be any thread, and timers are the reactor's.
            self._reactor.callFromThread(self._reactor.callLater, RETRY_SECONDS, self._come_back)
        elif not self._waiting and self._works and self.lines_dropped != self._dropped_as_told:
            self._dropped_as_told = self.lines_dropped
            self._log.warn(
                "lines of this log that could not be written, so far: {lines}", lines=self.lines_dropped
            )

    def _write_waiting(self) -> None:
        while self._waiting:
            try:
                taken = self.output.write(self._waiting)
                self._works = True
            except OSError:
                self._works = False
                taken = len(self._waiting)
                self.lines_dropped += self._waiting.count(b"\n")
            if not taken:
                return
            self._waiting = self._waiting[taken:]

    def _come_back(self) -> None:
        with self._lock:
            self._comes_back = False
            self._write_on()
