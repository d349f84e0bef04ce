from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import ResponseHead
from gateway.wire.answer_parsing import AnswerParser
from gateway.wire.limits import ANSWER_HEAD_BYTES, ANSWER_HEADERS, INFORMATIONAL_ANSWERS

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Empty:\r\nX-Blanks: \t a b \t \r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"5\r\nhello\r\n1;name=value\r\n!\r\n0\r\nX-Trailer: t\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nServer: old\r\n\r\nhello\r\n\r\nthere"
VERSION_1_0 = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi"
INFORMED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi"
)
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OFFERS_HTTP2 = b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nhi"

VALID = [LENGTH, CHUNKED, UNTIL_CLOSE, VERSION_1_0, INFORMED, NO_CONTENT, NOT_MODIFIED, EMPTY, OFFERS_HTTP2]


class Reader(AnswerParser):
    """A parser that keeps the body."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b""

    def feed(self, data: bytes) -> bytes:
        piece = super().feed(data)
        self.body += piece
        return piece


def read(*pieces: bytes, no_body: bool = False) -> Reader:
    parser = Reader()
    parser.expect(no_body=no_body)
    for piece in pieces:
        parser.feed(piece)
    return parser


def found(parser: Reader) -> tuple[object, ...]:
    """Everything that a receiver could notice."""
    return (
        parser.head,
        parser.body,
        parser.ended,
        parser.fault is None,
        parser.keep_alive,
        parser.surplus,
        parser.ends_with_close(cleanly=True),
    )


def with_headers(*lines: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def test_a_body_of_known_length() -> None:
    parser = read(LENGTH)
    assert parser.head == ResponseHead(
        200, [(b"content-type", b"a/b"), (b"x-empty", b""), (b"x-blanks", b"a b")], 5
    )
    assert (parser.body, parser.ended, parser.keep_alive, parser.surplus) == (
        b"hello",
        True,
        True,
        False,
    )


def test_a_chunked_body_without_its_framing_extensions_and_trailers() -> None:
    parser = read(CHUNKED)
    assert parser.head == ResponseHead(404, [], None)
    assert (parser.body, parser.ended, parser.keep_alive) == (b"hello!", True, True)


def test_a_body_until_close_ends_only_with_a_clean_close() -> None:
    parser = read(UNTIL_CLOSE)
    assert parser.head == ResponseHead(200, [(b"server", b"old")], None)
    assert (parser.body, parser.ended, parser.keep_alive) == (b"hello\r\n\r\nthere", False, False)
    assert parser.ends_with_close(cleanly=True)
    assert not parser.ends_with_close(cleanly=False)


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED], ids=["length", "chunked"])
def test_a_body_with_framing_never_ends_with_a_close(answer: bytes) -> None:
    for cut in range(len(answer)):
        assert not read(answer[:cut]).ends_with_close(cleanly=True)


def test_http_1_0_is_read_and_never_kept_alive() -> None:
    parser = read(VERSION_1_0)
    assert (parser.head, parser.ended, parser.keep_alive) == (ResponseHead(200, [], 2), True, False)


@pytest.mark.parametrize("answer", [NO_CONTENT, NOT_MODIFIED, EMPTY], ids=["204", "304", "empty"])
def test_answers_without_a_body(answer: bytes) -> None:
    parser = read(answer)
    assert parser.head is not None
    assert (parser.head.body_length, parser.ended, parser.keep_alive, parser.surplus) == (
        0,
        True,
        True,
        False,
    )


@pytest.mark.parametrize(
    "answer",
    [
        with_headers(b"Content-Length: 500"),
        with_headers(b"Transfer-Encoding: chunked"),
        with_headers(b"Server: x"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + with_headers(b"Content-Length: 500"),
    ],
)
def test_an_answer_to_head_ends_with_its_head(answer: bytes) -> None:
    parser = read(answer, no_body=True)
    assert parser.head is not None
    assert (parser.head.body_length, parser.ended, parser.keep_alive, parser.surplus) == (
        0,
        True,
        True,
        False,
    )
    parser.expect(no_body=False)
    parser.feed(LENGTH)
    assert (parser.body, parser.ended, parser.fault) == (b"hello", True, None)


def test_one_parser_reads_answer_after_answer() -> None:
    parser = Reader()
    for answer in (LENGTH, CHUNKED, NO_CONTENT, NOT_MODIFIED, INFORMED, EMPTY, LENGTH):
        parser.expect(no_body=False)
        parser.body = b""
        parser.feed(answer)
        assert found(parser) == found(read(answer))


def test_a_trailer_of_one_answer_is_no_header_of_the_next() -> None:
    parser = read(CHUNKED)
    parser.expect(no_body=False)
    parser.feed(EMPTY)
    assert parser.head == ResponseHead(200, [], 0)


def test_informational_answers_are_passed_over() -> None:
    parser = read(INFORMED)
    assert (parser.head, parser.body, parser.ended) == (ResponseHead(200, [], 2), b"hi", True)


def test_informational_answers_have_a_cap() -> None:
    processing = b"HTTP/1.1 102 Processing\r\n\r\n"
    assert read(processing * INFORMATIONAL_ANSWERS + EMPTY).ended
    assert read(processing * (INFORMATIONAL_ANSWERS + 1) + EMPTY).fault is not None


def test_an_offer_of_http_2_does_not_take_the_body_away() -> None:
    parser = read(OFFERS_HTTP2)
    assert (parser.head, parser.body, parser.ended) == (ResponseHead(200, [], 2), b"hi", True)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Connection: close"],
        [b"Connection: Close"],
        [b"connection: x-mine, cLose"],
        [b"Connection: x-mine", b"Connection: CLOSE"],
        [b"Connection: close,keep-alive"],
    ],
)
def test_connection_close_is_heard_in_any_case_list_and_line(lines: list[bytes]) -> None:
    parser = read(with_headers(b"Content-Length: 0", *lines))
    assert (parser.ended, parser.keep_alive) == (True, False)


def test_hop_by_hop_headers_and_what_connection_names_are_removed() -> None:
    hop_by_hop = [
        b"Connection: keep-alive, X-Mine",
        b"Connection: X-Other ,",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authenticate: Basic",
        b"Proxy-Authorization: Basic x",
        b"TE: trailers",
        b"Trailer: X-Trailer",
        b"Upgrade: h2c",
        b"x-mine: 1",
        b"X-OTHER: 2",
    ]
    head = read(
        with_headers(b"Server: x", *hop_by_hop, b"Content-Length: 0", b"Set-Cookie: a", b"Set-Cookie: b")
    ).head
    assert head == ResponseHead(200, [(b"server", b"x"), (b"set-cookie", b"a"), (b"set-cookie", b"b")], 0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(with_headers(b"Content-Length: 2", b"Transfer-Encoding: chunked"), id="CL and TE"),
        pytest.param(with_headers(b"Transfer-Encoding: chunked", b"Content-Length: 2"), id="TE and CL"),
        pytest.param(with_headers(b"Content-Length: 2", b"Content-Length: 2"), id="two equal CLs"),
        pytest.param(with_headers(b"Content-Length: 2", b"Content-Length: 3"), id="two CLs"),
        pytest.param(with_headers(b"Content-Length: 2, 2"), id="CL as a list"),
        pytest.param(with_headers(b"Content-Length: +2"), id="CL with a sign"),
        pytest.param(with_headers(b"Content-Length: -1"), id="negative CL"),
        pytest.param(with_headers(b"Content-Length: 0x2"), id="CL in hexadecimal"),
        pytest.param(with_headers(b"Content-Length: 1_0"), id="CL with an underscore"),
        pytest.param(with_headers(b"Content-Length:"), id="empty CL"),
        pytest.param(with_headers(b"Content-Length: " + b"9" * 5000), id="endless CL"),
        pytest.param(with_headers(b"Transfer-Encoding: gzip"), id="gzip until close"),
        pytest.param(with_headers(b"Transfer-Encoding: gzip, chunked"), id="gzip in chunks"),
        pytest.param(
            with_headers(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"), id="chunked, then gzip"
        ),
        pytest.param(
            with_headers(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), id="chunked twice"
        ),
        pytest.param(with_headers(b"Transfer-Encoding: identity"), id="identity"),
        pytest.param(with_headers(b"Transfer-Encoding: xchunked"), id="xchunked"),
        pytest.param(with_headers(b"Transfer-Encoding:"), id="empty TE"),
        pytest.param(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", id="chunked in HTTP/1.0"),
        pytest.param(b"HTTP/1.1 099 Low\r\n\r\n", id="099"),
        pytest.param(b"HTTP/1.1 600 High\r\n\r\n", id="600"),
        pytest.param(b"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n", id="600, whole"),
        pytest.param(b"HTTP/1.1 999 High\r\n\r\n", id="999"),
        pytest.param(b"HTTP/1.1 000 Zero\r\n\r\n", id="000"),
        pytest.param(b"HTTP/1.1 0200 OK\r\n\r\n", id="0200"),
        pytest.param(b"HTTP/1.1 2_0 OK\r\n\r\n", id="2_0"),
        pytest.param(b"HTTP/1.1 +20 OK\r\n\r\n", id="+20"),
        pytest.param(b"HTTP/1.1 -20 OK\r\n\r\n", id="-20"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="abc"),
        pytest.param(b"HTTP/1.1  200 OK\r\n\r\n", id="two blanks"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="101"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n", id="100 with CL"),
        pytest.param(b"HTTP/1.1 104 X\r\nTransfer-Encoding: chunked\r\n\r\n", id="104 with TE"),
        pytest.param(b"HTTP/2.0 200 OK\r\n\r\n", id="HTTP/2.0"),
        pytest.param(b"HTTP/1.2 200 OK\r\n\r\n", id="HTTP/1.2"),
        pytest.param(b"HTTP/0.9 200 OK\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"RTSP/1.0 200 OK\r\n\r\n", id="RTSP"),
        pytest.param(b"ICE/1.0 200 OK\r\n\r\n", id="ICE"),
        pytest.param(b"SPDY/3.7 200 OK\r\n\r\n", id="SPDY"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nRTSP/1.0 200 OK\r\n\r\n", id="RTSP behind a 100"),
        pytest.param(b"\r\nHTTP/1.1 200 OK\r\n\r\n", id="an empty line first"),
        pytest.param(b"220 mail.example.com ESMTP\r\n", id="SMTP"),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n", id="SSH"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x28", id="a TLS alert"),
        pytest.param(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", id="HTTP/2 settings"),
        pytest.param(b"HTTP/1.1 200 OK\nServer: x\n\n", id="bare LF"),
        pytest.param(b"HTTP/1.1 200 OK\r\nServer: x\n\r\n", id="bare LF in a header"),
        pytest.param(b"HTTP/1.1 200 O\rK\r\n\r\n", id="bare CR in the phrase"),
        pytest.param(b"HTTP/1.1 200 O\x01K\r\n\r\n", id="a control character in the phrase"),
        pytest.param(b"HTTP/1.1 200 O\x00K\r\n\r\n", id="NUL in the phrase"),
        pytest.param(with_headers(b"X: a\rb"), id="bare CR in a value"),
        pytest.param(with_headers(b"X: a\x00b"), id="NUL in a value"),
        pytest.param(with_headers(b"X: a\x0bb"), id="a control character in a value"),
        pytest.param(with_headers(b"X: a\x7fb"), id="DEL in a value"),
        pytest.param(with_headers(b"X: a", b" b"), id="obs-fold"),
        pytest.param(with_headers(b" X: a"), id="obs-fold of the status line"),
        pytest.param(with_headers(b"X : a"), id="a blank before the colon"),
        pytest.param(with_headers(b"X\xe9: a"), id="8-bit name"),
        pytest.param(with_headers(b": a"), id="no name"),
        pytest.param(with_headers(b"X"), id="no colon"),
        pytest.param(with_headers(b"X: " + b"x" * ANSWER_HEAD_BYTES), id="a long header"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * ANSWER_HEAD_BYTES + b"\r\n\r\n", id="a long phrase"),
        pytest.param(with_headers(*[b"X: x"] * (ANSWER_HEADERS + 1)), id="too many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * ANSWER_HEAD_BYTES, id="an endless header"),
    ],
)
def test_what_is_no_valid_head_is_refused_however_it_is_split(answer: bytes) -> None:
    whole = read(answer)
    assert whole.fault is not None
    assert (whole.head, whole.ended) == (None, False)
    step = max(1, len(answer) // 500)
    for cut in range(1, len(answer), step):
        parser = read(answer[:cut], answer[cut:])
        assert parser.fault is not None, cut
        assert parser.head is None


def test_as_many_headers_and_bytes_as_are_allowed() -> None:
    assert read(with_headers(*[b"X: x"] * ANSWER_HEADERS)).fault is None
    fits = ANSWER_HEAD_BYTES - len(with_headers(b"X: "))
    assert read(with_headers(b"X: " + b"x" * fits)).fault is None
    assert read(with_headers(b"X: " + b"x" * (fits + 1))).fault is not None


def test_a_large_body_in_the_same_read_is_no_large_head() -> None:
    body = b"x" * 2 * ANSWER_HEAD_BYTES
    assert read(with_headers(b"Content-Length: %d" % len(body)) + body).body == body


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x2\r\nhi\r\n",
        b"+2\r\nhi\r\n",
        b"2\nhi\r\n",
        b"2\r\nhiX",
        b"2\r\nhi\n",
        b"\r\n",
        b"f" * 1000 + b"\r\n",
        b"2_0\r\n",
    ],
)
def test_malformed_chunks_are_a_fault_behind_a_valid_head(chunks: bytes) -> None:
    head = with_headers(b"Transfer-Encoding: chunked")
    for parser in (read(head + chunks), read(head, chunks)):
        assert parser.head is not None
        assert parser.fault is not None
        assert not parser.ended
        assert not parser.ends_with_close(cleanly=True)


@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"2;name="], ids=["trailer", "chunk extension"])
def test_endless_trailers_and_chunk_extensions_are_a_fault(endless: bytes) -> None:
    parser = read(with_headers(b"Transfer-Encoding: chunked"), endless)
    for _ in range(ANSWER_HEAD_BYTES // 1024 + 1):
        parser.feed(b"x" * 1024)
    assert parser.fault is not None


def test_many_small_chunks_are_no_fault() -> None:
    parser = read(with_headers(b"Transfer-Encoding: chunked"))
    for _ in range(ANSWER_HEAD_BYTES // 4):
        for piece in (b"1", b"\r", b"\n", b"x", b"\r\n"):
            parser.feed(piece)
    parser.feed(b"0\r\n\r\n")
    assert (parser.fault, parser.ended) == (None, True)


@pytest.mark.parametrize("surplus", [b"x", b"HTTP/1.1 200 OK\r\n", EMPTY, LENGTH, CHUNKED])
@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, NO_CONTENT, NOT_MODIFIED, VERSION_1_0, EMPTY])
def test_bytes_behind_an_answer_are_noticed_and_harm_nothing(answer: bytes, surplus: bytes) -> None:
    expected = read(answer)
    for parser in (read(answer + surplus), read(answer, surplus)):
        assert parser.surplus
        assert parser.fault is None
        assert (parser.head, parser.body, parser.ended) == (expected.head, expected.body, True)


def test_a_body_behind_an_answer_to_head_is_surplus() -> None:
    parser = read(LENGTH, no_body=True)
    assert (parser.ended, parser.surplus, parser.body) == (True, True, b"")


@pytest.mark.parametrize("answer", VALID)
def test_every_split_in_three_finds_the_same(answer: bytes) -> None:
    expected = found(read(answer))
    for first in range(1, len(answer)):
        for second in range(first, len(answer)):
            assert found(read(answer[:first], answer[first:second], answer[second:])) == expected


@pytest.mark.parametrize("answer", VALID)
def test_byte_by_byte_finds_the_same(answer: bytes) -> None:
    assert found(read(*(answer[at : at + 1] for at in range(len(answer))))) == found(read(answer))


@given(st.binary(max_size=80), st.sampled_from(VALID), st.data())
def test_no_bytes_raise_anything(noise: bytes, answer: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(answer)))
    parser = read(answer[:at] + noise + answer[at:])
    assert parser.head is None or 200 <= parser.head.status <= 599
