"""What can go wrong: whose fault it is, which status the client sees, how far the request got.

An error is a fact, not a decision.  Every code an operator can meet is in `CODES`; `docs/errors.md` is
checked against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from attrs import frozen


class Side(Enum):
    """Whose fault an error is."""

    CLIENT = "client"
    GATEWAY = "gateway"
    PROVIDER = "provider"


class Progress(Enum):
    """How far a request got towards a provider when it failed."""

    NOT_SENT = "not_sent"
    """No byte of the request can have reached the provider's application."""
    SENT = "sent"
    """Some of it may have been read, and no byte of an answer was seen."""
    HEAD_RECEIVED = "head_received"
    """The provider had begun to answer."""


@frozen
class ErrorCode:
    """One row of the table of errors."""

    code: str
    status: int
    type: str
    """OpenAI's `error.type`."""
    side: Side
    meaning: str
    """One sentence for the documentation."""


def _rows(side: Side, type_: str, *rows: tuple[str, int, str]) -> dict[str, ErrorCode]:
    return {code: ErrorCode(code, status, type_, side, meaning) for code, status, meaning in rows}


CODES: Mapping[str, ErrorCode] = MappingProxyType(
    {
        **_rows(
            Side.CLIENT,
            "invalid_request_error",
            ("malformed_request", 400, "The request is not valid HTTP/1.1."),
            ("invalid_body", 400, "The body is not the JSON that the operation needs."),
            ("method_not_allowed", 405, "The method is not served, CONNECT above all."),
            ("request_timeout", 408, "Head or body took longer than the Gateway allows."),
            ("body_too_large", 413, "The body is larger than `limits.bodyBytes`."),
            ("target_too_long", 414, "The request line is longer than `limits.headBytes`."),
            ("unsupported_encoding", 415, "The body is compressed; send it as it is."),
            ("expectation_failed", 417, "An `Expect` other than 100-continue."),
            ("headers_too_large", 431, "Too many header bytes or header lines."),
            ("unknown_transfer_coding", 501, "A transfer coding other than chunked."),
            ("unsupported_version", 505, "An HTTP version other than 1.0 and 1.1."),
        ),
        **_rows(
            Side.CLIENT,
            "authentication_error",
            ("invalid_api_key", 401, "The gateway knows the client by no key, certificate or address."),
        ),
        **_rows(
            Side.CLIENT,
            "permission_error",
            ("host_not_allowed", 403, "The client is known, and its tenant has no route for the host."),
        ),
        **_rows(
            Side.CLIENT,
            "not_found_error",
            ("no_route", 404, "No route, rule or provider answers for this request."),
        ),
        **_rows(
            Side.CLIENT,
            "invalid_request_error",
            ("client_left", 499, "The client closed before its answer was whole (log and metrics only)."),
        ),
        **_rows(
            Side.GATEWAY,
            "invalid_request_error",
            ("loop_detected", 508, "The request has been through this gateway before."),
        ),
        **_rows(
            Side.GATEWAY,
            "server_error",
            ("internal_error", 500, "A fault of the gateway's own; the log has it under the request id."),
            ("not_ready", 503, "No configuration is loaded yet."),
            (
                "host_misconfigured",
                503,
                "The files name this host and cannot be used; the log and `/config` say why.",
            ),
            ("no_backend", 503, "The rule names only providers that were taken away from its tenant."),
            (
                "no_backend_available",
                503,
                "Every provider of the rule is left alone for a while, after failures or at its limit: see the log.",
            ),
            ("draining", 503, "The gateway is stopping."),
            (
                "overloaded",
                503,
                "The gateway has no room for another connection of a client, or for more of requests' bodies.",
            ),
            ("provider_pool_full", 503, "All connections that the provider may have are in use."),
        ),
        **_rows(
            Side.PROVIDER,
            "upstream_error",
            ("provider_name_lookup_failed", 502, "The provider's name does not resolve."),
            ("provider_connect_failed", 502, "The provider refused the connection or is unreachable."),
            ("provider_connect_timeout", 504, "Look-up or connect took longer than `connect`."),
            ("provider_tls_failed", 502, "The TLS handshake or the certificate was refused."),
            ("provider_tls_timeout", 504, "The TLS handshake did not end in time."),
            ("provider_reset", 502, "The connection closed before an answer."),
            ("provider_malformed_answer", 502, "The answer is not valid HTTP/1.1."),
            ("provider_headers_timeout", 504, "No answer began within `headers`."),
            ("provider_content_timeout", 504, "No content came within `firstContent` or `perTryTimeout`."),
            ("provider_idle_timeout", 504, "The answer stalled for longer than `idle`."),
            ("provider_request_timeout", 504, "The exchange took longer than `request`."),
            ("provider_answer_cut", 502, "The answer ended before it was whole."),
        ),
    }
)
"""Every error by its code."""


class GatewayError(Exception):
    """One thing that went wrong in one exchange."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        progress: Progress = Progress.NOT_SENT,
        param: str | None = None,
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Make the error.

        :param code: a key of `CODES`.
        :param message: one public sentence for the client; holds no secret and nothing of other tenants.
        :param progress: how far the request got towards the provider.
        :param param: the field of the body that is meant, as in OpenAI's `error.param`.
        :param detail: what only the operator should read, in the log.
        :param retry_after: seconds after which it may be worth while to ask again; None where nobody knows.
        """
        super().__init__(message)
        self.row = CODES[code]
        self.message = message
        self.progress = progress
        self.param = param
        self.detail = detail
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        return self.row.code

    @property
    def status(self) -> int:
        return self.row.status

    @property
    def side(self) -> Side:
        return self.row.side

    def __repr__(self) -> str:
        return f"GatewayError({self.code}: {self.message} {self.detail})"
