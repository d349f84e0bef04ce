"""`connectionPool` and `outlierDetection` of a provider: how much it is sent at once, and when it is left alone.

Istio's `TrafficPolicy` has the names where it has the things
(https://istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy).
"""

from __future__ import annotations

from gateway.resources.shapes import Duration, Field, Record, WholeNumber, as_settings

CONNECTION_POOL = Record(
    (
        Field(
            "maxConnections",
            WholeNumber(1, 1_000_000),
            "Open connections, and so requests at once; 4096 unless written.",
        ),
        Field(
            "maxPending",
            WholeNumber(0, 1_000_000),
            "Requests that wait for a free connection; 1024 unless written.",
        ),
        Field("pendingTimeout", Duration(), "How long they wait at most; 5s unless written."),
        Field("idleTimeout", Duration(), "How long an unused connection is kept; 30s unless written."),
    ),
    build=as_settings,
)

OUTLIER_DETECTION = Record(
    (
        Field(
            "consecutiveErrors",
            WholeNumber(0, 1000),
            "Failures in a row after which it is left alone, 0 for never; 5 unless written.",
        ),
        Field(
            "failurePercent",
            WholeNumber(1, 100),
            "Share of failures within `interval` after which it is left alone; none unless written.",
        ),
        Field("interval", Duration(1.0), "What that share is taken over; 10s unless written."),
        Field(
            "baseEjectionTime",
            Duration(0.1),
            "How long it is left alone at first before one request tries it; 5s unless written.",
        ),
    ),
    build=as_settings,
)
