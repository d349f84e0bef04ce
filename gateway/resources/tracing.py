"""`tracing` of the Gateway document: where spans go, and of how many traces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from urllib.parse import urlsplit

from attrs import frozen

from gateway.messages import Secret
from gateway.resources import syntax
from gateway.resources.shapes import (
    DecimalNumber,
    ExpandedText,
    Field,
    Finding,
    MapOf,
    Record,
    SecretText,
    Syntax,
    Values,
)

_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
"""Part of the optional dependencies; it brings the others."""

_NOTHING: Mapping[str, Secret] = MappingProxyType({})


@frozen
class TracingSettings:
    """Where spans go, and of how many traces."""

    endpoint: str
    """URL of an OTLP/HTTP collector, with or without the path."""
    headers: Mapping[str, Secret]
    """Sent with each batch; names in lower case."""
    sample_ratio: float
    """The share of the traces beginning here that is recorded, 0 to 1."""


def _endpoint(text: str) -> str:
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 -- raises for one that is none
    except ValueError as error:
        raise ValueError("is no URL") from error
    if not url.hostname:
        raise ValueError("names no host")
    if url.username is not None or url.query or url.fragment:
        raise ValueError("has a user, a query or a fragment: write credentials into `headers`")
    return text


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:  # not even what it is part of
        return False


def _findings(_values: Values) -> Iterator[Finding]:
    if not _is_installed():
        yield Finding(
            "",
            "needs the OpenTelemetry SDK, which is not installed: pip install '.[otlp]' where llmgateway's source is",
        )


def _settings_of(values: Values) -> TracingSettings:
    ratio = values["sampleRatio"]
    return TracingSettings(
        endpoint=values["endpoint"],
        headers=values["headers"] or _NOTHING,
        sample_ratio=1.0 if ratio is None else ratio,
    )


_OWN = dict.fromkeys(("content-type", "content-length", "content-encoding", "host"), "is the exporter's own")

_URL = Syntax("an http or https URL", r"[Hh][Tt][Tt][Pp][Ss]?://[!-~]{1,2048}", _endpoint)

TRACING = Record(
    (
        Field(
            "endpoint",
            ExpandedText(_URL),
            "URL of an OTLP/HTTP collector; `/v1/traces` is added where it has no path.",
            required=True,
        ),
        Field(
            "headers",
            MapOf(syntax.HEADER_NAME, SecretText(syntax.HEADER_VALUE), _OWN),
            "Sent with every batch of spans, by name.",
        ),
        Field(
            "sampleRatio",
            DecimalNumber(1),
            "The share of the traces beginning here that is recorded, 0 to 1; 1 unless written.",
        ),
    ),
    check=_findings,
    build=_settings_of,
)
