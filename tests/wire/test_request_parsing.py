"""A client's bytes to heads and bodies, at every split, and what is refused on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.wire.limits import DownstreamLimits
from gateway.wire.request_parsing import RequestParser
from tests.fakes.heads import request_head

LIMITS = DownstreamLimits()
HOST = b"Host: api.example.com\r\n"

PLAIN = b"POST /v1/chat?x=1 HTTP/1.1\r\n" + HOST + b"X-Odd:  a b \t\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /v1/chat HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: Chunked\r\n\r\n"
    b"5;a=b\r\nhe\r\nl\r\n4\r\n\r\n\r\n\r\n2\r\n\r\n\r\n0\r\nX-Trailer: 1\r\nHost: other\r\n\r\n"
)
EMPTY = b"\r\n\r\nGET /v1/models HTTP/1.1\r\n" + HOST + b"Authorization: x\r\n\r\n"
UPGRADE = (
    b"POST /v1/chat HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 5\r\n\r\nhello"
)
UPGRADE_CHUNKED = (
    b"POST /v1/chat HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)
OLD = b"GET http://api.example.com/v1/models?a=b HTTP/1.0\r\nHost: api.example.com:80\r\n\r\n"
MESSAGES = (PLAIN, CHUNKED, EMPTY, UPGRADE, UPGRADE_CHUNKED, OLD)

Message = tuple[RequestHead, bytes, bool]


def read(parts: list[bytes], limits: DownstreamLimits = LIMITS) -> list[Message]:
    """The whole messages in these reads: head, body, keep-alive."""
    parser = RequestParser()
    messages: list[Message] = []
    head: RequestHead | None = None
    body = b""
    for part in parts:
        parser.receive(part)
        while True:
            if head is None:
                head = parser.next_head(limits)
                if head is None:
                    break
            if not parser.complete:
                body += parser.next_body()
            if parser.complete:
                messages.append((head, body, parser.keep_alive))
                head, body = None, b""
            elif not parser.held:
                break
    assert head is None, "the last message is not whole"
    return messages


def refusal(*parts: bytes, limits: DownstreamLimits = LIMITS) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read(list(parts), limits)
    return caught.value


def test_a_head_is_told_as_the_floors_above_know_it() -> None:
    ((head, body, keep_alive),) = read([PLAIN])
    assert head == request_head(
        method=b"POST",
        path=b"/v1/chat",
        query=b"x=1",
        host="api.example.com",
        headers=[(b"host", b"api.example.com"), (b"x-odd", b"a b")],
        body_length=5,
        expects_continue=False,
    )
    assert body == b"hello"
    assert keep_alive


def test_a_chunked_body_is_joined_and_its_trailers_are_never_merged() -> None:
    ((head, body, _),) = read([CHUNKED])
    assert head.body_length is None
    assert body == b"he\r\nl\r\n\r\n\r\n"
    assert head.headers == [(b"host", b"api.example.com")]


@pytest.mark.parametrize("message", MESSAGES)
def test_every_request_split_at_each_byte_means_the_same(message: bytes) -> None:
    whole = read([message])
    for at in range(1, len(message)):
        assert read([message[:at], message[at:]]) == whole
    assert read([message[at : at + 1] for at in range(len(message))]) == whole


def test_the_end_of_a_chunked_body_is_found_at_every_split() -> None:
    stream = CHUNKED + EMPTY
    whole = [read([CHUNKED])[0], read([EMPTY])[0]]
    for at in range(1, len(stream)):
        assert read([stream[:at], stream[at:]]) == whole


@given(st.lists(st.sampled_from(MESSAGES[:5]), min_size=1, max_size=4), st.data())
def test_pipelined_requests_at_any_splits_are_read_one_by_one(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read([part for part in parts if part]) == [read([message])[0] for message in messages]


def test_what_follows_a_message_stays_unread() -> None:
    parser = RequestParser()
    parser.receive(PLAIN + b"\x16 no HTTP at all")
    assert parser.next_head(LIMITS)
    assert parser.next_body() == b"hello"
    assert parser.complete
    assert parser.held == len(b"\x16 no HTTP at all")


def test_an_upgrade_offer_is_ignored_and_the_body_served() -> None:
    """Trap 3: llhttp takes what follows such a head for another protocol."""
    for message in (UPGRADE, UPGRADE_CHUNKED):
        messages = read([message + EMPTY])
        assert [(body, keep) for _, body, keep in messages] == [(b"hello", True), (b"", True)]
    ((_, body, _),) = read([b"GET /x HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"])
    assert body == b""
    ((_, _, keep_alive),) = read([UPGRADE.replace(b"Upgrade, ", b"Upgrade, close, ")])
    assert not keep_alive


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        (b"", True),
        (b"Connection: Close\r\n", False),
        (b"Connection: x\r\nConnection: close\r\n", False),
        (b"Connection: keep-alive, close\r\n", False),
        (b"Connection: closed\r\n", True),
    ],
)
def test_connection_lines_are_all_read(lines: bytes, keep_alive: bool) -> None:
    ((_, _, kept),) = read([b"GET / HTTP/1.1\r\n" + HOST + lines + b"\r\n"])
    assert kept is keep_alive


def test_http_1_0_is_served_and_closed() -> None:
    for host in (b"", HOST):
        ((head, _, kept),) = read([b"GET / HTTP/1.0\r\n" + host + b"Connection: keep-alive\r\n\r\n"])
        assert not kept
        assert head.host == ("api.example.com" if host else "")


def test_expectations() -> None:
    waits = b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-Continue\r\nContent-Length: 0\r\n\r\n"
    assert not read([waits])[0][0].expects_continue, "without a body nobody waits"
    parser = RequestParser()
    parser.receive(waits.replace(b"Length: 0", b"Length: 5"))
    head = parser.next_head(LIMITS)
    assert head is not None
    assert head.expects_continue
    old = waits.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Length: 0", b"Length: 1") + b"x"
    assert not read([old])[0][0].expects_continue
    assert refusal(waits.replace(b"100-Continue", b"200-ok")).status == 417


def head_with(*lines: bytes, method: bytes = b"POST", version: bytes = b"1.1") -> bytes:
    return b"%b / HTTP/%b\r\n%b\r\n\r\n" % (method, version, b"\r\n".join([HOST[:-2], *lines]))


CONTROLS = [bytes([code]) for code in (*range(0x09), *range(0x0A, 0x20), 0x7F)]

REFUSED = [
    # framing: whatever two readers could understand differently
    (400, head_with(b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    (400, head_with(b"Transfer-Encoding: chunked", b"Content-Length: 5")),
    (400, head_with(b"transfer-encoding: CHUNKED", b"CONTENT-LENGTH: 5")),
    (400, head_with(b"Content-Length: 5", b"Content-Length: 5")),
    (400, head_with(b"Content-Length: 5", b"Content-Length: 6")),
    *(
        (400, head_with(b"Content-Length: " + value))
        for value in (b"+5", b"-5", b"5,5", b"0x5", b"1_0", b"", b"5 5")
    ),
    *((400, head_with(b"Content-Length: " + digits)) for digits in (b"9" * 20, b"9" * 5000)),
    *(
        (501, head_with(b"Transfer-Encoding: " + coding))
        for coding in (b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked")
    ),
    *(
        (501, head_with(b"Transfer-Encoding: " + coding))
        for coding in (b",chunked", b"xchunked", b'"chunked"')
    ),
    (400, head_with(b"Transfer-Encoding:")),
    (400, head_with(b"Transfer-Encoding: \x0bchunked")),
    (501, head_with(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")),
    (501, head_with(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip")),
    (400, head_with(b"Transfer-Encoding: chunked", version=b"1.0")),
    # headers that say one thing
    (400, head_with(b"Host: api.example.com")),
    (400, head_with(b"Host: other")),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, head_with(b"Authorization: a", b"Authorization: b")),
    (400, head_with(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 1")),
    # shape
    (400, head_with(b"A: b", b" folded")),
    (400, head_with(b"A: b", b"\tfolded")),
    (400, b"GET / HTTP/1.1\r\n folded: first\r\n" + HOST + b"\r\n"),
    (400, head_with(b"Content-Length: 1", b" 2")),
    (400, head_with(b"A: b\rC: d")),
    (400, head_with(b"A: b\nC: d")),
    *((400, head_with(b"A: x" + code + b"y")) for code in CONTROLS),
    *((400, head_with(b"A" + code + b"B: y")) for code in [*CONTROLS, b"\xe9", b"[", b" ", b"\t"]),
    *((400, head_with(line)) for line in (b"A : b", b": b", b"X[]: b", b"nocolon", b"", b"A\xc3\xa9: b")[:4]),
    # the request line
    (405, b"CONNECT api.example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (405, head_with(method=b"TRACE")),
    (405, head_with(method=b"PROPFIND")),
    (400, head_with(method=b"get")),
    (400, head_with(method=b"NOSUCH")),
    (400, head_with(method=b"X" * 300)),
    (400, b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET * HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n"),
    (400, b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n"),
    *(
        (400, b"GET /a" + code + b"b HTTP/1.1\r\n" + HOST + b"\r\n")
        for code in [*CONTROLS, b"\x80", b"\xff", b"#"]
    ),
    *(
        (400, b"GET /?a" + code + b"b HTTP/1.1\r\n" + HOST + b"\r\n")
        for code in [*CONTROLS, b"\x80", b"\xff", b"#"]
    ),
    *((505, head_with(version=version)) for version in (b"2.0", b"1.2", b"9.9", b"0.9")),
    (505, b"GET /\r\n\r\n"),
    (505, b"GET / RTSP/1.0\r\n" + HOST + b"\r\n"),
    (505, b"SOURCE / ICE/1.0\r\n" + HOST + b"\r\n"),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    # other protocols
    (400, b"\x16\x03\x01\x02\x00\x01"),
    (400, b"\nGET / HTTP/1.1\r\n"),
    (400, b"\rGET / HTTP/1.1\r\n"),
    (400, b"GET / HTTP/1.1\nHost: x\n\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"\n"),
]


@pytest.mark.parametrize(("status", "message"), REFUSED)
def test_refused(status: int, message: bytes) -> None:
    error = refusal(message)
    assert error.status == status
    assert error.message.endswith(".")
    bytewise = [message[at : at + 1] for at in range(len(message))]
    assert refusal(*bytewise).status == status, "split at each byte"


@pytest.mark.parametrize("start", [b"\x16", b"\n", b"PRI * HTTP/2.0\r\n\r\n", b"GET / HTTP/1.1\n", b"\x00"])
def test_other_protocols_are_refused_at_once_and_not_after_a_deadline(start: bytes) -> None:
    parser = RequestParser()
    parser.receive(start)
    with pytest.raises(GatewayError):
        parser.next_head(LIMITS)


def test_a_refusal_knows_that_it_answers_a_head() -> None:
    parser = RequestParser()
    parser.receive(b"HEAD / HTTP/1.1\r\nA : b\r\n\r\n")
    with pytest.raises(GatewayError):
        parser.next_head(LIMITS)
    assert parser.asks_for_no_body


# limits: llhttp has none (trap 6)


def test_a_head_may_be_as_long_as_its_limit_and_no_longer() -> None:
    message = head_with(b"A: " + b"x" * 100)
    assert read([message], DownstreamLimits(head_bytes=len(message)))
    small = DownstreamLimits(head_bytes=len(message) - 1)
    assert refusal(message, limits=small).status == 431
    assert refusal(message[:50], message[50:], limits=small).status == 431
    assert refusal(PLAIN + message, limits=small).status == 431, "behind another request in the same read"
    assert refusal(PLAIN + message[:-4], limits=DownstreamLimits(head_bytes=100)).status == 431


def test_a_head_is_refused_before_it_ends() -> None:
    limits = DownstreamLimits(head_bytes=100)
    assert refusal(b"GET / HTTP/1.1\r\nA: " + b"x" * 100, limits=limits).status == 431
    assert refusal(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20, limits=limits).status == 431
    assert refusal(b"GET /" + b"x" * 100, limits=limits).status == 414
    assert refusal(b"GET /" + b"x" * 90 + b" HTTP/1.1\r\n", limits=limits).status == 414


def test_a_body_does_not_count_as_head() -> None:
    message = head_with(b"Content-Length: 5000")
    ((_, body, _),) = read([message + b"x" * 5000], DownstreamLimits(head_bytes=len(message)))
    assert body == b"x" * 5000


def test_too_many_header_lines() -> None:
    limits = DownstreamLimits(headers=3)
    assert read([head_with(b"A: 1", b"A: 2")], limits)
    assert refusal(head_with(b"A: 1", b"A: 2", b"A: 3"), limits=limits).status == 431


def test_a_body_over_the_limit_is_refused_as_soon_as_its_length_is_known() -> None:
    limits = DownstreamLimits(body_bytes=10)
    assert read([head_with(b"Content-Length: 10") + b"x" * 10], limits)
    assert refusal(head_with(b"Content-Length: 11", b"Expect: 100-continue"), limits=limits).status == 413
    assert refusal(head_with(b"Content-Length: " + b"9" * 19), limits=limits).status == 413


def test_a_chunked_body_is_refused_at_the_limit() -> None:
    limits = DownstreamLimits(body_bytes=10)
    head = head_with(b"Transfer-Encoding: chunked")
    assert read([head + b"a\r\n0123456789\r\n0\r\n\r\n"], limits)
    assert refusal(head + b"5\r\n01234\r\n6\r\n012345\r\n", limits=limits).status == 413
    assert refusal(head + b"ff\r\n01234", b"56789A", limits=limits).status == 413


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"%b\r\nhello\r\n" % size
            for size in (b"0x5", b"+5", b"5_0", b"f" * 1000, b"", b" 5", b"5 ", b"-1")
        ),
        b"5\nhello\r\n",
        b"5\rhello\r\n",
        b"5\r\nhelloX",
        b"5\r\nhello\n",
        b"5\r\nhello\rX",
        b"5;a\nb\r\nhello\r\n",
        b"5;" + b"a" * 2000 + b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\njunk\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
        b"5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 1000,
        b"5\r\nhello\r\n0\r\nA: " + b"x" * 65000,
    ],
)
def test_broken_chunks(body: bytes) -> None:
    message = head_with(b"Transfer-Encoding: chunked") + body
    assert refusal(message).status == 400
    assert refusal(*[message[at : at + 7] for at in range(0, len(message), 7)]).status == 400


def test_the_longest_chunk_extension_in_use_passes() -> None:
    signature = b";chunk-signature=" + b"0" * 64
    body = b"".join(b"1%b\r\nx\r\n" % signature for _ in range(100)) + b"0%b\r\n\r\n" % signature
    ((_, got, _),) = read([head_with(b"Transfer-Encoding: chunked") + body])
    assert got == b"x" * 100


def test_header_names_with_an_underscore_and_values_of_eight_bits_pass() -> None:
    ((head, _, _),) = read([head_with(b"X_Api_Key: k", b"Name: D\xc3\xbcsseldorf", b"Empty:")])
    assert head.headers[1:] == [(b"x_api_key", b"k"), (b"name", b"D\xc3\xbcsseldorf"), (b"empty", b"")]


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_raise_anything_but_a_refusal(noise: bytes, at: int) -> None:
    for message in MESSAGES:
        mutated = message[:at] + noise + message[at:]
        parser = RequestParser()
        parser.receive(mutated)
        try:
            while parser.held:
                if parser.next_head(LIMITS) is None:
                    break
                while parser.held and not parser.complete:
                    parser.next_body()
        except GatewayError:
            pass
