"""Which trace an exchange belongs to, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from gateway.dialects.operations import Operation
from gateway.telemetry.trace_context import TraceContext
from gateway.telemetry.traces import Purpose, Span, Trace, Tracer
from tests.fakes.heads import request_head

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def begun(
    *headers: tuple[bytes, bytes], ratio: float = 1.0, bits: Callable[[int], int] | None = None
) -> tuple[Trace, list[Span]]:
    """The trace of a request with these headers, and where its spans go."""
    spans: list[Span] = []
    head = request_head(b"POST", b"/", b"", "demo", list(headers), 0, False)
    return Tracer(ratio, spans.append, bits).begin(head, 1000.0), spans


def parent(flags: str = "01") -> tuple[bytes, bytes]:
    return (b"traceparent", f"00-{TRACE}-{PARENT}-{flags}".encode())


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("flags", ["00", "01"])
def test_whether_the_caller_is_recorded_decides(ratio: float, flags: str) -> None:
    trace, _ = begun(parent(flags), ratio=ratio)
    assert trace.is_recorded is (flags == "01")
    assert trace.context.trace_id == TRACE
    assert trace.parent == TraceContext(TRACE, PARENT, flags == "01")
    assert trace.context.span_id not in (PARENT, "0" * 16)


def test_a_share_of_the_traces_that_begin_here_is_recorded() -> None:
    random = Random(5)
    share = sum(begun(ratio=0.25, bits=random.getrandbits)[0].is_recorded for _ in range(2000)) / 2000
    assert 0.2 < share < 0.3
    assert not any(begun(ratio=0.0)[0].is_recorded for _ in range(100))
    assert all(begun(ratio=1.0)[0].is_recorded for _ in range(100))


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_others_who_take_the_same_share_take_the_same_traces(ratio: float) -> None:
    sampler = TraceIdRatioBased(ratio)
    for _ in range(200):
        trace, _ = begun(ratio=ratio)
        theirs = sampler.should_sample(None, int(trace.context.trace_id, 16), "chat").decision.is_sampled()
        assert trace.is_recorded is theirs


def test_no_identifier_is_all_zeroes() -> None:
    trace, _ = begun(bits=lambda number: 0)
    assert trace.context.trace_id == "0" * 31 + "1"
    assert trace.context.span_id == "0" * 15 + "1"


def test_spans_hang_together() -> None:
    trace, spans = begun(parent(), (b"tracestate", b"a=1"))
    attempt = trace.attempt(Purpose.RETRY, Operation.CHAT, "m", stream=False)
    trace.tell("chat m", 5.0, 6.0, {"x": 1}, failed=True, why="down", attempt=attempt)
    trace.tell("chat", 4.0, 7.0, {}, failed=False)
    assert spans == [
        Span(
            context=TraceContext(TRACE, attempt.span_id, True, b"a=1"),
            parent=trace.context,
            from_client=False,
            name="chat m",
            began=1005.0,
            ended=1006.0,
            failed=True,
            why="down",
            attributes={"x": 1},
        ),
        Span(
            context=trace.context,
            parent=TraceContext(TRACE, PARENT, True, b"a=1"),
            from_client=True,
            name="chat",
            began=1004.0,
            ended=1007.0,
            failed=False,
            why="",
            attributes={},
        ),
    ]


def test_what_a_provider_is_told() -> None:
    trace, _ = begun(parent("00"), (b"tracestate", b"a=1"))
    attempt = trace.attempt(Purpose.FIRST, Operation.CHAT, None, stream=False)
    told = (b"traceparent", f"00-{TRACE}-{attempt.span_id}-00".encode())
    assert attempt.headers(()) == [told, (b"tracestate", b"a=1")]
    assert attempt.headers({b"tracestate"}) == [told]
    assert attempt.headers({b"traceparent"}) == []
    assert (
        begun(parent())[0].attempt(Purpose.FIRST, Operation.CHAT, None, stream=False).headers(())[0][0]
        == b"traceparent"
    )
