"""What is recorded of exchanges for tracing: a span for each, and one below it for each attempt.

Nothing in here knows where spans go; `otlp.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from random import Random

import msgspec

from gateway.dialects.operations import Operation
from gateway.messages import Headers, RequestHead
from gateway.telemetry.trace_context import (
    TRACEPARENT,
    TRACESTATE,
    TraceContext,
    read_trace_context,
    traceparent_of,
)

AttributeValue = str | bool | int | float | tuple[str, ...]


class Purpose(StrEnum):
    """What an attempt is made for."""

    FIRST = "first"
    RETRY = "retry"
    """The same backend once more."""
    FALLBACK = "fallback"
    """The next backend."""
    HEDGE = "hedge"
    """Beside one that is slow."""
    CONTINUATION = "continuation"
    """For the rest of a stream that broke."""
    MIRROR = "mirror"
    """A copy, whose answer nobody reads."""


class Span(msgspec.Struct, frozen=True, gc=False):
    """A stretch of time, as a collector is told of it."""

    context: TraceContext
    parent: TraceContext | None
    """None where the trace begins with it."""
    from_client: bool
    """The exchange as its client saw it; else an attempt, as the provider did."""
    name: str
    began: float
    """Unix time in seconds."""
    ended: float
    failed: bool
    why: str
    """What only the operator should read of a failure; no secret, and empty where nothing is known."""
    attributes: Mapping[str, AttributeValue]


class Tracer:
    """Decides which trace an exchange belongs to, and hands on what is recorded of it."""

    def __init__(
        self, ratio: float, send: Callable[[Span], None], bits: Callable[[int], int] | None = None
    ) -> None:
        """Make one.

        :param ratio: the share of the traces beginning here that is recorded, 0 to 1.
        :param send: takes a span, at once.
        :param bits: a random number of so many bits.
        """
        self.record_share(ratio)
        self.send = send
        self._bits = bits or Random().getrandbits  # noqa: S311 -- identifiers, which anybody may know

    def record_share(self, ratio: float) -> None:
        """Record this share of the traces that begin from now on."""
        # By the last 64 bits of the identifier, as OpenTelemetry's TraceIdRatioBased does: others agree.
        self._bound = round(ratio * 2**64)

    def begin(self, head: RequestHead, offset: float) -> Trace:
        """Find or make the trace of a request.  It is recorded if its caller's part is: W3C's and OpenTelemetry's way.

        :param offset: what makes Unix time of clock time, in seconds.
        """
        parent = read_trace_context(head.header(TRACEPARENT), head.header(TRACESTATE))
        if parent is not None:
            context = TraceContext(parent.trace_id, self.new_span_id(), parent.sampled, parent.state)
        else:
            number = self._bits(128) or 1  # all zeroes are no identifier
            is_recorded = number & (2**64 - 1) < self._bound
            context = TraceContext(f"{number:032x}", self.new_span_id(), is_recorded)
        return Trace(self, context, parent, offset)

    def new_span_id(self) -> str:
        return f"{self._bits(64) or 1:016x}"


class CurrentTracer:
    """Holds the tracer that exchanges begin with."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        """None where there is no tracing."""


class Trace(msgspec.Struct, frozen=True, gc=False):
    """The part that one exchange has in a trace."""

    tracer: Tracer
    context: TraceContext
    """Where the exchange stands."""
    parent: TraceContext | None
    """Where its client stands; None where the trace begins here."""
    offset: float
    """What makes Unix time of clock time, in seconds: one for all spans, or a child could begin before its parent."""

    @property
    def is_recorded(self) -> bool:
        """Spans are made of it."""
        return self.context.sampled

    def attempt(
        self, purpose: Purpose, operation: Operation, model: str | None, *, stream: bool
    ) -> AttemptSpan:
        """Begin an attempt.

        :param model: what the provider is asked for.
        :param stream: it is asked for a stream.
        """
        return AttemptSpan(self, self.tracer.new_span_id(), purpose, operation, model, stream)

    def tell(
        self,
        name: str,
        began: float,
        ended: float,
        attributes: Mapping[str, AttributeValue],
        *,
        failed: bool,
        why: str = "",
        attempt: AttemptSpan | None = None,
    ) -> None:
        """Record a span; its times are clock times in seconds.

        :param why: see `Span.why`.
        :param attempt: whose span it is; None for the exchange's own.
        """
        own = self.context
        context = own if attempt is None else TraceContext(own.trace_id, attempt.span_id, True, own.state)
        self.tracer.send(
            Span(
                context=context,
                parent=self.parent if attempt is None else own,
                from_client=attempt is None,
                name=name,
                began=began + self.offset,
                ended=ended + self.offset,
                failed=failed,
                why=why,
                attributes=attributes,
            )
        )


class AttemptSpan(msgspec.Struct, gc=False):
    """An attempt as a part of a trace, and what has come of it: it is told of together with its exchange."""

    trace: Trace
    span_id: str
    purpose: Purpose
    operation: Operation
    model: str | None
    """What the provider is asked for."""
    stream: bool
    """It is asked for a stream."""
    content_at: float | None = None
    """Clock time in seconds of a stream's first content; None where nobody waited for it."""
    ended_at: float = 0.0
    """Clock time in seconds."""
    outcome: str = ""
    """As in `llmgateway_attempts_total`."""
    status: int | None = None
    """The provider's; None where there was none."""

    def end(self, outcome: str, status: int | None, now: float) -> None:
        """It has ended; `now` is clock time in seconds."""
        self.outcome, self.status, self.ended_at = outcome, status, now

    def headers(self, taken: Collection[bytes]) -> Headers:
        """What the provider is told of the trace.

        :param taken: names that the provider's or the rule's own headers set or remove.
        """
        context = self.trace.context
        if TRACEPARENT in taken:
            return []
        line = traceparent_of(context.trace_id, self.span_id, sampled=context.sampled)
        if context.state and TRACESTATE not in taken:
            return [(TRACEPARENT, line), (TRACESTATE, context.state)]
        return [(TRACEPARENT, line)]
