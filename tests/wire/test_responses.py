"""The bytes of an answer's head."""

from __future__ import annotations

import pytest

from gateway.wire.responses import CLOSE, DateLine, head, length_line


def test_a_head() -> None:
    got = head(200, [(b"content-type", b"text/plain"), (b"x-a", b"1")], b"date: d\r\n", length_line(5), CLOSE)
    assert got == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-a: 1\r\n"
        b"date: d\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"
    )
    assert head(204, [], b"", b"", b"") == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_a_status_without_a_standard_phrase_has_none() -> None:
    assert head(299, [], b"", b"", b"").startswith(b"HTTP/1.1 299 \r\n")
    assert head(529, [], b"", b"", b"").startswith(b"HTTP/1.1 529 \r\n")


@pytest.mark.parametrize("status", [0, -5, 99, 100, 101, 103, 199, 600, 99999])
def test_what_is_no_final_status_is_never_written(status: int) -> None:
    with pytest.raises(ValueError, match="final"):
        head(status, [], b"", b"", b"")


@pytest.mark.parametrize("evil", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"a\0b", b"a\r\n"])
def test_a_header_that_would_end_the_head_early_is_dropped(evil: bytes) -> None:
    kept = (b"x-kept", b"1")
    for headers in (
        [(b"x-evil", evil)],
        [kept, (b"x-evil", evil)],
        [(b"x-evil", evil), kept],
        [(evil, b"x"), kept],
    ):
        got = head(200, headers, b"", b"", b"")
        assert got == head(200, [kept] if kept in headers else [], b"", b"", b"")


def test_framing_is_the_wires_own() -> None:
    theirs = [
        (name, b"x")
        for name in (b"content-length", b"transfer-encoding", b"connection", b"date", b"keep-alive")
    ]
    assert head(200, theirs, b"", b"", b"") == b"HTTP/1.1 200 OK\r\n\r\n"


def test_the_date_is_made_once_a_second() -> None:
    now = 784111777.9
    line = DateLine(lambda: now)
    first = line.now()
    assert first == b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert line.now() is first
    now += 0.2
    assert line.now() == b"date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
