"""How long a provider may take: one record, written on a provider, on a rule and in the Gateway document."""

from __future__ import annotations

from gateway.resources.shapes import Duration, Field, Record, as_settings

UPSTREAM_TIMEOUTS = Record(
    (
        Field("connect", Duration(), "Name look-up and TCP connect together."),
        Field("headers", Duration(), "From the whole request being sent to the answer's head."),
        Field(
            "firstContent",
            Duration(),
            "From the whole request being sent to the first content of the answer.",
        ),
        Field("idle", Duration(), "Between two pieces of the answer's content."),
        Field("request", Duration(), "The exchange as a whole, with every further attempt."),
    ),
    build=as_settings,
)
