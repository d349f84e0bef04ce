"""What the head of a request to the admin port says of it."""

from __future__ import annotations

from twisted.web import http

from gateway.serving.admin_answers import JSON


def is_json(request: http.Request) -> bool:
    """Tell whether a request says that its body is JSON."""
    return _content_type(request) == JSON.encode()


def is_form(request: http.Request) -> bool:
    """Tell whether a request says that its body is what a form holds."""
    return _content_type(request) == b"application/x-www-form-urlencoded"


def is_of_another_site(request: http.Request) -> bool:
    """Tell whether a browser says that another site's page makes it ask: of what a form sends it says so always (Fetch
    §3.2), and no preflight request comes before it."""
    origins = request.requestHeaders.getRawHeaders(b"Origin", [])
    hosts = request.requestHeaders.getRawHeaders(b"Host", [b""])
    return bool(origins) and origins[0].partition(b"://")[2] != hosts[0]


def accepts(request: http.Request, content_type: bytes) -> bool:
    """Tell whether a request names this type among those that it accepts."""
    return content_type in b",".join(request.requestHeaders.getRawHeaders(b"Accept", [])).lower()


def accepts_gzip(request: http.Request) -> bool:
    """Tell whether the answer may be compressed (RFC 9110 §12.5.3)."""
    for line in request.requestHeaders.getRawHeaders(b"Accept-Encoding", []):
        for each in line.lower().split(b","):
            coding, _, weight = each.partition(b";")
            if coding.strip() == b"gzip":
                return weight.replace(b" ", b"").rstrip(b"0.") != b"q="
    return False


def _content_type(request: http.Request) -> bytes:
    lines = request.requestHeaders.getRawHeaders(b"Content-Type", [])
    return lines[0].partition(b";")[0].strip().lower() if len(lines) == 1 else b""
