"""What is kept of a tenant's exchanges, compiled."""

from __future__ import annotations

from attrs import frozen

from gateway.policy.redacting.known_secrets import KnownSecrets
from gateway.policy.redacting.patterns import Redaction
from gateway.resources.capture import Capture


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
    secrets: KnownSecrets
    """Of the tenant, and of whose providers it uses."""


def capture_of(capture: Capture | None, secrets: tuple[bytes, ...]) -> CaptureTable | None:
    """What is kept; None for nothing.

    :param capture: what the tenant's document wants.
    :param secrets: as `secrets_of_tenant` has them.
    """
    if capture is None or not capture.percent or not (capture.request or capture.response):
        return None
    return CaptureTable(
        request=capture.request,
        response=capture.response,
        max_bytes=capture.max_bytes,
        share=capture.percent / 100,
        redaction=Redaction(capture.redact),
        secrets=KnownSecrets(secrets),
    )
