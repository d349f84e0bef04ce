"""The border to the OpenTelemetry SDK, an optional dependency: our spans in its words, on their way to a collector.

The SDK gathers spans in a queue and sends them from a thread of its own.  Whatever becomes of the collector, nobody
waits for it: spans that find the queue full are lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from gateway import __version__
from gateway.resources.tracing import TracingSettings
from gateway.telemetry.trace_context import TraceContext
from gateway.telemetry.traces import AttributeValue, Span

MOST_WAITING = 4096
"""Spans that wait to be sent; some kilobytes each."""

BATCH = 256
"""Spans that are sent at once."""

BATCH_SECONDS = 1.0
"""How long a span waits for others at most, while the collector answers."""

EXPORT_SECONDS = 10.0
"""How long the collector may take for a batch, all tries included."""

_LONGEST_TEXT = 256
"""Letters that are kept of what a client or a provider wrote."""

_MOST = 2**63 - 1
"""The largest number that OTLP knows."""

_PATH = "v1/traces"
"""https://opentelemetry.io/docs/specs/otlp/#otlphttp-request"""

_FAILURES = (
    # In this order: some are kinds of others.
    (requests.exceptions.SSLError, "its certificate is not accepted"),
    (requests.exceptions.ProxyError, "the proxy on the way does not let it be reached"),
    (requests.exceptions.Timeout, "it does not answer in time"),
    (requests.exceptions.ConnectionError, "it cannot be reached"),
)


class Pipeline:
    """The way of spans to one collector."""

    def __init__(self, settings: TracingSettings, told: Callable[[int, str | None], None]) -> None:
        """Start its thread.

        :param told: called in that thread, for each batch: how many spans, and why they are lost; None where not.
        """
        # What the SDK says goes through `told`, in our words; its own would hold addresses that must not be shown.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        session = _Session()
        exporter = OTLPSpanExporter(
            endpoint=traces_url(settings.endpoint),
            headers={name: value.reveal() for name, value in settings.headers.items()},
            timeout=EXPORT_SECONDS,
            session=session,
        )
        self._exporter = _Exporter(exporter, session, told)
        self._processor: SpanProcessor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=2 * MOST_WAITING,  # never full: ours is the bound
            schedule_delay_millis=BATCH_SECONDS * 1000,
            max_export_batch_size=BATCH,
            export_timeout_millis=EXPORT_SECONDS * 1000,
        )
        own = Resource.create({"service.name": "llmgateway", "service.version": __version__})
        # What the environment says of it (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) counts more.
        self._resource = own.merge(OTELResourceDetector().detect())
        self._scope = InstrumentationScope("llmgateway", __version__)
        self._sent = 0

    @property
    def waiting(self) -> int:
        """How many spans are in the queue, or just being sent."""
        return self._sent - self._exporter.ended

    def send(self, span: Span) -> bool:
        """Put a span into the queue; False where there is no room."""
        if self.waiting >= MOST_WAITING:
            return False
        self._sent += 1
        self._processor.on_end(
            ReadableSpan(
                name=_cut_text(span.name),
                context=_context(span.context, is_remote=False),
                parent=_context(span.parent, is_remote=span.from_client) if span.parent is not None else None,
                resource=self._resource,
                attributes={name: _cut(value) for name, value in span.attributes.items()},
                kind=SpanKind.SERVER if span.from_client else SpanKind.CLIENT,
                status=Status(StatusCode.ERROR, _cut_text(span.why) or None) if span.failed else _UNSET,
                start_time=round(span.began * 1e9),
                end_time=round(span.ended * 1e9),
                instrumentation_scope=self._scope,
            )
        )
        return True

    def close(self) -> None:
        """Send what waits, and end the thread.  Takes as long as the collector does, up to half a minute: not for the
        reactor's thread."""
        self._processor.shutdown()

    def give_up(self) -> None:
        """Try nothing again, so that `close` ends: what waits is lost.  From any thread."""
        self._exporter.shutdown()


def traces_url(endpoint: str) -> str:
    """Where spans are posted: the endpoint as it stands where it has a path, else OTLP's own below it."""
    return endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint.rstrip('/')}/{_PATH}"


_UNSET = Status(StatusCode.UNSET)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)


def _context(context: TraceContext, *, is_remote: bool) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote,
        _SAMPLED if context.sampled else _NOT_SAMPLED,
        TraceState.from_header([context.state.decode()]) if context.state else None,
    )


def _cut(value: AttributeValue) -> AttributeValue:
    """As much of a value as is kept: one that cannot be encoded would cost all of its batch."""
    if isinstance(value, str):
        return _cut_text(value)
    if isinstance(value, tuple):
        return tuple(map(_cut_text, value))
    return min(value, _MOST) if isinstance(value, int) else value


def _cut_text(text: str) -> str:
    if len(text) <= _LONGEST_TEXT and text.isascii():
        return text
    # Lone surrogates are no UTF-8.
    return text[:_LONGEST_TEXT].encode(errors="replace").decode()


class _Session(requests.Session):
    """Remembers how the collector took the last batch."""

    def __init__(self) -> None:
        super().__init__()
        self.complaint: str | None = None
        """None where it took it."""

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        try:
            answer = super().request(*arguments, **named)
        except Exception as error:
            kinds = (words for kind, words in _FAILURES if isinstance(error, kind))
            self.complaint = next(kinds, type(error).__name__)
            raise
        # The exporter takes a redirect for a success, and does not follow it.
        self.complaint = None if answer.status_code < 300 else f"it answers {answer.status_code}"
        return answer


class _Exporter(SpanExporter):
    """The SDK's exporter, and who is told how it fared."""

    def __init__(
        self, exporter: SpanExporter, session: _Session, told: Callable[[int, str | None], None]
    ) -> None:
        self._exporter = exporter
        self._session = session
        self._told = told
        self.ended = 0
        """How many spans were sent, or are lost."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._session.complaint = None
        try:
            result = self._exporter.export(spans)
        except Exception:  # of its encoder, which it does not catch
            result = SpanExportResult.FAILURE
        complaint = self._session.complaint
        if result is not SpanExportResult.SUCCESS and complaint is None:
            complaint = "they could not be encoded"
        self.ended += len(spans)
        self._told(len(spans), complaint)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
