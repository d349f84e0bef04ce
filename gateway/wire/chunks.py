"""The chunks of answers' bodies taken apart (RFC 9112 §7.1), by llhttp."""

from __future__ import annotations

from httptools import HttpParserError, HttpResponseParser

from gateway.wire.limits import ANSWER_HEAD_BYTES

_SOME_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
"""Brings llhttp to where chunks begin."""


class ChunkedBodies:
    """The bodies in chunks of one connection, one after the other."""

    __slots__ = ("_barren", "_llhttp", "_parts", "ended", "fault", "surplus")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._barren = 0
        """Bytes since the last one of the body: chunk extensions and trailers, which have an end."""
        self.ended = False
        """The last chunk and the trailers have been seen."""
        self.surplus = False
        """Bytes stand behind them."""
        self.fault: str | None = None
        """Why these are no valid chunks.  What was found before stays valid."""
        self._llhttp = HttpResponseParser(self)

    def begin(self) -> None:
        """The next bytes are a new body.  Only as the first, or after one that has ended without surplus."""
        self.ended = False
        self._barren = 0
        self._llhttp.feed_data(_SOME_HEAD)

    def close(self) -> None:
        """Nothing is asked of it any more.  llhttp holds this by its callbacks: neither would be freed by itself."""
        del self._llhttp

    def feed(self, data: bytes) -> bytes:
        """What of the body stands in these bytes."""
        try:
            self._llhttp.feed_data(data)
        except HttpParserError as error:
            if not self.ended:
                self.fault = str(error)
        parts = self._parts
        if parts:
            self._barren = 0
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            return body
        if not self.ended:
            self._barren += len(data)
            if self._barren > ANSWER_HEAD_BYTES:
                self.fault = "endless chunk extensions or trailers"
        return b""

    # What llhttp calls.

    def on_message_begin(self) -> None:
        if self.ended:
            self.surplus = True

    def on_body(self, data: bytes) -> None:
        if not self.ended:  # else it belongs to an answer that nobody asked for
            self._parts.append(data)

    def on_message_complete(self) -> None:
        self.ended = True
