"""The few settings of the whole, from the Gateway document."""

from __future__ import annotations

from attrs import frozen

from gateway.resources.gateway import GatewayDocument
from gateway.resources.tracing import TracingSettings


@frozen
class GatewaySettings:
    """The few settings of the whole, from the Gateway document.  Bytes and seconds; None leaves the wire's default."""

    body_bytes: int | None = None
    head_bytes: int | None = None
    headers: int | None = None
    connections: int | None = None
    head_seconds: float | None = None
    body_seconds: float | None = None
    keep_alive_seconds: float | None = None
    all_bodies_bytes: int | None = None
    """Of all requests together, what is held at once; None leaves serving's default."""
    attempt_headers: bool | None = None
    """Answers tell how they came about; None is true."""
    gen_ai: tuple[str, ...] = ()
    """Generations of OpenTelemetry's metrics of generative AI that are shown."""
    tracing: TracingSettings | None = None
    """Where spans go; None for no tracing."""


def settings_of(gateway: GatewayDocument | None) -> GatewaySettings:
    """What the document says.

    :param gateway: None without one.
    """
    if gateway is None:
        return GatewaySettings()
    limits, timeouts = gateway.limits, gateway.timeouts
    return GatewaySettings(
        body_bytes=limits.get("bodyBytes"),
        head_bytes=limits.get("headBytes"),
        headers=limits.get("headers"),
        connections=limits.get("connections"),
        head_seconds=timeouts.get("head"),
        body_seconds=timeouts.get("body"),
        keep_alive_seconds=timeouts.get("keepAlive"),
        all_bodies_bytes=limits.get("allBodiesBytes"),
        attempt_headers=gateway.attempt_headers,
        tracing=gateway.tracing,
        gen_ai=gateway.gen_ai,
    )
