from __future__ import annotations

from gateway.wire.chunks import ChunkedBodies
from gateway.wire.limits import ANSWER_HEAD_BYTES

BODY = b"5\r\nhello\r\n1;name=value\r\n!\r\n0\r\nX-Trailer: t\r\n\r\n"


def a_body() -> ChunkedBodies:
    chunks = ChunkedBodies()
    chunks.begin()
    return chunks


def test_chunks_are_joined_however_they_are_split() -> None:
    for at in range(len(BODY) + 1):
        chunks = a_body()
        assert chunks.feed(BODY[:at]) + chunks.feed(BODY[at:]) == b"hello!"
        assert (chunks.ended, chunks.surplus, chunks.fault) == (True, False, None)


def test_what_stands_before_a_fault_is_given() -> None:
    chunks = a_body()
    assert chunks.feed(b"2\r\nhi\r\nno chunk") == b"hi"
    assert (chunks.ended, chunks.fault is None) == (False, False)


def test_what_stands_behind_is_surplus_and_no_body() -> None:
    for behind in (b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"):
        chunks = a_body()
        assert chunks.feed(BODY + behind) == b"hello!"
        assert (chunks.ended, chunks.surplus, chunks.fault) == (True, True, None)


def test_one_body_follows_the_other() -> None:
    chunks = a_body()
    for _ in range(3):
        assert chunks.feed(BODY) == b"hello!"
        assert (chunks.ended, chunks.surplus, chunks.fault) == (True, False, None)
        chunks.begin()
        assert not chunks.ended
    assert chunks.feed(b"no chunk") == b""
    assert chunks.fault is not None


def test_extensions_and_trailers_have_an_end_in_each_body() -> None:
    chunks = a_body()
    trailers = b"0\r\n" + b"T: t\r\n" * (ANSWER_HEAD_BYTES // 12)
    for _ in range(3):
        chunks.feed(trailers)
        assert chunks.feed(b"\r\n") == b""
        assert (chunks.ended, chunks.fault) == (True, None)
        chunks.begin()
