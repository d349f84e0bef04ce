"""A provider's answers from their bytes, strictly.

A head is read here, line by line: providers repeat most of their lines, so each is judged once and then known.
llhttp is asked only to take chunks apart; a body of known length is counted.  Whoever feeds the parser reads
what else it found from its attributes; nobody is called back in the middle of a feed.
"""

from __future__ import annotations

import re

from gateway.messages import Headers, ResponseHead
from gateway.wire.chunks import ChunkedBodies
from gateway.wire.limits import ANSWER_HEAD_BYTES, ANSWER_HEADERS, INFORMATIONAL_ANSWERS
from gateway.wire.memo import Memo

_BEGINNING = b"HTTP/1."

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
"""RFC 9112 §4."""

_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
"""RFC 9110 §5.5, §5.6.2: no blank before the colon, no folding, no control characters."""

_LENGTH_DIGITS = 18
"""Of a Content-Length: any of them fits into 64 bits."""

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


class MalformedAnswerError(Exception):
    """This is no valid answer; the sentence is for an operator."""


class AnswerParser:
    """Reads the answers of one connection, one after the other.

    `expect` begins an answer, `feed` takes bytes; when no more will come, `ends_with_close` says what that means.
    """

    __slots__ = (
        "_chunked_bodies",
        "_chunks",
        "_head_bytes",
        "_informational",
        "_no_body",
        "_remaining",
        "begun",
        "ended",
        "fault",
        "head",
        "keep_alive",
        "surplus",
    )

    def __init__(self) -> None:
        self._head_bytes = b""
        """The head so far, while it is incomplete."""
        self._informational = 0
        """1xx answers before this one."""
        self._chunked_bodies: ChunkedBodies | None = None
        """Made for the first of them: a parser of llhttp's costs more than most bodies."""
        self._chunks: ChunkedBodies | None = None
        """The same, while the body at hand is one of them."""
        self._remaining: int | None = None
        """Bytes of the body that have not come yet; None where its length is not known."""
        self.fault: str | None = None
        """Why this is no valid answer, for an operator.  What was found before stays valid."""
        self.keep_alive = False
        """The provider lets the connection be used again; known once `head` is."""
        self.surplus = False
        """Bytes stand behind the answer: nobody can tell whose they are."""
        self.expect(no_body=False)

    def expect(self, *, no_body: bool) -> None:
        """The next bytes are a new answer.

        Only after one that has ended without surplus, and with `keep_alive`.

        :param no_body: it answers a HEAD: whatever its headers say, its head is all of it (RFC 9112 §6.3).
        """
        self._no_body = no_body
        self.begun = False
        """A byte of it has been seen."""
        self.head: ResponseHead | None = None
        """None until the final head is whole; 1xx answers are passed over."""
        self.ended = False
        """It is whole."""

    def feed(self, data: bytes) -> bytes:
        """Read these bytes; get what of the body stands in them."""
        self.begun = True
        while self.head is None:
            data = self._feed_head(data)
            if not data:
                return b""
        if self.ended:
            self.surplus = True
            return b""
        chunks = self._chunks
        if chunks is not None:
            data = chunks.feed(data)
            self.ended, self.surplus, self.fault = chunks.ended, chunks.surplus, chunks.fault
            return data
        remaining = self._remaining
        if remaining is None:
            return data
        if len(data) > remaining:
            self.surplus = True
            data = data[:remaining]
        self._remaining = remaining = remaining - len(data)
        self.ended = remaining == 0
        return data

    def ends_with_close(self, *, cleanly: bool) -> bool:
        """Tell whether the answer is whole now that the provider has closed.

        Only an answer with neither length nor chunks ends so, and only if nothing suggests that it was cut
        (RFC 9112 §8): no reset, and over TLS a close_notify.
        """
        return cleanly and self.head is not None and self._remaining is None and self._chunks is None

    def close(self) -> None:
        """Nothing is read any more."""
        if self._chunked_bodies is not None:
            self._chunked_bodies.close()

    def _feed_head(self, data: bytes) -> bytes:
        """Read as much of this as belongs to a head.

        :return: what stands behind that head; empty when it is not whole, or when there is a fault.
        """
        before = self._head_bytes
        if before:
            raw = before + data
            end = raw.find(b"\r\n\r\n", max(len(before) - 3, 0))
        else:
            raw = data
            end = raw.find(b"\r\n\r\n")
        try:
            if end < 0:
                self._head_bytes = raw
                _check_beginning(raw)
                return b""
            if end + 4 > ANSWER_HEAD_BYTES:
                raise _head_too_long()
            self._take_head(raw[:end].split(b"\r\n"))
            self._head_bytes = b""
        except MalformedAnswerError as error:
            self.fault = str(error)
            return b""
        return raw[end + 4 :]

    def _take_head(self, lines: list[bytes]) -> None:
        """Make of a complete head what it says."""
        if len(lines) > ANSWER_HEADERS + 1:
            raise MalformedAnswerError(f"more than {ANSWER_HEADERS} headers")
        status, keep_alive = _known_status_lines[lines[0]]
        version_1_1 = keep_alive
        headers: Headers = []
        length: int | None = None
        chunked = False
        named: frozenset[bytes] | None = None
        for line in lines[1:]:
            header = _known_lines[line]
            name = header[0]
            if name not in _FOR_THIS_CONNECTION:
                headers.append(header)
            elif name == b"content-length":
                digits = header[1]
                if length is not None or chunked or not digits.isdigit() or len(digits) > _LENGTH_DIGITS:
                    raise MalformedAnswerError("an ambiguous Content-Length")
                length = int(digits)
            elif name == b"transfer-encoding":
                # RFC 9112 §6.1: unknown to HTTP/1.0; and we asked for no other coding.
                if length is not None or chunked or not version_1_1 or header[1].lower() != b"chunked":
                    raise MalformedAnswerError(
                        "a Transfer-Encoding other than chunked, or beside another framing"
                    )
                chunked = True
            elif name == b"connection":
                options = _known_options[header[1]]
                named = options if named is None else named | options
        if named:
            keep_alive = keep_alive and b"close" not in named
            # RFC 9110 §7.6.1: what Connection names is for this connection only.
            headers = [header for header in headers if header[0] not in named]
        if status < 200:
            self._pass_over(status, framed=chunked or length is not None)
            return
        self._informational = 0
        if self._no_body or status == 204 or status == 304:
            chunked = False
            length = 0
        elif not chunked and length is None:
            keep_alive = False
        chunks = None
        if chunked:
            chunks = self._chunked_bodies = self._chunked_bodies or ChunkedBodies()
            chunks.begin()
        self._chunks = chunks
        self._remaining = length
        self.ended = length == 0
        self.keep_alive = keep_alive
        self.head = ResponseHead(status, headers, length)

    def _pass_over(self, status: int, *, framed: bool) -> None:
        """Go on to the answer behind a 1xx (RFC 9110 §15.2)."""
        if status == 101:
            raise MalformedAnswerError("101 Switching Protocols, which nobody asked for")
        if framed:
            raise MalformedAnswerError("a 1xx answer with a body")
        self._informational += 1
        if self._informational > INFORMATIONAL_ANSWERS:
            raise MalformedAnswerError(f"more than {INFORMATIONAL_ANSWERS} 1xx answers")


