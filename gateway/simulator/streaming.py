"""An answer as steps: when its parts come, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from gateway.resources.drills import Drill
from gateway.simulator import openai
from gateway.simulator.errors import error_event
from gateway.simulator.replies import Streamed, Whole
from gateway.simulator.steps import Begin, BreakOff, End, Reset, Respond, Say, Step, Wait

MALFORMED_EVENT = b'data: {"id":"malformed","choices":[{"index":0,"delta":{"content":\n\n'
"""Well-formed as an event, cut short as JSON."""

SECONDS_BEFORE_RESET = 0.05
"""Until then the client's kernel has what was said: a reset takes away what is still in ours."""


def whole_steps(whole: Whole, drill: Drill) -> Iterator[Step]:
    """An answer that is no stream; of it only the end can go wrong."""
    shown = drill.stall_after if drill.cut_after is None else drill.cut_after
    if drill.cut_after_bytes is not None:
        shown = drill.cut_after_bytes
    if shown is None:
        yield Respond(whole.status, whole.headers, whole.body, whole.asked, whole.spoken, whole.usage)
        return
    some = whole.body[: min(shown, len(whole.body) - 1)]
    ends_well = drill.stall_after is None and drill.cut in ("end", "done")
    length = len(some) if ends_well else len(whole.body)
    yield Begin(whole.status, whole.headers, length, whole.asked)
    yield Say(some)
    if ends_well:
        yield End()
    elif drill.stall_after is None:
        yield from cut(drill)


def stream_steps(streamed: Streamed, drill: Drill) -> Iterator[Step]:
    """A stream, event by event."""
    yield Begin(200, streamed.headers, None, streamed.asked)
    if streamed.opening:
        yield Say(streamed.opening)
    last = _last_content(drill)
    for index, event in enumerate(streamed.content):
        if index == last:
            break
        yield from _waiting(drill.chunk_delay if index else drill.first_content_delay, streamed, drill)
        if index == 0 and drill.huge_event is not None:
            event = evolve(event, data=_padded(event.data, drill.huge_event))
        yield event
        if index == 0 and drill.malformed_event:
            yield Say(MALFORMED_EVENT)
    if drill.stall_after is not None:
        while drill.heartbeat is not None:
            yield Wait(drill.heartbeat_delay)
            yield Say(streamed.heartbeats[drill.heartbeat])
    elif drill.cut_after is not None:
        yield from cut(drill)
    elif drill.error_after is not None:
        yield Say(error_event(drill))
        yield End()
    else:
        if not drill.no_finish:
            yield streamed.finish()
        yield streamed.usage
        if not drill.no_done:
            yield Say(openai.DONE)
        yield End()


def cut(drill: Drill) -> Iterator[Step]:
    """The end of an answer that is not whole."""
    match drill.cut:
        case "close":
            yield BreakOff()
        case "reset":
            yield Wait(SECONDS_BEFORE_RESET)
            yield Reset()
        case "end":
            yield End()
        case "done":
            yield Say(openai.DONE)
            yield End()


def _last_content(drill: Drill) -> int | None:
    """How many events with content are seen at most; None is all of them."""
    endings = (drill.stall_after, drill.cut_after, drill.error_after)
    return next((after for after in endings if after is not None), None)


def _waiting(seconds: float, streamed: Streamed, drill: Drill) -> Iterator[Step]:
    """Time that passes, with heartbeats in it."""
    if drill.heartbeat is not None:
        while seconds > drill.heartbeat_delay:
            yield Wait(drill.heartbeat_delay)
            yield Say(streamed.heartbeats[drill.heartbeat])
            seconds -= drill.heartbeat_delay
    if seconds:
        yield Wait(seconds)


def _padded(event: bytes, size: int) -> bytes:
    """The event with a field that means nothing; OpenAI sends one of this name itself."""
    return b'%b,"obfuscation":"%b"}\n\n' % (event.removesuffix(b"}\n\n"), b"x" * size)
