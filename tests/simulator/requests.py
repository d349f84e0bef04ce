"""Requests as the wire would hand them over."""

from __future__ import annotations

import msgspec

from gateway.messages import RequestHead
from tests.fakes.heads import request_head

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello there"}]


def head(path: str, body: bytes = b"", *, method: str = "POST", **headers: str) -> RequestHead:
    """A request's head; header names are written with `_` for `-`."""
    return request_head(
        method=method.encode(),
        path=path.encode(),
        query=b"",
        host="simulator",
        headers=[(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        body_length=len(body),
        expects_continue=False,
    )


def json(**fields: object) -> bytes:
    return msgspec.json.encode(fields)
