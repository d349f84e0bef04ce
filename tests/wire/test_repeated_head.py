"""A head that repeats the last one says exactly what a fresh parser would have found in it."""

from __future__ import annotations

import pytest

from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.wire.limits import DownstreamLimits
from gateway.wire.repeated_head import repeatable
from gateway.wire.request_parsing import RequestParser

LIMITS = DownstreamLimits()


def post(body: bytes, *lines: bytes, length: bytes | None = None) -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    size = b"%d" % len(body) if length is None else length
    return b"POST /v1/x?y=z HTTP/1.1\r\nHost: a.b\r\nContent-LENGTH:  %b\r\nX-A: 1\r\n%b\r\n%b" % (
        size,
        head,
        body,
    )


GET = b"GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"


def answered(
    parser: RequestParser, *pieces: bytes, limits: DownstreamLimits = LIMITS
) -> tuple[RequestHead | None, bytes, bool, bool, bool, int]:
    """What the parser makes of one request, which must be whole."""
    head, body = None, b""
    for piece in pieces:
        parser.receive(piece)
        head = head or parser.next_head(limits)
        if head is not None:
            body += parser.next_body()
    return head, body, parser.complete, parser.keep_alive, parser.asks_for_no_body, parser.held


@pytest.mark.parametrize("second", [b"hello", b"", b"longer than the first", b"x" * 100_000])
def test_another_length_is_the_only_difference(second: bytes) -> None:
    parser = RequestParser()
    for body in (b"first", second, b"first", second):
        assert answered(parser, post(body)) == answered(RequestParser(), post(body))


def test_a_repeated_head_in_any_two_pieces() -> None:
    parser = RequestParser()
    request = post(b"hello")
    expected = answered(parser, request)
    for at in range(1, len(request)):
        assert answered(parser, request[:at], request[at:]) == expected


def test_what_stands_behind_it_stays() -> None:
    parser = RequestParser()
    answered(parser, post(b"hello"))
    assert answered(parser, post(b"again") + GET)[1:] == (b"again", True, True, False, len(GET))
    assert answered(parser) == (None, b"", True, True, False, len(GET))
    head = parser.next_head(LIMITS)
    assert head is not None
    assert head.method == b"GET"


@pytest.mark.parametrize(
    "other",
    [
        GET,
        b"HEAD / HTTP/1.1\r\nHost: a.b\r\n\r\n",
        post(b"x", b"X-B: 1"),
        post(b"x", b"Connection: close"),
        post(b"x", b"Expect: 100-continue"),
        post(b"x", b"Upgrade: h2c", b"Connection: Upgrade"),
        post(b"hello").replace(b"X-A: 1", b"X-A: 2"),
        b"POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
def test_other_heads_in_between(other: bytes) -> None:
    parser = RequestParser()
    for request in (post(b"one"), post(b"two!"), other, other, post(b"three"), post(b"four")):
        assert answered(parser, request) == answered(RequestParser(), request)
        if not parser.keep_alive:
            break


@pytest.mark.parametrize(
    "length", [b"+5", b"-5", b"5, 5", b"0x5", b"", b"5 5", b"9" * 30, b"5\r\nContent-Length: 5", b"5\rX: 1"]
)
def test_what_is_no_length_is_refused_as_ever(length: bytes) -> None:
    parser = RequestParser()
    answered(parser, post(b"hello"))
    parser.receive(post(b"hello", length=length))
    with pytest.raises(GatewayError) as refused:
        parser.next_head(LIMITS)
    assert refused.value.code == "malformed_request"


def test_another_limit_is_heeded() -> None:
    parser = RequestParser()
    answered(parser, post(b"hello"))
    parser.receive(post(b"hello"))
    with pytest.raises(GatewayError, match="larger than 4"):
        parser.next_head(DownstreamLimits(body_bytes=4))


def test_a_body_that_is_too_large_is_refused() -> None:
    parser = RequestParser()
    answered(parser, post(b"hello"))
    parser.receive(post(b"", length=b"%d" % (LIMITS.body_bytes + 1)))
    with pytest.raises(GatewayError) as refused:
        parser.next_head(LIMITS)
    assert refused.value.code == "body_too_large"


@pytest.mark.parametrize(
    "request_",
    [GET, post(b"", b"Expect: 100-continue", length=b"5"), post(b"", b"X-Long: " + b"x" * 4096)],
    ids=["no body", "an expectation", "long"],
)
def test_what_is_not_remembered(request_: bytes) -> None:
    head = answered(RequestParser(), request_)[0]
    assert head is not None
    assert repeatable(request_, head, LIMITS) is None


def test_a_head_near_the_limit_is_not_remembered() -> None:
    request = post(b"")
    head = answered(RequestParser(), request)[0]
    assert head is not None
    assert repeatable(request, head, LIMITS) is not None
    assert repeatable(request, head, DownstreamLimits(head_bytes=len(request))) is None
