"""The client's side of one exchange: the one place that writes to it.

It tells the commit of the head and the commit of content apart, relays at once, and ends what it began: whole, or
visibly broken.
"""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.messages import Headers
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.refusals import CLIENT_DIALECT, error_body, error_headers
from gateway.wire.downstream import DownstreamConnection

_NOTHING: Headers = []

_WAITING = b": waiting\n\n"
"""A comment, which clients pass over (WHATWG HTML §9.2.6)."""


class Answer:
    """What one client is told."""

    __slots__ = (
        "_connection",
        "_head",
        "_request_id",
        "_unheard",
        "begun",
        "body_bytes",
        "early_head_at",
        "is_stream",
        "status",
        "tells_more",
    )

    def __init__(self, connection: DownstreamConnection, request_id: bytes) -> None:
        self._connection = connection
        self._request_id = request_id
        self._head: tuple[Headers, int | None] | None = None
        """Headers, and the body's length if it is known, until they are sent."""
        self.begun = False
        """The client is told something, and it cannot be taken back."""
        self.status = 0
        """What the client was told; 0 before the head."""
        self.is_stream = False
        """It is told in server-sent events."""
        self.body_bytes = 0
        """Bytes of the body so far."""
        self.early_head_at: float | None = None
        """Clock time at which a head of ours was sent before there was anything to tell; None where none was."""
        self._unheard = False
        """The client has left."""
        self.tells_more = True
        """It says how it came about (`attemptHeaders` of the Gateway document)."""

    def client_left(self) -> None:
        """What is told from now on nobody is sent."""
        self._unheard = True

    def refuse(self, error: GatewayError, more: Headers = _NOTHING) -> None:
        """End with an error of our own: as an answer, or as the last event of a stream that has begun.

        :param more: what is told of who was asked before.
        """
        if self.begun:
            self.break_off(self.error_event(error))
        else:
            headers = error_headers(error)
            self.respond(error.status, [*headers, *more] if self.tells_more else headers, error_body(error))

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer as a whole."""
        self.begun = True
        self.status = status
        if not self._unheard:
            self.body_bytes = len(body)
        self._connection.respond(status, [*headers, (b"x-request-id", self._request_id)], body)

    def tell(self, answer: ProviderAnswer, more: Headers) -> None:
        """Hand on a provider's answer that is whole.

        :param more: what is told of how it came about.
        """
        headers = [*answer.headers, *more] if self.tells_more else answer.headers
        self.respond(answer.status, headers, answer.release())

    def tell_error(self, status: int, headers: Headers, body: bytes, more: Headers) -> None:
        """Hand on a provider's error, as `ProviderAnswer.shown_error` has it; `more` as for `tell`."""
        self.respond(status, [*headers, *more] if self.tells_more else headers, body)

    def begin(self, answer: ProviderAnswer, more: Headers) -> None:
        """Commit the head of a provider's answer; it leaves with what is relayed next.

        :param more: what is told of how it came about.
        """
        self.begun = True
        self.status = answer.status
        self.is_stream = answer.watcher is not None
        shown = [*answer.headers, *more] if self.tells_more else answer.headers
        self._head = [*shown, (b"x-request-id", self._request_id)], answer.length

    def keep_waiting(self, now: float) -> None:
        """Tell a client that waits for a stream that it is not forgotten.

        The first time this commits a head of ours; whose content will follow it is still open.

        :param now: clock time in seconds.
        """
        if not self.begun:
            self.begun = True
            self.early_head_at = now
            self.status = 200
            self.is_stream = True
            self._head = (
                [
                    (b"content-type", b"text/event-stream"),
                    (b"cache-control", b"no-cache"),
                    (b"x-request-id", self._request_id),
                ],
                None,
            )
        self.relay(_WAITING)

    def relay(self, data: bytes) -> None:
        """Send on a piece of the body, at once."""
        self._write(data)
        self._connection.flush()

    def end(self, data: bytes = b"") -> None:
        """Send on the last piece: the answer is whole."""
        self._write(data)
        self._connection.end()

    def error_event(self, error: GatewayError) -> bytes:
        """An error of our own as the last event of a stream."""
        return CLIENT_DIALECT.error_event(error)

    def break_off(self, event: bytes = b"") -> None:
        """The answer will never be whole: a stream is told so, and nothing gets a last chunk.

        :param event: tells a stream why; it follows a whole event.
        """
        self._write(event if self.is_stream else b"")
        self._connection.break_off()

    def _write(self, data: bytes) -> None:
        """Queue a piece of the body, with the head before it."""
        if self._head is not None:
            headers, length = self._head
            self._head = None
            self._connection.begin(self.status, headers, length)
        if data:
            if not self._unheard:
                self.body_bytes += len(data)
            self._connection.write(data)
