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


def accepts(request: http.Request, content_type: bytes, *, rather_than: bytes = b"") -> bool:
    """Tell whether a request names this type among those that it accepts (RFC 9110 §12.5.1).

    Wildcards do not count: curl sends one, and means whatever there is.

    :param rather_than: what it gets otherwise; where it names that, too, and wants it more, it gets that.
    """
    weights = _weights(request, b"Accept")
    return weights.get(content_type, 0.0) > 0.0 and weights[content_type] >= weights.get(rather_than, 0.0)


def accepts_gzip(request: http.Request) -> bool:
    """Tell whether the answer may be compressed (RFC 9110 §12.5.3)."""
    return _weights(request, b"Accept-Encoding").get(b"gzip", 0.0) > 0.0


def _weights(request: http.Request, header: bytes) -> dict[bytes, float]:
    """How much each of those that a header names is wanted (RFC 9110 §12.4.2); the first time that it does counts."""
    found: dict[bytes, float] = {}
    for line in request.requestHeaders.getRawHeaders(header, []):
        for each in line.lower().split(b","):
            name, *parameters = (part.strip() for part in each.split(b";"))
            weight = next((part[2:] for part in parameters if part.startswith(b"q=")), b"1")
            try:
                found.setdefault(name, float(weight))
            except ValueError:
                found.setdefault(name, 1.0)
    return found


def _content_type(request: http.Request) -> bytes:
    lines = request.requestHeaders.getRawHeaders(b"Content-Type", [])
    return lines[0].partition(b";")[0].strip().lower() if len(lines) == 1 else b""
