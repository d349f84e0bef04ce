"""An answer on its way to a client: its head, its body's framing, and whether it kept its word.

Bytes are queued until somebody flushes, so that what belongs together leaves in one system call.
"""

from __future__ import annotations

from enum import Enum

from gateway.messages import Headers
from gateway.wire import responses
from gateway.wire.responses import DateLine
from gateway.wire.sending import Sender


class Framing(Enum):
    """How the client knows where the body ends (RFC 9112 §6.3)."""

    NO_BODY = "the answer to a HEAD, 204, 304"
    LENGTH = "Content-Length"
    CHUNKED = "the last chunk"
    CLOSE = "the connection's end, for HTTP/1.0"


# By themselves: looking a member up in its Enum costs as much as a call, several times an event.
_NO_BODY, _LENGTH, _CHUNKED, _CLOSE = Framing


class AnswerWriter:
    """The answers of one connection, one after the other."""

    __slots__ = ("_date", "_head", "_queue", "_sender", "framing", "unwritten")

    def __init__(self, sender: Sender, date: DateLine) -> None:
        self._sender = sender
        self._date = date
        self._head = b""
        """The head, until it is flushed."""
        self._queue: list[bytes] = []
        """Body bytes, until they are flushed."""
        self.framing = _NO_BODY
        self.unwritten = 0
        """Bytes that the Content-Length still promises."""

    def whole(self, status: int, headers: Headers, body: bytes, *, to_head: bool, close: bytes) -> None:
        """Send a whole answer.

        :param to_head: it answers a HEAD, so that its body is only announced (RFC 9110 §9.3.2).
        :param close: `responses.CLOSE`, or empty.
        """
        if status == 204 or status == 304:
            framing = body = b""
        else:
            framing = responses.length_line(len(body))
        head = responses.head(status, headers, self._date.now(), framing, close)
        self._sender.write(head if to_head else head + body)

    def begin(
        self,
        status: int,
        headers: Headers,
        body_length: int | None,
        *,
        to_head: bool,
        old: bool,
        close: bytes,
    ) -> None:
        """Queue an answer's head.

        :param body_length: in bytes; None when only its end will tell.
        :param old: the client speaks HTTP/1.0 and knows no chunks.
        """
        line = b""
        if status == 204 or status == 304:
            framing = _NO_BODY
        elif body_length is not None:
            framing = _LENGTH
            line = responses.length_line(body_length)
            self.unwritten = body_length
        elif old:
            framing = _CLOSE
        else:
            framing = _CHUNKED
            line = responses.CHUNKED
        self._head = responses.head(status, headers, self._date.now(), line, close)
        self.framing = _NO_BODY if to_head else framing

    def write(self, data: bytes) -> bool:
        """Queue some of the body; False when it is more than was promised."""
        if self.framing is _LENGTH:
            if len(data) > self.unwritten:
                return False
            self.unwritten -= len(data)
        elif self.framing is _NO_BODY:
            return True
        if data:
            self._queue.append(data)
        return True

    def flush(self, last: bytes = b"") -> None:
        """Send everything queued, in one piece; chunked bytes as one chunk.

        :param last: what follows them.
        """
        queue = self._queue
        if queue:
            data = queue[0] if len(queue) == 1 else b"".join(queue)
            queue.clear()
            if self.framing is _CHUNKED:
                data = b"%b%x\r\n%b\r\n%b" % (self._head, len(data), data, last)
            elif self._head:
                data = self._head + data
        else:
            data = self._head + last
            if not data:
                return
        self._head = b""
        self._sender.write(data)

    def end(self) -> bool:
        """Send the rest and the end; False, with nothing sent, when less was written than was promised."""
        if self.framing is _LENGTH and self.unwritten:
            return False
        self.flush(responses.LAST_CHUNK if self.framing is _CHUNKED else b"")
        return True

    @property
    def end_is_close(self) -> bool:
        """A connection that just closes would make a cut answer look whole."""
        return self.framing is _CLOSE
