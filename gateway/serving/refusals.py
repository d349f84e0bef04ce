"""A GatewayError -> an error answer in the client's dialect."""

from __future__ import annotations

from math import ceil

from gateway.dialects.table import DIALECTS
from gateway.errors import GatewayError
from gateway.messages import Headers

CLIENT_DIALECT = DIALECTS["openAIConfig"]
"""What clients speak."""

ERROR_SOURCE = b"x-llmgateway-error-source"
"""The header that tells who wrote an error: `gateway` or `provider`."""

_RETRY_AFTER_SECONDS = 1.0
"""At least."""


def error_headers(error: GatewayError) -> Headers:
    """The headers that an error of our own carries."""
    headers = [(b"content-type", b"application/json"), (ERROR_SOURCE, b"gateway")]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 9110 §15.5.2: it must say what is accepted
    if error.status == 503:
        headers.append((b"retry-after", b"%d" % ceil(max(error.retry_after or 0.0, _RETRY_AFTER_SECONDS))))
    if error.status == 405:
        headers.append((b"allow", b"GET, HEAD, POST"))
    return headers


def error_body(error: GatewayError) -> bytes:
    """The body that an error of our own has."""
    return CLIENT_DIALECT.error_body(error.message, error.row.type, error.code, error.param)
