"""What can be read of heads that were refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.request_refusals import Seen, seen_in


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (b"", Seen()),
        (b"\x16\x03\x01\x00\x05hello", Seen()),
        (b"sk-of-somebody no HTTP\r\n\r\n", Seen()),
        (b"GET", Seen()),
        (b"GET /v1/mod", Seen()),
        (b"GET /v1/models HTT", Seen(b"GET", b"/v1/models")),
        (b"GET /v1/models\r\n", Seen(b"GET", b"/v1/models")),
        (b"GET /a?key=sk-1 HTTP/1.1\r\nHost: a b\r\n\r\n", Seen(b"GET", b"/a", b"a")),
        (
            b"POST //a HTTP/1.1\r\nX: 1\r\nhOST:\t a.example:99999 \r\n\r\n",
            Seen(b"POST", b"//a", b"a.example:99999"),
        ),
        (b"POST /a HTTP/1.1\r\nX-Host: b\r\nno colon\r\n\r\n", Seen(b"POST", b"/a")),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Seen(b"PRI", b"*")),
    ],
)
def test_what_is_seen(raw: bytes, seen: Seen) -> None:
    assert seen_in(raw) == seen


@given(st.binary(max_size=200))
def test_of_whatever_bytes(raw: bytes) -> None:
    for part in seen_in(b"GET " + raw):
        assert part.decode("ascii").isprintable()
