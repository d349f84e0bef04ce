"""What is said of requests that cannot be taken: they are no HTTP, or too long."""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.errors import GatewayError

_LINE = re.compile(rb"([A-Z]{1,32}) ([!-~]+)(?= |\r\n)")
_HOST = re.compile(rb"\r\nhost:[ \t]*([!-~]*)", re.IGNORECASE)
_OTHER_VERSION = re.compile(rb"[A-Z]+ [^ \r\n]+(?: [A-Z]+/[0-9]|\r\n)")


class Seen(NamedTuple):
    """What can be read of a head that was refused, each empty where it cannot."""

    method: bytes = b""
    path: bytes = b""
    """What was asked for, without its query."""
    host: bytes = b""
    """As the client has written it."""


def seen_in(raw: bytes) -> Seen:
    """Read what there is of a head; nothing of it was judged."""
    line = _LINE.match(raw)
    if line is None:
        return Seen()
    host = _HOST.search(raw)
    return Seen(line[1], line[2].partition(b"?")[0], host[1] if host is not None else b"")


def malformed(sentence: str) -> GatewayError:
    """Something is not a valid request."""
    return GatewayError("malformed_request", sentence)


def unreadable_head(raw: bytes, reason: str) -> GatewayError:
    """A head that llhttp gave up on.

    :param reason: why, as llhttp says it.
    """
    if raw.startswith(b"\x16"):
        return malformed("This port speaks plain HTTP, and the client began a TLS handshake.")
    if raw.startswith(b"PRI * "):
        return GatewayError("unsupported_version", "HTTP/2 is not spoken here; use HTTP/1.1.")
    if reason.startswith("Invalid HTTP version"):
        return malformed_request_line(raw)
    if "Transfer-Encoding` header value" in reason or "invalid `Transfer-Encoding`" in reason:
        return unknown_coding()
    return malformed(f"The request is not valid HTTP/1.1: {reason}.")


def malformed_request_line(raw: bytes) -> GatewayError:
    """A head that begins with no line as we speak it."""
    if _OTHER_VERSION.match(raw):
        return GatewayError("unsupported_version", "The HTTP versions that are served are 1.0 and 1.1.")
    return malformed("The request line is not a method, one space, a target, one space and a version.")


def head_too_long(raw: bytes, limit: int) -> GatewayError:
    """A head of more bytes than the limit."""
    if b"\r\n" not in raw[: limit + 2]:
        return GatewayError("target_too_long", f"The request line is longer than {limit} bytes.")
    return GatewayError("headers_too_large", f"Request line and headers are longer than {limit} bytes.")


def unknown_coding() -> GatewayError:
    """A transfer coding that nobody here can undo (RFC 9112 §6.1)."""
    return GatewayError("unknown_transfer_coding", "The only transfer coding that is understood is chunked.")


def body_too_large(limit: int) -> GatewayError:
    """A body, as soon as its size is known."""
    return GatewayError("body_too_large", f"The body is larger than {limit} bytes.")
