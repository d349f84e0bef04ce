"""A provider's answers from their bytes, strictly.

llhttp refuses most of what is not HTTP/1.1, and takes chunks apart; what it lets pass is refused here.  A head
is fed to it apart from what follows, so two heads never share a feed: 1xx answers, answers to HEAD and bytes
behind an answer are told apart by where they stand.  What llhttp has found to be a valid head is split here: its
callbacks, one a header, would cost as much as all the rest.  Whoever feeds the parser then reads what it
found from its attributes; nobody is called back in the middle of a feed.
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.messages import Headers, ResponseHead
from gateway.wire.limits import ANSWER_HEAD_BYTES, ANSWER_HEADERS, INFORMATIONAL_ANSWERS

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
"""RFC 9112 §4.  llhttp would also take RTSP, ICE, HTTP/2.0, a status like 099 and control characters."""

_FOR_THIS_CONNECTION = frozenset(
    (
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Headers that speak of one connection (RFC 9110 §7.6.1) or frame the body: they are not handed on."""


class AnswerParser:
    """Reads the answers of one connection, one after the other.

    `expect` begins an answer, `feed` takes bytes, `closed` says that no more will come.
    """

    __slots__ = (
        "_barren",
        "_head_bytes",
        "_informational",
        "_no_body",
        "_parser",
        "_until_close",
        "begun",
        "body",
        "ended",
        "fault",
        "head",
        "keep_alive",
        "surplus",
    )

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.expect(no_body=False)

    def expect(self, *, no_body: bool) -> None:
        """The next bytes are a new answer.

        Only after one that has ended without surplus, and with `keep_alive`.

        :param no_body: it answers a HEAD: whatever its headers say, its head is all of it (RFC 9112 §6.3).
        """
        self._head_bytes = b""
        """The head so far, while it is incomplete."""
        self._informational = 0
        self._no_body = no_body
        self._until_close = False
        self._barren = 0
        """Bytes since the last one of the body: chunk extensions and trailers, which have an end."""
        self.begun = False
        """A byte of it has been seen."""
        self.head: ResponseHead | None = None
        """None until the final head is whole; 1xx answers are passed over."""
        self.body: list[bytes] = []
        """Pieces of the body that nobody has taken yet: the taker clears the list."""
        self.ended = False
        """It is whole."""
        self.fault: str | None = None
        """Why this is no valid answer, for an operator.  What was found before stays valid."""
        self.keep_alive = False
        """The provider lets the connection be used again; known once `head` is."""
        self.surplus = False
        """Bytes stand behind the answer: nobody can tell whose they are."""

    def feed(self, data: bytes) -> None:
        """Read these bytes."""
        self.begun = True
        while self.head is None:
            data = self._feed_head(data)
            if not data:
                return
        if self.ended:
            self.surplus = True
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.ended:
                self.fault = str(error)
        if self.body:
            self._barren = 0
        elif not self.ended:
            self._barren += len(data)
            if self._barren > ANSWER_HEAD_BYTES:
                self.fault = "endless chunk extensions or trailers"

    def closed(self, *, cleanly: bool) -> bool:
        """The provider has closed: tell whether that ends the answer.

        Only an answer with neither length nor chunks ends so, and only if nothing suggests that it was cut
        (RFC 9112 §8): no reset, and over TLS a close_notify.
        """
        return cleanly and self._until_close

    def _feed_head(self, data: bytes) -> bytes:
        """Read as much of this as belongs to a head.

        :return: what stands behind that head; empty when it is not whole, or when there is a fault.
        """
        before = self._head_bytes
        head = before + data if before else data
        end = head.find(b"\r\n\r\n", max(len(before) - 3, 0)) + 4
        complete = end > 3
        rest = b""
        if complete and end < len(head):
            rest = head[end:]
            head = head[:end]
        if len(head) > ANSWER_HEAD_BYTES:
            self.fault = f"a head of more than {ANSWER_HEAD_BYTES} bytes"
            return b""
        try:
            self._parser.feed_data(head[len(before) :] if before else head)
        except HttpParserUpgrade:
            pass  # a 101, which is refused below
        except HttpParserError as error:
            self.fault = str(error)
            return b""
        if not complete:
            self._head_bytes = head
            return b""
        self._head_bytes = b""
        self.fault = self._judge(head)
        if self.fault is not None:
            self.ended = False
            return b""
        return rest

    def _judge(self, head: bytes) -> str | None:
        """Make of a complete head what it says.

        :return: what is wrong with it.
        """
        if _STATUS_LINE.match(head) is None:
            return "a malformed status line"
        lines = head.split(b"\r\n")
        if len(lines) > ANSWER_HEADERS + 3:  # the status line, and two ends behind the last header
            return f"more than {ANSWER_HEADERS} headers"
        headers: Headers = []
        length: int | None = None
        chunked = False
        keep_alive = version_1_1 = head.startswith(b"HTTP/1.1")
        named: set[bytes] = set()
        for line in lines[1:-2]:
            name, _, value = line.partition(b":")
            name = name.lower()
            value = value.strip()
            if name not in _FOR_THIS_CONNECTION:
                headers.append((name, value))
            elif name == b"content-length":
                if length is not None or chunked or not value.isdigit():
                    return "an ambiguous Content-Length"
                length = int(value)
            elif name == b"transfer-encoding":
                # RFC 9112 §6.1: unknown to HTTP/1.0; and we asked for no other coding.
                if length is not None or chunked or not version_1_1 or value.lower() != b"chunked":
                    return "a Transfer-Encoding other than chunked, or beside another framing"
                chunked = True
            elif name == b"connection":
                for option in value.lower().split(b","):
                    option = option.strip()
                    if option == b"close":
                        keep_alive = False
                    elif option != b"keep-alive":
                        named.add(option)
        if named:
            # RFC 9110 §7.6.1: what Connection names is for this connection only.
            headers = [header for header in headers if header[0] not in named]
        status = self._parser.get_status_code()
        if status < 200:
            return self._pass_over(status, framed=chunked or length is not None)
        if self._no_body or status in (204, 304):
            chunked = False
            length = 0
            if not self.ended:
                # llhttp cannot be told that an answer to HEAD has no body: this one would wait for it.
                self._parser = HttpResponseParser(self)
                self.ended = True
        elif not chunked and length is None:
            self._until_close = True
            keep_alive = False
        self.keep_alive = keep_alive
        self.head = ResponseHead(status, headers, length)
        return None

    def _pass_over(self, status: int, *, framed: bool) -> str | None:
        """Go on to the answer behind a 1xx (RFC 9110 §15.2).

        :return: what is wrong with it.
        """
        if status == 101:
            return "101 Switching Protocols, which nobody asked for"
        if framed:
            return "a 1xx answer with a body"
        self._informational += 1
        if self._informational > INFORMATIONAL_ANSWERS:
            return f"more than {INFORMATIONAL_ANSWERS} 1xx answers"
        self.ended = False
        return None

    # What llhttp calls.

    def on_message_begin(self) -> None:
        if self.ended:
            self.surplus = True

    def on_body(self, data: bytes) -> None:
        if not self.ended:  # else it belongs to an answer that nobody asked for
            self.body.append(data)

    def on_message_complete(self) -> None:
        self.ended = True
