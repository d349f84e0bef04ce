"""Gateway: the few settings of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from gateway.resources.problems import Places
from gateway.resources.shapes import (
    Boolean,
    Choice,
    Duration,
    Field,
    ListOf,
    Record,
    Values,
    WholeNumber,
    as_mapping,
)
from gateway.resources.timeouts import UPSTREAM_TIMEOUTS
from gateway.resources.tracing import TRACING, TracingSettings


@frozen
class GatewayDocument:
    """The settings that were written; the others keep their defaults."""

    limits: Mapping[str, int]
    """Of bodyBytes, allBodiesBytes, headBytes, headers and connections."""
    timeouts: Mapping[str, float]
    """For clients, of head, body and keepAlive; in seconds."""
    upstream_timeouts: Mapping[str, float]
    """For all providers, as `Timeouts` names them; in seconds."""
    attempt_headers: bool | None
    """Whether answers tell how they came about; None where nothing was written."""
    tracing: TracingSettings | None
    """None for no tracing."""
    gen_ai: tuple[str, ...]
    """Generations of OpenTelemetry's metrics of generative AI that are shown."""
    places: Places = field(eq=False, repr=False)


_LIMITS = Record(
    (
        Field("bodyBytes", WholeNumber(1024, 2**40), "Of one request's body; 33554432 unless written."),
        Field(
            "allBodiesBytes",
            WholeNumber(1024, 2**44),
            "Of all requests' bodies together that are held at once; 1073741824 unless written.",
        ),
        Field("headBytes", WholeNumber(1024, 2**20), "Of request line and headers; 65536 unless written."),
        Field("headers", WholeNumber(1, 10_000), "Header lines of a request; 100 unless written."),
        Field(
            "connections", WholeNumber(1, 1_000_000), "Open connections of clients; no limit unless written."
        ),
    ),
    build=as_mapping,
)

_CLIENT_TIMEOUTS = Record(
    (
        Field("head", Duration(), "For a request's head; 10s unless written."),
        Field("body", Duration(), "For a request's body; 60s unless written."),
        Field("keepAlive", Duration(), "Between two requests; 75s unless written."),
    ),
    build=as_mapping,
)

_METRICS = Record(
    (
        Field(
            "genAi",
            ListOf(Choice(("v1.41", "next"))),
            "OpenTelemetry's metrics of generative AI: their generation v1.41, the next one, or both; none unless "
            "written.",
        ),
    ),
    build=as_mapping,
)

GATEWAY_SPEC = Record(
    (
        Field("limits", _LIMITS, "What a client may send."),
        Field("timeouts", _CLIENT_TIMEOUTS, "How long a client may take."),
        Field(
            "upstreamTimeouts", UPSTREAM_TIMEOUTS, "How long providers may take, where nothing else says so."
        ),
        Field(
            "attemptHeaders",
            Boolean(),
            "Whether answers have x-llmgateway-attempts and -backend; true unless written.",
        ),
        Field("metrics", _METRICS, "What is counted beside the gateway's own metrics."),
        Field("tracing", TRACING, "Where spans of requests go; nowhere unless written."),
    )
)


def gateway_of(values: Values, places: Places) -> GatewayDocument:
    """The settings that a whole and valid spec describes."""
    nothing: Mapping[str, Any] = MappingProxyType({})
    return GatewayDocument(
        limits=values["limits"] or nothing,
        timeouts=values["timeouts"] or nothing,
        upstream_timeouts=values["upstreamTimeouts"] or nothing,
        attempt_headers=values["attemptHeaders"],
        tracing=values["tracing"],
        gen_ai=(values["metrics"] or nothing).get("genAi") or (),
        places=places,
    )
