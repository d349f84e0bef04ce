"""Answer and drill together as a script: the steps that the simulated provider takes, one after the other.

A script that ends without `End`, `Respond` or `BreakOff` falls silent: the connection stays open until the
client leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, assert_never

from attrs import frozen

from gateway.messages import Headers, RequestHead
from gateway.simulator import openai
from gateway.simulator.answers import Answer, Streamed, Whole, answer, bad_drill, simulated_error
from gateway.simulator.drills import Drill, DrillError, read_drill


@frozen
class Wait:
    """Say nothing for a while; what was said before is sent first."""

    seconds: float


@frozen
class Respond:
    """Send a whole answer at once."""

    status: int
    headers: Headers
    body: bytes


@frozen
class Begin:
    """Send the head of an answer."""

    status: int
    headers: Headers
    body_length: int | None
    """None for a stream."""


@frozen
class Say:
    """Send some of the body."""

    data: bytes


@frozen
class End:
    """The body is whole."""


@frozen
class BreakOff:
    """Close the connection, whatever is still missing."""


Step: TypeAlias = Wait | Respond | Begin | Say | End | BreakOff

MALFORMED_EVENT = b'data: {"id":"malformed","choices":[{"index":0,"delta":{"content":\n\n'
"""Well-formed as an event, cut short as JSON."""


def perform(head: RequestHead, body: bytes) -> Iterator[Step]:
    """The steps with which this request is answered."""
    try:
        drill = read_drill([value for name, value in head.headers if name == b"x-simulate"])
    except DrillError as error:
        refusal = bad_drill(head, body, str(error))
        yield Respond(refusal.status, refusal.headers, refusal.body)
        return
    if drill.delay:
        yield Wait(drill.delay)
    if drill.stall:
        return
    if drill.reset:
        yield BreakOff()
        return
    match _answer(head, body, drill):
        case Whole() as whole:
            yield from _whole(whole, drill)
        case Streamed() as streamed:
            yield from _stream(streamed, drill)
        case other:
            assert_never(other)


def _answer(head: RequestHead, body: bytes, drill: Drill) -> Answer:
    if drill.status is not None:
        return simulated_error(head, body, drill, drill.status)
    return answer(head, body, drill)


def _whole(whole: Whole, drill: Drill) -> Iterator[Step]:
    shown = _shown(drill)
    if shown is None:
        yield Respond(whole.status, whole.headers, whole.body)
        return
    yield Begin(whole.status, whole.headers, len(whole.body))
    yield Say(whole.body[: min(shown, len(whole.body) - 1)])
    if drill.cut_after is not None:
        yield BreakOff()


def _stream(streamed: Streamed, drill: Drill) -> Iterator[Step]:
    shown = _shown(drill)
    yield Begin(200, streamed.headers, None)
    if streamed.opening:
        yield Say(streamed.opening)
    for index, event in enumerate(streamed.content):
        if index == shown:
            break
        pause = drill.chunk_delay if index else drill.first_content_delay
        if pause:
            yield Wait(pause)
        yield Say(event)
        if drill.malformed_event and index == 0:
            yield Say(MALFORMED_EVENT)
    if drill.cut_after is not None:
        yield BreakOff()
    elif drill.stall_after is None:
        yield Say(streamed.closing)
        if not drill.no_done:
            yield Say(openai.DONE)
        yield End()


def _shown(drill: Drill) -> int | None:
    """How much of the answer is seen at most, or None for all of it."""
    return drill.stall_after if drill.cut_after is None else drill.cut_after
