"""The bytes of an answer's head.

Status lines carry the standard reason phrase, never a provider's: its bytes are not ours to repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

from gateway.messages import Headers

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
CLOSE = b"connection: close\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",  # Python 3.11 has the names from before RFC 9110
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode("ascii")) for status, phrase in _PHRASES.items()
}

_OURS = frozenset({b"connection", b"content-length", b"date", b"keep-alive", b"transfer-encoding"})
"""Whoever gives us one of these headers is not asked: two framings in one head desynchronise a client."""

_BREAKS = b"\r\n\0"


class DateLine:
    """The `Date` header (RFC 9110 §6.6.1), made once a second."""

    __slots__ = ("_line", "_second", "_seconds")

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        """Make the line.

        :param seconds: the wall clock.
        """
        self._seconds = seconds
        self._second = -1
        self._line = b""

    def now(self) -> bytes:
        """The whole header line with its CRLF."""
        second = int(self._seconds())
        if second != self._second:
            self._second = second
            self._line = b"date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii")
        return self._line


def length_line(length: int) -> bytes:
    """The framing of a body whose length is known."""
    return b"content-length: %d\r\n" % length


def head(status: int, headers: Headers, date: bytes, framing: bytes, close: bytes) -> bytes:
    """An answer's head, from the status line to the empty line.

    A header with CR, LF or NUL in it is dropped: it would end the head early (RFC 9112 §11.1).

    :param date, framing, close: whole header lines, or empty.
    :raises ValueError: for a status that no final answer has.
    """
    line = _STATUS_LINES.get(status)
    if line is None or status < 200:
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is not the status of a final answer")
        line = b"HTTP/1.1 %d \r\n" % status
    lines = [b": ".join(header) for header in headers if header[0] not in _OURS]
    block = b"\r\n".join(lines)
    if lines:
        if len(block) - len(block.translate(None, _BREAKS)) != 2 * (len(lines) - 1):
            block = b"\r\n".join([line for line in lines if not _breaks_out(line)])
        if block:
            block += b"\r\n"
    return b"".join((line, block, date, framing, close, b"\r\n"))


def _breaks_out(line: bytes) -> bool:
    return len(line.translate(None, _BREAKS)) != len(line)
