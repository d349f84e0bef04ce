from __future__ import annotations

from gateway.wire.chunks import ChunkedBody

BODY = b"5\r\nhello\r\n1;name=value\r\n!\r\n0\r\nX-Trailer: t\r\n\r\n"


def test_chunks_are_joined_however_they_are_split() -> None:
    for at in range(len(BODY) + 1):
        chunks = ChunkedBody()
        assert chunks.feed(BODY[:at]) + chunks.feed(BODY[at:]) == b"hello!"
        assert (chunks.ended, chunks.surplus, chunks.fault) == (True, False, None)


def test_what_stands_before_a_fault_is_given() -> None:
    chunks = ChunkedBody()
    assert chunks.feed(b"2\r\nhi\r\nno chunk") == b"hi"
    assert (chunks.ended, chunks.fault is None) == (False, False)


def test_what_stands_behind_is_surplus_and_no_body() -> None:
    for behind in (b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"):
        chunks = ChunkedBody()
        assert chunks.feed(BODY + behind) == b"hello!"
        assert (chunks.ended, chunks.surplus, chunks.fault) == (True, True, None)
