"""Which requests are served and which are refused, once llhttp has taken the head apart.

llhttp refuses by itself what is not HTTP: control characters, folded lines, bare CR and LF, a length beside
chunks.  Here is what it lets through and a gateway must not: whatever two readers of the same bytes could
understand differently (RFC 9112 §11.2), and paths that are not what they look like.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

from gateway.errors import GatewayError
from gateway.messages import Headers, RequestHead, combined_values
from gateway.wire.limits import DownstreamLimits
from gateway.wire.request_refusals import body_too_large, malformed, unknown_coding

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
"""What is served; everything else is 405."""

_ONCE = frozenset({b"host", b"authorization", b"content-length", b"transfer-encoding", b"expect"})
"""Headers that say one thing: of two lines one reader takes the first and another the last."""

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""What these say is the body's length, which may change while the rest of the head stays as it is."""

_CACHED_LENGTH = 512
"""Longer ones are judged each time, so that nobody can fill the cache with megabytes."""

_LONGEST_AUTHORITY = 263
"""A DNS name of 255 (RFC 1035 §2.3.4), a dot, a colon and a port."""

_ABSOLUTE = re.compile(rb"(https?)://([^/?]*)([^?]*)", re.IGNORECASE)
_AUTHORITY = re.compile(rb"((?:[a-z0-9_-]+\.)*[a-z0-9_-]+\.?|\[[0-9a-f:.]+\])(?::([0-9]{0,5}))?")
_HIDDEN = re.compile(rb"%(?:2f|5c|00)|%(?![0-9a-f]{2})|\\")
"""Slashes, backslashes and NULs in disguise, and what is no escape at all."""


def judge(
    method: bytes, target: bytes, headers: Headers, limits: DownstreamLimits, *, old: bool
) -> RequestHead:
    """Make the head of a request that will be served.

    :param target: as it stands in the request line.
    :param old: the request is HTTP/1.0.
    :raises GatewayError: for one that will not.
    """
    if method not in METHODS:
        raise _method_refused(method)
    if len(headers) > limits.headers:
        raise GatewayError("headers_too_large", f"The request has more than {limits.headers} header lines.")
    lines = combined_values(headers)
    if len(lines) != len(headers):
        _refuse_doubles(headers)
    if b"#" in target or not target.isascii():
        raise malformed("The request target holds a character that no target may have.")
    before, _, query = target.partition(b"?")
    host_line = lines.get(b"host")
    if len(before) + len(host_line or b"") <= _CACHED_LENGTH:
        host, path = _judge_place_cached(before, host_line, old)
    else:
        host, path = _judge_place(before, host_line, old)
    body_length = _judge_framing(lines, limits, old)
    waits = b"expect" in lines and _must_wait(lines[b"expect"], body_length, old)
    if not _FRAMING.isdisjoint(lines):
        headers = [header for header in headers if header[0] not in _FRAMING]
        for name in _FRAMING:
            lines.pop(name, None)
    return RequestHead(method, path, query, host, headers, lines, body_length, waits)


def _method_refused(method: bytes) -> GatewayError:
    if method == b"CONNECT":
        return GatewayError(
            "method_not_allowed",
            "CONNECT is not served: what is already encrypted cannot be routed. Send plain HTTP to the gateway,"
            " which encrypts towards the provider.",
        )
    return GatewayError("method_not_allowed", f"{method.decode('latin-1')} is not served.")


def _refuse_doubles(headers: Headers) -> None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in _ONCE and name in seen:
            raise malformed(f"There is more than one {name.decode('ascii').title()} header.")
        seen.add(name)


def _judge_place(target: bytes, host_line: bytes | None, old: bool) -> tuple[str, bytes]:
    """Host and path of a request whose target is this, its query cut off (RFC 9112 §3.2)."""
    if host_line is not None:
        host, port = _host_and_port(host_line)
    elif old:
        host, port = "", None
    else:
        raise malformed("The Host header is missing.")
    path = target
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise malformed("The request target is neither a path nor an http or https URL.")
        scheme, authority, path = absolute.groups()
        path = path or b"/"
        # RFC 9112 §3.2.2 lets the authority win; one that contradicts Host is somebody's attempt.
        asked, asked_port = _host_and_port(authority)
        standard = 443 if scheme.lower() == b"https" else 80
        if host_line is not None and (host, port or standard) != (asked, asked_port or standard):
            raise malformed("The request target and the Host header name different hosts.")
        host = asked
    fault = path_fault(path)
    if fault:
        raise malformed(fault)
    return host, path


_judge_place_cached = lru_cache(maxsize=1024)(_judge_place)


def _host_and_port(authority: bytes) -> tuple[str, int | None]:
    known = host_and_port(authority)
    if known is None:
        raise malformed("The Host is not a valid host name with an optional port.")
    return known


def host_and_port(authority: bytes) -> tuple[str, int | None] | None:
    """Host, in lower case without brackets or trailing dot, and port (RFC 3986 §3.2.2); None for what is neither."""
    match = _AUTHORITY.fullmatch(authority.lower())
    if match is None or len(authority) > _LONGEST_AUTHORITY:
        return None
    host = match[1].decode("ascii")
    if host.startswith("["):
        try:
            host = IPv6Address(host[1:-1]).compressed
        except AddressValueError:
            return None
    port = int(match[2]) if match[2] else None
    if port is not None and not 1 <= port <= 65535:
        return None
    return host.removesuffix("."), port


def path_fault(path: bytes) -> str | None:
    """Why this path is refused: it could be read as another one than it shows."""
    lower = path.lower()
    if b"//" in lower:
        return "The path holds an empty segment."
    if _HIDDEN.search(lower):
        return "The path holds an encoded slash, backslash or NUL, or a broken escape."
    segments: Sequence[bytes] = lower.replace(b"%2e", b".").split(b"/")
    if b"." in segments or b".." in segments:
        return "The path holds a dot segment."
    return None


def _must_wait(expect: bytes, body_length: int | None, old: bool) -> bool:
    if expect.lower() != b"100-continue":
        raise GatewayError("expectation_failed", "The only expectation that can be met is 100-continue.")
    # A 1.0 client's expectation must be ignored, and who sends no body need not wait (RFC 9110 §10.1.1).
    return not old and body_length != 0


def _judge_framing(lines: dict[bytes, bytes], limits: DownstreamLimits, old: bool) -> int | None:
    """The length of the body: 0 for none, None for chunks (RFC 9112 §6.3)."""
    coding = lines.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise unknown_coding()
        if old:
            raise malformed("HTTP/1.0 has no Transfer-Encoding.")
        return None
    text = lines.get(b"content-length")
    if text is None:
        return 0
    if not text.isdigit():
        raise malformed("The Content-Length is not a number.")
    length = int(text)
    if length > limits.body_bytes:
        raise body_too_large(limits.body_bytes)
    return length
