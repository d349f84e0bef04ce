"""A client's bytes to heads and bodies, one message at a time.

llhttp cannot be paused: fed a whole read, it would run through every pipelined request in it.  So it is fed
in pieces that never hold parts of two messages: a head ends with an empty line, a body after its length, and
a chunked body with an empty line again.  What follows a message stays here, unread, until it is asked for.
That keeps pipelined requests in order, makes the count of a head's bytes exact (llhttp has no limit of its
own, and reports a header only when the next one starts), and lets nothing behind a refused request be taken
for another one.  A head that repeats the one before it does not reach llhttp, and nor does its body, which is counted.

Nothing of the floor above runs inside llhttp's callbacks: they only collect.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from gateway.errors import GatewayError
from gateway.messages import Headers, RequestHead
from gateway.wire.limits import CHUNK_OVERHEAD_BYTES, TRAILER_BYTES, DownstreamLimits
from gateway.wire.repeated_head import RepeatedHead, repeatable
from gateway.wire.request_judging import judge
from gateway.wire.request_refusals import (
    body_too_large,
    head_too_long,
    malformed,
    malformed_request_line,
    unreadable_head,
)
from gateway.wire.responses import CHUNKED, length_line

_EMPTY_LINE = b"\r\n\r\n"
_CR = 0x0D


class RequestParser:
    """The requests of one connection.

    Give it bytes with `receive`; then ask `next_head` until there is one, `next_body` until `complete`,
    `next_head` again.  After a `GatewayError` it is of no more use.
    """

    __slots__ = (
        "_body_limit",
        "_body_parts",
        "_body_received",
        "_chunk_bytes",
        "_chunks",
        "_counted",
        "_data",
        "_head_complete",
        "_headers",
        "_llhttp",
        "_raw_head",
        "_refused",
        "_repeated",
        "_tail",
        "_target",
        "asks_for_no_body",
        "complete",
        "keep_alive",
        "old",
        "remaining",
    )

    def __init__(self) -> None:
        self._data = b""
        """Received and not looked at yet."""
        self._raw_head = b""
        """What came of a head that is not whole yet."""
        self._refused = b""
        """What came of the one that will never be served."""
        self._tail = b""
        """The last bytes of a chunked body so far: the empty line may be split over two reads."""
        self._target = b""
        self._headers: Headers = []
        self._head_complete = False
        self._repeated: RepeatedHead | None = None
        """The head before the one that comes next, if that may be the same."""
        self._counted = False
        """llhttp knows nothing of the message at hand, whose body has a known length."""
        self._body_parts: list[bytes] = []
        self._body_received = 0
        self._body_limit = 0
        self._chunks = 0
        self._chunk_bytes = 0
        """Bytes of the chunked body, framing included."""
        self.asks_for_no_body = False
        """The request at hand is a HEAD, as far as one can tell: its answer has no body, a refusal neither."""
        self.complete = False
        """The message whose head was given last is whole."""
        self.keep_alive = False
        """That message lets the connection live on (RFC 9112 §9.3)."""
        self.old = False
        """It is HTTP/1.0."""
        self.remaining: int | None = 0
        """Bytes of its body that were not given yet; None when it comes in chunks."""
        self._llhttp = HttpRequestParser(self)

    def receive(self, data: bytes) -> None:
        """Hold these bytes until somebody asks for what they mean."""
        self._data = self._data + data if self._data else data

    @property
    def held(self) -> int:
        """Bytes received and not looked at yet."""
        return len(self._data)

    @property
    def begun(self) -> bool:
        """Some of a head was received, and not yet all of it."""
        return bool(self._raw_head)

    def next_head(self, limits: DownstreamLimits) -> RequestHead | None:
        """The next request's head, or None while it is not whole.

        :raises GatewayError: when it will never be a request that is served.
        """
        data = self._data
        if not data:
            return None
        before = len(self._raw_head)
        if self._repeated is not None and not before:
            again = self._repeated.again(data, limits)
            if again is not None:
                return self._take_repeated(*again)
        if before:
            raw = self._raw_head + data
            end = raw.find(_EMPTY_LINE, max(0, before - 3)) + 4
        else:
            raw = data if data[0] > _CR else self._without_blank_lines(data)
            if not raw:
                return None
            end = raw.find(_EMPTY_LINE) + 4
        if end < 4:
            self._data = b""
            self._raw_head = raw
        else:
            self._data = raw[end:]
            self._raw_head = b""
            raw = raw[:end]
        self.complete = upgrade = False
        try:
            try:
                self._llhttp.feed_data(raw[before:])
            except HttpParserUpgrade:
                upgrade = True
            except HttpParserError as error:
                self.asks_for_no_body = raw.startswith(b"HEAD ")
                raise unreadable_head(raw, str(error)) from error
            if len(raw) > limits.head_bytes:
                self.asks_for_no_body = raw.startswith(b"HEAD ")
                raise head_too_long(raw, limits.head_bytes)
            if not self._head_complete:
                if end < 4:
                    return None
                raise unreadable_head(raw, "an empty line, and no head before it")  # HTTP/2's preface
            head = self._take_head(raw, limits)
        except GatewayError:
            self._refused = raw
            raise
        self._repeated = None
        if upgrade:
            self._serve_despite_upgrade(head)
        elif self.keep_alive:
            self._repeated = repeatable(raw, head, limits)
        return head

    @property
    def refused(self) -> bytes:
        """What came of a head that was refused, or is not whole: nothing of it was judged."""
        return self._refused or self._raw_head

    def next_body(self) -> bytes:
        """More of the body; empty when none is here, or when the message is `complete`.

        :raises GatewayError: when the rest of it cannot be had.
        """
        data = self._data
        if not data:
            return b""
        remaining = self.remaining
        if remaining is None:
            piece = self._take_chunked(data)
        elif len(data) <= remaining:
            piece = data
            self._data = b""
        else:
            piece = data[:remaining]
            self._data = data[remaining:]
        if remaining is not None and self._counted:
            self.remaining = remaining - len(piece)
            self.complete = not self.remaining
            return piece
        try:
            self._llhttp.feed_data(piece)
        except HttpParserError as error:
            raise malformed(f"The body's framing is not valid: {error}.") from error
        parts = self._body_parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._body_received += len(body)
        if remaining is None:
            self._check_chunked(len(piece))
        else:
            self.remaining = remaining - len(body)
        return body

    def discard(self) -> None:
        """Forget what was received: nobody will ask for it."""
        self._data = b""

    def close(self) -> None:
        """Nothing is asked of it any more.  llhttp holds this by its callbacks: neither would be freed by itself."""
        del self._llhttp

    # heads

    def _without_blank_lines(self, data: bytes) -> bytes:
        """Empty lines before a request are ignored (RFC 9112 §2.2); half of one waits for the rest."""
        while data.startswith(b"\r\n"):
            data = data[2:]
        self._data = data
        if data == b"\r":
            return b""
        if data.startswith((b"\r", b"\n")):
            raise malformed("A line before the request ends without CRLF.")
        return data

    def _take_repeated(self, head: RequestHead, length: int) -> RequestHead:
        """Go on behind a head like the last one: whatever else that one said still holds."""
        self._data = self._data[length:]
        self._counted = True
        self.remaining = head.body_length
        self.complete = head.body_length == 0
        return head

    def _take_head(self, raw: bytes, limits: DownstreamLimits) -> RequestHead:
        method = self._llhttp.get_method()
        target, headers = self._target, self._headers
        self._target = b""
        self._headers = []
        self._head_complete = False
        self.asks_for_no_body = method == b"HEAD"
        # llhttp also takes several spaces for one, and the versions of other protocols for ours.
        start = len(method) + 1 + len(target)
        version = raw[start : start + 11]
        if version == b" HTTP/1.1\r\n":
            self.old = False
        elif version == b" HTTP/1.0\r\n":
            self.old = True
            self.keep_alive = False
        else:
            raise malformed_request_line(raw)
        head = judge(method, target, headers, limits, old=self.old)
        self._counted = False
        self.remaining = head.body_length
        self._body_limit = limits.body_bytes
        self._body_received = self._chunks = self._chunk_bytes = 0
        return head

    def _serve_despite_upgrade(self, head: RequestHead) -> None:
        """Go on as if `Upgrade` had not been offered (RFC 9110 §7.8 allows that).

        llhttp takes what follows for another protocol, so a fresh one is brought to the end of this head.
        """
        keep_alive = self.keep_alive
        self._llhttp = HttpRequestParser(self)
        self.complete = head.body_length == 0
        if not self.complete:
            length = head.body_length
            framing = CHUNKED if length is None else length_line(length)
            self._llhttp.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
            self._target = b""
            self._headers = []
            self._head_complete = False
        self.keep_alive = keep_alive

    # bodies

    def _take_chunked(self, data: bytes) -> bytes:
        """The next piece of a chunked body: up to an empty line, which may be its end."""
        tail = self._tail
        seen = tail + data if tail else data
        end = seen.find(_EMPTY_LINE)
        if end < 0:
            self._tail = seen[-3:]
            self._data = b""
            return data
        end += 4 - len(tail)
        self._tail = b""
        self._data = data[end:]
        return data[:end]

    def _check_chunked(self, piece: int) -> None:
        """Bound what no Content-Length announced, and the framing around it."""
        if self._body_received > self._body_limit:
            raise body_too_large(self._body_limit)
        self._chunk_bytes += piece
        framing = self._chunk_bytes - self._body_received
        if framing > TRAILER_BYTES + CHUNK_OVERHEAD_BYTES * self._chunks:
            raise malformed("The chunk extensions or trailers are too long.")
        if self.complete:
            self._headers.clear()  # trailers: headers of no request, least of all of the next one

    # what llhttp calls

    def on_url(self, part: bytes) -> None:
        if self._head_complete or self.complete:
            raise malformed("Two messages in one piece.")  # cannot be; if it were, they would be mixed
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        self._head_complete = True
        self.keep_alive = self._llhttp.should_keep_alive()

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_body(self, data: bytes) -> None:
        self._body_parts.append(data)

    def on_message_complete(self) -> None:
        self.complete = True
