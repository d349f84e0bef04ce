"""Request heads as the wire makes them."""

from __future__ import annotations

from gateway.messages import Headers, RequestHead, combined_values


def request_head(
    method: bytes,
    path: bytes,
    query: bytes,
    host: str,
    headers: Headers,
    body_length: int | None,
    expects_continue: bool,
) -> RequestHead:
    """A head whose `values` are those of its headers."""
    return RequestHead(
        method, path, query, host, headers, combined_values(headers), body_length, expects_continue
    )
