"""Why an answer will never be whole, as facts: what the provider did, and how far the request got."""

from __future__ import annotations

from twisted.python.failure import Failure

from gateway.errors import GatewayError, Progress
from gateway.messages import Timeouts, TlsSettings
from gateway.wire.tls import client_certificate_refused, handshake_failure_sentence


def never_sent() -> GatewayError:
    """The connection was lost between being handed out and being asked."""
    return _reset("It was lost before the request was sent.", Progress.NOT_SENT)


def lost(reason: Failure, tls: TlsSettings | None, *, begun: bool) -> GatewayError:
    """The connection was lost.

    :param tls: of the destination.
    :param begun: some of the answer had come.
    """
    detail = str(reason.value)
    if begun:
        message = "The provider's answer ended before it was whole."
        return GatewayError("provider_answer_cut", message, progress=Progress.HEAD_RECEIVED, detail=detail)
    if tls is not None and client_certificate_refused(reason):
        # In TLS 1.3 this comes after our side of the handshake; the request has not been read.
        message, detail = handshake_failure_sentence(reason, tls.names)
        return GatewayError("provider_tls_failed", message, detail=detail)
    return _reset(detail, Progress.SENT)


def late_head(timeouts: Timeouts, *, begun: bool) -> GatewayError:
    """The head did not come in time; some of it may have."""
    message = f"The provider did not begin to answer within {timeouts.headers:g} s."
    return GatewayError("provider_headers_timeout", message, progress=_progress(begun=begun))


def stalled(timeouts: Timeouts) -> GatewayError:
    """The body stood still for too long."""
    message = f"The provider's answer stalled for {timeouts.idle:g} s."
    return GatewayError("provider_idle_timeout", message, progress=Progress.HEAD_RECEIVED)


def malformed(fault: str) -> GatewayError:
    """These bytes are no answer; `fault` says to an operator why."""
    message = "The provider's answer is not valid HTTP/1.1."
    return GatewayError("provider_malformed_answer", message, progress=Progress.HEAD_RECEIVED, detail=fault)


def _progress(*, begun: bool) -> Progress:
    return Progress.HEAD_RECEIVED if begun else Progress.SENT


def _reset(detail: str, progress: Progress) -> GatewayError:
    message = "The provider closed the connection before it answered."
    return GatewayError("provider_reset", message, progress=progress, detail=detail)
