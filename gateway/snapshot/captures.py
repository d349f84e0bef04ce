"""What is kept of a tenant's exchanges, compiled."""

from __future__ import annotations

from attrs import frozen

from gateway.policy.redacting import Redaction
from gateway.resources.tenant import Tenant


@frozen(eq=False)
class CaptureTable:
    """What is kept."""

    request: bool
    response: bool
    max_bytes: int
    """Of each of the two, when it is redacted."""
    share: float
    """Of the exchanges, 0 to 1."""
    redaction: Redaction


def capture_of(document: Tenant | None) -> CaptureTable | None:
    """What a tenant's document wants kept; None for nothing."""
    capture = document.capture if document is not None else None
    if capture is None or not capture.percent or not (capture.request or capture.response):
        return None
    return CaptureTable(
        request=capture.request,
        response=capture.response,
        max_bytes=capture.max_bytes,
        share=capture.percent / 100,
        redaction=Redaction(capture.redact),
    )
