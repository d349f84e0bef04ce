"""A log of lines: gathered, and written a few times a second.

Nothing that happens to the file or pipe harms a request: lines that cannot be written are dropped and counted, and the
gateway's own log says so, and again when they are written.  A file that somebody has moved away is opened anew, asked
for or not.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.safe_lines import safe_json

FLUSH_SECONDS = 0.25
"""How long a line waits at most, if the output takes it."""

FLUSH_BYTES = 64 * 1024
"""Bytes that are written at once, without waiting for `FLUSH_SECONDS`."""

MOST_WAITING = 1024 * 1024
"""Bytes that may wait for a slow reader; further lines are dropped."""

FOLLOW_SECONDS = 1.0
"""How often, at most, it is looked whether the file is still where it was."""

COMPLAINT_SECONDS = 60.0
"""A failing output is mentioned in the gateway's log at most this often."""

_TOO_SLOW = "its reader is too slow"


class LineLog:
    """Writes the lines."""

    _log = Logger()

    def __init__(
        self, noun: str, output: LineOutput, reactor: IReactorTime, *, are_safe: bool = False
    ) -> None:
        """Make a log on an open output.

        :param noun: what operators call it: "access log".
        :param are_safe: no terminal acts upon its lines as they come.
        """
        self.lines_dropped = 0
        """How many lines could not be written since the start."""
        self._noun = noun
        self._output = output
        self._reactor = reactor
        self._are_safe = are_safe
        self._rest = b""
        """What the output did not take; it may begin within a line."""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._stalled = False
        self._stopped = False
        self._flush_call: IDelayedCall | None = None
        self._next_look = 0.0
        self._next_complaint = 0.0
        self._complained = False
        self._dropped_as_told = 0
        """What `lines_dropped` was when it was last said that lines are written again."""

    def write(self, line: bytes) -> None:
        """Log a line of JSON.  Whatever happens to the output, this does not raise."""
        if self._stopped:
            self.lines_dropped += 1
            return
        waiting_bytes = self._waiting_bytes + len(line) + 1
        if self._stalled and waiting_bytes > MOST_WAITING:
            self._dropped(1, _TOO_SLOW)
            return
        self._waiting.append(line)
        self._waiting_bytes = waiting_bytes
        if waiting_bytes >= FLUSH_BYTES and not self._stalled:
            self.flush()
        elif self._flush_call is None:
            self._flush_call = self._reactor.callLater(FLUSH_SECONDS, self._flush_time)

    def lose(self, reason: str) -> None:
        """Count a line that there will not be, for this reason."""
        self._dropped(1, reason)

    def _flush_time(self) -> None:
        self._flush_call = None
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as the output takes it."""
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None
        data = self._rest
        if self._waiting:
            self._waiting.append(b"")
            # All lines at once, which costs less than looking at each.
            lines = b"\n".join(self._waiting)
            data += lines if self._are_safe else safe_json(lines)
            self._waiting.clear()
        if not data:
            return
        if not self._output.within_line:
            self._follow()
        try:
            self._rest = data[self._output.write(data) :]
            self._stalled = bool(self._rest)
        except OSError as error:
            self._rest, self._stalled = b"", False
            self._dropped(data.count(b"\n"), error.strerror or str(error))
        else:
            if self.lines_dropped != self._dropped_as_told and not self._stalled:
                self._recovered()
        self._waiting_bytes = len(self._rest)
        if self._stalled:
            self._flush_call = self._reactor.callLater(FLUSH_SECONDS, self._flush_time)

    def reopen(self) -> None:
        """Go on in a new file of the same name: a rotation has moved the old one away.  Never raises."""
        if not self._stopped:
            self.flush()
            self._open_anew()

    def stop(self) -> None:
        """Write what waits, as far as the output takes it, and close it.  Later lines are dropped."""
        self.flush()
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None
            self._dropped(self._rest.count(b"\n"), _TOO_SLOW)
        self._stopped = True
        self._output.close()

    def _follow(self) -> None:
        """Look now and then whether the file was moved away without a signal."""
        now = self._reactor.seconds()
        if now >= self._next_look:
            self._next_look = now + FOLLOW_SECONDS
            if self._output.is_moved():
                self._open_anew()

    def _open_anew(self) -> None:
        try:
            self._output.reopen()
        except OSError as error:
            if self._may_complain():
                self._log.error(
                    "the {noun} {path} cannot be opened anew, the old file stays in use: {reason}",
                    noun=self._noun,
                    path=self._output.path,
                    reason=error.strerror,
                )

    def _dropped(self, lines: int, reason: str) -> None:
        self.lines_dropped += lines
        if self._may_complain():
            self._log.error(
                "the {noun} {path} cannot be written, {lines} lines are lost so far: {reason}",
                noun=self._noun,
                path=self._output.path,
                lines=self.lines_dropped,
                reason=reason,
            )
            self._complained = True

    def _recovered(self) -> None:
        if self._complained or self._may_complain():
            self._complained, self._dropped_as_told = False, self.lines_dropped
            self._log.info(
                "the {noun} {path} is written again, {lines} lines were lost so far",
                noun=self._noun,
                path=self._output.path,
                lines=self.lines_dropped,
            )

    def _may_complain(self) -> bool:
        now = self._reactor.seconds()
        if now < self._next_complaint:
            return False
        self._next_complaint = now + COMPLAINT_SECONDS
        return True
