"""A client's connection that is none: it keeps what an exchange answers, and objects as the wire would."""

from __future__ import annotations

from typing import cast

from gateway.messages import Headers
from gateway.wire.downstream import DownstreamConnection


class RecordingConnection:
    """Takes the place of a `DownstreamConnection` for one exchange."""

    listener = ""
    peer = "127.0.0.1:5555"

    def __init__(self) -> None:
        self.body_accepted = False
        """`100 Continue` would have been sent."""
        self.body_paused = False
        self.status: int | None = None
        self.headers: Headers = []
        self.body_length: int | None = None
        self.queued = b""
        """Written since the last flush."""
        self.sent = b""
        """The body, as far as it has been flushed."""
        self.flushes = 0
        self.ended = False
        """The answer is whole."""
        self.broken_off = False
        self.aborted = False

    @property
    def connection(self) -> DownstreamConnection:
        """This, under the type that an exchange asks for."""
        return cast(DownstreamConnection, self)

    @property
    def begun(self) -> bool:
        return self.status is not None

    def accept_body(self) -> None:
        self.body_accepted = True

    def pause_body(self) -> None:
        self.body_paused = True

    def resume_body(self) -> None:
        self.body_paused = False

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        self.begin(status, headers, len(body))
        self.write(body)
        self.end()

    def begin(self, status: int, headers: Headers, body_length: int | None) -> None:
        assert not self.begun, "a second head"
        assert not self.broken_off
        self.status, self.headers, self.body_length = status, headers, body_length

    def write(self, data: bytes) -> None:
        assert self.begun, "a body before its head"
        assert not self._over, "a body after its end"
        self.queued += data

    def flush(self) -> None:
        assert not self._over, "a flush after the end"
        self.sent += self.queued
        self.queued = b""
        self.flushes += 1

    def end(self) -> None:
        assert self.begun
        self.flush()
        assert self.body_length in (None, len(self.sent)), "another length than the head said"
        self.ended = True

    def break_off(self) -> None:
        self.flush()
        self.broken_off = True

    def abort(self) -> None:
        self.aborted = True

    @property
    def _over(self) -> bool:
        return self.ended or self.broken_off or self.aborted
