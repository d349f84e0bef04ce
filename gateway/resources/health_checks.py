"""`healthCheck`: a cheap request of the operator's choice that a provider is asked now and then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from gateway.resources import syntax
from gateway.resources.shapes import (
    Choice,
    Duration,
    ExpandedText,
    Field,
    Finding,
    Json,
    JsonText,
    MapOf,
    Record,
    Values,
)


@frozen
class HealthCheck:
    """What is asked, and how often."""

    operation: str | None
    """`models`, `chat`, `completions` or `embeddings`; None where a path says where to ask."""
    path: str | None = field(repr=False)
    """May hold what came from outside."""
    body: Mapping[str, JsonText] | None
    """The members of the JSON that is posted; None asks with GET."""
    interval: float = 10.0
    """Seconds from one to the next."""
    timeout: float = 5.0
    """Seconds that an answer may take."""


_WITHOUT_BODY = "models"
_OPERATIONS = (_WITHOUT_BODY, "chat", "completions", "embeddings")


def _findings(values: Values) -> Iterator[Finding]:
    operation, written = values["operation"], values.written
    if {"operation", "path"} <= written:
        yield Finding("path", "stands beside operation: one of them says where to ask")
    elif operation in _OPERATIONS[1:] and "body" not in written:
        yield Finding("body", f"is missing: {operation} is asked with one")
    elif "body" in written and (operation == _WITHOUT_BODY or not {"operation", "path"} & written):
        yield Finding("body", f"has no effect: {_WITHOUT_BODY} is asked without one")


def _health_check_of(values: Values) -> HealthCheck:
    operation = values["operation"] or (None if values["path"] else _WITHOUT_BODY)
    times = {name: values[name] for name in ("interval", "timeout") if values[name] is not None}
    return HealthCheck(operation, values["path"], values["body"], **times)


HEALTH_CHECK = Record(
    (
        Field("operation", Choice(_OPERATIONS), "Asked where the provider serves it; models unless written."),
        Field("path", ExpandedText(syntax.URL_PATH), "Asked instead of an operation."),
        Field(
            "body",
            MapOf(syntax.WORD, Json()),
            "Posted as JSON; an operation's is given the config's model unless it names one.",
        ),
        Field("interval", Duration(1.0), "From one to the next; 10s unless written."),
        Field("timeout", Duration(), "Of one; 5s unless written."),
    ),
    check=_findings,
    build=_health_check_of,
)