def _read_status_line(line: bytes) -> tuple[int, bool]:
    """The status, and whether this is HTTP/1.1."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise MalformedAnswerError("a malformed status line")
    return int(match[2]), match[1] == b"1"


def _read_line(line: bytes) -> tuple[bytes, bytes]:
    match = _HEADER_LINE.fullmatch(line)
    if match is None:
        raise MalformedAnswerError("a malformed header line")
    return match[1].lower(), match[2].strip(b" \t")


def _read_options(value: bytes) -> frozenset[bytes]:
    """What a Connection header names; `keep-alive` names nothing."""
    return frozenset(option.strip() for option in value.lower().split(b",")) - {b"keep-alive"}


_known_status_lines = Memo(_read_status_line)
_known_lines = Memo(_read_line)
_known_options = Memo(_read_options)


def _check_beginning(raw: bytes) -> None:
    """Refuse early what will never be a head: another protocol, or lines that end without CR.

    :raises MalformedAnswerError: for what it is.
    """
    if not raw.startswith(_BEGINNING[: len(raw)]):
        raise MalformedAnswerError("no HTTP/1.x")
    if raw.count(b"\n") != raw.count(b"\r\n"):
        raise MalformedAnswerError("a line that ends without CR")
    if len(raw) > ANSWER_HEAD_BYTES:
        raise _head_too_long()


def _head_too_long() -> MalformedAnswerError:
    return MalformedAnswerError(f"a head of more than {ANSWER_HEAD_BYTES} bytes")
